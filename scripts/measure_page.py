#!/usr/bin/env python3
"""`nextlabel measure-page`, from a checkout."""

from _checkout import run

run("measure-page")
