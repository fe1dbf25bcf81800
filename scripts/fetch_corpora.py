#!/usr/bin/env python3
"""`nextlabel fetch-corpora`, from a checkout."""

from _checkout import run

run("fetch-corpora")
