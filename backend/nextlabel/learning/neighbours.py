"""Which labelled texts a text is like, by the cosine of their vectors. Pure, knows numpy alone."""

import numpy as np

from nextlabel.values.arrays import Array, Features, Ints

TINY = 1e-12  # a vector of length 0 is like none


def nearest(points_MD: Features, known_ND: Features, count: int) -> tuple[Ints, Array]:
    """Of each of the points the positions (M, K) of the nearest known ones, the nearest first, equal ones by position,
    and the cosines (M, K); K is `count`, or N if that is less. Time O(M N D)."""
    cosines_MN = _units(points_MD) @ _units(known_ND).T
    order_MK: Ints = np.argsort(-cosines_MN, axis=1, kind="stable")[:, :count]
    return order_MK, np.take_along_axis(cosines_MN, order_MK, axis=1)


def _units(rows_ND: Features) -> Array:
    rows = rows_ND.astype(np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY))
