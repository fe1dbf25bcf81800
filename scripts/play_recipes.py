#!/usr/bin/env python3
"""`nextlabel play-recipes`, from a checkout."""

from _checkout import run

run("play-recipes")
