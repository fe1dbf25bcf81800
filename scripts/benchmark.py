#!/usr/bin/env python3
"""`nextlabel benchmark`, from a checkout."""

from _checkout import run

run("benchmark")
