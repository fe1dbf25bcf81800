"""Label counts compared: by hand, by law, and against a slow second implementation of the documented rules."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.counted import AT, SETTING, Scores, run_of
from nextlabel.errors import BadRunError
from nextlabel.simulation.comparisons import (
    RANDOM_FINAL,
    TARGETS,
    Arm,
    Comparison,
    Need,
    Saving,
    claimed,
    compare,
    in_order,
    labels_needed,
    log_area,
    over_corpora,
    saving,
    saving_p,
)
from nextlabel.simulation.records import LIVE, Run
from nextlabel.simulation.verdicts import LEVEL, student_p

laws = settings(derandomize=True, deadline=None, max_examples=3)  # each resamples 10,000 times
quick_laws = settings(derandomize=True, deadline=None, max_examples=200)
curves = st.lists(st.integers(0, 40).map(lambda n: n / 40), min_size=5, max_size=5)

Pairs = list[tuple[float, float]]


def noisy(
    seeds: int, gain: float = 0.03, noise: float = 0.04, base: int = 0, full: int = 3
) -> dict[str, dict[int, Pairs]]:
    """Rising curves with noise, so that mean curves fall at times and targets are missed in some resamples."""
    rng = np.random.default_rng(base)

    def rounds(lift: float) -> Pairs:
        heights = [0.4 + 0.1 * k + (lift if k else 0) for k in range(len(AT))]
        return [
            (float(np.clip(h + rng.normal(0, noise), 0, 1)), float(h - 0.02 + rng.normal(0, noise))) for h in heights
        ]

    played = {name: {s: rounds(lift) for s in range(seeds)} for name, lift in (("random", 0.0), ("margin", gain))}
    return {**played, "full": {s: [(0.85 + 0.02 * s, 0.83 + 0.01 * s)] for s in range(full)}}


def flat(dev: Sequence[float], test: Sequence[float] | None = None) -> Pairs:
    return list(zip(dev, test or dev, strict=True))


def arm(compared: Comparison, strategy: str) -> Arm:
    return next(arm for arm in compared.arms if arm.strategy == strategy)


def need(compared: Comparison, strategy: str, target: str) -> Need:
    found = arm(compared, strategy).need(target)
    assert found is not None
    return found


# ---- labels needed and areas


def test_labels_between_two_counts_are_found_on_their_logarithms() -> None:
    scores = [0.2, 0.4, 0.6, 0.8, 0.8]
    assert labels_needed(AT, scores, 0.5) == round(64 * math.sqrt(2))  # half way from 64 to 128
    assert labels_needed(AT, scores, 0.6) == 128
    assert labels_needed(AT, scores, 0.1) == 32
    assert labels_needed(AT, scores, 0.81) is None


def test_what_a_curve_does_after_it_reached_the_target_does_not_matter() -> None:
    assert labels_needed(AT, [0.2, 0.7, 0.3, 0.1, 0.9], 0.7) == 64
    assert labels_needed(AT, [0.2, 0.7, 0.3, 0.1, 0.9], 0.8) == round(256 * 2 ** (0.7 / 0.8))


@quick_laws
@given(curves, st.integers(0, 40).map(lambda n: n / 40), st.sampled_from([AT, (50, 100, 200, 400, 800)]))
def test_labels_needed_lie_where_the_curve_is_at_the_target(
    scores: list[float], target: float, counts: tuple[int, ...]
) -> None:
    found = labels_needed(counts, scores, target)
    assert (found is None) == (max(scores) < target)
    if found is not None:
        height = float(np.interp(math.log2(found), np.log2(counts), scores))
        assert height >= target or height == pytest.approx(target, abs=0.02)  # a label is whole
        assert all(score < target for count, score in zip(counts, scores, strict=True) if count < found - 0.5)


def test_an_area_gives_each_doubling_the_same_weight() -> None:
    assert log_area(AT, [0.0, 0.4, 0.4, 0.8, 1.0]) == pytest.approx((0.2 + 0.4 + 0.6 + 0.9) / 4)
    assert log_area((100, 200, 800), [0.0, 0.6, 0.6]) == pytest.approx((0.3 + 2 * 0.6) / 3)
    assert log_area((32,), [0.3]) == 0.3


# ---- a run by hand


def by_hand() -> Scores:
    """Random climbs by 0.1 a doubling; entropy is one doubling ahead. Full data: 0.2 + 0.5."""
    return {
        "random": {s: flat([0.2, 0.3, 0.4, 0.5, 0.6]) for s in range(5)},
        "entropy": {s: flat([0.2, 0.4, 0.5, 0.6, 0.7], [0.2, 0.3, 0.4, 0.5, 0.6]) for s in (2, 0, 1, 4, 3)},
        "full": {5: [(0.65, 0.6)], 6: [(0.75, 0.7)]},
    }


def test_an_arm_that_is_one_doubling_ahead_saves_half() -> None:
    found = need(compare(run_of(by_hand()), "made"), "entropy", RANDOM_FINAL)
    assert found == Need(RANDOM_FINAL, 0.6, 512, 256, 512, 0.5, Saving(0.5, 0.5, 0.5, student_p(1 / 200_001, 5)))


def test_targets_lie_on_the_way_from_the_start_to_full_data() -> None:
    compared = compare(run_of(by_hand()), "made")
    assert [need.target for need in arm(compared, "entropy").needs] == list(TARGETS)
    assert need(compared, "entropy", "90").score == pytest.approx(0.2 + 0.9 * (0.7 - 0.2))
    assert need(compared, "entropy", "90").labels == round(256 * 2**0.5)
    assert compared.full is not None
    assert compared.full.seeds == (5, 6)
    assert compared.full.dev.mean == 0.7


def test_what_random_does_not_reach_leaves_the_upper_end_open() -> None:
    found = need(compare(run_of(by_hand()), "made"), "entropy", "90")
    assert (found.labels_random, found.labels) == (None, 362)
    assert found.saving is not None
    assert found.saving.share is None
    assert found.saving.high is None
    assert found.saving.low == 1 - 362 / 512, "the mean of two seeds of full data is taken as known"


def test_full_data_with_seeds_enough_is_resampled() -> None:
    full = {seed: [(score, score)] for seed, score in enumerate((0.65, 0.65, 0.7, 0.75, 0.75))}
    found = need(compare(run_of({**by_hand(), "full": full}), "made"), "entropy", "90")
    assert found.labels == 362
    assert found.saving is not None
    assert found.saving.low is not None
    assert found.saving.low < 1 - 362 / 512


@pytest.mark.usefixtures("patience")
def test_what_the_arm_does_not_reach_leaves_the_lower_end_open() -> None:
    scores = by_hand()
    turned = {**scores, "random": scores["entropy"], "entropy": scores["random"]}
    found = need(compare(run_of(turned), "made"), "entropy", RANDOM_FINAL)
    assert (found.labels, found.test) == (None, None)
    assert found.saving == Saving(None, None, 1 - 512 / 512, 1.0)
    neither = need(compare(run_of({**turned, "full": {0: [(0.99, 0.9)]}}), "made"), "entropy", "98")
    assert neither.saving == Saving(None, None, None)


def test_a_saving_in_most_resamples_has_both_ends() -> None:
    assert saving([100] + [100] * 9_751 + [None] * 249, [200] * 10_001, 512) == Saving(0.5, 0.5, 0.5)
    assert saving([100] + [100] * 9_750 + [None] * 250, [200] * 10_001, 512) == Saving(0.5, None, 0.5)
    assert saving([100] * 10_001, [200] * 9_751 + [None] * 250, 512).high is None


def test_ten_seeds_that_all_save_pass_nine_corpora_and_two_arms_and_no_exact_test() -> None:
    """However plain a saving is, its p stays above what ten pairs could show in an exact test."""
    ahead, behind = np.array([[0.2, 0.5, 0.6, 0.7, 0.8]] * 10), np.array([[0.2, 0.3, 0.4, 0.5, 0.6]] * 10)
    p = saving_p(ahead, behind)
    assert p == student_p(1 / 200_001, 10)
    assert p is not None
    assert 2**-10 < p < LEVEL / 18
    assert (saving_p(behind, ahead), saving_p(behind, behind)) == (1, 1)
    assert saving_p(ahead[:4], behind[:4]) is None


def test_one_resample_more_that_saves_nothing_raises_p_by_one_resample() -> None:
    """Seed 0 alone is so far behind that the arm saves where the others outweigh it."""
    gains = np.array([[-0.9], *[[0.0999]] * 9])
    random = np.tile([0.2, 0.3, 0.4, 0.5, 0.6], (10, 1))
    rows = np.random.default_rng(0).integers(0, 10, size=(200_000, 10))
    behind = int((0.0999 * (rows > 0).sum(axis=1) < 0.9 * (rows == 0).sum(axis=1)).sum())
    p = saving_p(random + np.hstack([np.zeros((10, 4)), gains]), random)
    assert p == student_p((behind + 1) / 200_001, 10)


def test_a_saving_is_claimed_of_enough_seeds_and_among_all_that_are_claimed() -> None:
    made = arm(compare(run_of(by_hand()), "made"), "entropy")

    def with_p(p: float | None, seeds: int = 10, share: float | None = 0.5) -> Arm:
        found = Need(RANDOM_FINAL, 0.6, 512, 256, 512, 0.5, Saving(share, 0.1, 0.6, p))
        return replace(made, seeds=tuple(range(seeds)), needs=(found,))

    assert claimed([with_p(0.02)]) == [True]
    assert claimed([with_p(0.02), with_p(0.5)]) == [False, False], "as two are compared"
    assert claimed([with_p(0.001), with_p(0.02)]) == [True, True]
    assert claimed([with_p(0.0, seeds=9), with_p(None), with_p(0.0, share=None)]) == [False] * 3
    default = replace(with_p(0.02), strategy=LIVE)
    assert claimed([default, with_p(0.02), with_p(0.5)]) == [True, False, False], "the default's family is its own"
    assert claimed([default, default, with_p(0.001)]) == [False, False, True], "in two corpora"


@pytest.mark.parametrize("whole", [1.0, 0.7])
def test_where_nothing_is_left_to_gain_nothing_is_saved(whole: float) -> None:
    """All curves at their ceiling from the first count on, and full data there, too, or below."""
    top = {s: flat([1.0] * 5) for s in range(10)}
    compared = compare(run_of({"random": top, "entropy": top, "full": {0: [(whole, whole)]}}), "made")
    for target in TARGETS:
        found = need(compared, "entropy", target)
        assert (found.labels, found.labels_random, found.test) == (32, 32, 1.0)
        assert found.saving == Saving(0.0, 0.0, 0.0, 1.0 if target == RANDOM_FINAL else None)
    against = arm(compared, "entropy").against_random
    assert against is not None
    assert (against.final_test.non_inferiority.shown, against.final_test.superiority.shown) == (True, False)
    assert (arm(compared, "entropy").area.test.mean, against.area.test.mean) == (1.0, 0.0)


def test_one_seed_has_no_interval_and_no_verdict() -> None:
    compared = compare(run_of({name: {0: by_seed[0]} for name, by_seed in by_hand().items() if name != "full"}), "made")
    found = need(compared, "entropy", RANDOM_FINAL)
    assert found.saving == Saving(0.5, None, None)
    assert compared.full is None
    assert len(arm(compared, "entropy").needs) == 1
    against = arm(compared, "entropy").against_random
    assert against is not None
    assert against.final_test.non_inferiority.p is None
    assert not arm(compared, "entropy").supports_claim


def test_only_seeds_that_have_both_arms_to_the_end_are_paired() -> None:
    scores = {name: dict(by_seed) for name, by_seed in by_hand().items()}
    scores["random"][1] = scores["random"][1][:3]
    del scores["entropy"][2]
    scores["live"] = {1: scores["entropy"][1]}
    compared = compare(run_of(scores), "made")
    assert {arm.strategy: arm.seeds for arm in compared.arms} == {"entropy": (0, 3, 4), "random": (0, 2, 3, 4)}
    assert compared.counts == AT


def test_an_unfinished_run_is_compared_as_far_as_random_is() -> None:
    cut = {name: {s: rounds[: 2 + (name == "entropy")] for s, rounds in by.items()} for name, by in by_hand().items()}
    compared = compare(run_of(cut), "made")
    assert compared.counts == (32, 64)
    assert need(compared, "entropy", RANDOM_FINAL).last == 64


def test_random_comes_last_and_baselines_before_it() -> None:
    ordered = ["entropy", "live", "margin", "frozen:margin", "tfidf:random", "random"]
    assert in_order(reversed(ordered)) == ordered
    found = arm(compare(run_of(by_hand()), "made"), "random")
    assert found.against_random is None
    assert {need.saving for need in found.needs} == {None}


# ---- laws


@pytest.mark.usefixtures("patience")
@laws
@given(st.integers(0, 1000), st.integers(5, 10))
def test_an_arm_that_is_random_saves_and_shows_exactly_nothing(base: int, seeds: int) -> None:
    scores = noisy(seeds, base=base)
    found = arm(compare(run_of({**scores, "margin": scores["random"]}), "made"), "margin")
    for one in found.needs:
        assert one.labels == one.labels_random
        assert one.saving is not None
        assert one.saving.share == (None if one.labels is None else 0)
        assert one.saving.low in (None, 0)
        assert one.saving.high in (None, 0)
    assert found.against_random is not None
    final = found.against_random.final_test
    assert (final.non_inferiority.p, final.superiority.p) == (0, 1)
    assert found.against_random.area.dev.mean == 0


@pytest.mark.usefixtures("patience")
@laws
@given(st.integers(0, 1000), st.integers(10, 12))
def test_two_points_more_in_every_seed_are_shown(base: int, seeds: int) -> None:
    scores = noisy(seeds, base=base)
    lifted = {s: [(dev, test + 0.02 + 1e-4 * s) for dev, test in rounds] for s, rounds in scores["random"].items()}
    found = arm(compare(run_of({**scores, "margin": lifted}), "made"), "margin").against_random
    assert found is not None
    assert found.final_test.superiority.shown
    assert found.final_test.non_inferiority.shown


@pytest.mark.usefixtures("patience")
@laws
@given(st.integers(0, 1000))
def test_a_higher_dev_curve_never_saves_less(base: int) -> None:
    scores = noisy(4, base=base)
    higher = {s: [(min(1.0, dev + 0.05), test) for dev, test in rounds] for s, rounds in scores["margin"].items()}
    before, after = compare(run_of(scores), "made"), compare(run_of({**scores, "margin": higher}), "made")
    for target in TARGETS:
        one, other = need(before, "margin", target), need(after, "margin", target)
        assert one.labels is None or (other.labels is not None and other.labels <= one.labels)
        assert one.saving is not None
        assert other.saving is not None
        assert one.saving.low is None or (other.saving.low is not None and other.saving.low >= one.saving.low)


@pytest.mark.usefixtures("patience")
def test_the_order_of_the_records_changes_no_digit() -> None:
    run = run_of(noisy(3))
    arms = sorted(run.rounds, key=lambda record: (-record.seed, record.strategy, record.round))
    assert compare(replace(run, rounds=arms), "made") == compare(run, "made")


# ---- an independent program


def slow_mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def slow_labels(curve: Sequence[float], target: float) -> int | None:
    for k in range(len(curve)):
        if curve[k] < target:
            continue
        if k == 0:
            return AT[0]
        way = (target - curve[k - 1]) / (curve[k] - curve[k - 1])
        return round(AT[k - 1] * math.pow(AT[k] / AT[k - 1], way))
    return None


def slow_savings(scores: Scores, target: str) -> tuple[float | None, float | None, float | None]:
    seeds, full = sorted(scores["margin"]), [scores["full"][s][0][0] for s in sorted(scores["full"])]
    rows = np.random.default_rng(0).integers(0, len(seeds), size=(10_000, len(seeds))).tolist()
    drawn = np.random.default_rng(1).integers(0, len(full), size=(10_000, len(full))).tolist()
    full_rows = drawn if len(full) >= 5 else [range(len(full))] * 10_000

    def labels(row: Sequence[int], full_row: Sequence[int]) -> tuple[int | None, int | None]:
        ours, theirs = (
            [slow_mean([scores[name][seeds[i]][k][0] for i in row]) for k in range(len(AT))]
            for name in ("margin", "random")
        )
        if target == RANDOM_FINAL:
            goal = theirs[-1]
        else:
            goal = theirs[0] + int(target) / 100 * (slow_mean([full[i] for i in full_row]) - theirs[0])
        return slow_labels(ours, goal), slow_labels(theirs, goal)

    lows, highs = [], []
    for row, full_row in zip(rows, full_rows, strict=True):
        one, other = labels(row, full_row)
        lows.append(-math.inf if one is None else 1 - one / (other or 512))
        highs.append(math.inf if other is None else 1 - (one or 512) / other)
    one, other = labels(range(len(seeds)), range(len(full)))
    low, high = sorted(lows)[249], sorted(highs, reverse=True)[249]
    return (
        None if one is None or other is None else 1 - one / other,
        None if math.isinf(low) else low,
        None if math.isinf(high) else high,
    )


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(("seeds", "gain", "base", "full"), [(10, 0.03, 0, 3), (6, 0.1, 1, 6), (5, -0.03, 2, 1)])
def test_an_independent_program_gives_the_same_digits(seeds: int, gain: float, base: int, full: int) -> None:
    scores = noisy(seeds, gain, base=base, full=full)
    compared = compare(run_of(scores), "made")
    for target in TARGETS:
        found = need(compared, "margin", target).saving
        assert found is not None
        assert (found.share, found.low, found.high) == slow_savings(scores, target)
    against = arm(compared, "margin").against_random
    assert against is not None
    by_seed = [scores["margin"][s][-1][1] - scores["random"][s][-1][1] for s in range(seeds)]
    assert list(against.final_test.by_seed) == by_seed
    assert against.final_test.sd == pytest.approx(statistics.stdev(by_seed), rel=1e-12)
    tested = stats.ttest_rel(*([scores[n][s][-1][1] for s in range(seeds)] for n in ("margin", "random")))
    assert (against.final_test.low, against.final_test.high) == pytest.approx(
        tested.confidence_interval(0.95), rel=1e-9
    )
    rows = np.random.default_rng(0).integers(0, seeds, size=(10_000, seeds)).tolist()
    ends = [scores["margin"][s][-1][0] for s in range(seeds)]
    means = sorted(slow_mean([ends[i] for i in row]) for row in rows)
    final = arm(compared, "margin").final.dev
    assert (final.mean, final.low) == (slow_mean(ends), float(np.percentile(means, 2.5)))


# ---- over corpora


@pytest.mark.usefixtures("patience")
def test_verdicts_are_adjusted_over_the_corpora_that_have_the_arm() -> None:
    one, other = (compare(run_of(noisy(5, base=base)), f"corpus {base}") for base in (0, 1))
    third = compare(run_of({name: by for name, by in noisy(3, base=2).items() if name != "margin"}), "third")
    both = over_corpora([one, other, third])
    assert both.corpora == ("corpus 0", "corpus 1", "third")
    [margin] = both.arms
    assert [row.corpus for row in margin.corpora] == ["corpus 0", "corpus 1"]
    alone = [
        found.against_random.final_test.superiority.p
        for c in (one, other)
        if (found := arm(c, "margin")).against_random
    ]
    smaller, larger = sorted(p for p in alone if p is not None)
    adjusted = sorted(row.superiority.adjusted_p for row in margin.corpora if row.superiority.adjusted_p is not None)
    assert adjusted == [min(1, 2 * smaller), max(min(1, 2 * smaller), larger)]
    assert margin.summary.corpora == 2


def test_what_comes_out_is_plain_json() -> None:
    compared = compare(run_of(noisy(3)), "made")
    for numbers in (compared.as_dict(), over_corpora([compared]).as_dict()):
        read = json.loads(json.dumps(numbers, allow_nan=False))
        assert read["arms"][0]["strategy"] == "margin"
    assert read["arms"][0]["corpora"][0]["non_inferiority"]["verdict"] == "too few seeds"


# ---- what cannot be compared


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"at": None}, "at=None and measure='macro_f1', not label counts"),
        ({"measure": "combined"}, "measure='combined'"),
        ({"data": {}}, "does not describe its data"),
        ({"at": [32, 100]}, "has rounds at \\[32, 64, 128, 256, 512\\] labels, where the setting has \\[32, 100\\]"),
    ],
)
def test_a_run_of_another_kind_is_refused(change: Mapping[str, object], complaint: str) -> None:
    with pytest.raises(BadRunError, match=complaint):
        compare(replace(run_of(noisy(2)), setting={**SETTING, **change}), "made")


def test_a_run_without_random_or_without_test_scores_is_refused() -> None:
    run = run_of({"margin": noisy(2)["margin"]})
    with pytest.raises(BadRunError, match="made has no round of random"):
        compare(run, "made")
    untested = Run(SETTING, [], [replace(record, test=None) for record in run.rounds])
    with pytest.raises(BadRunError, match="Round 0 of margin, seed 0, has no macro_f1 on dev or on test"):
        compare(untested, "made")
