"""Batches side by side: in order, a core each, and torch's threads left as they were."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from nextlabel.model.parallel import side_by_side
from nextlabel.processes import lower_priority

CORES = 3
Call = Callable[[Callable[[int], Any], Sequence[int]], list[Any]]


@pytest.fixture
def call() -> Iterator[Call]:
    """`side_by_side` from a thread for which torch has three threads."""
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, initializer=lambda: torch.set_num_threads(CORES)) as caller:
        yield lambda work, items: caller.submit(lambda: list(side_by_side(work, items))).result()
    torch.set_num_threads(before)


def test_results_come_in_order_whoever_is_first(call: Call) -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (12 - item))
        return item * item

    assert call(work, range(12)) == [item * item for item in range(12)]


def test_each_of_several_threads_has_one_core_and_the_caller_keeps_its_own(call: Call) -> None:
    meet = threading.Barrier(CORES, timeout=30)  # breaks unless three items are worked on at a time

    def work(item: int) -> tuple[str, int]:
        meet.wait()
        return threading.current_thread().name, torch.get_num_threads()

    seen = call(work, range(4 * CORES))
    assert {cores for _, cores in seen} == {1}
    assert len({name for name, _ in seen}) == CORES
    assert call(lambda item: torch.get_num_threads(), [0]) == [CORES]


def test_a_thread_that_begins_later_has_all_cores(call: Call) -> None:
    call(lambda item: item, range(4 * CORES))
    with ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == CORES


def test_few_items_share_the_cores(call: Call) -> None:
    seen = call(lambda item: (threading.get_ident(), torch.get_num_threads()), range(2 * CORES - 1))
    assert {cores for _, cores in seen} == {CORES}
    assert len(set(seen)) == 1


def test_no_thread_is_left_behind(call: Call) -> None:
    call(lambda item: item, [0])
    before = threading.active_count()
    call(lambda item: item, range(4 * CORES))
    assert threading.active_count() == before


def test_an_error_reaches_the_caller_and_the_next_call_is_as_good_as_ever(call: Call) -> None:
    def work(item: int) -> int:
        if item == 5:
            raise ValueError("5 is no good")
        return item

    with pytest.raises(ValueError, match="5 is no good"):
        call(work, range(12))
    assert call(lambda item: item, range(12)) == list(range(12))


def test_the_callers_niceness_is_that_of_its_threads() -> None:
    def niceness(item: int) -> int:
        # Elsewhere than on Linux niceness is of whole processes, and nothing yields.
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id() if sys.platform == "linux" else 0)

    def each() -> set[int]:
        torch.set_num_threads(2)
        return set(side_by_side(niceness, range(8)))

    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, initializer=lower_priority, initargs=(3,)) as caller:
        nicer = caller.submit(each).result()
    torch.set_num_threads(before)
    assert nicer == {niceness(0) + (3 if sys.platform == "linux" else 0)}
