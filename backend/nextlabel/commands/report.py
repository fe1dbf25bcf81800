"""Writes the report of one or several runs of nextlabel simulate: figures, tables, and what the records support.

Several runs must have the same setting; their seeds are put together.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser
from nextlabel.errors import of_extra
from nextlabel.simulation.study import headlines


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, write, print the findings."""
    parser = new_parser("nextlabel report", __doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directory that nextlabel simulate wrote")
    parser.add_argument("--out", type=Path, help="directory of the report (default: the first run)")
    parser.add_argument("--readme", type=Path, help="file whose results block is renewed, between its two markers")
    parser.add_argument(
        "--name", help="name of the block: it stands after <!-- results:NAME -->, before <!-- /results -->"
    )
    options = parser.parse_args(arguments)
    if (options.readme is None) != (options.name is None):
        parser.error("--readme and --name go together")
    with of_extra("simulation", "nextlabel report"):
        from nextlabel.simulation.report import update_readme, write_report

    out = options.out or options.runs[0]
    study = write_report(options.runs, out)
    print("\n".join(headlines(study)))
    print(f"Report: {out / 'report.html'}, {out / 'summary.md'}")
    if options.readme:
        command = shlex.join(["nextlabel", "report", *arguments])
        changed = update_readme(options.readme, options.name, study, out, command)
        print(f"{options.readme}: {'renewed' if changed else 'nothing to change'}")
