"""Which order to label in before there is a model: macro-F1 of a logistic regression on frozen embeddings by start order.

Embeddings are made once a corpus. A seed draws a pool, starts are orders of it, and one regression is fitted on the first
labels of each: no other choice stands between the order and its score.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import of_extra
from nextlabel.learning import diversity
from nextlabel.learning.start_order import STARTS, start_order
from nextlabel.learning.start_set import seed_positions
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation import baselines
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import Labelled
from nextlabel.simulation.records import RANDOM
from nextlabel.simulation.verdicts import Difference, difference
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Ints

TYPICALITY = "typicality"  # all clusters at once, as many as there are places
COMPARED = (RANDOM, TYPICALITY, *STARTS)
TRAIN_AT_MOST, TEST_AT_MOST = 3_000, 1_000  # the first ones of a corpus, whose rows stand in random order

ABOUT = """\
Macro-F1 on test of a logistic regression (C = 10) on the base encoder's frozen embeddings, fitted on the first labels of
each order. Means over seeds; then the difference to random, paired by seed (same pool), with Student's 95 % interval; then
how many classes are among the labels. `typicality` makes as many clusters as the largest label count at once."""


@dataclass(frozen=True)
class StartTable:
    """What to play: every corpus with every seed, at rising label counts. A pool is two thirds of the training part, at
    most `pool`."""

    corpora: Sequence[Path]
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
    difference: Difference


@dataclass(frozen=True)
class _Frozen:
    """A part of a corpus: embeddings (N, D) of unit length, and right classes."""

    points_ND: Array
    targets_N: Ints


def play(table: StartTable, base_model: str) -> Iterator[Cell]:
    """The cells, corpus by corpus. Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint."""
    for directory in table.corpora:
        data, word_pieces = fetched.read(directory)
        encoder = classifiers.load_base(Recipe(base_model, 0, 0.0, 1, word_pieces, 0))
        classes = data.question.class_numbers

        def frozen(items: Sequence[Labelled], encoder: Any = encoder, classes: Any = classes) -> _Frozen:
            return _Frozen(encoder.embed([e for e, _ in items]), classes([label for _, label in items]))

        train, test = frozen(data.train[:TRAIN_AT_MOST]), frozen(data.test[:TEST_AT_MOST])
        yield from _cells(directory.name, table, [_of_seed(train, test, table, seed) for seed in table.seeds])


def _of_seed(train: _Frozen, test: _Frozen, table: StartTable, seed: int) -> Mapping[tuple[int, str], tuple[float, int]]:
    """Macro-F1 and number of classes by label count and start."""
    size = min(table.pool, 2 * len(train.targets_N) // 3)
    pool = seed_positions(len(train.targets_N), size, seed)
    points_ND, targets_N = train.points_ND[pool], train.targets_N[pool]
    orders = {name: order_by(name, points_ND, table.labels[-1], seed) for name in COMPARED}
    return {
        (labels, name): _score(points_ND[order[:labels]], targets_N[order[:labels]], test)
        for labels in table.labels
        for name, order in orders.items()
    }


def order_by(name: str, points_ND: Array, count: int, seed: int) -> Ints:
    """Positions of a start of `COMPARED`, in the order to be labelled. Raises `ValueError` for more than there are."""
    if name == RANDOM:
        return seed_positions(len(points_ND), count, seed)
    if name == TYPICALITY:
        return diversity.typical(points_ND, count, np.random.default_rng(seed))
    return start_order(name, points_ND, count, seed)


def _score(points_MD: Array, targets_M: Ints, test: _Frozen) -> tuple[float, int]:
    with of_extra("simulation", "A logistic regression"):
        from sklearn.linear_model import LogisticRegression
    seen = np.unique(targets_M)
    if len(seen) == 1:
        return macro_f1(test.targets_N, np.full(len(test.targets_N), seen[0])), 1
    regression = LogisticRegression(C=baselines.C, max_iter=baselines.STEPS).fit(points_MD, targets_M)
    return macro_f1(test.targets_N, regression.predict(test.points_ND)), len(seen)


def _cells(
    corpus: str, table: StartTable, played: Sequence[Mapping[tuple[int, str], tuple[float, int]]]
) -> Iterator[Cell]:
    for labels in table.labels:
        for name in COMPARED:
            scores_S2 = np.array([of_seed[labels, name] for of_seed in played])
            random_S = np.array([of_seed[labels, RANDOM][0] for of_seed in played])
            mean_f1, mean_classes = scores_S2.mean(axis=0).tolist()
            differing = difference((scores_S2[:, 0] - random_S).tolist())
            yield Cell(corpus, labels, name, mean_f1, mean_classes, differing)


def as_dicts(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Plain numbers."""
    return [
        {**{key: value for key, value in asdict(cell).items() if key != "difference"}, "by_seed": cell.difference.by_seed}
        for cell in cells
    ]


def to_markdown(cells: Sequence[Cell]) -> str:
    """For each label count corpora x starts, each with its difference to random and Student's 95 % interval."""
    return "\n\n".join(_table(labels, cells) for labels in sorted({cell.labels for cell in cells})) + "\n"


def _table(labels: int, cells: Sequence[Cell]) -> str:
    of = {(cell.corpus, cell.start): cell for cell in cells if cell.labels == labels}
    corpora = list(dict.fromkeys(corpus for corpus, _ in of))
    rows = [[corpus, *(_shown(of[corpus, start]) for start in COMPARED)] for corpus in corpora]
    above = ["higher than random, interval above 0", ""]
    for start in COMPARED[1:]:
        better = sum(of[corpus, start].difference.mean > 0 for corpus in corpora)
        shown = sum((of[corpus, start].difference.low or 0.0) > 0 for corpus in corpora)
        above.append(f"{better}, {shown} of {len(corpora)}")
    means = ["mean", *(f"{np.mean([of[corpus, start].macro_f1 for corpus in corpora]):.3f}" for start in COMPARED)]
    return f"## {labels} labels\n\n{markdown.table(['corpus', *COMPARED], [*rows, means, above])}"


def _shown(cell: Cell) -> str:
    gain = cell.difference
    ends = "" if gain.low is None else f" [{gain.low:+.3f} to {gain.high:+.3f}]"
    against = "" if cell.start == RANDOM else f" {gain.mean:+.3f}{ends}"
    return f"{cell.macro_f1:.3f}{against}; {cell.classes:.1f} classes"
