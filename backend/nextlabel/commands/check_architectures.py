"""Checks each architecture of text classifier with a tiny checkpoint: fit, predict, save, load, embed.

Makes a checkpoint with random weights and a tokenizer of each, offline, fits it some steps, and compares what the
classifier says with plain transformers, one text at a time. Prints a Markdown table; exit code 1 if any row fails.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, show, write_text


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, check, print; returns the exit code."""
    parser = new_parser("nextlabel check-architectures", __doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="check these alone")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), default="bf16", help="asked for (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=6, help="optimiser steps of each fit (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="file for the page")
    options = parser.parse_args(arguments)
    from nextlabel.lab.check_architectures import check_all

    page, right = check_all(options.only, options.precision, options.steps, show)
    print(page)
    write_text(options.out, page)
    return 0 if right else 1
