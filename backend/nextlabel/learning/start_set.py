"""Which examples a run begins with."""

import numpy as np

from nextlabel.learning.diversity import Points, typical
from nextlabel.learning.start_order import STARTS, start_order
from nextlabel.values.arrays import Ints

TYPICALITY = "typicality"  # as many clusters as there are places, all at once; what runs of old were played with
START_BY = ("random", TYPICALITY, *STARTS)


def seed_positions(available: int, start: float, seed: int) -> Ints:
    """Positions of a random seed set: a share below 1, else a count; `int(0.3 * 3668)` = 1100 as in the tutorial."""
    return np.random.default_rng(seed).choice(available, size=seed_size(available, start), replace=False)


def seed_size(available: int, start: float) -> int:
    """How many examples a share below 1, or else a count, of the available ones is."""
    return min(int(start * available) if start < 1 else int(start), available)


def start_positions(start_by: str, embeddings_ND: Points, count: int, seed: int) -> Ints:
    """`count` distinct positions in the order to be labelled, by a name of `START_BY`. Embeddings have unit length."""
    if start_by == "random":
        return seed_positions(len(embeddings_ND), count, seed)
    if start_by == TYPICALITY:
        return typical(embeddings_ND, count, np.random.default_rng(seed))
    return start_order(start_by, embeddings_ND, count, seed)
