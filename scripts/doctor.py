#!/usr/bin/env python3
"""`nextlabel doctor`, from a checkout."""

from _checkout import run

run("doctor")
