"""Who pressed which button of a project's page, and what came of it. Also how the trainer hears of what it is to do.

One small file for each project, to which lines are added; the last `KEPT` presses stand in it.
"""

import json
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nextlabel.store.files import replace_file
from nextlabel.store.locks import lock

log = logging.getLogger(__name__)

KEPT = 200  # presses
PATIENCE_S = 10.0  # with another writer, who takes milliseconds
ASKED, DONE, REFUSED = "asked", "done", "refused"  # outcomes; what is asked waits for the trainer
FIT = "fit"  # the one action that is done by another job, which may be long in coming


@dataclass(frozen=True)
class Press:
    """`who` pressed the button `action` `at` a time in seconds since 1970. `about` is what it is about, such as a
    version. `outcome`: asked (of the trainer), done, or refused, and `why`."""

    id: str
    at: float
    who: str
    action: str
    about: str = ""
    outcome: str = ASKED
    why: str = ""


class Presses:
    """Those of all projects below one directory. Written by the web process and by trainers."""

    def __init__(self, model_dir: Path):
        self._model_dir = model_dir

    def all(self, project: int) -> list[Press]:
        """The last ones, newest first."""
        return list(reversed(self._read(project).values()))

    def asked(self, project: int) -> list[Press]:
        """Those that wait for the trainer, oldest first. Costs nothing where nothing was ever pressed."""
        return [press for press in self._read(project).values() if press.outcome == ASKED]

    def add(self, project: int, who: str, action: str, about: str, outcome: str, why: str = "") -> Press:
        """Note a press, here and in the log. Raises `OSError` when it cannot be written."""
        press = Press(uuid.uuid4().hex[:12], round(time.time(), 3), who, action, about, outcome, why)
        self._append(project, press)
        return press

    def answer(self, project: int, press: Press, outcome: str, why: str = "") -> None:
        """Note what came of one that was asked."""
        self._append(project, replace(press, outcome=outcome, why=why))

    def note_fit(self, project: int) -> None:
        """A fit begins: that is what was asked for."""
        for press in self.asked(project):
            if press.action == FIT:
                self.answer(project, press, DONE)

    def _append(self, project: int, press: Press) -> None:
        what, because = f"{press.action} {press.about}".strip(), f", because {press.why}" if press.why else ""
        log.info("project %d: %s pressed %s: %s%s", project, press.who, what, press.outcome, because)
        with self._alone(project):
            path, known = self._path(project), self._read(project)
            if len(known) >= 2 * KEPT:
                kept = [*known.values()][-KEPT:]
                waiting = [old for old in [*known.values()][:-KEPT] if old.outcome == ASKED]
                replace_file(path, "".join(map(_line, [*waiting, *kept])))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(_line(press))

    @contextmanager
    def _alone(self, project: int) -> Iterator[None]:
        with lock(self._model_dir, f"{project}.presses").acquire(timeout=PATIENCE_S):
            yield

    def _read(self, project: int) -> dict[str, Press]:
        """By id, in the order in which they were pressed, as they stand by now; damaged lines are left out."""
        try:
            lines = self._path(project).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        found = dict[str, Press]()
        for line in lines:
            try:
                press = Press(**json.loads(line))
            except (ValueError, TypeError):
                continue
            found[press.id] = press
        return found

    def _path(self, project: int) -> Path:
        return self._model_dir / "status" / f"{project}.presses.jsonl"


def _line(press: Press) -> str:
    return json.dumps(asdict(press), ensure_ascii=False) + "\n"
