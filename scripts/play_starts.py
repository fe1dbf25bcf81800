#!/usr/bin/env python3
"""`nextlabel play-starts`, from a checkout."""

from _checkout import run

run("play-starts")
