"""How often an order must be renewed, and whether a batch must be diverse in itself: macro-F1 by a logistic regression
on frozen embeddings, which is fitted again after every few labels and orders the rest by margin.

Knows no fits of a transformer: with those, orders differ more, and a head is only fitted again between them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError, of_extra
from nextlabel.learning.diversity import diverse_batch
from nextlabel.learning.start_order import start_order
from nextlabel.learning.start_set import seed_positions
from nextlabel.learning.strategies import acquire, most_informative_first
from nextlabel.model.classifier import Recipe
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation import baselines
from nextlabel.simulation.cells import kept, setting_of
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.starts import Frozen, frozen_parts
from nextlabel.simulation.verdicts import Difference, difference, shown_after_holm
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Ints

START, START_LABELS = "typiclust", 16
RANDOM, BASE = "random", "each 64"
# Labels after which the order is made anew, and whether the batch is chosen to be diverse among ten times as many.
WAYS: Mapping[str, tuple[int, bool]] = {
    "each 1": (1, False),
    "each 5": (5, False),
    "each 16": (16, False),
    BASE: (64, False),
    "each 5, diverse": (5, True),
    "each 16, diverse": (16, True),
}

ABOUT = f"""\
Macro-F1 on test of a logistic regression (C = {baselines.C:g}) on the base encoder's frozen embeddings. The first
{START_LABELS} labels are those of `{START}`, the others come by margin, in an order that is made anew after so many
labels; a diverse batch is chosen by k-means++ among the ten times as many of the highest margin. `{RANDOM}` draws what
comes after the same first labels. Means over seeds (the records name them: 10, with pools of 2,000 texts at most); then
the difference to `{BASE}`, paired by seed (same pool, same start), with Student's 95 % interval, not adjusted. The last
row adjusts for the number of corpora, not for that of the ways that were tried."""


@dataclass(frozen=True)
class RenewalPlan:
    """Rising label counts, seeds, and how many texts at most a pool has, which is two thirds of the training part."""

    labels: Sequence[int]
    seeds: Sequence[int]
    pool: int


@dataclass(frozen=True)
class Cell:
    """A way at one label count of a corpus: mean macro-F1 on test, and by seed its difference to `BASE`."""

    corpus: str
    labels: int
    way: str
    macro_f1: float
    by_seed: tuple[float, ...]

    @property
    def difference(self) -> Difference:
        """To `BASE`, with its interval."""
        return difference(self.by_seed)


def play(directory: Path, plan: RenewalPlan, base_model: str, out: Path) -> list[Cell]:
    """The cells of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or more labels are asked for than a pool has.
    """
    data, word_pieces = fetched.read_single(directory)

    def cells() -> Iterator[Cell]:
        return _play(directory.name, *frozen_parts(data, Recipe(base_model, 0, 0.0, 1, word_pieces, 0)), plan)

    return [Cell(**cell) for cell in kept(out / f"{directory.name}.json", setting_of(plan, base_model, data), cells)]


def _play(corpus: str, train: Frozen, test: Frozen, plan: RenewalPlan) -> Iterator[Cell]:
    size = min(plan.pool, 2 * len(train.targets_N) // 3)
    if not START_LABELS < plan.labels[0] <= plan.labels[-1] <= size:
        raise BadRunError(
            f"--labels-at goes from {plan.labels[0]} to {plan.labels[-1]}; give more than {START_LABELS}, and at most "
            f"the {size} texts of a pool of {corpus}."
        )
    played = [_of_seed(train, test, plan.labels, size, seed) for seed in plan.seeds]
    for labels in plan.labels:
        base_S = np.array([of_seed[labels, BASE] for of_seed in played])
        for way in (RANDOM, *WAYS):
            scores_S = np.array([of_seed[labels, way] for of_seed in played])
            yield Cell(corpus, labels, way, float(scores_S.mean()), tuple((scores_S - base_S).tolist()))


def _of_seed(
    train: Frozen, test: Frozen, counts: Sequence[int], size: int, seed: int
) -> Mapping[tuple[int, str], float]:
    """Macro-F1 by label count and way."""
    pool = seed_positions(len(train.targets_N), size, seed)
    points = Frozen(train.points_ND[pool], train.targets_N[pool])
    start = start_order(START, points.points_ND, START_LABELS, seed).tolist()
    rng = np.random.default_rng(seed)
    rest = np.setdiff1d(np.arange(size), start)
    orders = {RANDOM: [*start, *rng.permutation(rest).tolist()]}
    orders |= {way: _order(points, start, counts[-1], *kind, rng) for way, kind in WAYS.items()}
    return {
        (labels, way): fitted(points, order[:labels]).score(test) for labels in counts for way, order in orders.items()
    }


def _order(
    points: Frozen, start: Sequence[int], labels: int, every: int, diverse: bool, rng: np.random.Generator
) -> list[int]:
    """The positions in the order in which they are labelled."""
    known = list(start)
    while len(known) < labels:
        left = np.setdiff1d(np.arange(len(points.targets_N)), known)
        probs_NC = fitted(points, known).probabilities(points.points_ND[left])
        values_N = acquire("margin", probs_NC[:, None, :], np.zeros(len(left)))
        count = min(every, labels - len(known))
        places = (
            diverse_batch(values_N, points.points_ND[left], count, rng)
            if diverse
            else most_informative_first(values_N)[:count]
        )
        known += left[places].tolist()
    return known


@dataclass(frozen=True)
class Fitted:
    """A logistic regression, or without one the only class that was seen, of so many `classes`."""

    regression: Any
    only: int
    classes: int

    def probabilities(self, points_ND: Array) -> Array:
        """Of each class, (N, C); 0 of one that was not seen."""
        probs_NC = np.zeros((len(points_ND), self.classes))
        if self.regression is None:
            probs_NC[:, self.only] = 1.0
        else:
            probs_NC[:, self.regression.classes_] = self.regression.predict_proba(points_ND)
        return probs_NC

    def score(self, test: Frozen) -> float:
        """Macro-F1."""
        return macro_f1(test.targets_N, self.probabilities(test.points_ND).argmax(axis=1))


def fitted(points: Frozen, known: Sequence[int]) -> Fitted:
    """What the labels of the `known` positions make."""
    with of_extra("simulation", "A logistic regression"):
        from sklearn.linear_model import LogisticRegression
    targets_M: Ints = points.targets_N[list(known)]
    classes = max(2, int(points.targets_N.max()) + 1)
    if len(np.unique(targets_M)) == 1:
        return Fitted(None, int(targets_M[0]), classes)
    regression = LogisticRegression(C=baselines.C, max_iter=baselines.STEPS)
    return Fitted(regression.fit(points.points_ND[list(known)], targets_M), 0, classes)


def to_markdown(cells: Sequence[Cell]) -> str:
    """For each label count corpora x ways, each with its difference to `BASE` and Student's 95 % interval."""
    return "\n\n".join(_table(labels, cells) for labels in sorted({cell.labels for cell in cells})) + "\n"


def _table(labels: int, cells: Sequence[Cell]) -> str:
    of = {(cell.corpus, cell.way): cell for cell in cells if cell.labels == labels}
    corpora, ways = list(dict.fromkeys(corpus for corpus, _ in of)), [RANDOM, *WAYS]
    rows = [[corpus, *(_shown(of[corpus, way]) for way in ways)] for corpus in corpora]
    means = ["mean", *(f"{np.mean([of[corpus, way].macro_f1 for corpus in corpora]):.3f}" for way in ways)]
    after_holm = ["shown better after Holm over the corpora"]
    for way in ways:
        shown = shown_after_holm([of[corpus, way].difference for corpus in corpora])
        after_holm.append("" if way == BASE else f"{shown} of {len(corpora)}")
    return f"## {labels} labels\n\n{markdown.table(['corpus', *ways], [*rows, means, after_holm])}"


def _shown(cell: Cell) -> str:
    gain = cell.difference
    ends = "" if gain.low is None else f" [{gain.low:+.3f} to {gain.high:+.3f}]"
    return f"{cell.macro_f1:.3f}" if cell.way == BASE else f"{cell.macro_f1:.3f} {gain.mean:+.3f}{ends}"
