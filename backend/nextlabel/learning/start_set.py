"""Which examples a run begins with."""

import numpy as np

from nextlabel.values.arrays import Ints


def seed_positions(available: int, start: float, seed: int) -> Ints:
    """Positions of a random seed set: a share below 1, else a count; `int(0.3 * 3668)` = 1100 as in the tutorial."""
    return np.random.default_rng(seed).choice(available, size=seed_size(available, start), replace=False)


def seed_size(available: int, start: float) -> int:
    """How many examples a share below 1, or else a count, of the available ones is."""
    return min(int(start * available) if start < 1 else int(start), available)
