#!/usr/bin/env python3
"""`nextlabel count-requests`, from a checkout."""

from _checkout import run

run("count-requests")
