"""Replays what the answers to "is it helping?" are worth: the measured one, the forecast, and what the next labels do.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded; each seed draws control set and pool from them; the others tell the truth. A corpus that OUT holds is
not played again.
"""

from collections.abc import Sequence

from nextlabel.commands._common import whole_number
from nextlabel.commands._frozen import frozen_parser, write_page
from nextlabel.simulation import helping


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/helping.md, print it."""
    parser = frozen_parser("play-helping", __doc__, "runs/helping")
    parser.add_argument(
        "--forecasts", type=whole_number, default=10, metavar="N", help="of how many seeds to forecast (%(default)s)"
    )
    options = parser.parse_args(arguments)
    plan = helping.HelpingPlan(options.seeds, options.forecasts, options.pool)
    write_page(
        options.corpora,
        lambda corpus: helping.play(corpus, plan, options.base_model, options.out),
        lambda cells: f"# Is it helping?\n\n{helping.ABOUT}\n\n{helping.to_markdown(cells)}",
        options.out / "helping.md",
        ["play-helping", *arguments],
    )
