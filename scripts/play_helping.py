#!/usr/bin/env python3
"""`nextlabel play-helping`, from a checkout."""

from _checkout import run

run("play-helping")
