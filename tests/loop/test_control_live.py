"""The control set with a real Label Studio: in its slots, without a guess, and in no file of any version."""

from collections.abc import Callable

import httpx
import numpy as np
import pytest

from helpers.fits import QUICK
from helpers.kept_out import found_in, give_rare_ids
from helpers.live_project import LiveProject
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.registration import find_backend
from nextlabel.learning.control import Control, places
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.values.examples import Example
from nextlabel.values.options import ProjectOptions
from nextlabel.values.versions import version_of

StartBackend = Callable[..., LocalBackend]
SHARE = 0.2
ON = {**QUICK, "control_share": SHARE, "fit_every": 8, "fit_max_wait_s": 3600}


def control_of(project: LiveProject) -> dict[int, str]:
    """The reserved tasks with their draws, by the rule alone."""
    backend = find_backend(project.studio, project.id)
    assert backend is not None
    rule = Control(ProjectOptions.of(backend.extra_params).control_seed, SHARE)
    tasks = [task for page in project.studio.tasks_after(project.id, 0) for task in page]
    train = [task["id"] for task in tasks if task["data"]["split"] == "train"]
    texts = {task["id"]: (task["data"]["sentence1"], task["data"]["sentence2"]) for task in tasks}
    draws = {task: rule.drawn(Example(task, *texts[task])) for task in train}
    return {task: place for task, place in draws.items() if place}


def settled(project: LiveProject, labels: int) -> Callable[[], bool]:
    """Whether all labels are known, and the queue follows what they made due."""

    def is_settled() -> bool:
        status = project.board.queue(project.id)
        followed = project.studio.project(project.id).model_version or ""
        knows_all = status.labels + status.control >= labels
        return version_of(followed) == project.version() and status.state == "published" and knows_all

    return is_settled


@pytest.mark.parametrize("head", ["off", "on"])
def test_some_labels_are_of_the_control_set_in_turns_by_their_draws_and_nothing_is_learnt_from_it(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: StartBackend,
    few_pairs: Corpus,
    head: str,
) -> None:
    give_rare_ids(label_studio)
    project = LiveProject(studio, start_backend(**{**ON, "head": head}), few_pairs)
    control = control_of(project)
    first = project.wait()
    before, served = set(project.labelled()), list[int]()
    for _ in range(4 * 5):
        known = len(before) + len(served)
        wait_until(settled(project, known), "the queue to know the last label")
        served += project.label(1)
    of_control = [place for place, task in enumerate(served) if task in control]
    order = sorted(control.keys() - before, key=lambda task: control[task])
    assert [served[place] for place in of_control] == order[: len(of_control)], "in the order of their draws"
    steps = places(SHARE, 0, [control[task] for task in order], others=0)
    assert len(of_control) > 1
    assert np.diff(of_control).tolist() == np.diff(steps[: len(of_control)]).tolist(), "as their draws say"

    project.wait(newer_than=first)
    project.backend.stop()  # or a fit that is under way would move files while they are searched
    home, learnt = project.registry.home(project.id), project.labelled() - control.keys()
    assert "labels.json" in found_in(home, learnt, widths=(8,)), "the search finds what is there"
    assert found_in(home, control, widths=(8,)) == set()
    shown = [p for p in studio.our_predictions(project.id) if p.task_id in control]
    assert shown
    assert all(p.choice == "" for p in shown)


def test_a_holdout_is_labelled_first_and_a_control_task_is_answered_without_a_guess(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend(**ON), few_pairs)
    control = control_of(project)
    project.wait()
    known = project.labelled() & control.keys()
    connect(studio, project.id, project.backend.url, Credentials(), control_first=len(known) + 3)
    due = sorted(control.keys() - known, key=lambda task: control[task])[:3]
    wait_until(lambda: project.queue()[:3] == due, "the first tasks of the control set to come first")
    assert project.label(len(due)) == due
    config = studio.project(project.id).label_config
    tasks = [studio.task(due[0]), studio.task(min(project.published().keys() - control.keys()))]
    body = {"tasks": tasks, "project": f"{project.id}.1", "label_config": config}
    answers = httpx.post(f"{project.backend.url}/predict", json=body, timeout=60).json()["results"]
    assert [bool(answer["result"]) for answer in answers] == [False, True]

    train = {t["id"] for page in studio.tasks_after(project.id, 0) for t in page if t["data"]["split"] == "train"}
    left = train - project.labelled()

    def is_told(published: int) -> bool:
        status = project.board.queue(project.id)
        return (status.left, status.pool, status.window) == (len(left), len(left - control.keys()), published)

    wait_until(lambda: is_told(len(left & project.published().keys())), "what is left and published to be told")
    assert left & project.published().keys() & control.keys(), "of the control set, too"
    studio.update_project(project.id, sampling="Sequential sampling")
    wait_until(lambda: is_told(0), "none to come next, as the order is not followed")
    assert project.board.queue(project.id).state == "overruled"
