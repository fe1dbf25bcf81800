#!/usr/bin/env python3
"""`nextlabel report-corpora`, from a checkout."""

from _checkout import run

run("report-corpora")
