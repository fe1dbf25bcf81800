#!/usr/bin/env python3
"""`nextlabel compare`, from a checkout."""

from _checkout import run

run("compare")
