"""The quick first version of a project that comes with many labels: fitted on a part, before the thorough one. Pure.

A fit on thousands of labels takes minutes to hours, in which the queue would follow nothing.
"""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from nextlabel.values.arrays import Ints

LABELS = 400  # of a quick version, which sees each several times: to see four times as many once is worse
MANY = 4 * LABELS  # more than that come with a quick version first
OF_EACH = 8  # labels of a class, as far as there are, however rare it is


def comes_first(labels: int) -> bool:
    """Whether a project that begins with so many labels has a quick version first."""
    return labels > MANY


def part_of(answers: Sequence[Collection[str]], seed: int) -> Ints:
    """Positions, ascending, of the answers, each with its labels, that it is fitted on: drawn from all, some of each
    label in any case."""
    drawn_N = np.random.default_rng(seed).permutation(len(answers))
    seen, ranks = Counter[str](), []
    for position in drawn_N:
        labels = answers[position]
        ranks.append(min([OF_EACH, *(seen[label] for label in labels)]))
        seen.update(labels)
    return np.sort(drawn_N[np.argsort(ranks, kind="stable")][:LABELS])
