"""A project that is disconnected, connected again, given to another backend and taken back, with a real trainer whose
clock never strikes: nothing of it may wait for the next check."""

from collections.abc import Callable

from helpers.live_project import LiveProject
from helpers.ports import own_port
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect, disconnect
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.store.jobs import JobQueue

ELSEWHERE = "http://127.0.0.1:9"


def addresses(studio: LabelStudioClient, project: int) -> tuple[list[str], list[str]]:
    return [row.url for row in studio.ml_backends(project)], [hook.url for hook in studio.webhooks(project)]


def test_disconnected_and_connected_again_moved_and_moved_back_the_queue_is_in_order_at_once(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: Callable[..., LocalBackend],
    few_pairs: Corpus,
) -> None:
    backend = start_backend(reconcile_s=3600, window=8)
    project = LiveProject(studio, backend, few_pairs)
    version = project.wait()
    # In Label Studio's own form, which leaves the webhook where it was.
    [row], by_name = studio.ml_backends(project.id), backend.url.replace("127.0.0.1", "localhost")
    studio.update_ml_backend(row.id, project.id, by_name, row.title, "", "", row.extra_params)
    JobQueue(backend.model_dir).hint(project.id, thorough=True)
    hooks = [f"{by_name}/webhook"]
    wait_until(lambda: [hook.url for hook in studio.webhooks(project.id)] == hooks, "the webhook to follow", 30)
    disconnect(studio, project.id, ELSEWHERE)
    assert addresses(studio, project.id) == ([], [])
    assert studio.model_versions(project.id) == {}
    before = studio.project(project.id)

    connect(studio, project.id, backend.url, Credentials())
    wait_until(project.is_active, "the queue to be in order again", 30)
    assert project.version() == version, "nothing had to be fitted for it"
    assert project.board.queue(project.id).errors == 0

    other = LocalBackend(label_studio, backend.model_dir.parent / "other", own_port(19150), "web")
    try:
        other.start()
        connect(studio, project.id, other.url, Credentials())
        assert addresses(studio, project.id) == ([other.url], [f"{other.url}/webhook"])
        JobQueue(backend.model_dir).hint(project.id, thorough=True)
        queue = project.board.queue
        wait_until(lambda: queue(project.id).state == "disconnected", "the trainer to leave the project alone", 30)
        assert f"connected to another Nextlabel backend, {other.url}" in queue(project.id).message
        assert not studio.project(project.id).model_version
        connect(studio, project.id, backend.url, Credentials())
    finally:
        other.stop()
    wait_until(project.is_active, "the project to be taken back", 30)
    assert addresses(studio, project.id) == ([backend.url], [f"{backend.url}/webhook"])

    disconnect(studio, project.id, ELSEWHERE)
    assert addresses(studio, project.id) == ([], [])
    assert studio.project(project.id) == before
    assert studio.model_versions(project.id) == {}
