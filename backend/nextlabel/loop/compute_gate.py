"""One heavy computation at a time in a process, which of two waits, and what goes on beside it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

GIVE_WAY_S = 60.0  # more than a slice takes, of a large model on few cores too


class ComputeGate:
    """One heavy computation at a time in a process. A fit goes before the scoring of a backlog, which gives way."""

    def __init__(self) -> None:
        self._taken, self._fits, self._beside = threading.Lock(), threading.Lock(), threading.Lock()
        self._fit_comes, self._fitting = threading.Event(), 0

    @contextmanager
    def for_fit(self, project: int) -> Iterator[bool]:
        """Whether the turn is ours until the end. A backlog is asked to give way; another fit is not waited for."""
        if not self._fits.acquire(blocking=False):
            yield False
            return
        try:
            self._fitting = project
            self._fit_comes.set()
            ours = self._taken.acquire(timeout=GIVE_WAY_S)  # only a backlog can have it
            self._fit_comes.clear()
            try:
                yield ours
            finally:
                if ours:
                    self._taken.release()
        finally:
            self._fitting = 0
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

    @contextmanager
    def beside_fits_of_others(self, project: int) -> Iterator[bool]:
        """Whether that takes seconds, and people of the project wait for, may go on whatever has the turn, until the
        end or until a fit of the project comes. Only one such thing at a time, so that threads are left."""
        ours = not self.fits(project) and self._beside.acquire(blocking=False)
        try:
            yield ours
        finally:
            if ours:
                self._beside.release()

    @property
    def fit_runs(self) -> bool:
        """Whether a fit has the turn or waits for it."""
        return self._fits.locked()

    @property
    def fit_comes(self) -> bool:
        """Whether a fit waits for the turn."""
        return self._fit_comes.is_set()

    def fits(self, project: int) -> bool:
        """Whether that is a fit of this project."""
        return self._fitting == project

    def fit_of_another_runs(self, project: int) -> bool:
        """Whether it is one of another project."""
        return self._fitting not in (0, project)
