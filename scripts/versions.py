#!/usr/bin/env python3
"""`nextlabel versions`, from a checkout."""

from _checkout import run

run("versions")
