#!/usr/bin/env python3
"""`nextlabel measure-near-copies`, from a checkout."""

from _checkout import run

run("measure-near-copies")
