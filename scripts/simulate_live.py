#!/usr/bin/env python3
"""`nextlabel simulate-live`, from a checkout."""

from _checkout import run

run("simulate-live")
