"""Plays a table of corpora x label counts x recipes x seeds, and tells how well and how long each recipe fits.

Labels are drawn at random, the same ones for all recipes. A run that was stopped goes on when the same command is given
again. The table is a JSON file:
  {"corpora": ["corpora/r8"], "labels": [32, 128, 512], "seeds": 5,
   "recipes": {"tutorial": {"steps": 343, "learning_rate": 2e-5, "batch_size": 32}, "short": {"steps": 150},
               "ours": {"steps": "auto", "learning_rate": "auto"}}}
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive
from nextlabel.simulation import recipes
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, play, write OUT/recipes.md, print it."""
    parser = new_parser("nextlabel play-recipes", __doc__)
    parser.add_argument("table", type=Path, metavar="TABLE.json", help="what to play")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--corpora", type=Path, metavar="DIR", help="where its corpora are (its own folder)")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="seeds played side by side (1)")
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="CPU threads of each (1)")
    parser.add_argument("--only-tell", action="store_true", help="play nothing; tell what OUT holds")
    options = parser.parse_args(arguments)
    table = recipes.read_table(options.table, options.corpora)
    failed: Sequence[str] = []
    if not options.only_tell:
        line = shlex.join(["nextlabel", "play-recipes", *arguments])
        failed = recipes.play(table, options.base_model, options.out, line, options.workers, options.threads)
    text = recipes.to_markdown(recipes.compared(table, options.out))
    replace_file(options.out / "recipes.md", text)
    print(text)
    print("\n".join(failed), file=sys.stderr)
    return 1 if failed else 0
