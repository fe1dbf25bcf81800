#!/usr/bin/env python3
"""`nextlabel helping`, from a checkout."""

from _checkout import run

run("helping")
