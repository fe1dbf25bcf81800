"""What the queue can follow: an order of the pool under a name, and what is shown of its tasks."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.predictions import no_prediction, to_prediction
from nextlabel.learning.rounds import Scored
from nextlabel.store.pool import EXACT, FEATURES, Pool
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example
from nextlabel.values.queue import Ranked, to_score
from nextlabel.values.versions import Card

Chances = tuple[Ints, Array]  # ids of N tasks, and a probability of each
Exactly = Callable[[Sequence[Example]], tuple[Scored, Sequence[bool]]]  # in fp32, and of which a part was read


class Order(Protocol):
    """An order of the pool. Its values may be rough until `make_exact` was asked for."""

    @property
    def name(self) -> str:
        """The model version that its predictions bear in Label Studio."""

    @property
    def known(self) -> int:
        """How many labels it knows."""

    def ranked(self, limit: int, skipped: bool) -> list[Ranked]:
        """The pool, most informative first, equal values by task id; at most `limit`. Either the tasks that somebody
        has skipped, or those that nobody has."""

    def make_exact(self, task_ids: Sequence[int], ahead: Sequence[int] = ()) -> bool:
        """Whether the value of one of these tasks was not exact. Then they are made so, with those `ahead` of need."""

    def values(self, task_ids: Collection[int]) -> dict[int, float]:
        """The value of each of these tasks that is still in the pool."""

    def chances(self, label: str) -> Chances | None:
        """How probable the label is for each task of the pool that has a value; None when none with it is known."""

    def prediction(self, task_id: int) -> tuple[float, dict[str, Any]] | None:
        """The value of a task and the prediction to publish; None when it has left the pool."""


class VersionOrder:
    """That of a version as it was fitted: its values are in the pool. `exactly` scores examples with it."""

    def __init__(self, pool: Pool, config: LabelConfig, card: Card, exactly: Exactly):
        self._pool, self._config, self._card, self._exactly = pool, config, card, exactly

    @property
    def name(self) -> str:
        """The version's own."""
        return self._card.version

    @property
    def known(self) -> int:
        """Those that it was fitted on."""
        return self._card.examples

    def ranked(self, limit: int, skipped: bool) -> list[Ranked]:
        """By the values in the pool."""
        return self._pool.ranked(self.name, limit, skipped)

    def make_exact(self, task_ids: Sequence[int], ahead: Sequence[int] = ()) -> bool:
        """By scoring those again in fp32 that were not."""
        if not self._pool.inexact(self.name, task_ids):
            return False
        inexact = {example.id: example for example in self._pool.inexact(self.name, [*ahead, *task_ids])}
        keep_exactly(self._pool, self.name, self._exactly, list(inexact.values()))
        return True

    def values(self, task_ids: Collection[int]) -> dict[int, float]:
        """As they are in the pool."""
        return self._pool.open_values(self.name, task_ids)

    def chances(self, label: str) -> Chances | None:
        """As they are in the pool."""
        if not self._card.label_counts.get(label):
            return None
        ids_N, probs_NC = self._pool.open_probabilities(self.name)
        return ids_N, probs_NC[:, self._card.labels.index(label)]

    def prediction(self, task_id: int) -> tuple[float, dict[str, Any]] | None:
        """With every class probability."""
        c = self._pool.candidate(self.name, task_id)
        if c is None:
            return None
        card = self._card
        said = to_prediction(self._config, card.labels, c.probs_C, c.value, self.name, c.truncated, card.layout)
        return c.value, said


class StartOrder:
    """That before there is a version: its values are in the pool under its name, exact, with no probabilities."""

    def __init__(self, pool: Pool, name: str):
        self._pool, self._name = pool, name

    @property
    def name(self) -> str:
        """Its own; no version has it."""
        return self._name

    @property
    def known(self) -> int:
        """None."""
        return 0

    def ranked(self, limit: int, skipped: bool) -> list[Ranked]:
        """By the values in the pool."""
        return self._pool.ranked(self._name, limit, skipped)

    def make_exact(self, task_ids: Sequence[int], ahead: Sequence[int] = ()) -> bool:
        """All are."""
        return False

    def values(self, task_ids: Collection[int]) -> dict[int, float]:
        """As they are in the pool."""
        return self._pool.open_values(self._name, task_ids)

    def chances(self, label: str) -> Chances | None:
        """None: no label is known."""
        return None

    def prediction(self, task_id: int) -> tuple[float, dict[str, Any]] | None:
        """That shows nothing."""
        found = self._pool.candidate(self._name, task_id)
        if found is None:
            return None
        return found.value, no_prediction(to_score(found.value), self._name, "no version is fitted yet")


def keep(pool: Pool, version: str, scored: Scored) -> None:
    """Remember what a version said in the fast precision. The features first: what has a value has them, too."""
    if scored.features_ND is not None:
        pool.put_vectors(FEATURES, version, scored.examples, scored.features_ND)
    pool.put_scores(version, scored.examples, scored.values_N, scored.probs_NC, exact=False)


def keep_exactly(pool: Pool, version: str, exactly: Exactly, examples: Sequence[Example]) -> None:
    """Have examples scored in fp32 and remember it."""
    scored, truncated = exactly(examples)
    if scored.features_ND is not None:
        pool.put_vectors(EXACT, version, scored.examples, scored.features_ND)
    pool.put_scores(version, scored.examples, scored.values_N, scored.probs_NC, True, truncated)
