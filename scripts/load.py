#!/usr/bin/env python3
"""`nextlabel load`, from a checkout."""

from _checkout import run

run("load")
