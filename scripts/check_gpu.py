#!/usr/bin/env python3
"""`nextlabel check-gpu`, from a checkout."""

from _checkout import run

run("check-gpu")
