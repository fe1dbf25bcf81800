#!/usr/bin/env python3
"""`nextlabel quality`, from a checkout."""

from _checkout import run

run("quality")
