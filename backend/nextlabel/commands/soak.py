"""Runs the web process for long: very many predictions, and new versions at even distances in between.

Looks at its memory, handles and threads, and at the disk, whenever it is at rest before a change of version. Prints a
Markdown table; exit code 1 if any answer was wrong. Needs the extra `lab`.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, write_json
from nextlabel.errors import of_extra


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, run, print; returns the exit code."""
    parser = new_parser("nextlabel soak", __doc__)
    parser.add_argument("--predictions", type=positive, default=100_000, help="(default: %(default)s)")
    parser.add_argument("--versions", type=int, default=50, help="changes of version (default: %(default)s)")
    parser.add_argument("--base-model", type=Path, metavar="DIR", help="a checkpoint (default: all-MiniLM-L6-v2)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="file for all numbers")
    options = parser.parse_args(arguments)
    with of_extra("lab", "nextlabel soak"):
        from nextlabel.lab.soak import SoakPlan, measure, report

    result = measure(SoakPlan(options.predictions, options.versions, options.base_model))
    write_json(options.out, result)
    print("\n".join(report(result)))
    return 1 if result["wrong"] else 0
