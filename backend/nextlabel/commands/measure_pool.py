"""Measures how a trainer scores a large pool, without Label Studio: seconds to the head, to the end, and memory.

Memory is what the process held at most above what it held with a fitted model and no pool. Linux only.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and measure, which prints."""
    parser = new_parser("nextlabel measure-pool", __doc__)
    parser.add_argument("--tasks", type=positive, default=100_000, help="pairs in the pool (default: %(default)s)")
    parser.add_argument("--base-model", help="hub name or directory (default: a random BERT of 2 layers of 32)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: %(default)s)")
    parser.add_argument("--parts", type=positive, help="stop after so many parts, and go on in another process")
    parser.add_argument("--mrpc-dir", type=Path, help="directory of the official MRPC files (default: our own pairs)")
    parser.add_argument("--against", type=Path, metavar="DIR", help="an older checkout that measures the same in turns")
    parser.add_argument("--turns", type=positive, default=5, help="of each, with --against (default: %(default)s)")
    options = parser.parse_args(arguments)
    from nextlabel.lab.measure_pool import compare, measure

    measured = vars(options)
    against, turns = measured.pop("against"), measured.pop("turns")
    if against is None:
        measure(**measured)
    else:
        given = ((f"--{name.replace('_', '-')}", str(value)) for name, value in measured.items() if value is not None)
        compare(against, turns, [word for pair in given for word in pair])
