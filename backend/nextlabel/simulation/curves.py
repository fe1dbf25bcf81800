"""Statistics of learning curves over paired seeds: how many labels a strategy saves, and how sure that is. numpy only.

The rules, so that anybody can compute the same numbers from the same records:

Target. The mean dev score of the full-data baseline over the paired seeds. *Paired seeds* of an arm are those that
have the arm, and random and the baseline as far as the run has these at all.

Crossing. The first round whose mean dev score over itself and the `span - 1` rounds before it is at least the
target; rounds before `span - 1` cannot cross. `span` is 3; the tutorial's first look is `span` 1. What the crossing
needs is the labels of that round, L.

Saved against full data, per seed: 1 - L / N_train. A seed that never crosses counts as L = N_train, no saving: where a
run ended too early this is a lower bound.

Saved against random, per seed: 1 - L / L_random, both under the same rule and target. Both are cut at the last label
count that the two arms of the seed have in common: who has not crossed there counts with that count. If neither has,
the saving is 0. A seed can save at most 100 % and lose without bound, so that the mean is conservative.

If no seed of an arm crosses, nothing is said to be saved, whatever these numbers.

Second target. The mean over the paired seeds of random's final score (mean of 3 rounds) at the last round that all
of them have: for runs that start small and never see the full-data score. Saved against random, by the same rule.

Area. The trapezoid over labels divided by the width, between the first and the last label count that all curves
compared have. Final score: the mean of the last 3 rounds within that range.

Interval. Percentile bootstrap over seeds. With the S paired seeds in ascending order,
`rows = numpy.random.default_rng(0).integers(0, S, size=(10000, S))`: one row per resample, whose seeds take along every
arm and the baseline. In each resample the target, with it every crossing, and the mean over its seeds are computed anew
(random's last common round and the range of the area are not). The interval is
`numpy.percentile(means, [2.5, 97.5])`, linear. All means and running means are exactly rounded sums divided by the
count (`math.fsum(values) / len(values)`), so that the order of summation cannot matter. A mean over the seeds that
crossed leaves out resamples in which none did. Fewer than `FEWEST_SEEDS` have no interval: the resamples of two seeds
have three means, and none of them says how far others may lie.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nextlabel.values.arrays import Array, Ints

SPAN = 3  # rounds whose mean must reach the target, so that one lucky round does not
RESAMPLES = 10_000
FEWEST_SEEDS = 5  # for an interval
SEEDS_FOR_A_CLAIM = 10


@dataclass(frozen=True)
class Curve:
    """One arm under one seed: labels used and combined scores in [0, 1] of its R rounds; labels rise."""

    labels_R: Ints
    dev_R: Array
    test_R: Array | None = None


@dataclass(frozen=True)
class Baseline:
    """Combined scores in [0, 1] of the model fitted on all the data, under one seed."""

    dev: float
    test: float | None = None


@dataclass(frozen=True)
class Estimate:
    """A mean over `seeds` seeds with the ends of its 95 % interval, None with fewer than `FEWEST_SEEDS`."""

    mean: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low is not None and self.low > 0

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high is not None and self.high < 0


@dataclass(frozen=True)
class Reaching:
    """How an arm gets to a target score under a rule.

    `labels` and `labels_random` by paired seed, None where the target was not reached. The savings are shares of the
    other's labels, None when no seed of the arm reached the target, or when there is nothing to compare with.
    `test` is the mean test score of the crossing models, `test_difference` that minus the same seeds' full-data score.
    """

    target: float
    span: int
    labels: tuple[int | None, ...]
    labels_random: tuple[int | None, ...]
    saved_full: Estimate | None
    saved_random: Estimate | None
    test: float | None
    test_difference: Estimate | None

    @property
    def reached(self) -> int:
        """In how many seeds the arm reached the target."""
        return sum(count is not None for count in self.labels)

    @property
    def reached_random(self) -> int:
        """In how many seeds random reached the target."""
        return sum(count is not None for count in self.labels_random)


@dataclass(frozen=True)
class Differences:
    """An arm minus random, paired by seed. `wins`: share of seeds with the larger area, ties count half."""

    area: Estimate
    final_dev: Estimate
    final_test: Estimate | None
    areas: tuple[float, ...]
    wins: float


@dataclass(frozen=True)
class Outcome:
    """All that is said about one arm. What cannot be computed is None: no baseline, no random arm, no test part.

    `seeds` are the paired ones, ascending; `rounds` those of each. `to_full`: the target under the sustained rule,
    `first_look`: the same under the tutorial's, `to_random_end`: the second target.
    """

    strategy: str
    seeds: tuple[int, ...]
    rounds: tuple[int, ...]
    last_labels: tuple[int, ...]
    area: float
    final_dev: float
    final_test: float | None
    to_full: Reaching | None
    first_look: Reaching | None
    to_random_end: Reaching | None
    against_random: Differences | None

    @property
    def supports_claim(self) -> bool:
        """Whether there are enough paired seeds to say anything, whatever it is."""
        return len(self.seeds) >= SEEDS_FOR_A_CLAIM


Arms = Mapping[str, Mapping[int, Curve]]  # by strategy and seed
Full = Mapping[int, Baseline]  # by seed


def compare(arms: Arms, full: Full, train: int, random: str = "random") -> tuple[Outcome, ...]:
    """The outcome of every arm that has a paired seed, in the given order. `train` is the size of the training data."""
    sampled = arms.get(random, {})
    low, high = common_range([c[seed] for c in arms.values() for seed in paired_seeds(c, sampled, full)])
    return tuple(
        _outcome(name, curves, sampled, full, train, (low, high), is_random=name == random)
        for name, curves in arms.items()
        if paired_seeds(curves, sampled, full)
    )


def paired_seeds(curves: Mapping[int, Curve], sampled: Mapping[int, Curve], full: Full) -> tuple[int, ...]:
    """The seeds that all of them have, ascending; what the run does not have at all is not asked for."""
    return tuple(sorted(set(curves) & (set(sampled) or set(curves)) & (set(full) or set(curves))))


def common_range(curves: Sequence[Curve]) -> tuple[int, int]:
    """The first and the last label count that all the curves have; 0 and 0 when there are none."""
    if not curves:
        return 0, 0
    return max(int(c.labels_R[0]) for c in curves), min(int(c.labels_R[-1]) for c in curves)


def crossing(labels_R: Ints, scores_R: Array, target: float, span: int = SPAN) -> int | None:
    """The labels of the first round whose mean score over the last `span` rounds is at least `target`, or None."""
    number = int(_first_crossings(scores_R, np.array([target]), span)[0])
    return int(labels_R[number]) if number < len(labels_R) else None


def trailing_means(scores_R: Array, span: int = SPAN) -> Array:
    """The mean of each round with the `span - 1` before it, from round `span - 1` on: R - span + 1 values, or none."""
    return np.array([mean(scores_R[i : i + span]) for i in range(len(scores_R) - span + 1)], dtype=np.float64)


def area(labels_R: Ints, scores_R: Array, low: float, high: float) -> float:
    """The mean height of the curve between two label counts within it; its height when they are equal."""
    if low == high:
        return float(np.interp(low, labels_R, scores_R))
    inside = labels_R[(labels_R > low) & (labels_R < high)]
    at = np.concatenate([[low], inside, [high]]).astype(np.float64)
    heights = np.interp(at, labels_R, scores_R)
    return math.fsum((np.diff(at) * (heights[1:] + heights[:-1]) / 2).tolist()) / (high - low)


def final_score(labels_R: Ints, scores_R: Array, high: float, span: int = SPAN) -> float:
    """The mean of the last `span` rounds up to `high` labels, of fewer where there are not as many."""
    return mean(scores_R[labels_R <= high][-span:])


def resample(seeds: int, resamples: int = RESAMPLES, generator: int = 0) -> Ints:
    """Positions of seeds: the first row is every seed once, each other row one bootstrap resample."""
    drawn = np.random.default_rng(generator).integers(0, seeds, size=(resamples, seeds))
    return np.concatenate([np.arange(seeds)[None, :], drawn])


def mean(values: Array) -> float:
    """The exactly rounded sum, divided by the count."""
    return math.fsum(values.tolist()) / len(values)


def means_by_resample(values_S: Array, rows_BS: Ints) -> Array:
    """The mean over the seeds of each resample."""
    return np.array([math.fsum(row) / len(row) for row in values_S[rows_BS].tolist()])


def estimate(values_S: Array, rows_BS: Ints) -> Estimate:
    """Mean and interval of a number that each seed has, whatever the other seeds are."""
    return _estimate(means_by_resample(values_S, rows_BS).tolist(), len(values_S))


def mean_curve(curves: Sequence[Curve], test: bool = False) -> tuple[Ints, list[Estimate]]:
    """The rounds that all the curves have: their label counts, and mean score and interval at each."""
    rounds = min(len(curve.labels_R) for curve in curves)
    scores_SR = np.array([_part(curve, test)[:rounds] for curve in curves])
    rows_BS = resample(len(curves))
    return curves[0].labels_R[:rounds], [estimate(scores_SR[:, r], rows_BS) for r in range(rounds)]


def _part(curve: Curve, test: bool) -> Array:
    scores_R = curve.test_R if test else curve.dev_R
    assert scores_R is not None, "asked for test scores of a run without a test part"
    return scores_R


def _outcome(
    name: str,
    curves: Mapping[int, Curve],
    sampled: Mapping[int, Curve],
    full: Full,
    train: int,
    within: tuple[int, int],
    is_random: bool,
) -> Outcome:
    seeds = paired_seeds(curves, sampled, full)
    arm = [curves[seed] for seed in seeds]
    rival = [sampled[seed] for seed in seeds] if sampled and not is_random else None
    baseline = [full[seed] for seed in seeds] if full else None
    tested = all(curve.test_R is not None for curve in arm)
    return Outcome(
        strategy=name,
        seeds=seeds,
        rounds=tuple(len(curve.labels_R) for curve in arm),
        last_labels=tuple(int(curve.labels_R[-1]) for curve in arm),
        area=mean(np.array([area(c.labels_R, c.dev_R, *within) for c in arm])),
        final_dev=mean(np.array([final_score(c.labels_R, c.dev_R, within[1]) for c in arm])),
        final_test=mean(_final_tests(arm, within[1])) if tested else None,
        to_full=_to_full(arm, rival, baseline, train, SPAN) if baseline else None,
        first_look=_to_full(arm, rival, baseline, train, 1) if baseline else None,
        to_random_end=_to_random_end(arm, rival) if rival else None,
        against_random=_differences(arm, rival, within, tested) if rival else None,
    )


def _final_tests(arm: Sequence[Curve], high: float) -> Array:
    return np.array([final_score(c.labels_R, _part(c, test=True), high) for c in arm])


def _differences(arm: Sequence[Curve], rival: Sequence[Curve], within: tuple[int, int], tested: bool) -> Differences:
    rows_BS = resample(len(arm))

    def of(part: Sequence[Curve]) -> tuple[Array, Array]:
        areas = [area(c.labels_R, c.dev_R, *within) for c in part]
        return np.array(areas), np.array([final_score(c.labels_R, c.dev_R, within[1]) for c in part])

    (areas_S, finals_S), (rival_areas_S, rival_finals_S) = of(arm), of(rival)
    more_S = areas_S - rival_areas_S
    tested = tested and all(curve.test_R is not None for curve in rival)
    return Differences(
        area=estimate(more_S, rows_BS),
        final_dev=estimate(finals_S - rival_finals_S, rows_BS),
        final_test=estimate(_final_tests(arm, within[1]) - _final_tests(rival, within[1]), rows_BS) if tested else None,
        areas=tuple(more_S.tolist()),
        wins=mean((np.sign(more_S) + 1) / 2),
    )


def _to_full(
    arm: Sequence[Curve], rival: Sequence[Curve] | None, baseline: Sequence[Baseline], train: int, span: int
) -> Reaching:
    rows_BS = resample(len(arm))
    targets_B = means_by_resample(np.array([b.dev for b in baseline]), rows_BS)
    needed_SB = _labels_needed(arm, targets_B, span)
    test, difference = _test_at_crossing(arm, baseline, targets_B, span, rows_BS)
    some = bool(np.isfinite(needed_SB[:, 0]).any())
    saved_SB = 1 - np.minimum(needed_SB, train) / train
    return Reaching(
        target=float(targets_B[0]),
        span=span,
        labels=_counts(needed_SB[:, 0]),
        labels_random=_counts(_labels_needed(rival, targets_B[:1], span)[:, 0]) if rival else (),
        saved_full=_estimate_by_resample(saved_SB, rows_BS) if some else None,
        saved_random=_saved_against_random(arm, rival, targets_B, span, rows_BS) if some and rival else None,
        test=test,
        test_difference=difference,
    )


def _to_random_end(arm: Sequence[Curve], rival: Sequence[Curve]) -> Reaching | None:
    """None while the random arm has fewer than `SPAN` rounds in common."""
    common = min(len(curve.dev_R) for curve in rival)
    if common < SPAN:
        return None
    rows_BS = resample(len(arm))
    ends_S = np.array([mean(curve.dev_R[common - SPAN : common]) for curve in rival])
    targets_B = means_by_resample(ends_S, rows_BS)
    needed_S = _labels_needed(arm, targets_B[:1], SPAN)[:, 0]
    some = bool(np.isfinite(needed_S).any())
    return Reaching(
        target=float(targets_B[0]),
        span=SPAN,
        labels=_counts(needed_S),
        labels_random=_counts(_labels_needed(rival, targets_B[:1], SPAN)[:, 0]),
        saved_full=None,
        saved_random=_saved_against_random(arm, rival, targets_B, SPAN, rows_BS) if some else None,
        test=None,
        test_difference=None,
    )


def _saved_against_random(
    arm: Sequence[Curve], rival: Sequence[Curve], targets_B: Array, span: int, rows_BS: Ints
) -> Estimate:
    cut_S1 = np.array([[min(a.labels_R[-1], r.labels_R[-1])] for a, r in zip(arm, rival, strict=True)])
    ours_SB = np.minimum(_labels_needed(arm, targets_B, span), cut_S1)
    theirs_SB = np.minimum(_labels_needed(rival, targets_B, span), cut_S1)
    return _estimate_by_resample(1 - ours_SB / theirs_SB, rows_BS)


def _test_at_crossing(
    arm: Sequence[Curve], baseline: Sequence[Baseline], targets_B: Array, span: int, rows_BS: Ints
) -> tuple[float | None, Estimate | None]:
    """Mean test score of the models at the crossing, and its difference to full data, over the seeds that crossed."""
    more_SB = np.full((len(arm), len(targets_B)), np.nan)
    tests: list[float] = []
    for s, (curve, whole) in enumerate(zip(arm, baseline, strict=True)):
        if curve.test_R is None or whole.test is None:
            return None, None
        number_B = _first_crossings(curve.dev_R, targets_B, span)
        crossed_B = number_B < len(curve.test_R)
        more_SB[s, crossed_B] = curve.test_R[number_B[crossed_B]] - whole.test
        tests += [float(curve.test_R[number_B[0]])] if crossed_B[0] else []
    if not tests:
        return None, None
    return mean(np.array(tests)), _estimate_by_resample(more_SB, rows_BS)


def _first_crossings(scores_R: Array, targets_B: Array, span: int) -> npt.NDArray[np.intp]:
    """The round of the crossing for each target; R or more where there is none."""
    # The highest running mean so far never falls, so the first that reaches a target is found by bisection.
    highest = np.maximum.accumulate(trailing_means(scores_R, span)) if len(scores_R) >= span else np.empty(0)
    found_B = np.searchsorted(highest, targets_B, side="left") + span - 1
    return np.where(found_B < len(scores_R), found_B, len(scores_R))


def _labels_needed(curves: Sequence[Curve], targets_B: Array, span: int) -> Array:
    """Labels at the crossing, S seeds by B targets; infinite where there is none."""
    return np.array(
        [np.append(c.labels_R, np.inf)[_first_crossings(c.dev_R, targets_B, span)] for c in curves], dtype=np.float64
    )


def _counts(labels_S: Array) -> tuple[int | None, ...]:
    return tuple(int(count) if math.isfinite(count) else None for count in labels_S)


def _estimate_by_resample(values_SB: Array, rows_BS: Ints) -> Estimate:
    """From each seed's value under each resample's target; NaN is left out, and so is a resample of NaN alone."""
    picked = values_SB[rows_BS, np.arange(len(rows_BS))[:, None]].tolist()
    if np.isnan(values_SB).any():
        picked = [[value for value in row if not math.isnan(value)] for row in picked]
    return _estimate([math.fsum(row) / len(row) for row in picked if row], len(picked[0]))


def _estimate(means_B: Sequence[float], seeds: int) -> Estimate:
    """The first is the mean over all the seeds, the others those of the resamples."""
    if seeds < FEWEST_SEEDS:
        return Estimate(means_B[0], None, None, seeds)
    low, high = np.percentile(means_B[1:], [2.5, 97.5]).tolist()
    return Estimate(means_B[0], low, high, seeds)
