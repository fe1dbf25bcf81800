#!/usr/bin/env python3
"""`nextlabel play-gate`, from a checkout."""

from _checkout import run

run("play-gate")
