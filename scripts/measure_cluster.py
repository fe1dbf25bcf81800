#!/usr/bin/env python3
"""`nextlabel measure-cluster`, from a checkout."""

from _checkout import run

run("measure-cluster")
