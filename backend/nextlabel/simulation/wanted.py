"""What a rare class gains by slots of the queue for tasks that are near it or likely, and what the others pay for that.

A class of each corpus is thinned out to 1 % of the pool; a logistic regression on frozen embeddings orders by margin.
Knows no fits of a transformer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning.composer import INFORMATIVE, compose
from nextlabel.learning.start_order import start_order
from nextlabel.learning.strategies import acquire, most_informative_first
from nextlabel.learning.wanted import WANTED, best_first, near, places
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.simulation import baselines
from nextlabel.simulation.cells import kept, setting_of
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.renewals import START, START_LABELS, fitted
from nextlabel.simulation.starts import Frozen, frozen_parts
from nextlabel.simulation.verdicts import difference
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example
from nextlabel.values.queue import Ranked

SHARE = 0.01  # of the pool that is of the rare class
DRAWN = 0.75  # of the texts of all other classes that a pool has, if that is not too many
TEXTS = 3  # of the rare class that are looked for; none of them is in the pool
RENEWED = 5  # labels
BASE = "margin"
NEAR, LIKELY = "near", "likely"


@dataclass(frozen=True)
class Way:
    """What is looked for: `texts` that are given, the class's `name`, or nothing before it has a label. Once it has
    one, what is `then` LIKELY by the regression, or NEAR to texts and labels. One in `every` labels, up to a `target`
    of labels of the class."""

    texts: bool = False
    name: bool = False
    then: str = LIKELY
    every: int = 3
    target: int | None = None


WAYS: Mapping[str, Way | None] = {
    BASE: None,
    "3 texts": Way(texts=True),
    "3 texts, 1 in 5": Way(texts=True, every=5),
    "3 texts, near": Way(texts=True, then=NEAR),
    "its name": Way(name=True),
    "target 10": Way(target=10),
    "3 texts, target 10": Way(texts=True, target=10),
}
ABOUT = f"""\
A logistic regression (C = {baselines.C:g}) on the base encoder's frozen embeddings, fitted again after every {RENEWED}
labels; the first {START_LABELS} come in the order of `{START}`, the others by margin. One class is thinned out to 1 %
of the pool, with every seed another one, in turn among those that have texts enough; in test its examples weigh so
little that it is as rare there.

One label in 3, or in 5 where that is said, is for the class: what is near texts of it that are not in the pool, or near
its name; from its first label on (with a target alone: only then) what is likely by the regression, or near all along;
in two ways until it has 10 labels. Means over seeds; then the difference to `{BASE}`, paired by seed, with Student's
95 % interval."""
MEASURES: Mapping[str, str] = {
    "found": "Labels of the rare class",
    "f1": "F1 of the rare class",
    "others": "Mean F1 of the other classes",
    "macro_f1": "Macro-F1",
}


@dataclass(frozen=True)
class WantedPlan:
    """Rising label counts, seeds, and how many texts at most a pool has."""

    labels: Sequence[int]
    seeds: Sequence[int]
    pool: int


@dataclass(frozen=True)
class Cell:
    """A way at one label count of a corpus, by seed: labels of the rare class, its F1, the mean F1 of the others, and
    that of all, on a test in which the class is as rare as in the pool. `rare` texts are in the pool, on average."""

    corpus: str
    labels: int
    way: str
    rare: float
    found: tuple[float, ...]
    f1: tuple[float, ...]
    others: tuple[float, ...]
    macro_f1: tuple[float, ...]


def play(directory: Path, plan: WantedPlan, base_model: str, out: Path) -> list[Cell]:
    """The cells of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or no class has texts enough.
    """
    data, word_pieces = fetched.read_single(directory)

    def cells() -> Iterator[Cell]:
        recipe = Recipe(base_model, 0, 0.0, 1, word_pieces, 0)
        names = [Example(number, label) for number, label in enumerate(data.labels)]
        names_CD = classifiers.load_base(recipe).embed(names)
        return _play(directory.name, *frozen_parts(data, recipe), names_CD, plan)

    return [Cell(**cell) for cell in kept(out / f"{directory.name}.json", setting_of(plan, base_model, data), cells)]


def _play(corpus: str, train: Frozen, test: Frozen, names_CD: Array, plan: WantedPlan) -> Iterator[Cell]:
    scenes = [_Scene.of(corpus, train, plan, seed) for seed in plan.seeds]
    rare = float(np.mean([np.sum(scene.pool.targets_N == scene.rare) for scene in scenes]))
    for name, way in WAYS.items():
        orders = [scene.order(way, names_CD, plan.labels[-1]) for scene in scenes]
        for labels in plan.labels:
            scored = [scene.scored(order[:labels], test) for scene, order in zip(scenes, orders, strict=True)]
            measures = {measure: tuple(found[measure] for found in scored) for measure in MEASURES}
            yield Cell(corpus, labels, name, rare, **measures)


@dataclass(frozen=True)
class _Scene:
    """A pool in which a class is rare, texts of that class beside it, and the order of the start."""

    pool: Frozen
    rare: int
    texts_MD: Array
    start: Sequence[int]

    @classmethod
    def of(cls, corpus: str, train: Frozen, plan: WantedPlan, seed: int) -> "_Scene":
        """With every seed another class is rare, in turn."""
        rng = np.random.default_rng(seed)
        counts_C = np.bincount(train.targets_N)
        sizes_C = np.minimum(plan.pool, DRAWN * (len(train.targets_N) - counts_C)).astype(int)
        rare_C = np.maximum(1, np.round(sizes_C * SHARE / (1 - SHARE)).astype(int))
        possible = np.flatnonzero((counts_C >= rare_C + TEXTS) & (sizes_C >= plan.labels[-1]))
        if not len(possible):
            raise BadRunError(f"No class of {corpus} has texts enough for {plan.labels[-1]} labels. Give fewer.")
        rare = int(possible[seed % len(possible)])
        of_class = rng.permutation(np.flatnonzero(train.targets_N == rare))
        others = rng.permutation(np.flatnonzero(train.targets_N != rare))[: sizes_C[rare]]
        drawn = rng.permutation(np.concatenate([of_class[TEXTS : TEXTS + rare_C[rare]], others]))
        pool = Frozen(train.points_ND[drawn], train.targets_N[drawn])
        start = start_order(START, pool.points_ND, START_LABELS, seed).tolist()
        return cls(pool, rare, train.points_ND[of_class[:TEXTS]], start)

    def order(self, way: Way | None, names_CD: Array, labels: int) -> list[int]:
        """The positions in the order in which they are labelled."""
        known: list[int] = []
        while len(known) < labels:
            left = np.setdiff1d(np.arange(len(self.pool.targets_N)), known)
            starting = len(known) < START_LABELS
            probs_NC = None if starting else fitted(self.pool, known).probabilities(self.pool.points_ND[left])
            lists = {INFORMATIVE: self._informative(left, known, probs_NC)}
            depth, slots = min(RENEWED, labels - len(known)), list[int]()
            if way is not None:
                lists[WANTED] = [Ranked(place, 0.0) for place in self._wanted(way, left, known, probs_NC, names_CD)]
                slots = places(len(known), depth, way.every)
            kinds = [WANTED if place in slots else INFORMATIVE for place in range(depth)]
            known += [task.task_id for task in compose(lists, kinds.__getitem__, depth)]
        return known

    def _informative(self, left: Ints, known: Sequence[int], probs_NC: Array | None) -> list[Ranked]:
        if probs_NC is None:
            waiting = [position for position in self.start if position not in set(known)]
            return [Ranked(position, 1 - place / len(self.start)) for place, position in enumerate(waiting)]
        values_N = acquire("margin", probs_NC[:, None, :], np.zeros(len(left)))
        best = most_informative_first(values_N)
        return list(map(Ranked, left[best].tolist(), values_N[best].tolist()))

    def _wanted(self, way: Way, left: Ints, known: Sequence[int], probs_NC: Array | None, names_CD: Array) -> list[int]:
        mine = [position for position in known if self.pool.targets_N[position] == self.rare]
        if way.target is not None and len(mine) >= way.target:
            return []
        if mine and probs_NC is not None and way.then == LIKELY:
            return best_first(left, probs_NC[:, self.rare])
        texts_MD = self.texts_MD if way.texts else names_CD[[self.rare]] if way.name else self.pool.points_ND[mine]
        if mine and way.then == NEAR:
            texts_MD = np.concatenate([texts_MD, self.pool.points_ND[mine]])
        return near(left, self.pool.points_ND[left], texts_MD)

    def scored(self, known: Sequence[int], test: Frozen) -> Mapping[str, float]:
        """By measure."""
        guessed_N = fitted(self.pool, known).probabilities(test.points_ND).argmax(axis=1)
        f1_C = f1_of_thinned(test.targets_N, guessed_N, self.rare)
        found = float(np.sum(self.pool.targets_N[list(known)] == self.rare))
        others = float(np.mean([f1 for label, f1 in f1_C.items() if label != self.rare]))
        return {
            "found": found,
            "f1": f1_C[self.rare],
            "others": others,
            "macro_f1": float(np.mean(list(f1_C.values()))),
        }


def f1_of_thinned(targets_N: Ints, guessed_N: Ints, rare: int) -> dict[int, float]:
    """F1 of each class that has examples, were the rare one `SHARE` of the test: its examples weigh less."""
    is_rare_N = targets_N == rare
    weight = SHARE / (1 - SHARE) * np.sum(~is_rare_N) / max(1, np.sum(is_rare_N))
    weights_N = np.where(is_rare_N, weight, 1.0)
    found = {}
    for label in np.unique(targets_N).tolist():
        right = float(np.sum(weights_N[(targets_N == label) & (guessed_N == label)]))
        wrong = float(np.sum(weights_N[(targets_N == label) != (guessed_N == label)]))
        found[label] = 2 * right / (2 * right + wrong) if right else 0.0
    return found


def to_markdown(cells: Sequence[Cell]) -> str:
    """For each label count and measure corpora x ways: the mean, but of `BASE` also the mean difference to it with
    Student's 95 % interval."""
    counts = sorted({cell.labels for cell in cells})
    return "\n\n".join(
        f"## {labels} labels\n\n"
        + "\n\n".join(f"{words}:\n\n{_table(labels, measure, cells)}" for measure, words in MEASURES.items())
        for labels in counts
    )


def _table(labels: int, measure: str, cells: Sequence[Cell]) -> str:
    of = {(cell.corpus, cell.way): cell for cell in cells if cell.labels == labels}
    corpora, ways = list(dict.fromkeys(corpus for corpus, _ in of)), list(WAYS)
    rows = [
        [
            f"{corpus} ({of[corpus, BASE].rare:.0f} in the pool)" if measure == "found" else corpus,
            *(_shown(measure, of[corpus, way], of[corpus, BASE]) for way in ways),
        ]
        for corpus in corpora
    ]
    means = [float(np.mean([np.mean(getattr(of[corpus, way], measure)) for corpus in corpora])) for way in ways]
    return markdown.table(["corpus", *ways], [*rows, ["mean", *(_number(measure, mean) for mean in means)]])


def _shown(measure: str, cell: Cell, base: Cell) -> str:
    values_S = getattr(cell, measure)
    mean = _number(measure, float(np.mean(values_S)))
    if cell.way == BASE:
        return mean
    gain = difference([value - of_base for value, of_base in zip(values_S, getattr(base, measure), strict=True)])
    ends = "" if gain.low is None else f" [{_number(measure, gain.low, '+')} to {_number(measure, gain.high, '+')}]"
    return f"{mean} {_number(measure, gain.mean, '+')}{ends}"


def _number(measure: str, value: float | None, sign: str = "") -> str:
    return f"{value:{sign}.{1 if measure == 'found' else 3}f}"
