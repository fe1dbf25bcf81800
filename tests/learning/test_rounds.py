"""The pure parts of a round: its seed, and what a fit has lost."""

import numpy as np
import pytest

from nextlabel.learning.rounds import (
    round_seed,
    score_drop,
)
from nextlabel.problems.single_choice import SingleChoice


def test_every_round_of_every_run_has_a_seed_of_its_own() -> None:
    seeds = [round_seed(seed, number) for seed in range(30) for number in range(60)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert round_seed(3, 4) == round_seed(3, 4)


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
