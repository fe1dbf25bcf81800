#!/usr/bin/env python3
"""`nextlabel look-again`, from a checkout."""

from _checkout import run

run("look-again")
