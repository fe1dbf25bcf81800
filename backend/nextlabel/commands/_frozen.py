"""What the commands that play corpora on frozen features have in common."""

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from nextlabel.commands._common import new_parser, positive, show
from nextlabel.commands.simulate import seeds
from nextlabel.store.files import replace_file

Cell = TypeVar("Cell")


def frozen_parser(command: str, description: str | None, out: str) -> argparse.ArgumentParser:
    """Of corpora, the base checkpoint, seeds, the size of a pool, and where the cells go."""
    parser = new_parser(f"nextlabel {command}", description)
    parser.add_argument("corpora", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--base-model", required=True, metavar="NAME", help="hub name or directory")
    parser.add_argument("--seeds", type=seeds, default=list(range(10)), help="as of nextlabel simulate (10)")
    parser.add_argument("--pool", type=positive, default=2000, help="texts to choose from, at most (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path(out), metavar="DIR", help="(%(default)s)")
    return parser


def write_page(
    corpora: Sequence[Path],
    play: Callable[[Path], list[Cell]],
    to_markdown: Callable[[list[Cell]], str],
    page: Path,
    made_by: Sequence[str],
) -> None:
    """Play the corpora one after the other; write the page, and print it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    cells: list[Cell] = []
    for corpus in corpora:
        show(str(corpus))
        cells += play(corpus)
    text = f"{to_markdown(cells)}\nMade by `{shlex.join(['nextlabel', *made_by])}`.\n"
    replace_file(page, text)
    print(text)
