"""Scores against values computed by hand, and what must hold for any answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.problems.metrics import Scores, evaluate, f1_of_class
from nextlabel.values.arrays import Ints

laws = settings(derandomize=True, deadline=None, max_examples=60)
answers = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)


def columns(pairs: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    targets, guesses = zip(*pairs, strict=True)
    return np.array(targets), np.array(guesses)


def test_two_classes_are_judged_by_the_first() -> None:
    scores = evaluate(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0]), classes=2)
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.combined == pytest.approx((3 / 5 + 2 / 3) / 2)
    assert scores.examples == 5


def test_more_classes_are_judged_by_the_macro_mean() -> None:
    scores = evaluate(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1]), classes=3)
    assert scores.f1 == pytest.approx((1 + 0 + 1 / 2) / 3)


def test_a_class_that_is_neither_present_nor_guessed_does_not_lower_the_macro_mean() -> None:
    assert evaluate(np.array([0, 3, 5]), np.array([0, 3, 5]), classes=6).f1 == 1
    assert evaluate(np.array([0, 3]), np.array([0, 5]), classes=6).f1 == pytest.approx(1 / 3)


def test_guessing_paraphrase_always_gives_the_known_baseline_of_mrpc() -> None:
    scores = evaluate(np.array([0] * 279 + [1] * 129), np.zeros(408, dtype=np.int64), classes=2)
    assert (round(scores.accuracy, 4), round(scores.f1, 4)) == (0.6838, 0.8122)


def test_a_class_neither_present_nor_guessed_scores_0() -> None:
    assert f1_of_class(np.array([0, 1]), np.array([0, 1]), positive=2) == 0


def test_nothing_cannot_be_evaluated() -> None:
    with pytest.raises(ValueError, match="0 examples"):
        evaluate(np.array([], dtype=np.int64), np.array([], dtype=np.int64), classes=2)


def test_scores_become_plain_numbers() -> None:
    assert Scores(0.5, 0.25, 0.375, 8).as_dict() == {"accuracy": 0.5, "f1": 0.25, "combined": 0.375, "examples": 8}


@laws
@given(pairs=answers)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(pairs: list[tuple[int, int]]) -> None:
    targets_N, predictions_N = columns(pairs)
    hits = int(np.sum((targets_N == 1) & (predictions_N == 1)))
    precision, recall = hits / max(1, np.sum(predictions_N == 1)), hits / max(1, np.sum(targets_N == 1))
    expected = 2 * precision * recall / (precision + recall) if hits else 0
    assert f1_of_class(targets_N, predictions_N, positive=1) == pytest.approx(expected)


@laws
@given(pairs=answers, seed=st.integers(0, 100))
def test_the_order_of_the_examples_does_not_matter(pairs: list[tuple[int, int]], seed: int) -> None:
    targets_N, predictions_N = columns(pairs)
    order = np.random.default_rng(seed).permutation(len(pairs))
    assert evaluate(targets_N, predictions_N, 3) == evaluate(targets_N[order], predictions_N[order], 3)


@laws
@given(pairs=answers)
def test_right_answers_alone_reach_full_marks(pairs: list[tuple[int, int]]) -> None:
    targets_N, predictions_N = columns([*pairs, (0, 0), (1, 1), (2, 2)])
    assert evaluate(targets_N, targets_N, 3) == Scores(1.0, 1.0, 1.0, len(targets_N))
    scores = evaluate(targets_N, predictions_N, 3)
    assert (scores.accuracy == 1) == (scores.f1 == 1) == np.array_equal(targets_N, predictions_N)
    assert 0 <= scores.f1 <= 1
