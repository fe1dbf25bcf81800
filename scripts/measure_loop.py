#!/usr/bin/env python3
"""`nextlabel measure-loop`, from a checkout."""

from _checkout import run

run("measure-loop")
