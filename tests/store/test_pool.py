"""The local copy of a project's tasks: increments, labels, scores, and what is published. On a real SQLite file."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nextlabel.errors import PoolError
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.objects.fields import TextField
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.store.pool import ControlTask, Pool, pool_path
from nextlabel.store.state import ControlState, QueueState, SyncState, TurnState
from nextlabel.values.examples import Example, of_texts
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.queue import Published, Ranked

LABELS = ("pos", "neg")
CONFIG = LabelConfig("label", "text", (TextField("$text", "text"),), LABELS)
V1, V2 = "nextlabel-1", "nextlabel-2"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, 1)) as opened:
        yield opened


def task(task_id: int, *votes: str, text: str | None = None, skipped: bool = False, holdout: bool = False) -> TaskRow:
    """A task with a text of its own and a vote for each of `votes`."""
    return TaskRow(
        id=task_id,
        example=example(task_id, text),
        holdout=holdout,
        closed=bool(votes),
        skipped=skipped,
        annotations=len(votes),
        votes=tuple(Vote(label, False, f"2026-11-2{n}") for n, label in enumerate(votes)),
    )


def example(task_id: int, text: str | None = None) -> Example:
    return Example(task_id, text or f"text {task_id}")


def score(pool: Pool, version: str, values: dict[int, float], exact: bool = False) -> None:
    probs_NC = np.array([[1 - value / 2, value / 2] for value in values.values()])
    pool.put_scores(version, [example(i) for i in values], np.array(list(values.values())), probs_NC, exact)


def order(pool: Pool, version: str) -> list[int]:
    """Of the tasks that nobody has skipped."""
    return [ranked.task_id for ranked in pool.ranked(version, limit=100, skipped=False)]


# Increments


def test_taking_over_the_same_tasks_again_changes_nothing(pool: Pool) -> None:
    rows = [task(1), task(2, "pos"), task(3, text="a\0b 🙂"), replace(task(4), example=None)]
    assert pool.upsert(rows) == 4
    assert pool.upsert(rows) == 0
    assert pool.upsert([*rows, task(5), task(1, "neg")]) == 2


@pytest.mark.parametrize(
    "changed",
    [
        task(1, "pos"),
        task(1, text="edited"),
        task(1, skipped=True),
        task(1, holdout=True),
        replace(task(1), annotations=1),
        replace(task(1), closed=True),
        replace(task(1), example=None),
        replace(task(1), example=Example(1, "text 1", "")),
    ],
    ids=["label", "text", "skip", "holdout", "annotations", "closed", "unreadable", "pair"],
)
def test_every_kind_of_change_is_noticed(pool: Pool, changed: TaskRow) -> None:
    pool.upsert([task(1)])
    assert pool.upsert([changed]) == 1
    assert pool.upsert([changed]) == 0


def test_the_copy_knows_its_totals(pool: Pool) -> None:
    assert (pool.size(), pool.last_id(), pool.annotations(), pool.open_size()) == (0, 0, 0, 0)
    pool.upsert([task(1), task(5, "pos", "neg"), task(9, "pos"), replace(task(7), example=None)])
    assert (pool.size(), pool.last_id(), pool.annotations(), pool.open_size()) == (4, 9, 3, 1)
    assert pool.task_ids() == {1, 5, 7, 9}
    assert pool.annotated() == [5, 9]
    assert pool.unreadable() == 1


def test_the_copy_outlives_its_connection_and_is_seen_by_others(tmp_path: Path) -> None:
    with Pool(tmp_path / "1.sqlite") as writer, Pool(tmp_path / "1.sqlite") as reader:
        writer.upsert([task(1)])
        writer.update(SyncState, lambda state: replace(state, watermark="2026"))
        assert reader.open_examples() == [example(1)]
    with Pool(tmp_path / "1.sqlite") as later:
        assert later.open_examples() == [example(1)]
        assert later.state(SyncState).watermark == "2026"
        assert later.state(QueueState) == QueueState()


def test_an_increment_that_breaks_off_leaves_no_half(pool: Pool) -> None:
    def rows() -> Iterator[TaskRow]:
        yield task(1)
        raise ConnectionError("Label Studio went away")

    with pytest.raises(ConnectionError):
        pool.upsert(rows())
    assert pool.size() == 0
    assert pool.upsert([task(1)]) == 1


# The pool


def test_only_readable_unlabelled_served_tasks_outside_the_holdout_are_in_the_pool(pool: Pool) -> None:
    pair = replace(task(6), example=Example(6, "first", "second"))
    pool.upsert(
        [
            pair,
            task(1, skipped=True),
            task(2, "pos"),
            task(3, holdout=True),
            replace(task(4), example=None),
            replace(task(5), closed=True),
            replace(task(7, "pos"), closed=False),
        ]
    )
    assert pool.open_examples() == [example(1), Example(6, "first", "second")]


def test_a_labelled_task_leaves_the_pool_and_a_deleted_label_brings_it_back(pool: Pool) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.9, 2: 0.8})
    pool.upsert([task(1, "pos")])
    assert (order(pool, V1), pool.open_size()) == ([2], 1)
    assert pool.candidate(V1, 1) is None
    pool.upsert([task(1)])
    assert order(pool, V1) == [1, 2]
    assert pool.unscored(V1) == [], "its text is the same, so its score still holds"


def test_the_holdout_is_neither_in_the_pool_nor_fitted_on(pool: Pool) -> None:
    pool.upsert([task(1, holdout=True), task(2, "pos", holdout=True), task(3, "neg")])
    assert pool.open_examples() == []
    assert pool.labelled(CONFIG.question, holdout=False) == [(example(3), "neg")]
    assert pool.labelled(CONFIG.question, holdout=True) == [(example(2), "pos")]


def test_forgotten_tasks_are_gone_with_all_that_was_known_of_them(pool: Pool) -> None:
    pool.upsert([task(1), task(2, "pos"), task(3)])
    score(pool, V1, {1: 0.9, 3: 0.8})
    pool.note_published(Published(11, 1, V1, 0.1), Published(13, 3, V1, 0.2))
    pool.forget([1, 2, 99])
    assert pool.task_ids() == {3}
    assert pool.labelled(CONFIG.question, holdout=False) == []
    assert pool.published() == [Published(13, 3, V1, 0.2)]
    pool.upsert([task(1)])
    assert pool.unscored(V1) == [example(1)]


def test_clearing_forgets_tasks_but_not_what_is_published_nor_scores_of_texts_that_are_read_alike(pool: Pool) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.9, 2: 0.8})
    pool.note_published(Published(11, 1, V1, 0.1))
    pool.update(SyncState, lambda state: replace(state, reading="abc", watermark="2026"))
    pool.update(QueueState, lambda _: QueueState("it", "stays"))
    pool.clear(SyncState())
    state = pool.state(SyncState)
    assert (pool.size(), state.reading, state.watermark) == (0, "", "")
    assert pool.state(QueueState) == QueueState("it", "stays")
    assert pool.published() == [Published(11, 1, V1, 0.1)]
    assert (pool.unscored(V1), pool.ranked(V1, 2, skipped=False)) == ([], [])
    pool.upsert([task(1), replace(task(2), example=replace(example(2), text="edited"))])
    assert [task.task_id for task in pool.ranked(V1, 2, skipped=False)] == [1]
    assert [one.id for one in pool.unscored(V1)] == [2]


# Labels


def test_labels_are_the_consensus_by_task_id(pool: Pool) -> None:
    pool.upsert([task(3, "pos", "neg", "neg"), task(1, "pos", "neg"), task(2), replace(task(4, "pos"), example=None)])
    assert pool.labelled(CONFIG.question, holdout=False) == [(example(1), "neg"), (example(3), "neg")]


def test_a_changed_label_replaces_the_old_one(pool: Pool) -> None:
    pool.upsert([task(1, "pos")])
    pool.upsert([task(1, "neg")])
    assert pool.labelled(CONFIG.question, holdout=False) == [(example(1), "neg")]


def test_an_unknown_label_becomes_known_when_the_config_gains_it(pool: Pool) -> None:
    pool.upsert([task(1, "pos"), task(2, "mixed")])
    assert pool.labelled(CONFIG.question, holdout=False) == [(example(1), "pos")]
    assert pool.open_examples() == [], "an annotator answered, so the task is not asked about again"
    assert pool.labelled(replace(CONFIG, labels=(*LABELS, "mixed")).question, holdout=False) == [
        (example(1), "pos"),
        (example(2), "mixed"),
    ]


# Scores


def test_the_most_informative_come_first_and_equal_values_by_task_id(pool: Pool) -> None:
    pool.upsert([task(i, skipped=i == 2) for i in (4, 3, 2, 1)])
    score(pool, V1, {3: 0.5, 1: 0.5, 4: 1.0, 2: 0.7})
    assert pool.ranked(V1, limit=2, skipped=False) == [Ranked(4, 1.0), Ranked(1, 0.5)]
    assert order(pool, V1) == [4, 1, 3]
    assert pool.ranked(V1, limit=2, skipped=True) == [Ranked(2, 0.7)]


def test_a_version_knows_which_pool_tasks_it_has_not_seen(pool: Pool) -> None:
    pool.upsert([task(1), task(2), task(3, "pos"), task(4, holdout=True)])
    score(pool, V1, {2: 0.5})
    assert pool.unscored(V1) == [example(1)]
    assert pool.unscored(V2) == [example(1), example(2)]


def test_what_a_version_has_not_seen_is_counted_until_nothing_is_left(pool: Pool) -> None:
    pool.upsert([task(i) for i in range(1, 6)])
    score(pool, V1, {1: 0.5, 2: 0.5})
    assert pool.unscored_size(V1) == 3
    score(pool, V1, {3: 0.5, 4: 0.5, 5: 0.5})
    assert pool.unscored_size(V1) == 0
    assert pool.unscored_size(V2) == 5


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (task(9), 1),
        (task(1, text="edited"), 1),
        (task(2), 1),
        (task(1, skipped=True), 0),
        (task(1, "pos"), 0),
        (replace(task(9), example=None), 0),
    ],
    ids=["new", "edited", "label deleted", "skipped", "labelled", "unreadable"],
)
def test_after_all_was_seen_only_what_comes_into_the_pool_is_left(pool: Pool, change: TaskRow, left: int) -> None:
    pool.upsert([task(1), task(2, "pos"), task(3)])
    score(pool, V1, {1: 0.9, 3: 0.8})
    assert pool.unscored_size(V1) == 0
    pool.upsert([change])
    assert pool.unscored_size(V1) == left


def test_stretches_of_the_unseen_stay_the_same_while_tasks_leave(pool: Pool) -> None:
    pool.upsert([task(i) for i in (1, 9, 10, 25, 39)])
    assert pool.unscored_parts(V1, size=10) == [(0, 9), (10, 19), (20, 29), (30, 39)]
    assert [e.id for e in pool.unscored(V1, 0, 9)] == [1, 9]
    pool.upsert([task(1, "pos"), task(25, "neg")])
    score(pool, V1, {10: 0.5})
    assert pool.unscored_parts(V1, size=10) == [(0, 9), (30, 39)]
    assert [e.id for e in pool.unscored(V1, 30, 39)] == [39]


def test_a_small_pool_is_scored_as_a_whole_and_of_a_large_one_the_likely_half_and_a_draw(pool: Pool) -> None:
    pool.upsert([task(i) for i in range(1, 101)])
    assert pool.first_to_score(100, None, np.random.default_rng(0)) == pool.open_examples()
    drawn = pool.first_to_score(20, None, np.random.default_rng(0))
    assert len({e.id for e in drawn}) == 20
    assert drawn == sorted(drawn, key=lambda e: e.id)
    score(pool, V1, {i: i / 100 for i in range(1, 101)})
    again = [e.id for e in pool.first_to_score(20, V1, np.random.default_rng(0))]
    assert set(range(91, 101)) <= set(again)
    assert len(set(again)) == 20
    assert again == [e.id for e in pool.first_to_score(20, V1, np.random.default_rng(0))]
    assert again != [e.id for e in pool.first_to_score(20, V1, np.random.default_rng(1))]


EDITED = [("text 1", "a pair"), ("text 1", "a pair", "more"), ("text 1", "a pair", "more", "and more")]


@pytest.mark.parametrize(
    "edited", [task(1, text="edited"), *(replace(task(1), example=of_texts(1, t)) for t in EDITED)]
)
def test_an_edited_text_loses_its_scores(pool: Pool, edited: TaskRow) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.9, 2: 0.8})
    score(pool, V2, {1: 0.9})
    pool.upsert([edited])
    assert order(pool, V1) == [2]
    assert pool.unscored(V1) == [edited.example]
    assert 1 in {e.id for e in pool.unscored(V2)}


def test_all_texts_of_a_task_are_kept_and_the_last_one_tells_copies_and_scores_apart(pool: Pool) -> None:
    one, other = (of_texts(1, ("a", "b", "c", last)) for last in ("d", "e"))
    twin = of_texts(2, ("A", " b", "c", "D"))
    pool.upsert([replace(task(1), example=one), replace(task(2), example=twin)])
    assert pool.open_examples() == [one, twin]
    assert pool.copy_groups([1, 2]) == [[1, 2]]
    pool.put_scores(V1, [other], np.array([0.5]), np.array([[0.5, 0.5]]), exact=True)
    assert order(pool, V1) == [], "that was another text"
    assert pool.upsert([replace(task(1), example=other)]) == 1
    assert pool.copy_groups([1, 2]) == []


def test_other_changes_keep_the_scores(pool: Pool) -> None:
    pool.upsert([task(1)])
    score(pool, V1, {1: 0.9})
    pool.upsert([task(1, skipped=True)])
    assert pool.ranked(V1, limit=1, skipped=True) == [Ranked(1, 0.9)]


def test_a_text_that_was_edited_during_a_fit_gets_no_score_of_the_old_one(pool: Pool) -> None:
    pool.upsert([task(1), task(2)])
    pool.upsert([task(1, text="edited meanwhile")])
    score(pool, V1, {1: 0.9, 2: 0.8})
    assert order(pool, V1) == [2]
    assert [e.id for e in pool.unscored(V1)] == [1]


def test_scores_of_two_versions_stand_side_by_side_until_one_is_kept(pool: Pool) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.9, 2: 0.1})
    score(pool, V2, {1: 0.2, 2: 0.8})
    assert (order(pool, V1), order(pool, V2)) == ([1, 2], [2, 1])
    pool.keep_scores_of(V2)
    assert (order(pool, V1), order(pool, V2)) == ([], [2, 1])


def test_a_version_whose_scores_were_dropped_has_all_tasks_before_it_again(pool: Pool) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.9, 2: 0.1})
    assert pool.unscored_size(V1) == 0
    pool.keep_scores_of(V2)
    assert pool.unscored_size(V1) == 2


def test_many_scores_are_dropped_at_once(pool: Pool) -> None:
    pool.upsert([task(i) for i in range(1, 8)])
    for version in (V1, V2):
        score(pool, version, dict.fromkeys(range(1, 8), 0.5))
    pool.keep_scores_of(V2)
    assert (order(pool, V1), order(pool, V2)) == ([], [1, 2, 3, 4, 5, 6, 7])


def test_a_newer_score_of_the_same_version_replaces_the_older(pool: Pool) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.9, 2: 0.8})
    assert pool.inexact(V1, [2, 1]) == [example(2), example(1)]
    score(pool, V1, {1: 0.7}, exact=True)
    assert order(pool, V1) == [2, 1]
    assert pool.inexact(V1, [2, 1]) == [example(2)]


def test_an_edited_text_has_no_exact_score_and_what_has_left_the_pool_needs_none(pool: Pool) -> None:
    pool.upsert([task(1), task(2), task(3)])
    score(pool, V1, {1: 0.9, 2: 0.8, 3: 0.7}, exact=True)
    score(pool, V2, {1: 0.9})
    pool.upsert([task(1, text="edited"), task(3, "pos", text="edited, too")])
    assert pool.inexact(V1, [1, 2, 3, 99]) == [example(1, "edited")]


def test_a_candidate_brings_its_probabilities(pool: Pool) -> None:
    pool.upsert([task(1)])
    score(pool, V1, {1: 0.25})
    candidate = pool.candidate(V1, 1)
    assert candidate is not None
    assert (candidate.task_id, candidate.value) == (1, 0.25)
    assert candidate.probs_C.tolist() == [0.875, 0.125]
    assert not candidate.truncated
    assert pool.candidate(V2, 1) is None


def test_a_candidate_says_whether_its_text_was_cut(pool: Pool) -> None:
    pool.upsert([task(1), task(2)])
    pool.put_scores(V1, [example(1), example(2)], np.ones(2), np.full((2, 2), 0.5), True, [False, True])
    cuts = {task_id: candidate.truncated for task_id in (1, 2) if (candidate := pool.candidate(V1, task_id))}
    assert cuts == {1: False, 2: True}


def test_a_copy_with_other_tables_is_thrown_away(tmp_path: Path) -> None:
    path = pool_path(tmp_path, 1)
    with Pool(path) as pool:
        pool.upsert([task(1)])
    with Pool(path) as pool:
        assert pool.size() == 1
    with closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA user_version=0; ALTER TABLE scored DROP COLUMN classes")
    with Pool(path) as pool:
        assert pool.size() == 0
        pool.upsert([task(1)])
        score(pool, V1, {1: 0.9})
        assert order(pool, V1) == [1]


def test_what_was_noted_and_nobody_else_knows_outlives_other_tables(tmp_path: Path) -> None:
    path, control, switch = pool_path(tmp_path, 1), ControlState("text", "a seed", 0.1, True, 7), QueueState(V1, V2)
    turn = TurnState(5, "2026-11-30T00:00Z")
    rows = [replace(task(n), draw=f"{n:064x}") for n in (1, 2)]
    with Pool(path) as pool:
        pool.upsert(rows)
        pool.mark([2])
        pool.update(ControlState, lambda _: control)
        pool.update(QueueState, lambda _: switch)
        pool.update(TurnState, lambda _: turn)
        pool.update(SyncState, lambda state: replace(state, complete=True))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=11")
    with Pool(path) as pool:
        assert (pool.size(), pool.state(SyncState)) == (0, SyncState())
        assert (pool.state(ControlState), pool.state(QueueState)) == (control, switch)
        assert pool.state(TurnState) == turn
        pool.upsert(rows)
        assert [found.marked for [found] in pool.control()] == [False, True]


def test_values_are_told_of_open_tasks_only(pool: Pool) -> None:
    pool.upsert([task(1), task(2), task(3), task(4)])
    score(pool, V1, {1: 0.9, 2: 0.8, 3: 0.7})
    pool.upsert([task(2, "pos")])
    assert pool.open_values(V1, [1, 2, 4, 99]) == {1: 0.9}


def test_what_does_not_belong_in_the_queue_is_told_labelled_or_not(pool: Pool) -> None:
    held_out, labelled = task(1, holdout=True), task(2, "pos", holdout=True)
    pool.upsert([held_out, labelled, replace(task(3), example=None), task(4), task(5, "pos")])
    assert pool.misplaced([1, 2, 3, 4, 5, 99]) == {1, 2, 3}


def test_tasks_that_are_no_longer_served_are_counted(pool: Pool) -> None:
    pool.upsert([task(1), task(2, "pos"), replace(task(3, skipped=True), closed=True)])
    assert pool.closed_size() == 2
    assert pool.upsert([task(3, skipped=True), replace(task(2, "pos"), closed=False)]) == 2
    assert pool.closed_size() == 0
    assert pool.open_size() == 2
    plan = pool._db.execute("EXPLAIN QUERY PLAN SELECT COUNT(*) FROM task WHERE closed = 1").fetchone()[-1]
    assert "COVERING INDEX task_closed" in plan, "texts are not read for it"


def test_tasks_of_a_part_are_told(pool: Pool) -> None:
    pool.upsert([task(i) for i in (1, 5, 9)])
    assert pool.task_ids(2, 9) == {5, 9}
    assert pool.task_ids(last=5) == {1, 5}


# What is published


def test_published_predictions_are_remembered_and_withdrawn(pool: Pool) -> None:
    first, second, other = Published(5, 1, V1, 0.5, "pos"), Published(3, 2, V1, 0.25), Published(4, 2, V2, 1.0)
    pool.note_published(first, second)
    assert pool.published() == [second, first]
    pool.note_published(replace(first, score=0.75))
    pool.note_withdrawn(3)
    assert pool.published() == [replace(first, score=0.75)]
    pool.replace_published([second, other])
    assert pool.published() == [second, other]


def test_predictions_of_a_version_on_tasks_that_nobody_has_labelled(pool: Pool) -> None:
    pool.upsert([task(1), task(2, "pos")])
    pool.note_published(Published(5, 1, V1, 0.5), Published(6, 2, V1, 0.5), Published(7, 1, V2, 0.5))
    assert pool.waiting(V1) == {5}
    assert pool.waiting("") == set()


def test_a_damaged_copy_is_thrown_away_and_said(tmp_path: Path) -> None:
    path = tmp_path / "7.sqlite"
    path.write_bytes(b"no data base at all, but longer than a header " * 100)
    with pytest.raises(PoolError, match=r"7\.sqlite was damaged \(file is not a database\); it is read again"):
        Pool(path)
    with Pool(path) as pool:
        assert pool.size() == 0


def test_a_copy_with_a_hole_in_it_is_thrown_away_when_that_shows(tmp_path: Path) -> None:
    path = tmp_path / "7.sqlite"
    with Pool(path) as pool:
        pool.upsert(task(i) for i in range(2000))
    content = path.read_bytes()
    path.write_bytes(content[:8192] + bytes(len(content) - 8192))
    with pytest.raises(PoolError, match="was damaged"), Pool(path) as pool:
        pool.open_examples()
    assert not path.exists()
    with Pool(path) as pool:
        assert pool.size() == 0


def test_a_locked_copy_is_said_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextlabel.store.pool.PATIENCE_S", 0.1)
    path = tmp_path / "7.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin exclusive")
        with pytest.raises(PoolError, match=r"7\.sqlite cannot be used \(database is locked\): stop what"):
            Pool(path)


# Copies


def test_copies_are_alike_but_for_case_and_blanks(pool: Pool) -> None:
    pool.upsert([task(1, text="One text"), task(2, text="one  TEXT "), task(3, text="one text."), task(4)])
    assert pool.copy_groups([1, 2, 3, 4]) == [[1, 2]]
    assert pool.copy_groups([2, 3, 4]) == []
    pool.upsert([task(3, text="ONE TEXT"), task(1, text="another")])
    assert pool.copy_groups([1, 2, 3, 4]) == [[2, 3]]


def test_open_copies_of_labelled_texts_are_known_and_those_of_what_does_not_count_are_none(pool: Pool) -> None:
    rows = [
        task(1, "pos", text="one"),
        task(2, text="ONE"),
        task(3, text="One", holdout=True),
        task(4, "neg", text="two", holdout=True),
        task(5, text="two"),
        task(6, "gone", text="three"),
        task(7, text="three"),
        task(8, "pos", text="one"),
    ]
    pool.upsert(rows)
    assert pool.copies_of_labelled(CONFIG.question) == {2, 5}
    pool.upsert([replace(rows[1], closed=True)])
    assert pool.copies_of_labelled(CONFIG.question) == {5}


def test_tasks_answered_with_an_ignored_label_are_asked_no_more_and_neither_are_their_copies(pool: Pool) -> None:
    question = SingleChoice(("pos", "neg"), ignored=("Unsure",))
    pool.upsert([task(1, "Unsure", text="one"), task(2, text="ONE"), task(3, "pos", text="two"), task(4, text="three")])
    assert pool.copies_of_labelled(question) == {2}
    assert pool.left_out(question).keys() == {1}


def test_who_answered_with_an_ignored_label_is_found_without_a_look_at_the_others(pool: Pool) -> None:
    class Counted(SingleChoice):
        def leaves_out(self, votes: Sequence[Vote]) -> bool:
            asked.append(len(votes))
            return super().leaves_out(votes)

    asked = list[int]()
    question = Counted(("pos", "neg"), ignored=("Unsure",))
    pool.upsert(task(i, ("pos", "neg")[i % 2]) for i in range(100, 200))
    assert pool.left_out(question) == {}
    held, control = replace(task(2, "Unsure"), holdout=True), drawn(task(3, "Unsure"), "3")
    pool.upsert([task(1, "Unsure"), held, control])
    assert pool.left_out(question).keys() == {1}
    assert len(asked) == 2 + 3 + 1, "the labels that there are, and the task that has the ignored one"


def test_copies_that_are_closed_without_an_answer_are_told_from_others(pool: Pool) -> None:
    rows = [task(1, "pos", text="one"), task(2, text="one"), task(3, text="two"), task(4, text="one", skipped=True)]
    pool.upsert([replace(row, closed=True) for row in rows] + [task(5, text="one")])
    assert pool.closed_copies() == {2}


# The control set


def drawn(row: TaskRow, place: str) -> TaskRow:
    return replace(row, draw=place.rjust(64, "0"))


def test_of_the_control_set_nothing_is_learnt_ordered_or_told_apart_as_holdout(pool: Pool) -> None:
    pool.upsert(
        [task(1), task(2, "pos"), drawn(task(3), "5"), drawn(task(4, "neg"), "2"), task(5, "neg", holdout=True)]
    )
    question = CONFIG.question
    score(pool, V1, dict.fromkeys(range(1, 6), 0.5))
    assert order(pool, V1) == [1] == pool.open_ids()
    assert pool.labels(question, holdout=False) == {2: "pos"}
    assert pool.labels(question, holdout=True) == {5: "neg"}
    assert [e.id for e, _ in pool.answered(holdout=False)] == [2]
    assert pool.reserved([1, 3, 4, 5]) == {3, 4}
    assert pool.misplaced([1, 3, 4, 5]) == {5}


def test_what_is_published_is_a_part_of_what_is_left_to_label(pool: Pool) -> None:
    left_out = replace(drawn(task(7, "pos"), "7"), closed=False, votes=(Vote("pos", False, "", weight=0.0),))
    pool.upsert(
        [task(1), task(2, "pos"), task(3, skipped=True), drawn(task(4), "4"), drawn(task(5, "neg"), "5"),
         drawn(task(6, skipped=True), "6"), left_out, task(8, holdout=True), replace(task(9), example=None),
         drawn(replace(task(10), closed=True), "10")]
    )  # fmt: skip
    assert (pool.open_size(), pool.left_size()) == (2, 3), "1 and 3 to learn from, and 4 to judge by"
    pool.note_published(*(Published(100 + i, i, V1, 0.5, "") for i in range(1, 11)), Published(99, 3, V2, 0.5, ""))
    pool.note_published(Published(98, 4, V1, 0.5, ""))  # an answer was lost, so it was written again
    assert [pool.published_size(name) for name in (V1, V2, "")] == [3, 1, 0]
    pool.upsert([task(1, "pos"), drawn(task(4, "neg"), "4")])
    assert (pool.left_size(), pool.published_size(V1)) == (1, 1)


def test_the_control_set_comes_in_the_order_of_its_draws_with_copies_together(pool: Pool) -> None:
    rows = [
        drawn(task(1, "pos"), "b"),
        drawn(task(2), "a"),
        drawn(task(3), "b"),
        drawn(task(4, skipped=True), "c"),
        task(5),
        drawn(replace(task(6), closed=True), "d"),
        drawn(replace(task(7), closed=True, annotations=1), "e"),
    ]
    pool.upsert(rows)
    assert pool.control() == [
        [ControlTask(2, False, False)],
        [ControlTask(1, True, False, closed=True), ControlTask(3, False, False)],
        [ControlTask(4, False, True)],
        [ControlTask(6, False, False, closed=True)],
        [ControlTask(7, False, True, closed=True)],
    ]
    assert [(task_id, [vote.label for vote in votes]) for task_id, votes in pool.control_votes().items()] == [
        (1, ["pos"])
    ]


def marked(pool: Pool) -> list[int]:
    return [copy.task_id for copies in pool.control() for copy in copies if copy.marked]


def test_a_text_stays_marked_when_it_is_imported_again_and_its_copies_are_marked_with_it(pool: Pool) -> None:
    rows = [drawn(task(1), "a"), drawn(task(2, "pos"), "b"), drawn(task(3), "b"), drawn(task(4, "pos"), "c"), task(5)]
    pool.upsert(rows)
    pool.mark([3, 5])
    assert marked(pool) == [2, 3]
    pool.forget([2, 3])
    pool.upsert([drawn(task(9), "b")])
    assert marked(pool) == [9]
    pool.mark_labelled("c".rjust(64, "0"))
    assert marked(pool) == [9, 4], "those before that draw were of the set already"
    pool.unmark_all()
    assert marked(pool) == []


def test_what_was_labelled_of_each_order_is_known_with_its_scores_from_what_was_published(pool: Pool) -> None:
    rows = [task(1, "pos"), task(2, "pos"), task(3), drawn(task(4, "pos"), "a"), task(5, "pos", holdout=True), task(6)]
    pool.upsert([*rows, task(7, "neg")])
    scores = {1: 0.2, 2: 0.3, 3: 0.5, 4: 0.6, 5: 0.7, 6: 0.8}
    pool.note_published(*[Published(task_id, task_id, V1, score) for task_id, score in scores.items()])
    pool.note_published(Published(20, 7, V2, 0.1))
    assert pool.labelled_scores() == {V1: {1: 0.2, 2: 0.3}, V2: {7: 0.1}}
    assert pool.labelled_scores(but=[2, 7]) == {V1: {1: 0.2}}


def test_what_a_version_says_of_a_task_is_known_whether_it_is_in_the_pool_or_not(pool: Pool) -> None:
    pool.upsert([drawn(task(1, "pos"), "a"), drawn(task(2), "b"), task(3), task(4)])
    score(pool, V1, {1: 0.2, 2: 0.4, 3: 0.6})
    ids_N, values_N, probs_NC = pool.said(V1, [1, 2, 3, 4])
    assert ids_N.tolist() == [1, 2, 3]
    assert values_N.tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert probs_NC[:, 1].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert len(pool.said(V2, [1])[0]) == 0


def test_labels_are_counted_since_the_last_one_of_the_control_set(pool: Pool) -> None:
    pool.upsert([task(1, "pos"), task(2, "neg"), task(3, "pos", holdout=True), drawn(task(4), "a")])
    assert pool.labels_since_control() == 2
    later = replace(drawn(task(4, "pos"), "a"), votes=(Vote("pos", False, "2026-11-21"),))
    pool.upsert([later])
    assert pool.labels_since_control() == 0
    pool.upsert([replace(task(5, "pos"), votes=(Vote("pos", False, "2026-11-22"), Vote("pos", False, "2026-11-23")))])
    assert pool.labels_since_control() == 1
    edited = Vote("neg", False, "2026-11-24", first="2026-11-20")
    pool.upsert([replace(task(1, "neg"), votes=(edited,))])
    assert pool.labels_since_control() == 1, "an edit is no new label"


def test_what_is_done_is_counted_whether_it_teaches_anything_or_not(pool: Pool) -> None:
    pool.upsert([task(1, "pos"), task(2), drawn(task(3, "neg"), "a"), task(4, "pos", holdout=True)])
    assert pool.done_size() == 2
    ignored = replace(task(2), votes=(Vote("Unsure", False, "2026-11-21", weight=0.0),))
    pool.upsert([ignored, replace(task(5), skipped=True), replace(task(6, "pos"), skipped=True)])
    asked = list[str]()
    pool._db.set_trace_callback(asked.append)
    assert pool.done_size() == 5
    pool._db.set_trace_callback(None)
    plans = [step[-1] for sql in asked for step in pool._db.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert asked
    assert "SCAN task" not in plans, "that would read all texts at each look"


def test_a_version_scores_the_control_set_with_the_pool_labelled_or_not(pool: Pool) -> None:
    pool.upsert([task(1), task(2, "pos"), drawn(task(3), "5"), drawn(task(4, "neg"), "2")])
    assert [e.id for e in pool.unscored(V1)] == [1, 3, 4]
    assert pool.unscored_size(V1) == pool.scored_size() == 3
    assert [e.id for e in pool.first_to_score(10, None, np.random.default_rng(0))] == [1, 3, 4]
    score(pool, V1, {1: 0.5, 3: 0.5, 4: 0.5})
    assert pool.unscored_size(V1) == 0
    pool.upsert([drawn(task(6), "7")])
    assert [e.id for e in pool.unscored(V1)] == [6]
