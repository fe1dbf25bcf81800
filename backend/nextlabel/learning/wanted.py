"""Which tasks are likely to be of a class of which more labels are wanted, and which places of the queue are theirs.

Pure: no clock, client, disk, model. What is near is said by base embeddings, what is likely by a head.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np

from nextlabel.learning.diversity import Points
from nextlabel.values.arrays import Array, Ints

WANTED = "wanted"  # the kind of such tasks
EVERY = 5  # labels, of which the last one is for a wanted class: as measured in reports/wanted
DEVIATIONS = 2.0  # of the cosines, above their mean, from where on a text is near
IN_VAIN = 20  # tasks in slots since the last label of a class: there are hardly any more, whatever probabilities say
ENOUGH = 30  # labels of a class that is looked for, if nobody has set a target; tasks, where no class is named


def places(labels: int, depth: int, every: int = EVERY) -> list[int]:
    """The places of the head, counted from 0, that are for wanted classes: of every so many labels the last one.

    They are counted on from the `labels` that there are, so that it makes no difference how often the order is renewed.
    """
    return list(range(every - 1 - labels % every, depth, every))


def turns(labels: int, depth: int, classes: int, every: int = EVERY) -> list[int]:
    """Which of so many classes each of the `places` is for, counted from 0: they take turns from slot to slot, also
    where the order is renewed before a second one of its slots is reached."""
    return [(labels + place) // every % classes for place in places(labels, depth, every)]


def near(ids_N: Ints, points_ND: Points, texts_MD: Points) -> list[int]:
    """The tasks that are near one of the texts, the nearest first, equal ones by id. Rows have unit length.

    Near is what has a cosine so many standard deviations above the mean: what a cosine is worth differs by the encoder.
    """
    if not (len(points_ND) and len(texts_MD)):
        return []
    cosines_N = (points_ND.astype(np.float32) @ texts_MD.astype(np.float32).T).max(axis=1)
    are_near_N = cosines_N >= cosines_N.mean() + DEVIATIONS * cosines_N.std()
    return best_first(ids_N[are_near_N], cosines_N[are_near_N])


def best_first(ids_N: Ints, values_N: Array) -> list[int]:
    """The tasks by falling value, equal ones by id."""
    return [int(task) for task in ids_N[np.lexsort((ids_N, -values_N))]]


def in_turn(lists: Sequence[Sequence[int]]) -> list[int]:
    """The tasks of several classes, best first: the best of each, then the second of each, and so on; each once."""
    return [task for task in dict.fromkeys(chain.from_iterable(zip_longest(*lists))) if task is not None]
