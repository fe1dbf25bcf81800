"""The durable job queue between the web process and the trainers. Knows project ids and versions, nothing else.

The web process enqueues, the trainers work. A job is only a hint: doubled, lost or reordered ones cost nothing.
The queue is a file, or lies on a Redis or PostgreSQL server.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from huey import PostgresHuey, RedisHuey, SqliteHuey

from nextlabel.errors import QueueError, of_extra

log = logging.getLogger(__name__)

ECHO_S = 10.0  # in which a switch is answered; a busy Label Studio takes a second or two
OVERDUE_S = 60.0
ANSWER_S = 0.5  # for a server's answer: a webhook is sent inside an annotator's request, and waits up to a second
PATIENCE_S = 5.0  # the same for a trainer, on whom nobody waits

# A waiting job says which module its task is of. It is the one of release 0.1.0, wherever the tasks lie now, so that
# releases understand what others asked for.
STORED_AS = "backend.jobs"

Failures = tuple[type[Exception], ...]

# What huey asks a storage all the time, and what it hears while the server is away, so that it asks again.
NOTHING: dict[str, object] = {"dequeue": None, "read_schedule": (), "peek_many": {}, "delete_data": False}


class Worker(Protocol):
    """What a trainer does with jobs."""

    def reconcile(self, project: int, thorough: bool) -> None:
        """Make the published queue right."""

    def fit(self, project: int) -> None:
        """Fit a new version, if one is due."""

    def score(self, project: int, version: str, first: int, last: int) -> None:
        """Score the tasks with ids from `first` to `last` that this version has not scored."""

    def start(self, project: int) -> None:
        """Make the order before there is a version."""

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        """Drop deleted tasks."""

    def helping(self, project: int) -> None:
        """Find out whether the order helps."""


class JobQueue:
    """Hints, waiting to be worked on. Many hints for one project become one job.

    `url` is that of a Redis or PostgreSQL server; without one the queue is a file in `model_dir`. Queues with different
    names do not see each other. A `patient` one, which nobody waits for, gives the server more time. Raises
    `QueueError` when server or file cannot be used, now and in every method.
    """

    def __init__(self, model_dir: Path, url: str = "", name: str = "nextlabel", patient: bool = False):
        model_dir.mkdir(parents=True, exist_ok=True)
        self.huey = _open(url, model_dir / "queue.sqlite", name, prompt=not patient)
        self._doubtful: set[str] = set()
        self._assigned: Worker | None = None

        @self.huey.task(name="reconcile", __module__=STORED_AS)  # type: ignore[untyped-decorator]
        def reconcile(project: int, thorough: bool) -> None:
            self._begin(_hint_key(project, thorough), lambda: self._worker.reconcile(project, thorough))

        @self.huey.task(name="fit", __module__=STORED_AS)  # type: ignore[untyped-decorator]
        def fit(project: int) -> None:
            self._begin(f"fit:{project}", lambda: self._worker.fit(project))

        @self.huey.task(name="score", __module__=STORED_AS)  # type: ignore[untyped-decorator]
        def score(project: int, version: str, first: int, last: int) -> None:
            self._begin(_score_key(project, version, first), lambda: self._worker.score(project, version, first, last))

        @self.huey.task(name="start", __module__=STORED_AS)  # type: ignore[untyped-decorator]
        def start(project: int) -> None:
            self._begin(f"start:{project}", lambda: self._worker.start(project))

        @self.huey.task(name="forget", __module__=STORED_AS)  # type: ignore[untyped-decorator]
        def forget(project: int, task_ids: list[int]) -> None:
            self._begin("", lambda: self._worker.forget(project, task_ids))

        @self.huey.task(name="helping", __module__=STORED_AS)  # type: ignore[untyped-decorator]
        def helping(project: int) -> None:
            self._begin(f"helping:{project}", lambda: self._worker.helping(project))

        self._reconcile, self._fit, self._score, self._start, self._forget = reconcile, fit, score, start, forget
        self._helping = helping

    def assign(self, worker: Worker) -> None:
        """Who does the jobs that this process takes from now on."""
        self._assigned = worker

    @property
    def _worker(self) -> Worker:
        if self._assigned is None:
            raise RuntimeError("only the trainer works on jobs")
        return self._assigned

    def hint(self, project: int, thorough: bool = False, delay_s: float = 0.0) -> None:
        """Something may have changed: reconcile soon. Joins a waiting hint; `thorough` also looks at what no event
        announces."""
        self._ask(_hint_key(project, thorough), self._reconcile, (project, thorough), delay_s)

    def hinted(self, project: int) -> bool:
        """Whether a hint waits. Also when the queue cannot be asked: it is better not to ask again at once."""
        try:
            return bool(self.huey.storage.has_data_for_key(_hint_key(project, thorough=False)))
        except QueueError:
            return True

    def want_fit(self, project: int, delay_s: float = 0.0) -> None:
        """A fit is due. The fit itself checks again."""
        self._ask(f"fit:{project}", self._fit, (project,), delay_s)

    def want_scores(self, project: int, version: str, first: int, last: int, delay_s: float = 0.0) -> None:
        """The tasks with ids from `first` to `last` are to be scored by this version, where they are not yet. Joins a
        waiting job that begins with the same id."""
        self._ask(_score_key(project, version, first), self._score, (project, version, first, last), delay_s)

    def want_start(self, project: int, delay_s: float = 0.0) -> None:
        """The order before there is a version is to be made, or made better."""
        self._ask(f"start:{project}", self._start, (project,), delay_s)

    def want_helping(self, project: int, delay_s: float = 0.0) -> None:
        """Whether the order helps is to be found out."""
        self._ask(f"helping:{project}", self._helping, (project,), delay_s)

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
        key = f"demand:{project}"
        found = self._forget_key(key) if demand else None
        if isinstance(found, bytes) and found.decode() != demand:
            self.huey.storage.put_if_empty(key, found)

    def expect_echo(self, project: int, model_version: str) -> None:
        """Label Studio is about to send an event for our own switch of a project, which tells us nothing."""
        self.huey.storage.put_data(f"echo:{project}", f"{time.time()!r} {model_version}".encode())

    def is_echo(self, project: int, model_version: object) -> bool:
        """Whether that is the event, which comes within the request that causes it. One switch has one: whatever takes
        its place, as a person changed something at that moment, is made up for by the real one."""
        found = self._forget_key(f"echo:{project}")
        at, _, expected = found.decode().partition(" ") if isinstance(found, bytes) else ("0", "", "")
        return bool(expected) and expected == model_version and abs(time.time() - float(at)) < ECHO_S

    def drop(self, project: int) -> None:
        """Forget what is noted of a project: hints, marks and a demand. Jobs that wait find that it is none of ours."""
        for key in list(self.huey.storage.result_items()):
            if key.split(":")[1:2] == [str(project)]:
                self._forget_key(key)

    def restart(self) -> None:
        """Forget which hints are waiting, as a worker may have been killed that had taken some. What another worker
        has not begun may then be asked for twice, which costs a look."""
        for key in list(self.huey.storage.result_items()):
            if not key.startswith("demand:"):
                self._forget_key(key)

    def waiting(self) -> int:
        """Jobs not begun."""
        return int(self.huey.pending_count()) + int(self.huey.scheduled_count())

    def _ask(self, key: str, task: Any, arguments: tuple[object, ...], delay_s: float) -> None:
        """Enqueue a job, if none waits for `key`."""
        try:
            if self._first(key, delay_s):
                self.huey.enqueue(task.s(*arguments, delay=delay_s or None))
        except QueueError:
            self._doubtful.add(key)
            raise
        self._doubtful.discard(key)

    def _first(self, key: str, delay_s: float) -> bool:
        """Whether no job waits for `key`. A mark whose job is overdue counts as none: its maker may have been killed
        between marking and enqueuing, or its worker between taking the job and beginning. So does a mark that was made
        while the server failed."""
        mark = repr(time.time() + delay_s).encode()
        if self.huey.storage.put_if_empty(key, mark):
            return True
        if key in self._doubtful or _overdue(self.huey.storage.peek_data(key)):
            self.huey.storage.put_data(key, mark)
            return True
        return False

    def _begin(self, key: str, work: Callable[[], None]) -> None:
        """Do a job. Its mark goes first: a hint that comes from now on makes a new job."""
        try:
            if key:
                self._forget_key(key)
            work()
        except QueueError as error:  # the next look at the project makes up for what was not done
            log.warning("a job was given up: %s", error)

    def _forget_key(self, key: str) -> Any:
        return self.huey.storage.pop_data(key)


def _hint_key(project: int, thorough: bool) -> str:
    return f"hint:{project}:{int(thorough)}"


def _score_key(project: int, version: str, first: int) -> str:
    return f"score:{project}:{version}:{first}"


def _overdue(mark: object) -> bool:
    # One from far in the future was made before the clock was set back; its job would wait as long.
    return not isinstance(mark, bytes) or abs(time.time() - float(mark)) > OVERDUE_S


# Where the queue lies


def _open(url: str, path: Path, name: str, prompt: bool) -> Any:
    # Neither storage blocks while it is empty, so that all three are asked in the same way.
    open_it = _on_postgresql if url.startswith("postgresql:") else _on_redis if url else _in_file
    failures, make = open_it(url or str(path), name, ANSWER_S if prompt else PATIENCE_S)
    place = _Place(url or str(path), failures)
    huey = place.ask(lambda: place.twice(make))
    # A file locks nobody out for longer than it is asked to wait; a server that hangs holds the connection.
    answer_s = ANSWER_S if prompt else PATIENCE_S if url else None
    huey.storage = _SafeStorage(huey.storage, place, answer_s)
    return huey


def _in_file(path: str, name: str, wait_s: float) -> tuple[Failures, Callable[[], Any]]:
    return (sqlite3.Error,), lambda: SqliteHuey(name, filename=path, results=False, fsync=False, timeout=wait_s)


# Imports of the clients where they are needed: most queues are files.


def _on_redis(url: str, name: str, wait_s: float) -> tuple[Failures, Callable[[], Any]]:
    with of_extra("redis", "QUEUE_URL=redis://..."):
        import redis

    pool = redis.ConnectionPool.from_url(url, socket_connect_timeout=wait_s, socket_timeout=wait_s)

    def make() -> Any:
        huey = RedisHuey(name, connection_pool=pool, results=False, blocking=False)
        huey.storage.conn.ping()
        return huey

    return (redis.RedisError, OSError), make


def _on_postgresql(url: str, name: str, wait_s: float) -> tuple[Failures, Callable[[], Any]]:
    with of_extra("postgresql", "QUEUE_URL=postgresql://..."):
        import psycopg

    wait = {"connect_timeout": 2, "tcp_user_timeout": int(PATIENCE_S * 1000)}  # its client knows no less than 2 s
    return (psycopg.Error, OSError), lambda: PostgresHuey(name, dsn=url, results=False, blocking=False, **wait)


class _Place:
    """Where the queue lies: a server or a file. Whatever goes wrong there becomes a `QueueError`, which never holds the
    password."""

    def __init__(self, address: str, failures: Failures):
        self.address, self._password = address, None
        self._remedy = "stop what has locked the file, or make room on its disk"
        if "://" in address:
            parts = urlsplit(address)
            self.address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
            self._password = parts.password
            self._remedy = "start the server, or correct QUEUE_URL"
        self._failures: Failures = (*failures, TooSlow)

    def ask(self, call: Callable[[], Any]) -> Any:
        """What the call gives."""
        try:
            return call()
        except self._failures as error:
            why = (str(error).splitlines() or ["no answer in time"])[0].rstrip(".")
            if self._password:
                why = why.replace(self._password, "********")
            raise QueueError(f"The job queue at {self.address} cannot be used ({why}): {self._remedy}.") from error

    def twice(self, call: Callable[[], Any]) -> Any:
        """What the call gives, at the second try if need be: the first may meet a connection that a restart of the
        server broke, or another process that makes the same tables. A hint that comes twice costs nothing."""
        try:
            return call()
        except self._failures:
            return call()


class _SafeStorage:
    """A storage of huey's that fails with `QueueError` alone. With `answer_s` no call takes longer than that,
    whatever it waits for: a server that hangs, a locked file, a name to be resolved, another thread's call."""

    def __init__(self, storage: Any, place: _Place, answer_s: float | None):
        self._storage, self._place, self._answer_s = storage, place, answer_s
        self._callers = ThreadPoolExecutor(thread_name_prefix="queue") if answer_s else None
        self._away = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        if not callable(found):
            return found
        ask = self._ask_patiently if name in NOTHING else self._ask
        return lambda *args, **kwargs: ask(name, lambda: found(*args, **kwargs))

    def _ask(self, name: str, call: Callable[[], Any]) -> Any:
        return self._place.ask(lambda: self._in_time(lambda: self._place.twice(call)))

    def _ask_patiently(self, name: str, call: Callable[[], Any]) -> Any:
        try:
            answer = self._ask(name, call)
        except QueueError as error:
            if not self._away:
                log.warning("%s It is asked until it answers.", error)
            self._away = True
            return NOTHING[name]
        if self._away:
            log.warning("the job queue at %s answers again", self._place.address)
        self._away = False
        return answer

    def _in_time(self, call: Callable[[], Any]) -> Any:
        if self._callers is None:
            return call()
        future = self._callers.submit(call)
        try:
            return future.result(self._answer_s)
        finally:
            future.cancel()  # if it has not begun, as another call holds it up
