"""A project that two annotators label by a model's order, with a control set in between: one replay, on frozen
embeddings or with versions that are fitted. The draw, the composer, the marks and the judgement are those of the live
loop."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import numpy as np

from nextlabel.learning import auto_recipe
from nextlabel.learning.composer import CONTROL, INFORMATIVE, compose
from nextlabel.learning.control import Control, asked_for, control_set, places
from nextlabel.learning.judging import ANSWERED, OPEN, SKIPPED, ControlText, Said, judge, judged_to
from nextlabel.learning.start_order import start_order
from nextlabel.learning.strategies import acquire, most_informative_first
from nextlabel.model import training
from nextlabel.model.checkpoints import width
from nextlabel.model.classifier import Recipe
from nextlabel.problems import quality
from nextlabel.problems.judgement import Judgement
from nextlabel.simulation.confusion_tables import ConfusionTable
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.renewals import START, START_LABELS, fitted
from nextlabel.simulation.starts import Frozen, frozen_parts
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example, Key, key_of
from nextlabel.values.queue import Ranked

SHARE = 0.1  # of the pool that is the control set
EVERY = 8  # labels after which the head is fitted again
FIT_EVERY = 64  # labels after which a version is, where there are any
DEPTH = 13  # of the queue, as the live loop publishes it of a head for two annotators
SKIPS = 0.05  # of what the second annotator is served; where hard texts are skipped, on average over all texts
IMPORTED = 1 / 3  # of the pool, which comes later


@dataclass(frozen=True)
class Source:
    """The texts of a corpus, of copies one: keys and embeddings with right classes, by position; the classes' names;
    the texts themselves, where versions are to be fitted."""

    name: str
    keys: Sequence[Key]
    points: Frozen
    labels: tuple[str, ...]
    examples: Sequence[Example] = ()


def source_of(name: str, data: TextSet, recipe: Recipe) -> Source:
    """The texts that `frozen_parts` embeds, of training part and test. Raises `NoModelError` for no checkpoint."""
    parts = frozen_parts(data, recipe)
    points_ND, targets_N = (
        np.concatenate(rows) for rows in zip(*((part.points_ND, part.targets_N) for part in parts), strict=True)
    )
    rows = [*data.train[: len(parts[0].targets_N)], *data.test[: len(parts[1].targets_N)]]
    first: dict[Key, int] = {}
    for place, (example, _) in enumerate(rows):
        first.setdefault(key_of(example), place)
    chosen = list(first.values())
    examples = [replace(rows[place][0], id=number) for number, place in enumerate(chosen)]
    return Source(name, list(first), Frozen(points_ND[chosen], targets_N[chosen]), data.labels, examples)


class Versions(Protocol):
    """What makes a version of the labels of texts at `known` places of a source."""

    def fit(self, known: Sequence[int], seed: int) -> tuple[Array, Array]:
        """Of all texts what it says, (N, C), and what its last layer reads, (N, D), of unit length."""


class FittedVersions:
    """Versions that are fitted as those of a new project."""

    def __init__(self, source: Source, base: Recipe):
        self._source, self._base = source, base

    def fit(self, known: Sequence[int], seed: int) -> tuple[Array, Array]:
        """By the automatic recipe. Raises as `training.fit` does."""
        recipe = replace(
            self._base,
            steps=auto_recipe.steps(len(known)),
            learning_rate=auto_recipe.learning_rate(width(self._base.base_model)),
            batch_size=auto_recipe.BATCH,
            seed=seed,
            **auto_recipe.FIXED,
        )
        source, places_M = self._source, list(known)
        learnt = [source.examples[place] for place in places_M]
        version = training.fit(recipe, source.labels, learnt, source.points.targets_N[places_M])
        probs_NC, features_ND = version.predict_with_features(source.examples, exact=False)
        lengths_N1 = np.linalg.norm(features_ND.astype(np.float64), axis=1, keepdims=True)
        return probs_NC, features_ND / np.maximum(lengths_N1, 1e-12)


@dataclass(frozen=True)
class Look:
    """What the control set says of the head or version in force, and what is so: how it takes new texts, and the share
    of the pool's tasks without a label, of those that the figures are about, of which it is right."""

    judgement: Judgement
    new: ConfusionTable
    left: float


class Project:
    """One replay. Tasks are numbered as they are imported; after the pool's come those that are never imported."""

    def __init__(
        self,
        source: Source,
        replay: int,
        import_at: int,
        hard_skips: bool = False,
        versions: Versions | None = None,
    ):
        self._replay, self._versions = replay, versions
        self._rng = np.random.default_rng([replay, *source.name.encode()])
        self._order_N = order_N = self._rng.permutation(len(source.keys))
        self._points = Frozen(source.points.points_ND[order_N], source.points.targets_N[order_N])
        self._labels, self._pool, self._import_at = source.labels, 2 * len(order_N) // 3, import_at
        self._there = self._pool - int(IMPORTED * self._pool)  # tasks that are imported so far
        number_of = {source.keys[place]: number for number, place in enumerate(order_N[: self._pool].tolist())}
        rule = Control(f"{source.name} {replay}", SHARE)  # tasks in their order, with their draws
        self._control = {number_of[key]: rule.drawn_key(key) for key in control_set(rule.seed, number_of, SHARE)}
        self._of_pool_N = ~np.isin(np.arange(self._pool), list(self._control))
        self._given: list[int] = []  # tasks in the order of their labels
        self._skipped: list[int] = []  # by the second annotator
        self._held: list[int | None] = [None, None]
        self._marked: set[int] = set()
        self._judged_to = self._there - 1
        self._probs_NC: Array = np.empty((0, 0))  # what the head or version in force says of all texts, if there is one
        self._skips_N = self._hard_skips() if hard_skips else np.full(self._pool, SKIPS)
        self._start(replay)

    def _hard_skips(self) -> Array:
        """How likely each task is skipped: from never to four times `SKIPS`, with the cube of its place by difficulty.
        Hard is what a head that knows the right classes of all other texts can hardly tell."""
        head = fitted(self._points, list(range(self._pool, len(self._points.targets_N))))
        probs_NC = head.probabilities(self._points.points_ND[: self._pool])
        places_N = acquire("margin", probs_NC[:, None, :], np.zeros(self._pool)).argsort().argsort() / self._pool
        return np.asarray(4 * SKIPS * places_N**3)

    def _start(self, seed: int) -> None:
        """Order the tasks without a head."""
        tasks_N = np.flatnonzero(self._of_pool_N[: self._there])
        first_N = tasks_N[start_order(START, self._points.points_ND[tasks_N], START_LABELS, seed)]
        rest_N = self._rng.permutation(np.setdiff1d(tasks_N, first_N))
        order_N = np.concatenate([first_N, rest_N, np.flatnonzero(self._of_pool_N)[len(tasks_N) :]])
        self._values_N: Array = np.zeros(self._pool)
        self._values_N[order_N] = np.linspace(1, 0, len(order_N))
        self._begin_order()

    def _fit(self) -> None:
        """Fit a head, or a version if it is time, to all labels but those of the control set, as soon as two classes
        have one."""
        learnt = [task for task in self._given if self._of_pool_N[task]]
        if len(np.unique(self._points.targets_N[learnt])) < 2:
            return
        probs_NC = self._version(learnt) if self._versions and len(self._given) % FIT_EVERY == 0 else self._head(learnt)
        self._learnt, self._probs_NC = learnt, probs_NC
        self._values_N = acquire("margin", probs_NC[: self._pool, None, :], np.zeros(self._pool))
        self._begin_order()

    def _head(self, learnt: Sequence[int]) -> Array:
        return fitted(self._points, learnt).probabilities(self._points.points_ND)

    def _version(self, learnt: Sequence[int]) -> Array:
        """Heads are fitted on what it makes of the texts from now on."""
        assert self._versions is not None
        probs_NC, features_ND = self._versions.fit(self._order_N[list(learnt)].tolist(), self._replay)
        self._points = replace(self._points, points_ND=features_ND[self._order_N])
        return probs_NC[self._order_N]

    def _begin_order(self) -> None:
        self._best_first = most_informative_first(self._values_N)
        self._lowest = math.inf  # value that was labelled in this order
        self._published: set[int] = set()  # tasks that stood in the queue by their value in this order

    def _compose(self) -> None:
        """Make the queue, as the live loop does."""
        given = set(self._given)
        done = given | set(self._skipped)
        waiting = (task for task in self._best_first.tolist() if task < self._there and self._of_pool_N[task])
        fresh = list(islice((task for task in waiting if task not in done), DEPTH + 1))
        again = [task for task in self._skipped if self._of_pool_N[task] and task not in given]
        control = [task for task in self._control if task < self._there and task not in done][:DEPTH]
        due = places(SHARE, self._since_control(), [self._control[task] for task in control], others=1)
        ranked = {INFORMATIVE: self._ranked(fresh), CONTROL: [Ranked(task, 0.0) for task in control]}
        placed = compose(ranked, lambda at: CONTROL if at in due else INFORMATIVE, DEPTH, self._ranked(again))
        self._queue = [place.task_id for place in placed]
        self._published.update(task for task in self._queue if self._of_pool_N[task])

    def _ranked(self, tasks: Sequence[int]) -> list[Ranked]:
        return list(map(Ranked, tasks, self._values_N[list(tasks)].tolist()))

    def _since_control(self) -> int:
        return next((n for n, task in enumerate(reversed(self._given)) if not self._of_pool_N[task]), len(self._given))

    def looks(self, counts: Collection[int]) -> dict[int, Look]:
        """By label count; none where there was no head yet."""
        found = {}
        while len(self._given) < max(counts):
            self._compose()
            if self._answer():
                if len(self._given) in counts and len(self._probs_NC):
                    found[len(self._given)] = self._look()
                self._learn()
        return found

    def _answer(self) -> bool:
        """One of the annotators answers, or skips, what is held, and is served the next task before the queue is made
        anew."""
        annotator = int(self._rng.integers(2))
        task = self._held[annotator]
        if task is None:
            self._held[annotator] = self._served(annotator)
            return False
        skips = annotator == 1 and self._rng.random() < self._skips_N[task]
        (self._skipped if skips else self._given).append(task)
        if not skips:
            self._mark(task)
        if not self._of_pool_N[task]:
            self._judged_to = judged_to(self._texts(), self._judged_to, self._there - 1)
        self._held[annotator] = self._served(annotator)
        return not skips

    def _served(self, annotator: int) -> int | None:
        taken = {*self._held, *self._given, *(self._skipped if annotator == 1 else ())}
        return next((task for task in self._queue if task not in taken), None)

    def _mark(self, task: int) -> None:
        """The texts of the control set that this order would have asked for by now."""
        if not len(self._probs_NC) or task not in self._published or self._values_N[task] >= self._lowest:
            return
        self._lowest = float(self._values_N[task])
        control_N: Ints = np.array([task for task in self._control if task < self._there], dtype=np.int64)
        self._marked.update(asked_for(control_N, self._values_N[control_N], self._lowest))

    def _learn(self) -> None:
        """What the live loop does after a label."""
        if len(self._given) == self._import_at:
            self._there = self._pool
        if len(self._given) >= START_LABELS and len(self._given) % EVERY == 0:
            self._fit()

    def _texts(self) -> list[ControlText]:
        given, skipped = set(self._given), set(self._skipped)
        return [
            ControlText((task,), ANSWERED, self._labels[self._points.targets_N[task]], task in self._marked)
            if task in given
            else ControlText((task,), SKIPPED if task in skipped else OPEN)
            for task in self._control
            if task < self._there
        ]

    def _look(self) -> Look:
        texts = self._texts()
        self._judged_to = judged_to(texts, self._judged_to, self._there - 1)
        said = Said("head", self._labels, {task: self._probs_NC[task] for task in self._control}, self._learnt)
        judgement = judge(SHARE, texts, self._judged_to, self._labels, said, noted=True)
        is_left_N = self._of_pool_N & (np.arange(self._pool) <= self._judged_to)
        is_left_N[self._given] = False
        new_N, left_N = np.arange(self._pool, len(self._points.targets_N)), np.flatnonzero(is_left_N)
        return Look(judgement, self._table(new_N), self._table(left_N).accuracy)

    def _table(self, tasks_N: Ints) -> ConfusionTable:
        guessed_N: Ints = self._probs_NC[tasks_N].argmax(axis=1)
        return ConfusionTable("", quality.confusion(self._points.targets_N[tasks_N], guessed_N, len(self._labels)))
