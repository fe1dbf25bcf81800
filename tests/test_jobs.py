"""The job queue: many hints become one job, nothing is lost that matters. Jobs are worked off without a consumer."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from backend.jobs import JobQueue

OpenQueue = Callable[[], JobQueue]


class Diary:
    """A worker that writes down what it was asked to do. `then` is done in the middle of each job."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.then: Callable[[], None] = lambda: None

    def reconcile(self, project: int, thorough: bool) -> None:
        self.done.append(("reconcile", project, thorough))
        self.then()

    def fit(self, project: int) -> None:
        self.done.append(("fit", project))
        self.then()

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        self.done.append(("forget", project, task_ids))


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def open_queue(tmp_path: Path, diary: Diary) -> Iterator[OpenQueue]:
    """Opens the same queue file as often as asked, as the processes do."""
    opened: list[JobQueue] = []

    def open_it() -> JobQueue:
        opened.append(JobQueue(tmp_path / "new", worker=diary))
        return opened[-1]

    yield open_it
    for queue in opened:
        queue.huey.storage.close()


@pytest.fixture
def queue(open_queue: OpenQueue) -> JobQueue:
    return open_queue()


def work(queue: JobQueue, jobs: int | None = None) -> None:
    """Take jobs as a consumer would: all that are there, or so many."""
    while jobs != 0 and (job := queue.huey.dequeue()) is not None:
        queue.huey.execute(job)
        jobs = None if jobs is None else jobs - 1


def test_many_hints_become_one_job(queue: JobQueue, diary: Diary) -> None:
    for _ in range(5):
        queue.hint(1)
        queue.hint(2)
        queue.hint(1, thorough=True)
        queue.want_fit(1)
    assert queue.waiting() == 4
    work(queue)
    assert diary.done == [("reconcile", 1, False), ("reconcile", 2, False), ("reconcile", 1, True), ("fit", 1)]


def test_a_hint_after_the_job_makes_a_new_one(queue: JobQueue, diary: Diary) -> None:
    queue.hint(1)
    work(queue)
    queue.hint(1)
    queue.want_fit(1)
    work(queue)
    queue.want_fit(1)
    work(queue)
    assert diary.done == [("reconcile", 1, False), ("reconcile", 1, False), ("fit", 1), ("fit", 1)]


def test_a_hint_during_the_job_is_not_lost(queue: JobQueue, diary: Diary) -> None:
    queue.hint(1)
    diary.then = lambda: queue.hint(1)
    work(queue, jobs=1)
    assert queue.waiting() == 1, "what changed meanwhile may have come too late for this job"


def test_a_mark_without_a_job_is_taken_over_when_it_is_overdue(queue: JobQueue) -> None:
    queue.huey.storage.put_data("hint:1:0", repr(time.time() - 30).encode())  # its maker was killed half a minute ago
    queue.hint(1)
    assert queue.waiting() == 0
    queue.huey.storage.put_data("hint:1:0", repr(time.time() - 3600).encode())
    queue.hint(1)
    assert queue.waiting() == 1


def test_a_delayed_hint_waits_for_its_time_and_is_joined_meanwhile(queue: JobQueue, diary: Diary) -> None:
    queue.hint(1, delay_s=3600)
    work(queue)
    queue.hint(1)
    assert (diary.done, queue.waiting()) == ([], 1)


def test_a_job_that_fails_does_not_block_the_next(queue: JobQueue, diary: Diary) -> None:
    def fail() -> None:
        raise ConnectionError("Label Studio went away")

    diary.then = fail
    queue.hint(1)
    work(queue)
    diary.then = lambda: None
    queue.hint(1)
    work(queue)
    assert diary.done == [("reconcile", 1, False)] * 2


def test_deleted_tasks_are_told_each_time(queue: JobQueue, diary: Diary) -> None:
    queue.forget_tasks(1, (3, 4))
    queue.forget_tasks(1, [5])
    work(queue)
    assert diary.done == [("forget", 1, [3, 4]), ("forget", 1, [5])]


def test_a_demand_stands_until_a_fit_that_began_after_it(queue: JobQueue) -> None:
    assert queue.demanded(1) == ""
    queue.demand_fit(1)
    first = queue.demanded(1)
    queue.demand_fit(1)
    second = queue.demanded(1)
    assert first != second
    queue.demand_met(1, first)
    assert queue.demanded(1) == second, "that fit began before the second demand"
    queue.demand_met(1, "")
    assert queue.demanded(1) == second, "that fit began without a demand"
    queue.demand_met(1, second)
    assert queue.demanded(1) == ""


def test_demands_are_kept_apart_by_project(queue: JobQueue) -> None:
    queue.demand_fit(1)
    assert queue.demanded(11) == ""
    queue.demand_met(2, queue.demanded(1))
    assert queue.demanded(1)


def test_a_restart_lets_new_hints_in_and_keeps_demands(queue: JobQueue, open_queue: OpenQueue, diary: Diary) -> None:
    queue.hint(1)
    queue.want_fit(1)
    queue.demand_fit(1)
    demand = queue.demanded(1)
    assert queue.huey.dequeue() is not None
    assert queue.huey.dequeue() is not None  # the worker is killed before it begins either job

    later = open_queue()
    later.hint(1)
    assert later.waiting() == 0, "the lost job still blocks"
    later.restart()
    later.hint(1)
    later.want_fit(1)
    work(later)
    assert diary.done == [("reconcile", 1, False), ("fit", 1)]
    assert later.demanded(1) == demand


def test_a_job_survives_the_process_that_asked_for_it(open_queue: OpenQueue, diary: Diary) -> None:
    asking = open_queue()
    asking.hint(1)
    asking.demand_fit(1)
    asking.huey.storage.close()
    later = open_queue()
    assert later.waiting() == 1
    assert later.demanded(1)
    work(later)
    assert diary.done == [("reconcile", 1, False)]
