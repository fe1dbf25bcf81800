"""A Ray whose one node is this process: what `nextlabel.compute.ray` asks of it, and a fault in the way of objects."""

import math
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

LONG_S = 60.0
LATE_S = 1.5
BEATS = 3


class FakeRay:
    """Does what it is told to at once. With the fault `slow` an object does not move before signs of life were given;
    with `once` the first one does not move at all, with `unfetched` it does not come to the node the first time, with
    `late` and `untimely` a result does not come here for a while, and not the first time. With `hung` no result comes
    before a task was ended by force, with `busy` before one was interrupted."""

    def __init__(self, pipe: Connection, fault: str):
        self._fault, self._beats, self._known = fault, 0, list[Any]()
        self._asked_at: dict[int, float] = {}
        watched: Any = pipe
        self.util = SimpleNamespace(get_node_ip_address=lambda: "here")
        real = pipe.send

        def send(said: tuple[Any, ...]) -> None:
            self._beats += said[0] == "moves"
            real(said)

        watched.send = send

    def remote(self, what: Any) -> Any:
        """What can be called elsewhere. Each only once, as whatever Ray makes of it is kept by the cluster."""
        assert what not in self._known, what
        self._known.append(what)
        return _Remote(lambda *args: _Actor(what()) if isinstance(what, type) else _result(what, args))

    def put(self, value: Any) -> "_Held":
        if self._fault == "once":
            self._fault = ""
            raise OSError("no room for it")
        self._wait_for_beats()
        return _Held(value)

    def get(self, held: "_Held", timeout: float = 0.0) -> Any:
        if held.is_result:  # on its way here
            self._wait_for_beats()
            self._fail_in_time()
        elif self._fault == "unfetched" and isinstance(held.value, bytes):
            self._fault = ""
            raise TimeoutError(f"not here after {timeout:.0f} s")
        if isinstance(held.value, Exception):
            raise held.value
        return held.value

    def _wait_for_beats(self) -> None:
        before, until = self._beats, time.monotonic() + LONG_S
        while self._fault == "slow" and self._beats < before + BEATS:
            assert time.monotonic() < until, "no sign of life"
            time.sleep(0.01)

    def _fail_in_time(self) -> None:
        if self._fault == "untimely":
            from ray.exceptions import GetTimeoutError

            self._fault = ""
            raise GetTimeoutError("not here in time")

    def wait(self, tasks: Sequence["_Held"], num_returns: int, timeout: float) -> tuple[Any, Any]:
        now = time.monotonic()
        ready = [task for task in tasks if now - self._asked_at.setdefault(id(task), now) >= self._late_s][:num_returns]
        if not ready:
            time.sleep(min(timeout, 0.01))
        return ready, [task for task in tasks if task not in ready]

    @property
    def _late_s(self) -> float:
        return {"late": LATE_S, "hung": math.inf, "busy": math.inf}.get(self._fault, 0.0)

    def cancel(self, task: "_Held", force: bool = False) -> None:
        if self._fault == ("hung" if force else "busy"):
            self._fault = ""

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}}, {"Alive": True, "Resources": {}}]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "0123456789")


class _Held:
    def __init__(self, value: Any, is_result: bool = False):
        self.value, self.is_result = value, is_result


def _result(what: Callable[..., Any], args: tuple[Any, ...]) -> _Held:
    try:
        return _Held(what(*args), is_result=True)
    except Exception as error:  # noqa: BLE001  raised where it is asked for
        return _Held(error, is_result=True)


class _Remote:
    def __init__(self, call: Callable[..., Any]):
        self.remote = call

    def options(self, **asked: Any) -> "_Remote":
        return self


class _Actor:
    def __init__(self, actor: Any):
        self.beat = _Remote(lambda *args: _Held(actor.beat(*args)))
        self.read = _Remote(lambda *args: _Held(actor.read(*args)))
