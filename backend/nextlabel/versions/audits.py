"""The audits of each project on disk, so that one can be judged whatever has become of its version.

`audits/<project>/<number>/` is written beside and renamed. Nothing in it changes; only files come to it: `ENDED`, when
no more tasks are asked for, `RELEASED`, when its version need not stay in force, and one for each certificate that is
issued, named by its digest. `ISSUED` is there from the start and says that these are kept, as earlier builds kept none.
One that was given up keeps its number, for it has spent its part of delta.
"""

import io
import json
import logging
import shutil
import zipfile
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadAuditError
from nextlabel.learning.certificate import Audit
from nextlabel.learning.heads import Head, save
from nextlabel.store.files import replace_file

log = logging.getLogger(__name__)

PLAN, ROWS, HEAD = "audit.json", "pool.npz", "head.npz"
ENDED, RELEASED, ISSUED = "ENDED", "RELEASED", "ISSUED"
GIVEN_UP = "it was given up"
COLUMNS = ("ids_N", "texts", "said", "confidences_N")  # of an audit's rows


class Audits:
    """Those of all projects below one directory."""

    def __init__(self, model_dir: Path):
        self._root = model_dir / "audits"

    def home(self, project: int) -> Path:
        """Where those of a project lie, a directory each."""
        return self._root / str(project)

    def next_number(self, project: int) -> int:
        """That of the audit which has not begun yet, from 1."""
        return 1 + self._last_number(project)

    def last(self, project: int) -> Audit | None:
        """The one that was begun last, running or not; None without any. Raises as `load` does."""
        number = self._last_number(project)
        return self.load(project, number) if number else None

    def running(self, project: int) -> Audit | None:
        """The one that has not ended; None when there is none that can be read, so that the queue goes on."""
        try:
            return self.last(project) if self.runs(project) else None
        except BadAuditError as error:
            log.error("%s", error)
            return None

    def over(self, project: int) -> Audit | None:
        """The last one, if it has come to its end and can be read; not one that was given up, as the work goes on."""
        try:
            return None if self.runs(project) or self.ended(project) == GIVEN_UP else self.last(project)
        except BadAuditError as error:
            log.error("%s", error)
            return None

    def runs(self, project: int) -> bool:
        """Whether the last one has not ended."""
        return self._last_lacks(project, ENDED)

    def holds(self, project: int) -> bool:
        """Whether one runs, or the last one's version is to stay in force."""
        return self.runs(project) or self._last_lacks(project, RELEASED)

    def rests(self, project: int) -> bool:
        """Whether the last one has ended, and its version is to stay in force."""
        return self.holds(project) and not self.runs(project)

    def begin(self, audit: Audit, head: Head | None) -> None:
        """Keep what is frozen, with the head if it is one that is audited. Raises `OSError` when it cannot be written
        or there is one of this number already."""
        home = self.home(audit.project)
        beside = home / f".beginning-{audit.number}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        if head is not None:
            save(head, beside / HEAD)
        replace_file(beside / ROWS, _rows(audit), durable=True)
        replace_file(beside / ISSUED, "", durable=True)
        replace_file(beside / PLAN, json.dumps(_plan(audit), ensure_ascii=False, indent=1), durable=True)
        beside.rename(home / str(audit.number))

    def release(self, project: int) -> None:
        """Say that the last one's version need not stay in force, once it has ended."""
        replace_file(self._last_directory(project) / RELEASED, "", durable=True)

    def end(self, project: int, why: str) -> None:
        """Say that no more tasks are asked for in the last one. The first reason stays."""
        if self.runs(project):
            replace_file(self._last_directory(project) / ENDED, why, durable=True)

    def give_up(self, project: int) -> None:
        """End the last one, or let the version of one that has ended be followed by others."""
        self.release(project)
        self.end(project, GIVEN_UP)

    def ended(self, project: int) -> str:
        """Why the last one ended; empty while it runs."""
        try:
            return (self._last_directory(project) / ENDED).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def note_issued(self, project: int, number: int, digest: str) -> None:
        """Keep the digest of a certificate, before anybody gets that. Raises `BadAuditError` when it cannot be."""
        try:
            replace_file(self._directory(project, number) / f"{ISSUED}-{digest}", "", durable=True)
        except OSError as error:
            raise BadAuditError(
                f"A certificate of audit {number} of project {project} cannot be noted ({error}), and without that "
                "nobody could tell it from a forged one. Make room in MODEL_DIR, where this may write."
            ) from None

    def issued(self, project: int, number: int) -> tuple[frozenset[str], bool]:
        """Digests of its certificates, and whether these are all."""
        directory = self._directory(project, number)
        names = {path.name.removeprefix(f"{ISSUED}-") for path in directory.glob(f"{ISSUED}-*")}
        return frozenset(names), (directory / ISSUED).exists()

    def load(self, project: int, number: int) -> Audit:
        """One of them. Raises `BadAuditError` when it is not there or damaged."""
        directory = self._directory(project, number)
        try:
            return _loaded((directory, (directory / PLAN).stat().st_mtime_ns))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            give_up = f", or give the audit up with `nextlabel certificate stop --project {project}`"
            raise BadAuditError(
                f"Audit {number} of project {project} cannot be read from {directory} ({error}). Restore that "
                "directory from a copy, without which neither the audit nor its certificate can be judged"
                f"{give_up if self.holds(project) else ''}."
            ) from None

    def _last_number(self, project: int) -> int:
        """0 without any."""
        home = self.home(project)
        return max((int(entry.name) for entry in home.glob("*") if entry.name.isdigit()), default=0)

    def _last_directory(self, project: int) -> Path:
        return self._directory(project, self._last_number(project))

    def _directory(self, project: int, number: int) -> Path:
        return self.home(project) / str(number)

    def _last_lacks(self, project: int, file: str) -> bool:
        number = self._last_number(project)
        return number > 0 and not (self._last_directory(project) / file).exists()


def _plan(audit: Audit) -> dict[str, Any]:
    return {field.name: getattr(audit, field.name) for field in fields(Audit) if field.name not in COLUMNS}


def _rows(audit: Audit) -> bytes:
    file = io.BytesIO()
    np.savez(
        file,
        ids_N=audit.ids_N,
        texts_N=np.array(audit.texts, dtype=np.bytes_),
        said_N=np.array(audit.said, dtype=np.str_),
        confidences_N=audit.confidences_N,
    )
    return file.getvalue()


@lru_cache(maxsize=4)
def _loaded(written: tuple[Path, int]) -> Audit:
    """Of a directory and the time at which it was written: another one may come to have its name."""
    directory = written[0]
    plan = json.loads((directory / PLAN).read_text(encoding="utf-8"))
    with np.load(directory / ROWS, allow_pickle=False) as rows:
        return Audit(
            **{**plan, "labels": tuple(plan["labels"]), "asks": tuple(plan.get("asks", ()))},
            ids_N=rows["ids_N"],
            texts=tuple(text.decode() for text in rows["texts_N"].tolist()),
            said=tuple(rows["said_N"].tolist()),
            confidences_N=rows["confidences_N"],
        )
