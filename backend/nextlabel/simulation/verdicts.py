"""What differences to random sampling show, in one corpus and over several. Knows numbers only, no runs.

The rules, so that anybody can compute the same numbers from the same differences:

Difference, of a corpus. One number a paired seed: the arm's final test macro-F1 minus random's. Mean d and standard
deviation s (divisor n - 1), both from exactly rounded sums (`math.fsum`). The 95 % interval is Student's,
d -+ t(.975, n - 1) s / sqrt(n), not the bootstrap's: with 10 seeds the percentile bootstrap is too narrow (it leaves
the truth out in about 9.6 % of cases, not in 5 %). Fewer than `FEWEST_SEEDS` have no interval and no p.

Verdict. Non-inferior: the truth is above -0.01. Superior: it is above 0. With the margin m of 0.01 or 0, the one-sided
p is the chance of Student's t with n - 1 degrees of freedom above (d + m) sqrt(n) / s; it is below 0.025 exactly when
the interval's lower end is above -m. Where s is 0 (all differences are equal), p is 0 when d + m is above 0, else 1.
With at least `SEEDS_FOR_A_CLAIM` seeds it is *shown* where the adjusted p (below; in a corpus alone, p) is below 0.025,
else *not shown*; with fewer seeds the verdict is *too few seeds*, whatever p is.

Over corpora. For each arm and each of the two questions Holm's step-down over the corpora that have the arm: with the
k p-values ascending, the adjusted i-th (from 0) is the largest of min(1, (k - j) p_j) over j <= i. No p counts as 1.
Corpora with too few seeds for a verdict count among the k. Nothing is adjusted for the number of arms.

Seeds needed. The smallest n up to 1,000 with t(1 - 0.025 / u, n - 1) s / sqrt(n) <= |d + m|: so many seeds decide, for
or against, in half of such studies, where spread and mean are what they seem. It is at least `SEEDS_FOR_A_CLAIM` and,
where it is not shown yet, more than there are. In a corpus alone u is 1. Over corpora u is how many of the k have not
an adjusted p below 0.025, at least 1: the level that Holm leaves to the next of them, where the others stay as they
are. None: more than 1,000.

Summary over corpora. The Bayesian signed-rank test (Benavoli et al., "A Bayesian Wilcoxon signed-rank test based on the
Dirichlet process", ICML 2014; "Time for a change", JMLR 18, 2017) with -0.01 to 0.01 as the region of practical
equivalence. The corpora's mean differences z_1 .. z_k in the order given, and before them z_0 = 0 of weight 0.5, the
prior. `numpy.random.default_rng(0).dirichlet([0.5, 1, .., 1], 50000)` are draws of their weights w. In each draw
*better* has the sum of w_i w_j over all i and j (both orders, i = j too) with z_i + z_j above 0.02, *worse* of those
below -0.02, half of what is on the edge, and *equivalent* the rest. A probability is the share of draws in which its
name has most; equals go to equivalent, then to worse. It is about the *typical difference* over corpora like these: in
which of the three ranges the mean of two of them, drawn at random, lies most often. It is no forecast for one further
corpus. Each corpus counts as one, and its mean as known.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nextlabel.errors import of_extra
from nextlabel.simulation.curves import FEWEST_SEEDS, SEEDS_FOR_A_CLAIM
from nextlabel.values.arrays import Array

MARGIN = 0.01  # of macro-F1: what may be lost and still count as no loss, and the region of practical equivalence
LEVEL = 0.025  # one-sided, which is the lower end of a 95 % interval
MOST_SEEDS = 1_000
PRIOR = 0.5
DRAWS = 50_000
SHOWN, NOT_SHOWN, TOO_FEW = "shown", "not shown", "too few seeds"


@dataclass(frozen=True)
class Verdict:
    """Whether the true difference is shown to be above -`margin`.

    `p` is one-sided, and None with fewer than `FEWEST_SEEDS`; `adjusted_p` by Holm over corpora, and `p` in a corpus
    alone. `verdict` is "shown", "not shown" or "too few seeds". `seeds_needed` would decide in half of such studies, if
    spread and mean are those of today; None where that is more than 1,000, or where `p` is None.
    """

    margin: float
    p: float | None
    adjusted_p: float | None
    verdict: str
    seeds_needed: int | None

    @property
    def shown(self) -> bool:
        """Whether it is shown."""
        return self.verdict == SHOWN

    @property
    def needed(self) -> str:
        """How many seeds would decide in half of such studies, in words."""
        if self.p is None:
            return "unknown"
        return f"more than {MOST_SEEDS:,}" if self.seeds_needed is None else str(self.seeds_needed)


@dataclass(frozen=True)
class Difference:
    """An arm's final test macro-F1 minus random's, by paired seed, with Student's 95 % interval and both verdicts.

    `sd` is None with one seed, `low` and `high` with fewer than `FEWEST_SEEDS`.
    """

    by_seed: tuple[float, ...]
    mean: float
    sd: float | None
    low: float | None
    high: float | None
    non_inferiority: Verdict
    superiority: Verdict


@dataclass(frozen=True)
class SignedRank:
    """How probable it is that an arm is, over corpora like these, typically worse than random, equivalent, or better.

    The three add up to 1, and are about the typical difference: worse is below -`MARGIN` of macro-F1, better above it.
    `mean` is that of the `corpora`.
    """

    worse: float
    equivalent: float
    better: float
    mean: float
    corpora: int


def difference(by_seed: Sequence[float]) -> Difference:
    """The mean of one corpus with its interval and verdicts, not yet adjusted for other corpora."""
    n, mean = len(by_seed), math.fsum(by_seed) / len(by_seed)
    sd = math.sqrt(math.fsum((d - mean) ** 2 for d in by_seed) / (n - 1)) if n > 1 else None
    half = _quantile(n - 1) * sd / math.sqrt(n) if sd is not None and n >= FEWEST_SEEDS else None
    return Difference(
        by_seed=tuple(by_seed),
        mean=mean,
        sd=sd,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
        non_inferiority=_verdict(mean, sd, n, MARGIN),
        superiority=_verdict(mean, sd, n, 0.0),
    )


def _verdict(
    mean: float, sd: float | None, seeds: int, margin: float, adjusted_p: float | None = None, among: int = 1
) -> Verdict:
    """With `adjusted_p`, and as one of `among` corpora in which it is not shown; else of a corpus alone."""
    if sd is None or seeds < FEWEST_SEEDS:
        return Verdict(margin, None, adjusted_p, TOO_FEW, None)
    above = mean + margin
    p = float(_student(seeds - 1).sf(above * math.sqrt(seeds) / sd)) if sd else float(above <= 0)
    adjusted = p if adjusted_p is None else adjusted_p
    least = max(SEEDS_FOR_A_CLAIM, 0 if adjusted < LEVEL else seeds + 1)
    verdict = TOO_FEW if seeds < SEEDS_FOR_A_CLAIM else SHOWN if adjusted < LEVEL else NOT_SHOWN
    return Verdict(margin, p, adjusted, verdict, seeds_needed(above, sd, least, among))


def seeds_needed(above: float, sd: float, least: int = SEEDS_FOR_A_CLAIM, among: int = 1) -> int | None:
    """The smallest n from `least` on at which an interval around a mean so far `above` its bound leaves it out, at the
    level of the first of `among` corpora; None beyond 1,000."""
    for n in range(least, MOST_SEEDS + 1):
        if _quantile(n - 1, among) * sd / math.sqrt(n) <= abs(above):
            return n
    return None


@functools.cache
def _quantile(freedom: int, among: int = 1) -> float:
    return float(_student(freedom).ppf(1 - LEVEL / among))


def student_p(share: float, seeds: int) -> float:
    """The one-sided p of a share above 0 of a bootstrap's resamples over so many seeds, which is too small as it
    stands."""
    with of_extra("simulation", "A verdict"):
        from scipy import stats
    return float(_student(seeds - 1).sf(stats.norm.isf(share) * math.sqrt((seeds - 1) / seeds)))


def _student(freedom: int) -> Any:
    with of_extra("simulation", "A verdict"):
        from scipy import stats  # here, as runs with fixed batches are reported where it is not installed
    return stats.t(freedom)


def holm(ps: Sequence[float | None]) -> list[float]:
    """Holm's adjusted p-values, in the order given; None counts as 1."""
    known = [1.0 if p is None else p for p in ps]
    adjusted, largest = [0.0] * len(known), 0.0
    for rank, i in enumerate(sorted(range(len(known)), key=lambda i: known[i])):
        largest = max(largest, min(1.0, (len(known) - rank) * known[i]))
        adjusted[i] = largest
    return adjusted


def shown_after_holm(of: Sequence[Difference]) -> int:
    """In how many corpora the arm is shown to be better, as one claim about all of them."""
    return sum(p < LEVEL for p in holm([one.superiority.p for one in of]))


def adjust(of: Sequence[Difference]) -> list[Difference]:
    """The differences of several corpora, with verdicts adjusted for each other on either question."""
    non_inferiority = _adjusted(of, [one.non_inferiority for one in of])
    superiority = _adjusted(of, [one.superiority for one in of])
    both = zip(of, non_inferiority, superiority, strict=True)
    return [replace(one, non_inferiority=loss, superiority=gain) for one, loss, gain in both]


def _adjusted(of: Sequence[Difference], verdicts: Sequence[Verdict]) -> list[Verdict]:
    ps = holm([verdict.p for verdict in verdicts])
    among = max(1, sum(p >= LEVEL for p in ps))
    return [
        _verdict(one.mean, one.sd, len(one.by_seed), verdict.margin, p, among)
        for one, verdict, p in zip(of, verdicts, ps, strict=True)
    ]


def signed_rank(means: Sequence[float]) -> SignedRank:
    """The Bayesian signed-rank test of the corpora's mean differences."""
    weights_BK = np.random.default_rng(0).dirichlet([PRIOR, *[1.0] * len(means)], DRAWS)
    worse, equivalent, better = most_probable(means, weights_BK)
    return SignedRank(worse, equivalent, better, math.fsum(means) / len(means), len(means))


def most_probable(means: Sequence[float], weights_BK: Array) -> tuple[float, float, float]:
    """The share of draws in which worse, equivalent and better have most; weights of the prior and the K - 1 means."""
    z_K = np.array([0.0, *means])
    sums_KK = z_K[:, None] + z_K
    better_B, worse_B = (_mass(weights_BK, sums) for sums in (sums_KK, -sums_KK))
    most_B = np.argmax([1 - better_B - worse_B, worse_B, better_B], axis=0)
    equivalent, worse, better = (np.bincount(most_B, minlength=3) / len(most_B)).tolist()
    return worse, equivalent, better


def _mass(weights_BK: Array, sums_KK: Array) -> Array:
    above_KK = np.heaviside(sums_KK - 2 * MARGIN, 0.5)
    return np.asarray(((weights_BK @ above_KK) * weights_BK).sum(axis=1), dtype=np.float64)
