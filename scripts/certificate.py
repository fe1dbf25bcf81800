#!/usr/bin/env python3
"""`nextlabel certificate`, from a checkout."""

from _checkout import run

run("certificate")
