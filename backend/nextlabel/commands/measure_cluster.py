"""Measures fits and large pools on nodes of a Ray cluster that it starts on this machine, without Label Studio.

Times tell of as many nodes as the machine has idle cores; what is counted tells of any number. With --out, what is
measured is kept at once, and the same command goes on with the rest. Linux only; needs the extra ray. Until it ends,
Ray's ports are open to the networks of this machine, and ask for a token that is made for the run.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and measure, which prints."""
    parser = new_parser("nextlabel measure-cluster", __doc__)
    parser.add_argument("--tasks", type=positive, default=100_000, help="pairs in the pool (default: %(default)s)")
    parser.add_argument("--projects", type=positive, default=20, help="that are fitted (default: %(default)s)")
    parser.add_argument(
        "--nodes", type=positive, nargs="+", default=[1, 2], metavar="N", help="of one core each (default: 1 2)"
    )
    parser.add_argument("--turns", type=positive, default=1, help="of all numbers of nodes (default: %(default)s)")
    parser.add_argument("--mrpc-dir", type=Path, help="directory of the official MRPC files (default: our own pairs)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="all numbers, as JSON")
    options = parser.parse_args(arguments)
    from nextlabel.lab.measure_cluster import measure

    measure(**vars(options))
