"""Computes how many labels an audit takes, and replays how often it certifies what is not so.

Needs no corpus: a version is its confidences and its errors. Takes a minute or two; the same seeds each time.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive
from nextlabel.simulation import audits


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, compute, write OUT/audits.md and OUT/audits.json, print the former."""
    parser = new_parser("nextlabel play-audits", __doc__)
    parser.add_argument("--replays", type=positive, default=2000, help="projects, of ten audits each (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/audits"), metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    made_by = f"Made by `{shlex.join(['nextlabel', 'play-audits', *arguments])}`."
    print(audits.write(options.out, options.replays, made_by))
