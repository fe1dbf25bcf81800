"""The gate: what a version has lost, whether that is chance, and whether it could have been seen at all."""

import numpy as np
import pytest

from nextlabel.learning.gate import judge, score_drop
from nextlabel.problems.single_choice import SingleChoice

QUESTION = SingleChoice(("pos", "neg"))


@pytest.mark.parametrize(
    ("lost", "won", "counts"),
    [(4, 0, False), (5, 0, True), (12, 4, False), (12, 3, True), (0, 30, False), (0, 0, False)],
)
def test_a_loss_counts_when_more_right_guesses_were_lost_than_chance_explains(
    lost: int, won: int, counts: bool
) -> None:
    targets_N = np.zeros(100, dtype=np.int64)
    before_N, after_N = targets_N.copy(), targets_N.copy()
    after_N[:lost] = 1
    before_N[lost : lost + won] = 1
    assert (score_drop(QUESTION, targets_N, before_N, after_N) > 0) is counts


def test_a_loss_is_that_of_the_combined_score() -> None:
    targets_N, zeros_N = np.arange(40) % 2, np.zeros(40, dtype=np.int64)
    assert score_drop(QUESTION, targets_N, targets_N, 1 - targets_N) == 1.0
    assert score_drop(QUESTION, targets_N, targets_N, zeros_N) == pytest.approx(1 - (1 / 2 + 2 / 3) / 2)
    assert score_drop(QUESTION, targets_N, zeros_N, targets_N) == 0
    assert score_drop(QUESTION, targets_N, zeros_N, np.ones(40, dtype=np.int64)) == 0, (
        "one class alone is as often right as the other, whatever F1 says"
    )


@pytest.mark.parametrize(("labels", "tells"), [(0, False), (9, False), (10, True), (64, True)])
def test_a_collapsed_version_is_refused_from_the_number_of_labels_on_that_tells(labels: int, tells: bool) -> None:
    targets_N = np.arange(labels) % 2
    good = judge(QUESTION, targets_N, targets_N, targets_N, 0.05)
    assert (good.loss, good.refused, good.tells) == (0, False, tells)
    collapsed = judge(QUESTION, targets_N, targets_N, np.zeros_like(targets_N), 0.05)
    assert (collapsed.refused, collapsed.tells) == (tells, tells)


def test_accuracy_from_76_to_51_in_a_hundred_is_refused_with_64_labels() -> None:
    targets_N = np.arange(64) % 2
    before_N, after_N = targets_N.copy(), np.zeros_like(targets_N)
    before_N[:15] = 1 - before_N[:15]  # 49 of 64 right, whatever the labels of the 15
    after_N[1] = 1  # 33 of 64 right
    verdict = judge(QUESTION, targets_N, before_N, after_N, 0.05)
    assert (float(np.mean(before_N == targets_N)), float(np.mean(after_N == targets_N))) == (49 / 64, 33 / 64)
    assert verdict.refused


def test_a_fall_by_less_than_the_margin_is_no_reason_however_sure_it_is() -> None:
    targets_N = np.arange(2000) % 2
    after_N = targets_N.copy()
    after_N[:60] = 1 - after_N[:60]
    assert score_drop(QUESTION, targets_N, targets_N, after_N) == pytest.approx(0.03)
    assert not judge(QUESTION, targets_N, targets_N, after_N, 0.05).refused
    assert judge(QUESTION, targets_N, targets_N, after_N, 0.02).refused


def test_where_one_label_is_nearly_all_there_is_nothing_tells() -> None:
    targets_N = np.zeros(400, dtype=np.int64)
    targets_N[:4] = 1
    assert not judge(QUESTION, targets_N, targets_N, np.zeros_like(targets_N), 0.05).tells
