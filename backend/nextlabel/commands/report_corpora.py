"""Writes the report of simulations of several corpora: curves side by side, savings, and what they show together.

Each RUN is a directory that nextlabel simulate --labels-at wrote; its name stands for its corpus.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser
from nextlabel.errors import of_extra


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, write, print the findings."""
    parser = new_parser("nextlabel report-corpora", __doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directory of one corpus")
    parser.add_argument(
        "--out", type=Path, default=Path("reports"), help="directory of overview.html, README.md and figures (reports)"
    )
    parser.add_argument(
        "--readme", type=Path, action="append", default=[], metavar="FILE",
        help="page whose block for corpora gets a table, a row for each corpus (several times)",
    )  # fmt: skip
    parser.add_argument(
        "--frozen", type=Path, action="append", default=[], metavar="FILE",
        help="file that froze the default that was played: it tells which corpora may confirm it (several times)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    with of_extra("simulation", "nextlabel report-corpora"):
        from nextlabel.simulation.corpora_report import write_report
        from nextlabel.simulation.corpora_study import headlines

    print("\n".join(headlines(write_report(options.runs, options.out, options.readme, options.frozen))))
    print(f"Report: {options.out / 'overview.html'}, {options.out / 'README.md'}")
