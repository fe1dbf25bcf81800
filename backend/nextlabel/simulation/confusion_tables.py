"""Confusion tables to draw samples from: as models make them, and the edges, where intervals break. Draws nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel.values.arrays import Ints

CONFIDENCES = (0.99, 0.9, 0.6)  # that a model is seen with here
RIGHT, WRONG = (0.8, 0.12, 0.08), (0.35, 0.3, 0.35)  # how often: about as on R8 at 256 labels
CERTAIN = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class ConfusionTable:
    """`counts_KK[i, j]` examples of class i that are taken for j; how often the model is how sure, right and wrong."""

    name: str
    counts_KK: Ints
    when_right: Sequence[float] = RIGHT
    when_wrong: Sequence[float] = WRONG

    @property
    def classes(self) -> int:
        """K."""
        return len(self.counts_KK)

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(np.trace(self.counts_KK) / self.counts_KK.sum())

    @property
    def recalls(self) -> list[float | None]:
        """By class; None where there is no example."""
        pairs = zip(np.diag(self.counts_KK).tolist(), self.counts_KK.sum(axis=1).tolist(), strict=True)
        return [right / examples if examples else None for right, examples in pairs]

    @property
    def f1s(self) -> list[float | None]:
        """By class; None where there is no example and none is taken for one."""
        sums_K = self.counts_KK.sum(axis=0) + self.counts_KK.sum(axis=1)
        pairs = zip(np.diag(self.counts_KK).tolist(), sums_K.tolist(), strict=True)
        return [2 * right / both if both else None for right, both in pairs]

    @property
    def macro_f1(self) -> float:
        """Over all K classes; one that is neither there nor predicted counts as 0."""
        return sum(f1 or 0.0 for f1 in self.f1s) / self.classes

    @property
    def step_error(self) -> float:
        """By how many steps answers miss on average, were the classes steps in their order."""
        away_KK = np.abs(np.subtract.outer(np.arange(self.classes), np.arange(self.classes)))
        return float((self.counts_KK * away_KK).sum() / self.counts_KK.sum())

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy."""
        right, wrong = (float(np.dot(CONFIDENCES, weights)) for weights in (self.when_right, self.when_wrong))
        return self.accuracy * right + (1 - self.accuracy) * wrong - self.accuracy


# Of reports/tweets and reports/r8: what the version of seed 0, `margin`, 256 labels said of test.
TWEETS = [[264, 101, 43], [66, 303, 34], [18, 83, 88]]
R8 = [
    [662, 2, 25, 1, 2, 1, 0, 1],
    [3, 112, 0, 0, 0, 0, 5, 1],
    [4, 1, 1073, 0, 1, 1, 0, 0],
    [0, 0, 0, 10, 0, 0, 0, 0],
    [0, 0, 0, 0, 64, 12, 0, 1],
    [1, 0, 5, 0, 8, 67, 0, 4],
    [1, 7, 0, 0, 0, 0, 27, 1],
    [0, 0, 0, 0, 0, 0, 2, 71],
]


def unbalanced(classes: int) -> Ints:
    """K classes of which each is rarer than the one before, and less often recognised: half of what is wrong is taken
    for the first class, the rest for the next one."""
    counts_KK = np.zeros((classes, classes), dtype=np.int64)
    for k in range(classes):
        examples = round(2_000 / (k + 1) ** 1.5)
        wrong = round(examples * (0.05 + 0.5 * k / classes))
        counts_KK[k, k] = examples - wrong
        counts_KK[k, 0] += wrong // 2
        counts_KK[k, (k + 1) % classes] += wrong - wrong // 2
    return counts_KK


def _edges(classes: int) -> list[ConfusionTable]:
    """Where nothing is wrong or all is, where a class has no example, and where one class is said of all."""
    usual_KK = unbalanced(classes)
    examples_K, absent_KK, one_KK = usual_KK.sum(axis=1), usual_KK.copy(), np.zeros_like(usual_KK)
    absent_KK[-1] = 0
    one_KK[:, 0] = examples_K
    none_KK = np.diag(examples_K)
    return [
        ConfusionTable(f"{classes} classes, one absent", absent_KK),
        ConfusionTable(f"{classes} classes, no errors", none_KK),
        ConfusionTable(f"{classes} classes, all wrong, certain", np.roll(none_KK, 1, axis=1), CERTAIN, CERTAIN),
        ConfusionTable(f"{classes} classes, one said of all", one_KK),
    ]


TABLES = (
    ConfusionTable("2 even classes", np.array([[180, 70], [70, 180]])),
    ConfusionTable("2 classes, 10 % positive", np.array([[890, 10], [20, 80]])),
    ConfusionTable("3 classes (tweets), certain", np.array(TWEETS), CERTAIN, CERTAIN),
    ConfusionTable("8 classes (R8)", np.array(R8)),
    ConfusionTable("20 even classes", np.ones((20, 20), dtype=np.int64) + np.diag([588] * 20)),
    ConfusionTable("52 classes", unbalanced(52)),
    *_edges(2),
    *_edges(52),
)
