"""Runs a heavy job on this machine: one at a time in a process, and only while nothing else wants the cores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from nextlabel.processes import lower_priority

P = ParamSpec("P")
R = TypeVar("R")

NICENESS = 10  # predictions, and the threads that keep the queue full, go first

_thread = ThreadPoolExecutor(1, "heavy", initializer=lower_priority, initargs=(NICENESS,))


def run(job: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the job returns, or raises; waits for it."""
    return _thread.submit(job, *args, **kwargs).result()
