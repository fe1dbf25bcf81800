"""How seconds are taken and compared: ways take turns, and a ratio is made within each repetition."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from nextlabel.lab.benchmark.plan import Result, Show
from nextlabel.learning.strategies import most_informative_first
from nextlabel.values.arrays import Array


def interleave(
    actions: Mapping[str, Callable[[int], float]],
    repeats: int,
    show: Show = lambda line: None,
    after_each: Mapping[str, Callable[[int], float]] = MappingProxyType({}),
) -> dict[str, list[float]]:
    """What each action measured in each repetition, which it is given the number of. They take turns: A, B, A, B, …

    Those of `after_each` take a turn after each of the others: A, X, B, X, A, …; in a repetition, their mean counts.
    """
    measured: dict[str, list[float]] = {name: [] for name in (*actions, *after_each)}
    for repeat in range(repeats):
        turns: dict[str, list[float]] = {name: [] for name in after_each}
        for name, action in actions.items():
            show(f"{name}, {repeat + 1} of {repeats}")
            measured[name].append(action(repeat))
            for short, often in after_each.items():
                turns[short].append(often(repeat))
        for name, values in turns.items():
            measured[name].append(float(np.mean(values)))
    return measured


def spread(values: Sequence[float]) -> Result:
    """Median, smallest and largest of the repetitions, and all of them in their order."""
    numbers = [float(value) for value in values]
    return {"median": float(np.median(numbers)), "min": min(numbers), "max": max(numbers), "values": numbers}


def ratios(upper: Sequence[float], lower: Sequence[float]) -> Result:
    """One over the other in each repetition, as `spread` has them."""
    return spread([a / b for a, b in zip(upper, lower, strict=True)])


def clock(device: torch.device) -> float:
    """Seconds, once the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def ranks(values_N: Array) -> Array:
    """Ranks from 1 up; equal values share the mean of theirs."""
    _, places_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places_N], dtype=np.float64)


def spearman(a_N: Array, b_N: Array) -> float:
    """Spearman's rank correlation, in [-1, 1]; not a number where all values of one side are equal."""
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (a_N, b_N))
    with np.errstate(invalid="ignore"):
        return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))


def top_overlap(a_N: Array, b_N: Array, top: int) -> float:
    """The share, in [0, 1], of the `top` highest of one side that are among the `top` highest of the other."""
    highest_a, highest_b = (set(most_informative_first(values)[:top].tolist()) for values in (a_N, b_N))
    return len(highest_a & highest_b) / len(highest_a)
