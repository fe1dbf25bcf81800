"""How good answers to a question are, from a random sample that nothing was learned from, with intervals.

A sample is a confusion table: `confusion_KK[i, j]` examples of class i that were taken for class j, of all K classes
that the question has, at least 2. A class without an example is unknown, neither 0 nor 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel.problems.intervals import NOTHING_KNOWN, Interval, Z, clopper_pearson, square_and_add, wilson
from nextlabel.values.arrays import Array, Ints

RARE = 2  # examples of a class, up to which its interval says little of how the figure spreads


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, and the number of examples that it rests on; no `value`: nothing is known."""

    value: float | None
    interval: Interval
    examples: int


def confusion(targets_N: Ints, predictions_N: Ints, classes: int) -> Ints:
    """Counts (K x K) of right class numbers by predicted ones. Raises `ValueError` on a number that is no class."""
    for numbers_N in (targets_N, predictions_N):
        if len(numbers_N) and not 0 <= numbers_N.min() <= numbers_N.max() < classes:
            found = f"{numbers_N.min()} to {numbers_N.max()}"
            raise ValueError(f"class numbers go from {found}; with {classes} classes give 0 to {classes - 1}")
    counts: Ints = np.bincount(targets_N * classes + predictions_N, minlength=classes**2).reshape(classes, classes)
    return counts


def accuracy(confusion_KK: Ints) -> Estimate:
    """The share of right answers, with Clopper and Pearson's interval, as every share has here."""
    right, examples = int(np.trace(confusion_KK)), int(confusion_KK.sum())
    return share_of(right, examples)


def recalls(confusion_KK: Ints) -> list[Estimate]:
    """Of the examples of each class the share that was found, with Clopper and Pearson's interval."""
    pairs = zip(np.diag(confusion_KK).tolist(), confusion_KK.sum(axis=1).tolist(), strict=True)
    return [share_of(right, examples) for right, examples in pairs]


def most_confused(confusion_KK: Ints) -> list[tuple[int, int] | None]:
    """Of each class the one that its examples were wrongly taken for most, the first of equal ones, and how many were;
    None where none was wrong."""
    wrong_KK = confusion_KK - np.diag(np.diag(confusion_KK))
    rows = zip(wrong_KK.argmax(axis=1).tolist(), wrong_KK.max(axis=1).tolist(), strict=True)
    return [(other, times) if times else None for other, times in rows]


def f1s(confusion_KK: Ints) -> list[Estimate]:
    """F1 of each class. It is a proportion in disguise: `F1 = 2 J / (1 + J)`, where J is the share of right answers
    among the examples that are of the class or were taken for it. So the interval is Clopper and Pearson's of J.

    `examples` counts those.
    """
    of_class = zip(*_right_and_either(confusion_KK), strict=True)
    shares = [share_of(right, either) for right, either in of_class]
    return [
        Estimate(None if share.value is None else _f1(share.value), _f1_between(share.interval), share.examples)
        for share in shares
    ]


def macro_f1(confusion_KK: Ints) -> Estimate:
    """The mean F1 of all K classes; its interval is wide until each has a few examples.

    That of `mean_f1` from Clopper and Pearson's intervals, but each limit at least as far from the estimate as that of
    the accuracy is from the accuracy. From Wilson's, and without that, it covers down to 82 % where many classes are
    nearly always right (reports/coverage).
    """
    value, interval, examples = mean_f1(confusion_KK, clopper_pearson)
    right = int(np.trace(confusion_KK))
    share, overall = right / max(1, examples), clopper_pearson(right, examples)
    low, high = min(interval.low, value + overall.low - share), max(interval.high, value + overall.high - share)
    return Estimate(value, Interval(max(0.0, low), min(1.0, high)), examples)


def mean_f1(confusion_KK: Ints, of_share: Callable[[int, int], Interval]) -> tuple[float, Interval, int]:
    """The mean F1 of all K classes, its interval from those of J (see `f1s`) by square-and-add, and the examples.

    The limits are `(Σ F1 ∓ (Σ d of rare classes + √((1 - r) Σ d² + r (Σ d)²) of the others)) / K`, where d is the
    distance of a class's limit from its F1, and r = 1 / (K - 1). A class is rare with at most 2 examples; one without
    any counts with F1 0.5 and the limits 0 and 1. Square-and-add after Zou and Donner 2008.
    """
    examples_K = confusion_KK.sum(axis=1)
    of_class = list(zip(*_right_and_either(confusion_KK), examples_K.tolist(), strict=True))
    values_K = np.array([_f1(right / either) if examples else 0.5 for right, either, examples in of_class])
    limits_K2 = np.array(
        [_f1_between(of_share(right, either)) if examples else NOTHING_KNOWN for right, either, examples in of_class]
    )
    rare_K, correlation = examples_K <= RARE, 1 / (len(of_class) - 1)

    def distance(limits_K: Array) -> float:
        distances_K = np.abs(limits_K - values_K)
        others = square_and_add(distances_K[~rare_K].tolist(), correlation)
        return (float(distances_K[rare_K].sum()) + others) / len(of_class)

    value = float(values_K.mean())
    low, high = value - distance(limits_K2[:, 0]), value + distance(limits_K2[:, 1])
    return value, Interval(max(0.0, low), min(1.0, high)), int(examples_K.sum())


def macro_f1_of_labels(tables: Sequence[Ints]) -> Estimate:
    """The mean F1 of labels of which any may be given, from a table (2 x 2: withheld, given) of each, at least one.

    Labels of one text may be wrong together or not, so the limits are the means of those of the labels, by `f1s`: what
    square-and-add comes to where all are. A label that was never given counts with F1 0.5 and the limits 0 and 1.
    """
    known = [f1s(table)[1] if table[1].any() else Estimate(0.5, NOTHING_KNOWN, 0) for table in tables]
    low, high = (float(np.mean([estimate.interval[side] for estimate in known])) for side in (0, 1))
    most = max(int(table.sum()) for table in tables)
    return Estimate(float(np.mean([estimate.value for estimate in known])), Interval(low, high), most)


def step_error(errors_N: Ints, steps: int) -> Estimate:
    """The mean of absolute errors, in steps from 0 to `steps` - 1.

    It is the sum over s = 1, 2, ... of the shares that miss by s or more, and its limits are the sums of theirs: wide
    with many steps, as a sample cannot exclude that a few answers miss by far. From the variance of a sample without an
    error, an interval would have hardly any width.
    """
    examples = len(errors_N)
    if not examples or steps < 2:
        return Estimate(None, Interval(0.0, float(steps - 1)), examples)
    limits = [clopper_pearson(int(np.sum(errors_N >= step)), examples) for step in range(1, steps)]
    low, high = (float(sum(limit[side] for limit in limits)) for side in (0, 1))
    return Estimate(float(np.mean(errors_N)), Interval(low, high), examples)


def calibration(confidences_N: Array, right_N: Ints) -> Estimate:
    """Mean confidence minus accuracy, in [-1, 1]: above 0 where the model is surer than it should be.

    `right_N` is 1 for a right answer, else 0. The interval is paired: square-and-add of that of the mean confidence and
    Wilson's of the accuracy, with the correlation of both in the sample (Zou and Donner 2008). That of the differences
    alone would have hardly any width where no answer is wrong.
    """
    examples, right = len(right_N), int(right_N.sum())
    if not examples:
        return Estimate(None, Interval(-1.0, 1.0), 0)
    sure, share = float(np.mean(confidences_N)), right / examples
    surely, shares = _mean_interval(confidences_N), wilson(right, examples)
    both_vary = np.ptp(confidences_N) > 0 and 0 < right < examples
    correlation = float(np.corrcoef(confidences_N, right_N)[0, 1]) if both_vary else 0.0
    below = square_and_add((sure - surely.low, share - shares.high), correlation)
    above = square_and_add((surely.high - sure, shares.low - share), correlation)
    return Estimate(sure - share, Interval(sure - share - below, sure - share + above), examples)


def share_of(right: int, examples: int) -> Estimate:
    """The share of so many examples, with Clopper and Pearson's interval."""
    return Estimate(right / examples if examples else None, clopper_pearson(right, examples), examples)


def _right_and_either(confusion_KK: Ints) -> tuple[list[int], list[int]]:
    """By class: right answers, and examples that are of the class or were taken for it."""
    right_K = np.diag(confusion_KK)
    return right_K.tolist(), (confusion_KK.sum(axis=0) + confusion_KK.sum(axis=1) - right_K).tolist()


def _f1(share: float) -> float:
    return 2 * share / (1 + share)


def _f1_between(shares: Interval) -> Interval:
    return Interval(_f1(shares.low), _f1(shares.high))


def _mean_interval(shares_N: Array) -> Interval:
    """Of the mean of values in [0, 1]: Wilson's, with as many trials as have the same variance.

    z² more examples of the largest variance keep a few equal values from seeming certain.
    """
    examples, mean = len(shares_N), float(np.mean(shares_N))
    spread = float(np.var(shares_N)) / (mean * (1 - mean)) if 0 < mean < 1 else 0.0
    trials = examples * (examples + Z * Z) / (examples * spread + Z * Z)
    return wilson(mean * trials, trials)
