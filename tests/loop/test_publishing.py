"""When the queue is switched to a version, and when it had better not be. With a Label Studio that only takes notes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from nextlabel.errors import StudioError
from nextlabel.labelstudio.client import Project
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.loop.orders import VersionOrder
from nextlabel.loop.publishing import (
    BATCH,
    DELETIONS,
    HEAD,
    LEAST,
    WRITERS,
    Free,
    Publisher,
    all_free,
    take_back_choices,
)
from nextlabel.loop.sides import Side
from nextlabel.store.pool import Pool, pool_path
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.queue import Published, Ranked

CONFIG = parse_label_config(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t" choice="single">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
OLD, NEW = "nextlabel-1", "nextlabel-2"
POOL = range(1, 101)


class Notes:
    """What was asked of Label Studio."""

    def __init__(self, first: int = 1) -> None:
        self.written: list[int] = []
        self.removed: list[int] = []
        self.emptied: list[int] = []
        self.changed: list[int] = []
        self.cleared: list[str] = []
        self.gone: set[int] = set()
        self.switched_to: str | None = None
        self._ids = count(first)

    def create_prediction(self, task: int, prediction: object) -> int:
        self.written.append(task)
        return next(self._ids)

    def update_prediction(self, prediction: int, result: Sequence[object]) -> bool:
        assert result == []
        self.emptied.append(prediction)
        return prediction not in self.gone

    def replace_prediction(self, prediction: int, new: object) -> bool:
        self.changed.append(prediction)
        return True

    def delete_model_version(self, project: int, version: str) -> None:
        self.cleared.append(version)

    def delete_prediction(self, prediction: int) -> None:
        self.removed.append(prediction)

    def set_model_version(self, project: int, version: str) -> None:
        self.switched_to = version


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, 1)) as opened:
        examples = [Example(i, f"text {i}") for i in POOL]
        opened.upsert([TaskRow(e.id, e, False, False, False, 0, ()) for e in examples])
        values_N = np.linspace(0.9, 0.1, len(examples), dtype=np.float64)
        opened.put_scores(NEW, examples, values_N, np.stack([1 - values_N / 2, values_N / 2], axis=1), exact=True)
        yield opened


def never(examples: Sequence[Example]) -> Any:
    raise AssertionError("all scores are exact")


def publish(pool: Pool, superseded: Callable[[Notes], bool]) -> Notes:
    notes = Notes()
    project = Project(1, "one", "", "", OLD, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio: Any = notes
    order = VersionOrder(pool, CONFIG, card, never)
    with Publisher(studio, pool, order, lambda: superseded(notes), lambda: True) as publisher:
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
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio: Any = notes
    while True:
        order = VersionOrder(pool, CONFIG, card, never)
        with Publisher(studio, pool, order, lambda: False, lambda: hinted, rest=lambda s: None) as publisher:
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
    ("followed", "others", "changed"),
    [(12, 0, 4), (5, 0, 3), (7, 2, 1), (5, 2, 0), (2, 0, 0)],
    ids=["more than enough", "a few", "others need some", "others need them", "all are needed"],
)
def test_predictions_become_those_of_the_next_order_unless_the_queue_needs_them(
    followed: int, others: int, changed: int, pool: Pool
) -> None:
    pool.replace_published([Published(1000 + task, task, OLD, 0.5) for task in POOL[:followed]])
    notes, project, announced = Notes(), Project(1, "one", "", "", OLD, False, 0, 0, False, False), list[str]()
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio: Any = notes
    with Publisher(
        studio, pool, VersionOrder(pool, CONFIG, card, never), lambda: False, lambda: False, lambda s: None,
        others, first=4, changes=True, announce=announced.append,
    ) as publisher:  # fmt: skip
        outcome = publisher.publish(project, depth=12)
        assert announced == [NEW] == [notes.switched_to]
        assert len(notes.changed) == changed
        assert len(notes.changed) + len(notes.written) == 4 + others
        assert outcome.unfinished
        switched = replace(project, model_version=NEW)
        assert not publisher.publish(switched, depth=12).unfinished
    there = {p.task_id: p for p in pool.published()}
    assert {p.version for p in there.values()} == {NEW}
    assert sorted(there) == list(POOL[: 12 + others])
    assert len(there) == len(pool.published()) == 12 + others
    assert notes.removed == []
    assert notes.cleared == ([] if changed == 4 else [OLD]), "what is left goes at once"


@pytest.mark.parametrize(
    ("left", "others", "first"),
    [(7, 2, HEAD + 2), (6, 2, 2 + 2), (1, 0, 2), (3, 0, HEAD)],
    ids=["enough", "each may hold one", "one", "enough for one"],
)
def test_where_the_queue_runs_dry_it_is_switched_at_once(left: int, others: int, first: int, pool: Pool) -> None:
    pool.replace_published([Published(1000 + task, task, OLD, 0.5) for task in POOL[:left]])
    notes, project = Notes(), Project(1, "one", "", "", OLD, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio: Any = notes
    order = VersionOrder(pool, CONFIG, card, never)
    with Publisher(studio, pool, order, lambda: False, lambda: False, lambda s: None, others) as publisher:
        assert publisher.publish(project, depth=64).unfinished
        assert (notes.switched_to, len(notes.written)) == (NEW, first)
        publisher.publish(replace(project, model_version=NEW), depth=64)
        assert len(notes.written) == first + BATCH


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
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio: Any = notes
    order = VersionOrder(pool, CONFIG, card, never)
    with Publisher(studio, pool, order, lambda: False, lambda: False, rest=lambda s: None) as publisher:
        outcome = publisher.publish(project, depth, fitting=fitting)
    assert (outcome.written, outcome.removed, outcome.stale) == (0, removed, stale - removed)
    assert len(notes.removed) == removed


@pytest.mark.parametrize("skips", [4, 8])
@pytest.mark.parametrize("settled", [False, True], ids=["being scored", "scored"])
def test_whoever_skips_never_sees_the_queue_run_dry(skips: int, settled: bool, pool: Pool) -> None:
    notes, project = Notes(), Project(1, "one", "", "", NEW, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio, order = cast(Any, notes), VersionOrder(pool, CONFIG, card, never)
    for given in range(40):
        with Publisher(studio, pool, order, lambda: False, lambda: True, lambda s: None, changes=True) as publisher:
            publisher.publish(project, HEAD, settled)
        waiting, not_skipped = pool.waiting(NEW), set(pool.open_numbers(skipped=False)[0].tolist())
        served = [p for p in pool.published() if p.prediction_id in waiting and p.task_id in not_skipped]
        assert served, f"after {given} answers"
        task = min(served, key=lambda p: p.score).task_id
        votes = () if given < skips else (Vote("yes", False, ""),)
        pool.upsert([TaskRow(task, Example(task, f"text {task}"), False, False, given < skips, 1, votes)])


# What is kept out of the queue


def head_of(pool: Pool, depth: int, pointless: Sequence[int] = (), free: Free = all_free, others: int = 0) -> Notes:
    notes, project = Notes(), Project(1, "one", "", "", NEW, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio: Any = notes
    order = VersionOrder(pool, CONFIG, card, never)
    with Publisher(
        studio, pool, order, lambda: False, lambda: False, lambda s: None, others, pointless=pointless, free=free
    ) as publisher:
        publisher.publish(project, depth)
    return notes


def test_what_teaches_nothing_is_never_published_and_is_taken_away(pool: Pool) -> None:
    values = pool.open_values(NEW, [3, 4])
    pool.replace_published([Published(100 + task, task, NEW, 1 - values[task]) for task in (3, 4)])
    notes = head_of(pool, 2, pointless=[1, 2, 3, *range(6, 101)])
    assert notes.written == [5]
    assert notes.removed == [103]


def test_what_is_kept_back_makes_room_for_what_comes_after_it(pool: Pool) -> None:
    asked: list[tuple[int, int, int]] = []

    def tenths(ranked: Sequence[Ranked], depth: int, least: int) -> list[Ranked]:
        asked.append((len(ranked), depth, least))
        return [task for task in ranked if task.task_id % 10 == 0]

    assert sorted(head_of(pool, 3, free=tenths).written) == [10, 20, 30]
    assert asked == [(4, 4, 0), (8, 4, 0), (16, 4, 0), (32, 4, 0)], "no more than eight times as many: three are free"


@pytest.mark.parametrize(("copies", "head"), [(90, [91, 92, 93]), (98, [1, 99, 100])], ids=["found", "too few"])
def test_near_copies_are_freed_where_the_pool_has_no_others_and_not_because_they_are_many(
    copies: int, head: list[int], pool: Pool
) -> None:
    def but_copies(ranked: Sequence[Ranked], depth: int, least: int) -> list[Ranked]:
        held = [task for task in ranked if task.task_id <= copies]
        waiting = held[max(0, least - (len(ranked) - len(held))) :]
        return [task for task in ranked if task not in waiting]

    assert sorted(head_of(pool, 3, free=but_copies).written) == head


def test_tasks_that_were_not_written_do_not_count_before_a_switch(pool: Pool) -> None:
    class Labelled(VersionOrder):
        """All tasks but the first two are labelled just before they are written."""

        def prediction(self, task_id: int) -> Any:
            asked.append(task_id)
            return super().prediction(task_id) if task_id <= 2 else None

    asked, notes, project = list[int](), Notes(), Project(1, "one", "", "", OLD, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    order, studio = Labelled(pool, CONFIG, card, never), cast(Any, notes)
    with Publisher(studio, pool, order, lambda: len(asked) == HEAD, lambda: False) as publisher:
        outcome = publisher.publish(project, depth=64)
    assert asked == list(POOL[:HEAD])
    assert (outcome.written, outcome.missing, notes.switched_to) == (2, 0, None)


# Tasks that come next for another reason


def beside(pool: Pool, sides: Sequence[Side], published: Sequence[Published] = ()) -> Notes:
    pool.replace_published(published)
    notes, project = Notes(first=1000), Project(1, "one", "", "", NEW, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio: Any = notes
    order = VersionOrder(pool, CONFIG, card, never)
    with Publisher(studio, pool, order, lambda: False, lambda: False, lambda s: None, sides=sides) as publisher:
        publisher.publish(project, 4)
        publisher.publish(project, 4)  # what has to go goes once the head is there
    return notes


def as_served(pool: Pool) -> list[int]:
    return [p.task_id for p in sorted(pool.published(), key=lambda p: p.score)]


def test_tasks_of_a_side_stand_in_its_places_and_are_written_once(pool: Pool) -> None:
    sides = [Side("hidden", [900, 901], [1, 3], hidden=True), Side("wanted", [70, 60, 50], [1])]
    notes = beside(pool, sides)
    assert as_served(pool) == [1, 900, 70, 901]
    published = {p.task_id: p for p in pool.published()}
    assert (published[900].choice, published[70].choice) == ("", "yes")
    assert len(notes.written) == 4
    pool.upsert([TaskRow(1, Example(1, "text 1"), False, True, False, 1, (Vote("yes", False, ""),))])
    sides = [Side("hidden", [900, 901], [0, 2], hidden=True), Side("wanted", [70, 60, 50], [0])]
    notes = beside(pool, sides, [replace(p, prediction_id=p.task_id) for p in pool.published()])
    assert notes.removed == [], "each keeps its score while labels move its place"
    assert as_served(pool) == [1, 900, 70, 901, 2]


def test_into_each_place_of_a_side_comes_the_one_whose_turn_it_is(pool: Pool) -> None:
    beside(pool, [Side("wanted", [70, 60, 50], [1, 3], turns=[[50, 60], [50, 70]])])
    assert as_served(pool) == [1, 50, 2, 70]


def test_a_hidden_task_that_shows_a_guess_is_written_again(pool: Pool) -> None:
    pool.upsert([TaskRow(900, Example(900, "text 900"), False, False, False, 0, (), draw="0" * 64)])
    sides = [Side("hidden", [900], [0], hidden=True)]
    notes = beside(pool, sides, [Published(7, 900, NEW, 0.01, choice="yes")])
    assert notes.removed == [7]
    assert as_served(pool) == [900, 1, 2, 3]


def test_what_is_kept_back_is_kept_out_of_a_side_too(pool: Pool) -> None:
    def even(ranked: Sequence[Ranked], depth: int, least: int) -> list[Ranked]:
        return [task for task in ranked if task.task_id % 2 == 0]

    notes, project = Notes(), Project(1, "one", "", "", NEW, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio: Any = notes
    sides = [Side("wanted", [71, 60], [0, 1])]
    order = VersionOrder(pool, CONFIG, card, never)
    with Publisher(studio, pool, order, lambda: False, lambda: False, free=even, sides=sides) as publisher:
        publisher.publish(project, 3)
    assert as_served(pool) == [60, 2, 4]


def test_a_dozen_variants_do_not_leave_the_places_of_a_side_empty(pool: Pool) -> None:
    def of_variants_the_first(ranked: Sequence[Ranked], depth: int, least: int) -> list[Ranked]:
        return [task for task in ranked if task.task_id not in range(51, 62)]

    notes, project = Notes(), Project(1, "one", "", "", NEW, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=NEW, labels=("yes", "no"), layout=None)
    studio, order = cast(Any, notes), VersionOrder(pool, CONFIG, card, never)
    sides = [Side("wanted", [*range(50, 62), 70, 71], [1, 3])]
    with Publisher(
        studio, pool, order, lambda: False, lambda: False, lambda s: None, free=of_variants_the_first, sides=sides
    ) as publisher:
        outcome = publisher.publish(project, 4)
    assert as_served(pool) == [1, 50, 2, 70]
    assert outcome.held == 11


def test_what_has_no_place_on_its_side_comes_where_the_order_wants_it(pool: Pool) -> None:
    beside(pool, [Side("wanted", [4, 2, 1], [0])])
    assert as_served(pool) == [4, 1, 2, 3]


@pytest.mark.parametrize(("scored", "switched"), [(0, False), (2, False), (3, True)])
def test_a_pool_that_is_hardly_scored_is_not_left_for_a_hidden_task(scored: int, switched: bool, pool: Pool) -> None:
    followed = [Published(1000 + task, task, OLD, 0.5) for task in POOL[:12]]
    pool.replace_published(followed)
    values_N = np.linspace(0.9, 0.1, scored, dtype=np.float64)
    examples = [Example(task, f"text {task}") for task in POOL[50 : 50 + scored]]
    other = "nextlabel-3"
    pool.put_scores(other, examples, values_N, np.stack([1 - values_N / 2, values_N / 2], axis=1), exact=True)
    notes, project = Notes(), Project(1, "one", "", "", OLD, False, 0, 0, False, False)
    card: Any = SimpleNamespace(version=other, labels=("yes", "no"), layout=None)
    studio, order = cast(Any, notes), VersionOrder(pool, CONFIG, card, never)
    with Publisher(
        studio, pool, order, lambda: False, lambda: False, lambda s: None,
        first=4, changes=True, sides=[Side("hidden", [900], [0], hidden=True)],
    ) as publisher:  # fmt: skip
        outcome = publisher.publish(project, HEAD, settled=False)
    assert notes.switched_to == (other if switched else None)
    assert [p for p in pool.published() if p.version == OLD] == followed
    assert (outcome.written, notes.removed, notes.cleared) == (4 if switched else 0, [], [])


# Labels that the config does not have any more


def take_back(pool: Pool, notes: Notes, hinted: bool = False) -> int:
    project, studio = Project(1, "one", "", "", NEW, True, 0, 0, False, False), cast(Any, notes)
    return take_back_choices(studio, pool, CONFIG, project, lambda: hinted)


def test_labels_that_are_gone_are_taken_back_in_the_order_in_which_people_see_them(pool: Pool) -> None:
    pool.upsert([TaskRow(2, Example(2, "text 2"), False, True, False, 1, (Vote("yes", False, ""),))])
    pool.replace_published(
        [
            Published(10, 1, OLD, 0.1, "maybe"),
            Published(11, 2, NEW, 0.1, "maybe"),  # labelled
            Published(12, 3, NEW, 0.4, "maybe"),
            Published(13, 4, NEW, 0.2, "maybe"),
            Published(14, 5, NEW, 0.3, "yes"),
            Published(15, 6, NEW, 0.3, ""),
        ]
    )
    notes = Notes()
    notes.gone = {12}
    assert take_back(pool, notes) == 0
    assert sorted(notes.emptied[:WRITERS]) == [12, 13]
    assert sorted(notes.emptied[WRITERS:]) == [10, 11], "two at a time, in this order"
    shown = {p.prediction_id: p.choice for p in pool.published()}
    assert shown == {10: "", 11: "", 13: "", 14: "yes", 15: ""}
    assert take_back(pool, notes) == 0
    assert len(notes.emptied) == 4, "a second time there is nothing to do"


def test_what_only_the_quick_view_shows_gives_way_to_a_hint(pool: Pool) -> None:
    served, seen = 30, 3 * LEAST
    pool.replace_published(
        [Published(task, task, NEW, task / 100, "maybe") for task in POOL[:served]]
        + [Published(1000 + task, task, OLD, task / 100, "maybe") for task in POOL[:seen]]
    )
    notes, left = Notes(), list[int]()
    while not left or left[-1]:
        left.append(take_back(pool, notes, hinted=True))
    assert left == [2 * LEAST, LEAST, 0]
    assert sorted(notes.emptied[:served]) == list(POOL[:served])


def test_what_was_taken_back_before_a_failure_is_not_taken_back_again(pool: Pool) -> None:
    class Failing(Notes):
        def update_prediction(self, prediction: int, result: Sequence[object]) -> bool:
            if prediction == 7:
                raise StudioError("away")
            return super().update_prediction(prediction, result)

    pool.replace_published([Published(task, task, NEW, task / 100, "maybe") for task in POOL[:20]])
    with pytest.raises(StudioError):
        take_back(pool, Failing())
    assert [p.prediction_id for p in pool.published() if not p.choice] == list(range(1, 7))
    notes = Notes()
    assert take_back(pool, notes) == 0
    assert sorted(notes.emptied) == list(range(7, 21))
