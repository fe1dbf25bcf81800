"""Which order Label Studio's queue follows, and which labels that order knows. Asks neither of them over HTTP."""

import json
import re
import sqlite3
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import NoModelError
from nextlabel.values.versions import PREFIX, UNTRAINED, is_ours
from nextlabel.versions.registry import LABELS

LOOK_S = 0.05
START = f"{PREFIX}start-"
HEAD_NAME = re.compile(rf"({PREFIX}\d+)\.(\d+)(-.+)")  # of a version: its name is the first and the last part
FITTED = re.compile(rf"{PREFIX}\d")


@dataclass(frozen=True)
class Switch:
    """From when on, in seconds of the monotonic clock, the queue followed an order, and the tasks whose labels that
    order knows."""

    at: float
    order: str
    known: frozenset[int]


def is_fitted(order: str) -> bool:
    """Whether it is that of a version or of a version's head."""
    return FITTED.match(order) is not None


def known_by(model_dir: Path, project: int, order: str) -> frozenset[int]:
    """Ids of the tasks whose labels an order knows; none for a start order and for what is not ours.

    Raises `NoModelError` when its file cannot be read.
    """
    if not is_ours(order) or order == UNTRAINED or order.startswith(START):
        return frozenset()
    home, head = model_dir / "models" / str(project), HEAD_NAME.fullmatch(order)
    path = home / f"{head[1]}{head[3]}" / "heads" / f"{head[2]}.npz" if head else home / order / LABELS
    try:
        if head is None:
            return frozenset(map(int, json.loads(path.read_text(encoding="utf-8"))))
        with np.load(path, allow_pickle=False) as arrays:
            return frozenset(arrays["task_ids_N"].tolist())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NoModelError(f"What the order {order} knows cannot be read from {path}: {error}.") from None


class StudioDatabase:
    """Label Studio's own data base, on SQLite or PostgreSQL, read beside it: requests would take the time that is
    measured.

    Close it at the end.
    """

    def __init__(self, data_dir: Path, postgresql: str = ""):
        # One connection for all threads: reading SQLite's schema anew each time takes longer than any look.
        self._connection = _to_postgresql(postgresql) if postgresql else _to_sqlite(data_dir)
        self._mark = "%s" if postgresql else "?"
        self._turn = threading.Lock()

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def followed(self, project: int) -> str:
        """The model version that orders the project's queue; empty when there is none."""
        [version] = self._row("SELECT model_version FROM project WHERE id = ?", project)
        return str(version or "")

    def order_of(self, task: int, orders: tuple[str, ...]) -> str:
        """The first of these orders that the task has a prediction of; empty when of none."""
        query = "SELECT EXISTS (SELECT 1 FROM prediction WHERE task_id = ? AND model_version = ?)"
        return next((order for order in orders if order and self._row(query, task, order)[0]), "")

    def tasks_of(self, project: int, order: str) -> frozenset[int]:
        """The tasks that have a prediction of an order."""
        query = "SELECT task_id FROM prediction WHERE project_id = ? AND model_version = ?"
        return frozenset(row[0] for row in self._rows(query, project, order))

    def _row(self, query: str, *values: object) -> tuple[object, ...]:
        return self._rows(query, *values)[0]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._turn:
            rows: list[tuple[Any, ...]] = self._connection.execute(query.replace("?", self._mark), values).fetchall()
            return rows


def _to_sqlite(data_dir: Path) -> Any:
    uri = f"file:{data_dir / 'label_studio.sqlite3'}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=60, check_same_thread=False)


def _to_postgresql(url: str) -> Any:
    import psycopg

    return psycopg.connect(url, autocommit=True)


class OrderWatch:
    """Notes each switch of the queue when it happens, with what the new order knows: only the newest heads are kept."""

    def __init__(self, database: StudioDatabase, model_dir: Path, project: int):
        self._database, self._model_dir, self._project = database, model_dir, project
        self.switches: list[Switch] = []
        self._stop, self._thread = threading.Event(), ThreadPoolExecutor(1)

    def __enter__(self) -> "OrderWatch":
        self._looking = self._thread.submit(self._keep_looking)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.shutdown()

    def check(self) -> None:
        """Raises `NoModelError` when what an order knows could not be read."""
        if self._looking.done():
            self._looking.result()

    @property
    def order(self) -> str:
        """The order that the queue was last seen to follow."""
        return self.switches[-1].order if self.switches else ""

    def _keep_looking(self) -> None:
        while not self._stop.wait(LOOK_S):
            order = self._database.followed(self._project)
            if order != self.order:
                known = known_by(self._model_dir, self._project, order)
                self.switches.append(Switch(time.monotonic(), order, known))
