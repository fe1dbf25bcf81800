"""What was fitted, what it said of the control set, and what was found of the order, kept when all else is deleted.

`models/<project>/history.jsonl` has a line for each finished fit, one for what a version or head says of the texts of
the control set, by their draws, and one for each planned look at whether the order helps. Lines are only added. As it
is kept what was said and not how good it was, everything can be judged by the labels of today. Knows no labels of the
control set.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nextlabel.store.locks import lock
from nextlabel.values.versions import Card
from nextlabel.versions.registry import Registry

FILE = "history.jsonl"
DRAW = 16  # hexadecimal digits of a draw: two of a million texts have the same with a probability of 3e-8
PATIENCE_S = 10.0  # with another writer


@dataclass(frozen=True)
class Fit:
    """A finished fit, as its version's card has it: `held_out` is the confusion table of the holdout, `scores` are its
    scores; a form and a version of an earlier release have these alone."""

    version: str
    labels: int
    at: float
    refused: str = ""
    scores: Mapping[str, float] | None = None
    held_out: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Said:
    """What an order of that name, a version's or a head's, that knows so many `labels`, took texts of the control set
    for: places in `classes`, by the last digits of their draws. `at` is when that was noted."""

    order: str
    labels: int
    at: float
    classes: tuple[str, ...]
    of: Mapping[str, int]


@dataclass(frozen=True)
class Looks:
    """All planned looks at whether the order helps that were taken of what is `compared`, as its digest: of each the
    number of control labels, the gain, its error and the luck in it."""

    compared: str
    taken: tuple[tuple[int, float, float, float], ...]


@dataclass(frozen=True)
class Lines:
    """All that is kept, in the order in which it was written: fits by version, what was said by order, and the newest
    looks by what was compared."""

    fits: Mapping[str, Fit]
    said: Mapping[str, Said]
    looks: Mapping[str, Looks]


_FIT, _SAID, _LOOKS = TypeAdapter(Fit), TypeAdapter(Said), TypeAdapter(Looks)


def read(registry: Registry, project: int) -> Lines:
    """What is kept of a project; lines that cannot be read, such as one that was cut by a kill, count as none."""
    fits: dict[str, Fit] = {}
    said: dict[str, Said] = {}
    looks: dict[str, Looks] = {}
    for raw in _raw_lines(registry.home(project) / FILE):
        try:
            if "order" in raw:
                found = _SAID.validate_python(raw)
                said.setdefault(found.order, found)
            elif "compared" in raw:
                taken = _LOOKS.validate_python(raw)
                looks[taken.compared] = taken
            else:
                fit = _FIT.validate_python(raw)
                fits.setdefault(fit.version, fit)
        except ValidationError:
            continue
    return Lines(fits, said, looks)


def changed(registry: Registry, project: int) -> tuple[int, int]:
    """Another one whenever the file is another."""
    try:
        found = (registry.home(project) / FILE).stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def note_fits(registry: Registry, project: int) -> None:
    """Keep of every version what its card tells, unless that is kept already or its fit has not come to its end."""
    unfinished, known = registry.unfinished(project), read(registry, project).fits
    new = [card for card in registry.cards(project) if card.version not in known and card.version != unfinished]
    if new:
        _append(registry, project, *(asdict(_fit(card)) for card in reversed(new)))


def note_said(registry: Registry, project: int, said: Said) -> None:
    """Keep what a version or head says."""
    _append(registry, project, asdict(said))


def note_looks(registry: Registry, project: int, looks: Looks) -> None:
    """Keep that these were taken, so that none is taken twice."""
    _append(registry, project, asdict(looks))


def _fit(card: Card) -> Fit:
    try:
        at = datetime.fromisoformat(card.created_at).timestamp()
    except ValueError:  # of an earlier release, or somebody's own
        at = 0.0
    return Fit(card.version, card.examples, at, card.refused, card.scores, card.held_out)


def _raw_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            raw = json.loads(line)
        except ValueError:
            continue
        if isinstance(raw, dict):
            yield raw


def _append(registry: Registry, project: int, *lines: Mapping[str, Any]) -> None:
    """In one write; what a kill has cut is ended first, so that no good line hangs on it."""
    path = registry.home(project) / FILE
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    with lock(registry.root.parent, f"history.{project}").acquire(timeout=PATIENCE_S), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        file.write(text.encode())
