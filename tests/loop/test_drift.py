"""Changes that a real Label Studio tells nobody of, not even in `updated_at`: found within so many looks."""

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from helpers.live_project import SEEDS, LiveProject, StartBackend
from helpers.waiting import wait_until
from nextlabel.lab.annotators import sign_up
from nextlabel.lab.importing import PAIR_CONFIG, import_corpus, result_of
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.tasks import read_task
from nextlabel.loop.sync import repair, sync, verify
from nextlabel.simulation.datasets.corpora import LABELS, Corpus, Pair
from nextlabel.store.pool import Pool
from nextlabel.store.state import SyncState

CONFIG = parse_label_config(PAIR_CONFIG)
PART, TASKS = 10, 34
PARTS = math.ceil(TASKS / PART)


def make_project(studio: LabelStudioClient, tasks: int) -> int:
    pairs = tuple(Pair(i, f"Sentence {i:03d}.", f"Phrase {i:03d}.", LABELS[i % 2]) for i in range(tasks))
    return import_corpus(studio, Corpus("numbered pairs", pairs, ()), "drift", 0, seed=0)


def act(studio: LabelStudioClient, project: int, action: str, tasks: Sequence[int], **parameters: str) -> None:
    """Press a button of the data manager for some tasks."""
    chosen = {"selectedItems": {"all": False, "included": list(tasks)}, **parameters}
    studio._call("POST", "api/dm/actions", params={"id": action, "project": project}, json=chosen)


def set_field(studio: LabelStudioClient, project: int, tasks: Sequence[int], field: str, value: str) -> None:
    """Give some tasks' data a field, or another value in it."""
    act(studio, project, "add_data_field", tasks, value_name=field, value_type="String", value=value)


class Copy:
    """A project and its local copy, which the clock looks at."""

    def __init__(self, studio: LabelStudioClient, directory: Path):
        self.studio, self.path, self.now = studio, directory / "pool.sqlite", 1000.0
        self.id = make_project(studio, TASKS)
        self.tasks = sorted(studio.task_ids(self.id))
        self.pool = Pool(self.path)
        self.read()

    def read(self) -> None:
        """As every look begins."""
        self.now += 100
        sync(self.studio, self.pool, CONFIG, self.studio.project(self.id), lambda: self.now)

    def verify(self, thorough: bool = True, hinted: bool = False) -> int:
        """As every look ends; returns in how many tasks the copy differed."""
        return verify(self.studio, self.pool, CONFIG, self.id, thorough, lambda: hinted)

    def compare_counts(self) -> None:
        """As often as it takes to believe them."""
        for _ in range(2):
            self.read()
            repair(self.studio, self.pool, CONFIG, self.studio.project(self.id))

    def wrong(self) -> int:
        """How many tasks are other ones in Label Studio."""
        rows = [read_task(CONFIG, task) for page in self.studio.tasks_after(self.id, 0) for task in page]
        with Pool(self.path.with_name("another.sqlite")) as another:
            another.clear(SyncState())
            another.upsert(rows)
            known, there = self._rows(self.pool), self._rows(another)
        return sum(known.get(task) != there.get(task) for task in known.keys() | there.keys())

    @staticmethod
    def _rows(pool: Pool) -> dict[int, tuple[Any, ...]]:
        # The last column counts the texts that the copy has seen.
        rows = pool._db.execute("SELECT * FROM task").fetchall()
        return {row[0]: (*row[:-1], pool._votes_of(row[0])) for row in rows}

    def act(self, action: str, tasks: Sequence[int], **parameters: str) -> None:
        act(self.studio, self.id, action, tasks, **parameters)

    def set_field(self, tasks: Sequence[int], field: str, value: str) -> None:
        set_field(self.studio, self.id, tasks, field, value)

    def skip(self, tasks: Sequence[int], by: LabelStudioClient | None = None) -> None:
        for task in tasks:
            body = {"result": [], "was_cancelled": True}
            (by or self.studio)._call("POST", f"api/tasks/{task}/annotations/", json=body)

    def happens_unseen(self, change: Callable[[], object]) -> None:
        """Change something that the increments do not show."""
        self.read()
        assert self.wrong() == 0
        before = self.studio.last_change(self.id)
        change()
        self.read()
        assert self.studio.last_change(self.id) == before
        assert self.wrong() > 0


@pytest.fixture
def copy(studio: LabelStudioClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copy]:
    monkeypatch.setattr("nextlabel.labelstudio.client.PAGE", PART)
    monkeypatch.setattr(
        "nextlabel.loop.sync.TRANSACTION_S", 0.0
    )  # or the increments look back at what the test began with
    copy = Copy(studio, tmp_path)
    with copy.pool:
        yield copy


# The rotation


def test_data_that_was_edited_in_bulk_is_found_within_as_many_looks_as_there_are_parts(copy: Copy) -> None:
    texts, held_out = copy.tasks[3:20:4], copy.tasks[-2:]

    def edit() -> None:
        copy.set_field(texts, "sentence1", "Nobody was told of this.")
        copy.set_field(held_out, "split", "validation")

    copy.happens_unseen(edit)
    found = [copy.verify() for _ in range(PARTS)]
    assert found == [2, 3, 0, 2]
    assert copy.wrong() == 0
    examples = {example.id: example.text for example in copy.pool.open_examples()}
    assert {examples[task] for task in texts} == {"Nobody was told of this."}
    assert not set(held_out) & examples.keys()


def test_a_part_costs_one_request_and_what_is_as_it_was_is_not_written(copy: Copy) -> None:
    copy.act("cache_labels", copy.tasks, control_tag="ALL")  # a column that is not shown
    writes = copy.pool._db.total_changes
    for _ in range(2 * PARTS):
        before = copy.studio.traffic().requests
        assert copy.verify() == 0
        assert copy.studio.traffic().requests - before == 1
    assert copy.pool._db.total_changes - writes == 2 * PARTS, "where to go on, and that nothing is owed"


def test_a_project_no_larger_than_a_part_is_verified_as_a_whole_each_time(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextlabel.labelstudio.client.PAGE", TASKS)
    for text in ("Once.", "Twice."):
        copy.happens_unseen(lambda text=text: copy.set_field(copy.tasks, "sentence2", text))  # type: ignore[misc]
        assert copy.verify() == TASKS
        assert copy.wrong() == 0


def test_tasks_that_went_or_came_unseen_are_found(copy: Copy) -> None:
    gone, missed = copy.tasks[12:15], copy.tasks[22:24]
    for task in (*gone, copy.tasks[-1]):
        copy.studio._call("DELETE", f"api/tasks/{task}/")
    with closing(sqlite3.connect(copy.path)) as other, other:
        other.executemany("DELETE FROM task WHERE id = ?", [(task,) for task in missed])
    assert [copy.verify() for _ in range(PARTS)] == [0, 4, 2, 0]
    assert copy.pool.task_ids() == set(copy.tasks) - {*gone, copy.tasks[-1]} == copy.studio.task_ids(copy.id)


def test_the_last_tasks_may_all_be_gone(copy: Copy) -> None:
    for _ in range(PARTS - 1):
        copy.verify()
    for task in copy.tasks[30:]:
        copy.studio._call("DELETE", f"api/tasks/{task}/")
    assert copy.verify() == 4
    copy.set_field(copy.tasks[:1], "sentence1", "The first part is the next one.")
    assert copy.verify() == 1


def test_the_rotation_survives_a_restart_and_begins_anew_with_a_new_copy(copy: Copy) -> None:
    copy.verify()
    copy.set_field(copy.tasks[::PART], "sentence1", "One in each part.")
    copy.pool.__exit__()
    copy.pool = Pool(copy.path)
    copy.verify()
    changed = {e.id for e in copy.pool.open_examples() if e.text == "One in each part."}
    assert changed == {copy.tasks[PART]}, "the second part"
    copy.pool.clear(SyncState())
    copy.read()
    copy.set_field(copy.tasks[::PART], "sentence1", "Again.")
    copy.verify()
    assert {e.id for e in copy.pool.open_examples() if e.text == "Again."} == {copy.tasks[0]}


def test_a_part_gives_way_to_a_hint_but_is_never_later_than_the_next_look_of_the_clock(copy: Copy) -> None:
    def requests(thorough: bool, hinted: bool) -> int:
        before = copy.studio.traffic().requests
        copy.verify(thorough, hinted)
        return copy.studio.traffic().requests - before

    assert requests(thorough=False, hinted=False) == 0, "only the clock's looks owe a part"
    assert requests(thorough=True, hinted=True) == 0
    assert requests(thorough=False, hinted=True) == 0
    assert requests(thorough=False, hinted=False) == 1, "made up for"
    assert requests(thorough=False, hinted=False) == 0
    looks = [requests(thorough=True, hinted=True) for _ in range(PARTS + 1)]
    assert looks == [0] + [1] * PARTS


# What the counts tell sooner


def settings_of(copy: Copy, **settings: object) -> Callable[[], None]:
    return lambda: copy.studio.update_project(copy.id, **settings)


@pytest.mark.parametrize(
    ("before", "after"), [("IGNORE_SKIPPED", "REQUEUE_FOR_OTHERS"), ("REQUEUE_FOR_ME", "IGNORE_SKIPPED")]
)
def test_tasks_that_are_served_again_or_no_longer_as_skips_are_handled_otherwise(
    before: str, after: str, copy: Copy
) -> None:
    settings_of(copy, skip_queue=before)()
    copy.skip(copy.tasks[::5])
    copy.happens_unseen(settings_of(copy, skip_queue=after))
    copy.compare_counts()
    assert copy.wrong() == 0
    assert copy.pool.closed_size() == (len(copy.tasks[::5]) if after == "IGNORE_SKIPPED" else 0)
    assert copy.pool.open_size() == TASKS - copy.pool.closed_size()


@pytest.mark.parametrize(
    "settings", [{"maximum_annotations": 2}, {"maximum_annotations": 2, "overlap_cohort_percentage": 50}]
)
def test_tasks_that_another_overlap_opened_again(settings: dict[str, int], copy: Copy) -> None:
    for task in copy.tasks[::3]:
        copy.studio.annotate(task, result_of(LABELS[0]))
    copy.happens_unseen(settings_of(copy, **settings))
    copy.compare_counts()
    assert copy.wrong() == 0


def test_tasks_of_a_user_who_was_deleted(label_studio: LocalStudio, copy: Copy) -> None:
    other = label_studio.connect(sign_up(label_studio, "leaver@example.com"))
    copy.skip(copy.tasks[:4], by=other)
    for task in copy.tasks[4:8]:
        other.annotate(task, result_of(LABELS[0]))
    settings_of(copy, skip_queue="IGNORE_SKIPPED")()
    copy.read()
    copy.compare_counts()
    user = other._call("GET", "api/current-user/whoami")["id"]
    copy.studio._call("DELETE", f"api/users/{user}/")
    settings_of(copy, skip_queue="REQUEUE_FOR_OTHERS")()
    copy.compare_counts()
    for _ in range(PARTS):
        copy.verify()
    assert copy.wrong() == 0
    assert copy.pool.closed_size() == copy.studio.project(copy.id).finished


def test_a_miscount_is_not_chased(copy: Copy) -> None:
    with closing(sqlite3.connect(copy.path)) as other, other:  # neither skipped nor labelled: only the rotation sees it
        other.execute("UPDATE task SET closed = 1 WHERE id = ?", (copy.tasks[0],))
    copy.compare_counts()
    before = copy.studio.traffic().requests
    project = copy.studio.project(copy.id)
    for _ in range(3):
        repair(copy.studio, copy.pool, CONFIG, project)
    assert copy.studio.traffic().requests - before == 1
    assert copy.wrong() == 1
    assert copy.verify() == 1
    assert copy.wrong() == 0


# What follows from it


def test_the_queue_follows_texts_splits_and_skips_that_were_changed_unseen(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(fit_every=1000, fit_max_wait_s=1, reconcile_s=2), few_pairs)
    version = project.wait()
    studio.update_project(project.id, skip_queue="IGNORE_SKIPPED", model_version=version)
    edited, held_out, skipped = project.order_by_entropy(version)[:3]
    body = {"result": [], "was_cancelled": True}
    studio._call("POST", f"api/tasks/{skipped}/annotations/", json=body)
    wait_until(lambda: project.board.queue(project.id).pool == len(few_pairs.train) - SEEDS - 1, "the skip to be seen")
    wait_until(project.is_active, "the queue to settle")
    before = project.published()
    assert {edited, held_out} <= before.keys()

    set_field(studio, project.id, [edited], "sentence1", "Nobody was told of this.")
    set_field(studio, project.id, [held_out], "split", "validation")
    wait_until(lambda: held_out not in project.published(), "the task that is held out now to leave the queue")
    wait_until(lambda: project.published().get(edited) != before[edited], "the new text to be scored")
    wait_until(project.is_active, "the queue to settle")
    queue = [task for task in project.queue() if task != skipped]
    assert queue == project.order_by_entropy(version)[: len(queue)]

    studio.update_project(project.id, skip_queue="REQUEUE_FOR_OTHERS", model_version=version)
    wait_until(lambda: project.board.queue(project.id).pool == len(few_pairs.train) - SEEDS - 1, "the skipped task")
    wait_until(lambda: skipped in project.queue(), "the skipped task to be served again")
