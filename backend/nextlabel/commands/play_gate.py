"""Counts what the gate refuses without a holdout: versions as they should be, and ones that were spoilt on purpose.

Corpora are directories that nextlabel fetch-corpora made. A corpus that OUT holds is not played again.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, show
from nextlabel.commands.simulate import counts, seeds
from nextlabel.simulation import gates
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/gate.md, print it."""
    parser = new_parser("nextlabel play-gate", __doc__)
    parser.add_argument("corpora", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--labels-at", type=counts, default=(8, 16, 32, 64, 128), metavar="N,N,...")
    parser.add_argument("--seeds", type=seeds, default=list(range(6)), help="as of nextlabel simulate (6)")
    parser.add_argument("--spoilt", type=positive, default=2, help="seeds with spoilt fits, too (%(default)s)")
    parser.add_argument("--pool", type=positive, default=500, help="texts to choose from, at most (%(default)s)")
    parser.add_argument("--test", type=positive, default=400, help="texts of test, at most (%(default)s)")
    parser.add_argument("--word-pieces", type=positive, default=64, help="of a text, at most (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/gate"), metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    plan = gates.GatePlan(
        options.labels_at, options.seeds, options.spoilt, options.pool, options.test, options.word_pieces
    )
    options.out.mkdir(parents=True, exist_ok=True)
    cases = []
    for corpus in options.corpora:
        show(str(corpus))
        cases += gates.play(corpus, plan, options.base_model, options.out)
    made_by = f"Made by `{shlex.join(['nextlabel', 'play-gate', *arguments])}`."
    text = f"# What the gate refuses without a holdout\n\n{gates.ABOUT}\n\n{gates.to_markdown(cases)}\n{made_by}\n"
    replace_file(options.out / "gate.md", text)
    print(text)
