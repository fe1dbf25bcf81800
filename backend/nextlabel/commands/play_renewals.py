"""Compares how often an order is renewed between two fits, by macro-F1 of a logistic regression on frozen embeddings.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded; each seed draws its pool from the former. A corpus that OUT holds is not played again.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, show
from nextlabel.commands.simulate import counts, seeds
from nextlabel.simulation import renewals
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/renewals.md, print it."""
    parser = new_parser("nextlabel play-renewals", __doc__)
    parser.add_argument("corpora", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--labels-at", type=counts, default=(64, 128, 192), metavar="N,N,...", help="(64,128,192)")
    parser.add_argument("--seeds", type=seeds, default=list(range(10)), help="as of nextlabel simulate (10)")
    parser.add_argument("--pool", type=positive, default=2000, help="texts to choose from, at most (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/renewals"), metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    plan = renewals.RenewalPlan(options.labels_at, options.seeds, options.pool)
    options.out.mkdir(parents=True, exist_ok=True)
    cells = []
    for corpus in options.corpora:
        show(str(corpus))
        cells += renewals.play(corpus, plan, options.base_model, options.out)
    made_by = f"Made by `{shlex.join(['nextlabel', 'play-renewals', *arguments])}`."
    text = f"# How often an order is renewed\n\n{renewals.ABOUT}\n\n{renewals.to_markdown(cells)}\n{made_by}\n"
    replace_file(options.out / "renewals.md", text)
    print(text)
