#!/usr/bin/env python3
"""`nextlabel final`, from a checkout."""

from _checkout import run

run("final")
