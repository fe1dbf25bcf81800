"""Which batch to take when examples resemble each other, from embeddings. Knows numpy, not models nor Label Studio.

Distances are Euclidean: give rows of unit length to compare by angle. Whatever is drawn comes from the generator
given, so that a choice can be repeated.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel.values.arrays import Array

Points = npt.NDArray[np.floating[Any]]
Positions = npt.NDArray[np.intp]
Distances = Callable[[Points], Array]  # (points_MD) of one cluster -> distances_M, the least of what it gives first

CLUSTERS_AT_MOST = 500  # as in TypiClust: beyond, a cluster is too small to say what is typical
NEIGHBOURS = 20  # as in TypiClust
ITERATIONS_AT_MOST = 20  # of Lloyd's; seeded by k-means++ the later ones move few points
CELLS = 1_000_000  # numbers in the largest matrix made at a time, 8 MB


def k_means_pp(points_ND: Points, count: int, rng: np.random.Generator, weights_N: Array | None = None) -> Positions:
    """`count` distinct positions far from each other, in the order drawn: k-means++ (Arthur & Vassilvitskii 2007).

    The first is drawn with odds `weights_N` (at least 0; equal when not given), each further one with odds weight x
    squared distance to the nearest one chosen before. Copies of chosen points, then points of weight 0, come last.
    Raises `ValueError` when there are fewer points than asked for.
    """
    require(count, len(points_ND))
    weights_N = np.ones(len(points_ND)) if weights_N is None else weights_N
    if count == 0:
        return np.empty(0, dtype=np.intp)
    first = _draw((weights_N, np.ones(len(points_ND))), rng)
    return _spread(points_ND, first, count, rng, weights_N)


def diverse_batch(
    values_N: Array, embeddings_ND: Points, count: int, rng: np.random.Generator, factor: int = 10
) -> Positions:
    """`count` positions, informative and unlike each other, by falling value.

    From the `factor * count` highest values (Zhdanov 2019, "Diverse mini-batch active learning"; equal values in their
    order), k-means++ chooses (as in BADGE, Ash et al. 2020) and starts from the most informative one.
    Raises `ValueError` when there are fewer examples, or `factor` leaves fewer, than asked for.
    """
    require(count, len(values_N))
    shortlist_M = np.argsort(-values_N, kind="stable")[: factor * count]
    require(count, len(shortlist_M))
    if count == 0:
        return shortlist_M
    chosen = _spread(embeddings_ND[shortlist_M], 0, count, rng, np.ones(len(shortlist_M)))
    return shortlist_M[np.sort(chosen)]


def typical(embeddings_ND: Points, count: int, rng: np.random.Generator) -> Positions:
    """`count` distinct positions to label first, before any model: TypiClust (Hacohen, Dekel & Weinshall 2022).

    K-means makes a cluster for each, at most 500. Clusters take turns by falling size, round and round, and each gives
    its most typical example left: that with the least mean distance to its 20 nearest neighbours in the cluster.
    Unlike in the paper clusters of less than five take part, at the end of each turn, so that `count` is always met.
    Raises `ValueError` when there are fewer examples than asked for. Time grows with N x clusters and with the squares
    of the clusters' sizes; memory, beside the embeddings, with the largest cluster's embeddings.
    """
    require(count, len(embeddings_ND))
    if count == 0:
        return np.empty(0, dtype=np.intp)
    clusters_N = clusters(embeddings_ND, min(count, CLUSTERS_AT_MOST), rng)
    return by_turns(embeddings_ND, clusters_N, np.empty(0, dtype=np.intp), mean_distances)[:count]


def by_turns(points_ND: Points, clusters_N: Positions, taken: Positions, distances: Distances) -> Positions:
    """All positions but those taken: clusters take turns, those of which less is taken first, then the larger ones.

    In its turn a cluster gives what is left of it with the least of `distances`.
    """
    free_N = np.ones(len(points_ND), dtype=bool)
    free_N[taken] = False
    sizes_C = np.bincount(clusters_N)
    turns_N = np.empty(len(points_ND), dtype=np.intp)
    for cluster in np.flatnonzero(sizes_C):
        members_M = np.flatnonzero(clusters_N == cluster)
        left_M = members_M[free_N[members_M]]
        distances_M = distances(points_ND[members_M])[free_N[members_M]]
        turns_N[left_M[np.argsort(distances_M, kind="stable")]] = np.arange(len(left_M)) + len(members_M) - len(left_M)
    left_N = np.flatnonzero(free_N)
    by_turn: Positions = np.lexsort((clusters_N[left_N], -sizes_C[clusters_N[left_N]], turns_N[left_N]))
    return left_N[by_turn]


def require(count: int, available: int) -> None:
    """Raises `ValueError` with both numbers when there are fewer than asked for."""
    if not 0 <= count <= available:
        raise ValueError(f"{count} examples were asked for and {available} are available.")


def _spread(points_ND: Points, first: int, count: int, rng: np.random.Generator, weights_N: Array) -> Positions:
    """K-means++ from a given first position; `count` is at least 1."""
    chosen = [first]
    free_N = np.ones(len(points_ND))
    nearest_N = np.full(len(points_ND), np.inf)
    while True:
        free_N[chosen[-1]] = 0
        if len(chosen) == count:
            return np.array(chosen, dtype=np.intp)
        nearest_N = np.minimum(nearest_N, _squared_distances(points_ND, points_ND[chosen[-1]]))
        chosen.append(_draw((free_N * weights_N * nearest_N, free_N * weights_N, free_N), rng))


def _draw(choices: Sequence[Array], rng: np.random.Generator) -> int:
    """A position by the first odds that are not 0 everywhere; the last must not be."""
    odds_N = next(odds_N for odds_N in choices if odds_N.any())
    return int(rng.choice(len(odds_N), p=odds_N / odds_N.sum()))


def _squared_distances(points_ND: Points, point_D: Points) -> Array:
    """From each point to one, exactly 0 for copies of it."""
    squares_N = np.empty(len(points_ND))
    for rows in slices(*points_ND.shape):
        differences_MD = points_ND[rows] - point_D
        squares_N[rows] = np.einsum("md,md->m", differences_MD, differences_MD)
    return squares_N


def clusters(points_ND: Points, count: int, rng: np.random.Generator) -> Positions:
    """The number of each point's k-means cluster (Lloyd 1982, from k-means++). Some may be empty."""
    centres_CD = points_ND[k_means_pp(points_ND, count, rng)]
    clusters_N: Positions = np.full(len(points_ND), -1)
    for _ in range(ITERATIONS_AT_MOST):
        before_N, clusters_N = clusters_N, _nearest(points_ND, centres_CD)
        if np.array_equal(before_N, clusters_N):
            break
        centres_CD = _centres(points_ND, clusters_N, centres_CD)
    return clusters_N


def _nearest(points_ND: Points, centres_CD: Points) -> Positions:
    squares_C = np.einsum("cd,cd->c", centres_CD, centres_CD)
    nearest_N = np.empty(len(points_ND), dtype=np.intp)
    for rows in slices(len(points_ND), len(centres_CD)):
        nearest_N[rows] = np.argmin(squares_C - 2 * points_ND[rows] @ centres_CD.T, axis=1)
    return nearest_N


def _centres(points_ND: Points, clusters_N: Positions, before_CD: Points) -> Points:
    """The mean of each cluster; an empty one stays where it was."""
    sums_CD = np.zeros_like(before_CD)
    for rows in slices(len(points_ND), len(before_CD)):
        belongs_MC = clusters_N[rows, None] == np.arange(len(before_CD))
        sums_CD += belongs_MC.astype(points_ND.dtype).T @ points_ND[rows]
    sizes_C1 = np.bincount(clusters_N, minlength=len(before_CD))[:, None]
    return np.where(sizes_C1, sums_CD / np.maximum(sizes_C1, 1), before_CD).astype(points_ND.dtype)


def mean_distances(points_ND: Points) -> Array:
    """From each point to its nearest neighbours among the others, 0 where there is no other; 1 / typicality."""
    neighbours = min(NEIGHBOURS, len(points_ND) - 1)
    means_N = np.zeros(len(points_ND))
    if neighbours == 0:
        return means_N
    points_ND = points_ND - points_ND.mean(axis=0)  # or the products below would lose digits far from the origin
    squares_N = np.einsum("nd,nd->n", points_ND, points_ND)
    for rows in slices(len(points_ND), len(points_ND)):
        distances_MN = squares_N[rows, None] + squares_N - 2 * points_ND[rows] @ points_ND.T
        itself_M = np.arange(len(points_ND))[rows]
        distances_MN[np.arange(len(itself_M)), itself_M] = np.inf  # none is its own neighbour
        nearest_MK = np.partition(distances_MN, neighbours - 1, axis=1)[:, :neighbours]
        means_N[rows] = np.sqrt(np.maximum(nearest_MK, 0)).mean(axis=1)
    return means_N


def slices(rows: int, columns: int) -> Iterator[slice]:
    """All rows, as many at a time as `CELLS` allows of so many columns."""
    step = max(1, CELLS // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))
