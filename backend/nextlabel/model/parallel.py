"""Batches side by side on a CPU's cores. Imports torch only.

Many cores that share a batch wait for each other after each of its hundred steps, and for Python between them. With a
core for each batch nobody waits.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

LEAST = 2  # batches a core: with fewer, cores would be left without work at the end


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """`work` on each item, the results in order; several at a time, a core each, where there are items enough.

    Uses as many cores as torch has threads in the calling thread, whose niceness they have.
    """
    cores = torch.get_num_threads()
    if cores == 1 or len(items) < LEAST * cores:
        yield from map(work, items)
        return
    # Not kept for the next call: each thread holds kernels and freed memory of its own, some 25 MB.
    with ThreadPoolExecutor(cores, "batches") as crew:
        _take_one_core_each(crew, cores)
        yield from crew.map(work, items)


def _take_one_core_each(crew: ThreadPoolExecutor, cores: int) -> None:
    all_there = threading.Barrier(cores + 1)

    def take_one_core() -> None:
        torch.get_num_threads()  # a thread's first look would overwrite what was set before it
        torch.set_num_threads(1)
        all_there.wait()  # so that every thread of the crew comes here once

    for _ in range(cores):
        crew.submit(take_one_core)
    all_there.wait()
    torch.set_num_threads(cores)  # what a thread sets is also what later threads begin with
