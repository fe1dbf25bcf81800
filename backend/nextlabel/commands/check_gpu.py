"""Checks on an NVIDIA GPU what tests on a CPU cannot see: recorded steps, memory that runs out, threads side by side.

Prints a Markdown table with a row for each check; exit code 1 if any does not hold. Needs nothing of Label Studio.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, show, write_text


def main(arguments: Sequence[str]) -> int:
    """Run every check, print; returns the exit code."""
    parser = new_parser("nextlabel check-gpu", __doc__)
    parser.add_argument("--base-model", metavar="DIR", help="a BERT in a directory (default: all-MiniLM-L6-v2)")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="file for the table")
    options = parser.parse_args(arguments)
    from nextlabel.lab.check_gpu import check_all

    page, failed = check_all(options.base_model, show)
    print(page)
    write_text(options.out, page + "\n\n```sh\nnextlabel check-gpu\n```\n")
    return 1 if failed else 0
