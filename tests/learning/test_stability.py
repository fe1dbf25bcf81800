"""D: what share of the predictions a step changed."""

import numpy as np
import pytest

from nextlabel.learning.stability import changed_share


def test_it_is_the_share_that_differs() -> None:
    before_N, now_N = np.array([0, 1, 2, 2, 0]), np.array([0, 2, 2, 1, 0])
    assert changed_share(before_N, now_N) == 2 / 5
    assert changed_share(before_N, before_N) == 0
    assert changed_share(before_N, before_N + 1) == 1


def test_accuracy_never_changes_by_more() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        targets_N, before_N, now_N = rng.integers(4, size=(3, 30))
        change = np.mean(now_N == targets_N) - np.mean(before_N == targets_N)
        assert abs(change) <= changed_share(before_N, now_N)


@pytest.mark.parametrize(("before", "now"), [(0, 0), (3, 2), (0, 1)])
def test_predictions_of_different_tasks_are_refused(before: int, now: int) -> None:
    with pytest.raises(ValueError, match=f"{before} and {now} predictions; give those of the same tasks"):
        changed_share(np.zeros(before, dtype=np.int64), np.zeros(now, dtype=np.int64))
