"""Keeps the local copy of a project in step with Label Studio by increments. Decides nothing about models."""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from nextlabel.labelstudio.client import (
    LAST,
    LabelStudioClient,
    Project,
    moment,
    newest,
)
from nextlabel.labelstudio.config import LabelConfig, annotators_of, read_task
from nextlabel.store.pool import Pool

log = logging.getLogger(__name__)

TRANSACTION_S = 8.0  # Label Studio waits 5 s for SQLite's lock
AT_WORK_S = 600.0  # since an annotator's last label
NO_DIFFERENCE = "0 0 0"


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
    if pool.get("reading") != config.reading:
        pool.clear()
        pool.put("reading", config.reading)
    if not pool.get("complete"):
        _read_everything(studio, pool, config, project, now, tell)
    _read_changes(studio, pool, config, project.id, now)


def _read_everything(
    studio: LabelStudioClient,
    pool: Pool,
    config: LabelConfig,
    project: Project,
    now: Callable[[], float],
    tell: Callable[[int], None],
) -> None:
    if not pool.get("watermark"):
        began = now()  # before the first page, so that no label given meanwhile is missed
        _set_watermark(pool, studio.last_change(project.id), began, now())
    for page in studio.tasks_after(project.id, pool.last_id()):
        pool.upsert(read_task(config, task) for task in page)
        log.info("project %d: read %d tasks", project.id, pool.size())
        tell(pool.size())
    pool.put("complete", "yes")


def _read_changes(
    studio: LabelStudioClient, pool: Pool, config: LabelConfig, project: int, now: Callable[[], float]
) -> None:
    began = now()
    watermark, seen_at = pool.get("watermark"), float(pool.get("watermark_seen_at"))
    # A task's updated_at is set before its transaction commits, so that an older one may still appear. A watermark is
    # settled by a read that overlapped it and was made longer after it was first seen than a transaction takes.
    settled = pool.get("settled") == watermark
    overlap_s = 0.0 if settled else float(pool.get("overlap_s", repr(TRANSACTION_S)))
    latest = watermark
    for page in studio.tasks_changed_since(project, watermark, overlap_s):
        pool.upsert(read_task(config, task) for task in page)
        _note_annotators(pool, page)
        latest = newest(page, latest)
    if latest != watermark:
        _set_watermark(pool, latest, began, now())
    elif began - seen_at > TRANSACTION_S:
        pool.put("settled", watermark)
    pool.put("synced_at", repr(began))


def _note_annotators(pool: Pool, page: Sequence[dict[str, Any]]) -> None:
    seen: dict[str, str] = json.loads(pool.get("annotators", "{}"))
    before = dict(seen)
    for who, when in (found for task in page for found in annotators_of(task)):
        seen[who] = max(when, seen.get(who, ""))
    if seen != before:
        since = moment(max(seen.values())) - timedelta(seconds=AT_WORK_S)
        pool.put("annotators", json.dumps({who: when for who, when in seen.items() if moment(when) >= since}))


def annotators_at_work(pool: Pool) -> int:
    """How many people labelled shortly before the last label that was read. Each may hold a task that Label Studio
    serves nobody else."""
    return len(json.loads(pool.get("annotators", "{}")))


def _set_watermark(pool: Pool, watermark: str, began: float, seen_at: float) -> None:
    # A task may have changed after its page was read, and before the newest one did: hence the length of the reading.
    overlap_s = TRANSACTION_S + max(0.0, seen_at - began)
    with pool.transaction():
        pool.put("watermark", watermark)
        pool.put("watermark_seen_at", repr(seen_at))
        pool.put("overlap_s", repr(overlap_s))


def repair(studio: LabelStudioClient, pool: Pool, config: LabelConfig, project: Project) -> None:
    """Find what the increments cannot show, by comparing counts with Label Studio's: deleted tasks, lost labels, and
    tasks that are served again, or no longer, since the handling of skips or the overlap was changed.

    Work in flight makes counts differ for a moment, so only the same difference seen twice is acted on.
    """
    difference = _difference(pool, project)
    if difference in (NO_DIFFERENCE, pool.get("accepted")) or difference != pool.get("difference"):
        pool.put("difference", difference)
        return
    what = "tasks, annotations, tasks that are no longer served"
    log.warning("project %d: local copy is off by %s (%s); repairing", project.id, difference, what)
    pool.put("difference", "")
    if project.tasks != pool.size():
        _compare_ids(studio, pool, config, project)
    if project.annotations != pool.annotations():
        _reread_annotated(studio, pool, config, project)
    for read in (studio.skipped_tasks, studio.annotated_tasks):
        if project.finished != pool.closed_size():
            _take_over(pool, config, read(project.id))
    # What this does not mend is a miscount of Label Studio's, or left to `verify`; it is not chased again.
    pool.put("accepted", _difference(pool, project))


def _difference(pool: Pool, project: Project) -> str:
    off = (project.tasks - pool.size(), project.annotations - pool.annotations(), project.finished - pool.closed_size())
    return " ".join(map(str, off))


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
    owed = int(pool.get("parts_owed", "0")) + thorough
    if not owed or (owed == 1 and hinted()):
        if thorough:
            pool.put("parts_owed", str(owed))
        return 0
    after = int(pool.get("verified_to", "0"))
    page, last = studio.part_after(project, after)
    gone = pool.task_ids(after + 1, last) - {task["id"] for task in page}
    different = pool.upsert(read_task(config, task) for task in page) + len(gone)
    pool.forget(gone)
    pool.put("verified_to", "0" if last == LAST else str(last))
    pool.put("parts_owed", str(owed - 1))
    if different:
        log.info("project %d: %d tasks after %d differed from the local copy unnoticed", project, different, after)
    return different
