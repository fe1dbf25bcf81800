"""The seam between what is computed and where: a task is a pure function of what it is given. Knows no engine."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nextlabel.errors import NextlabelError

Tell = Callable[[str, int, int], None]  # stage, done, total

FIT, ROUND, PART = 0, 1, 2  # ranks: labels first, backlogs last
STILL_S = 1800.0  # without anything new from a job that tells how far it is: far more than a step, or a slice

MOVE_S = 600.0  # for an object to come here or to go there; bert-large takes 110 s at 100 Mbit/s
RETURNS = ("its result is on the way", 0, 1)  # told last of all


@dataclass(frozen=True)
class Shared:
    """What many tasks need: moved to a node once, however many tasks ask for its `key`.

    `make` gives it as bytes or as an array of uint8, in another process of this machine; `open` makes of that what a
    job is handed, once in each process of a node. Both are pickled by name.
    """

    key: str
    make: Callable[[], Any]
    open: Callable[[Any], Any]


@dataclass(frozen=True)
class Task:
    """`job(tell, *shared, *args)` on some node, with so many CPU `threads` and GPUs (a fraction shares one).

    The job is a function at the top of a module, and gives the same for the same arguments. Two tasks of one `key` are
    the same one. A lower `rank` goes first. One that tells nothing new for `still_s` seconds is begun elsewhere.
    """

    key: str
    job: Callable[..., Any]
    args: tuple[Any, ...] = ()
    shared: tuple[Shared, ...] = ()
    threads: int = 1
    gpus: float = 0.0
    rank: int = ROUND
    still_s: float = STILL_S


@dataclass(frozen=True)
class Outcome:
    """How a task ended on its `node`: with a value, or with what was raised on purpose."""

    node: str
    value: Any = None
    error: NextlabelError | None = None


class Running(Future[Any]):
    """The result of a task. `told` is what its job told last, `node` where it was computed."""

    def __init__(self, task: Task):
        super().__init__()
        self.task = task
        self.told: tuple[str, int, int] | None = None
        self.node = ""


class ClusterAwayError(NextlabelError):
    """The cluster cannot be reached, was lost, or has no room; nothing is wrong with the task."""

    status = 503


class TaskLostError(NextlabelError):
    """A task whose worker or node died again and again, or that broke in a way that nobody thought of."""
