"""Writes what a lead would have been told in simulations with label counts, beside what was true.

Each RUN is a directory that nextlabel simulate --labels-at wrote; its name stands for its corpus.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, write_text
from nextlabel.errors import of_extra


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, compute, write."""
    parser = new_parser("nextlabel report-told", __doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directory of one corpus")
    parser.add_argument("--out", type=Path, default=Path("reports/told.md"), metavar="FILE", help="(%(default)s)")
    options = parser.parse_args(arguments)
    with of_extra("simulation", "nextlabel report-told"):
        from nextlabel.simulation import count_report, told_report
        from nextlabel.simulation.comparisons import require_different

    for directory in options.runs:
        if not count_report.plays_counts(directory):
            parser.error(f"{directory} holds no run with label counts (--labels-at), as this report needs them")
    require_different(options.runs)
    told = [one for directory in options.runs for one in told_report.read(directory)]
    command = shlex.join(["nextlabel", "report-told", *arguments])
    write_text(options.out, f"{told_report.to_markdown(told)}\nMade by `{command}`.\n")
    print(f"Report: {options.out}")
