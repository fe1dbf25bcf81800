"""The heads of a version on disk: `<version>/heads/12.npz`, of which only the newest few are kept.

Readers find the newest whole one; each can be made again from version and labels, nearly
the same but not to the digit. Knows files, not models.
"""

import logging
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from nextlabel.errors import NoModelError
from nextlabel.learning.heads import Head, load, save
from nextlabel.values.versions import Card, head_name, head_number, version_of

KEPT = 3

log = logging.getLogger(__name__)


def save_next(version: Path, head: Head, names: Collection[str] = ()) -> str:
    """Write a head beside a version's weights; returns the model version under which its predictions go: none of the
    `names`, which heads had whose files may be gone. Raises `OSError` when it cannot be written."""
    directory = version / "heads"
    directory.mkdir(exist_ok=True)
    numbers = _numbers(directory)
    number = max([0, *numbers, *(head_number(name) for name in names if version_of(name) == version.name)]) + 1
    save(head, directory / f"{number}.npz")
    for old in sorted(numbers)[: 1 - KEPT]:
        (directory / f"{old}.npz").unlink(missing_ok=True)
    return head_name(version.name, number)


def newest(version: Path) -> tuple[str, Head] | None:
    """Name and head; None when the version has none that can be read."""
    directory = version / "heads"
    for number in sorted(_numbers(directory), reverse=True):
        path = directory / f"{number}.npz"
        try:
            return head_name(version.name, number), _loaded((path, path.stat().st_mtime_ns))
        except OSError:  # an older one that was deleted meanwhile
            continue
        except NoModelError as error:
            log.warning("%s", error)
    return None


def named(version: Path, name: str) -> Head:
    """The version's head of this name. Raises `NoModelError` when it is gone or damaged."""
    for number in _numbers(version / "heads"):
        if head_name(version.name, number) == name:
            return load(version / "heads" / f"{number}.npz")
    raise NoModelError(f"The head {name} is none of the newest {KEPT} of its version: take the one in force.")


def as_of(card: Card, head: Head | None) -> Card:
    """The version's card with the labels and questions of one of its heads: where the form has changed since it was
    fitted, these are others."""
    if head is None or (head.labels, head.layout) == (card.labels, card.layout):
        return card
    return replace(card, labels=head.labels, asked=head.layout.as_dict() if head.layout else {})


@lru_cache(maxsize=8)
def _loaded(file: tuple[Path, int]) -> Head:
    """Of a file and the time at which it was written: another one may come to have its name."""
    return load(file[0])


def _numbers(directory: Path) -> list[int]:
    return [int(file.stem) for file in directory.glob("*.npz") if file.stem.isdigit()]
