#!/usr/bin/env python3
"""`nextlabel simulate`, from a checkout."""

from _checkout import run

run("simulate")
