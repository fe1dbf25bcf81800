"""Statistics of learning curves: by hand, by law, and against a slow second implementation of the documented rules."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.simulation import curves
from nextlabel.simulation.curves import (
    Arms,
    Baseline,
    Curve,
    Full,
    Outcome,
    area,
    common_range,
    compare,
    crossing,
    final_score,
)

laws = settings(derandomize=True, deadline=None, max_examples=80)
scores = st.lists(st.integers(0, 40).map(lambda n: n / 40), min_size=1, max_size=12)

LABELS = np.array([100, 150, 200, 250, 300])
TRAIN = 400


def curve(dev: Sequence[float], test: Sequence[float] | None = None, start: int = 100) -> Curve:
    labels_R = start + 50 * np.arange(len(dev))
    return Curve(labels_R, np.array(dev), None if test is None else np.array(test))


def noisy_arms(
    seeds: int, rounds: int = 9, noise: float = 0.03, gain: float = 0.02, base: int = 0
) -> tuple[Arms, Full]:
    """Rising curves on a coarse grid, so that scores tie, and random stops early under some seeds."""
    rng = np.random.default_rng(base)
    arms: dict[str, dict[int, Curve]] = {"entropy": {}, "random": {}}
    full = {}
    for seed in range(seeds):
        for name, lift in (("entropy", gain), ("random", 0.0)):
            length = rounds - (seed % 3 if name == "random" else 0)
            heights = 0.7 + 0.02 * np.arange(length) + lift + rng.normal(0, noise, length)
            tests = heights - 0.01 + rng.normal(0, noise, length)
            arms[name][seed] = curve(np.round(heights, 2).tolist(), np.round(tests, 2).tolist())
        full[seed] = Baseline(round(0.84 + rng.normal(0, noise), 2), round(0.83 + rng.normal(0, noise), 2))
    return arms, full


def of(outcomes: Sequence[Outcome], strategy: str) -> Outcome:
    return next(outcome for outcome in outcomes if outcome.strategy == strategy)


# ---- crossings, areas, final scores, by hand


def test_a_sustained_crossing_needs_the_mean_of_three_rounds() -> None:
    scores_R = np.array([0.5, 0.9, 0.7, 0.9, 0.9])  # means of three: 0.7, 0.8333, 0.8333
    assert crossing(LABELS, scores_R, 0.82) == 250
    assert crossing(LABELS, scores_R, 0.82, span=1) == 150
    assert crossing(LABELS, scores_R, 0.69) == 200  # never before three rounds are there
    assert crossing(LABELS, scores_R, 0.84) is None
    assert crossing(LABELS[:2], scores_R[:2], 0.1) is None


def test_a_score_equal_to_the_target_reaches_it() -> None:
    assert crossing(LABELS, np.array([0.25, 0.5, 0.75, 0.5, 0.25]), 0.5) == 200
    assert crossing(LABELS, np.array([0.25, 0.5, 0.75, 0.5, 0.25]), 0.75, span=1) == 200


def test_the_area_is_the_mean_height_between_two_label_counts() -> None:
    scores_R = np.array([0.0, 0.4, 0.4, 0.8, 1.0])
    assert area(LABELS, scores_R, 100, 300) == pytest.approx((0.2 + 0.4 + 0.6 + 0.9) / 4)
    assert area(LABELS, scores_R, 125, 200) == pytest.approx((0.3 * 25 + 0.4 * 50) / 75)
    assert area(LABELS, scores_R, 150, 150) == 0.4


def test_the_final_score_is_the_mean_of_the_last_three_rounds_in_range() -> None:
    scores_R = np.array([0.1, 0.2, 0.3, 0.4, 0.9])
    assert final_score(LABELS, scores_R, 300) == pytest.approx(1.6 / 3)
    assert final_score(LABELS, scores_R, 299) == pytest.approx(0.3)
    assert final_score(LABELS, scores_R, 150) == pytest.approx(0.15)


def test_the_common_range_is_what_all_curves_have() -> None:
    assert common_range([curve([0.5] * 5), curve([0.5] * 3, start=150)]) == (150, 250)
    assert common_range([]) == (0, 0)


@laws
@given(heights=scores, target=st.integers(0, 40).map(lambda n: n / 40), span=st.integers(1, 4))
def test_a_crossing_is_the_first_round_that_fulfils_the_rule(heights: list[float], target: float, span: int) -> None:
    labels_R = 10 * np.arange(1, len(heights) + 1)
    windows = [(i, heights[i - span + 1 : i + 1]) for i in range(span - 1, len(heights))]
    expected = next((10 * (i + 1) for i, window in windows if math.fsum(window) / span >= target), None)
    assert crossing(labels_R, np.array(heights), target, span) == expected


@laws
@given(heights=scores, low=st.floats(10, 200), width=st.floats(0.01, 100))
def test_an_area_lies_between_the_lowest_and_the_highest_score(heights: list[float], low: float, width: float) -> None:
    labels_R = 10 * np.arange(1, len(heights) + 1)
    height = area(labels_R, np.array(heights), low, low + width)
    assert min(heights) - 1e-9 <= height <= max(heights) + 1e-9


# ---- savings, by hand


def two_seeds() -> tuple[Arms, Full]:
    """The target is 0.75. Under seed 0 entropy gets there with 200 labels, random with 250; under seed 1 neither."""
    arms = {
        "entropy": {0: curve([0.5, 0.75, 1, 1, 1], [0.6, 0.7, 0.75, 0.8, 0.8]), 1: curve([0.5] * 5, [0.5] * 5)},
        "random": {0: curve([0.5, 0.5, 0.75, 1, 1], [0.6] * 5), 1: curve([0.5] * 4, [0.5] * 4)},
    }
    return arms, {0: Baseline(0.625, 0.78), 1: Baseline(0.875, 0.7)}


def test_a_seed_that_never_reaches_the_target_counts_as_no_saving() -> None:
    outcome = of(compare(*two_seeds(), TRAIN), "entropy")
    assert outcome.to_full is not None
    assert outcome.to_full.target == 0.75
    assert outcome.to_full.labels == (200, None)
    assert outcome.to_full.labels_random == (250, None)
    assert (outcome.to_full.reached, outcome.to_full.reached_random) == (1, 1)
    assert outcome.to_full.saved_full is not None
    assert outcome.to_full.saved_full.mean == (0.5 + 0) / 2
    assert outcome.to_full.saved_random is not None
    assert outcome.to_full.saved_random.mean == pytest.approx((0.2 + 0) / 2)


def test_the_first_look_is_the_same_with_one_round() -> None:
    outcome = of(compare(*two_seeds(), TRAIN), "entropy")
    assert outcome.first_look is not None
    assert outcome.first_look.labels == (150, None)
    assert outcome.first_look.labels_random == (200, None)


def test_against_random_both_are_cut_where_the_shorter_one_ends() -> None:
    arms = {"entropy": {0: curve([0.5, 0.5, 0.5, 0.9, 0.9, 0.9])}, "random": {0: curve([0.9, 0.9, 0.9])}}
    outcome = of(compare(arms, {0: Baseline(0.9)}, TRAIN), "entropy")
    assert outcome.to_full is not None
    assert outcome.to_full.labels == (350,)
    assert outcome.to_full.saved_random is not None
    assert outcome.to_full.saved_random.mean == 1 - 200 / 200  # the arm had not crossed at 200, where random ends


def test_the_score_at_the_crossing_is_reported_on_test() -> None:
    outcome = of(compare(*two_seeds(), TRAIN), "entropy")
    assert outcome.to_full is not None
    assert outcome.to_full.test == 0.75
    assert outcome.to_full.test_difference is not None
    assert outcome.to_full.test_difference.mean == pytest.approx(0.75 - 0.78)
    assert outcome.to_full.test_difference.low is None  # one seed crossed


def test_nothing_is_saved_where_no_seed_reaches_the_target() -> None:
    arms = {"entropy": {0: curve([0.5] * 5, [0.5] * 5)}, "random": {0: curve([0.5, 0.75, 1, 1, 1])}}
    outcome = of(compare(arms, {0: Baseline(0.75)}, TRAIN), "entropy")
    assert outcome.to_full is not None
    assert (outcome.to_full.reached, outcome.to_full.reached_random) == (0, 1)
    assert (outcome.to_full.saved_full, outcome.to_full.saved_random) == (None, None)
    assert outcome.to_full.test is None


def test_the_second_target_is_randoms_end_at_the_last_round_all_its_seeds_have() -> None:
    outcome = of(compare(*two_seeds(), TRAIN), "entropy")
    assert outcome.to_random_end is not None
    assert outcome.to_random_end.target == (0.75 + 0.5) / 2  # rounds 1 to 3
    assert outcome.to_random_end.labels == (200, None)
    assert outcome.to_random_end.labels_random == (250, None)


def test_two_rounds_have_no_second_target() -> None:
    arms = {"entropy": {0: curve([0.5, 0.6])}, "random": {0: curve([0.5, 0.6])}}
    outcome = of(compare(arms, {}, TRAIN), "entropy")
    assert (outcome.to_full, outcome.first_look, outcome.to_random_end) == (None, None, None)


def test_differences_and_wins_are_paired_by_seed() -> None:
    arms = {
        "entropy": {s: curve([0.5, 0.5 + step, 0.5]) for s, step in enumerate((0.1, 0.0, -0.1, 0.2))},
        "random": {s: curve([0.5, 0.5, 0.5]) for s in range(4)},
    }
    differences = of(compare(arms, {}, TRAIN), "entropy").against_random
    assert differences is not None
    assert differences.areas == pytest.approx((0.05, 0, -0.05, 0.1))
    assert differences.wins == (1 + 0.5 + 0 + 1) / 4
    assert differences.area.mean == pytest.approx(0.025)
    assert differences.final_test is None


def test_only_seeds_with_arm_random_and_baseline_are_paired() -> None:
    arms, full = noisy_arms(6)
    arms = {"entropy": {s: arms["entropy"][s] for s in (5, 0, 1, 2)}, "random": dict(arms["random"])}
    full = {seed: full[seed] for seed in (2, 3, 5)}
    outcomes = compare(arms, full, TRAIN)
    assert of(outcomes, "entropy").seeds == (2, 5)
    assert of(outcomes, "random").seeds == (2, 3, 5)
    assert of(compare(arms, {}, TRAIN), "entropy").seeds == (0, 1, 2, 5)
    assert compare({"entropy": {7: curve([0.5])}, "random": arms["random"]}, full, TRAIN)[0].strategy == "random"


def test_fewer_than_ten_paired_seeds_support_no_claim() -> None:
    for seeds, claim in ((9, False), (10, True)):
        assert of(compare(*noisy_arms(seeds), TRAIN), "entropy").supports_claim is claim


def test_one_seed_has_no_interval() -> None:
    outcome = of(compare(*noisy_arms(1), TRAIN), "entropy")
    assert outcome.against_random is not None
    assert (outcome.against_random.area.low, outcome.against_random.area.high) == (None, None)
    assert outcome.supports_claim is False


def test_random_against_itself_gains_exactly_nothing() -> None:
    arms, full = noisy_arms(10)
    outcome = of(compare({"twin": arms["random"], "random": arms["random"]}, full, 10_000), "twin")
    assert outcome.to_full is not None
    assert outcome.to_full.saved_random is not None
    assert (outcome.to_full.saved_random.low, outcome.to_full.saved_random.high) == (0, 0)
    assert outcome.against_random is not None
    assert (outcome.against_random.area.mean, outcome.against_random.wins) == (0, 0.5)


@laws
@given(base=st.integers(0, 1000), lift=st.integers(0, 5))
def test_a_higher_curve_never_needs_more_labels(base: int, lift: int) -> None:
    arms, full = noisy_arms(2, base=base)
    target = full[0].dev
    for line in arms["entropy"].values():
        lower = crossing(line.labels_R, line.dev_R, target)
        higher = crossing(line.labels_R, line.dev_R + lift / 100, target)
        assert lower is None or (higher is not None and higher <= lower)


def test_the_order_in_which_seeds_are_given_changes_no_digit() -> None:
    arms, full = noisy_arms(5)
    turned = {name: dict(reversed(list(by_seed.items()))) for name, by_seed in arms.items()}
    assert compare(arms, full, TRAIN) == compare(turned, dict(reversed(list(full.items()))), TRAIN)


def test_a_mean_curve_has_the_rounds_that_all_seeds_have() -> None:
    labels_R, means = curves.mean_curve([curve([0.5, 0.6, 0.7]), curve([0.7, 0.8])])
    assert labels_R.tolist() == [100, 150]
    assert [e.mean for e in means] == pytest.approx([0.6, 0.7])
    assert [(e.low, e.high) for e in means] == [(None, None)] * 2


@pytest.mark.parametrize("seeds", [1, 4, 5, 12])
def test_fewer_than_five_seeds_have_no_interval(seeds: int) -> None:
    spread = [0.5 + 0.01 * (seed % 3) for seed in range(seeds)]
    _, [first, *_] = curves.mean_curve([curve([score, 0.8]) for score in spread])
    assert first.mean == pytest.approx(np.mean(spread))
    if seeds < 5:
        assert (first.low, first.high) == (None, None)
    else:
        assert first.low is not None
        assert first.high is not None
        assert min(spread) <= first.low < first.mean < first.high <= max(spread)


# ---- the documented algorithm once more, slowly and without sharing a line


def slow_mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def slow_labels(one: Curve, target: float, span: int) -> float:
    for i in range(span - 1, len(one.dev_R)):
        if slow_mean([float(one.dev_R[j]) for j in range(i - span + 1, i + 1)]) >= target:
            return float(one.labels_R[i])
    return math.inf


def slow_statistics(arms: Arms, full: Full, seeds: Sequence[int], span: int, common: int) -> dict[str, float | None]:
    """Every mean over `seeds`, which may repeat."""
    arm, random = [arms["entropy"][s] for s in seeds], [arms["random"][s] for s in seeds]
    target = slow_mean([full[s].dev for s in seeds])
    ends = slow_mean([slow_mean([float(v) for v in r.dev_R[common - 3 : common]]) for r in random])
    saved_full, saved_random, saved_second, tests = [], [], [], []
    for s, a, r in zip(seeds, arm, random, strict=True):
        cut = float(min(a.labels_R[-1], r.labels_R[-1]))
        need = slow_labels(a, target, span)
        saved_full.append(1 - min(need, TRAIN) / TRAIN)
        saved_random.append(1 - min(need, cut) / min(slow_labels(r, target, span), cut))
        saved_second.append(1 - min(slow_labels(a, ends, 3), cut) / min(slow_labels(r, ends, 3), cut))
        if need < math.inf:
            assert a.test_R is not None
            tests.append(float(a.test_R[a.labels_R.tolist().index(need)]) - (full[s].test or 0))
    return {
        "full": slow_mean(saved_full),
        "random": slow_mean(saved_random),
        "second": slow_mean(saved_second),
        "test": slow_mean(tests) if tests else None,
    }


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("span", [3, 1])
@pytest.mark.parametrize("seeds", [5, 7])
def test_an_independent_bootstrap_gives_the_same_digits(seeds: int, span: int) -> None:
    arms, full = noisy_arms(seeds, base=seeds)
    outcome = of(compare(arms, full, TRAIN), "entropy")
    reaching = outcome.to_full if span == 3 else outcome.first_look
    assert reaching is not None
    assert outcome.to_random_end is not None
    common = min(len(r.dev_R) for r in arms["random"].values())
    point = slow_statistics(arms, full, range(seeds), span, common)
    rows = np.random.default_rng(0).integers(0, seeds, size=(10_000, seeds)).tolist()
    distinct = {tuple(row): slow_statistics(arms, full, row, span, common) for row in map(tuple, rows)}
    found = {
        "full": reaching.saved_full,
        "random": reaching.saved_random,
        "second": outcome.to_random_end.saved_random,
        "test": reaching.test_difference,
    }
    for name, estimate in found.items():
        assert estimate is not None
        means = [distinct[tuple(row)][name] for row in rows]
        low, high = np.percentile([m for m in means if m is not None], [2.5, 97.5])
        assert (estimate.mean, estimate.low, estimate.high) == (point[name], low, high), name


def test_outcomes_are_plain_numbers() -> None:
    plain = asdict(of(compare(*noisy_arms(3), TRAIN), "entropy"))
    assert plain["to_full"]["saved_full"]["seeds"] == 3
    assert type(plain["to_full"]["target"]) is float
    assert type(plain["last_labels"][0]) is int
