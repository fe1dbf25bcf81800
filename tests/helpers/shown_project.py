"""The made-up project of the pictures, for tests: made once, and copied."""

import shutil
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from nextlabel.lab import shown_project
from nextlabel.lab.shown_project import LABELS, as_another, texts
from nextlabel.store.status import StatusBoard

__all__ = ["LABELS", "as_another", "fill", "long_ago", "texts"]


def fill(model_dir: Path, project: int, now: datetime, title: str = "Mails to the shop") -> None:
    """People labelled long ago; what the trainer says is of now."""
    shutil.copytree(_filled(project, title).name, model_dir, dirs_exist_ok=True)
    board = StatusBoard(model_dir)
    board.put_queue(project, now.timestamp())
    board.put_fit(project, now.timestamp())


@cache
def _filled(project: int, title: str) -> TemporaryDirectory[str]:
    home = TemporaryDirectory()
    shown_project.fill(Path(home.name), project, long_ago(), title)
    return home


def long_ago() -> datetime:
    """A time that is always the same, for what must not change."""
    return datetime(2026, 11, 24, 6, 30, tzinfo=timezone.utc)
