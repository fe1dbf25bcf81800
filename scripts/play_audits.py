#!/usr/bin/env python3
"""`nextlabel play-audits`, from a checkout."""

from _checkout import run

run("play-audits")
