"""Versions of a project's classifier on disk. Knows directories and cards, not models.

`models/<project>/<version>/` is written beside, renamed, then pointed to by the file `models/<project>/CURRENT`: a
crash leaves either the old state or the new one. What a version is never changes; only its card learns what it took.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backend.errors import NoModelError

PREFIX = "nextlabel-"
UNTRAINED = f"{PREFIX}untrained"
POINTER = "CURRENT"


def is_ours(version: str | None) -> bool:
    """Whether a model version in Label Studio was written by this backend."""
    return bool(version) and str(version).startswith(PREFIX)


def version_name(number: int, now: datetime) -> str:
    """Ordered for people, and unique even if MODEL_DIR was lost and numbering began again."""
    return f"{PREFIX}{number}-{now:%Y%m%dT%H%M%S}"


def version_number(version: str) -> int:
    """The number in a version name; 0 when there is none."""
    number = version.removeprefix(PREFIX).partition("-")[0]
    return int(number) if number.isdigit() else 0


@dataclass(frozen=True)
class Card:
    """What a version is. `scores` are those of the labelled holdout, None without one. Times in seconds."""

    version: str
    number: int
    project: int
    parent: str | None
    labels: tuple[str, ...]
    label_counts: dict[str, int]
    base_model: str
    strategy: str
    seed: int
    recipe: dict[str, Any]
    scores: dict[str, float] | None
    pool: int
    seconds: dict[str, float]
    device: str
    precision: str
    libraries: dict[str, str]
    created_at: str
    reason: str

    @property
    def examples(self) -> int:
        """How many labelled examples the version was fitted on."""
        return sum(self.label_counts.values())


class Registry:
    """The versions of all projects below one directory."""

    def __init__(self, model_dir: Path):
        self.root = model_dir / "models"
        self._locks = model_dir / "locks"

    def projects(self) -> list[int]:
        """Ids of projects that have a directory here, versions or not."""
        if not self.root.is_dir():
            return []
        return sorted(int(d.name) for d in self.root.iterdir() if d.is_dir() and d.name.isdigit())

    def know(self, project: int) -> None:
        """Remember a project, so that the clock looks after it."""
        (self.root / str(project)).mkdir(parents=True, exist_ok=True)

    def versions(self, project: int) -> list[str]:
        """Complete versions, newest first."""
        home = self.root / str(project)
        if not home.is_dir():
            return []
        found = [d.name for d in home.iterdir() if is_ours(d.name) and self._read_card(d) is not None]
        return sorted(found, key=lambda v: (version_number(v), v), reverse=True)

    def current(self, project: int) -> str | None:
        """The promoted version; the newest complete one if the pointer is lost or points to a deleted directory."""
        versions = self.versions(project)
        try:
            pointed = (self.root / str(project) / POINTER).read_text().strip()
        except (OSError, ValueError):  # none yet, or a damaged one
            pointed = ""
        return pointed if pointed in versions else next(iter(versions), None)

    def path(self, project: int, version: str) -> Path:
        """The directory of a version; `from_pretrained` loads it."""
        return self.root / str(project) / version

    def card(self, project: int, version: str) -> Card:
        """What the version is."""
        card = self._read_card(self.path(project, version))
        if card is None:
            raise NoModelError(f"Version {version} of project {project} is gone or damaged.")
        return card

    def _read_card(self, directory: Path) -> Card | None:
        """None without a readable card: a version that is damaged or of an incompatible release counts as none."""
        try:
            raw = json.loads((directory / "card.json").read_text(encoding="utf-8"))
            known: dict[str, Any] = {field.name: raw[field.name] for field in fields(Card)}
            return Card(**{**known, "labels": tuple(known["labels"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def fitted_labels(self, project: int, version: str) -> dict[int, str]:
        """The label of every task that the version was fitted on, by task id."""
        raw = json.loads((self.path(project, version) / "labels.json").read_text(encoding="utf-8"))
        return {int(task): label for task, label in raw.items()}

    def save(self, card: Card, labels: Mapping[int, str], write_model: Callable[[Path], None]) -> Path:
        """Write a complete version and give it its name in one rename; leaves nothing behind when it fails."""
        home = self.root / str(card.project)
        home.mkdir(parents=True, exist_ok=True)
        for leftover in home.glob(".writing-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        beside = home / f".writing-{card.version}"
        beside.mkdir()
        try:
            write_model(beside)
            _write_json(beside / "labels.json", {str(task): label for task, label in labels.items()})
            _write_json(beside / "card.json", asdict(card))
            for file in beside.iterdir():
                file.chmod(0o644)  # safetensors files come out private, and the web process may be another user
                _to_disk(file)  # a power cut after the rename must not leave a hollow version
            final = home / card.version
            beside.rename(final)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return final

    def promote(self, project: int, version: str) -> None:
        """Point to a version. Readers see the old or the new one, never none."""
        pointer = self.root / str(project) / POINTER
        beside = pointer.with_suffix(".new")
        beside.write_text(version)
        os.replace(beside, pointer)

    def add_seconds(self, project: int, version: str, seconds: Mapping[str, float]) -> None:
        """Note on the card how long stages took that came after it was written."""
        card = self.card(project, version)
        beside = self.path(project, version) / ".card.json"
        _write_json(beside, asdict(replace(card, seconds={**card.seconds, **seconds})))
        os.replace(beside, beside.with_name("card.json"))

    def discard(self, project: int, version: str) -> None:
        """Delete a version that could not be promoted."""
        shutil.rmtree(self.path(project, version), ignore_errors=True)

    def prune(self, project: int, keep: int) -> list[str]:
        """Delete all but the `keep` newest versions and the current one; returns the deleted names."""
        current = self.current(project)
        surplus = [v for v in self.versions(project)[keep:] if v != current]
        for version in surplus:
            # The card goes first: without it the directory is no version, even if the deletion is cut short.
            (self.path(project, version) / "card.json").unlink(missing_ok=True)
            shutil.rmtree(self.path(project, version), ignore_errors=True)
        return surplus

    def lock(self, name: str) -> FileLock:
        """A lock among all threads and processes of this machine; it dies with its holder."""
        self._locks.mkdir(parents=True, exist_ok=True)
        return FileLock(self._locks / f"{name}.lock", timeout=0, thread_local=False)


Busy = Timeout  # what entering a held lock raises


def _to_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
