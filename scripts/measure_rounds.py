#!/usr/bin/env python3
"""`nextlabel measure-rounds`, from a checkout."""

from _checkout import run

run("measure-rounds")
