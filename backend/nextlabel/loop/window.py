"""The difference between the published queue head and the wanted one. Pure: no clock, no client, no disk."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, takewhile

from nextlabel.learning.composer import INFORMATIVE, STEP
from nextlabel.values.queue import Placed, Published


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """What to write, best first, and what to take away once the writing and the version switch are done."""

    create: tuple[Placed, ...]
    delete: tuple[int, ...]


FIRST = 1e-12  # before what is at most this nothing may be free any more
SCORE_TOLERANCE = 1e-5  # the same text scored in fp32 on another device or in another batch; that is no change


def plan_window(
    wanted: Sequence[Placed],
    published: Collection[Published],
    version: str,
    open_values: Mapping[int, float],
    misplaced: Collection[int] = (),
    reserved: Collection[int] = (),
) -> WindowPlan:
    """What makes `published` right for `version`.

    Every wanted task gets a prediction with its score. Predictions of other versions go, and so do those whose score
    is no longer that of `open_values` (an edited text), and all but the oldest of a task (an answer that was lost made
    us write it again). Right ones outside the wanted head stay: they are true and removing them would cost a request.
    Labelled tasks are absent from `open_values`; their predictions of the current version stay until the next one.
    Those of `misplaced` tasks go: Label Studio would serve them, though they do not belong in the queue (any more). So
    do those of `reserved` tasks that show a guess.

    A wanted task of another kind than informative has a place instead of a score of its own: what stands before the
    same informative task is right, though others have left the queue in front of it, and what is written stands in line
    with that. What is written has a score that no other prediction of `version` has.
    """
    right: dict[int, int] = {}
    scores = {task_id: 1 - value for task_id, value in open_values.items()}
    scores |= {task.task_id: task.score for task in wanted if task.kind == INFORMATIVE}
    at_most = _latest_scores(wanted)
    by_age = sorted(published, key=lambda p: p.prediction_id)
    for p in by_age:
        wrong = p.task_id in misplaced or (p.choice and p.task_id in reserved)
        if p.version == version and not wrong and _is_right(p, scores, at_most):
            right.setdefault(p.task_id, p.prediction_id)
    taken = {p.score for p in published if p.version == version}
    standing = {p.task_id: p.score for p in by_age if right.get(p.task_id) == p.prediction_id}
    create = tuple(_apart_from(taken, task) for task in _in_line(wanted, standing) if task.task_id not in right)
    delete = tuple(p.prediction_id for p in by_age if right.get(p.task_id) != p.prediction_id)
    return WindowPlan(create, delete)


def _in_line(wanted: Sequence[Placed], standing: Mapping[int, float]) -> Iterator[Placed]:
    """The wanted tasks, those of another kind that have no prediction yet in line with those that have one: that was
    evenly between its neighbours when it was written, and they were others."""
    low, new = 0.0, list[Placed]()
    for task in wanted:
        if task.kind != INFORMATIVE and task.task_id not in standing:
            new.append(task)
            continue
        scores = [standing.get(task.task_id, task.score), *([task.score] if task.kind == INFORMATIVE else [])]
        yield from (*_between(low, new, min(scores)), task)
        low, new = max(low, *scores), []
    yield from _between(low, new, low + STEP * (len(new) + 1) if new and new[0].score <= low else 1.0)


def _between(low: float, tasks: Sequence[Placed], high: float) -> Sequence[Placed]:
    """The tasks, evenly between two scores unless they are between them, or nothing is."""
    if low >= high or all(low < task.score < high for task in tasks):
        return tasks
    gap = (high - low) / (len(tasks) + 1)
    return [replace(task, score=(low + gap * k) // STEP * STEP) for k, task in enumerate(tasks, start=1)]


def _apart_from(taken: set[float], task: Placed) -> Placed:
    """The task with the next lower score that is not taken, or a higher one where there is none; then it is."""
    lower = takewhile(lambda score: score >= 0, count(task.score, -STEP))
    score = next(score for score in chain(lower, count(task.score, STEP)) if score not in taken)
    taken.add(score)
    return replace(task, score=score)


def _latest_scores(wanted: Sequence[Placed]) -> dict[int, float]:
    """Of each task of another kind than informative the highest score with which it stands in its place."""
    latest: dict[int, float] = {}
    following: float | None = None
    for task in reversed(wanted):
        if task.kind == INFORMATIVE:
            following = task.score
        else:  # before what follows by whatever little: the values of a young version hardly differ
            last = task.score + SCORE_TOLERANCE if following is None else math.nextafter(following, -math.inf)
            latest[task.task_id] = max(last, FIRST)
    return latest


def _is_right(published: Published, scores: Mapping[int, float], at_most: Mapping[int, float]) -> bool:
    score, place = scores.get(published.task_id), at_most.get(published.task_id)
    if place is not None:
        return published.score <= place
    return score is None or abs(score - published.score) <= SCORE_TOLERANCE
