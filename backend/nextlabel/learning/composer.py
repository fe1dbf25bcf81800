"""The only place that decides which tasks make the head of the queue, and in which order. Pure: no clock, client, disk.

Tasks want to come next for different reasons, their kinds. To add one: a ranked list and slots for it.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import numpy as np

from nextlabel.values.queue import Placed, Ranked, to_score

CONTROL = "control"  # drawn at random, and never learnt from
STEP = 2.0**-53  # between two scores: all are multiples of it, as 1 - value of doubles is
INFORMATIVE = "informative"  # the kind that takes every slot which no other one can fill

Slots = Callable[[int], str]  # the kind that each place of the head belongs to, counted from 0


def all_informative(place: int) -> str:
    """The slots of a queue that holds nothing else."""
    return INFORMATIVE


def compose(
    ranked: Mapping[str, Sequence[Ranked]], slots: Slots, depth: int, skipped: Sequence[Ranked] = ()
) -> list[Placed]:
    """The head of the queue, in the order in which it is served: `depth` tasks, or all there are, each once.

    `ranked` holds the tasks of each kind, best first. An informative task's score is 1 - value; one of another kind
    stands in its slot by a score between its neighbours'. No two scores are equal, as ties have no order on PostgreSQL:
    of equal ones each is a `STEP` above the one before it. `skipped` informative tasks that rank above the last one are
    in their places. Another annotator may take such a task, so it stays in the queue; but it does not use up the depth,
    or one annotator who skips a lot would see the queue fall back to random order.
    """
    waiting = {kind: deque(tasks) for kind, tasks in ranked.items()}
    filled, taken = _filled(waiting, slots, depth)
    informative = [task for kind, task in filled if kind == INFORMATIVE]
    last = informative[-1] if informative and len(filled) == depth else None
    following = _next(waiting.get(INFORMATIVE, deque()), taken)
    missed = [task for task in skipped if task.task_id not in taken and (last is None or _rank(task) < _rank(last))]
    head = _with_skipped(filled, missed)
    scores = apart([to_score(value) for value in _place_values(head, following.value if following else 0.0)])
    return [Placed(task.task_id, kind, task.value, score) for (kind, task), score in zip(head, scores, strict=True)]


def apart(scores: Sequence[float]) -> list[float]:
    """Scores in [0, 1] that do not fall, made to rise: by a `STEP` where they are equal."""
    rising = list(accumulate(scores, lambda before, score: max(score, before + STEP)))  # from 1 no step leads higher
    return list(accumulate(reversed(rising), lambda after, score: min(score, after - STEP)))[::-1]


def _filled(
    waiting: Mapping[str, deque[Ranked]], slots: Slots, depth: int
) -> tuple[list[tuple[str, Ranked]], set[int]]:
    """The tasks in the slots, each with its kind, and their ids."""
    filled: list[tuple[str, Ranked]] = []
    taken: set[int] = set()
    for place in range(depth):
        for kind in dict.fromkeys((slots(place), INFORMATIVE)):
            task = _next(waiting.get(kind, deque()), taken)
            if task is not None:
                filled.append((kind, task))
                taken.add(task.task_id)
                break
    return filled, taken


def _next(waiting: deque[Ranked], taken: set[int]) -> Ranked | None:
    while waiting:
        task = waiting.popleft()
        if task.task_id not in taken:
            return task
    return None


def _with_skipped(filled: Sequence[tuple[str, Ranked]], skipped: Sequence[Ranked]) -> list[tuple[str, Ranked]]:
    """The skipped tasks, best first, each before the first informative one that ranks below it."""
    head = list(filled)
    for task in skipped:
        below = (i for i, (kind, other) in enumerate(head) if kind == INFORMATIVE and _rank(other) > _rank(task))
        head.insert(next(below, len(head)), (INFORMATIVE, task))
    return head


def _place_values(filled: Sequence[tuple[str, Ranked]], following: float) -> list[float]:
    """The value by which each task stands in its slot: an informative one's own, of others evenly between those next to
    them, of which the last is `following`."""
    known = {place: task.value for place, (kind, task) in enumerate(filled) if kind == INFORMATIVE}
    places, values = [-1, *known, len(filled)], [1.0, *known.values(), following]
    return [known.get(place, float(np.interp(place, places, values))) for place in range(len(filled))]


def _rank(task: Ranked) -> tuple[float, int]:
    return (-task.value, task.task_id)
