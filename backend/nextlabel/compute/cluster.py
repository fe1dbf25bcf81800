"""Tasks on a cluster: which is handed out when, what is done when one is lost, and what when the cluster is away.

The backlog stays here, in the order of ranks; the cluster holds as many tasks as run at a time, and one more. Every
wait has an end. Knows no Ray: that is in a process of its own (`nextlabel.compute.ray`), which is killed when it is
silent.
"""

import heapq
import importlib.util
import itertools
import logging
import math
import multiprocessing
import os
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from nextlabel.compute import node
from nextlabel.compute.resources import ONE_CORE, Resources, crowded_out, holds, in_words, on_a_node
from nextlabel.compute.tasks import (
    MOVE_S,
    RETURNS,
    ClusterAwayError,
    Outcome,
    Running,
    Shared,
    Task,
    TaskLostError,
    Tell,
)
from nextlabel.errors import NextlabelError, NoMemoryError, of_extra

log = logging.getLogger(__name__)

LOOK_S = 0.2  # at the pipe, and of those who wait at their task
IDLE_S = 60.0  # without a connection, until somebody asks
TELL_S = 1.0  # between two words of progress that say the same
WAITING = ("waiting for the cluster", 0, 1)
CONNECT_S = 90.0  # for a connection to stand
SILENT_S = 90.0  # of the connection: longer than a network is often away; and of each word between us and its process
BEATS_S = 60.0  # of a task, from its last sign of life until it is handed out again
BEGIN_S = 120.0  # in which no task of ours is in the way of one that does not begin, until the cluster counts as full
TRIES = 3  # more, of a task whose worker or node died
AGAIN_S, LONGEST_AGAIN_S = 10.0, 300.0  # until a cluster that is away is tried again
OBJECTS = 16  # shared objects that a connection keeps

Serve = Callable[[int, str, Connection], None]  # supervisor, address, pipe


@dataclass
class _Entry:
    """A task and what has become of it so far. `number` is of its last attempt, which needs so much; times are of a
    monotonic clock. It `could_begin` from when it was handed out and nothing of ours was in its way; `news_at` it
    began, or told something new."""

    running: Running
    place: tuple[int, int]
    number: int = 0
    needs: Resources = ONE_CORE
    could_begin: float = 0.0
    heard_at: float | None = None
    news_at: float = 0.0
    count: int = 0
    lost: int = 0
    alone: bool = False

    @property
    def returns(self) -> bool:
        """Whether it has ended, and only its result is waited for."""
        return self.heard_at is not None and self.running.told == RETURNS

    def __lt__(self, other: "_Entry") -> bool:
        return self.place < other.place


@dataclass
class _Connection:
    """A child process that speaks to the cluster of these nodes."""

    process: Any
    pipe: Connection
    since: float
    heard_at: float
    nodes: Sequence[Resources] = ()
    stands: bool = False
    beats_at: float = float("-inf")  # when signs of life of tasks could be seen last
    read_at: float = 0.0  # the same, or why not was known: something moved
    shared: dict[str, None] = field(default_factory=dict)


class Cluster:
    """Runs tasks on the Ray cluster at `ray://HOST:PORT`. Thread-safe.

    When the cluster cannot be had, tasks fail with `ClusterAwayError`, so that they can be computed here instead
    (`away` is local), or wait until it is back (`wait`). A connection is made when the first task is handed in: `serve`
    is what its process does. Raises `MissingPackageError` without the packages of the extra `ray`.
    """

    def __init__(self, address: str, away: str = "local", serve: Serve | None = None):
        if serve is None:
            with of_extra("ray", f"RAY_ADDRESS={address}"):
                require_ray()
        self._address, self._away, self._serve, self._now = address, away, serve, time.monotonic
        self._turn, self._wake = threading.Lock(), threading.Event()
        self._waiting: list[_Entry] = []
        self._out: dict[int, _Entry] = {}
        self._known: dict[str, Running] = {}
        self._cancelled: list[Running] = []
        self._places, self._numbers = itertools.count(), itertools.count(1)
        self._connection: _Connection | None = None
        self._again_at, self._full_until, self._failures = float("-inf"), float("-inf"), 0
        self.moved = (0, 0)  # bytes of tasks that were handed out, and of what came back; without shared objects
        self.computed = Counter[str]()  # tasks of each node
        self._closed, self._words = False, f"{address}, not asked yet"
        self._thread: threading.Thread | None = None

    @property
    def words(self) -> str:
        """How it stands, in words."""
        return self._words

    @property
    def is_away(self) -> bool:
        """Whether it was lost, or full, when it was last asked."""
        return self._failures > 0 or self._now() < self._full_until

    @property
    def rests(self) -> bool:
        """Whether it was, and it is not time to ask again."""
        return self._now() < (self._again_at if self._connection is None else self._full_until)

    def lacks(self, threads: int, gpus: float) -> str:
        """What no node has that a task with so many threads and GPUs needs, in words; empty while that is not known."""
        connection = self._connection
        if connection is None or not connection.stands:
            return ""
        return _lacks(connection.nodes, on_a_node(connection.nodes, threads, gpus))

    def room(self, threads: int, gpus: float) -> int:
        """How many more tasks with so many threads and GPUs are welcome: two for each that runs at a time and one are
        at hand, or one while the nodes are unknown."""
        connection = self._connection
        if connection is None or not connection.stands:
            return int(not self._known)
        at_a_time = holds(connection.nodes, on_a_node(connection.nodes, threads, gpus))
        with self._turn:
            return max(0, 2 * at_a_time + 1 - len(self._known))

    def submit(self, task: Task) -> Running:
        """The task's result to be; the same one for as long as a task of this key is under way."""
        with self._turn:
            if task.key in self._known:
                return self._known[task.key]
            running = Running(task)
            if self._closed or (self._away == "local" and self.rests):
                running.set_exception(ClusterAwayError(f"The cluster is {self._words}."))
                return running
            self._known[task.key] = running
            heapq.heappush(self._waiting, _Entry(running, (task.rank, next(self._places))))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="cluster", daemon=True)
                self._thread.start()
        self._wake.set()
        return running

    def wait_for(self, running: Running, tell: Tell) -> Any:
        """The task's value, or what it raises. `tell` hears of progress once a second, also that there is none; what it
        raises ends the task, and is raised here."""
        told, told_at = WAITING, float("-inf")
        try:
            while not wait([running], timeout=LOOK_S).done:
                now, before = self._now(), told
                told = running.told or WAITING
                if told != before or now - told_at >= TELL_S:
                    told_at = now
                    tell(*told)
        except BaseException:
            self.cancel(running)
            raise
        return running.result()

    def cancel(self, running: Running) -> None:
        """Have a task end, and its result not be waited for."""
        with self._turn:
            self._cancelled.append(running)
            self._forget(running)
        self._wake.set()

    def close(self) -> None:
        """End the connection, and with it all tasks."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _work(self) -> None:
        # All that speaks to the child is in this thread: Linux ends a child with the thread that started it.
        while not self._closed:
            try:
                self._step()
            except OSError as error:  # such as of its process, which was killed for its silence
                self._lose(f"the connection ended: {error.strerror or error}")
            except Exception:
                log.exception("the connection to the cluster is made anew")
                self._lose("a failure of our own")
        self._lose("closed")
        self._fail_waiting(ClusterAwayError("The connection to the cluster was closed."))

    def _step(self) -> None:
        if self._connection is None:
            self._heed_cancelled()
            # One that was lost is also asked when nobody waits, so that nobody is told that it is away when it is back.
            rest_s = self._again_at - self._now() if self._waiting or self._failures else IDLE_S
            if rest_s <= 0:
                self._connect()
            else:
                self._wake.wait(min(rest_s, IDLE_S))
                self._wake.clear()
            return
        self._listen(self._connection)
        self._heed_cancelled()
        if self._connection is not None and self._connection.stands:
            self._look_at_times(self._connection)
            self._hand_out(self._connection)

    def _connect(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=self._serve or _speak_ray, args=(os.getpid(), self._address, theirs), daemon=True
        )
        process.start()
        theirs.close()
        if not self._failures:
            self._words = f"{self._address}, which is being connected to"
        self._connection = _Connection(process, ours, self._now(), self._now())

    def _listen(self, connection: _Connection) -> None:
        """Take what the child says. Its end, its silence and what it says of the cluster's end come to the same."""
        try:
            wait_s = LOOK_S
            while connection.pipe.poll(wait_s):
                with _watched(connection):
                    kind, *said = connection.pipe.recv()
                connection.heard_at, wait_s = self._now(), 0.0
                if kind == "away":
                    return self._lose(str(said[0]))
                self._take(connection, kind, said)
        except (EOFError, OSError):
            return self._lose("the connection ended")
        longest_s = SILENT_S if connection.stands else CONNECT_S
        if self._now() - connection.heard_at > longest_s:
            self._lose(f"nothing was heard for {longest_s:.0f} s")
        elif self._out and self._now() - connection.read_at > SILENT_S + BEATS_S:
            self._lose(f"nothing was heard of tasks for {SILENT_S + BEATS_S:.0f} s")
        return None

    def _take(self, connection: _Connection, kind: str, said: list[Any]) -> None:
        if kind == "nodes":
            connection.nodes = [Resources(cores, gpus) for cores, gpus in said[0]]
            self._say_it_stands(connection)
        elif kind == "unshared":
            connection.shared.pop(said[0], None)
        elif kind == "moves":  # what tasks need is on its way to the cluster, or a result from there
            connection.read_at = self._now()
            for waiting in self._out.values():
                waiting.could_begin = self._now()
                if waiting.returns:  # after that
                    waiting.heard_at = self._now()
        elif kind == "beats":
            for number, (count, told) in said[0].items():
                self._hear(number, count, told)
            connection.beats_at = connection.read_at = self._now()
        elif kind != "tries" and (entry := self._out.pop(said[0], None)) is not None:
            self._end(entry, kind, said[1])

    def _say_it_stands(self, connection: _Connection) -> None:
        nodes = connection.nodes
        whole = Resources(sum(node.cores for node in nodes), sum(node.gpus for node in nodes))
        words = f"{len(nodes)} node{'' if len(nodes) == 1 else 's'} with {in_words(whole)} at {self._address}"
        if not connection.stands:
            log.info("cluster: %s", words)
            connection.read_at = self._now()
        connection.stands, self._failures = True, 0
        if self._now() >= self._full_until:
            self._words = words

    def _hear(self, number: int, count: int, told: tuple[str, int, int] | None) -> None:
        entry = self._out.get(number)
        if entry is not None and count > entry.count:
            if entry.heard_at is None or told != entry.running.told:
                entry.news_at = self._now()
            entry.count, entry.heard_at = count, self._now()
            entry.running.told = told

    def _end(self, entry: _Entry, kind: str, said: Any) -> None:
        if kind == "done":
            self._come_back(entry, said)
        elif kind == "lost" and entry.lost < TRIES:
            log.warning("cluster: a task was lost and begins again: %s", said)
            entry.lost += 1
            self._wait_again(entry)
        elif kind == "full":
            self._settle(entry, ClusterAwayError(f"The cluster is {self._words}."))
        elif kind == "memory" and not entry.alone:
            entry.alone = True  # it may have been killed for what another one took
            self._wait_again(entry)
        elif kind == "memory":
            self._settle(entry, NoMemoryError(f"The memory of a whole node of the cluster does not suffice: {said}"))
        else:
            times = f", {entry.lost + 1} times" if entry.lost else ""
            self._settle(entry, TaskLostError(f"A task failed on the cluster{times}: {said}"))

    def _come_back(self, entry: _Entry, said: bytes) -> None:
        try:
            outcome: Outcome = pickle.loads(said)
        except Exception as error:  # noqa: BLE001  such as a class that only the node has
            self._settle(entry, TaskLostError(f"A result cannot be read: {type(error).__name__}: {error}"))
            return
        self.moved = (self.moved[0], self.moved[1] + len(said))
        self.computed[outcome.node] += 1
        entry.running.node = outcome.node
        self._settle(entry, outcome.error, outcome.value)

    def _settle(self, entry: _Entry, error: NextlabelError | None, value: Any = None) -> None:
        with self._turn:
            self._forget(entry.running)
        if not entry.running.set_running_or_notify_cancel():
            return
        if error is not None:
            entry.running.set_exception(error)
        else:
            entry.running.set_result(value)

    def _forget(self, running: Running) -> None:
        """Whoever hands in its task now, asks anew. The lock is held."""
        if self._known.get(running.task.key) is running:
            del self._known[running.task.key]

    def _wait_again(self, entry: _Entry) -> None:
        entry.heard_at, entry.count, entry.running.told = None, 0, None
        with self._turn:
            heapq.heappush(self._waiting, entry)

    def _heed_cancelled(self) -> None:
        with self._turn:
            cancelled, self._cancelled = self._cancelled, []
        ended = [number for number, entry in self._out.items() if entry.running in cancelled]
        for number in ended:
            del self._out[number]
        with self._turn:
            self._waiting = [entry for entry in self._waiting if entry.running not in cancelled]
            heapq.heapify(self._waiting)
        for running in cancelled:
            if running.cancel():
                running.set_running_or_notify_cancel()  # whoever waits hears of it
        for number in ended:
            self._send("cancel", number, False)

    def _look_at_times(self, connection: _Connection) -> None:
        """Tasks that are silent begin elsewhere; those that do not begin, though none of ours is in the way, show that
        the cluster is full: they are given back, or wait on, and that is full until they begin. A connection that is
        away for a while says nothing about tasks."""
        is_full = False
        begun = [entry.needs for entry in self._out.values() if entry.heard_at is not None]
        for number, entry in list(self._out.items()):
            if entry.heard_at is not None:
                longest_s = MOVE_S if entry.returns else BEATS_S
                if connection.beats_at - entry.heard_at > longest_s:
                    self._take_back(number, "lost", f"nothing was heard of it for {longest_s:.0f} s")
                elif not entry.returns and connection.beats_at - entry.news_at > entry.running.task.still_s:
                    self._take_back(number, "lost", f"it got no further in {entry.running.task.still_s:.0f} s")
            elif begun and crowded_out(entry.needs, begun) >= holds(connection.nodes, entry.needs):
                entry.could_begin = connection.beats_at
            elif connection.beats_at - entry.could_begin > BEGIN_S:
                lacks = _lacks(connection.nodes, entry.needs)
                kind = "too small" if lacks else "full"
                self._words = f"{kind}: {self._address} has had {lacks or 'no room'} for {BEGIN_S:.0f} s"
                self._full_until, is_full = self._now() + LONGEST_AGAIN_S, True
                if self._away == "local":
                    self._take_back(number, "full", "")
        if self._away == "wait" and not is_full:
            self._full_until = float("-inf")

    def _take_back(self, number: int, kind: str, why: str) -> None:
        """End an attempt of which nothing comes. First here: where nothing can be sent any more, nothing is lost."""
        self._end(self._out.pop(number), kind, why)
        self._send("cancel", number, True)  # by force: an interrupt would wait for the running call, which may hang

    def _hand_out(self, connection: _Connection) -> None:
        while True:
            with self._turn:
                if not self._waiting:
                    return
                entry = self._waiting[0]
                threads = math.inf if entry.alone else entry.running.task.threads
                entry.needs = on_a_node(connection.nodes, threads, entry.running.task.gpus)
                if not self._may_go(connection, entry):
                    return
                heapq.heappop(self._waiting)
            self._submit(connection, entry)

    def _may_go(self, connection: _Connection, entry: _Entry) -> bool:
        """Whether a task is handed out beside those that are: not if it, or one of them, is to have a node alone."""
        out = self._out.values()
        if not out or entry.alone or any(other.alone for other in out):
            return not out
        return crowded_out(entry.needs, [other.needs for other in out]) <= holds(connection.nodes, entry.needs)

    def _submit(self, connection: _Connection, entry: _Entry) -> None:
        task = entry.running.task
        entry.number, entry.could_begin = next(self._numbers), self._now()
        self._out[entry.number] = entry  # before anything can fail: what is here waits again after a lost connection
        try:
            packed = pickle.dumps((task.job, task.args, [(one.key, one.open) for one in task.shared]), protocol=5)
        except Exception as error:  # noqa: BLE001  pickle raises whatever the objects do
            del self._out[entry.number]
            self._settle(entry, TaskLostError(f"A task cannot be sent: {type(error).__name__}: {error}"))
            return
        for shared in task.shared:
            self._share(connection, shared)
        keys = [shared.key for shared in task.shared]
        self.moved = (self.moved[0] + len(packed), self.moved[1])
        cores, gpus = entry.needs.cores, entry.needs.gpus
        self._send("submit", entry.number, packed, keys, task.threads, node.versions(), cores, gpus)

    def _share(self, connection: _Connection, shared: Shared) -> None:
        if shared.key in connection.shared:
            connection.shared[shared.key] = connection.shared.pop(shared.key)
            return
        connection.shared[shared.key] = None
        self._send("share", shared.key, shared.make)
        while len(connection.shared) > OBJECTS:
            oldest = next(iter(connection.shared))
            del connection.shared[oldest]
            self._send("forget", oldest)

    def _send(self, *order: Any) -> None:
        if self._connection is not None:
            with _watched(self._connection):
                self._connection.pipe.send(order)

    def _lose(self, why: str) -> None:
        """Without a connection: tasks wait for another one, or fail so that they can be computed here."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.process.kill()
            connection.process.join(timeout=10)
            connection.pipe.close()
        again_s = min(AGAIN_S * 2.0**self._failures, LONGEST_AGAIN_S)
        self._failures = min(self._failures + 1, 10)
        self._again_at = self._now() + again_s
        self._words = f"away at {self._address} ({why})"
        if not self._closed:
            log.warning("cluster: %s; the next try is in %.0f s", self._words, again_s)
        for entry in [self._out.pop(number) for number in list(self._out)]:
            self._wait_again(entry)
        if self._away == "local":
            self._fail_waiting(ClusterAwayError(f"The cluster is {self._words}."))

    def _fail_waiting(self, error: NextlabelError) -> None:
        with self._turn:
            waiting, self._waiting = self._waiting, []
        for entry in waiting:
            self._settle(entry, error)


def _lacks(nodes: Sequence[Resources], needs: Resources) -> str:
    if holds(nodes, needs):
        return ""
    return f"no node with {in_words(needs)}" if nodes else "no nodes"


@contextmanager
def _watched(connection: _Connection) -> Iterator[None]:
    """A child that has stopped, so that a full pipe stays full or half a word half, is killed: then the pipe breaks."""
    killer = threading.Timer(SILENT_S, connection.process.kill)
    killer.daemon = True
    killer.start()
    try:
        yield
    finally:
        killer.cancel()


def _speak_ray(supervisor: int, address: str, pipe: Connection) -> None:
    """In the process of its own."""
    from nextlabel.compute import ray

    ray.serve(supervisor, address, pipe)


def require_ray() -> None:
    """Raises `ModuleNotFoundError` where it could not be spoken to."""
    for package in ("ray", "grpc"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
