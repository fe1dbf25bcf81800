"""Options of one project, kept in Label Studio: a command sets them, the trainer takes them over, they outlive it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from helpers.fits import FIT_EVERY, QUICK
from helpers.live_project import SEEDS, LiveProject
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio
from nextlabel.labelstudio import connection
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.doctor import examine
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.values.options import OF_0_1_0

StartBackend = Callable[..., LocalBackend]
WINDOW = 10


class Command:
    """`nextlabel options` for one project, in an environment of its own."""

    def __init__(self, label_studio: LocalStudio, project: int, **settings: str):
        self.project = str(project)
        keys = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token}
        self.environment = {**os.environ, **keys, **settings}

    def run(self, *changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nextlabel", "options", "--project", self.project, *changes]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300, check=False)

    def shown(self, *changes: str) -> list[str]:
        done = self.run(*changes)
        assert done.returncode == 0, done.stderr
        return [line.removeprefix(f"project {self.project}: ") for line in done.stdout.splitlines()]

    def refused(self, *changes: str) -> str:
        done = self.run(*changes)
        assert done.returncode == 1
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr.strip()


def test_the_trainer_takes_options_over_and_finds_them_again_without_its_files(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    backend = start_backend(fit_every=1000, fit_max_wait_s=3600)
    project = LiveProject(studio, backend, few_pairs)
    options = Command(label_studio, project.id, FIT_EVERY="7")  # which is not the backend's
    wait_until(lambda: project.board.queue(project.id).pending == SEEDS, "the labels to be known")
    why, *here = options.shown("--backend-url", "http://127.0.0.1:9")
    assert ("cannot be asked from here" in why, here[2]) == (True, "fit_every=7 (environment of this shell)")
    assert options.shown() == [
        "strategy=entropy (environment of the backend)",
        "window=24 (environment of the backend)",
        "fit_every=1000 (environment of the backend)",
        "fit_max_wait_s=3600.0 (environment of the backend)",
        "fit_steps=6 (environment of the backend)",
        "learning_rate=0.0001 (environment of the backend)",
        "fit_schedule=off (environment of the backend)",
        "head=off (environment of the backend)",
        "start_order=off (environment of the backend)",
        "near_copies=serve (environment of the backend)",
        "control_share=0.0 (environment of the backend)",
        "after_certificate=hold (built in)",
        "leave_out= (built in)",
        "guideline_since= (built in)",
        "older_labels=0 (built in)",
        "hold_out= (built in)",
        "look_again=0 (built in)",
        "second_votes=0 (built in)",
        "fields= (labelling config)",
        "label_map= (built in)",
        "ignored_labels= (built in)",
        "control_first=0 (built in)",
        "combine_questions=mean (built in)",
        "combine_labels=maximum (built in)",
        "question_weights= (built in)",
        "look_for= (built in)",
        "class_targets= (built in)",
        "pause=off (built in)",
        "show_people=off (built in)",
    ]
    assert project.board.queue(project.id).message == f"{SEEDS} of 1000 new labels until the next fit"

    shown = options.shown(f"window={WINDOW}", f"fit_every={SEEDS}", "strategy=margin", "fit_steps=4")
    assert shown[:3] == ["strategy=margin (project)", f"window={WINDOW} (project)", f"fit_every={SEEDS} (project)"]
    card = project.registry.card(project.id, project.wait())
    assert (card.strategy, card.recipe["steps"]) == ("margin", 4)
    wait_until(lambda: len(studio.our_predictions(project.id)) == WINDOW, "a window of the project's own length")
    active = (
        f"Active: strategy=margin (project), window={WINDOW} (project), fit_every={SEEDS} (project), fit_max_wait_s"
    )
    found = list(examine(studio, label_studio.login.token, backend.url, Credentials(), project.id))
    assert [finding.answer for finding in found if finding.answer.startswith(active)]

    backend.stop()
    shutil.rmtree(backend.model_dir)
    backend.start()
    studio.ml_backends(project.id)  # as whoever opens the project's settings: Label Studio asks our /setup
    again = project.registry.card(project.id, project.wait())
    assert (again.number, again.strategy, again.recipe["steps"]) == (1, "margin", 4)
    assert again.created_at > card.created_at
    wait_until(lambda: len(project.published()) == WINDOW, "a window of the project's own length")

    assert options.shown("fit_every=", "strategy=")[:3] == [
        "strategy=entropy (environment of the backend)",
        f"window={WINDOW} (project)",
        "fit_every=1000 (environment of the backend)",
    ]
    [kept] = studio.ml_backends(project.id)
    assert {name: kept.extra_params["nextlabel"][name] for name in ("window", "fit_steps")} == {
        "window": WINDOW,
        "fit_steps": 4,
    }
    assert options.shown("look_for=texts about money", 'class_targets={"different": 30}')[-4:-2] == [
        'look_for=["texts about money"] (project)',
        'class_targets={"different": 30} (project)',
    ]
    assert options.shown("look_for=", "class_targets=")[-4:-2] == [
        "look_for= (built in)",
        "class_targets= (built in)",
    ]
    wait_until(lambda: "of 1000 new labels" in project.board.queue(project.id).message, "the old schedule")
    assert project.registry.card(project.id, project.wait()).strategy == "margin", "until the next fit"


def test_a_project_of_0_1_0_keeps_its_ways_until_it_is_connected_again(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: StartBackend,
    few_pairs: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = start_backend(**dict.fromkeys(PLAIN_ORDER, ""))
    with monkeypatch.context() as then:
        then.setattr(connection, "LATEST", OF_0_1_0)
        project = LiveProject(studio, backend, few_pairs)
    version = project.wait()
    assert project.registry.card(project.id, version).strategy == "entropy"
    project.label(FIT_EVERY - 1)
    wait_until(lambda: project.board.queue(project.id).pending == FIT_EVERY - 1, "the labels to be known")
    wait_until(lambda: project.is_active() and len(project.queue()) == QUICK["window"], "a window")
    assert project.version() == version
    assert project.queue() == project.order_by_entropy(version)[: len(project.queue())]
    assert not (project.registry.path(project.id, version) / "heads").exists()
    [remark] = project.board.queue(project.id).remarks
    assert f"nextlabel connect --project {project.id}" in remark

    keys = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token}
    command = [sys.executable, "-m", "nextlabel", "connect", "--project", str(project.id)]
    said = subprocess.run(command, env={**os.environ, **keys}, capture_output=True, text=True, check=True).stdout
    for change in ("strategy=margin (before: entropy)", "head=on (before: off)", "near_copies=hold (before: serve)"):
        assert f"takes over what is built in today: {change}" in said
    again = subprocess.run(command, env={**os.environ, **keys}, capture_output=True, text=True, check=True).stdout
    assert "takes over" not in again
    project.label(1)
    wait_until(lambda: project.version() != version, "the next version")
    card = project.registry.card(project.id, project.version() or "")
    assert card.strategy == "margin"
    assert card.features
    wait_until(lambda: not project.board.queue(project.id).remarks, "nothing is left to say")


def test_what_is_no_option_is_refused_before_anything_is_changed(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    project = LiveProject(studio, start_backend("web"), few_pairs)
    options, before = Command(label_studio, project.id), studio.ml_backends(project.id)
    assert options.refused("windwo=64") == (
        "A project has no option 'windwo'. Give one of strategy, window, fit_every, fit_max_wait_s, fit_steps, "
        "learning_rate, fit_schedule, head, start_order, near_copies, control_share, "
        "after_certificate, look_for, class_targets, question_weights, combine_questions, combine_labels, leave_out, "
        "guideline_since, older_labels, hold_out, pause, show_people, look_again, second_votes."
    )
    assert options.refused("fit_every=8", "window=0") == (
        "window='0' is not possible: expected a whole number of tasks, at least 1."
    )
    assert "expected one of entropy, margin" in options.refused("strategy=bald")
    assert options.refused('look_for={"refund": "money"}') == (
        "look_for names the label 'refund', which is not learnt. Give one of ['paraphrase', 'different']."
    )
    assert options.refused('class_targets={"different": 0}') == (
        "class_targets='{\"different\": 0}' is not possible: expected how many labels are wanted of a class, such as "
        '{"refund": 30}.'
    )
    assert options.refused("leave_out=Anna").startswith("leave_out='Anna' is not possible: expected accounts by their")
    assert options.refused("older_labels=1").startswith("older_labels='1' is not possible: expected a number from 0 to")
    assert options.refused("guideline_since=20 November").endswith("expected a day (in UTC) such as 2026-11-20.")
    assert options.refused("look_for=[1").startswith("look_for='[1' is not possible: expected a text, a list of texts")
    command = f"`nextlabel connect --project {project.id} --fields A,B`"
    assert options.refused("fields=text") == f"The option fields is changed with {command}."
    assert studio.ml_backends(project.id) == before

    elsewhere = studio.create_project("not connected", studio.project(project.id).label_config)
    assert Command(label_studio, elsewhere).refused() == (
        f"Project {elsewhere} has no Nextlabel ML backend, with which options are kept. Run `nextlabel connect "
        f"--project {elsewhere}`."
    )


def test_a_mistyped_option_that_was_saved_in_label_studio_is_said_and_connecting_again_mends_it(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    backend = start_backend()
    project = LiveProject(studio, backend, few_pairs)
    [row] = studio.ml_backends(project.id)
    mistyped = {"nextlabel": {**row.extra_params["nextlabel"], "window": "many", "fit_every": 7}}
    studio.update_ml_backend(row.id, project.id, row.url, row.title, "", "", mistyped)
    [changed] = studio.ml_backends(project.id)
    assert changed.since == row.since > "2020", "since when it is connected tells whether marks may be lost"
    said = "nextlabel.window='many'; expected a whole number of tasks, at least 1."
    wait_until(lambda: said in project.board.queue(project.id).message, "it to be said")
    assert project.board.queue(project.id).state == "refused"
    connect(studio, project.id, backend.url, Credentials())
    assert Command(label_studio, project.id).shown()[1:3] == [
        "window=24 (environment of the backend)",
        "fit_every=7 (project)",
    ]
    wait_until(lambda: project.board.queue(project.id).state != "refused", "the project to be served again")
