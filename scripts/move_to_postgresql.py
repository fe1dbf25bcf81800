#!/usr/bin/env python3
"""`nextlabel move-to-postgresql`, from a checkout."""

from _checkout import run

run("move-to-postgresql")
