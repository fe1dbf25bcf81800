"""Compares what a rare class gains by slots of the queue, by logistic regressions on frozen embeddings.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded. A class is thinned out to 1 % of the pool, with every seed another one. A corpus that OUT holds is
not played again.
"""

from collections.abc import Sequence

from nextlabel.commands._frozen import frozen_parser, write_page
from nextlabel.commands.simulate import counts
from nextlabel.simulation import wanted


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/wanted.md, print it."""
    parser = frozen_parser("play-wanted", __doc__, "runs/wanted")
    parser.add_argument("--labels-at", type=counts, default=(64, 128, 256), metavar="N,N,...", help="(64,128,256)")
    options = parser.parse_args(arguments)
    plan = wanted.WantedPlan(options.labels_at, options.seeds, options.pool)
    write_page(
        options.corpora,
        lambda corpus: wanted.play(corpus, plan, options.base_model, options.out),
        lambda cells: f"# What a rare class gains by slots\n\n{wanted.ABOUT}\n\n{wanted.to_markdown(cells)}\n",
        options.out / "wanted.md",
        ["play-wanted", *arguments],
    )
