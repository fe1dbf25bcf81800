#!/usr/bin/env python3
"""`nextlabel play-second-labels`, from a checkout."""

from _checkout import run

run("play-second-labels")
