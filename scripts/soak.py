#!/usr/bin/env python3
"""`nextlabel soak`, from a checkout."""

from _checkout import run

run("soak")
