"""The durable job queue between the web process and the trainer. Knows project ids, nothing else.

The web process enqueues, the trainer works. A job is only a hint: doubled, lost or reordered ones cost nothing.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from huey import SqliteHuey

OVERDUE_S = 60.0


class Worker(Protocol):
    """What the trainer does with jobs."""

    def reconcile(self, project: int, thorough: bool) -> None:
        """Make the published queue right."""

    def fit(self, project: int) -> None:
        """Fit a new version, if one is due."""

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        """Drop deleted tasks."""


class _Nobody:
    def reconcile(self, project: int, thorough: bool) -> None:
        raise RuntimeError("only the trainer works on jobs")

    def fit(self, project: int) -> None:
        raise RuntimeError("only the trainer works on jobs")

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        raise RuntimeError("only the trainer works on jobs")


class JobQueue:
    """Hints, waiting to be worked on. Many hints for one project become one job."""

    def __init__(self, model_dir: Path, worker: Worker | None = None):
        model_dir.mkdir(parents=True, exist_ok=True)
        self.huey = SqliteHuey("nextlabel", filename=str(model_dir / "queue.sqlite"), results=False, fsync=False)
        work = worker or _Nobody()

        @self.huey.task(name="reconcile")  # type: ignore[untyped-decorator]
        def reconcile(project: int, thorough: bool) -> None:
            self._forget_key(_hint_key(project, thorough))
            work.reconcile(project, thorough)

        @self.huey.task(name="fit")  # type: ignore[untyped-decorator]
        def fit(project: int) -> None:
            self._forget_key(f"fit:{project}")
            work.fit(project)

        @self.huey.task(name="forget")  # type: ignore[untyped-decorator]
        def forget(project: int, task_ids: list[int]) -> None:
            work.forget(project, task_ids)

        self._reconcile, self._fit, self._forget = reconcile, fit, forget

    def hint(self, project: int, thorough: bool = False, delay_s: float = 0.0) -> None:
        """Something may have changed: reconcile soon. Joins a waiting hint; `thorough` also looks at what no event
        announces."""
        if self._first(_hint_key(project, thorough), delay_s):
            self.huey.enqueue(self._reconcile.s(project, thorough, delay=delay_s or None))

    def want_fit(self, project: int, delay_s: float = 0.0) -> None:
        """A fit is due. The fit itself checks again."""
        if self._first(f"fit:{project}", delay_s):
            self.huey.enqueue(self._fit.s(project, delay=delay_s or None))

    def forget_tasks(self, project: int, task_ids: Sequence[int]) -> None:
        """Label Studio deleted tasks: no increment ever shows that."""
        self.huey.enqueue(self._forget.s(project, list(task_ids)))

    def demand_fit(self, project: int) -> None:
        """A person pressed Start Training: fit without waiting for more labels. Stands until a fit has begun after."""
        self.huey.storage.put_data(f"demand:{project}", repr(time.time()).encode())

    def demanded(self, project: int) -> str:
        """When a fit was demanded; empty when none is."""
        found = self.huey.storage.peek_data(f"demand:{project}")
        return found.decode() if isinstance(found, bytes) else ""

    def demand_met(self, project: int, demand: str) -> None:
        """A fit that began after this demand is done; a newer demand stands."""
        if demand and self.demanded(project) == demand:
            self._forget_key(f"demand:{project}")

    def restart(self) -> None:
        """Forget which hints are waiting: called before work begins, as the last worker may have been killed."""
        for key in list(self.huey.storage.result_items()):
            if not key.startswith("demand:"):
                self._forget_key(key)

    def waiting(self) -> int:
        """Jobs not begun."""
        return int(self.huey.pending_count()) + int(self.huey.scheduled_count())

    def _first(self, key: str, delay_s: float) -> bool:
        """Whether no job waits for `key`. A mark whose job is overdue counts as none: its maker may have been killed
        between marking and enqueuing, or its worker between taking the job and beginning."""
        now = time.time()
        mark = repr(now + delay_s).encode()
        if self.huey.storage.put_if_empty(key, mark):
            return True
        waiting = self.huey.storage.peek_data(key)
        if not isinstance(waiting, bytes) or now > float(waiting) + OVERDUE_S:
            self.huey.storage.put_data(key, mark)
            return True
        return False

    def _forget_key(self, key: str) -> Any:
        return self.huey.storage.pop_data(key)


def _hint_key(project: int, thorough: bool) -> str:
    return f"hint:{project}:{int(thorough)}"
