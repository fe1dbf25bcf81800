"""Keeps the local copy of a project in step with Label Studio by increments. Decides nothing about models."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from nextlabel.errors import PoolError
from nextlabel.labelstudio.client import (
    LAST,
    LabelStudioClient,
    Project,
    moment,
    newest,
)
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.tasks import annotators_of, read_task
from nextlabel.loop import outside
from nextlabel.settings import Settings, control_of
from nextlabel.store.pool import Pool
from nextlabel.store.state import SyncState
from nextlabel.values.options import ProjectOptions

log = logging.getLogger(__name__)

TRANSACTION_S = 8.0  # Label Studio waits 5 s for SQLite's lock
AT_WORK_S = 600.0  # since an annotator's last label
NO_DIFFERENCE = (0, 0, 0)


def sync(
    studio: LabelStudioClient,
    pool: Pool,
    config: LabelConfig,
    project: Project,
    now: Callable[[], float],
    tell: Callable[[int], None] = lambda tasks: None,
) -> None:
    """Bring the copy up to date: all tasks the first time (resumable), afterwards only what has changed.

    The cost of an increment grows with the changes, not with the project. `now` gives seconds since the epoch; `tell`
    hears how many tasks are read while all are.
    """
    state = pool.state(SyncState)
    if state.reading != config.reading:
        # What the form was like stays known: a label that comes to it before all is read came later all the same.
        form = project.label_config if state.label_config else ""
        anew = SyncState(config.reading, label_config=form, annotators=state.annotators, parts_owed=state.parts_owed)
        pool.clear(anew)
    _count_votes(pool, config, project)
    if not pool.state(SyncState).complete:
        _read_everything(studio, pool, config, project, now, tell)
    _read_changes(studio, pool, config, project, now)


def _count_votes(pool: Pool, config: LabelConfig, project: Project) -> None:
    """What a person has decided since on whose labels count also holds for those that were read before."""
    counting = str(config.counting)
    if pool.state(SyncState).counting == counting:
        return
    changed = pool.count_votes(config.counting)
    log.info("project %d: %d labels count otherwise (left out: %s)", project.id, changed, counting or "none")
    pool.update(SyncState, lambda state: replace(state, counting=counting))


def config_as_read(pool: Pool, settings: Settings, options: ProjectOptions) -> LabelConfig:
    """The project's labelling config as it was when the copy was read last, with the rule of its control set.

    Raises `PoolError` while the copy is not complete, `RefusedConfigError` for options that are impossible.
    """
    state = pool.state(SyncState)
    if not state.complete:
        raise PoolError("The local copy of the project is not complete yet: ask again once the trainer has read it.")
    return replace(parse_label_config(state.label_config, options), control=control_of(settings, options))


def _read_everything(
    studio: LabelStudioClient,
    pool: Pool,
    config: LabelConfig,
    project: Project,
    now: Callable[[], float],
    tell: Callable[[int], None],
) -> None:
    if not pool.state(SyncState).watermark:
        began = now()  # before the first page, so that no label given meanwhile is missed
        watermark = studio.last_change(project.id)
        pool.update(SyncState, lambda state: _with_watermark(state, watermark, began, now()))
    for page in studio.tasks_after(project.id, pool.last_id()):
        pool.upsert(read_task(config, task) for task in page)
        log.info("project %d: read %d tasks", project.id, pool.size())
        tell(pool.size())
    pool.update(SyncState, lambda state: replace(state, complete=True, label_config=project.label_config))
    pool.all_read_again()


def _read_changes(
    studio: LabelStudioClient, pool: Pool, config: LabelConfig, project: Project, now: Callable[[], float]
) -> None:
    began, before = now(), pool.state(SyncState)
    # A task's updated_at is set before its transaction commits, so that an older one may still appear. A watermark is
    # settled by a read that overlapped it and was made longer after it was first seen than a transaction takes.
    overlap_s = 0.0 if before.settled == before.watermark else before.overlap_s
    annotators, latest = before.annotators, before.watermark
    for page in studio.tasks_changed_since(project.id, before.watermark, overlap_s):
        pool.upsert(read_task(config, task) for task in page)
        annotators, latest = _seen_on(page, annotators), newest(page, latest)
    outside.note(pool, project, len(annotators))

    def caught_up(state: SyncState) -> SyncState:
        if latest != state.watermark:
            state = _with_watermark(state, latest, began, now())
        elif began - state.watermark_seen_at > TRANSACTION_S:
            state = replace(state, settled=latest)
        # The config is for a fit, which needs no Label Studio.
        return replace(state, annotators=annotators, synced_at=began, label_config=project.label_config)

    pool.update(SyncState, caught_up)


def _seen_on(page: Sequence[dict[str, Any]], before: Mapping[str, str]) -> Mapping[str, str]:
    """When those who are at work gave their last labels."""
    seen = dict(before)
    for who, when in (found for task in page for found in annotators_of(task)):
        seen[who] = max(when, seen.get(who, ""))
    if seen == before:
        return before
    since = moment(max(seen.values())) - timedelta(seconds=AT_WORK_S)
    return {who: when for who, when in seen.items() if moment(when) >= since}


def annotators_at_work(pool: Pool) -> int:
    """How many people labelled shortly before the last label that was read. Each may hold a task that Label Studio
    serves nobody else."""
    return len(pool.state(SyncState).annotators)


def _with_watermark(state: SyncState, watermark: str, began: float, seen_at: float) -> SyncState:
    # A task may have changed after its page was read, and before the newest one did: hence the length of the reading.
    overlap_s = TRANSACTION_S + max(0.0, seen_at - began)
    return replace(state, watermark=watermark, watermark_seen_at=seen_at, overlap_s=overlap_s)


def repair(studio: LabelStudioClient, pool: Pool, config: LabelConfig, project: Project) -> None:
    """Find what the increments cannot show, by comparing counts with Label Studio's: deleted tasks, lost labels, and
    tasks that are served again, or no longer, since the handling of skips or the overlap was changed.

    Work in flight makes counts differ for a moment, so only the same difference seen twice is acted on.
    """
    difference, known = _difference(pool, project), pool.state(SyncState)
    if difference in (NO_DIFFERENCE, known.accepted) or difference != known.difference:
        pool.update(SyncState, lambda state: replace(state, difference=difference))
        return
    what = "tasks, annotations, tasks that are no longer served"
    log.warning("project %d: local copy is off by %d %d %d (%s); repairing", project.id, *difference, what)
    pool.update(SyncState, lambda state: replace(state, difference=NO_DIFFERENCE))
    if project.tasks != pool.size():
        _compare_ids(studio, pool, config, project)
    if project.annotations != pool.annotations():
        _reread_annotated(studio, pool, config, project)
    for read in (studio.skipped_tasks, studio.annotated_tasks):
        if project.finished != pool.closed_size():
            _take_over(pool, config, read(project.id))
    # What this does not repair is a miscount of Label Studio's, or left to `verify`; it is not chased again.
    left = _difference(pool, project)
    pool.update(SyncState, lambda state: replace(state, accepted=left))


def _difference(pool: Pool, project: Project) -> tuple[int, int, int]:
    known = (pool.size(), pool.annotations(), pool.closed_size())
    return project.tasks - known[0], project.annotations - known[1], project.finished - known[2]


def _compare_ids(studio: LabelStudioClient, pool: Pool, config: LabelConfig, project: Project) -> None:
    known, there = pool.task_ids(), studio.task_ids(project.id)
    pool.forget(known - there)
    if there - known:
        _take_over(pool, config, studio.tasks_after(project.id, min(there - known) - 1))


def _take_over(pool: Pool, config: LabelConfig, pages: Iterable[Sequence[dict[str, Any]]]) -> None:
    for page in pages:
        pool.upsert(read_task(config, task) for task in page)


def _reread_annotated(studio: LabelStudioClient, pool: Pool, config: LabelConfig, project: Project) -> None:
    lost = set(pool.annotated())
    for page in studio.annotated_tasks(project.id):
        pool.upsert(read_task(config, task) for task in page)
        lost -= {task["id"] for task in page}
    for task_id in sorted(lost):
        pool.upsert([read_task(config, studio.task(task_id))])


def verify(
    studio: LabelStudioClient, pool: Pool, config: LabelConfig, project: int, thorough: bool, hinted: Callable[[], bool]
) -> int:
    """Read the next part of the project, `studio.PAGE` tasks by id, and correct the copy where it differs; returns in
    how many tasks it did.

    Label Studio says nothing of some changes, not even in `updated_at`: data edited in bulk in the data manager, tasks
    that are served again. Each thorough look owes a part, in one request, and after the last part comes the first one:
    any such change is found within tasks / `PAGE` thorough looks, rounded up, which come every `RECONCILE_S`; in a
    project of up to 1,000 tasks within one, in one of 100,000 within 100. While a hint waits, a part is put off, but
    for no longer than until the next thorough look.
    """
    before = pool.state(SyncState)
    owed, after = before.parts_owed + thorough, before.verified_to
    if not owed or (owed == 1 and hinted()):
        pool.update(SyncState, lambda state: replace(state, parts_owed=owed))
        return 0
    page, last = studio.part_after(project, after)
    gone = pool.task_ids(after + 1, last) - {task["id"] for task in page}
    different = pool.upsert(read_task(config, task) for task in page) + len(gone)
    pool.forget(gone)
    verified_to = 0 if last == LAST else last
    pool.update(SyncState, lambda state: replace(state, verified_to=verified_to, parts_owed=owed - 1))
    if different:
        log.info("project %d: of the tasks after %d the local copy was out of date in %d", project, after, different)
    return different
