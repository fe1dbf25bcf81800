#!/usr/bin/env python3
"""`nextlabel report`, from a checkout."""

from _checkout import run

run("report")
