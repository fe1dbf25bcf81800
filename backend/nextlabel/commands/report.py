#!/usr/bin/env python3
"""Writes the report of one or several runs of scripts/simulate.py: figures, tables, and what the records support.

Several runs must have the same setting; their seeds are put together.
"""

import argparse
import shlex
import sys
from pathlib import Path

from _script import run

from nextlabel.simulation.study import headlines
from nextlabel.simulation.report import update_readme, write_report


def main() -> None:
    """Parse the command line, write, print the findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directory that scripts/simulate.py wrote")
    parser.add_argument("--out", type=Path, help="directory of the report (default: the first run)")
    parser.add_argument("--readme", type=Path, help="file whose results block is renewed, between its two markers")
    parser.add_argument(
        "--name", help="name of the block: it stands after <!-- results:NAME -->, before <!-- /results -->"
    )
    options = parser.parse_args()
    if (options.readme is None) != (options.name is None):
        parser.error("--readme and --name go together")
    out = options.out or options.runs[0]
    study = write_report(options.runs, out)
    print("\n".join(headlines(study)))
    print(f"Report: {out / 'report.html'}, {out / 'summary.md'}")
    if options.readme:
        command = shlex.join(["scripts/report.py", *sys.argv[1:]])
        changed = update_readme(options.readme, options.name, study, out, command)
        print(f"{options.readme}: {'renewed' if changed else 'nothing to change'}")


if __name__ == "__main__":
    run(main)
