"""Compares second labels with new ones, on frozen embeddings: some labels are made wrong, and each way spends as many.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded; each seed draws its pool from them. A corpus that OUT holds is not played again.
"""

from collections.abc import Sequence

from nextlabel.commands._common import positive
from nextlabel.commands._frozen import frozen_parser, write_page
from nextlabel.simulation import second_labels


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/second-labels.md, print it."""
    parser = frozen_parser("play-second-labels", __doc__, "runs/second-labels")
    parser.add_argument("--labels", type=positive, default=300, help="before, and annotations after (%(default)s)")
    parser.add_argument(
        "--wrong", type=float, nargs="+", default=[0.05, 0.2], metavar="SHARE", help="of the labels (%(default)s)"
    )
    options = parser.parse_args(arguments)
    plan = second_labels.SecondPlan(options.labels, options.wrong, options.seeds, options.pool)
    write_page(
        options.corpora,
        lambda corpus: second_labels.play(corpus, plan, options.base_model, options.out),
        lambda cells: (
            f"# A second label, or a new one\n\n{second_labels.ABOUT}\n\n{second_labels.to_markdown(cells)}\n"
        ),
        options.out / "second-labels.md",
        ["play-second-labels", *arguments],
    )
