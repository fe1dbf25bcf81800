"""Batches that are spread out, cold starts that are typical, and what scikit-learn and small-text say of the same."""

import tracemalloc
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from small_text import EmbeddingKMeans
from small_text.utils.clustering import init_kmeans_plusplus_safe

from nextlabel.learning import diversity
from nextlabel.learning.diversity import (
    Points,
    Positions,
    diverse_batch,
    k_means_pp,
    typical,
)
from nextlabel.values.arrays import Array

laws = settings(derandomize=True, deadline=None, max_examples=60)


def by_value(points_ND: Points, count: int, rng: np.random.Generator) -> Positions:
    """`diverse_batch` from all points, with the first coordinate for a value."""
    return diverse_batch(np.asarray(points_ND[:, 0], dtype=np.float64), points_ND, count, rng, factor=len(points_ND))


CHOICES = {"k_means_pp": k_means_pp, "diverse_batch": by_value, "typical": typical}
every_choice = pytest.mark.parametrize("name", CHOICES)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def blobs(sizes: list[int], spread: float = 0.1, dimensions: int = 8) -> tuple[Array, Positions]:
    """Points around corners 10 apart, and the number of each one's blob."""
    blobs_N = np.repeat(np.arange(len(sizes)), sizes)
    noise_ND = np.random.default_rng(1).normal(size=(len(blobs_N), dimensions), scale=spread)
    return 10 * np.eye(len(sizes), dimensions)[blobs_N] + noise_ND, blobs_N


@st.composite
def crowded_points(draw: st.DrawFn) -> Array:
    """Points on a small grid, so that many are copies of others."""
    shape = (draw(st.integers(0, 12)), draw(st.integers(1, 3)))
    return draw(arrays(np.float64, shape, elements=st.integers(-1, 1).map(float)))


@every_choice
@laws
@given(points_ND=crowded_points(), seed=st.integers(0, 100), data=st.data())
def test_as_many_distinct_positions_as_asked_for(name: str, points_ND: Array, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(points_ND)))
    chosen = CHOICES[name](points_ND, count, np.random.default_rng(seed))
    assert chosen.shape == (count,)
    assert set(chosen.tolist()) <= set(range(len(points_ND)))
    assert len(set(chosen.tolist())) == count


@every_choice
@pytest.mark.parametrize("count", [6, -1])
def test_too_many_are_refused_with_both_numbers(name: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"^{count} examples were asked for and 5 are available"):
        CHOICES[name](np.eye(5), count, generator())


@every_choice
def test_the_same_generator_makes_the_same_choice_and_another_one_another(name: str) -> None:
    points_ND = np.random.default_rng(2).normal(size=(300, 4))
    once, again, other = (CHOICES[name](points_ND, 20, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1))
    assert once == again
    assert once != other


@every_choice
def test_half_the_precision_will_do(name: str) -> None:
    points_ND, blobs_N = blobs([40, 30, 20, 10])
    chosen = CHOICES[name](points_ND.astype(np.float32), 4, generator())
    assert sorted(blobs_N[chosen]) == [0, 1, 2, 3]


@every_choice
@pytest.mark.parametrize("cells", [1, 50, 400])
def test_working_piece_by_piece_changes_nothing(name: str, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points_ND = np.random.default_rng(2).normal(size=(120, 4))
    whole = CHOICES[name](points_ND, 15, generator()).tolist()
    monkeypatch.setattr(diversity, "CELLS", cells)
    assert CHOICES[name](points_ND, 15, generator()).tolist() == whole


LINE_N1 = np.array([[0.0], [1.0], [3.0], [7.0]])
WEIGHTS_N = np.array([1.0, 2.0, 0.5, 0.0])


def odds_of_the_first_two(weights_N: Array) -> dict[tuple[int, int], float]:
    """By the definition of k-means++, for the points of `LINE_N1`."""
    squares_NN = (LINE_N1 - LINE_N1.T) ** 2 * weights_N
    firsts_N = weights_N / weights_N.sum()
    return {(i, j): firsts_N[i] * squares_NN[i, j] / squares_NN[i].sum() for i, j in permutations(range(4), 2)}


def assert_drawn_by(odds: dict[tuple[int, int], float], pairs: list[tuple[int, int]]) -> None:
    """Each pair as often as its odds say, within four standard deviations."""
    seen = Counter(pairs)
    assert set(seen) <= set(odds)
    for pair, odd in odds.items():
        assert abs(seen[pair] / len(pairs) - odd) <= 4 * np.sqrt(odd * (1 - odd) / len(pairs)), pair


@pytest.mark.parametrize("weights_N", [None, WEIGHTS_N])
def test_k_means_pp_draws_by_weight_times_squared_distance(weights_N: Array | None) -> None:
    rng = generator()
    pairs = [tuple(k_means_pp(LINE_N1, 2, rng, weights_N).tolist()) for _ in range(5000)]
    assert_drawn_by(odds_of_the_first_two(np.ones(4) if weights_N is None else weights_N), pairs)


def test_small_text_draws_by_the_same_odds() -> None:
    state = np.random.RandomState(0)
    pairs = [
        tuple(init_kmeans_plusplus_safe(LINE_N1, 2, random_state=state, n_local_trials=1)[1].tolist())
        for _ in range(2000)
    ]
    assert_drawn_by(odds_of_the_first_two(np.ones(4)), pairs)


def test_the_third_keeps_its_distance_from_the_first_and_the_second() -> None:
    rng = generator()
    thirds = Counter(int(k_means_pp(LINE_N1, 3, rng, np.array([1.0, 1e-9, 1e-9, 1.0]))[2]) for _ in range(3000))
    # The heavy ends come first; then 1 is at 1 squared from 0, and 3 is at 9 squared from 0, nearer than from 7.
    assert thirds[1] / 3000 == pytest.approx(0.1, abs=0.025)
    assert thirds[2] / 3000 == pytest.approx(0.9, abs=0.025)


def test_copies_come_last_and_so_does_what_has_no_weight() -> None:
    points_ND = np.array([[0.0], [0.0], [0.0], [5.0], [9.0]])
    weights_N = np.array([1.0, 1.0, 0.0, 1.0, 0.0])
    for seed in range(20):
        chosen = k_means_pp(points_ND, 5, np.random.default_rng(seed), weights_N).tolist()
        assert set(points_ND[chosen[:2], 0]) == {0, 5}
        assert set(chosen[:3]) == {0, 1, 3}


def test_a_million_from_the_origin_copies_are_still_copies() -> None:
    points_ND = 1e6 + np.repeat(np.arange(4.0), 5)[:, None] * [1e-3, 2e-3]
    for seed in range(20):
        chosen = k_means_pp(points_ND, 4, np.random.default_rng(seed))
        assert sorted(chosen // 5) == [0, 1, 2, 3]


def test_a_diverse_batch_holds_the_most_informative_and_falls_in_value() -> None:
    rng = np.random.default_rng(3)
    values_N, points_ND = rng.random(500), rng.normal(size=(500, 4))
    chosen = diverse_batch(values_N, points_ND, 12, generator(), factor=5)
    assert chosen[0] == values_N.argmax()
    assert np.all(np.diff(values_N[chosen]) <= 0)
    assert values_N[chosen].min() >= np.sort(values_N)[-60]


def test_a_diverse_batch_takes_one_of_each_kind() -> None:
    points_ND, blobs_N = blobs([50] * 5)
    values_N = 1 - blobs_N / 10
    assert blobs_N[np.argsort(-values_N, kind="stable")[:5]].tolist() == [0] * 5
    for seed in range(10):
        batch = diverse_batch(values_N, points_ND, 5, np.random.default_rng(seed), factor=50)
        assert blobs_N[batch].tolist() == [0, 1, 2, 3, 4]


def test_equal_values_keep_their_order() -> None:
    points_ND = np.random.default_rng(3).normal(size=(40, 3))
    values_N = np.tile([0.2, 0.8], 20)
    chosen = diverse_batch(values_N, points_ND, 4, generator(), factor=3)
    assert set(chosen.tolist()) <= set(range(1, 24, 2)), "the first twelve of the better half"
    assert chosen.tolist() == sorted(chosen)
    assert chosen[0] == 1


def test_without_room_to_choose_a_batch_is_the_most_informative() -> None:
    points_ND = np.random.default_rng(3).normal(size=(40, 3))
    values_N = np.random.default_rng(4).random(40)
    chosen = diverse_batch(values_N, points_ND, 7, generator(), factor=1)
    assert chosen.tolist() == np.argsort(-values_N)[:7].tolist()
    with pytest.raises(ValueError, match="7 examples were asked for and 0 are available"):
        diverse_batch(values_N, points_ND, 7, generator(), factor=0)


def test_a_cold_start_takes_the_middle_of_each_cluster_the_largest_first() -> None:
    points_ND, blobs_N = blobs([10, 40, 30, 20])
    chosen = typical(points_ND, 4, generator())
    assert blobs_N[chosen].tolist() == [1, 2, 3, 0]
    for blob, position in zip([1, 2, 3, 0], chosen, strict=True):
        members_M = np.flatnonzero(blobs_N == blob)
        neighbours = min(20, len(members_M) - 1)
        nearest = NearestNeighbors(n_neighbors=neighbours).fit(points_ND[members_M])
        distances_MK, _ = nearest.kneighbors()  # without the point itself
        assert position == members_M[distances_MK.mean(axis=1).argmin()]


def test_the_clusters_take_turns_again_when_more_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diversity, "CLUSTERS_AT_MOST", 3)
    points_ND, blobs_N = blobs([2, 4, 3])
    assert blobs_N[typical(points_ND, 9, generator())].tolist() == [1, 2, 0, 1, 2, 0, 1, 2, 1]


def test_the_most_typical_comes_before_the_outlier() -> None:
    points_ND = np.array([[0.0], [1.0], [1.1], [1.3], [4.0]])
    clusterless = [typical(points_ND, 1, np.random.default_rng(seed))[0] for seed in range(5)]
    mean_distances = np.abs(points_ND - points_ND.T).sum(axis=1)
    assert clusterless == [mean_distances.argmin()] * 5


def test_small_text_and_we_choose_from_the_same_clusters() -> None:
    points_ND, blobs_N = blobs([40, 30, 20, 10])
    theirs = EmbeddingKMeans(normalize=False).sample(None, None, np.arange(100), np.array([]), None, 4, points_ND)
    assert sorted(blobs_N[theirs]) == sorted(blobs_N[typical(points_ND, 4, generator())]) == [0, 1, 2, 3]


def within_clusters(points_ND: Array, clusters_N: Positions) -> float:
    """The sum that k-means makes small: squared distances to the clusters' means."""
    means = {cluster: points_ND[clusters_N == cluster].mean(axis=0) for cluster in set(clusters_N.tolist())}
    return float(sum(((points_ND[i] - means[c]) ** 2).sum() for i, c in enumerate(clusters_N.tolist())))


@pytest.mark.parametrize("clusters", [5, 40])
def test_the_clusters_are_as_tight_as_scikit_learns(clusters: int) -> None:
    points_ND = np.random.default_rng(5).normal(size=(800, 6))
    ours = [
        within_clusters(points_ND, diversity.clusters(points_ND, clusters, np.random.default_rng(s))) for s in range(5)
    ]
    theirs = [KMeans(clusters, n_init=1, random_state=seed).fit(points_ND).inertia_ for seed in range(5)]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.03)


def test_no_matrix_of_all_pairs_is_ever_made() -> None:
    points_ND = np.random.default_rng(6).normal(size=(20_000, 4)).astype(np.float32)
    tracemalloc.start()
    try:
        typical(points_ND, 4, generator())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6, "all pairs would take 1.6 GB, those of one cluster 100 MB"
