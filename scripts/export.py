#!/usr/bin/env python3
"""`nextlabel export`, from a checkout."""

from _checkout import run

run("export")
