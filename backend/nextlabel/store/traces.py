"""The files that this wing keeps of a project. Knows their names, not what is in them."""

import shutil
from collections.abc import Iterable
from pathlib import Path

PLACES = ("pools/{}.*", "status/{}.*", "status/.{}.*", "locks/{}.*", "locks/*.{}.lock")


def traces(model_dir: Path, project: int) -> list[Path]:
    """The copy of its tasks with all that lies beside it, its status and, last, its locks."""
    return [path for place in PLACES for path in sorted(model_dir.glob(place.format(project)))]


def erase(paths: Iterable[Path]) -> None:
    """Delete files and directories, those that are gone meanwhile as well. Raises `OSError` when one cannot be."""
    for path in paths:
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except FileNotFoundError:
            continue
