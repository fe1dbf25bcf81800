#!/usr/bin/env python3
"""`nextlabel faults`, from a checkout."""

from _checkout import run

run("faults")
