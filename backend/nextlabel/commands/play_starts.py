"""Compares orders to label in before there is any model, by macro-F1 of a logistic regression on frozen embeddings.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded; each seed draws its pool from the former. A corpus that OUT holds is not played again.
"""

from collections.abc import Sequence

from nextlabel.commands._frozen import frozen_parser, write_page
from nextlabel.commands.simulate import counts
from nextlabel.simulation import starts


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/starts.md, print it."""
    parser = frozen_parser("play-starts", __doc__, "runs/starts")
    parser.add_argument("--labels-at", type=counts, default=(8, 16, 40, 64), metavar="N,N,...", help="(8,16,40,64)")
    options = parser.parse_args(arguments)
    plan = starts.StartPlan(options.labels_at, options.seeds, options.pool)
    write_page(
        options.corpora,
        lambda corpus: starts.play(corpus, plan, options.base_model, options.out),
        lambda cells: f"# Orders to start labelling in\n\n{starts.ABOUT}\n\n{starts.to_markdown(cells)}",
        options.out / "starts.md",
        ["play-starts", *arguments],
    )
