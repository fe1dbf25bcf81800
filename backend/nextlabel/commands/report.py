"""Writes the report of one or several runs of nextlabel simulate: figures, tables, and what the records support.

Several runs must have the same setting; their seeds are put together.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser
from nextlabel.errors import of_extra
from nextlabel.simulation import study


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
        from nextlabel.simulation import count_report, report

    out = options.out or options.runs[0]
    command = shlex.join(["nextlabel", "report", *arguments])
    block = (options.readme, options.name) if options.readme else None
    if count_report.plays_counts(options.runs[0]):
        counted = count_report.write_report(options.runs, out)
        said = counted.sentences
        renewed = block and count_report.update_readme(*block, counted, out, command)
    else:
        compared = report.write_report(options.runs, out)
        said = study.headlines(compared)
        renewed = block and report.update_readme(*block, compared, out, command)
    print("\n".join(said))
    print(f"Report: {out / 'report.html'}, {out / 'summary.md'}")
    if block:
        print(f"{options.readme}: {'renewed' if renewed else 'nothing to change'}")
