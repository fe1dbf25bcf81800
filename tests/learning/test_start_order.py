"""Start orders: laws that all ways keep, and what each is known for."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nextlabel.learning import start_order as start_orders
from nextlabel.learning.diversity import Points
from nextlabel.learning.start_order import STARTS, start_order
from nextlabel.learning.start_set import START_BY, start_positions
from nextlabel.values.arrays import Array

laws = settings(derandomize=True, deadline=None, max_examples=40)
every_way = pytest.mark.parametrize("name", STARTS)


def unit(points_ND: Array) -> Array:
    """Rows scaled to length 1."""
    return np.asarray(points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True))


def around_corners(sizes: list[int], spread: float = 0.05) -> tuple[Array, Array]:
    """Unit rows around orthogonal directions, and the number of each one's direction."""
    corners_N = np.repeat(np.arange(len(sizes)), sizes)
    noise_ND = np.random.default_rng(1).normal(size=(len(corners_N), 16), scale=spread)
    return unit(np.eye(len(sizes), 16)[corners_N] + noise_ND), corners_N


@st.composite
def pools(draw: st.DrawFn) -> Array:
    """Unit rows, of which some are equal."""
    different = draw(st.integers(1, 12))
    rows_MD = draw(
        arrays(
            np.float64,
            (different, 3),
            elements=st.integers(-3, 3).map(float),
            unique=False,
        ).filter(lambda rows: bool(np.any(rows != 0, axis=1).all()))
    )
    return unit(rows_MD[draw(st.lists(st.integers(0, different - 1), min_size=1, max_size=30))])


@every_way
@laws
@given(points_ND=pools(), seed=st.integers(0, 50), data=st.data())
def test_every_beginning_is_the_start_set_of_that_size(
    name: str, points_ND: Array, seed: int, data: st.DataObject
) -> None:
    whole = start_order(name, points_ND, len(points_ND), seed).tolist()
    assert sorted(whole) == list(range(len(points_ND)))
    count = data.draw(st.integers(0, len(points_ND)))
    assert start_order(name, points_ND, count, seed).tolist() == whole[:count]


@every_way
@laws
@given(points_ND=pools(), seed=st.integers(0, 50), data=st.data())
def test_the_order_of_the_pool_changes_nothing_but_which_of_equal_rows_comes(
    name: str, points_ND: Array, seed: int, data: st.DataObject
) -> None:
    moved = np.array(data.draw(st.permutations(range(len(points_ND)))))
    before_ND = points_ND[start_order(name, points_ND, len(points_ND), seed)]
    after_ND = points_ND[moved][start_order(name, points_ND[moved], len(points_ND), seed)]
    different = len(np.unique(points_ND.astype(np.float32), axis=0))
    assert np.array_equal(before_ND[:different], after_ND[:different])


@every_way
@laws
@given(points_ND=pools(), seed=st.integers(0, 50))
def test_no_text_comes_twice_while_another_one_is_left(name: str, points_ND: Array, seed: int) -> None:
    points_ND = points_ND.astype(np.float32)
    different = len(np.unique(points_ND, axis=0))
    first = start_order(name, points_ND, different, seed)
    assert len(np.unique(points_ND[first], axis=0)) == different


@every_way
def test_a_seed_repeats_an_order(name: str) -> None:
    points_ND = unit(np.random.default_rng(2).normal(size=(300, 8)))
    assert start_order(name, points_ND, 40, 3).tolist() == start_order(name, points_ND, 40, 3).tolist()


@every_way
def test_the_first_of_many_directions_are_all_different(name: str) -> None:
    points_ND, corners_N = around_corners([60, 40, 30, 20, 20, 10, 10, 10])
    assert sorted(corners_N[start_order(name, points_ND, 8, 0)]) == list(range(8))


@pytest.mark.parametrize("name", ["typiclust", "medoids"])
def test_clusters_give_by_falling_size_and_are_doubled(name: str) -> None:
    points_ND, corners_N = around_corners([60, 40, 30, 20, 19, 12, 11, 10], spread=0.002)
    order = corners_N[start_order(name, points_ND, 16, 0)].tolist()
    assert order[:8] == list(range(8))
    assert set(order[8:]) <= set(range(8))


def coverage_of(points_ND: Points, chosen: Points) -> float:
    return float(np.maximum(points_ND @ chosen.T, 0).max(axis=1).sum())


def test_coverage_takes_what_raises_it_most_every_time() -> None:
    points_ND = unit(np.random.default_rng(3).normal(size=(80, 5)))
    chosen: list[int] = []
    for position in start_order("coverage", points_ND, 12, 0).tolist():
        sums_N = [coverage_of(points_ND, points_ND[[*chosen, other]]) for other in range(80)]
        assert sums_N[position] == pytest.approx(max(sums_N), rel=1e-5)
        chosen.append(position)


def test_coverage_of_a_sample_chooses_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    points_ND, corners_N = around_corners([60, 40, 30, 20])
    monkeypatch.setattr(start_orders, "WITNESSES", 40)
    order = start_order("coverage", points_ND, 150, 0).tolist()
    assert sorted(order) == list(range(150))
    assert sorted(corners_N[order[:4]]) == [0, 1, 2, 3]


def test_farthest_first_takes_the_one_farthest_from_all_before() -> None:
    points_ND = unit(np.random.default_rng(3).normal(size=(80, 5)))
    order = start_order("farthest", points_ND, 12, 0).tolist()
    for place in range(1, 12):
        to_chosen_N = np.linalg.norm(points_ND[:, None] - points_ND[order[:place]], axis=2).min(axis=1)
        assert to_chosen_N[order[place]] == pytest.approx(to_chosen_N.max(), rel=1e-5)


def test_of_a_large_pool_a_drawn_part_is_ordered_and_the_others_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    points_ND = unit(np.random.default_rng(4).normal(size=(200, 6)))
    monkeypatch.setattr(start_orders, "ORDERED_AT_MOST", 50)
    orders = {name: start_order(name, points_ND, 200, 7).tolist() for name in STARTS}
    assert all(sorted(order) == list(range(200)) for order in orders.values())
    assert len({frozenset(order[:50]) for order in orders.values()}) == 1, "the draw is the seed's"
    assert len({tuple(order[50:]) for order in orders.values()}) == 1
    assert len({tuple(order[:50]) for order in orders.values()}) == len(STARTS)


def test_half_precision_will_do() -> None:
    points_ND, corners_N = around_corners([60, 40, 30, 20])
    for name in STARTS:
        assert sorted(corners_N[start_order(name, points_ND.astype(np.float16), 4, 0)[:4]]) == [0, 1, 2, 3]


def test_a_large_pool_takes_no_more_memory_than_the_part_that_is_ordered() -> None:
    points_ND = np.random.default_rng(6).normal(size=(30_000, 4)).astype(np.float16)
    tracemalloc.start()
    try:
        start_order("coverage", points_ND, 4, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40e6, "all pairs of the ordered part would take 400 MB, with the witnesses 100"


@every_way
@pytest.mark.parametrize("count", [6, -1])
def test_too_many_are_refused_with_both_numbers(name: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"^{count} examples were asked for and 5 are available"):
        start_order(name, np.eye(5), count, 0)


@pytest.mark.parametrize("name", START_BY)
def test_every_start_gives_distinct_positions(name: str) -> None:
    points_ND = unit(np.random.default_rng(5).normal(size=(60, 4)))
    assert len(set(start_positions(name, points_ND, 20, 0).tolist())) == 20
