"""In which order to label before there is any model, from embeddings of unit length. Knows numpy, not where they come
from.

To add a way: a function here and an entry in `STARTS`. N examples in D dimensions; costs are of `count` places.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from nextlabel.learning.diversity import (
    CLUSTERS_AT_MOST,
    Distances,
    Points,
    Positions,
    by_turns,
    clusters,
    mean_distances,
    require,
    slices,
)
from nextlabel.values.arrays import Array

SERVED_START: Final = "typiclust"  # of a new project (reports/starts)
ORDERED_AT_MOST = 10_000  # of a larger pool so many are drawn and ordered; 15 MB in 384 dimensions
FIRST = 8  # labels that an order is made for at first, then for twice as many, and so on
WITNESSES = 2_500  # examples whose distance to the chosen ones is minded by `coverage`
TRIED = 32  # examples whose gain is computed again at a time

# (points_ND, count, generator) -> `count` distinct positions among different points, at most N. The first ones are the
# same whatever the count.
Start = Callable[[Points, int, np.random.Generator], Positions]


def start_order(name: str, embeddings_ND: Points, count: int, seed: int) -> Positions:
    """`count` distinct positions in the order in which to label them, by the way of that name in `STARTS`.

    Every beginning of it is a start set: the first 16 of 64 are the 16 of the same seed. The order of the pool does not
    matter, but among equal rows. An example whose row equals that of another comes after all different ones. Of more
    than 10,000 examples so many are drawn and ordered, then the others follow as they were drawn. Time O(N D) for that
    besides what the way costs; memory, besides 8 N bytes, for 10,000 examples. Embeddings may be memory-mapped and in
    half precision. Raises `ValueError` when there are fewer examples than asked for.
    """
    require(count, len(embeddings_ND))
    rng = np.random.default_rng(seed)
    drawn_N = rng.permutation(_regardless_of_order(embeddings_ND, rng))
    part_M = drawn_N[:ORDERED_AT_MOST]
    points_MD = np.asarray(embeddings_ND[part_M], dtype=np.float32)
    different = np.sort(np.unique(points_MD, axis=0, return_index=True)[1])
    chosen = different[STARTS[name](points_MD[different], min(count, len(different)), rng)]
    left_M = np.setdiff1d(np.arange(len(part_M)), chosen)
    copies_last = left_M[np.argsort(~np.isin(left_M, different), kind="stable")]
    order: Positions = np.concatenate([part_M[chosen], part_M[copies_last], drawn_N[ORDERED_AT_MOST:]])
    return order[:count]


def typiclust(points_ND: Points, count: int, rng: np.random.Generator) -> Positions:
    """Typical and diverse: TypiClust (Hacohen, Dekel & Weinshall 2022), from 8 clusters to twice as many, and so on.

    A cluster of which nothing is chosen yet, the largest first, gives the example with the least mean distance to its
    20 nearest neighbours there. O(N D (count + N / 8)) time up to 500 places.
    """
    return _by_clusters(points_ND, count, rng, mean_distances)


def medoids(points_ND: Points, count: int, rng: np.random.Generator) -> Positions:
    """The same with the example nearest to its cluster's mean: k-means medoids. O(N D count) time up to 500 places."""
    return _by_clusters(points_ND, count, rng, _to_the_mean)


def coverage(points_ND: Points, count: int, rng: np.random.Generator) -> Positions:
    """Each raises the most the sum over all examples of the cosine to the nearest one chosen: facility location.

    Greedily, hence at least 63 % of the best sum (Nemhauser, Wolsey & Fisher 1978), like ProbCover (Yehuda et al. 2022)
    without its radius. Of more than 2,500 examples the sum is over the first W = 2,500, which `start_order` has drawn.
    A gain only ever falls, so that few are computed again (Minoux 1978). O(N W D) time at first, then O(W D) for each
    place and each example tried.
    """
    witnesses_WD = points_ND[:WITNESSES]
    covered_W, chosen = np.zeros(len(witnesses_WD), dtype=np.float32), list[int]()
    bounds_N = _gains(points_ND, witnesses_WD, covered_W)
    while len(chosen) < count:
        tried = _largest(bounds_N, TRIED)
        gains_M = _gains(points_ND[tried], witnesses_WD, covered_W)
        bounds_N[tried] = np.minimum(bounds_N[tried], gains_M)  # rounding must not raise one, or this might not end
        best = int(tried[np.argmax(bounds_N[tried])])
        if bounds_N[best] < bounds_N.max():
            continue
        chosen.append(best)
        bounds_N[best] = -np.inf
        covered_W = np.maximum(covered_W, witnesses_WD @ points_ND[best])
    return np.array(chosen, dtype=np.intp)


def farthest_first(points_ND: Points, count: int, rng: np.random.Generator) -> Positions:
    """The one nearest to the mean, then each the farthest from those before: k-center greedy (Gonzalez 1985; Sener &
    Savarese 2018). O(N D count) time."""
    chosen: list[int] = []
    nearest_N = -_to_the_mean(points_ND) if count else np.empty(0)
    while len(chosen) < count:
        last = int(np.argmax(nearest_N))
        to_last_N = np.linalg.norm(points_ND - points_ND[last], axis=1)
        nearest_N = np.minimum(nearest_N, to_last_N) if chosen else to_last_N
        nearest_N[last] = -np.inf
        chosen.append(last)
    return np.array(chosen, dtype=np.intp)


STARTS: Mapping[str, Start] = {
    "typiclust": typiclust,
    "medoids": medoids,
    "coverage": coverage,
    "farthest": farthest_first,
}


def _regardless_of_order(embeddings_ND: Points, rng: np.random.Generator) -> Positions:
    """All positions, along a direction that is drawn: the same examples in any pool that has them."""
    direction_D = rng.normal(size=embeddings_ND.shape[1])
    along_N = np.empty(len(embeddings_ND))
    for rows in slices(*embeddings_ND.shape):
        along_N[rows] = (embeddings_ND[rows] * direction_D).sum(axis=1)
    return np.argsort(along_N, kind="stable")


def _by_clusters(points_ND: Points, count: int, rng: np.random.Generator, distances: Distances) -> Positions:
    chosen: Positions = np.empty(0, dtype=np.intp)
    places = FIRST
    while len(chosen) < count:
        last = places >= min(CLUSTERS_AT_MOST, len(points_ND))
        clusters_N = clusters(points_ND, min(places, CLUSTERS_AT_MOST, len(points_ND)), rng)
        following = by_turns(points_ND, clusters_N, chosen, distances)
        chosen = np.concatenate([chosen, following if last else following[: places - len(chosen)]])
        places *= 2
    return chosen[:count]


def _to_the_mean(points_ND: Points) -> Array:
    return np.asarray(np.linalg.norm(points_ND - points_ND.mean(axis=0), axis=1))


def _gains(points_MD: Points, witnesses_WD: Points, covered_W: Points) -> Points:
    """By how much each example would raise the sum of cosines to the nearest one chosen; none counts below 0."""
    gains_M = np.empty(len(points_MD), dtype=np.float32)
    for rows in slices(len(points_MD), len(witnesses_WD)):
        cosines_MW = points_MD[rows] @ witnesses_WD.T
        gains_M[rows] = np.maximum(cosines_MW - covered_W, 0).sum(axis=1)
    return gains_M


def _largest(values_N: Points, count: int) -> Positions:
    """Positions of the largest values by position, none of -inf."""
    left = np.flatnonzero(values_N > -np.inf)
    return left if len(left) <= count else np.sort(left[np.argpartition(-values_N[left], count - 1)[:count]])
