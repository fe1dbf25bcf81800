"""Replays whole projects with a control set, and counts what its figures say against what is so, on frozen embeddings.

Corpora are directories that nextlabel fetch-corpora made. Of each the first 3,000 training texts and the first 1,000 of
test are embedded; each replay draws its pool from them, and takes about half a second. With --fits versions are fitted,
on fewer texts, and a replay takes minutes. What OUT holds is not played again: with more --replays it goes on.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, show
from nextlabel.commands.simulate import counts
from nextlabel.simulation import judging
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, write OUT/judging.md, print it."""
    parser = new_parser("nextlabel play-judging", __doc__)
    parser.add_argument("corpora", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--labels-at", type=counts, default=(100, 200, 300), metavar="N,N,...", help="(100,200,300)")
    parser.add_argument("--replays", type=positive, default=1000, help="of each corpus, at least (%(default)s)")
    parser.add_argument(
        "--hard-skips", action="store_true", help="hard texts are skipped, not any; takes its own --out"
    )
    parser.add_argument("--fits", action="store_true", help="with versions that are fitted; takes its own --out")
    parser.add_argument("--out", type=Path, default=Path("runs/judging"), metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    plan, played = judging.JudgingPlan(options.labels_at, options.hard_skips, options.fits), []
    for corpus in options.corpora:
        show(str(corpus))
        played.append(judging.play(corpus, plan, options.replays, options.base_model, options.out))
    made_by = f"Made by `{shlex.join(['nextlabel', 'play-judging', *arguments])}`."
    title = "# What the control set says while people label by the model's order"
    text = "\n\n".join([title, plan.about, judging.to_markdown(played), made_by])
    replace_file(options.out / "judging.md", f"{text}\n")
    print(text)
