#!/usr/bin/env python3
"""`nextlabel backup`, from a checkout."""

from _checkout import run

run("backup")
