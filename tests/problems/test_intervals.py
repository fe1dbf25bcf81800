"""Intervals of a proportion: known values, laws, and what they cover, counted exactly."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nextlabel.problems.intervals import ALPHA, Interval, any_time, clopper_pearson, square_and_add, wilson
from nextlabel.values.arrays import Array

Method = Callable[[int, int], Interval]
METHODS = (wilson, clopper_pearson, any_time)
LABELS = (20, 40, 80, 160)

laws = settings(derandomize=True, deadline=None, max_examples=80)
counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
methods = st.sampled_from(METHODS)
distances = st.lists(st.floats(0, 1), max_size=60)


@pytest.mark.parametrize(("method", "theirs"), [(wilson, "wilson"), (clopper_pearson, "exact")])
@pytest.mark.parametrize("trials", [1, 2, 7, 40, 160, 5000])
def test_limits_are_those_of_scipy(method: Method, theirs: str, trials: int) -> None:
    for successes in {0, 1, trials // 3, trials - 1, trials}:
        known = stats.binomtest(successes, trials).proportion_ci(0.95, method=theirs)
        assert method(successes, trials) == pytest.approx((known.low, known.high), abs=1e-12)


def test_limits_without_an_error_by_hand() -> None:
    z = 1.959963984540054
    assert wilson(0, 20) == pytest.approx((0, z * z / (20 + z * z)))
    assert clopper_pearson(59, 59) == pytest.approx((0.025 ** (1 / 59), 1))
    assert any_time(0, 1) == pytest.approx((0, 0.975)), "B(1/2, 3/2) is half of B(1/2, 1/2)"
    assert any_time(2, 2) == pytest.approx((math.sqrt(0.05 * 3 / 8), 1)), "B(5/2, 1/2) is 3/8 of B(1/2, 1/2)"


@pytest.mark.parametrize(("successes", "trials"), [(1, 3), (19, 20), (77, 160), (4_990, 5_000)])
def test_at_the_limits_of_any_time_the_mixture_is_twenty_times_the_likelihood(successes: int, trials: int) -> None:
    mixture = stats.betabinom(trials, 0.5, 0.5).logpmf(successes)
    for limit in any_time(successes, trials):
        assert mixture - stats.binom(trials, limit).logpmf(successes) == pytest.approx(math.log(1 / ALPHA), abs=1e-9)


@laws
@given(methods, counts)
def test_limits_are_shares_around_the_estimate_and_those_of_failures_mirror_them(
    method: Method, given_counts: tuple[int, int]
) -> None:
    successes, trials = given_counts
    low, high = method(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high
    assert method(trials - successes, trials) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@laws
@given(methods, counts, st.integers(2, 5))
def test_more_of_the_same_is_within_the_limits_of_less(
    method: Method, given_counts: tuple[int, int], more: int
) -> None:
    successes, trials = given_counts
    wide, narrow = method(successes, trials), method(successes * more, trials * more)
    assert wide.low - 1e-12 <= narrow.low
    assert narrow.high <= wide.high + 1e-12
    assert narrow.width < wide.width


@laws
@given(methods, counts)
def test_one_more_success_moves_both_limits_up(method: Method, given_counts: tuple[int, int]) -> None:
    successes, trials = given_counts
    less, more = method(successes, trials + 1), method(successes + 1, trials + 1)
    assert less.low < more.low
    assert less.high < more.high


@pytest.mark.parametrize("method", METHODS)
def test_without_trials_nothing_is_known(method: Method) -> None:
    assert method(0, 0) == (0, 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("successes", "trials"), [(-1, 4), (5, 4), (1, 0), (0, -1)])
def test_counts_that_are_no_proportion_are_refused(method: Method, successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} of {trials} is no proportion; give a count from 0"):
        method(successes, trials)


def coverages(method: Method, trials: int, truths_T: Array) -> Array:
    """At each truth the exact share of samples whose interval covers it."""
    found = [method(successes, trials) for successes in range(trials + 1)]
    weights_TS = stats.binom(trials, truths_T[:, None]).pmf(np.arange(trials + 1))
    covers_TS = np.array([[interval.covers(truth) for interval in found] for truth in truths_T])
    return np.asarray((weights_TS * covers_TS).sum(axis=1), dtype=np.float64)


@pytest.mark.parametrize("trials", LABELS)
def test_clopper_pearson_covers_every_truth_and_wilson_most(trials: int) -> None:
    truths_T = np.linspace(0.0005, 0.9995, 1000, dtype=np.float64)
    assert coverages(clopper_pearson, trials, truths_T).min() >= 0.95
    of_wilson = coverages(wilson, trials, truths_T)
    inner_T = (truths_T >= 0.03) & (truths_T <= 0.97)
    assert of_wilson[inner_T].min() >= 0.91
    assert of_wilson.min() >= 0.83
    assert of_wilson.mean() == pytest.approx(0.952, abs=0.003)
    assert (of_wilson < 0.93).mean() < 0.08


@pytest.mark.parametrize("truth", [0.0, 0.001, 0.05, 0.4, 0.5, 0.9, 0.96, 1.0])
def test_any_time_leaves_the_truth_out_at_any_of_500_looks_in_at_most_5_percent(truth: float) -> None:
    inside = np.array([1.0])  # how probable it is that so many succeeded and no look has left the truth out
    for trials in range(1, 501):
        inside = np.append(inside * (1 - truth), 0) + np.append(0, inside * truth)
        for successes in np.flatnonzero(inside).tolist():
            if not any_time(successes, trials).covers(truth):
                inside[successes] = 0
    assert inside.sum() >= 0.95


@laws
@given(distances)
def test_what_moves_together_is_added_and_what_does_not_is_squared(ds: list[float]) -> None:
    assert square_and_add(ds, 1) == pytest.approx(sum(ds))
    assert square_and_add(ds, 0) == pytest.approx(math.hypot(*ds))
    assert square_and_add(ds, 0) <= square_and_add(ds, 0.4) + 1e-9
    assert square_and_add(ds, 0.4) <= sum(ds) + 1e-9


def test_what_is_subtracted_takes_away_what_both_share() -> None:
    assert square_and_add([3, -4], 0) == pytest.approx(5)
    assert square_and_add([3, -4], 1) == pytest.approx(1)
    assert square_and_add([3, -4], -1) == pytest.approx(7)
