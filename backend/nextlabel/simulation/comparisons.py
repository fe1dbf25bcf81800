"""Statistics of a run that plays label counts: curves, labels needed, savings and verdicts against random sampling.

The rules, so that anybody can compute the same numbers from the same records. The score is macro-F1. `verdicts` has the
rules of the verdicts, `curves` those of runs with fixed batches.

Counts. Those of `setting["at"]` as far as random's longest curve goes, c_1 .. c_K. A seed is *paired* for an arm when the
arm and random both have all K rounds; an arm without such a seed is left out. Full data has seeds of its own, mostly
fewer, and all of them count.

Means are exactly rounded sums divided by the count (`math.fsum(values) / len(values)`), over seeds in ascending order.
The area of a curve is the trapezoid over log2(labels) from c_1 to c_K, divided by log2(c_K) - log2(c_1).

Intervals of means, areas and their paired differences. Percentile bootstrap over the S paired seeds,
`rows = numpy.random.default_rng(0).integers(0, S, size=(10000, S))`, `numpy.percentile(means, [2.5, 97.5])`, linear. For
the final test score's difference to random `verdicts` takes Student's interval instead, as 10 resampled seeds give
too narrow a one.

Targets, on dev. Three lie 90, 95 and 98 % of the way from the start to full data: s + q (f - s), with s random's mean
score at c_1 and f the mean of full data. The fourth is random's mean score at c_K.

Labels needed. On the arm's *mean* dev curve m_1 .. m_K the first k with m_k at least the target counts, whatever the
curve does after it: a curve that falls again has reached the target all the same, and so has random's. At k = 1 it is
c_1; else c_(k-1) (c_k / c_(k-1))^w with w = (target - m_(k-1)) / (m_k - m_(k-1)), which is linear in log2(labels),
rounded to a whole number. Where no m_k is high enough, it is *not reached within c_K*, and there is no number. The test
score there is the mean test curve's between the same two counts with the same w: selected on dev, reported on test.

Saving. 1 - labels / random's labels for the same target, on the paired seeds of the arm. None where either has not
reached it.

Interval of a saving. The same rows, so that a seed takes its arms along; full data's F seeds are drawn on their own,
`numpy.random.default_rng(1).integers(0, F, size=(10000, F))`, as a fit on all the data has nothing in common with the
arms of its seed. In each resample the mean curves, the target and with it both counts of labels are made anew. What is
not reached takes more than c_K labels, so that a resample knows a saving only within bounds: exact where both reach the
target; at least 1 - labels / c_K where random alone does not; at most 1 - c_K / random's labels where the arm alone does
not; and anything where neither does. The interval goes from the 250th smallest lower bound to the 250th largest upper
bound. An end without a bound is open: None. With one seed both are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.simulation.curves import SEEDS_FOR_A_CLAIM, Baseline, Curve, Estimate
from nextlabel.simulation.records import Run
from nextlabel.simulation.verdicts import Difference, SignedRank, Verdict

WAYS = {"90": 0.9, "95": 0.95, "98": 0.98}  # shares of the way from the start to full data
RANDOM_FINAL = "random_final"
TARGETS = (*WAYS, RANDOM_FINAL)
OUTSIDE = 250  # of 10,000 resamples on each side of an interval


@dataclass(frozen=True)
class Point:
    """A mean curve at one label count: macro-F1 on dev and test, each with its interval."""

    labels: int
    dev: Estimate
    test: Estimate


@dataclass(frozen=True)
class Saving:
    """The share of random's labels that an arm does without, at most 1, below 0 where it needs more.

    `share` is None where the arm or random does not reach the target; `low` and `high`, the ends of the 95 % interval,
    are None where that end is open.
    """

    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Need:
    """What an arm needs to reach a target: "90", "95" or "98" % of the way to full data, or "random_final".

    `score` is the target on dev; `labels` and `labels_random` are None where it is not reached within `last`. `test` is
    the arm's mean test score at `labels`. `saving` is None for random itself.
    """

    target: str
    score: float
    last: int
    labels: int | None
    labels_random: int | None
    test: float | None
    saving: Saving | None


@dataclass(frozen=True)
class Against:
    """An arm minus random, paired by seed: final scores and areas, on dev and test.

    The final test score, by which verdicts are given, has Student's interval, the others the bootstrap's.
    """

    final_test: Difference
    final_dev: Estimate
    area_test: Estimate
    area_dev: Estimate


@dataclass(frozen=True)
class Arm:
    """All that is said about one arm over its paired seeds. `against_random` is None for random itself.

    `needs` are in the order of `TARGETS`; without full data only "random_final" is there.
    """

    strategy: str
    seeds: tuple[int, ...]
    curve: tuple[Point, ...]
    final_dev: Estimate
    final_test: Estimate
    area_dev: Estimate
    area_test: Estimate
    needs: tuple[Need, ...]
    against_random: Against | None

    @property
    def supports_claim(self) -> bool:
        """Whether there are enough paired seeds to say anything, whatever it is."""
        return len(self.seeds) >= SEEDS_FOR_A_CLAIM

    def need(self, target: str) -> Need | None:
        """What is needed for a target of `TARGETS`, None without full data."""
        return next((need for need in self.needs if need.target == target), None)


@dataclass(frozen=True)
class FullData:
    """Macro-F1 of the models fitted on all the data, over their own seeds."""

    seeds: tuple[int, ...]
    dev: Estimate
    test: Estimate


@dataclass(frozen=True)
class Comparison:
    """One corpus: every arm against random sampling, at the `counts` of labels that were played.

    `train` is the size of the pool, `labels` the names of the classes. Random is the last of the arms.
    """

    corpus: str
    labels: tuple[str, ...]
    train: int
    counts: tuple[int, ...]
    full: FullData | None
    arms: tuple[Arm, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for `statistics.json`."""
        return asdict(self)


@dataclass(frozen=True)
class InCorpus:
    """An arm's final test score against random in one of several corpora; its verdicts are adjusted for the others."""

    corpus: str
    seeds: int
    mean: float
    low: float | None
    high: float | None
    non_inferiority: Verdict
    superiority: Verdict


@dataclass(frozen=True)
class OverCorpora:
    """An arm in all corpora that have it, in the order given, and what they say together."""

    strategy: str
    corpora: tuple[InCorpus, ...]
    summary: SignedRank


@dataclass(frozen=True)
class Corpora:
    """Several corpora together: each arm but random that any of them has."""

    corpora: tuple[str, ...]
    arms: tuple[OverCorpora, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for a file."""
        return asdict(self)


def compare(run: Run, corpus: str) -> Comparison:
    """The statistics of a run with label counts. Raises `BadRunError` when it has none, or there is nothing to compare."""
    raise NotImplementedError


def over_corpora(comparisons: Sequence[Comparison]) -> Corpora:
    """Verdicts adjusted over the corpora, and the summary, of each arm in at least one. In the order given."""
    raise NotImplementedError
