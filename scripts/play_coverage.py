#!/usr/bin/env python3
"""`nextlabel play-coverage`, from a checkout."""

from _checkout import run

run("play-coverage")
