"""From which probability on a label is shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextlabel.learning.thresholds import HIGHEST, LOWEST, best_threshold, with_thresholds
from nextlabel.values.layout import ANY_OF, GUESSED, ONE_OF, Cut, Layout
from nextlabel.values.linear import Linear


def f1(probs_M: np.ndarray, given_M: np.ndarray, threshold: float) -> float:  # type: ignore[type-arg]
    said_M = probs_M >= threshold
    return float(2 * (said_M & (given_M == 1)).sum() / (said_M.sum() + given_M.sum()))


@given(st.integers(0, 500))
def test_no_other_threshold_has_a_higher_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_M = (rng.random(80) < 0.3).astype(float)
    probs_M = np.clip(rng.normal(0.3 + 0.2 * given_M, 0.2), 0, 1)
    found = best_threshold(probs_M, given_M)
    assert LOWEST <= found <= HIGHEST
    if found != GUESSED:
        assert all(f1(probs_M, given_M, t) <= f1(probs_M, given_M, found) + 1e-9 for t in np.linspace(0.2, 0.8, 31))


@pytest.mark.parametrize("positives", [0, 9, 91, 100])
def test_few_texts_with_or_without_a_label_choose_none(positives: int) -> None:
    given_M = (np.arange(100) < positives).astype(float)
    assert best_threshold(given_M * 0.4, given_M) == GUESSED


def test_each_label_has_its_own_and_questions_with_one_answer_have_none() -> None:
    rng = np.random.default_rng(0)
    features_ND = rng.normal(size=(200, 4))
    rare_N = features_ND[:, 0] + rng.normal(size=200) > 1.2  # seldom, and never sure
    layout = Layout((Cut("topic", ONE_OF, ("a", "b")), Cut("tags", ANY_OF, ("rare", "never"))))
    targets_NC = np.zeros((200, 4))
    targets_NC[:, 0], targets_NC[:, 2] = 1, rare_N
    targets_NC[:20, 2:] = np.nan  # not asked
    found = with_thresholds(layout, Linear(np.zeros((4, 4)), np.zeros(4)), features_ND, targets_NC)
    assert found.cuts[0].thresholds == ()
    assert found.cuts[1].thresholds[0] < GUESSED
    assert found.cuts[1].thresholds[1] == GUESSED
    probs_NC = np.array([[0.9, 0.1, found.cuts[1].thresholds[0], 0.49]])
    assert found.guesses(probs_NC).tolist() == [[1, 0, 1, 0]]
    assert Layout.of(found.as_dict()) == found
