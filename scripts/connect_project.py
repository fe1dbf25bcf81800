#!/usr/bin/env python3
"""`nextlabel connect`, from a checkout."""

from _checkout import run

run("connect")
