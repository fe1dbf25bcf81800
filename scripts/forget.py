#!/usr/bin/env python3
"""`nextlabel forget`, from a checkout."""

from _checkout import run

run("forget")
