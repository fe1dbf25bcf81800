"""Says on the status board which tasks are served next, and why. Asks nobody anything, and makes no vectors.

What stands there is what is published in the order that the queue follows, without what was labelled or skipped since.
Of a task of the control set or an audit no guess may be seen, and neighbours with their labels would be one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nextlabel.errors import NextlabelError
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.composer import CONTROL, INFORMATIVE
from nextlabel.learning.neighbours import nearest
from nextlabel.learning.wanted import WANTED
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.orders import Order
from nextlabel.loop.publishing import Publication
from nextlabel.loop.said import scores_of
from nextlabel.loop.starting import PLACES, place_of
from nextlabel.problems import next_words
from nextlabel.problems.form import OneQuestion, measured
from nextlabel.store.pool import EMBEDDINGS, FEATURES, Pool
from nextlabel.store.status import StatusBoard
from nextlabel.values.arrays import Array
from nextlabel.values.layout import labels_in
from nextlabel.values.next_tasks import AUDIT, NOTHING_NEXT, START, Neighbour, NextTask, NextTasks
from nextlabel.values.versions import Card, is_audit
from nextlabel.versions.judging import card_of
from nextlabel.versions.registry import Registry

SHOWN = 10
NEAREST = 3  # labelled tasks that are shown of each
COMPARED = 20_000  # of more labelled tasks those with the highest ids are looked at: 15 MB in 384 dimensions
SEEN = (INFORMATIVE, WANTED, START)  # kinds of which a guess may be seen; of others none, whatever they will be
RANDOM, FARTHEST = "random", "farthest"


@dataclass(frozen=True)
class Served:
    """What the queue follows: an `order`, of the version of the `card` if there is one, as it was published. `way` is
    that of the start order, `labels` how many there are."""

    config: LabelConfig
    order: Order
    card: Card | None
    published: Publication
    way: str
    labels: int


class NextTasksTeller:
    """Tells anew whenever other tasks come next, or there are other labels."""

    def __init__(
        self, registry: Registry, board: StatusBoard, embedder: Embedder, now: Callable[[], float] = time.time
    ):
        self._registry, self._board, self._embedder, self._now = registry, board, embedder, now
        self._told: dict[int, tuple[object, ...]] = {}  # what was last told of a project is of that

    def forget(self, project: int) -> None:
        """Nothing is known to come next, as the queue does not follow us."""
        self._told.pop(project, None)
        if self._board.next_tasks(project) != NOTHING_NEXT:
            self._board.put_next_tasks(project, NOTHING_NEXT)

    def look(self, pool: Pool, project: int, served: Served) -> None:
        """Tell what comes next."""
        kinds = _kinds(pool, served)
        made_of = (served.order.name, tuple(kinds.items()), served.labels, served.config.labels)
        there = self._board.next_tasks(project)  # another trainer may have told something else meanwhile
        same = (there.order, [task.task for task in there.tasks]) == (served.order.name, list(kinds))
        if same and self._told.get(project) == made_of:
            return
        tasks = self._tasks(pool, served, kinds)
        self._board.put_next_tasks(project, NextTasks(self._now(), served.order.name, tasks))
        self._told[project] = made_of

    def _tasks(self, pool: Pool, served: Served, kinds: Mapping[int, str]) -> tuple[NextTask, ...]:
        seen = [task for task, kind in kinds.items() if kind in SEEN]
        values, skipped = served.order.values(seen), set(pool.open_numbers(skipped=True)[0].tolist())
        labels, probs_of = self._said(pool, served, seen)
        near, question = self._neighbours(pool, served, seen), _question(served)
        found = []
        for rank, (task, kind) in enumerate(kinds.items(), 1):
            probs_C = probs_of.get(task)
            why = _why(served, task, kind, values.get(task), labels, probs_C)
            why = f"{why}; {next_words.SKIPPED}" if task in skipped else why
            likely = None if probs_C is None else int(probs_C.argmax())
            label = None if likely is None else labels[likely]
            probability = None if probs_C is None else round(float(probs_C.max()), 6)
            said = (values.get(task), label, probability, near.get(task, ()), question if label else "")
            found.append(NextTask(task, kind, rank, why, *said))
        return tuple(found)

    def _said(self, pool: Pool, served: Served, tasks: Sequence[int]) -> tuple[tuple[str, ...], Mapping[int, Array]]:
        """Labels, and the probability of each by task; of a form they are of one question."""
        if served.card is None or not tasks:
            return (), {}
        scores = scores_of(pool, self._registry, served.card, served.order.name, tasks)
        card = card_of(self._registry, served.card, served.order.name)
        about, labels, probs_NC = measured(served.config.question), card.labels, scores.probs_NC
        if isinstance(about, OneQuestion):
            labels, probs_NC = about.labels_of(card.layout), about.narrowed(card.layout, probs_NC)
        known = dict(zip(scores.ids_N.tolist(), probs_NC, strict=True)) if len(labels) else {}
        return labels, known

    def _neighbours(self, pool: Pool, served: Served, tasks: Sequence[int]) -> Mapping[int, tuple[Neighbour, ...]]:
        """By what the version's last layer reads of the texts or, without that, by their base embeddings."""
        if not tasks:
            return {}
        labels = pool.labels(served.config.question, holdout=False)
        known = sorted(labels)[-COMPARED:]
        for kind, name in self._vectors(served.card):
            ids_M, points_MD = pool.vectors(kind, name, tasks)
            known_N, known_ND = pool.vectors(kind, name, known)
            if len(ids_M) and len(known_N):
                places_MK, cosines_MK = nearest(points_MD, known_ND, NEAREST)
                return {
                    int(task): tuple(
                        Neighbour(int(known_N[place]), _label_of(served, labels[int(known_N[place])]), round(cosine, 4))
                        for place, cosine in zip(places_K.tolist(), cosines_K.tolist(), strict=True)
                    )
                    for task, places_K, cosines_K in zip(ids_M, places_MK, cosines_MK, strict=True)
                }
        return {}

    def _vectors(self, card: Card | None) -> Sequence[tuple[str, str]]:
        """Kinds and names of vectors, the best first."""
        of_version = [(FEATURES, card.version)] if card and card.features else []
        try:
            return [*of_version, (EMBEDDINGS, self._embedder.name)]
        except NextlabelError:  # of the checkpoint, which the look at it tells people
            return of_version


def _kinds(pool: Pool, served: Served) -> dict[int, str]:
    """The tasks that come next, in their order, with the kind of each."""
    composed = {task.task_id: task.kind for task in served.published.head}
    others = [task for task, kind in composed.items() if kind not in (*SEEN, CONTROL)]
    tasks = pool.upcoming(served.order.name, SHOWN, others)
    reserved, usual = pool.reserved(tasks), START if served.card is None else INFORMATIVE
    kinds = {task: composed.get(task, INFORMATIVE) for task in tasks}
    if is_audit(served.order.name):
        return dict.fromkeys(tasks, AUDIT)
    return {
        task: CONTROL if task in reserved else usual if kind == INFORMATIVE else kind for task, kind in kinds.items()
    }


def _why(
    served: Served, task: int, kind: str, value: float | None, labels: Sequence[str], probs_C: Array | None
) -> str:
    if kind in (CONTROL, AUDIT):
        return next_words.CONTROL if kind == CONTROL else next_words.AUDIT
    if kind not in (START, INFORMATIVE):
        return served.published.why.get(task, kind)
    return _why_at_the_start(served.way, value) if kind == START else _why_informative(served, labels, probs_C)


def _why_informative(served: Served, labels: Sequence[str], probs_C: Array | None) -> str:
    if served.card and served.card.strategy == RANDOM:
        return next_words.DRAWN
    if probs_C is None or len(labels) < 2:
        return next_words.NOT_SAID
    return next_words.of_guess(labels, probs_C.tolist(), _question(served))


def _question(served: Served) -> str:
    """The one of a form that guesses are about; empty where it is the only one."""
    about = measured(served.config.question)
    return about.name if isinstance(about, OneQuestion) else ""


def _why_at_the_start(way: str, value: float | None) -> str:
    if value is None or place_of(value) >= PLACES:
        return next_words.DRAWN
    return next_words.FAR if way == FARTHEST else next_words.TYPICAL


def _label_of(served: Served, answer: str) -> str:
    """An answer as people read it: of a form all of its labels."""
    return ", ".join(labels_in(answer, served.config.question.layout)) or answer
