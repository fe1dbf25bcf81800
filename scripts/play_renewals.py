#!/usr/bin/env python3
"""`nextlabel play-renewals`, from a checkout."""

from _checkout import run

run("play-renewals")
