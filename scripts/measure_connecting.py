#!/usr/bin/env python3
"""`nextlabel measure-connecting`, from a checkout."""

from _checkout import run

run("measure-connecting")
