#!/usr/bin/env python3
"""`nextlabel play-form-orders`, from a checkout."""

from _checkout import run

run("play-form-orders")
