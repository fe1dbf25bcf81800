#!/usr/bin/env python3
"""`nextlabel report-told`, from a checkout."""

from _checkout import run

run("report-told")
