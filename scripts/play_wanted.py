#!/usr/bin/env python3
"""`nextlabel play-wanted`, from a checkout."""

from _checkout import run

run("play-wanted")
