#!/usr/bin/env python3
"""`nextlabel measure-pool`, from a checkout."""

from _checkout import run

run("measure-pool")
