"""Compares what a rare class gains by slots of the queue, by logistic regressions on frozen embeddings.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded. A class is thinned out to 1 % of the pool, with every seed another one. A corpus that OUT holds is
not played again.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, show
from nextlabel.commands.simulate import counts, seeds
from nextlabel.simulation import wanted
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/wanted.md, print it."""
    parser = new_parser("nextlabel play-wanted", __doc__)
    parser.add_argument("corpora", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--labels-at", type=counts, default=(64, 128, 256), metavar="N,N,...", help="(64,128,256)")
    parser.add_argument("--seeds", type=seeds, default=list(range(10)), help="as of nextlabel simulate (10)")
    parser.add_argument("--pool", type=positive, default=2000, help="texts to choose from, at most (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/wanted"), metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    plan = wanted.WantedPlan(options.labels_at, options.seeds, options.pool)
    options.out.mkdir(parents=True, exist_ok=True)
    cells = []
    for corpus in options.corpora:
        show(str(corpus))
        cells += wanted.play(corpus, plan, options.base_model, options.out)
    made_by = f"Made by `{shlex.join(['nextlabel', 'play-wanted', *arguments])}`."
    text = f"# What a rare class gains by slots\n\n{wanted.ABOUT}\n\n{wanted.to_markdown(cells)}\n\n{made_by}\n"
    replace_file(options.out / "wanted.md", text)
    print(text)
