"""The forecast: worlds as a version sees them, what both arms come to there, and what is told of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning import forecast as forecasts
from nextlabel.learning.forecast import BAND, World, forecast, reached, replayed, temperature, tempered
from nextlabel.learning.fresh_heads import Known, fresh_head
from nextlabel.values.arrays import Array, Ints


def texts(seed: int, tasks: int, shares: tuple[float, ...], noise: float = 0.5, width: int = 12) -> Known:
    """Features of unit length that tell something about classes of these shares."""
    rng = np.random.default_rng(seed)
    targets_N = rng.choice(len(shares), size=tasks, p=shares)
    points_ND = np.eye(len(shares), width)[targets_N] + noise * rng.normal(size=(tasks, width))
    return Known(points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True), targets_N)


def world(pool: Known, labelled: Ints, start: int = 16) -> World:
    """As a head of the labels of these tasks sees it; with the first of them the project began."""
    classes = int(pool.targets_N.max()) + 1
    human_N = np.full(len(pool), -1)
    human_N[labelled] = pool.targets_N[labelled]
    probs_NC = fresh_head(pool.of(labelled)).probabilities(pool.features_ND, classes)
    return World(pool.features_ND, probs_NC, human_N, labelled[:start])


RARE = (0.76, 0.06, 0.06, 0.06, 0.06)


def test_where_classes_are_rare_the_order_gains_and_random_order_does_not() -> None:
    pool = texts(0, 900, RARE, 0.3)
    seen = world(pool, np.arange(100))
    helped, chance = (forecast(seen, strategy, 60, seed=1) for strategy in ("margin", "random"))
    assert helped.labels == chance.labels == 60
    assert helped.gain > 0.03
    assert abs(chance.gain) < 0.02
    assert chance.times is None
    assert (helped.low, helped.high) == (helped.gain - BAND, helped.gain + BAND)
    assert forecast(seen, "margin", 60, seed=1) == helped, "the same each time"
    assert forecast(seen, "margin", 60, seed=2) != helped


def test_where_people_labelled_all_the_version_has_no_say() -> None:
    seen = world(texts(1, 300, (0.5, 0.5)), np.arange(300))
    other = replace(seen, probs_NC=seen.probs_NC[:, ::-1])
    assert forecast(seen, "entropy", 40, seed=0) == forecast(other, "entropy", 40, seed=0)


def test_a_world_is_judged_by_what_it_expects_on_tasks_that_no_arm_may_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "DRAWS", 1)
    pool = texts(2, 300, RARE)
    seen = world(pool, np.arange(50))
    rng = np.random.default_rng([3, 0])
    others = 16 + rng.permutation(284)
    judges, chosen = others[:94], np.concatenate([np.arange(16), others[94:]])
    expected_NC = seen.probs_NC.copy()
    expected_NC[:50] = np.eye(5)[pool.targets_N[:50]]
    labels_N = [
        int(np.searchsorted(np.cumsum(expected_NC[i]), draw)) for i, draw in zip(chosen, rng.random(206), strict=True)
    ]
    drawn = Known(pool.features_ND[chosen], np.array(labels_N))

    def accuracy(rows: Ints) -> float:
        said_N = fresh_head(drawn.of(rows)).predictions(pool.features_ND[judges])
        return float(np.mean([expected_NC[task, said] for task, said in zip(judges, said_N, strict=True)]))

    by_margin = accuracy(replayed(drawn, np.arange(16), "margin", 40, 3))
    assert forecast(seen, "margin", 40, seed=3).gain == pytest.approx(by_margin - accuracy(rng.permutation(206)[:40]))


def test_the_strategy_orders_anew_after_every_eight_labels() -> None:
    pool = texts(4, 120, (0.4, 0.4, 0.2))
    order = replayed(pool, np.arange(10, 30), "margin", 45, seed=0)
    assert order[:20].tolist() == list(range(10, 30))
    assert len(set(order.tolist())) == 45
    for known in (20, 28, 36, 44):
        open_N = np.setdiff1d(np.arange(120), order[:known])
        top_N2 = np.sort(fresh_head(pool.of(order[:known])).probabilities(pool.features_ND[open_N], 3))[:, -2:]
        nearest = open_N[np.argsort(top_N2[:, 1] - top_N2[:, 0], kind="stable")]
        assert order[known : known + 8].tolist() == nearest[: len(order[known : known + 8])].tolist()
    assert replayed(pool, np.arange(20), "margin", 12, seed=0).tolist() == list(range(12))


def test_a_curve_reaches_a_target_between_two_points_at_the_first_point_or_not_at_all() -> None:
    times_T, curve_T = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.6, 0.8])
    found = [reached(times_T, curve_T, target) for target in (0.4, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9)]
    assert found == pytest.approx([1, 1, 1.5, 2, 3, 4, None])


def test_how_many_times_as_many_labels_is_told_as_a_range_in_halves() -> None:
    times_T = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    curve_T = 0.5 + 0.05 * (times_T - 1)
    assert forecasts._times(times_T, curve_T, 0.51) == (1.0, 2.0)  # reached at 1.2 times: 0.8 to 1.8
    assert forecasts._times(times_T, curve_T, 0.60) == (2.0, 4.5)  # at 3
    assert forecasts._times(times_T, curve_T, 0.66) == (2.5, None)  # at 4.2: to 6.3, which the curve cannot tell
    assert forecasts._times(times_T, curve_T, 0.90) == (3.0, None)  # beyond


@settings(derandomize=True, deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), value=st.floats(0.2, 5))
def test_a_temperature_ranks_classes_alike_and_can_be_undone(seed: int, value: float) -> None:
    probs_NC = np.random.default_rng(seed).dirichlet([1.0] * 4, size=20)
    warm_NC = tempered(probs_NC, value)
    assert np.allclose(warm_NC.sum(axis=1), 1)
    assert np.array_equal(warm_NC.argsort(axis=1), probs_NC.argsort(axis=1))
    assert np.allclose(tempered(warm_NC, 1 / value), probs_NC)


def sampled(probs_NC: Array, seed: int) -> Ints:
    draws_N1 = np.random.default_rng(seed).random((len(probs_NC), 1))
    return np.asarray((np.cumsum(probs_NC, axis=1) < draws_N1).sum(axis=1))


def test_a_temperature_is_found_from_many_labels_and_hardly_moves_with_few() -> None:
    probs_NC = np.random.default_rng(0).dirichlet([0.7] * 3, size=4_000)
    for value in (0.5, 1.0, 2.0):
        targets_N = sampled(tempered(probs_NC, value), 1)
        assert temperature(probs_NC, targets_N) == pytest.approx(value, rel=0.1)
    assert temperature(probs_NC[:0], np.zeros(0, dtype=np.int64)) == pytest.approx(1)
    right_N = probs_NC.argmax(axis=1)
    few, many = (temperature(probs_NC[:labels], right_N[:labels]) for labels in (5, 200))
    assert many < few < 1


def test_a_class_that_the_version_never_says_stays_impossible() -> None:
    probs_NC = np.array([[0.5, 0.5, 0.0]])
    assert tempered(probs_NC, 3.0)[0, 2] == 0
    assert np.isfinite(temperature(probs_NC, np.array([2])))


def test_large_pools_are_drawn_from_and_many_labels_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "TASKS", 120)
    monkeypatch.setattr(forecasts, "LABELS_AT_MOST", 30)
    pool = texts(5, 1000, (0.5, 0.5))
    halves = Known(pool.features_ND.astype(np.float16), pool.targets_N)
    assert forecast(world(halves, np.arange(700)), "margin", 700, seed=0).labels == 30


def test_what_cannot_be_played_is_refused() -> None:
    seen = world(texts(6, 100, (0.5, 0.5)), np.arange(40))
    with pytest.raises(ValueError, match="a first label is missing; give the positions of tasks that people labelled"):
        forecast(replace(seen, start=np.array([3, 40])), "margin", 40, seed=0)
    with pytest.raises(ValueError, match="80 examples were asked for and 72 are available"):
        forecast(seen, "margin", 80, seed=0)
