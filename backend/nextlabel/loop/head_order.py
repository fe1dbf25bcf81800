"""The order of a version's head: its values are computed from what the version's last layer read of each text."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.predictions import to_prediction
from nextlabel.learning.heads import Head, acquisition_values, probabilities
from nextlabel.loop.orders import Chances, Exactly, keep_exactly
from nextlabel.store.pool import EXACT, FEATURES, Pool
from nextlabel.values.arrays import Array, Features, Ints
from nextlabel.values.layout import labels_in
from nextlabel.values.queue import Ranked
from nextlabel.values.versions import Card

SLICE = 8192  # texts at a time: 25 MB in 384 dimensions


@dataclass
class Valued:
    """The last values that a head gave, by the number of the text, NaN where there is none; kept from one look at a
    project to the next. `of` tells the head by its rows, and how much was known then."""

    of: tuple[object, ...] = ()
    values_T: Array = field(default_factory=lambda: np.empty(0))


class HeadOrder:
    """Its values are exact where the features were computed in fp32. `exactly` gives these."""

    def __init__(
        self, pool: Pool, config: LabelConfig, card: Card, name: str, head: Head, exactly: Exactly, valued: Valued
    ):
        self._pool, self._config, self._card = pool, config, card
        self._name, self._head, self._exactly, self._valued = name, head, exactly, valued

    @property
    def name(self) -> str:
        """The head's."""
        return self._name

    @property
    def known(self) -> int:
        """Those that it was fitted again to."""
        return len(self._head.known)

    def ranked(self, limit: int, skipped: bool) -> list[Ranked]:
        """By the head's values of all texts of which there are features."""
        ids_N, numbers_N = self._pool.open_numbers(skipped)
        values_N = self._values_of(ids_N, numbers_N)
        known = np.flatnonzero(~np.isnan(values_N))
        if limit < len(known):
            lowest = np.partition(values_N[known], -limit)[-limit]
            known = known[values_N[known] >= lowest]
        order = known[np.lexsort((ids_N[known], -values_N[known]))[:limit]]
        return list(map(Ranked, ids_N[order].tolist(), values_N[order].tolist()))

    def make_exact(self, task_ids: Sequence[int], ahead: Sequence[int] = ()) -> bool:
        """By computing those features in fp32 that were not."""
        if not self._inexact(task_ids):
            return False
        inexact = self._pool.examples(self._inexact([*ahead, *task_ids]))
        keep_exactly(self._pool, self._card.version, self._exactly, inexact)
        return True

    def _inexact(self, task_ids: Sequence[int]) -> list[int]:
        ids_N, numbers_N = self._pool.numbers_of_open(task_ids)
        exact_N = self._pool.latest_vectors(EXACT, self._card.version).knows(numbers_N)
        return [int(task_id) for task_id in ids_N[~exact_N]]

    def values(self, task_ids: Collection[int]) -> dict[int, float]:
        """The head's, of open tasks of which there are features."""
        ids_N, numbers_N = self._pool.numbers_of_open(task_ids)
        values_N = self._values_of(ids_N, numbers_N)
        return {int(i): float(value) for i, value in zip(ids_N, values_N, strict=True) if not np.isnan(value)}

    def chances(self, label: str) -> Chances | None:
        """By the head, of open tasks of which there are features."""
        if not any(label in labels_in(answer, self._head.layout) for answer in self._head.known.values()):
            return None
        ids_N, numbers_N = self._pool.open_numbers(skipped=False)
        chances_N, column = np.full(len(ids_N), np.nan), self._head.labels.index(label)
        for some, features_ND in self._features(numbers_N):
            chances_N[some] = probabilities(self._head.layer, features_ND, self._head.layout)[:, column]
        known_N = ~np.isnan(chances_N)
        return ids_N[known_N], chances_N[known_N]

    def prediction(self, task_id: int) -> tuple[float, dict[str, Any]] | None:
        """With every class probability."""
        values = self.values([task_id])
        _, features_ND = self._pool.vectors(EXACT, self._card.version, [task_id])
        seen = self._pool.candidate(self._card.version, task_id)
        if not values or not len(features_ND) or seen is None:
            return None
        value = values[task_id]
        probs_C = probabilities(self._head.layer, features_ND, self._head.layout)[0]
        return value, to_prediction(
            self._config, self._head.labels, probs_C, value, self._name, seen.truncated, self._head.layout
        )

    def _values_of(self, ids_N: Ints, numbers_N: Ints) -> Array:
        """NaN of a text without features."""
        rough, exact = (self._pool.latest_vectors(kind, self._card.version) for kind in (FEATURES, EXACT))
        layer = self._head.layer
        rows = hash((layer.weights_CD.tobytes(), None if layer.bias_C is None else layer.bias_C.tobytes()))
        state = (self._card.version, rows, self._head.layout, rough.records, exact.records)
        if self._valued.of != state:
            self._valued.of, self._valued.values_T = state, np.full(0, np.nan)
        missing_T = np.full(max(0, int(numbers_N.max(initial=0)) + 1 - len(self._valued.values_T)), np.nan)
        values_T = self._valued.values_T = np.concatenate([self._valued.values_T, missing_T])
        left = np.flatnonzero(np.isnan(values_T[numbers_N]))
        for some, features_ND in self._features(numbers_N[left]):
            values_T[numbers_N[left[some]]] = acquisition_values(
                self._head.layer,
                features_ND,
                ids_N[left[some]],
                self._card.strategy,
                self._card.seed,
                self._head.layout,
            )
        return np.asarray(values_T[numbers_N])

    def _features(self, numbers_N: Ints) -> Iterator[tuple[Ints, Features]]:
        """Places of some of the texts, and their features: in slices, what is exact last."""
        for kind in (FEATURES, EXACT):
            latest = self._pool.latest_vectors(kind, self._card.version)
            of = np.flatnonzero(latest.knows(numbers_N))
            for some in np.array_split(of, -(-len(of) // SLICE)) if len(of) else ():
                yield some, latest.of(numbers_N[some])["vector"]
