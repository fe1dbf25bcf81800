"""The quick first version of a project that comes with many labels: fitted on a part, before the thorough one. Pure.

A fit on thousands of labels takes minutes to hours, in which the queue would follow nothing.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from nextlabel.learning import auto_recipe
from nextlabel.values.arrays import Ints

TEXTS = auto_recipe.FEWEST  # of a quick version, each seen once: as many as the shortest fit takes
OF_EACH = 8  # labels of a class, as far as there are, however rare it is


def comes_first(labels: int) -> bool:
    """Whether a project's first version is a quick one: where it would leave labels out."""
    return labels > TEXTS


def steps(batch_size: int) -> int:
    """Optimiser steps of the fit."""
    return math.ceil(TEXTS / batch_size)


def part_of(labels: Sequence[str], seed: int) -> Ints:
    """Positions, ascending, of the labels that it is fitted on: drawn from all, some of each class in any case."""
    drawn_N = np.random.default_rng(seed).permutation(len(labels))
    seen, ranks = Counter[str](), []
    for position in drawn_N:
        ranks.append(min(seen[labels[position]], OF_EACH))
        seen[labels[position]] += 1
    return np.sort(drawn_N[np.argsort(ranks, kind="stable")][:TEXTS])
