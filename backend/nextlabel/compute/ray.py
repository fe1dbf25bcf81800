"""A connection to a Ray cluster, in a process of its own: the only module that imports Ray but the one that starts a
cluster (`nextlabel.lab.ray_nodes`).

Ray may abort its process, end it after a minute, wait for minutes or start a cluster by itself; all that happens here,
and whoever asked hears of it, or of silence, through a pipe. What is asked and answered are tuples, whose first item
names them.
"""

import functools
import itertools
import os
import queue
import signal
import socket
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

import ray
from ray import exceptions

from nextlabel.compute import node
from nextlabel.compute.tasks import MOVE_S, RETURNS
from nextlabel.processes import exit_with_parent

LOOK_S = 0.1  # for results, and for what is asked
BEAT_S = 1.0  # between two signs of life of a task; between two looks at them
REACH_S = 5.0  # until a port counts as closed
TRIES = 3  # of a head that is there, and takes more than half a minute for its side of a connection
WIDTH = 200  # characters of an error that are told
INSTALL = "; head and nodes need pip install '.[ray]' in a checkout of this release of Nextlabel, too"
LOST = (
    exceptions.WorkerCrashedError,
    exceptions.NodeDiedError,
    exceptions.LocalRayletDiedError,
    exceptions.ObjectLostError,
    exceptions.RaySystemError,
    exceptions.GetTimeoutError,
    node.FetchError,
)


def serve(supervisor: int, address: str, pipe: Connection) -> None:
    """Connect to `ray://HOST:PORT` and do what the pipe asks for, until it is closed or the connection is lost."""
    exit_with_parent(supervisor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to heed
    # Ray would start a cluster of its own here after a lost connection.
    os.environ.update(RAY_ENABLE_AUTO_CONNECT="0", RAY_USAGE_STATS_ENABLED="0")
    _be_quiet()
    try:
        _connect(address, pipe)
        _Driver(pipe).work()
    except BrokenPipeError:
        pass
    except BaseException as error:  # noqa: BLE001  the process ends, and what it could not do is told
        with suppress(OSError):
            pipe.send(("away", _in_short(error)))
    os._exit(0)  # ray.shutdown would wait for a head that is gone


def _be_quiet() -> None:
    """Ray writes a page on each killed worker to standard output, which is somebody's."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _connect(address: str, pipe: Connection) -> None:
    """Fails within seconds where nobody listens, which takes Ray half a minute. A busy head is asked again."""
    parts = urlsplit(address)
    socket.create_connection((parts.hostname or "", parts.port or 0), timeout=REACH_S).close()
    for again in reversed(range(TRIES)):
        pipe.send(("tries",))
        try:
            ray.init(address, log_to_driver=False, logging_level="error")
            return
        except ConnectionAbortedError:
            if not again:
                raise


def _in_short(error: BaseException) -> str:
    """On one line; some of Ray's are pages."""
    told = f"{type(error).__name__}: {error}"
    return textwrap.shorten(told, WIDTH) + INSTALL * ("No module named" in told)


class _Driver:
    """Hands out what it is told to at once, and tells what comes back."""

    def __init__(self, pipe: Connection):
        self._pipe, self._speaks = pipe, threading.Lock()
        self._orders: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._objects: dict[str, Any] = {}
        self._tasks: dict[Any, int] = {}  # by the reference of the result
        self._looked, self._perform = float("-inf"), ray.remote(_perform)
        on_head = {"node:__internal_head__": 0.001}  # whose end is everybody's
        self._board = ray.remote(_Board).options(num_cpus=0, max_restarts=-1, resources=on_head).remote()
        ray.get(self._board.read.remote([]), timeout=60)
        # A pipe that nobody empties would stop both sides, each while it sends.
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                self._orders.put(self._pipe.recv())
        except (EOFError, OSError):
            os._exit(0)  # Ray cancels what is left

    def _say(self, *said: Any) -> None:
        with self._speaks:
            self._pipe.send(said)

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Signs of life of this process while an object moves, which can take minutes and holds up its thread; over a
        network that is gone it takes for ever, so that they end."""
        moved, until = threading.Event(), time.monotonic() + MOVE_S

        def beat() -> None:
            with suppress(OSError):
                while not moved.wait(BEAT_S) and time.monotonic() < until:
                    self._say("moves")

        beats = threading.Thread(target=beat, daemon=True)
        beats.start()
        try:
            yield
        finally:
            moved.set()
            beats.join()

    def work(self) -> None:
        """Until an exception ends it."""
        while True:
            self._obey()
            self._give_back()
            if time.monotonic() - self._looked >= BEAT_S:
                self._tell_how_it_goes()
                self._looked = time.monotonic()

    def _obey(self) -> None:
        known: dict[str, Callable[..., None]] = {
            "share": self._share,
            "forget": self._forget,
            "submit": self._submit,
            "cancel": self._cancel,
        }
        wait_s = 0.0 if self._tasks else LOOK_S
        with suppress(queue.Empty):
            while True:
                kind, *order = self._orders.get(block=wait_s > 0, timeout=wait_s or None)
                known[kind](*order)
                wait_s = 0.0

    def _share(self, key: str, make: Callable[[], Any]) -> None:
        try:
            with self._moving():
                self._objects[key] = ray.put(make())
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  told of each task that needs it, until it is shared anew
            self._objects[key] = error
            self._say("unshared", key)

    def _forget(self, key: str) -> None:
        del self._objects[key]

    def _submit(
        self, number: int, packed: bytes, keys: Sequence[str], threads: int, libraries: Any, cpus: float, gpus: float
    ) -> None:
        missing = [self._objects[key] for key in keys if isinstance(self._objects[key], Exception)]
        if missing:
            self._say("failed", number, _in_short(missing[0]))
            return
        remote = self._perform.options(num_cpus=cpus, num_gpus=gpus, max_retries=0)
        # References inside a list are not fetched before a process of the node needs them.
        references = [[self._objects[key]] for key in keys]
        self._tasks[remote.remote(number, packed, references, threads, libraries, self._board)] = number

    def _cancel(self, number: int, force: bool) -> None:
        """With `force` its process is killed, and cleans nothing up."""
        for reference in [reference for reference, known in self._tasks.items() if known == number]:
            del self._tasks[reference]
            ray.cancel(reference, force=force)

    def _give_back(self) -> None:
        if not self._tasks:
            return
        ready, _ = ray.wait(list(self._tasks), num_returns=1, timeout=LOOK_S)
        for reference in ready:
            with self._moving():
                ended = _ended(self._tasks.pop(reference), reference)
            self._say(*ended)

    def _tell_how_it_goes(self) -> None:
        found = [one["Resources"] for one in ray.nodes() if one["Alive"]]
        nodes = [(float(one.get("CPU", 0.0)), float(one.get("GPU", 0.0))) for one in found]
        self._say("nodes", [(cores, gpus) for cores, gpus in nodes if cores])
        with suppress(exceptions.GetTimeoutError, exceptions.RayActorError):  # it is begun again
            told = ray.get(self._board.read.remote(list(self._tasks.values())), timeout=REACH_S)
            self._say("beats", told)


def _ended(number: int, reference: Any) -> tuple[Any, ...]:
    """What became of a task. A lost connection is raised."""
    try:
        return "done", number, ray.get(reference, timeout=MOVE_S)
    except exceptions.OutOfMemoryError as error:
        return "memory", number, _in_short(error)
    except ConnectionError:
        raise
    except LOST as error:
        return "lost", number, _in_short(error)
    except Exception as error:  # noqa: BLE001  such as a node that has no Nextlabel
        last = str(error).strip().splitlines()[-1]
        return "failed", number, last + INSTALL * ("No module named" in last)


class _Board:
    """What tasks tell while they run: signs of life and progress. Lives on the cluster."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[int, Any]] = {}

    def beat(self, number: int, count: int, told: Any) -> None:
        """The `count`-th sign of life of a task."""
        self._told[number] = count, told

    def read(self, numbers: Iterable[int]) -> dict[int, tuple[int, Any]]:
        """The last sign of life of each; those of others are forgotten."""
        self._told = {number: self._told[number] for number in numbers if number in self._told}
        return self._told


def _fetch(held: Sequence[Any]) -> Any:
    """A shared object, on a node. Raises `FetchError`, also where it could be waited for without end."""
    try:
        return ray.get(held[0], timeout=MOVE_S)
    except Exception as error:  # noqa: BLE001  such as of a node that is lost, or of a network between nodes
        raise node.FetchError(_in_short(error)) from None


def _perform(number: int, packed: bytes, references: Sequence[Any], threads: int, libraries: Any, board: Any) -> bytes:
    """On a node."""
    told: list[Any] = [None]
    ended = threading.Event()

    def beat() -> None:
        for count in itertools.count(1):
            is_last = ended.wait(BEAT_S if count > 1 else 0.0)
            with suppress(Exception):  # the result says more
                board.beat.remote(number, count, RETURNS if is_last else told[0])
            if is_last:
                return

    def tell(stage: str, done: int, total: int) -> None:
        told[0] = stage, done, total

    beats = threading.Thread(target=beat, daemon=True)
    beats.start()
    try:
        fetches = [functools.partial(_fetch, held) for held in references]
        here = f"{ray.util.get_node_ip_address()} ({ray.get_runtime_context().get_node_id()[:8]})"
        return node.perform(here, packed, fetches, threads, libraries, tell)
    finally:
        ended.set()
        beats.join(timeout=REACH_S)
