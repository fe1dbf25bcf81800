"""Compares orders to label in before there is any model, by macro-F1 of a logistic regression on frozen embeddings.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded; each seed draws its pool from the former.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, show, write_json
from nextlabel.commands.simulate import counts, seeds
from nextlabel.simulation import starts
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/starts.json and OUT/starts.md, print the latter."""
    parser = new_parser("nextlabel play-starts", __doc__)
    parser.add_argument("corpora", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--labels-at", type=counts, default=(8, 16, 40, 64), metavar="N,N,...", help="(8,16,40,64)")
    parser.add_argument("--seeds", type=seeds, default=list(range(10)), help="as of nextlabel simulate (10)")
    parser.add_argument("--pool", type=positive, default=2000, help="texts to choose from, at most (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/starts"), metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    table = starts.StartTable(options.corpora, options.labels_at, options.seeds, options.pool)
    line = shlex.join(["nextlabel", "play-starts", *arguments])
    options.out.mkdir(parents=True, exist_ok=True)
    cells: list[starts.Cell] = []
    for cell in starts.play(table, options.base_model):
        if not cells or cells[-1].corpus != cell.corpus:
            show(cell.corpus)
        cells.append(cell)
    text = f"# Orders to start labelling in\n\n{starts.ABOUT}\n\n{starts.to_markdown(cells)}\nMade by `{line}`.\n"
    write_json(options.out / "starts.json", starts.as_dicts(cells))
    replace_file(options.out / "starts.md", text)
    print(text)
