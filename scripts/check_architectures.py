#!/usr/bin/env python3
"""`nextlabel check-architectures`, from a checkout."""

from _checkout import run

run("check-architectures")
