#!/usr/bin/env python3
"""`nextlabel restore`, from a checkout."""

from _checkout import run

run("restore")
