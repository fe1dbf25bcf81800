#!/usr/bin/env python3
"""`nextlabel play-doubt`, from a checkout."""

from _checkout import run

run("play-doubt")
