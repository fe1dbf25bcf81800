"""Counts how often the intervals of a random sample cover the truth, on samples drawn from known confusion tables.

Takes a minute or two, and makes the same numbers each time.
"""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nextlabel.commands._common import new_parser, show, write_json
from nextlabel.simulation import confusion_tables, coverage
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, draw, write OUT/coverage.md and OUT/coverage.json."""
    parser = new_parser("nextlabel play-coverage", __doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/coverage"), metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    cells = []
    for table in confusion_tables.TABLES:
        show(table.name)
        cells += coverage.play(table, coverage.METHODS)
    made_by = f"Made by `{shlex.join(['nextlabel', 'play-coverage', *arguments])}`."
    title = "# What the intervals of a random sample cover"
    text = "\n\n".join([title, coverage.ABOUT, coverage.to_markdown(cells), made_by])
    replace_file(options.out / "coverage.md", f"{text}\n")
    write_json(options.out / "coverage.json", [asdict(cell) for cell in cells])
