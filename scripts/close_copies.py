#!/usr/bin/env python3
"""`nextlabel close-copies`, from a checkout."""

from _checkout import run

run("close-copies")
