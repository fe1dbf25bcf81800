"""One heavy computation at a time in a process, and which of two waits."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

GIVE_WAY_S = 60.0  # more than a slice takes, of a large model on few cores too


class ComputeGate:
    """One heavy computation at a time in a process. A fit goes before the scoring of a backlog, which gives way."""

    def __init__(self) -> None:
        self._taken, self._fits = threading.Lock(), threading.Lock()
        self._fit_comes, self._coming = threading.Event(), 0

    @contextmanager
    def for_fit(self, project: int = 0) -> Iterator[bool]:
        """Whether the turn is ours until the end. A backlog is asked to give way; another fit is not waited for.

        `project`: whose fit it is, where it matters to others.
        """
        if not self._fits.acquire(blocking=False):
            yield False
            return
        try:
            self._coming = project
            self._fit_comes.set()
            ours = self._taken.acquire(timeout=GIVE_WAY_S)  # only a backlog can have it
            self._fit_comes.clear()
            try:
                yield ours
            finally:
                if ours:
                    self._taken.release()
        finally:
            self._fits.release()

    @contextmanager
    def for_scoring(self) -> Iterator[bool]:
        """Whether the turn is ours, until the end or until a fit comes."""
        ours = self._taken.acquire(blocking=False)
        try:
            yield ours
        finally:
            if ours:
                self._taken.release()

    @property
    def fit_runs(self) -> bool:
        """Whether a fit has the turn or waits for it."""
        return self._fits.locked()

    @property
    def fit_comes(self) -> bool:
        """Whether a fit waits for the turn."""
        return self._fit_comes.is_set()

    def fit_of_another_comes(self, project: int) -> bool:
        """Whether the fit that waits for the turn is known to be of another project."""
        return self.fit_comes and self._coming not in (0, project)
