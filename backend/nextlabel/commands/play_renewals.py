"""Compares how often an order is renewed between two fits, by macro-F1 of a logistic regression on frozen embeddings.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded; each seed draws its pool from the former. A corpus that OUT holds is not played again.
"""

from collections.abc import Sequence

from nextlabel.commands._frozen import frozen_parser, write_page
from nextlabel.commands.simulate import counts
from nextlabel.simulation import renewals


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/renewals.md, print it."""
    parser = frozen_parser("play-renewals", __doc__, "runs/renewals")
    parser.add_argument("--labels-at", type=counts, default=(64, 128, 192), metavar="N,N,...", help="(64,128,192)")
    options = parser.parse_args(arguments)
    plan = renewals.RenewalPlan(options.labels_at, options.seeds, options.pool)
    write_page(
        options.corpora,
        lambda corpus: renewals.play(corpus, plan, options.base_model, options.out),
        lambda cells: f"# How often an order is renewed\n\n{renewals.ABOUT}\n\n{renewals.to_markdown(cells)}",
        options.out / "renewals.md",
        ["play-renewals", *arguments],
    )
