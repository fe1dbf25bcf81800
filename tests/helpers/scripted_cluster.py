"""Connections to a cluster that does not exist, each with a fault of its own: what `Cluster` has a process do."""

import functools
import importlib
import os
import pickle
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from helpers.fake_ray import FakeRay
from nextlabel.compute import node
from nextlabel.compute.tasks import RETURNS, Outcome

PAUSE_S = 0.05


def _orders_or_none(pipe: Connection, nodes: Sequence[tuple[float, float]] = ((1.0, 0.0),)) -> Any:
    """What is asked for, or None for a while, and signs of life of a cluster of one core in between."""
    while True:
        pipe.send(("nodes", nodes))
        pipe.send(("beats", {}))
        yield pipe.recv() if pipe.poll(PAUSE_S) else None


def _orders(pipe: Connection) -> Any:
    """Whatever is asked for."""
    return filter(None, _orders_or_none(pipe))


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


def lost_result(supervisor: int, address: str, pipe: Connection) -> None:
    """The first attempt ends, and its result is lost; the second one ends."""
    handed_out = 0
    for order in _orders(pipe):
        if order[0] == "submit" and handed_out == 0:
            pipe.send(("beats", {order[1]: (1, RETURNS)}))
            pipe.send(("lost", order[1], "its node is gone"))
        elif order[0] == "submit":
            _done(pipe, order, "second")
        handed_out += order[0] == "submit"


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
    pipe.send(("nodes", [(1.0, 0.0)]))
    time.sleep(600)


def stopped(supervisor: int, address: str, pipe: Connection, half: bool) -> None:
    """Stands, and is stopped: before it says a word, or in the middle of one."""
    pipe.send(("nodes", [(1.0, 0.0)]))
    if half:
        os.write(pipe.fileno(), b"\x00\x00\x10\x00half of what was announced")
    os.kill(os.getpid(), signal.SIGSTOP)


def one_after_the_other(supervisor: int, address: str, pipe: Connection) -> None:
    """One core: the first task lives for a second and a half beside the next one, which begins when that ends."""
    pipe.send(("nodes", [(1.0, 0.0)]))
    first, second = (pipe.recv() for _ in range(2))
    for count in range(1, 31):
        pipe.send(("beats", {first[1]: (count, None)}))
        time.sleep(PAUSE_S)
    pipe.send(("beats", {second[1]: (1, None)}))
    for order in (first, second):
        _done(pipe, order, "done")
    time.sleep(600)


def long_move(supervisor: int, address: str, pipe: Connection) -> None:
    """What the first task needs moves for a second; then it begins."""
    pipe.send(("nodes", [(1.0, 0.0)]))
    order = pipe.recv()
    for _ in range(20):
        pipe.send(("moves",))
        time.sleep(PAUSE_S)
    pipe.send(("moves",))
    pipe.send(("beats", {}))
    time.sleep(0.5)
    pipe.send(("beats", {order[1]: (1, None)}))
    _done(pipe, order, "done")
    time.sleep(600)


def results_one_by_one(supervisor: int, address: str, pipe: Connection) -> None:
    """Two tasks have ended at once; for a second one's result moves, then there are both, with how many were out."""
    pipe.send(("nodes", [(1.0, 0.0)]))
    out = [pipe.recv() for _ in range(2)]
    pipe.send(("beats", {order[1]: (1, RETURNS) for order in out}))
    for _ in range(20):
        pipe.send(("moves",))
        time.sleep(PAUSE_S)
    pipe.send(("moves",))
    pipe.send(("beats", {}))
    time.sleep(PAUSE_S)
    out += [pipe.recv() for _ in range(2) if pipe.poll()]
    for order in out:
        _done(pipe, order, len(out))
    time.sleep(600)


def quiet(
    supervisor: int, address: str, pipe: Connection, nodes: Sequence[tuple[float, float]], short: bool = False
) -> None:
    """Ends the oldest task when no other has come for a while, with how many were out then; the first one at once for
    want of memory if there is `short` of it."""
    out: list[Any] = []
    while True:
        pipe.send(("nodes", nodes))
        if pipe.poll(PAUSE_S):
            out += [order for order in [pipe.recv()] if order[0] == "submit"]
            if short and out:
                pipe.send(("memory", out.pop()[1], "killed"))
                short = False
        elif out:
            _done(pipe, out[0], len(out))
            out.pop(0)


def through_ray(supervisor: int, address: str, pipe: Connection, fault: str = "") -> None:
    """What speaks to Ray, with `FakeRay` in its place."""
    connection: Any = importlib.import_module("nextlabel.compute.ray")
    connection.BEAT_S = PAUSE_S
    connection.ray = FakeRay(pipe, fault)
    connection._Driver(pipe).work()


def short_of_memory(supervisor: int, address: str, pipe: Connection) -> None:
    """Each task is killed for want of memory, also alone on the node of four cores."""
    pipe.send(("nodes", [(4.0, 0.0)] * 2))
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


def slow_fit_then_gone(supervisor: int, address: str, pipe: Connection) -> None:
    """Begins the first task, and ends in the middle of it."""
    for order in _orders(pipe):
        if order[0] == "submit":
            for step in range(5):
                _tell(pipe, order[1], "fit", step, 100)
            pipe.send(("away", "the head is gone"))
            return


def unreadable_board(supervisor: int, address: str, pipe: Connection) -> None:
    """Stands, and never hears of tasks."""
    while True:
        pipe.send(("nodes", [(1.0, 0.0)]))
        if pipe.poll(PAUSE_S):
            pipe.recv()


def stuck(supervisor: int, address: str, pipe: Connection) -> None:
    """The first attempt lives and gets no further; the second one ends."""
    handed_out: list[Any] = []
    for count, order in enumerate(_orders_or_none(pipe), 1):
        if order and order[0] == "submit":
            handed_out.append(order)
        if handed_out:
            pipe.send(("beats", {handed_out[0][1]: (count, ("fit", 1, 2))}))
        if len(handed_out) == 2:
            _done(pipe, handed_out[1], "second")


def no_nodes(supervisor: int, address: str, pipe: Connection) -> None:
    """Stands, and has no nodes."""
    for _ in _orders_or_none(pipe, nodes=()):
        pass


def failing(supervisor: int, address: str, pipe: Connection) -> None:
    """Says of each task that it failed."""
    for order in _orders(pipe):
        if order[0] == "submit":
            pipe.send(("failed", order[1], "No module named 'nextlabel'"))


def nobody(supervisor: int, address: str, pipe: Connection) -> None:
    """No connection comes about."""
    pipe.send(("away", "ConnectionRefusedError: nobody listens"))


def back_again(supervisor: int, address: str, pipe: Connection, lives: Path) -> None:
    """The first one is lost after its first task, when nothing is under way; the next ones, noted in a file, stand."""
    with lives.open("a") as file:
        file.write(".")
    for order in _orders(pipe):
        if order[0] == "submit":
            _done(pipe, order, "done")
            pipe.send(("away", "the head is gone"))
            return


def gone(supervisor: int, address: str, pipe: Connection) -> None:
    """Stands, and ends with the first task."""
    for order in _orders(pipe):
        if order[0] == "submit":
            pipe.send(("away", "the head is gone"))
            return
