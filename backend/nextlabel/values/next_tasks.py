"""What people are served next, in that order, and why, as a record that is kept, sent and shown."""

from dataclasses import dataclass

AUDIT, START = "audit", "start"  # kinds of task that stand alone in the queue, beside those of the composer


@dataclass(frozen=True)
class Neighbour:
    """A labelled task that a task is like: the cosine of both, in [-1, 1]."""

    task: int
    label: str
    similarity: float


@dataclass(frozen=True)
class NextTask:
    """A task in its place, `rank` from 1, of which `kind`, and in words `why` it comes.

    `value` in [0, 1] is its acquisition value, `label` the most probable one, with its `probability`, and `neighbours`
    the nearest labelled tasks, the nearest first. All four are None or empty where no guess may be shown, and where
    there is none. Of a form the label answers the `question` of that name.
    """

    task: int
    kind: str
    rank: int
    why: str
    value: float | None = None
    label: str | None = None
    probability: float | None = None
    neighbours: tuple[Neighbour, ...] = ()
    question: str = ""


@dataclass(frozen=True)
class NextTasks:
    """Those that come next in the `order` of that name, as found at a time in seconds since 1970; 0: none are known."""

    at: float = 0.0
    order: str = ""
    tasks: tuple[NextTask, ...] = ()


NOTHING_NEXT = NextTasks()
