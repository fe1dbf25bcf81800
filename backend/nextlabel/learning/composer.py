"""The only place that decides which tasks make the head of the queue, and in which order. Pure: no clock, client, disk.

Tasks want to come next for different reasons, their kinds. To add one: a ranked list and slots for it.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nextlabel.values.queue import Placed, Ranked, to_score

CONTROL = "control"  # drawn at random, and never learnt from
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
    stands in its slot by a score between its neighbours'. `skipped` informative tasks that rank above the last one are
    in their places. Another annotator may take such a task, so it stays in the queue; but it does not use up the depth,
    or one annotator who skips a lot would see the queue fall back to random order.
    """
    waiting = {kind: deque(tasks) for kind, tasks in ranked.items()}
    filled, taken = _filled(waiting, slots, depth)
    informative = [task for kind, task in filled if kind == INFORMATIVE]
    last = informative[-1] if informative and len(filled) == depth else None
    following = _next(waiting.get(INFORMATIVE, deque()), taken)
    values = _place_values(filled, following.value if following else 0.0)
    places = [(value, kind, task) for value, (kind, task) in zip(values, filled, strict=True)]
    places += [
        (task.value, INFORMATIVE, task)
        for task in skipped
        if task.task_id not in taken and (last is None or _rank(task) < _rank(last))
    ]
    places.sort(key=lambda place: (-place[0], place[2].task_id))
    return [Placed(task.task_id, kind, task.value, to_score(value)) for value, kind, task in places]


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


def _place_values(filled: Sequence[tuple[str, Ranked]], following: float) -> list[float]:
    """The value by which each task stands in its slot: an informative one's own, of others evenly between those next to
    them, of which the last is `following`."""
    known = {place: task.value for place, (kind, task) in enumerate(filled) if kind == INFORMATIVE}
    places, values = [-1, *known, len(filled)], [1.0, *known.values(), following]
    return [known.get(place, float(np.interp(place, places, values))) for place in range(len(filled))]


def _rank(task: Ranked) -> tuple[float, int]:
    return (-task.value, task.task_id)
