"""Compares ways to make one value of the doubts of several labels or questions, on frozen features.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded, and two forms are made of them: texts on one or two topics, and a topic beside a rare yes or no. A
corpus that OUT holds is not played again.
"""

from collections.abc import Sequence

from nextlabel.commands._frozen import frozen_parser, write_page
from nextlabel.commands.simulate import counts
from nextlabel.simulation import form_orders


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/form-orders.md, print it."""
    parser = frozen_parser("play-form-orders", __doc__, "runs/form-orders")
    parser.add_argument("--labels-at", type=counts, default=(64, 128, 256), metavar="N,N,...", help="(64,128,256)")
    options = parser.parse_args(arguments)
    plan = form_orders.FormPlan(options.labels_at, options.seeds, options.pool)
    write_page(
        options.corpora,
        lambda corpus: form_orders.play(corpus, plan, options.base_model, options.out),
        lambda cells: (
            f"# One value for several labels or questions\n\n{form_orders.ABOUT}\n\n{form_orders.to_markdown(cells)}\n"
        ),
        options.out / "form-orders.md",
        ["play-form-orders", *arguments],
    )
