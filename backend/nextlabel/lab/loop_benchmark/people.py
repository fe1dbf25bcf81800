"""Scripted annotators: they label what Label Studio serves, at a person's pace, and note where each task came from."""

import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from nextlabel.lab.loop_benchmark.orders import StudioDatabase
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.tasks import result_of

JITTER = 0.5  # each task takes the pace, up to so much of it less or more
EMPTY_S = 0.5  # before who was served nothing asks again


@dataclass(frozen=True)
class Served:
    """A task was served, at a time of the monotonic clock, from an order's published tasks; `order` is empty when it
    came from elsewhere."""

    at: float
    task: int
    order: str


@dataclass(frozen=True)
class Given:
    """A label was submitted, and the answer was there at this time."""

    at: float
    task: int


class Annotator:
    """One person. `gold` is the right label by the `row` that a task carries."""

    def __init__(
        self,
        studio: LabelStudioClient,
        database: StudioDatabase,
        project: int,
        config: LabelConfig,
        gold: Mapping[int, str],
    ):
        self._studio, self._database, self._project = studio, database, project
        self._config, self._gold = config, gold
        self.served: list[Served] = []
        self.given: list[Given] = []
        self.waits = 0  # for a task, as none was served

    def work(self, seconds: float, pace_s: float, rng: random.Random) -> None:
        """Label until the time is over; what has begun is finished."""
        end = time.monotonic() + seconds
        time.sleep(rng.uniform(0, pace_s))  # people do not begin at once
        while time.monotonic() < end:
            task = self._next()
            if task is None:
                self.waits += 1
                time.sleep(EMPTY_S)
                continue
            task_id, row = task
            think_s = pace_s * rng.uniform(1 - JITTER, 1 + JITTER)
            time.sleep(think_s)
            self._studio.annotate(task_id, result_of(self._config, self._gold[row]), think_s)
            self.given.append(Given(time.monotonic(), task_id))

    def _next(self) -> tuple[int, int] | None:
        before = self._database.followed(self._project)
        # A prediction may be changed into the next order's while Label Studio answers: hence a look before that.
        published = self._database.tasks_of(self._project, before) if before else frozenset()
        task = self._studio.next_task(self._project)
        if task is None:
            return None
        at, after = time.monotonic(), self._database.followed(self._project)
        # Where the queue was switched in between, the older order is the one that knew less.
        order = before if task["id"] in published else self._database.order_of(task["id"], (before, after))
        self.served.append(Served(at, task["id"], order))
        return task["id"], int(task["data"]["row"])


def work_side_by_side(people: Sequence[Annotator], seconds: float, pace_s: float) -> None:
    """All of them, each with jitter of their own, always the same. Raises what stopped one of them."""
    with ThreadPoolExecutor(len(people)) as threads:
        working = [
            threads.submit(person.work, seconds, pace_s, random.Random(number)) for number, person in enumerate(people)
        ]
    for one in working:
        one.result()
