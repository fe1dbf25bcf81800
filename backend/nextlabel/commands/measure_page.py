"""Measures what open pages cost the web process, and whether webhooks wait for them, without Label Studio.

Prints a Markdown table: without a page, with one, and with all. Exit code 1 if all of them cost 5 % of a core or more.
Needs the extra `lab`.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, write_json
from nextlabel.errors import of_extra

MOST = 0.05  # of a core, beside what no page costs


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, measure, print; returns the exit code."""
    parser = new_parser("nextlabel measure-page", __doc__)
    parser.add_argument("--browsers", type=positive, default=50, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="for each number of pages (default: %(default)s)")
    parser.add_argument("--change-s", type=float, default=3, help="seconds between two labels (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="file for all numbers")
    options = vars(parser.parse_args(arguments))
    out = options.pop("out")
    with of_extra("lab", "nextlabel measure-page"):
        from nextlabel.lab.measure_page import PagePlan, measure, report

    result = measure(PagePlan(**options))
    write_json(out, result)
    print("\n".join(report(result)))
    alone, _, together = (one["share_of_a_core"] for one in result["open"].values())
    return 1 if together - alone >= MOST else 0
