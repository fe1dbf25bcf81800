"""Connections to a cluster that does not exist, each with a fault of its own: what `Cluster` has a process do."""

import functools
import pickle
import time
from multiprocessing.connection import Connection
from typing import Any

from nextlabel.compute import node
from nextlabel.compute.tasks import Outcome

PAUSE_S = 0.05


def _orders(pipe: Connection) -> Any:
    """Whatever is asked for, and signs of life of a cluster of one core in between."""
    while True:
        pipe.send(("cores", 1.0, 1.0, 1))
        pipe.send(("beats", {}))
        if pipe.poll(PAUSE_S):
            yield pipe.recv()


def _done(pipe: Connection, order: Any, value: object) -> None:
    pipe.send(("done", order[1], pickle.dumps(Outcome("here", value))))


def in_order(supervisor: int, address: str, pipe: Connection) -> None:
    """Ends each task after a while, with how many were handed out before it."""
    handed_out = []
    for order in _orders(pipe):
        if order[0] == "submit":
            handed_out.append(order)
            time.sleep(PAUSE_S)
            _done(pipe, order, len(handed_out))


def silent_task(supervisor: int, address: str, pipe: Connection) -> None:
    """The first attempt gives one sign of life; the second one ends."""
    handed_out: list[Any] = []
    for order in _orders(pipe):
        if order[0] == "submit":
            handed_out.append(order)
            pipe.send(("beats", {order[1]: (1, None)}))
        if order[0] == "submit" and len(handed_out) == 2:
            _done(pipe, order, "second")
            _done(pipe, handed_out[0], "first")  # too late


def away_for_a_while(supervisor: int, address: str, pipe: Connection) -> None:
    """Begins a task, says nothing for a second, and ends it with how many were handed out."""
    handed_out = 0
    for order in _orders(pipe):
        if order[0] == "submit":
            handed_out += 1
            pipe.send(("beats", {order[1]: (1, None)}))
            time.sleep(1)
            pipe.send(("beats", {order[1]: (20, None)}))
            time.sleep(0.3)
            _done(pipe, order, handed_out)


def full(supervisor: int, address: str, pipe: Connection) -> None:
    """No task ever begins."""
    for _ in _orders(pipe):
        pass


def silent(supervisor: int, address: str, pipe: Connection) -> None:
    """Stands, and is not heard of again."""
    pipe.send(("cores", 1.0, 1.0, 1))
    time.sleep(600)


def short_of_memory(supervisor: int, address: str, pipe: Connection) -> None:
    """Each task is killed for want of memory, also alone on the node of four cores."""
    pipe.send(("cores", 8.0, 4.0, 2))
    while True:
        order = pipe.recv()
        if order[0] == "submit":
            pipe.send(("memory", order[1], f"{order[6]:g} cores"))


def compute(supervisor: int, address: str, pipe: Connection) -> None:
    """Does what a node would, one task after the other, in this process."""
    objects: dict[str, Any] = {}
    for order in _orders(pipe):
        if order[0] == "share":
            objects[order[1]] = order[2]()
        if order[0] == "submit":
            _, number, packed, keys, threads, libraries, *_ = order
            fetches = [functools.partial(objects.get, key) for key in keys]
            tell = functools.partial(_tell, pipe, number)
            pipe.send(("done", number, node.perform("a node", packed, fetches, threads, libraries, tell)))


def _tell(pipe: Connection, number: int, stage: str, done: int, total: int) -> None:
    pipe.send(("beats", {number: (time.monotonic_ns(), (stage, done, total))}))


def slow_fit(supervisor: int, address: str, pipe: Connection) -> None:
    """Of each task only the progress comes."""
    for order in _orders(pipe):
        for step in range(100 if order[0] == "submit" else 0):
            _tell(pipe, order[1], "fit", step, 100)
            time.sleep(PAUSE_S)


def gone(supervisor: int, address: str, pipe: Connection) -> None:
    """Stands, and ends with the first task."""
    for order in _orders(pipe):
        if order[0] == "submit":
            pipe.send(("away", "the head is gone"))
            return
