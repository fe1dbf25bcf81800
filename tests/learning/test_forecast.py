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
