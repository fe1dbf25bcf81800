"""Labels on tasks that the queue did not offer are counted, and what looks like them is not."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.versions import make_card, write_weights
from nextlabel.labelstudio.client import SEQUENTIAL, UNCERTAINTY, LabelStudioClient, Project
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.objects.fields import TextField
from nextlabel.loop.controller import Controller, _Found
from nextlabel.loop.fitting import FitDecision
from nextlabel.loop.outside import JUST_NOW, LEFT, RECENT, SOME, come_by_another_way
from nextlabel.loop.sync import annotators_at_work, sync
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import OutsideState, SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.values.queue import Published
from nextlabel.versions.registry import Registry

CONFIG = LabelConfig("label", "text", (TextField("$text", "text"),), ("pos", "neg"))
V1, V2 = "nextlabel-1-A", "nextlabel-2-B"
PROJECT = Project(1, "one", "", UNCERTAINTY, V1, False, 0, 0, False, False)
TASKS, QUEUE, REST = range(1, 201), range(1, 41), range(101, 201)


class Answers(LabelStudioClient):
    """A Label Studio that tells these tasks as what has changed."""

    def __init__(self) -> None:
        super().__init__("http://studio.invalid", "")
        self.changed: Sequence[dict[str, Any]] = ()

    def tasks_changed_since(self, project: int, when: str, overlap_s: float) -> Iterator[list[dict[str, Any]]]:
        yield [dict(task) for task in self.changed]


class Table:
    """A project of 200 tasks, of which the queue offers 40."""

    def __init__(self, pool: Pool):
        self.pool, self.studio, self.project = pool, Answers(), PROJECT
        pool.update(
            SyncState,
            lambda state: replace(state, reading=CONFIG.reading, complete=True, watermark="2026-11-29T00:00:00Z"),
        )
        self.change(*(task(task_id) for task_id in TASKS))
        self.offer(V1, QUEUE)

    def offer(self, version: str, tasks: Sequence[int]) -> None:
        self.pool.note_published(*[Published(1000 * int(version[10]) + task, task, version, 0.5) for task in tasks])

    def change(self, *tasks: dict[str, Any]) -> OutsideState:
        self.studio.changed = tasks
        sync(self.studio, self.pool, CONFIG, self.project, lambda: 1000.0)
        return self.pool.state(OutsideState)

    def label(self, *task_ids: int, **said: Any) -> OutsideState:
        """One label after another, each seen by itself."""
        for task_id in task_ids:
            self.change(task(task_id, **{"who": 1, **said}))
        return self.pool.state(OutsideState)

    def says_so(self) -> bool:
        return come_by_another_way(self.pool.state(OutsideState), annotators_at_work(self.pool))


def task(
    task_id: int, who: int = 0, lead_time: float | None = 3.2, skips: bool = False, when: int = 0
) -> dict[str, Any]:
    """As Label Studio tells it, labelled by `who`, if by anybody."""
    item = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["pos"]}}
    time = f"2026-11-29T20:{when:02}:00Z"
    annotation = {
        "result": [item], "completed_by": who, "lead_time": lead_time, "was_cancelled": skips, "created_at": time,
        "updated_at": time,
    }  # fmt: skip
    return {
        "id": task_id,
        "data": {"text": f"text {task_id}"},
        "is_labeled": bool(who) and not skips,
        "cancelled_annotations": int(skips),
        "total_annotations": int(bool(who) and not skips),
        "updated_at": time,
        "annotations": [annotation] if who else [],
    }


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with Pool(pool_path(tmp_path, 1)) as pool:
        yield Table(pool)


def test_whoever_labels_in_another_order_is_noticed_and_no_more_once_they_have_stopped(table: Table) -> None:
    table.label(*QUEUE[:10])
    assert table.pool.state(OutsideState) == OutsideState((False,) * 10)
    table.label(*REST[: SOME - 1])
    assert not table.says_so()
    assert table.label(REST[SOME - 1]).total == SOME
    assert table.says_so()
    assert table.pool.state(OutsideState).example == REST[0]
    assert table.label(*REST[:SOME]).total == SOME, "a label that is changed is none that came"
    table.offer(V1, range(41, 80))
    table.label(*QUEUE[10:30])
    assert JUST_NOW == 20
    assert not table.says_so()
    assert table.label(REST[SOME]).recent[-1]
    assert table.says_so(), "again, as the former ones are not long ago"
    assert table.label(*range(41, 70), *QUEUE[30:36]).total == SOME + 1
    assert len(table.pool.state(OutsideState).recent) == RECENT
    assert not table.says_so()


def test_the_log_says_once_that_labels_come_on_other_tasks_and_again_once_they_do_again(
    table: Table, tmp_path: Path, tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    card = make_card(1, version=V1)
    settings = Settings(_env_file=None, model_dir=tmp_path, base_model=str(tiny), device="cpu")
    registry = Registry(tmp_path)
    registry.save(card, {}, write_weights)
    controller = Controller(settings, registry, StatusBoard(tmp_path), table.studio, JobQueue(tmp_path))

    def logged() -> int:
        """How often it is in the log after another look."""
        found = _Found(PROJECT, CONFIG, FitDecision("", "", 0, 0), V1)
        controller._report(table.pool, found, state="published", version=V1)
        return sum("Labels come on tasks that the queue did not offer" in line for line in caplog.messages)

    table.label(*QUEUE[:10])
    assert logged() == 0
    table.label(*REST[:SOME])
    assert (logged(), logged()) == (1, 1)
    table.pool.update(OutsideState, lambda state: replace(state, example=REST[1]))
    assert logged() == 1, "another example, and no other cause"
    table.offer(V1, range(41, 80))
    table.label(*QUEUE[10:30])
    assert logged() == 1
    table.label(*REST[SOME : 2 * SOME])
    assert logged() == 2


def test_several_people_may_each_have_had_a_task_open_before_there_was_an_order(table: Table) -> None:
    for person, task_id in enumerate(REST[:7], start=1):
        table.label(task_id, who=person)
    assert annotators_at_work(table.pool) == 7
    assert not table.says_so()
    table.label(REST[7])
    assert table.says_so()


def test_a_task_that_was_offered_once_may_be_open_still(table: Table) -> None:
    for published in table.pool.published():
        table.pool.note_withdrawn(published.prediction_id)
    table.offer(V2, range(50, 80))
    table.project = replace(PROJECT, model_version=V2)
    assert table.label(*QUEUE[:10]) == OutsideState((False,) * 10)


def test_imports_scripts_skips_second_answers_and_new_tasks_say_nothing(table: Table) -> None:
    nothing = OutsideState()
    assert table.label(*REST[:10], lead_time=None) == nothing
    assert table.label(*REST[10:20], skips=True) == nothing
    assert table.label(*REST[:20], when=1) == nothing, "somebody had to do with them before"
    assert table.label(*range(301, 311)) == nothing, "they were not there to be offered"
    held_out = [{**task(1000 + n), "data": {"text": "text", "split": "test"}} for n in range(10)]
    table.change(*held_out)
    assert table.change(*({**one, **task(one["id"], who=1), "data": one["data"]} for one in held_out)) == nothing


def test_what_label_studio_serves_when_the_queue_runs_low_or_follows_another_order_says_nothing(table: Table) -> None:
    away = [*QUEUE[: len(QUEUE) - LEFT], *REST[:20]]  # while the trainer was away
    assert table.change(*(task(task_id, who=1) for task_id in away)) == OutsideState()
    table.offer(V1, range(41, 80))
    for followed in (
        replace(PROJECT, sampling=SEQUENTIAL),
        replace(PROJECT, model_version=None),
        replace(PROJECT, model_version="somebody's"),
        replace(PROJECT, model_version=V2),
    ):
        table.project = followed
        table.label(*REST[20:30])
    assert table.pool.state(OutsideState) == OutsideState()
    table.project = PROJECT
    assert table.label(REST[50]).total == 1
