"""The quick first version of a project that comes with many labels: fitted on a part, before the thorough one. Pure.

A fit on thousands of labels takes minutes to hours, in which the queue would follow nothing.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from nextlabel.values.arrays import Ints

LABELS = 400  # of a quick version, which sees each several times: to see four times as many once is worse
MANY = 4 * LABELS  # more than that come with a quick version first
OF_EACH = 8  # labels of a class, as far as there are, however rare it is


def comes_first(labels: int) -> bool:
    """Whether a project that begins with so many labels has a quick version first."""
    return labels > MANY


def part_of(labels: Sequence[str], seed: int) -> Ints:
    """Positions, ascending, of the labels that it is fitted on: drawn from all, some of each class in any case."""
    drawn_N = np.random.default_rng(seed).permutation(len(labels))
    seen, ranks = Counter[str](), []
    for position in drawn_N:
        ranks.append(min(seen[labels[position]], OF_EACH))
        seen[labels[position]] += 1
    return np.sort(drawn_N[np.argsort(ranks, kind="stable")][:LABELS])
