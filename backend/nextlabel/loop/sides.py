"""Tasks that come next for another reason than being informative, each kind in places of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nextlabel.learning.composer import INFORMATIVE, Slots
from nextlabel.values.queue import Ranked

LOOKED_AT = 8  # times as many tasks as are wanted are looked at before there may be fewer: some may be kept back


@dataclass(frozen=True)
class Side:
    """One kind: its `tasks`, best first, and the `places` of the queue's head, counted from 0, that belong to it.

    Tasks of a `hidden` kind are not of the pool: no order values them, and no guess of theirs is shown. `why` says in
    words why a task is of the kind, where that differs from one to the next. `turns` are, for each place, those of the
    tasks that come into it rather than others, best first.
    """

    kind: str
    tasks: Sequence[int]
    places: Collection[int]
    hidden: bool = False
    why: Mapping[int, str] = field(default_factory=dict)
    turns: Sequence[Sequence[int]] = ()

    def in_turn(self, free: Sequence[Ranked]) -> list[Ranked]:
        """Those of its tasks that are free, first those whose turn it is in its places."""
        left = {task.task_id: task for task in free}
        first = list[Ranked]()
        for turn in self.turns:
            chosen = next((task_id for task_id in turn if task_id in left), None)
            first += [] if chosen is None else [left.pop(chosen)]
        return [*first, *left.values()]


def slots(sides: Sequence[Side], depth: int) -> Slots:
    """The kind of each place. Of two kinds that want one, the first has it, and the other takes the next free one."""
    taken: dict[int, str] = {}
    for side in sides:
        for wanted in sorted(side.places):
            free = next((place for place in range(wanted, depth) if place not in taken), None)
            if free is not None:
                taken[free] = side.kind
    return lambda place: taken.get(place, INFORMATIVE)


def hidden(sides: Sequence[Side]) -> Mapping[int, str]:
    """The kind of each task that is hidden."""
    return {task: side.kind for side in sides if side.hidden for task in side.tasks}


def reasons(sides: Sequence[Side]) -> Mapping[int, str]:
    """Why each task is of its kind, as far as a side says it; the first one's words count."""
    return {task: why for side in reversed(sides) for task, why in side.why.items()}
