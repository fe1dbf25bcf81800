"""Figures of a random sample against values computed by hand, and what must hold for any sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.problems import quality
from nextlabel.problems.intervals import NOTHING_KNOWN, Interval, clopper_pearson, wilson
from nextlabel.problems.metrics import f1_of_class
from nextlabel.values.arrays import Ints

laws = settings(derandomize=True, deadline=None, max_examples=80)
tables = st.integers(2, 6).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 9), min_size=k, max_size=k), min_size=k, max_size=k)
)
judged = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)

SAMPLE_KK = np.array([[6, 2, 0], [1, 3, 0], [1, 0, 0]])
EMPTY_KK = np.zeros((3, 3), dtype=np.int64)


def f1(share: float) -> float:
    return 2 * share / (1 + share)


def test_a_table_counts_right_classes_by_predicted_ones() -> None:
    counts_KK = quality.confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 4)
    assert counts_KK.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert quality.confusion(np.array([], dtype=int), np.array([], dtype=int), 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(("numbers", "found"), [([0, 3], "0 to 3"), ([-1, 1], "-1 to 1")])
def test_a_number_that_is_no_class_is_refused(numbers: list[int], found: str) -> None:
    right = np.array([0, 1])
    for pair in ((right, np.array(numbers)), (np.array(numbers), right)):
        with pytest.raises(ValueError, match=f"class numbers go from {found}; with 3 classes give 0 to 2"):
            quality.confusion(*pair, 3)


def test_accuracy_and_recalls_by_hand() -> None:
    assert quality.accuracy(SAMPLE_KK) == quality.Estimate(9 / 13, clopper_pearson(9, 13), 13)
    assert quality.recalls(SAMPLE_KK) == [
        quality.Estimate(6 / 8, clopper_pearson(6, 8), 8),
        quality.Estimate(3 / 4, clopper_pearson(3, 4), 4),
        quality.Estimate(0.0, clopper_pearson(0, 1), 1),
    ]


def test_f1_is_that_of_its_share_among_what_is_or_was_taken_for_the_class() -> None:
    first, second, third = quality.f1s(SAMPLE_KK)
    assert (first.value, second.value, third.value) == pytest.approx((12 / 16, 6 / 9, 0))
    assert (first.examples, second.examples, third.examples) == (10, 6, 1)
    low, high = clopper_pearson(6, 10)
    assert first.interval == pytest.approx((f1(low), f1(high)))


@laws
@given(tables)
def test_f1_of_a_class_is_the_one_of_the_metrics(counts: list[list[int]]) -> None:
    counts_KK = np.array(counts)
    targets_N, predictions_N = (
        numbers.repeat(counts_KK.ravel()) for numbers in np.divmod(np.arange(counts_KK.size), len(counts))
    )
    for k, estimate in enumerate(quality.f1s(counts_KK)):
        if estimate.value is None:
            assert estimate.examples == 0
        else:
            assert estimate.value == pytest.approx(f1_of_class(targets_N, predictions_N, k))
            assert estimate.interval.low <= estimate.value <= estimate.interval.high


def test_of_what_has_no_example_nothing_is_known() -> None:
    assert quality.accuracy(EMPTY_KK) == quality.Estimate(None, NOTHING_KNOWN, 0)
    assert quality.recalls(EMPTY_KK) == quality.f1s(EMPTY_KK) == [quality.Estimate(None, NOTHING_KNOWN, 0)] * 3
    assert quality.macro_f1(EMPTY_KK) == quality.Estimate(0.5, NOTHING_KNOWN, 0)
    assert quality.calibration(np.array([]), np.array([], dtype=int)) == quality.Estimate(None, Interval(-1, 1), 0)


def test_the_mean_of_f1_by_hand() -> None:
    """Two classes have more than two examples and share 1/2 of what they vary by, the third is rare."""
    first, second, rare = clopper_pearson(6, 10), clopper_pearson(3, 6), clopper_pearson(0, 1)
    values = np.array([3 / 4, 2 / 3])
    below, above = values - [f1(first.low), f1(second.low)], np.array([f1(first.high), f1(second.high)]) - values
    half = np.array([[1, 0.5], [0.5, 1]])
    value, interval, examples = quality.mean_f1(SAMPLE_KK, clopper_pearson)
    assert value == pytest.approx((3 / 4 + 2 / 3 + 0) / 3)
    assert examples == 13
    assert interval.low == pytest.approx((values.sum() - np.sqrt(below @ half @ below) + 0) / 3)
    assert interval.high == pytest.approx((values.sum() + np.sqrt(above @ half @ above) + f1(rare.high)) / 3)
    found = quality.macro_f1(SAMPLE_KK)
    assert (found.value, found.interval.high, found.examples) == (value, interval.high, 13)
    assert found.interval.low == pytest.approx(value - (9 / 13 - clopper_pearson(9, 13).low)), "as far as of accuracy"


def test_with_two_classes_whose_f1_rises_and_falls_together_limits_are_means_of_limits() -> None:
    a, b = wilson(8, 12), wilson(5, 9)
    value, interval, examples = quality.mean_f1(np.array([[8, 3], [1, 5]]), wilson)
    assert interval == pytest.approx(((f1(a.low) + f1(b.low)) / 2, (f1(a.high) + f1(b.high)) / 2))
    assert value == pytest.approx((f1(8 / 12) + f1(5 / 9)) / 2)
    assert examples == 17


def test_macro_f1_is_never_surer_than_accuracy_would_be() -> None:
    confusion_KK = np.diag([8] * 12)
    confusion_KK[np.arange(10), np.arange(1, 11)] = 1
    alone, found = quality.mean_f1(confusion_KK, clopper_pearson)[1], quality.macro_f1(confusion_KK)
    overall, share = clopper_pearson(96, 106), 96 / 106
    assert found.value is not None
    assert found.interval.high - found.value == pytest.approx(overall.high - share)
    assert alone.high < found.interval.high
    assert alone.low == pytest.approx(found.interval.low)


def test_an_unseen_class_counts_as_anything_even_where_it_was_predicted() -> None:
    seen_KK, unseen_KK = np.diag([50, 50, 50]), np.diag([50, 50, 0])
    unseen_KK[0, 2] = 5
    assert quality.macro_f1(seen_KK).interval.width < 0.06
    found = quality.macro_f1(unseen_KK)
    assert found.value == pytest.approx((100 / 105 + 1 + 0.5) / 3)
    assert found.interval.width > 1 / 3


@laws
@given(tables)
def test_every_interval_holds_its_estimate_and_more_of_the_same_narrows_it(counts: list[list[int]]) -> None:
    counts_KK = np.array(counts)

    def all_of(table_KK: Ints) -> list[quality.Estimate]:
        figures = [quality.accuracy(table_KK), quality.macro_f1(table_KK)]
        return figures + quality.recalls(table_KK) + quality.f1s(table_KK)

    for found, more in zip(all_of(counts_KK), all_of(counts_KK * 3), strict=True):
        low, high = found.interval
        assert 0 <= low <= high <= 1
        assert found.value is None or low <= found.value <= high
        assert more.value == pytest.approx(found.value)
        assert more.interval.width <= found.interval.width + 1e-9


def test_calibration_is_above_0_where_the_model_is_too_sure() -> None:
    sure, unsure = np.full(40, 0.95), np.full(40, 0.55)
    right = np.array([1] * 30 + [0] * 10)
    too_sure, too_humble = quality.calibration(sure, right), quality.calibration(unsure, right)
    assert too_sure.value == pytest.approx(0.95 - 0.75)
    assert too_sure.interval.low > 0
    assert too_humble.value == pytest.approx(0.55 - 0.75)
    assert too_humble.interval.high < 0
    assert too_sure.examples == too_humble.examples == 40


def test_confidence_that_knows_what_is_right_narrows_the_interval_of_calibration() -> None:
    right = np.array([1] * 45 + [0] * 15)
    knows, errs = np.where(right, 0.95, 0.3), np.where(right, 0.3, 0.95)
    assert quality.calibration(knows, right).interval.width < 0.9 * wilson(45, 60).width
    assert quality.calibration(errs, right).interval.width > 1.2 * wilson(45, 60).width


def test_calibration_is_not_certain_where_no_answer_is_wrong_and_all_are_equally_sure() -> None:
    found = quality.calibration(np.ones(20), np.ones(20, dtype=int))
    assert found.value == 0
    assert found.interval.high > 0.15


@laws
@given(judged)
def test_the_interval_of_calibration_holds_its_estimate(pairs: list[tuple[float, int]]) -> None:
    confidences_N, right_N = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    found, more = (
        quality.calibration(confidences_N, right_N),
        quality.calibration(confidences_N.repeat(4), right_N.repeat(4)),
    )
    assert found.value is not None
    assert -1 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert more.value == pytest.approx(found.value)
    assert more.interval.width < found.interval.width + 1e-9


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_the_macro_f1_of_labels_is_covered_whether_they_go_wrong_apart_or_together(together: bool) -> None:
    """In 95 of 100 samples of 80 texts; by the law of large numbers the truth is that of a very large one."""
    rng, labels = np.random.default_rng(0), 3

    def sample(texts: int) -> list[Ints]:
        columns = 1 if together else labels
        given_NK = np.repeat(rng.random((texts, columns)) < 0.4, labels // columns, axis=1)
        wrong_NK = np.repeat(rng.random((texts, columns)) < 0.2, labels // columns, axis=1)
        pairs = zip(given_NK.T.astype(np.int64), (given_NK ^ wrong_NK).T.astype(np.int64), strict=True)
        return [quality.confusion(given_N, guessed_N, 2) for given_N, guessed_N in pairs]

    truth = quality.macro_f1_of_labels(sample(400_000)).value or 0.0
    covered = [quality.macro_f1_of_labels(sample(80)).interval.covers(truth) for _ in range(400)]
    assert np.mean(covered) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("shares", [(0.6, 0.3, 0.08, 0.02, 0.0), (0.95, 0.0, 0.0, 0.0, 0.05), (0.2,) * 5])
def test_the_mean_error_in_steps_is_covered(shares: tuple[float, ...]) -> None:
    rng, steps = np.random.default_rng(0), np.arange(5)
    truth = float(np.dot(steps, shares))
    covered = [quality.step_error(rng.choice(steps, 80, p=shares), 5).interval.covers(truth) for _ in range(1000)]
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_the_mean_error_by_hand() -> None:
    found = quality.step_error(np.array([0, 0, 1, 3]), 5)
    assert (found.value, found.examples) == (1.0, 4)
    assert 0 < found.interval.low < 1 < found.interval.high < 4
    none = quality.step_error(np.zeros(40, dtype=int), 2).interval
    assert none == clopper_pearson(0, 40), "of two steps it is a share, also where none is wrong"
    assert quality.step_error(np.array([], dtype=int), 5) == quality.Estimate(None, Interval(0.0, 4.0), 0)
