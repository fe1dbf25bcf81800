#!/usr/bin/env python3
"""`nextlabel finish`, from a checkout."""

from _checkout import run

run("finish")
