"""Writes what a lead would have been told in simulations with label counts, beside what was true.

Each RUN is a directory that nextlabel simulate --labels-at wrote; its name stands for its corpus.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser
from nextlabel.errors import of_extra
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, compute, write."""
    parser = new_parser("nextlabel report-told", __doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directory of one corpus")
    parser.add_argument("--out", type=Path, default=Path("reports/told.md"), metavar="FILE", help="(%(default)s)")
    options = parser.parse_args(arguments)
    with of_extra("simulation", "nextlabel report-told"):
        from nextlabel.simulation import told_report
        from nextlabel.simulation.comparisons import require_different

    require_different(options.runs)
    told = [one for directory in options.runs for one in told_report.read(directory)]
    command = shlex.join(["nextlabel", "report-told", *arguments])
    replace_file(options.out, f"{told_report.to_markdown(told)}\nMade by `{command}`.\n")
    print(f"Report: {options.out}")
