#!/usr/bin/env python3
"""`nextlabel play-judging`, from a checkout."""

from _checkout import run

run("play-judging")
