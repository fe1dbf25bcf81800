"""The pure parts of a round: whether there is enough to learn from, labels as numbers, and what a fit has lost."""

import numpy as np
import pytest

from nextlabel.learning.rounds import (
    class_numbers,
    missing_labels,
    round_seed,
    score_drop,
)


@pytest.mark.parametrize("given", [["pos", "neg"], ["neg", "pos", "pos"], ["pos", "mixed"], ["pos", "neg", "gone"]])
def test_one_label_of_each_of_two_classes_is_enough(given: list[str]) -> None:
    assert missing_labels(("pos", "neg", "mixed"), given) == ""


@pytest.mark.parametrize("given", [[], ["gone", "lost"]], ids=["none", "only labels that the config lost"])
def test_without_a_usable_label_two_classes_are_asked_for(given: list[str]) -> None:
    assert "at least two classes need one label each" in missing_labels(("pos", "neg"), given)


def test_with_one_class_the_others_are_asked_for() -> None:
    complaint = missing_labels(("pos", "neg", "mixed"), ["neg", "neg", "neg", "gone"])
    assert complaint == "All 3 labels so far are 'neg'; label at least one task as one of ['pos', 'mixed']."


def test_classes_are_numbered_in_the_order_of_the_labels() -> None:
    numbers_N = class_numbers(("pos", "neg", "mixed"), ["mixed", "pos", "neg", "pos"])
    assert numbers_N.tolist() == [2, 0, 1, 0]
    assert numbers_N.dtype.kind == "i"
    assert class_numbers(("pos", "neg"), []).shape == (0,)


def test_every_round_of_every_run_has_a_seed_of_its_own() -> None:
    seeds = [round_seed(seed, number) for seed in range(30) for number in range(60)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert round_seed(3, 4) == round_seed(3, 4)


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
    assert (score_drop(targets_N, before_N, after_N, 2) > 0) is counts


def test_a_loss_is_that_of_the_combined_score() -> None:
    targets_N = np.arange(40) % 2
    assert score_drop(targets_N, targets_N, 1 - targets_N, 2) == 1.0
    assert score_drop(targets_N, targets_N, np.zeros(40, dtype=np.int64), 2) == pytest.approx(1 - (1 / 2 + 2 / 3) / 2)
    assert score_drop(targets_N, np.zeros(40, dtype=np.int64), targets_N, 2) == 0
    assert score_drop(targets_N, np.zeros(40, dtype=np.int64), np.ones(40, dtype=np.int64), 2) == 0, (
        "one class alone is as often right as the other, whatever F1 says"
    )
