#!/usr/bin/env python3
"""`nextlabel play-live`, from a checkout."""

from _checkout import run

run("play-live")
