"""When the queue is switched to a version, and when it had better not be. With a Label Studio that only takes notes."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backend.examples import Example
from backend.label_config import TaskRow, parse_label_config
from backend.pool import Pool, pool_path
from backend.publishing import BATCH, DELETIONS, HEAD, LEAST, Publisher
from backend.queue_window import Published
from backend.studio import Project

CONFIG = parse_label_config(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t" choice="single">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
OLD, NEW = "nextlabel-1", "nextlabel-2"
POOL = range(1, 101)


class Notes:
    """What was asked of Label Studio."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.removed: list[int] = []
        self.switched_to: str | None = None
        self._ids = count(1)

    def create_prediction(self, task: int, prediction: object) -> int:
        self.written.append(task)
        return next(self._ids)

    def delete_prediction(self, prediction: int) -> None:
        self.removed.append(prediction)

    def set_model_version(self, project: int, version: str) -> None:
        self.switched_to = version


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, 1)) as opened:
        examples = [Example(i, f"text {i}") for i in POOL]
        opened.upsert([TaskRow(e.id, e, False, False, False, 0, ()) for e in examples])
        values_N = np.linspace(0.9, 0.1, len(examples))
        opened.put_scores(NEW, examples, values_N, np.stack([1 - values_N / 2, values_N / 2], axis=1), exact=True)
        yield opened


def never(examples: Sequence[Example]) -> Any:
    raise AssertionError("all scores are exact")


def publish(pool: Pool, superseded: Callable[[Notes], bool]) -> Notes:
    notes = Notes()
    project = Project(1, "one", "", "", OLD, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"))
    studio: Any = notes
    with Publisher(studio, pool, CONFIG, card, never, lambda: superseded(notes), lambda: True) as publisher:
        outcome = publisher.publish(project, depth=64)
    assert (outcome.seconds_to_switch is not None) == (notes.switched_to == NEW)
    return notes


def test_the_head_is_written_and_then_the_queue_is_switched(pool: Pool) -> None:
    notes = publish(pool, lambda notes: False)
    assert sorted(notes.written) == list(POOL[:HEAD])
    assert notes.switched_to == NEW


def test_a_version_that_is_superseded_early_is_not_switched_to(pool: Pool) -> None:
    notes = publish(pool, lambda notes: len(notes.written) >= 2)
    assert 2 <= len(notes.written) < HEAD / 2
    assert notes.switched_to is None


def test_when_each_version_is_superseded_late_the_queue_follows_all_the_same(pool: Pool) -> None:
    notes = publish(pool, lambda notes: len(notes.written) >= HEAD - 2)
    assert HEAD / 2 < len(notes.written) <= HEAD
    assert notes.switched_to == NEW


@pytest.mark.parametrize(("hinted", "most"), [(False, BATCH), (True, LEAST)], ids=["no labels", "labels"])
def test_while_labels_come_a_window_that_is_half_full_is_filled_in_small_steps(
    hinted: bool, most: int, pool: Pool
) -> None:
    pool.replace_published([Published(1000 + task, task, OLD, 0.5) for task in POOL[:40]])
    notes, depth = Notes(), 61
    batches: list[int] = []
    removals: list[int] = []
    project = Project(1, "one", "", "", NEW, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"))
    studio: Any = notes
    while True:
        with Publisher(
            studio, pool, CONFIG, card, never, lambda: False, lambda: hinted, rest=lambda s: None
        ) as publisher:
            outcome = publisher.publish(project, depth)
        batches.append(outcome.written)
        removals.append(outcome.removed)
        assert outcome.missing == depth - sum(batches)
        if not outcome.missing + outcome.stale:
            break
    assert sorted(notes.written) == list(POOL[:depth])
    assert sorted(notes.removed) == [1000 + task for task in POOL[:40]]
    assert sum(batches[:2]) == (depth // 2 if hinted else 2 * BATCH), "up to the half labels wait"
    assert max(batches[2:]) == min(most, depth - 2 * BATCH)
    assert max(removals) == min(most, DELETIONS)
    together = [sum(both) for both in zip(batches[2:], removals[2:], strict=True)]
    assert max(together) <= (LEAST if hinted else BATCH + DELETIONS)


@pytest.mark.parametrize(
    ("fitting", "stale", "removed"),
    [(True, 10, 0), (True, 11, 11), (False, 10, 10)],
    ids=["a fit, a window", "a fit, more than a window", "no fit"],
)
def test_stale_predictions_wait_for_the_end_of_a_fit_unless_they_are_many(
    fitting: bool, stale: int, removed: int, pool: Pool
) -> None:
    depth = 10
    right = [Published(task, task, NEW, 1 - value) for task, value in pool.open_values(NEW, POOL[:depth]).items()]
    pool.replace_published([*right, *(Published(1000 + task, task, OLD, 0.5) for task in POOL[:stale])])
    notes, project = Notes(), Project(1, "one", "", "", NEW, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"))
    studio: Any = notes
    with Publisher(studio, pool, CONFIG, card, never, lambda: False, lambda: False, rest=lambda s: None) as publisher:
        outcome = publisher.publish(project, depth, fitting=fitting)
    assert (outcome.written, outcome.removed, outcome.stale) == (0, removed, stale - removed)
    assert len(notes.removed) == removed
