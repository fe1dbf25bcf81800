"""The project of the pictures holds together: what it says is what the program says of such labels."""

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.shown_project import LABELS, fill, long_ago
from nextlabel.lab import shown_project
from nextlabel.learning.audit import next_audit
from nextlabel.learning.composer import CONTROL, INFORMATIVE
from nextlabel.learning.wanted import WANTED
from nextlabel.loop.look_again import AGAIN
from nextlabel.problems.advice import KEYS, NO_ADVICE, advise
from nextlabel.problems.history import CONTROL_SET
from nextlabel.problems.intervals import clopper_pearson
from nextlabel.problems.judgement import WIDE
from nextlabel.problems.look_again import LISTED, OPEN
from nextlabel.problems.quality import Estimate
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.versions.registry import Registry

PROJECT = 7


@pytest.fixture
def board(tmp_path: Path) -> StatusBoard:
    fill(tmp_path, PROJECT, long_ago())
    return StatusBoard(tmp_path)


def is_exact(share: Estimate) -> bool:
    right = round((share.value or 0) * share.examples)
    return share.value == right / share.examples and share.interval == clopper_pearson(right, share.examples)


def test_each_figure_is_of_the_labels_that_it_names(board: StatusBoard, tmp_path: Path) -> None:
    judgement, points, queue = board.quality(PROJECT), board.history(PROJECT).points, board.queue(PROJECT)
    assert judgement.figures is not None
    accuracy = judgement.figures.accuracy
    assert points[-1].accuracy == accuracy, "the page says it three times, of the same labels"
    known = [point.accuracy for point in points if point.accuracy]
    assert [one.examples for one in known] == [judgement.sample.answered] * len(known) == [queue.control] * len(known)
    assert all(map(is_exact, known))
    assert all(one.interval.width < WIDE for one in known)
    assert [point.judged_by for point in points] == [CONTROL_SET] * len(points)
    assert [bool(point.refused) for point in points] == [not point.promoted for point in points]
    with Pool(pool_path(tmp_path, PROJECT)) as pool:
        counts = (pool.size(), pool.open_size(), pool.left_size(), pool.control_labels(), len(pool.labelled_ids()))
    assert counts == (queue.tasks, queue.pool, queue.left, queue.control, queue.labels)
    assert sum(queue.by_class.values()) == queue.labels


def test_it_says_nothing_that_the_program_does_not_say(board: StatusBoard, tmp_path: Path) -> None:
    advice, helping, judgement = board.advice(PROJECT), board.helping(PROJECT), board.quality(PROJECT)
    queue = board.queue(PROJECT)
    since, audit = advice.since, next_audit(queue.left, 1)
    assert advice == advise(judgement, helping, False, None, since, NO_ADVICE, project=PROJECT, audit=audit)
    assert queue.message == f"{queue.pending} of 64 new labels until the next fit"
    assert advice.key in KEYS
    tasks = board.next_tasks(PROJECT).tasks
    assert {task.kind for task in tasks} <= {INFORMATIVE, CONTROL, WANTED, AGAIN}
    assert {INFORMATIVE, CONTROL, WANTED} <= {task.kind for task in tasks}, "some of each, to be seen"
    hidden = [task for task in tasks if task.kind in (CONTROL, AGAIN)]
    assert {(task.value, task.label, task.neighbours) for task in hidden} <= {(None, None, ())}
    again = board.look_again(PROJECT)
    assert {task.state for task in again.tasks} == {LISTED, OPEN}
    assert again.open == sum(task.state == OPEN for task in again.tasks) == again.most_open
    assert all(task.reasons for task in again.tasks)
    [refused] = [card for card in Registry(tmp_path).cards(PROJECT) if card.refused]
    assert refused.refused.startswith("its combined score on the labels that it was fitted on, ")


def test_it_is_the_same_at_any_time_and_in_any_place(board: StatusBoard, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shown_project.fill(other, PROJECT, long_ago())
    there = StatusBoard(other)
    assert there.history(PROJECT) == board.history(PROJECT)
    assert there.next_tasks(PROJECT) == board.next_tasks(PROJECT)
    assert there.look_again(PROJECT) == board.look_again(PROJECT)
    assert there.people(PROJECT) == board.people(PROJECT)
    assert replace(there.helping(PROJECT), at=0.0) == replace(board.helping(PROJECT), at=0.0)


def test_its_texts_differ_and_say_what_they_are_about() -> None:
    texts, right = shown_project.texts(), shown_project.right()
    assert len(set(texts)) == len(texts) == shown_project.TASKS
    for text, number in zip(texts[:200], right[:200].tolist(), strict=True):
        assert any(text.startswith(pattern.partition("{")[0]) for pattern in shown_project.PATTERNS[LABELS[number]])
