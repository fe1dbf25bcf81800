#!/usr/bin/env python3
"""`nextlabel fetch-reviews`, from a checkout."""

from _checkout import run

run("fetch-reviews")
