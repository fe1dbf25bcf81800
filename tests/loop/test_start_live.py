"""Before there is a version, against a real Label Studio: the queue is in the start order, and nobody sees a guess."""

from collections.abc import Callable
from pathlib import Path

from helpers.fits import FIT_EVERY
from helpers.held_project import held_backend
from helpers.live_project import LiveProject, kill
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect, disconnect
from nextlabel.learning.start_order import start_order
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.store.pool import EMBEDDINGS, Pool, pool_path
from nextlabel.store.state import StartState

StartBackend = Callable[..., LocalBackend]
SETTINGS: dict[str, object] = {"start_order": "typiclust", "fit_max_wait_s": 3600}


def wait_for_start(project: LiveProject) -> str:
    """The name of the start order, once Label Studio follows it in full."""

    def followed() -> bool:
        status = project.board.queue(project.id)
        name = project.studio.project(project.id).model_version
        return bool(name) and (status.state, status.version, status.order) == ("published", "", name)

    wait_until(followed, "the start order to be followed")
    return project.studio.project(project.id).model_version or ""


def expected_order(project: LiveProject) -> list[int]:
    """From the embeddings on disk; that they are the base encoder's is tested with the embedder."""
    with Pool(pool_path(project.backend.model_dir, project.id)) as pool:
        encoder = pool.state(StartState).made_of.split()[1]
        ids_N, embedded_ND = pool.vectors(EMBEDDINGS, encoder, pool.open_ids())
    assert len(ids_N) == len(project.corpus.train)
    order: list[int] = ids_N[start_order("typiclust", embedded_ND, len(ids_N), seed=0)].tolist()
    return order


def published(project: LiveProject, name: str) -> list[int]:
    """Tasks under that name, as Label Studio serves them, after a look at whether each has a score of its own."""
    scores = {p.task_id: p.score for p in project.studio.our_predictions(project.id) if p.version == name}
    assert len(set(scores.values())) == len(scores)
    return sorted(scores, key=lambda task: scores[task])


def guesses(project: LiveProject) -> list[object]:
    """What our predictions show."""
    found = project.studio._call("GET", "api/predictions/", params={"project": project.id})
    return [prediction["result"] for prediction in found]


def test_before_any_label_the_served_order_is_the_start_order_and_no_guess_is_shown(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(**SETTINGS), few_pairs, start=0)
    connect(studio, project.id, project.backend.url, Credentials(), show_predictions=True)
    name = wait_for_start(project)
    expected = expected_order(project)
    first = published(project, name)
    assert first == expected[: len(first)]
    assert len(first) >= 8
    assert guesses(project) == [[]] * len(first)
    assert project.label(5) == expected[:5]

    project.backend.stop()
    project.backend.start()
    assert wait_for_start(project) == name
    assert project.label(5) == expected[5:10]

    body = {"project": project.id, "selectedItems": {"all": False, "included": expected[-3:]}}
    studio._call("POST", f"api/dm/actions?id=retrieve_tasks_predictions&project={project.id}", json=body)
    assert studio.project(project.id).model_version == name
    assert studio.next_task(project.id)["id"] == expected[10]  # type: ignore[index]
    assert set(map(str, guesses(project))) == {"[]"}

    project.label(FIT_EVERY - 10)
    project.wait()
    wait_until(lambda: project.board.queue(project.id).stale == 0, "the start order's predictions to be removed")
    assert {p.version for p in studio.our_predictions(project.id)} == {project.version()}


STAGES = {
    "embedding": "after Pool.put_vectors",
    "ordering": "before Pool.put_scores",
    "ordered": "after Pool.put_scores",
    "publishing": "after LabelStudioClient.create_prediction",
    "switching": "before LabelStudioClient.set_model_version",
    "switched": "after LabelStudioClient.set_model_version",
}


def test_a_trainer_that_is_killed_on_the_way_to_the_start_order_goes_on(
    label_studio: LocalStudio, studio: LabelStudioClient, wide: Path, tmp_path: Path, few_pairs: Corpus
) -> None:
    backend = held_backend(label_studio, tmp_path / "held", wide, "serve", **SETTINGS)
    hold, held = tmp_path / "held" / "hold", tmp_path / "held" / "held"
    stages = iter(STAGES.values())
    try:
        backend.start()
        hold.write_text(next(stages))
        project = LiveProject(studio, backend, few_pairs, start=0)
        for stage in stages:
            wait_until(held.exists, "the trainer to be held")
            hold.write_text(stage)
            kill(backend, "trainer")
            held.unlink()
        wait_until(held.exists, "the trainer to be held")
        kill(backend, "trainer")
        held.unlink()
        name, expected = wait_for_start(project), expected_order(project)
        assert published(project, name) == expected[: len(published(project, name))]
        assert {p.version for p in studio.our_predictions(project.id)} == {name}
        assert project.label(3) == expected[:3]
        assert "Traceback" not in backend.tail(10**6)
        disconnect(studio, project.id)
        assert (studio.our_predictions(project.id), studio.project(project.id).model_version) == ([], "")
    finally:
        backend.stop()


def test_a_new_project_gets_its_order_while_another_one_is_fitted(
    label_studio: LocalStudio, studio: LabelStudioClient, wide: Path, tmp_path: Path, few_pairs: Corpus
) -> None:
    """The fit stands still for as long as that takes, also where the new project has labels for a fit of its own."""
    backend = held_backend(label_studio, tmp_path / "held", wide, "serve", **SETTINGS)
    hold, held = tmp_path / "held" / "hold", tmp_path / "held" / "held"
    try:
        backend.start()
        hold.write_text("in fit")
        fitted = LiveProject(studio, backend, few_pairs)
        wait_until(held.exists, "the fit to be held")
        new, labelled = (LiveProject(studio, backend, few_pairs, start) for start in (0, 24))
        name, expected = wait_for_start(new), expected_order(new)
        first = published(new, name)
        assert (len(first) >= 8, first) == (True, expected[: len(first)])
        assert len(published(labelled, wait_for_start(labelled))) >= 8
        assert (held.exists(), fitted.version(), fitted.board.fit(fitted.id).state) == (True, None, "fitting")
        held.unlink()
        fitted.wait()
        labelled.wait()
        assert "Traceback" not in backend.tail(10**6)
    finally:
        backend.stop()


def test_where_it_is_off_nothing_is_published_before_the_first_version(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(**{**SETTINGS, "start_order": "off"}), few_pairs, start=0)
    project.label(3)
    wait_until(lambda: project.board.queue(project.id).labels == 3, "the labels to be known")
    wait_until(lambda: project.board.queue(project.id).reconciles > 5, "more looks at the project")
    assert project.board.queue(project.id).state == "waiting"
    assert studio.our_predictions(project.id) == []
    assert not studio.project(project.id).model_version
    assert not list((project.backend.model_dir / "pools").glob("*.embeddings"))
