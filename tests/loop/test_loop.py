"""The whole loop against a real Label Studio: what an annotator, an engineer and a bad day do to it."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from transformers import AutoTokenizer

from helpers.fits import FIT_EVERY, QUICK
from helpers.live_project import SEEDS, LiveProject, StartBackend, healthy, kill
from helpers.offers import Offers
from helpers.ports import own_port
from helpers.waiting import wait_until
from nextlabel.lab.annotators import annotate, gold_of, sign_up
from nextlabel.lab.importing import import_corpus, result_of
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio
from nextlabel.labelstudio.client import UNCERTAINTY, LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect, disconnect
from nextlabel.loop.fitting import FEW
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.store.status import StatusBoard
from nextlabel.versions.registry import Registry

LENGTH = 40  # word pieces that are read, where texts are to be cut

NewProject = Callable[..., LiveProject]


@pytest.fixture(scope="module")
def backend(label_studio: LocalStudio, wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    """With quick fits, for all tests that want nothing else of it."""
    home = tmp_path_factory.mktemp("loop")
    running = LocalBackend(label_studio, home, own_port(19100), "serve", base_model=wide, **QUICK)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def new_project(studio: LabelStudioClient, backend: LocalBackend, few_pairs: Corpus) -> Iterator[NewProject]:
    """Makes a project of that backend; it is deleted after the test."""
    made: list[LiveProject] = []

    def make(start: int = SEEDS) -> LiveProject:
        made.append(LiveProject(studio, backend, few_pairs, start))
        return made[-1]

    yield make
    for project in made:
        studio._call("DELETE", f"api/projects/{project.id}/")


def test_after_each_fit_one_annotator_is_served_in_the_order_of_the_saved_weights(
    studio: LabelStudioClient, new_project: NewProject, few_pairs: Corpus
) -> None:
    project = new_project()
    version = project.wait()
    for _ in range(2):
        expected = project.order_by_entropy(version)
        served = project.label(FIT_EVERY)
        assert served == expected[:FIT_EVERY]
        version = project.wait(newer_than=version)
    card = project.registry.card(project.id, version)
    assert card.examples == SEEDS + 2 * FIT_EVERY
    assert card.scores is not None
    assert card.scores["examples"] == len(few_pairs.holdout)
    wait_until(lambda: project.board.queue(project.id).stale == 0, "the old windows to be removed")
    assert {p.version for p in studio.our_predictions(project.id)} == {version}


def test_three_annotators_share_the_order_without_gaps(
    label_studio: LocalStudio, studio: LabelStudioClient, new_project: NewProject
) -> None:
    project = new_project()
    expected = project.order_by_entropy(project.wait())
    clients = [studio, *(label_studio.connect(sign_up(label_studio, f"annotator{n}@example.com")) for n in (1, 2))]
    served = [project.label(1, client)[0] for _ in range(FIT_EVERY // 3) for client in clients]
    assert served == expected[:FIT_EVERY]


def test_concurrent_annotators_never_fail_and_always_get_a_published_task(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    # A window is a multiple of the annotators' pace; these three need no time to think.
    # Nor are versions made as fast as this model would let them be: some seconds of fitting lie between two switches.
    offers = Offers(label_studio)
    project = LiveProject(studio, start_backend(fit_steps=1200, window=60), few_pairs)
    project.wait()
    clients = [studio, *(label_studio.connect(sign_up(label_studio, f"busy{n}@example.com")) for n in (1, 2))]
    served: list[int] = []
    threads = [threading.Thread(target=lambda c=client: served.extend(project.label(15, c))) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(served) == 45, "an annotator's request failed"
    assert set(served) <= offers.of(project.id)


def test_the_loop_survives_the_death_of_each_process(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(fit_steps=400), few_pairs)
    version = project.wait()
    project.label(FIT_EVERY)
    wait_until(lambda: project.board.fit(project.id).state == "fitting", "the fit to begin")
    kill(project.backend, "trainer")
    version = project.wait(newer_than=version)
    kill(project.backend, "web")
    wait_until(lambda: healthy(project.backend), "the web process to come back")
    expected = project.order_by_entropy(version)
    assert project.label(FIT_EVERY) == expected[:FIT_EVERY]
    version = project.wait(newer_than=version)
    assert len(project.registry.card(project.id, version).label_counts) == 2
    assert project.registry.card(project.id, version).examples == SEEDS + 2 * FIT_EVERY


def test_label_studio_may_die_while_the_queue_is_published(
    label_studio_program: str, tmp_path: Path, wide: Path, few_pairs: Corpus
) -> None:
    server = LocalStudio(tmp_path / "label-studio", own_port(18300))
    server.start()
    backend = LocalBackend(
        server, tmp_path / "backend", own_port(19300), base_model=wide, fit_every=FIT_EVERY, fit_steps=6,
        learning_rate=1e-4, precision="fp32", window=40, reconcile_s=1, **PLAIN_ORDER,
    )  # fmt: skip
    try:
        backend.start()
        project = LiveProject(server.connect(), backend, few_pairs)
        version = project.wait()
        project.label(FIT_EVERY)
        wait_until(lambda: project.version() != version, "the new version")
        wait_until(lambda: len(project.published()) >= 3, "the first new predictions")
        os.killpg(server.pid, signal.SIGKILL)
        wait_until(lambda: project.board.queue(project.id).state == "failed", "the failure to be noticed")
        server.start()
        version = project.wait(newer_than=version)
        expected = project.order_by_entropy(version)
        scores = project.published()
        assert sorted(scores, key=lambda task: (scores[task], task))[:40] == expected[:40]
        assert project.label(5) == expected[:5]
    finally:
        backend.stop()
        server.stop()


def test_drift_in_label_studio_is_repaired(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(fit_every=1000, fit_max_wait_s=1), few_pairs)
    version = project.wait()

    studio.update_project(project.id, model_version="")  # what saving a settings form does
    wait_until(lambda: studio.project(project.id).model_version == version, "the model version to be set again")

    path = f"api/projects/{project.id}/model-versions/"
    studio._call("DELETE", path, json={"model_version": version})
    wait_until(lambda: len(project.published()) == 24 and project.is_active(), "the deleted version to be published")

    for webhook in studio.webhooks(project.id):
        studio.remove_webhook(webhook.id)
    wait_until(lambda: len(studio.webhooks(project.id)) == 1, "the webhook to be made again")

    task = project.order_by_entropy(version)[0]
    before = project.published()[task]
    edited = {"sentence1": "Nothing of the kind was ever said.", "sentence2": "An edited task text."}  # as uncertain
    data = {**studio.task(task)["data"], **edited}
    studio._call("PATCH", f"api/tasks/{task}/", json={"data": data})
    wait_until(lambda: project.published().get(task, before) != before, "the edited task to be scored again")
    wait_until(project.is_active, "the queue to settle")
    expected = project.order_by_entropy(version)
    scores = project.published()
    order = sorted(scores, key=lambda t: (scores[t], t))
    assert order == [t for t in expected if t in scores]


def test_a_lost_deletion_of_tasks_is_noticed(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(), few_pairs)
    version = project.wait()
    project.backend.stop()
    gone = project.order_by_entropy(version)[:3]
    for task in gone:
        studio._call("DELETE", f"api/tasks/{task}/")
    project.backend.start()
    wait_until(
        lambda: project.board.queue(project.id).tasks == len(few_pairs.train + few_pairs.holdout) - 3,
        "the deleted tasks to be forgotten",
    )
    wait_until(lambda: len(project.published()) >= 24, "the window to be topped up")
    assert not set(gone) & set(project.published())


def test_labels_changed_and_deleted_are_corrected_at_the_next_fit(
    studio: LabelStudioClient, new_project: NewProject
) -> None:
    project = new_project()
    version = project.wait()
    labels = project.registry.fitted_labels(project.id, version)
    changed, deleted, skipped = sorted(labels)[:3]
    other = {"paraphrase": "different", "different": "paraphrase"}[labels[changed]]
    annotation = studio.task(changed)["annotations"][0]["id"]
    studio._call("PATCH", f"api/annotations/{annotation}/", json={"result": result_of(other)})
    annotation = studio.task(deleted)["annotations"][0]["id"]
    studio._call("DELETE", f"api/annotations/{annotation}/")
    annotation = studio.task(skipped)["annotations"][0]["id"]
    studio._call("PATCH", f"api/annotations/{annotation}/", json={"was_cancelled": True})
    studio.start_training(project.id)
    version = project.wait(newer_than=version)
    corrected = project.registry.fitted_labels(project.id, version)
    assert corrected[changed] == other
    assert deleted not in corrected
    assert skipped not in corrected
    assert len(corrected) == SEEDS - 2


def test_labels_without_events_are_fitted_after_the_longest_wait(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(fit_max_wait_s=2), few_pairs)
    version = project.wait()
    for webhook in studio.webhooks(project.id):
        studio.remove_webhook(webhook.id)
    project.label(FEW)
    version = project.wait(newer_than=version)
    assert project.registry.card(project.id, version).examples == SEEDS + FEW


def test_a_published_prediction_says_whether_its_text_was_cut(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(max_length=LENGTH), few_pairs)
    version = project.wait()
    tokenizer = AutoTokenizer.from_pretrained(project.registry.path(project.id, version))
    cut, said = [], []
    for task in map(studio.task, project.queue()):
        cut.append(len(tokenizer(task["data"]["sentence1"], task["data"]["sentence2"])["input_ids"]) > LENGTH)
        said += [p["result"][0]["meta"].get("truncated", False) for p in task["predictions"]]
    assert said == cut
    assert set(cut) == {False, True}


def test_a_sampling_mode_that_a_person_chose_is_reported_and_left_alone(
    studio: LabelStudioClient, new_project: NewProject
) -> None:
    project = new_project()
    project.wait()
    studio.update_project(project.id, sampling="Sequential sampling")
    wait_until(lambda: "Sequential sampling" in project.board.queue(project.id).first, "it to be said before all else")
    assert studio.project(project.id).sampling == "Sequential sampling"


def test_nothing_is_published_when_nothing_changed(studio: LabelStudioClient, new_project: NewProject) -> None:
    project = new_project()
    project.wait()
    wait_until(lambda: project.board.queue(project.id).stale == 0, "the old window to be removed")
    before = sorted(p.prediction_id for p in studio.our_predictions(project.id))
    done = project.board.queue(project.id).reconciles
    wait_until(lambda: project.board.queue(project.id).reconciles > done + 3, "some reconciles")
    assert sorted(p.prediction_id for p in studio.our_predictions(project.id)) == before


def test_with_basic_auth_labels_still_arrive(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    backend = start_backend(basic_auth_user="studio", basic_auth_pass="s3cret", reconcile_s=600)
    assert httpx.get(f"{backend.url}/versions").status_code == 401
    assert httpx.get(f"{backend.url}/health").status_code == 200
    project_id = import_corpus(studio, few_pairs, "loop with auth", SEEDS, seed=0)
    connect(studio, project_id, backend.url, Credentials("studio", "s3cret"), show_predictions=False)
    registry = Registry(backend.model_dir)
    wait_until(lambda: registry.current(project_id), "the first version")
    before = registry.current(project_id)
    answers = annotate(studio, project_id, gold_of(few_pairs))
    for _ in range(FIT_EVERY):
        next(answers)
    wait_until(lambda: registry.current(project_id) != before, "labels to arrive by webhook")


def test_one_backend_serves_two_projects_each_with_its_own_versions(new_project: NewProject) -> None:
    first, second = new_project(), new_project(start=36)
    first.wait()
    second.wait()
    assert first.registry.card(first.id, first.version() or "").examples == SEEDS
    assert second.registry.card(second.id, second.version() or "").examples == 36


def test_connecting_twice_changes_nothing_and_disconnecting_undoes_it(
    studio: LabelStudioClient, backend: LocalBackend, few_pairs: Corpus
) -> None:
    project_id = import_corpus(studio, few_pairs, "connecting", SEEDS, seed=0)
    before = studio.project(project_id)
    assert connect(studio, project_id, backend.url, Credentials(), show_predictions=False)
    connected = studio.project(project_id)
    assert (connected.sampling, connected.show_predictions) == (UNCERTAINTY, False)
    assert connect(studio, project_id, backend.url, Credentials(), show_predictions=False) == []
    queue = StatusBoard(backend.model_dir).queue
    wait_until(lambda: queue(project_id).state == "published" and queue(project_id).stale == 0, "the whole queue")
    assert studio.our_predictions(project_id)
    disconnect(studio, project_id, backend.url)
    after = studio.project(project_id)
    assert (after.sampling, after.show_predictions) == (before.sampling, before.show_predictions)
    assert studio.ml_backends(project_id) == []
    assert studio.webhooks(project_id) == []
    assert studio.our_predictions(project_id) == []


def test_predictions_that_a_person_retrieves_are_those_of_the_queue(
    studio: LabelStudioClient, new_project: NewProject
) -> None:
    project = new_project()
    version = project.wait()
    tail = project.order_by_entropy(version)[-5:]
    body = {"project": project.id, "selectedItems": {"all": False, "included": tail}}
    path = f"api/dm/actions?id=retrieve_tasks_predictions&project={project.id}"
    studio._call("POST", path, json=body)
    scores = project.published()
    assert set(tail) <= set(scores)
    order = sorted(scores, key=lambda t: (scores[t], t))
    assert order[-5:] == tail
