"""What a version or one of its heads says of given tasks, in the pool or not, as far as its scores are at hand."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from nextlabel.learning.heads import Head, acquisition_values, probabilities
from nextlabel.loop.heading import features_of
from nextlabel.store.pool import EXACT, FEATURES, Pool
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.versions import Card
from nextlabel.versions.judging import head_of
from nextlabel.versions.registry import Registry


@dataclass(frozen=True)
class Scores:
    """Values (N) in [0, 1] and class probabilities (N, C) of tasks; of which labels, the card of the version says."""

    ids_N: Ints
    values_N: Array
    probs_NC: Array


NONE = Scores(np.empty(0, dtype=np.int64), np.empty(0), np.empty((0, 0)))


def scores_of(pool: Pool, registry: Registry, card: Card, order: str, task_ids: Collection[int]) -> Scores:
    """By the order of that name, the version's of the card or one of its heads'; of those of the tasks that are scored.
    Those of a head that is gone are none."""
    if order == card.version:
        return Scores(*pool.said(order, task_ids))
    head = head_of(registry, card.project, card.version, order)
    return _by_head(pool, card, head, task_ids) if head else NONE


def _by_head(pool: Pool, card: Card, head: Head, task_ids: Collection[int]) -> Scores:
    known = [set(pool.vectors(kind, card.version, task_ids)[0].tolist()) for kind in (FEATURES, EXACT)]
    if not set.union(*known):
        return NONE
    ids_N, features_ND = features_of(pool, card, task_ids)
    values_N = acquisition_values(head.layer, features_ND, ids_N, card.strategy, card.seed, head.layout)
    return Scores(ids_N, values_N, probabilities(head.layer, features_ND, head.layout))
