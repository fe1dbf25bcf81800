"""Measures what a round of a simulation costs (order, fit, evaluation), next to an older checkout, in one run.

Three ways in turns: this build with its recipe, this build with the older recipe, the older build with that recipe.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, write_json
from nextlabel.commands.simulate import counts

RECIPE = "--steps 150 --batch-size 16 --lr 2e-4 --epochs 15 --max-length 64"  # that of the reports
OLDER = "--steps 343 --batch-size 32 --lr 1e-4 --max-length 64"


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, measure, print a table and the ratios."""
    parser = new_parser("nextlabel measure-rounds", __doc__)
    parser.add_argument("corpora", type=Path, nargs="+", metavar="CORPUS", help="directories of fetch-corpora")
    parser.add_argument("--against", type=Path, required=True, metavar="DIR", help="an older checkout")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--labels", type=counts, default=(64, 128), metavar="N,N", help="each double the last (64,128)")
    parser.add_argument("--recipe", default=RECIPE, help="options of simulate (%(default)s)")
    parser.add_argument("--older-recipe", default=OLDER, help="options of simulate (%(default)s)")
    parser.add_argument("--turns", type=positive, default=3, help="turns of each way (%(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="CPU threads (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write all numbers there")
    options = parser.parse_args(arguments)
    from nextlabel.lab import measure_rounds
    from nextlabel.lab.measure_rounds import Way

    if not measure_rounds.is_checkout(options.against):
        parser.error(f"--against {options.against} is no checkout of Nextlabel. Make one with git worktree add.")
    ours, theirs = shlex.split(options.recipe), shlex.split(options.older_recipe)

    ways = [
        Way("now", ours),
        Way("now, older recipe", theirs),
        Way("before", theirs, options.against),
    ]
    costs = measure_rounds.measure(
        options.corpora, ways, options.base_model, options.labels, options.turns, options.threads
    )
    found = {way.name: measure_rounds.ratios(costs, way.name, "before") for way in ways[:2]}
    print(measure_rounds.to_markdown(costs))
    for name, by_corpus in found.items():
        print(f"{name}, in parts of before: {', '.join(f'{key} {ratio:.2f}' for key, ratio in by_corpus.items())}")
    made = measure_rounds.provenance(ways, options.base_model, options.threads)
    write_json(options.out, {**made, "rounds": measure_rounds.as_dict(costs), "ratios": found})
