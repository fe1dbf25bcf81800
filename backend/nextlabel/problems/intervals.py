"""Intervals of 95 % confidence for a proportion, and how those of several are added. Knows counts, no labels.

An interval for a fixed look holds for a sample whose size was decided beforehand; only `any_time` may be looked at
after every label until it says what one likes. Nothing here is a bootstrap: with no error in the sample that has no
width at all.
"""

import functools
import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

ALPHA = 0.05
Z = NormalDist().inv_cdf(1 - ALPHA / 2)
ROUNDING = 1e-9
JEFFREYS = 0.5  # both parameters of the beta distribution that `any_time` mixes with


class Interval(NamedTuple):
    """Two limits, which belong to it."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """The distance of the limits; 0 where there is nothing between them."""
        return max(0.0, self.high - self.low)

    def covers(self, truth: float) -> bool:
        """Whether a value is within the limits, as far as rounding can tell."""
        return self.low - ROUNDING <= truth <= self.high + ROUNDING


NOTHING_KNOWN = Interval(0.0, 1.0)


def wilson(successes: float, trials: float) -> Interval:
    """Wilson's score interval for a fixed look: `((k + z²/2) ∓ z √(k (n - k) / n + z²/4)) / (n + z²)`.

    In [0, 1], and all of it without trials. Narrow, and covers 95 % on average over truths, not at each: with 20 to 160
    trials 91 % and more at truths from 0.03 to 0.97, down to 84 % beyond 0.99 (Wilson 1927; Brown, Cai and DasGupta
    2001). Counts need not be whole. Raises `ValueError` on counts that are no proportion.
    """
    return _interval(_wilson_low, successes, trials)


def clopper_pearson(successes: int, trials: int) -> Interval:
    """Clopper and Pearson's exact interval for a fixed look: every p at which neither `P(X ≥ k)` nor `P(X ≤ k)` is
    below 2.5 % for a binomial X of n trials. The limits are quantiles of beta(k, n - k + 1) and beta(k + 1, n - k).

    In [0, 1], and all of it without trials. Covers at least 95 % at any truth (Clopper and Pearson 1934). Raises
    `ValueError` on counts that are no proportion.
    """
    return _interval(_clopper_pearson_low, successes, trials)


def any_time(successes: int, trials: int) -> Interval:
    """The beta-binomial confidence sequence at this look: every p with
    `B(k + a, n - k + a) / B(a, a) < p^k (1 - p)^(n - k) / 0.05`, where a = 1/2.

    In [0, 1], and all of it without trials. At the true p the left side over p^k (1 - p)^(n - k) is a martingale from
    look to look, so by Ville's inequality the intervals of all looks at once cover it in at least 95 % (Robbins 1970).
    Raises `ValueError` on counts that are no proportion.
    """
    return _interval(_any_time_low, successes, trials)


def square_and_add(distances: Sequence[float], correlation: float) -> float:
    """How far the limit of a sum lies from its estimate: `√((1 - r) Σ d² + r (Σ d)²)`.

    `distances` are those of the summands' limits from their estimates, negative for what is subtracted; `correlation`
    is that of each two (Zou and Donner 2008). Never more than the sum of all distances.
    """
    squares, total = math.fsum(d * d for d in distances), math.fsum(distances)
    return math.sqrt(max(0.0, (1 - correlation) * squares + correlation * total * total))


def _interval(low: Callable[[float, float], float], successes: float, trials: float) -> Interval:
    """The lower limit of the successes, and 1 minus that of the failures; the estimate always lies between."""
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no proportion; give a count from 0 to the number of trials")
    if trials == 0:
        return NOTHING_KNOWN
    estimate, failures = successes / trials, trials - successes
    below = low(successes, trials) if successes else 0.0
    above = low(failures, trials) if failures else 0.0
    return Interval(max(0.0, min(below, estimate)), max(1 - above, estimate))


def _wilson_low(successes: float, trials: float) -> float:
    half = Z * math.sqrt(successes * (trials - successes) / trials + Z * Z / 4)
    return (successes + Z * Z / 2 - half) / (trials + Z * Z)


@functools.lru_cache(maxsize=65_536)  # it takes 0.3 ms, and replays ask for the same counts over and over
def _clopper_pearson_low(successes: float, trials: float) -> float:
    log_ways = -_log_beta(successes + 1, trials - successes + 1) - math.log(trials + 1)
    ranks = np.arange(successes, trials)
    steps = (trials - ranks) / (ranks + 1)

    def too_low(p: float) -> bool:
        first = math.exp(log_ways + _log_likelihood(successes, trials, p))
        tail = first * (1 + float(np.cumprod(steps * (p / (1 - p))).sum()))
        return tail < ALPHA / 2

    return _lowest(successes / trials, too_low)


def _any_time_low(successes: float, trials: float) -> float:
    failures = trials - successes
    log_mixture = _log_beta(successes + JEFFREYS, failures + JEFFREYS) - _log_beta(JEFFREYS, JEFFREYS)
    least = log_mixture + math.log(ALPHA)
    return _lowest(successes / trials, lambda p: _log_likelihood(successes, trials, p) < least)


def _lowest(estimate: float, too_low: Callable[[float], bool]) -> float:
    """The value from 0 to the estimate from where on nothing is too low, to the last digit, by halving."""
    outside, inside = 0.0, estimate
    while outside < (middle := (outside + inside) / 2) < inside:
        outside, inside = (middle, inside) if too_low(middle) else (outside, middle)
    return inside


def _log_likelihood(successes: float, trials: float, p: float) -> float:
    return successes * math.log(p) + (trials - successes) * math.log1p(-p)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
