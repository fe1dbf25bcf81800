"""Which order to label in before there is a model: macro-F1 of a logistic regression on frozen embeddings.

Embeddings are made once a corpus. A seed draws a pool, starts are orders of it, and one regression is fitted on the
first labels of each: no other choice stands between an order and its score.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError, of_extra
from nextlabel.learning.start_set import START_BY, seed_positions, start_positions
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation import baselines
from nextlabel.simulation.cells import kept, setting_of
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.simulation.records import RANDOM
from nextlabel.simulation.verdicts import Difference, difference, shown_after_holm
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Ints

TRAIN_AT_MOST, TEST_AT_MOST = 3_000, 1_000  # the first ones of a corpus, whose rows stand in random order

ABOUT = """\
Macro-F1 on test of a logistic regression (C = 10) on the base encoder's frozen embeddings, fitted on the first labels
of each order. Means over seeds (the records name them: 10, with pools of 2,000 texts at most); then the difference to
random, paired by seed (same pool), with Student's 95 % interval, not adjusted; then how many classes are among the
labels. The last row adjusts for the number of corpora, not for that of the orders that were tried. `typicality` makes
as many clusters as the largest label count at once."""


@dataclass(frozen=True)
class StartPlan:
    """Rising label counts, seeds, and how many texts at most a pool has, which is two thirds of the training part."""

    labels: Sequence[int]
    seeds: Sequence[int]
    pool: int


@dataclass(frozen=True)
class Cell:
    """A start at one label count of a corpus. Macro-F1 on test and classes among the labels: means over seeds, of which
    the difference to random is paired."""

    corpus: str
    labels: int
    start: str
    macro_f1: float
    classes: float
    by_seed: tuple[float, ...]

    @property
    def difference(self) -> Difference:
        """To random, with its interval."""
        return difference(self.by_seed)


@dataclass(frozen=True)
class Frozen:
    """A part of a corpus: embeddings (N, D) of unit length, and right classes."""

    points_ND: Array
    targets_N: Ints


def frozen_parts(data: TextSet, recipe: Recipe) -> tuple[Frozen, Frozen]:
    """The first rows of the training part and of test, by the recipe's base checkpoint. Raises `NoModelError`."""
    encoder = classifiers.load_base(recipe)

    def frozen(items: Sequence[Labelled]) -> Frozen:
        embedded_ND = encoder.embed([example for example, _ in items])
        return Frozen(embedded_ND, data.question.class_numbers([label for _, label in items]))

    return frozen(data.train[:TRAIN_AT_MOST]), frozen(data.test[:TEST_AT_MOST])


def play(directory: Path, plan: StartPlan, base_model: str, out: Path) -> list[Cell]:
    """The cells of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or more labels are asked for than a pool has.
    """
    data, word_pieces = fetched.read_single(directory)

    def cells() -> Iterator[Cell]:
        return _play(directory.name, data, plan, Recipe(base_model, 0, 0.0, 1, word_pieces, 0))

    return [Cell(**cell) for cell in kept(out / f"{directory.name}.json", setting_of(plan, base_model, data), cells)]


def _play(corpus: str, data: TextSet, plan: StartPlan, recipe: Recipe) -> Iterator[Cell]:
    size = min(plan.pool, 2 * min(len(data.train), TRAIN_AT_MOST) // 3)
    if plan.labels[-1] > size:
        raise BadRunError(
            f"--labels-at ends at {plan.labels[-1]}, and a pool of {corpus} has {size} texts. Give fewer."
        )
    train_points, test_points = frozen_parts(data, recipe)
    played = [_of_seed(train_points, test_points, plan.labels, size, seed) for seed in plan.seeds]
    for labels in plan.labels:
        for name in START_BY:
            scores_S2 = np.array([of_seed[labels, name] for of_seed in played])
            random_S = np.array([of_seed[labels, RANDOM][0] for of_seed in played])
            mean_f1, mean_classes = scores_S2.mean(axis=0).tolist()
            yield Cell(corpus, labels, name, mean_f1, mean_classes, tuple((scores_S2[:, 0] - random_S).tolist()))


def _of_seed(
    train: Frozen, test: Frozen, counts: Sequence[int], size: int, seed: int
) -> Mapping[tuple[int, str], tuple[float, int]]:
    """Macro-F1 and number of classes by label count and start."""
    pool = seed_positions(len(train.targets_N), size, seed)
    points_ND, targets_N = train.points_ND[pool], train.targets_N[pool]
    orders = {name: start_positions(name, points_ND, counts[-1], seed) for name in START_BY}
    return {
        (labels, name): _score(points_ND[order[:labels]], targets_N[order[:labels]], test)
        for labels in counts
        for name, order in orders.items()
    }


def _score(points_MD: Array, targets_M: Ints, test: Frozen) -> tuple[float, int]:
    with of_extra("simulation", "A logistic regression"):
        from sklearn.linear_model import LogisticRegression
    seen = np.unique(targets_M)
    if len(seen) == 1:
        return macro_f1(test.targets_N, np.full(len(test.targets_N), seen[0])), 1
    regression = LogisticRegression(C=baselines.C, max_iter=baselines.STEPS).fit(points_MD, targets_M)
    return macro_f1(test.targets_N, regression.predict(test.points_ND)), len(seen)


def to_markdown(cells: Sequence[Cell]) -> str:
    """For each label count corpora x starts, each with its difference to random and Student's 95 % interval."""
    return "\n\n".join(_table(labels, cells) for labels in sorted({cell.labels for cell in cells})) + "\n"


def _table(labels: int, cells: Sequence[Cell]) -> str:
    of = {(cell.corpus, cell.start): cell for cell in cells if cell.labels == labels}
    corpora = list(dict.fromkeys(corpus for corpus, _ in of))
    rows = [[corpus, *(_shown(of[corpus, start]) for start in START_BY)] for corpus in corpora]
    above, after_holm = ["higher than random, interval above 0", ""], ["shown after Holm over the corpora", ""]
    for start in START_BY[1:]:
        better = sum(of[corpus, start].difference.mean > 0 for corpus in corpora)
        shown = sum((of[corpus, start].difference.low or 0.0) > 0 for corpus in corpora)
        above.append(f"{better}, {shown} of {len(corpora)}")
        after_holm.append(str(shown_after_holm([of[corpus, start].difference for corpus in corpora])))
    means = ["mean", *(f"{np.mean([of[corpus, start].macro_f1 for corpus in corpora]):.3f}" for start in START_BY)]
    return f"## {labels} labels\n\n{markdown.table(['corpus', *START_BY], [*rows, means, above, after_holm])}"


def _shown(cell: Cell) -> str:
    gain = cell.difference
    ends = "" if gain.low is None else f" [{gain.low:+.3f} to {gain.high:+.3f}]"
    against = "" if cell.start == RANDOM else f" {gain.mean:+.3f}{ends}"
    return f"{cell.macro_f1:.3f}{against}; {cell.classes:.1f} classes"
