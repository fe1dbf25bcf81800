"""Which examples go through the model together. Pure; the aim is to compute few padding tokens."""

from collections.abc import Iterator

import numpy as np

from nextlabel.values.arrays import Ints

GROUP = 8  # batches that are sorted by length together while fitting: enough to save padding, few enough to mix


def scoring_batches(lengths_N: Ints, token_budget: int, padded: bool = True) -> Iterator[Ints]:
    """Positions of every example once, longest first, in batches of at most `token_budget` padded tokens.

    An example longer than the budget is a batch of its own. Longest first, so that memory runs out at once or never.
    Unless `padded`, all examples of a batch are of equal length.
    """
    order = np.argsort(-lengths_N, kind="stable")
    ends = [len(order)] if padded else [*np.flatnonzero(np.diff(lengths_N[order])) + 1, len(order)]
    start = 0
    for end in ends:
        while start < end:
            size = max(1, token_budget // max(1, int(lengths_N[order[start]])))
            yield order[start : min(start + size, end)]
            start = min(start + size, end)


def fitting_batches(lengths_N: Ints, batch_size: int, steps: int, rng: np.random.Generator) -> Iterator[Ints]:
    """`steps` batches of positions. Each epoch visits every example once, in random batches of similar length.

    Raises `ValueError` on no examples.
    """
    if len(lengths_N) == 0:
        raise ValueError("cannot make batches of 0 examples")
    made = 0
    while made < steps:
        for batch in _epoch(lengths_N, batch_size, rng):
            yield batch
            made += 1
            if made == steps:
                return


def _epoch(lengths_N: Ints, batch_size: int, rng: np.random.Generator) -> list[Ints]:
    shuffled = rng.permutation(len(lengths_N))
    batches: list[Ints] = []
    for start in range(0, len(shuffled), GROUP * batch_size):
        group = shuffled[start : start + GROUP * batch_size]
        by_length = group[np.argsort(lengths_N[group], kind="stable")]
        batches += [by_length[i : i + batch_size] for i in range(0, len(by_length), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
