"""Versions of a project's classifier on disk. Knows directories and cards, not models.

`models/<project>/<version>/` is written beside, renamed, then pointed to by the file `models/<project>/CURRENT`: a
crash leaves either the old state or the new one. What a version is never changes; only its card learns what it took.
`manifest.json` says how its files were written, so that a damaged version is not taken for a whole one.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import MISSING, Field, asdict, fields, replace
from pathlib import Path
from typing import Any

from nextlabel.errors import NoModelError, RefusedConfigError
from nextlabel.store.files import replace_file
from nextlabel.store.locks import lock
from nextlabel.values.options import NO_OPTIONS, ProjectOptions
from nextlabel.values.versions import Card, is_ours, version_number

POINTER, TRAIL, UNFINISHED = "CURRENT", "ACTIVE_BEFORE", "UNFINISHED"
TRAIL_NAMES = 100  # of versions that were active, at most
PATIENCE_S = 10.0  # with another who writes the same file
CARD, MANIFEST, LABELS = "card.json", "manifest.json", "labels.json"
OPTIONS = "options.json"  # of a project, as Label Studio had them when it was last asked
CHUNK = 2**20  # bytes


class Registry:
    """The versions of all projects below one directory."""

    def __init__(self, model_dir: Path):
        self.root = model_dir / "models"
        self._looked_at: dict[Path, tuple[int, int]] = {}  # whole at a look, and which directory that was
        self._unloadable: dict[Path, tuple[str, list[tuple[str, int, int]]]] = {}  # what was wrong with which files

    def projects(self) -> list[int]:
        """Ids of projects that have a directory here, versions or not."""
        if not self.root.is_dir():
            return []
        return sorted(int(d.name) for d in self.root.iterdir() if d.is_dir() and d.name.isdigit())

    def knows(self, project: int) -> bool:
        """Whether it has a directory here."""
        return self.home(project).is_dir()

    def home(self, project: int) -> Path:
        """The directory of a project, known or not."""
        return self.root / str(project)

    def know(self, project: int) -> None:
        """Remember a project, so that the clock looks after it."""
        self.home(project).mkdir(parents=True, exist_ok=True)

    def options(self, project: int) -> ProjectOptions:
        """What a person decided for the project, as far as it is known here; Label Studio keeps it."""
        try:
            return ProjectOptions.of(json.loads(self._read(project, OPTIONS) or "{}"))
        except (ValueError, RefusedConfigError):  # damaged: the next thorough look writes it again
            return NO_OPTIONS

    def put_options(self, project: int, options: ProjectOptions) -> None:
        """Take over what Label Studio says. Readers see the old or the new ones."""
        if options != self.options(project):
            replace_file(self.home(project) / OPTIONS, json.dumps(options.put_into({})))

    def versions(self, project: int) -> list[str]:
        """Versions with a readable card, newest first."""
        return list(self._cards(project))

    def cards(self, project: int) -> list[Card]:
        """The cards of all versions, newest first."""
        return list(self._cards(project).values())

    def _cards(self, project: int) -> dict[str, Card]:
        home = self.home(project)
        if not home.is_dir():
            return {}
        found = {d.name: self._read_card(d) for d in home.iterdir() if is_ours(d.name)}
        cards = {version: card for version, card in found.items() if card is not None}
        return dict(sorted(cards.items(), key=lambda item: (version_number(item[0]), item[0]), reverse=True))

    def promoted(self, project: int) -> str:
        """The version that was promoted last, whatever has become of it; empty when that is not known."""
        return self._read(project, POINTER)

    def _read(self, project: int, name: str) -> str:
        try:
            return (self.home(project) / name).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):  # none yet, or a damaged one
            return ""

    def current(self, project: int) -> str | None:
        """The active version: the promoted one or, when it is lost or damaged, the newest intact one, a refused one
        only when there is no other."""
        cards, promoted = self._cards(project), self.promoted(project)
        cards.pop(self.unfinished(project), None)
        by_merit = sorted(cards, key=lambda version: (version != promoted, bool(cards[version].refused)))
        return self._first_whole(project, by_merit)

    def newest(self, project: int) -> str | None:
        """The newest intact version whose fit came to its end: it was promoted, or refused."""
        unfinished = self.unfinished(project)
        return self._first_whole(project, [v for v in self.versions(project) if v != unfinished])

    def unfinished(self, project: int) -> str:
        """The announced version that is not promoted yet, or never will be as its trainer was killed; empty when there
        is none."""
        marked = self._read(project, UNFINISHED)
        return "" if marked == self.promoted(project) else marked

    def before(self, project: int, version: str) -> str | None:
        """The intact version to go back to: the one that was active before `version` was or, if that is not known, was
        fitted; without it the newest of the older ones that were not refused."""
        cards, trail = self._cards(project), self._trail(project)
        names = list(cards)
        older = [name for name in names[names.index(version) + 1 :] if not cards[name].refused]
        known = [name for name in (*_until(trail, version)[-2::-1], cards[version].parent) if name != version]
        return self._first_whole(project, [name for name in (*known, *older) if name in cards])

    def _trail(self, project: int) -> list[str]:
        """Versions that were promoted one after another, the last one last; where a person went back, nothing of what
        had come after."""
        promoted = self.promoted(project)
        return _until(self._read(project, TRAIL).splitlines(), promoted) or [promoted] * bool(promoted)

    def _first_whole(self, project: int, versions: Iterable[str]) -> str | None:
        return next((version for version in versions if not self.damage(project, version)), None)

    def damage(self, project: int, version: str) -> str:
        """What is wrong with a version's files, in words; empty when nothing is known to be.

        Looks once at what a look tells: missing files and sizes. What could not be loaded stays known to this process
        until its files change.
        """
        directory = self.path(project, version)
        why, files = self._unloadable.get(directory, ("", []))
        if why and files == _files(directory):
            return why
        if why:
            self._unloadable.pop(directory, None)
            self._looked_at.pop(directory, None)
        this = _which(directory)
        if self._looked_at.get(directory) == this:
            return ""
        found = _damage(directory, _size)
        if not found:
            self._looked_at[directory] = this
        return found

    def verify(self, project: int, version: str) -> None:
        """Read a version's files. Raises `NoModelError` when one is not as it was written."""
        found = _damage(self.path(project, version), _size_and_digest)
        if found:
            raise NoModelError(f"Version {version} of project {project} is damaged: {found}.")

    def note_unloadable(self, project: int, version: str, why: str) -> None:
        """A version could not be loaded: in this process it counts as damaged, until somebody repairs it."""
        directory = self.path(project, version)
        self._unloadable[directory] = why, _files(directory)

    def path(self, project: int, version: str) -> Path:
        """The directory of a version; `from_pretrained` loads it."""
        return self.home(project) / version

    def card(self, project: int, version: str) -> Card:
        """What the version is."""
        card = self._read_card(self.path(project, version))
        if card is None:
            raise NoModelError(f"Version {version} of project {project} is gone or damaged.")
        return card

    def _read_card(self, directory: Path) -> Card | None:
        """None without a readable card: a version that is damaged or of an incompatible release counts as none."""
        try:
            raw = json.loads((directory / CARD).read_text(encoding="utf-8"))
            given = [field.name for field in fields(Card) if field.name in raw or _is_required(field)]
            known: dict[str, Any] = {name: raw[name] for name in given}
            table = tuple(tuple(row) for row in known.get("held_out", ()))
            return Card(**{**known, "labels": tuple(known["labels"]), "held_out": table})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def fitted_labels(self, project: int, version: str) -> dict[int, str]:
        """The label of every task that the version was fitted on, by task id; none when the file is damaged."""
        try:
            raw = json.loads((self.path(project, version) / LABELS).read_text(encoding="utf-8"))
            return {int(task): label for task, label in raw.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def announce(self, project: int, version: str) -> None:
        """Say that a version is about to be saved and promoted. Until it is promoted, it is not active, intact or not,
        and nobody counts on it."""
        self.know(project)
        (self.home(project) / UNFINISHED).write_text(version)

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
            _write_json(beside / LABELS, {str(task): label for task, label in labels.items()})
            files = [file for file in sorted(beside.iterdir()) if file.name not in (CARD, MANIFEST)]
            _write_json(beside / MANIFEST, {file.name: _size_and_digest(file) for file in files})
            _write_json(beside / CARD, asdict(card))
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
        with self._alone(project):
            trail = self._trail(project)
            if trail[-1:] != [version]:
                self._put_trail(project, [*trail, version])
            replace_file(self.home(project) / POINTER, version)
        self._finish(project, version)

    def roll_back(self, project: int) -> str | None:
        """Point to the version `before` the active one, and return it; None, and nothing has changed, when there is
        none. Raises `NoModelError` when it is damaged."""
        with self._alone(project):
            active, trail = self.current(project), self._trail(project)
            version = self.before(project, active) if active else None
            if version is None:
                return None
            self.verify(project, version)
            replace_file(self.home(project) / POINTER, version)
            self._put_trail(project, _until(trail[:-1], version) or [version])
            return version

    def _put_trail(self, project: int, trail: Sequence[str]) -> None:
        replace_file(self.home(project) / TRAIL, "\n".join(trail[-TRAIL_NAMES:]))

    def _finish(self, project: int, version: str) -> None:
        if self._read(project, UNFINISHED) == version:
            (self.home(project) / UNFINISHED).unlink(missing_ok=True)

    def add_seconds(self, project: int, version: str, seconds: Mapping[str, float]) -> None:
        """Note on the card how long stages took that came after it was written; a fit and a publisher may at once."""
        with lock(self.root.parent, f"card.{project}").acquire(timeout=PATIENCE_S):
            card = self.card(project, version)
            changed = replace(card, seconds={**card.seconds, **seconds})
            replace_file(self.path(project, version) / CARD, _to_json(asdict(changed)))

    def discard(self, project: int, version: str) -> None:
        """Delete a version that was not promoted."""
        shutil.rmtree(self.path(project, version), ignore_errors=True)
        self._finish(project, version)

    def prune(self, project: int, keep: int, followed: str = "") -> list[str]:
        """Delete all but the `keep` newest versions, the current one, and the one that the queue has `followed`, whose
        last head may know labels that no other order knows yet; returns the deleted names."""
        with self._alone(project):
            current = self.current(project)
            surplus = [v for v in self.versions(project)[keep:] if v not in (current, followed)]
            for version in surplus:
                # The card goes first: without it the directory is no version, even if the deletion is cut short.
                (self.path(project, version) / CARD).unlink(missing_ok=True)
                shutil.rmtree(self.path(project, version), ignore_errors=True)
            return surplus

    def _alone(self, project: int) -> AbstractContextManager[object]:
        """While nobody else has another version be the active one."""
        return lock(self.root.parent, f"active.{project}").acquire(timeout=PATIENCE_S)


def _until(trail: Sequence[str], version: str) -> list[str]:
    """As far as the last place of that version; empty when it has none."""
    return [*trail[: len(trail) - [*reversed(trail)].index(version)]] if version in trail else []


def _damage(directory: Path, state_of: Callable[[Path], dict[str, Any]]) -> str:
    """In which file a version differs from its manifest; empty when in none, or when it has no manifest."""
    if not (directory / MANIFEST).exists():
        return ""  # of an earlier release
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        for name, written in manifest.items():
            state = state_of(directory / name)
            differing = [what for what in state if state[what] != written[what]]
            if differing:
                what = differing[0]
                return f"{name} has {what} {state[what]}, not {written[what]}"
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return f"a file cannot be read ({error})"
    return ""


def _which(directory: Path) -> tuple[int, int]:
    """Another one when it was deleted and restored, or when a file has come to it."""
    try:
        found = directory.stat()
    except OSError:  # being deleted
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _files(directory: Path) -> list[tuple[str, int, int]]:
    """What tells whether files were changed since."""
    try:
        return sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in directory.glob("*"))
    except OSError:  # being deleted
        return []


def _size(file: Path) -> dict[str, Any]:
    return {"size": file.stat().st_size}


def _size_and_digest(file: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return {**_size(file), "sha256": digest.hexdigest()}


def _to_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _write_json(path: Path, content: object) -> None:
    path.write_text(_to_json(content), encoding="utf-8")


def _to_json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1)
