"""Tells what the fault tests did, as a Markdown table, from the record that pytest wrote of them.

scripts/test tests/loop/test_crashes.py tests/loop/test_mishaps.py tests/labelstudio/test_studio_faults.py \\
    tests/loop/test_clock.py --junitxml faults.xml; nextlabel faults faults.xml
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, read, print."""
    parser = new_parser("nextlabel faults", __doc__)
    parser.add_argument("record", type=Path, help="what pytest --junitxml wrote")
    options = parser.parse_args(arguments)
    from nextlabel.lab.faults import report

    print("\n".join(report(options.record)))
