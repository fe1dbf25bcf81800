"""The job queue: many hints become one job, nothing is lost that matters, wherever the queue lies. Jobs are worked off
without a consumer."""

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from helpers.ports import own_port
from helpers.queue_servers import IN_URL, PASSWORD, QueueServer
from helpers.waiting import wait_until
from nextlabel.errors import QueueError
from nextlabel.store import jobs as job_queues
from nextlabel.store.jobs import ECHO_S, JobQueue

OpenQueue = Callable[..., JobQueue]
SERVERS = ["redis", "postgresql"]


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

    def score(self, project: int, version: str, first: int, last: int) -> None:
        self.done.append(("score", project, version, first, last))
        self.then()

    def start(self, project: int) -> None:
        self.done.append(("start", project))

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        self.done.append(("forget", project, task_ids))

    def helping(self, project: int) -> None:
        self.done.append(("helping", project))


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture(params=["file", *SERVERS])
def url(request: pytest.FixtureRequest) -> str:
    """Where the queue lies: each law holds at each place."""
    return "" if request.param == "file" else str(request.getfixturevalue(f"{request.param}_server").url())


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[QueueServer]:
    """A server that a test may kill or freeze; the next test finds it running."""
    found = request.getfixturevalue(f"{request.param}_server")
    yield found
    if not found.answers():
        found.start()


@pytest.fixture
def open_queue(tmp_path: Path, diary: Diary, url: str) -> Iterator[OpenQueue]:
    """Opens the same queue as often as asked, as the processes do; another one by another name."""
    opened: list[JobQueue] = []
    ours = uuid.uuid4().hex

    def open_it(name: str = ours) -> JobQueue:
        opened.append(JobQueue(tmp_path / "new", url, name, patient=True))
        opened[-1].assign(diary)
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


def test_what_is_noted_of_a_project_can_be_dropped_and_of_no_other(queue: JobQueue) -> None:
    for project in (1, 11):
        queue.hint(project)
        queue.demand_fit(project)
        queue.expect_echo(project, "nextlabel-1")
    queue.drop(1)
    assert (queue.hinted(1), queue.demanded(1), queue.is_echo(1, "nextlabel-1")) == (False, "", False)
    assert (queue.hinted(11), bool(queue.demanded(11)), queue.is_echo(11, "nextlabel-1")) == (True, True, True)


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


def test_a_job_can_tell_whether_it_was_hinted_at_meanwhile(queue: JobQueue, diary: Diary) -> None:
    told = []

    def ask_and_hint() -> None:
        told.append(queue.hinted(1))
        queue.hint(1)
        told.append(queue.hinted(1))

    diary.then = ask_and_hint
    queue.hint(1)
    assert (queue.hinted(1), queue.hinted(2)) == (True, False)
    work(queue, jobs=1)
    assert told == [False, True], "its own hint is none to it"


def test_a_mark_without_a_job_is_taken_over_when_it_is_overdue(queue: JobQueue) -> None:
    queue.huey.storage.put_data("hint:1:0", repr(time.time() - 30).encode())  # its maker was killed half a minute ago
    queue.hint(1)
    assert queue.waiting() == 0
    queue.huey.storage.put_data("hint:1:0", repr(time.time() - 3600).encode())
    queue.hint(1)
    assert queue.waiting() == 1


def test_a_hint_from_before_the_clock_was_set_back_is_not_waited_for(queue: JobQueue) -> None:
    queue.huey.storage.put_data("hint:1:0", repr(time.time() + 3600).encode())
    queue.hint(1)
    assert queue.waiting() == 1


def test_a_delayed_hint_waits_for_its_time_and_is_joined_meanwhile(queue: JobQueue, diary: Diary) -> None:
    queue.hint(1, delay_s=30)
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


def test_one_event_for_a_switch_is_its_echo_for_a_while(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not queue.is_echo(1, "a")
    queue.expect_echo(1, "a")
    assert not queue.is_echo(2, "a"), "of another project"
    assert queue.is_echo(1, "a")
    assert not queue.is_echo(1, "a"), "there is one"
    queue.expect_echo(1, "b")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + ECHO_S + 1)
    assert not queue.is_echo(1, "b"), "too late"


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


def test_jobs_and_demands_of_release_0_1_0_are_understood(tmp_path: Path, diary: Diary) -> None:
    with closing(sqlite3.connect(tmp_path / "queue.sqlite")) as recorded:
        recorded.executescript(Path(__file__).with_name("queue_of_0_1_0.sql").read_text(encoding="utf-8"))
    queue = JobQueue(tmp_path, patient=True)
    queue.assign(diary)
    work(queue)
    assert diary.done == [
        ("reconcile", 1, False),
        ("reconcile", 1, True),
        ("reconcile", 2, False),
        ("fit", 1),
        ("score", 1, "nextlabel-1-20261129T073214", 1, 50),
        ("forget", 1, [7, 8]),
    ]
    assert queue.demanded(1) == "1795937538.295744"
    queue.huey.storage.close()


def test_ranges_to_score_join_by_version_and_first_id(queue: JobQueue, diary: Diary) -> None:
    for _ in range(3):
        queue.want_scores(1, "v1", 1, 100)
        queue.want_scores(1, "v1", 101, 200)
        queue.want_scores(1, "v2", 1, 100)
        queue.want_scores(2, "v1", 1, 100, delay_s=30)
    assert queue.waiting() == 4
    work(queue)
    assert diary.done == [("score", 1, "v1", 1, 100), ("score", 1, "v1", 101, 200), ("score", 1, "v2", 1, 100)]
    queue.want_scores(1, "v1", 1, 100)
    queue.want_scores(2, "v1", 1, 100)
    work(queue)
    assert diary.done[3:] == [("score", 1, "v1", 1, 100)], "asked for after the first was begun"


def test_of_many_hints_at_once_one_is_the_first(open_queue: OpenQueue) -> None:
    queues = [open_queue() for _ in range(8)]
    with ThreadPoolExecutor(len(queues)) as threads:
        for project in range(20):
            list(threads.map(lambda queue, p=project: queue.hint(p), queues))
    assert queues[0].waiting() == 20


def test_each_job_is_taken_once(open_queue: OpenQueue) -> None:
    queues = [open_queue() for _ in range(4)]
    for project in range(200):
        queues[0].hint(project)

    def take(queue: JobQueue) -> list[int]:
        return [job.args[0] for job in iter(queue.huey.dequeue, None)]

    with ThreadPoolExecutor(len(queues)) as threads:
        taken = [project for projects in threads.map(take, queues) for project in projects]
    assert sorted(taken) == list(range(200))


def test_a_delayed_job_becomes_due(queue: JobQueue) -> None:
    queue.hint(1, delay_s=0.2)
    assert list(queue.huey.read_schedule()) == []
    job = queue.huey.dequeue()
    queue.huey.execute(job)  # too early: to the schedule with it
    deadline = time.monotonic() + 120
    while not (due := list(queue.huey.read_schedule())):
        assert time.monotonic() < deadline, "the job never became due"
    assert [job.args for job in due] == [(1, False)]
    assert queue.waiting() == 0


def test_queues_with_different_names_do_not_see_each_other(open_queue: OpenQueue, diary: Diary) -> None:
    ours, theirs = open_queue("a"), open_queue("b")
    for queue in (ours, theirs):
        queue.hint(1)
        queue.want_fit(1)
        queue.demand_fit(1)
    theirs.restart()
    theirs.demand_met(1, theirs.demanded(1))
    work(theirs)
    assert len(diary.done) == 2
    assert (ours.waiting(), theirs.waiting()) == (2, 0)
    assert ours.demanded(1)
    assert not theirs.demanded(1)
    work(ours)


# Servers that are not there


@pytest.mark.parametrize(
    "address", ["redis://:{}@127.0.0.1:{}/0", "rediss://:{}@127.0.0.1:{}", "postgresql://me:{}@127.0.0.1:{}/postgres"]
)
def test_a_server_that_is_not_there_is_named_without_its_password(address: str, tmp_path: Path) -> None:
    port = own_port(16600)
    with pytest.raises(QueueError) as refused:
        JobQueue(tmp_path, address.format(IN_URL, port))
    message = str(refused.value)
    assert message.startswith(f"The job queue at {address.partition(':')[0]}://127.0.0.1:{port}")
    assert message.endswith("start the server, or correct QUEUE_URL.")
    assert "refused" in message
    assert PASSWORD not in message
    assert IN_URL not in message


def test_a_wrong_password_is_said_and_not_shown(server: QueueServer, tmp_path: Path) -> None:
    with pytest.raises(QueueError, match=r"(?i)password") as refused:
        JobQueue(tmp_path, server.url().replace(IN_URL, "guessed"))
    assert "guessed" not in str(refused.value)


def everything(queue: JobQueue) -> list[Callable[[], object]]:
    """Each thing that may be asked of a queue."""
    return [
        lambda: queue.hint(1),
        lambda: queue.want_fit(1),
        lambda: queue.want_scores(1, "v", 1, 2),
        lambda: queue.want_helping(1),
        lambda: queue.forget_tasks(1, [1]),
        lambda: queue.demand_fit(1),
        lambda: queue.demanded(1),
        lambda: queue.demand_met(1, "1.0"),
        queue.restart,
        queue.waiting,
    ]


def test_a_killed_server_is_an_error_until_it_is_back(server: QueueServer, tmp_path: Path) -> None:
    queue = JobQueue(tmp_path, server.url(), uuid.uuid4().hex)
    queue.hint(1)
    server.kill()
    for ask in everything(queue):
        with pytest.raises(
            QueueError, match=r"cannot be used .*: start the server, or correct QUEUE_URL\.$"
        ) as refused:
            ask()
        assert PASSWORD not in str(refused.value)
    assert queue.hinted(1)
    server.start()
    queue.hint(2)  # at the first try, as Label Studio never repeats a webhook
    assert queue.waiting() == 2, "what was known before is known again"


@pytest.mark.parametrize("patient", [False, True], ids=["web process", "trainer"])
def test_a_server_that_hangs_is_not_waited_for(
    patient: bool, server: QueueServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queues, "PATIENCE_S", job_queues.ANSWER_S)
    queue = JobQueue(tmp_path, server.url(), uuid.uuid4().hex, patient)
    server.freeze()
    try:
        for ask in (lambda: queue.hint(1), queue.restart, queue.waiting):
            start = time.monotonic()
            with pytest.raises(QueueError):
                ask()
            assert time.monotonic() - start < 0.9
    finally:
        server.thaw()
    wait_until(lambda: answers(queue), "the queue to answer again")
    queue.hint(1)  # what the server made of the hint above is unknown: a mark without a job must not stop this one
    assert ("reconcile", (1, False)) in [(job.name, job.args) for job in queue.huey.pending()]


def answers(queue: JobQueue) -> bool:
    try:
        return queue.waiting() >= 0
    except QueueError:
        return False


def test_a_job_that_loses_its_server_is_given_up_in_a_sentence(
    server: QueueServer, tmp_path: Path, diary: Diary, caplog: pytest.LogCaptureFixture
) -> None:
    queue = JobQueue(tmp_path, server.url(), uuid.uuid4().hex, patient=True)
    queue.assign(diary)

    def lose_it() -> None:
        server.kill()
        queue.hint(1)

    diary.then = lose_it
    queue.want_fit(1)
    work(queue)
    assert diary.done == [("fit", 1)]
    [given_up, away] = [record.getMessage() for record in caplog.records]
    assert given_up.startswith("a job was given up: The job queue at ")
    assert away.endswith("start the server, or correct QUEUE_URL. It is asked until it answers.")
    server.start()
    diary.then = lambda: None
    queue.want_fit(1)
    work(queue)
    assert diary.done == [("fit", 1)] * 2
    assert caplog.records[-1].getMessage().endswith("answers again")
    assert not [record for record in caplog.records if record.exc_info]
