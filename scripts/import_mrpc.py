#!/usr/bin/env python3
"""`nextlabel import-mrpc`, from a checkout."""

from _checkout import run

run("import-mrpc")
