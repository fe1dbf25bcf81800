"""Makes two data sets for simulations from 10,605 sentences of film reviews, each rated by 15 to 29 people.

Ratings go from -4 to 4, and 7,275 sentences have fewer than 20. A sentence is positive when their mean is above 0, else
negative. So 37 sentences count as negative whose mean is exactly 0, which means that their raters left them undecided:
20 of them are in OUT/even, all 37 in OUT/rare. They stay, as the published report was made with them;
--without-undecided leaves them out, and the other sentences where they are.

OUT/even/{train,dev,test}.tsv   of all sentences: half of them positive
OUT/rare/{train,dev,test}.tsv   of the negative ones and one in nine of the positive: a tenth are positive

Two sentences are rated twice and taken once, as the second time. Sentences of one review may be in different files. The
ratings are those of VADER (Hutto & Gilbert 2014, MIT licence); they travel in its source package on PyPI.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser
from nextlabel.simulation.datasets.reviews import fetch


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, download, split, write."""
    parser = new_parser("nextlabel fetch-reviews", __doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/reviews"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--without-undecided", action="store_true", help="leave out sentences with a mean of exactly 0")
    options = parser.parse_args(arguments)
    print("\n".join(fetch(options.out, options.without_undecided)))
