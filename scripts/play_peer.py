#!/usr/bin/env python3
"""`nextlabel play-peer`, from a checkout."""

from _checkout import run

run("play-peer")
