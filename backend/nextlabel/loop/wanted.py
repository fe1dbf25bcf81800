"""Which tasks stand in the slots of wanted classes: those near texts that a person looks for, and likely ones."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nextlabel.errors import NextlabelError
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.wanted import ENOUGH, IN_VAIN, WANTED, best_first, in_turn, near, places, turns
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.orders import Order
from nextlabel.loop.sides import LOOKED_AT, Side
from nextlabel.problems import next_words
from nextlabel.store.pool import EMBEDDINGS, Pool
from nextlabel.values.arrays import Array
from nextlabel.values.layout import labels_in
from nextlabel.values.options import ANY, ProjectOptions
from nextlabel.values.queue import Placed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Want:
    """A class of which more labels are wanted, or `ANY`: `texts` to look for, and the `tasks` that are labelled so, of
    a `target`, which `ANY` has not."""

    label: str
    texts: tuple[str, ...]
    tasks: tuple[int, ...]
    target: int | None

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.target is not None and len(self.tasks) >= self.target

    def progress(self) -> dict[str, int | None]:
        """For people: how many labels there are, of how many."""
        return {"labels": len(self.tasks), "target": self.target}


def wants_of(options: ProjectOptions, config: LabelConfig, labels: Mapping[int, str]) -> list[Want]:
    """What a project wants. Labels that the config does not have are left out."""
    named = dict.fromkeys([*options.look_for, *options.class_targets])
    return [
        Want(
            label,
            options.look_for.get(label, ()),
            tuple(task for task, given in labels.items() if label in labels_in(given, config.question.layout)),
            None if label == ANY else options.class_targets.get(label, ENOUGH),
        )
        for label in named
        if label in (ANY, *config.labels)
    ]


@dataclass
class _Tried:
    """The tasks that stood in slots since the class had so many `labels`, of those that were `offered` last."""

    labels: int = 0
    tasks: set[int] = field(default_factory=set)
    offered: list[int] = field(default_factory=list)

    def in_vain(self, pool: Pool, labels: int, most: int) -> bool:
        """Whether `most` of them are labelled, and nothing is of the class, so that it is in vain to go on. It is not
        from the next label of the class on."""
        if labels > self.labels:
            self.tasks.clear()
        self.labels = labels
        return len({*pool.last_answered(self.tasks)} - pool.reserved(self.tasks)) >= most


class WantedTasks:
    """Finds the tasks of wanted classes. What a person looks for is embedded, and what was tried known, once in a
    process."""

    def __init__(self, embedder: Embedder):
        self._embedder = embedder
        self._texts: dict[tuple[str, str], Array] = {}
        self._tried: dict[int, dict[tuple[object, ...], _Tried]] = {}

    def side(
        self,
        pool: Pool,
        project: int,
        order: Order,
        wants: Sequence[Want],
        done: int,
        depth: int,
        pointless: Collection[int] = (),
    ) -> Side:
        """Their slots among `depth` places, which follow `done` tasks that were answered or skipped, and more tasks
        than those take, as copies may be kept out of them, but none that is `pointless`. No tasks where nothing is
        wanted any more, nothing is near, or the last ones were all something else."""
        slots = places(done, depth)
        wanted = [want for want in wants if not want.met]
        found = [self._of(pool, project, order, want, LOOKED_AT * depth, pointless) for want in wanted]
        found = [(words, tasks) for words, tasks in found if tasks]
        why = {task: words for words, tasks in reversed(found) for task in tasks}
        lists = [tasks for _, tasks in found]
        whose = [lists[turn] for turn in turns(done, depth, len(lists))] if lists else []
        return Side(WANTED, in_turn(lists), slots, why=why, turns=whose)

    def stood(self, project: int, head: Sequence[Placed]) -> None:
        """Note which tasks stand in slots of the queue's head."""
        in_slots = {task.task_id for task in head if task.kind == WANTED}
        for tried in self._tried.get(project, {}).values():
            tried.tasks |= in_slots.intersection(tried.offered)

    def _of(
        self, pool: Pool, project: int, order: Order, want: Want, most: int, pointless: Collection[int]
    ) -> tuple[str, list[int]]:
        """At most so many tasks for a class, best first: by an order that knows labels of it, before that by
        embeddings; and in words, which of both. Of `ANY` nobody can tell whether they were in vain, but they end."""
        of_project = self._tried.setdefault(project, {})
        tried = of_project.setdefault((want.label, want.texts, want.target), _Tried())
        if tried.in_vain(pool, len(want.tasks), ENOUGH if want.label == ANY else IN_VAIN):
            return "", []
        chances = order.chances(want.label)
        if chances is not None:
            words, found = next_words.likely(want.label), best_first(*chances)
        else:
            near_texts = next_words.like_given("" if want.label == ANY else want.label)
            words = near_texts if want.texts else next_words.like_labelled(want.label)
            found = self._near(pool, want)
        tried.offered = [task for task in found if task not in pointless][:most]
        return words, tried.offered

    def _near(self, pool: Pool, want: Want) -> list[int]:
        """Those of the tasks with an embedding that are near the texts, or, where there are none, near the labels."""
        ids_N, numbers_N = pool.open_numbers(skipped=False)
        try:
            name = self._embedder.name
            texts_MD = self._embedded(want.texts) if want.texts else pool.vectors(EMBEDDINGS, name, want.tasks)[1]
        except NextlabelError as error:
            log.warning("nothing is known to be near what is looked for: %s", error)
            return []
        latest = pool.latest_vectors(EMBEDDINGS, name)
        known_N = latest.knows(numbers_N)
        return near(ids_N[known_N], latest.of(numbers_N[known_N])["vector"], texts_MD)

    def _embedded(self, texts: Sequence[str]) -> Array:
        name = self._embedder.name
        missing = [text for text in texts if (name, text) not in self._texts]
        if missing:
            made = self._embedder.of_texts(missing)
            self._texts |= {(name, text): made_D for text, made_D in zip(missing, made, strict=True)}
        return np.stack([self._texts[name, text] for text in texts])
