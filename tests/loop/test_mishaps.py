"""What people and other programs do to a project at a bad moment: its trainer is held in the middle of a round."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from helpers.held_project import FIT_EVERY, WINDOW, HeldProject, held_backend, some_pairs
from helpers.waiting import wait_until
from nextlabel.lab.importing import result_of
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.store.pool import pool_path

SEEDS = 12


@pytest.fixture(scope="module")
def backend(label_studio: LocalStudio, wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    backend = held_backend(label_studio, tmp_path_factory.mktemp("mishaps"), wide)
    try:
        backend.start()
        yield backend
    finally:
        backend.stop()


@pytest.fixture
def start_project(studio: LabelStudioClient, backend: LocalBackend) -> Iterator[Callable[[], HeldProject]]:
    """Connects a new project to the one backend, and takes it away after the test."""
    started: list[HeldProject] = []

    def start() -> HeldProject:
        started.append(HeldProject(studio, backend, some_pairs(), SEEDS))
        return started[-1]

    yield start
    print(backend.tail(80))  # shown where a test has failed
    for file in ("hold", "held"):
        (backend.model_dir / file).unlink(missing_ok=True)
    for project in started:
        if project.id in studio.projects():
            delete(project)
        shutil.rmtree(backend.model_dir / "models" / str(project.id))


@pytest.fixture
def project(start_project: Callable[[], HeldProject]) -> HeldProject:
    return start_project()


def delete(project: HeldProject) -> None:
    project.studio._call("DELETE", f"api/projects/{project.id}/")


def says(project: HeldProject, words: str) -> Callable[[], bool]:
    return lambda: words in project.board.queue(project.id).message


def change_config(project: HeldProject, old: str, new: str) -> None:
    config = project.studio.project(project.id).label_config
    assert old in config
    project.studio.update_project(project.id, label_config=config.replace(old, new))


def label_next_as(project: HeldProject, label: str) -> int:
    task = project.studio.next_task(project.id)
    assert task is not None
    project.studio.annotate(task["id"], result_of(label))
    return int(task["id"])


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """No one else can write to a data base meanwhile."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as other:
        other.execute("begin exclusive")
        yield
        other.execute("rollback")


def test_a_label_that_is_added_in_mid_fit_is_a_class_of_the_next_version(project: HeldProject) -> None:
    before = project.label_and_hold("fitting")
    change_config(project, "</Choices>", '<Choice value="unsure"/></Choices>')
    project.go_on()
    middle = project.wait(newer_than=before)
    while len(project.registry.card(project.id, middle).labels) < 3:
        middle = project.wait(newer_than=middle)
    tasks = {label_next_as(project, "unsure") for _ in range(FIT_EVERY)}
    version = project.check_right(middle)
    fitted = project.registry.fitted_labels(project.id, version)
    assert {task for task, label in fitted.items() if label == "unsure"} == tasks


def test_a_used_label_that_is_dropped_in_mid_fit_is_learnt_no_more(project: HeldProject) -> None:
    before = project.label_and_hold("fitting")
    change_config(project, 'value="different"', 'value="unlike"')
    project.go_on()
    wait_until(says(project, "label at least one task as one of ['unlike']"), "what is missing to be said")
    version = project.wait(newer_than=before)
    project.check_order()
    task = label_next_as(project, "unlike")
    version = project.wait(newer_than=version)
    assert project.registry.card(project.id, version).labels == ("paraphrase", "unlike")
    fitted = project.registry.fitted_labels(project.id, version)
    assert {label for label in fitted.values() if label != "paraphrase"} == {"unlike"}
    assert fitted[task] == "unlike"
    project.check_order()


def test_a_field_that_is_renamed_in_mid_fit_is_said_and_when_it_is_back_all_is_right(project: HeldProject) -> None:
    before = project.label_and_hold("fitting")
    change_config(project, "$sentence1", "$headline")
    project.go_on()
    count = len(project.corpus.train + project.corpus.holdout)
    said = f"In all {count} tasks the field 'headline' is missing"
    wait_until(lambda: project.board.queue(project.id).first.startswith(said), "what is missing to be said")
    wait_until(says(project, "Waiting for the texts: in all"), "no fit on half of the pairs")
    versions = project.registry.versions(project.id)
    looks = project.board.queue(project.id).reconciles
    wait_until(lambda: project.board.queue(project.id).reconciles > looks + 2, "some looks")
    assert project.registry.versions(project.id) == versions
    change_config(project, "$headline", "$sentence1")
    wait_until(lambda: not project.board.queue(project.id).first, "the right field to be read")
    project.check_right(before)


def test_a_project_that_is_deleted_in_mid_fit_ends_quietly(
    project: HeldProject, start_project: Callable[[], HeldProject]
) -> None:
    project.label_and_hold("fitting")
    delete(project)
    project.go_on()
    wait_until(says(project, "does not exist any more"), "its end to be noticed")
    start_project().wait()
    assert project.board.queue(project.id).errors == 0
    assert "Traceback" not in project.backend.tail(10**6)


@pytest.mark.parametrize("stage", ["fitting", "publishing", "retiring"])
def test_tasks_that_are_deleted_while_in_the_window_are_missed_by_nobody(project: HeldProject, stage: str) -> None:
    before = project.label_and_hold(stage)
    gone = project.queue()[:3]
    for task in gone:
        project.studio._call("DELETE", f"api/tasks/{task}/")
    project.go_on()
    project.check_right(before)
    assert not set(gone) & set(project.published())


def test_a_backend_that_is_disconnected_writes_no_more_though_its_webhook_goes_on(project: HeldProject) -> None:
    before = project.label_and_hold("fitting")
    [backend] = project.studio.ml_backends(project.id)
    project.studio.remove_ml_backend(backend.id)
    assert project.studio.webhooks(project.id)
    project.go_on()
    wait_until(says(project, "has no Nextlabel ML backend"), "the disconnection to be noticed")
    predictions = project.studio.our_predictions(project.id)
    project.label(FIT_EVERY)
    looks = project.board.queue(project.id).reconciles
    wait_until(lambda: project.board.queue(project.id).reconciles > looks + 2, "some looks")
    assert project.studio.our_predictions(project.id) == predictions
    assert project.studio.project(project.id).model_version == before
    connect(project.studio, project.id, project.backend.url, Credentials(), show_predictions=False)
    project.check_right(before)


def test_a_second_trainer_that_is_started_by_mistake_changes_nothing(
    project: HeldProject, label_studio: LocalStudio, wide: Path
) -> None:
    before = project.label_and_hold("fitting")
    second = held_backend(label_studio, project.backend.model_dir, wide, command="trainer")
    try:
        second.start()
        wait_until(lambda: "trainer ready" in second.tail(1000), "the second trainer")
        project.label(FIT_EVERY)
        project.go_on()
        version = project.check_right(before)
        project.label(FIT_EVERY)
        project.check_right(version)
        numbers = [card.number for card in project.registry.cards(project.id)]
        assert len(numbers) == len(set(numbers))
        assert "Traceback" not in second.tail(10**6)
    finally:
        second.stop()
    project.label(FIT_EVERY)
    project.check_right(project.version() or "")


def test_while_one_project_is_fitted_the_queue_of_another_is_kept_full(
    project: HeldProject, start_project: Callable[[], HeldProject]
) -> None:
    other = start_project()
    of_other = other.wait()
    before = project.label_and_hold("fitting")
    expected = other.order_by_entropy(of_other)
    assert other.label(FIT_EVERY) == expected[:FIT_EVERY]
    wait_until(lambda: other.queue() == expected[FIT_EVERY : FIT_EVERY + WINDOW], "the other window to be full again")
    project.go_on()
    project.check_right(before)
    other.check_right(of_other)


def test_a_locked_queue_costs_no_label_and_no_annotator_waits(project: HeldProject) -> None:
    before = project.wait()
    with locked(project.backend.model_dir / "queue.sqlite"):
        project.label(FIT_EVERY)
        answer = httpx.post(
            f"{project.backend.url}/webhook",
            json={"action": "ANNOTATION_CREATED", "project": {"id": project.id}},
            timeout=5,
        )
        assert answer.status_code == 503
        assert "stop what has locked the file" in answer.json()["error"]
        wait_until(lambda: "It is asked until it answers" in project.backend.tail(10**6), "the trainer to find out")
    project.check_right(before)


def test_a_locked_copy_of_the_pool_is_said_and_waited_for(project: HeldProject) -> None:
    before = project.wait()
    with locked(pool_path(project.backend.model_dir, project.id)):
        project.label(FIT_EVERY)
        wait_until(says(project, "is locked"), "the lock to be said")
    project.check_right(before)


def test_a_copy_of_the_pool_that_is_deleted_is_made_again(project: HeldProject) -> None:
    before = project.label_and_hold("fitting")
    for file in project.backend.model_dir.glob(f"pools/{project.id}.*"):
        if file.is_file():
            file.unlink()
    project.go_on()
    project.check_right(before)


def test_doubled_reordered_and_forged_webhooks_change_nothing(project: HeldProject) -> None:
    before = project.wait()
    labelled = sorted(project.labelled())
    [task] = project.label(1)
    forged: list[dict[str, Any]] = [
        {"action": "TASKS_DELETED", "tasks": [{"id": task} for task in labelled]},  # they are still there
        {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}, {"id": 2}]},
        {"action": "ANNOTATION_CREATED", "task": {"id": labelled[0]}, "annotation": {"result": result_of("forged")}},
        {"action": "ANNOTATION_UPDATED", "task": {"id": task}, "annotation": {"was_cancelled": True}},
        {"action": "PROJECT_UPDATED"},
        {"action": "TASKS_CREATED", "tasks": [{"id": 10**9}]},
    ]
    for event in [*forged, *reversed(forged), *forged]:
        body = {**event, "project": {"id": project.id, "label_config": "<View/>", "model_version": "forged"}}
        assert httpx.post(f"{project.backend.url}/webhook", json=body).status_code == 201
    project.label(FIT_EVERY - 1)
    version = project.check_right(before)
    assert "forged" not in project.registry.fitted_labels(project.id, version).values()
    stranger = httpx.post(
        f"{project.backend.url}/webhook", json={"action": "PROJECT_UPDATED", "project": {"id": 987654}}
    )
    assert stranger.status_code == 201
    assert 987654 not in project.registry.projects()
