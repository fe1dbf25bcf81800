"""Between two fits the queue follows heads of the version: named, on disk, and computed again by plain programs."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers.fits import QUICK
from helpers.held_project import HeldProject, held_backend, some_pairs
from helpers.live_project import LiveProject, kill
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.project_options import change
from nextlabel.learning.heads import EVERY
from nextlabel.loop.controller import HEADS_WINDOW
from nextlabel.settings import Settings
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.values.versions import version_of

StartBackend = Callable[..., LocalBackend]
ON = {**QUICK, "head": "on", "query_strategy": "margin", "fit_every": 1000, "fit_max_wait_s": 3600, "fit_schedule": "8"}


@pytest.fixture
def project(studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus) -> LiveProject:
    found = LiveProject(studio, start_backend(**ON), few_pairs)
    found.wait()
    return found


def order_in_force(project: LiveProject) -> str:
    return project.studio.project(project.id).model_version or ""


def follows(project: LiveProject, after: str) -> bool:
    """Whether Label Studio follows another order than that, in full."""
    status, name = project.board.queue(project.id), order_in_force(project)
    return name not in ("", after) and status.order == name and status.state == "published"


def published_by(project: LiveProject, name: str) -> dict[int, float]:
    """Scores of the unlabelled tasks that are published under a name."""
    labelled = project.labelled()
    found = {p.task_id: p.score for p in project.studio.our_predictions(project.id) if p.version == name}
    return {task: score for task, score in found.items() if task not in labelled}


def margins(directory: Path, head: Path, pairs: dict[int, tuple[str, str]]) -> dict[int, float]:
    """1 - the difference of the two highest probabilities, by plain transformers and the rows in the file."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    with np.load(head) as arrays, torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(arrays["weights_CD"]))
        model.classifier.bias.copy_(torch.from_numpy(arrays["bias_C"]))
    found = {}
    for task, (first, second) in pairs.items():
        with torch.no_grad():
            logits = model(**tokenizer(first, second, truncation=True, return_tensors="pt")).logits[0].double()
        low, high = torch.sort(torch.softmax(logits, dim=0)).values[-2:].tolist()
        found[task] = 1 - (high - low)
    return found


def ranked(values: dict[int, float]) -> list[int]:
    return sorted(values, key=lambda task: -values[task])


def open_pairs(project: LiveProject) -> dict[int, tuple[str, str]]:
    tasks = [task for page in project.studio.tasks_after(project.id, 0) for task in page]
    return {
        task["id"]: (task["data"]["sentence1"], task["data"]["sentence2"])
        for task in tasks
        if not task["annotations"] and task["data"]["split"] == "train"
    }


def test_a_few_labels_renew_the_order_and_a_plain_program_finds_the_same(project: LiveProject) -> None:
    version, before = project.version(), order_in_force(project)
    assert version is not None
    assert version_of(before) == version
    for _ in range(2):
        project.label(EVERY)
        wait_until(partial(follows, project, before), "an order that knows the labels")
        name = order_in_force(project)
        assert version_of(name) == version, "no fit was due"
        [newest] = [
            file
            for file in (project.registry.path(project.id, version) / "heads").iterdir()
            if f".{file.stem}-" in name
        ]
        with np.load(newest) as arrays:
            assert set(arrays["task_ids_N"].tolist()) == project.labelled()
        expected = margins(project.registry.path(project.id, version), newest, open_pairs(project))
        scores = published_by(project, name)
        first = ranked(expected)[: len(scores)]
        assert sorted(scores, key=lambda task: scores[task]) == first
        for task, score in scores.items():
            assert score == pytest.approx(1 - expected[task], abs=1e-4)
        before = name

    change(project.studio, Settings(_env_file=None), project.id, {"pause": "on"})
    wait_until(lambda: project.board.queue(project.id).paused, "the pause")
    served, pending = set(project.label(EVERY)), 3 * EVERY
    wait_until(lambda: project.board.queue(project.id).pending == pending, "the labels to be read")
    wait_until(lambda: len(published_by(project, before)) == HEADS_WINDOW, "the window to be kept full")
    assert order_in_force(project) == before, "it stands"
    scores = published_by(project, before)
    assert (
        sorted(scores, key=lambda task: scores[task])
        == [task for task in ranked(expected) if task not in served][: len(scores)]
    )
    change(project.studio, Settings(_env_file=None), project.id, {"pause": ""})
    wait_until(partial(follows, project, before), "the order to be renewed at once")


# Killed while a head is made and published

STAGES = {
    "making": "before HeadMaker.renewed",
    "saved": "after HeadMaker.renewed",  # nothing of it is published
    "publishing": "after LabelStudioClient.create_prediction",
    "changing": "after LabelStudioClient.replace_prediction",  # of a prediction that the queue may still follow
    "switching": "before LabelStudioClient.set_model_version",
    "switched": "after LabelStudioClient.set_model_version",
    "retiring": "after LabelStudioClient.delete_model_version",  # we do not know yet that they are gone
}


@pytest.fixture(scope="module")
def held(
    label_studio: LocalStudio, studio: LabelStudioClient, wide: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HeldProject]:
    backend = held_backend(
        label_studio, tmp_path_factory.mktemp("held"), wide, head="on", query_strategy="margin", fit_every=1000,
        fit_max_wait_s=3600, fit_schedule="8",
    )  # fmt: skip
    try:
        backend.start()
        project = HeldProject(studio, backend, some_pairs(), 12)
        project.wait()
        yield project
    finally:
        backend.stop()


@pytest.mark.parametrize("stage", STAGES)
def test_a_trainer_that_is_killed_at_a_head_goes_on_with_it(held: HeldProject, stage: str) -> None:
    home, before = held.backend.model_dir, order_in_force(held)
    (home / "hold").write_text(STAGES[stage])
    served = held.label(EVERY)
    wait_until((home / "held").exists, f"the trainer to be {stage}")
    followed = order_in_force(held)
    assert published_by(held, followed), "there is something to serve meanwhile"
    kill(held.backend, "trainer")
    held.go_on()
    wait_until(partial(follows, held, before), "the next head")
    wait_until(lambda: {p.version for p in held.studio.our_predictions(held.id)} == {order_in_force(held)}, "no others")
    version, name = held.version(), order_in_force(held)
    assert version is not None
    heads = held.registry.path(held.id, version) / "heads"
    [newest] = [file for file in heads.iterdir() if f".{file.stem}-" in name]
    with np.load(newest) as arrays:
        assert set(arrays["task_ids_N"].tolist()) >= set(served)
        assert set(arrays["task_ids_N"].tolist()) == held.labelled()
    tasks = [p.task_id for p in held.studio.our_predictions(held.id)]
    assert len(tasks) == len(set(tasks)), "one prediction a task"
    expected, scores = margins(held.registry.path(held.id, version), newest, open_pairs(held)), published_by(held, name)
    assert len(scores) == HEADS_WINDOW
    best = sorted(expected.values(), reverse=True)[: len(scores)]
    assert [expected[task] for task in sorted(scores, key=lambda task: scores[task])] == pytest.approx(best, abs=1e-4)
