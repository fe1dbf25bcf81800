"""Whether the loop's choice of labels helps, measured on the control set. Pure.

At a fixed small budget of b = 64 labels. A division splits the first m control labels at random into J = m // 64
blocks, on each of which a head is fitted: what 64 random labels are worth. Another is fitted on the loop's own first 64
labels. Each random head is judged on the control labels of the other blocks, the loop's head on all m. Then, with means
over 8 divisions, and over the control tasks i,

    d_i = loop's head right at i - mean share of the random heads judged on i that are right there
    gain = mean d,   error^2 = max(var d, 1 / m) / m + mean var(accuracies of the random heads) / J + luck^2

where luck^2 is the true variance of the accuracy of heads of 64 random labels: over the pairs of heads of each division
the mean of ((mean e)^2 - var(e) / n) / 2, of their differences e at the n tasks that both are judged on, but not below
0. It stands for the loop's own 64 labels, one draw of what its order could have asked for: else a lucky draw would
count as an order that helps. A single division, of three heads at the first look, often finds no luck where there is.
The floor 1 / m is for samples in which nearly nothing differs.

Of several questions what is right at i is a share from 0 to 1: of the questions answered there, those of which all is
right.

"Helps" is said when gain / error passes the one-sided 1 % point at one of four planned looks, and at no other number
of labels (reports/helping says how often where nothing is gained). The first look is at three blocks, as the spread of
two heads is a single difference.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Protocol, TypeVar

import numpy as np

from nextlabel.learning.forecast import no_pause
from nextlabel.values.arrays import Array, Bools, Ints

Labels = TypeVar("Labels", bound="Known")
BUDGET = 64  # b
LOOKS = (192, 256, 320, 448)  # control labels
DIVISIONS = 8  # of them into blocks
CERTAIN = NormalDist().inv_cdf(0.99)
SIZES = (16, 32, 64, 128)  # random labels, of which the accuracy is told
HEADS = 3  # that many of a size at least: the spread of two is a single difference
WIDTH = NormalDist().inv_cdf(0.975)  # standard errors on either side of what is told
_Division = tuple[Array, Bools]  # where the head of each block is right, and which tasks judge it, (J, N)


class Known(Protocol):
    """Labelled tasks in the order in which the labels came."""

    def __len__(self) -> int: ...

    def of(self: Labels, rows: slice | Ints, /) -> Labels:
        """Some of them."""

    def right(self: Labels, judges: Labels, /) -> Array:
        """How right a head of these labels is by each judging task, from 0 to 1."""


@dataclass(frozen=True)
class Look:
    """What the first `labels` control labels say: the gain in accuracy at 64 labels, in [-1, 1], its standard error,
    above 0, and the luck that is part of it, which more control labels do not lower."""

    labels: int
    gain: float
    error: float
    luck: float

    @property
    def helps(self) -> bool:
        """Whether the gain is above 0 beyond chance."""
        return self.gain >= CERTAIN * self.error

    def would_help(self, labels: int) -> bool:
        """The same of so many control labels, should gain and luck stay as they are."""
        error = math.sqrt((self.error**2 - self.luck**2) * self.labels / labels + self.luck**2)
        return self.gain >= CERTAIN * error


@dataclass(frozen=True)
class AtRandom:
    """The mean accuracy of heads of so many random `labels`, in [0, 1], with limits of two standard errors, which hold
    the truth in nine projects of ten at least."""

    labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Answer:
    """The planned looks so far, of which the last is the one that found it helps, if any did.

    `more` control labels lead to the next look that would find it if all stays as it is, an even chance; at first, to
    the first look. None: it is found, or no planned look is likely to find it.
    """

    looks: tuple[Look, ...]
    more: int | None

    @property
    def helps(self) -> bool:
        """Whether a look found that it helps; else it cannot be told yet."""
        return bool(self.looks) and self.looks[-1].helps


def answer(control: Labels, own: Labels, taken: Sequence[Look] = (), pause: Callable[[], None] = no_pause) -> Answer:
    """From the control labels so far and the loop's own first ones, both in the order in which they came.

    Looks that were `taken` before are not taken again, for the first labels may be others by now: each planned look is
    one chance to say "helps". Raises as `looks` does.
    """
    before = {look.labels: look for look in taken}
    planned = [labels for labels in LOOKS if labels not in before]
    new = () if any(look.helps for look in taken) else looks(control, own, planned, pause)
    looked = tuple(sorted((*taken, *new), key=lambda look: look.labels))
    found = next((place for place, look in enumerate(looked) if look.helps), None)
    if found is not None:
        return Answer(looked[: found + 1], None)
    later = [labels for labels in LOOKS if labels > len(control) and labels not in before]
    enough = [labels for labels in later if not looked or looked[-1].would_help(labels)]
    return Answer(looked, enough[0] - len(control) if enough else None)


def looks(
    control: Labels, own: Labels, at: Sequence[int] = LOOKS, pause: Callable[[], None] = no_pause
) -> tuple[Look, ...]:
    """All looks that are planned `at` so many control labels, from the first on.

    Features must be the same at every look, hence of the base encoder: a version's are its own, and know the loop's
    labels. `pause` is made before each division, and may raise. Raises `ValueError` when the loop has fewer than 64
    labels of its own.
    """
    return compared(control, [own], at, pause)[0]


def compared(
    control: Labels, owns: Sequence[Labels], at: Sequence[int] = LOOKS, pause: Callable[[], None] = no_pause
) -> list[tuple[Look, ...]]:
    """The looks of several loops at one control set, each as if it were alone. Raises as `looks` does."""
    for own in owns:
        if len(own) < BUDGET:
            raise ValueError(f"the loop has {len(own)} labels of its own; ask once it has {BUDGET}")
    planned = [labels for labels in at if labels <= len(control)]
    if not planned:
        return [() for _ in owns]
    right = [own.of(slice(BUDGET)).right(control) for own in owns]
    divided = [(labels, _divisions(control.of(slice(labels)), pause)) for labels in planned]
    return [tuple(_look(own_N[:labels], divisions) for labels, divisions in divided) for own_N in right]


def at_random(control: Known) -> tuple[AtRandom, ...]:
    """What random labels are worth, by the control labels of the last planned look; nothing before the first one.

    Of each of the `SIZES` the first control labels make disjoint blocks, and the head of each is judged on the labels
    outside it. error^2 = var of the tasks' mean / m + var of the heads' accuracies / J, as in a look, but at least the
    variance of the blocks' two roles together, over J: one of odd texts makes a bad head and is judged badly. Between
    two looks the answer stays, so that whoever asks more often does not look more often.
    """
    labels = max((planned for planned in LOOKS if planned <= len(control)), default=0)
    some = control.of(slice(labels))
    return tuple(_at_random(some, size) for size in SIZES if labels // size >= HEADS)


def _at_random(control: Known, size: int) -> AtRandom:
    labels, heads = len(control), len(control) // size
    blocks = [slice(block * size, (block + 1) * size) for block in range(heads)]
    right_JN = np.array([control.of(block).right(control) for block in blocks])
    weights_JN = (np.arange(labels) // size != np.arange(heads)[:, None]).astype(np.float64)
    accuracies_J = np.average(right_JN, axis=1, weights=weights_JN)
    shares_N = np.average(right_JN, axis=0, weights=weights_JN)
    of_tasks = max(float(np.var(shares_N, ddof=1)), 1 / labels) / labels
    both_J = accuracies_J + shares_N[: heads * size].reshape(heads, size).mean(axis=1)
    of_heads, of_roles = (float(np.var(values_J, ddof=1)) / heads for values_J in (accuracies_J, both_J))
    error = math.sqrt(max(of_tasks + of_heads, of_roles))
    mean = float(accuracies_J.mean())
    return AtRandom(size, mean, max(0.0, mean - WIDTH * error), min(1.0, mean + WIDTH * error))


def _look(own_N: Array, divisions: Sequence[_Division]) -> Look:
    labels, heads = len(own_N), len(own_N) // BUDGET
    differences_N = own_N - np.mean([np.average(right, axis=0, weights=judges) for right, judges in divisions], axis=0)
    accuracies_VJ = [np.average(right, axis=1, weights=judges) for right, judges in divisions]
    of_tasks = max(float(np.var(differences_N, ddof=1)), 1 / labels) / labels
    of_heads = float(np.mean(np.var(accuracies_VJ, axis=1, ddof=1))) / heads
    of_luck = max(0.0, float(np.mean([_true_variance(right, judges) for right, judges in divisions])))
    return Look(labels, float(differences_N.mean()), (of_tasks + of_heads + of_luck) ** 0.5, of_luck**0.5)


def _divisions(control: Known, pause: Callable[[], None]) -> list[_Division]:
    """The same ones for whoever looks again."""
    rng, found = np.random.default_rng(len(control)), []
    for _ in range(DIVISIONS):
        pause()
        blocks_JB = rng.permutation(len(control))[: len(control) // BUDGET * BUDGET].reshape(-1, BUDGET)
        found.append(_divided(control, blocks_JB))
    return found


def _divided(control: Known, blocks_JB: Ints) -> _Division:
    """Where the head of each block is right, and which tasks are not of its block, hence judge it."""
    right_JN = np.array([control.of(block).right(control) for block in blocks_JB])
    judges_JN = np.ones(right_JN.shape, dtype=bool)
    np.put_along_axis(judges_JN, blocks_JB, False, axis=1)
    return right_JN, judges_JN


def _true_variance(right_JN: Array, judges_JN: Bools) -> float:
    """Of the random heads' accuracies, without what comes from judging them by a sample; may fall below 0."""
    pairs = combinations(range(len(right_JN)), 2)
    return float(np.mean([_half_square(right_JN[[j, k]][:, judges_JN[j] & judges_JN[k]]) for j, k in pairs]))


def _half_square(right_2N: Array) -> float:
    differences_N = right_2N[0] - right_2N[1]
    return float(differences_N.mean() ** 2 - np.var(differences_N, ddof=1) / len(differences_N)) / 2
