"""The measured answer: figures as a few plain loops compute them, at planned looks alone."""

from statistics import NormalDist, fmean, variance

import numpy as np
import pytest

from nextlabel.learning.fresh_heads import Known, fresh_head
from nextlabel.learning.helping import LOOKS, answer, looks


def drawn(seed: int, tasks: int, noise: float, classes: int = 3, width: int = 8) -> Known:
    """Features of unit length that tell the more about classes the less the noise."""
    rng = np.random.default_rng(seed)
    targets_N = rng.integers(classes, size=tasks)
    points_ND = np.eye(classes, width)[targets_N] + noise * rng.normal(size=(tasks, width))
    return Known(points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True), targets_N)


def plainly(control: Known, own: Known, labels: int) -> tuple[float, float]:
    """Gain and error at so many control labels."""
    by_own, *by_heads = (
        (fresh_head(known).predictions(control.features_ND) == control.targets_N).tolist()
        for known in (own.of(slice(64)), *(control.of(slice(start, start + 64)) for start in range(0, labels - 63, 64)))
    )
    accuracies = [fmean(right[i] for i in range(labels) if i // 64 != j) for j, right in enumerate(by_heads)]
    differences = [
        by_own[i] - fmean(right[i] for j, right in enumerate(by_heads) if i // 64 != j) for i in range(labels)
    ]
    of_tasks = max(variance(differences), 1 / labels) / labels
    return fmean(differences), (of_tasks + variance(accuracies) * (1 / len(by_heads) + 1)) ** 0.5


def test_gain_and_error_at_every_planned_look_are_those_of_plain_loops() -> None:
    control, own = drawn(0, 470, 0.5), drawn(1, 70, 0.3)
    looked = looks(control, own)
    assert tuple(look.labels for look in looked) == LOOKS
    for look in looked:
        assert (look.gain, look.error) == pytest.approx(plainly(control, own, look.labels), rel=1e-12)
        assert look.helps == (look.gain / look.error >= NormalDist().inv_cdf(0.99))
    assert looks(control, own) == looked, "the same each time"
    assert looks(control, own.of(slice(64))) == looked, "the loop's later labels change nothing"


@pytest.mark.parametrize(("labels", "planned"), [(0, 0), (127, 0), (128, 1), (191, 1), (200, 2), (447, 4), (448, 5)])
def test_it_looks_at_planned_numbers_of_labels_alone(labels: int, planned: int) -> None:
    control, own = drawn(2, 448, 0.5), drawn(3, 64, 0.5)
    assert looks(control.of(slice(labels)), own) == looks(control, own)[:planned]
    found = answer(control.of(slice(labels)), own)
    assert not found.helps
    assert found.looks == looks(control, own)[:planned]
    if not planned:
        assert found.more == 128 - labels


def test_where_nothing_differs_the_error_is_not_none() -> None:
    control = drawn(4, 128, 0.0)  # all heads are right
    [look] = looks(control, drawn(5, 64, 0.0))
    assert (look.gain, look.error) == (0, 1 / 128)


def test_it_stays_found_at_the_look_that_found_it() -> None:
    control, own = drawn(6, 448, 0.6, width=40), drawn(7, 64, 0.0, width=40)
    found = answer(control, own)
    assert found.helps
    assert found.more is None
    assert [look.helps for look in found.looks] == [False] * (len(found.looks) - 1) + [True]
    assert found.looks == looks(control, own)[: len(found.looks)]


def test_few_labels_of_its_own_are_refused() -> None:
    with pytest.raises(ValueError, match="the loop has 63 labels of its own; ask once it has 64"):
        answer(drawn(0, 128, 0.5), drawn(1, 63, 0.5))
