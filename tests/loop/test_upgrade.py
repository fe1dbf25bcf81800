"""A project of release 0.1.0 (commit 578bf69), MODEL_DIR and Label Studio's rows as that build left them, goes on with
today's build, a step back with the old one, and forward again."""

import sqlite3
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers.paths import TESTS
from helpers.ports import own_port
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio import tasks
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.project_options import change
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import QueueState
from nextlabel.store.status import StatusBoard
from nextlabel.values.options import LATEST
from nextlabel.values.versions import Card, version_number
from nextlabel.versions.registry import Registry

LEFT = TESTS / "loop"  # home and studio as the old build left them, and the modules of the build itself that serve
PROJECT, URL = 578002, "http://backend:9090"
AS_BEFORE: dict[str, Any] = {  # the environment that the old build ran with
    "base_model": "base", "fit_every": 6, "fit_steps": 40, "learning_rate": 5e-3, "batch_size": 16, "max_length": 32,
    "window": 8, "reconcile_s": 1, "precision": "fp32", "device": "cpu",
}  # fmt: skip


@dataclass
class Home:
    """The project, and MODEL_DIR, which one build at a time works on."""

    server: LocalStudio
    studio: LabelStudioClient
    model_dir: Path
    port: int
    build: LocalBackend | None = None

    def run(self, *program: str, **environment: Any) -> None:
        self.stop()
        self.build = LocalBackend(self.server, self.model_dir, self.port, **AS_BEFORE, **environment)
        self.build.program = program or self.build.program
        self.build.start()

    def stop(self) -> None:
        if self.build is not None:
            self.build.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def registry(self) -> Registry:
        return Registry(self.model_dir)

    @property
    def board(self) -> StatusBoard:
        return StatusBoard(self.model_dir)

    def settle(self, number: int) -> Card:
        """Until the queue follows the version of that number, or a head of it, and nothing is in progress."""

        def settled() -> bool:
            status, version = self.board.queue(PROJECT), self.registry.current(PROJECT) or ""
            done = (status.state, status.version, status.stale) == ("published", version, 0)
            followed = self.studio.project(PROJECT).model_version
            return done and version_number(version) == number and followed in (version, status.order)

        wait_until(settled, f"version {number} in the queue")
        return self.registry.cards(PROJECT)[0]

    def look_again(self) -> None:
        looks = self.board.queue(PROJECT).reconciles
        wait_until(lambda: self.board.queue(PROJECT).reconciles > looks + 2, "some looks")

    def label(self, count: int) -> list[int]:
        """The tasks that were served."""
        return [self._label() for _ in range(count)]

    def _label(self) -> int:
        task = self.studio.next_task(PROJECT)
        assert task is not None
        config = parse_label_config(self.studio.project(PROJECT).label_config)
        label = "pos" if len(task["data"]["text"].split()[0]) % 2 else "neg"
        self.studio.annotate(task["id"], tasks.result_of(config, label))
        return int(task["id"])

    def tasks(self) -> list[tuple[int, str, bool]]:
        """Id and text of each, and whether it has a label."""
        pages = self.studio.tasks_after(PROJECT, 0)
        return [(task["id"], task["data"]["text"], bool(task["annotations"])) for page in pages for task in page]

    def labelled(self) -> set[int]:
        return {task for task, _, labelled in self.tasks() if labelled}

    def order_by_entropy(self, version: str) -> list[int]:
        """Open tasks by falling entropy of the version's weights, by plain transformers."""
        directory = self.registry.path(PROJECT, version)
        tokenizer = AutoTokenizer.from_pretrained(directory)
        model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
        open_tasks = [(task, text) for task, text, labelled in self.tasks() if not labelled]
        entropies = []
        for _, text in open_tasks:
            with torch.no_grad():
                probs_C = torch.softmax(model(**tokenizer(text, return_tensors="pt")).logits[0].double(), dim=0)
            entropies.append(-float((probs_C * probs_C.log()).sum()))
        return [open_tasks[i][0] for i in np.argsort(-np.array(entropies), kind="stable")]

    def in_label_studio(self) -> dict[str, object]:
        """All that a backend of ours ever changes there."""
        studio = self.studio
        return {
            "project": studio.project(PROJECT),
            "options": [(found.url, found.title, found.extra_params) for found in studio.ml_backends(PROJECT)],
            "webhooks": studio.webhooks(PROJECT),
            "predictions": set(studio.our_predictions(PROJECT)),
        }


@pytest.fixture
def left(label_studio: LocalStudio, studio: LabelStudioClient, tmp_path: Path) -> Iterator[Home]:
    home = Home(label_studio, studio, tmp_path / "home", own_port(19100))
    with zipfile.ZipFile(LEFT / "home_of_0_1_0.zip") as archive:
        archive.extractall(home.model_dir)
    rows = (LEFT / "studio_of_0_1_0.sql").read_text(encoding="utf-8").replace(URL, home.url)
    with closing(sqlite3.connect(label_studio.data_dir / "label_studio.sqlite3", timeout=30)) as db:
        db.executescript(f"BEGIN IMMEDIATE; {rows} COMMIT;")
    yield home
    home.stop()


@pytest.fixture
def of_0_1_0(tmp_path: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    """How the old build is run."""
    with zipfile.ZipFile(LEFT / "build_of_0_1_0.zip") as archive:
        archive.extractall(tmp_path / "old")
    return (sys.executable, "-m", "backend"), {"pythonpath": tmp_path / "old"}


def test_a_choice_of_a_person_is_known_from_our_own_after_the_upgrade(tmp_path: Path) -> None:
    with zipfile.ZipFile(LEFT / "home_of_0_1_0.zip") as archive:
        archive.extractall(tmp_path)
    with Pool(pool_path(tmp_path, PROJECT)) as pool:
        switched = pool.state(QueueState)
    newest, older = Registry(tmp_path).versions(PROJECT)
    assert (switched.before, switched.after) == (older, newest)


@pytest.mark.usefixtures("patience")
def test_a_project_of_0_1_0_goes_on_as_before_until_it_is_connected_and_one_step_back_works(
    left: Home, of_0_1_0: tuple[tuple[str, ...], dict[str, Any]]
) -> None:
    before, labels = left.in_label_studio(), left.labelled()
    left.run()
    second = left.settle(2)
    left.look_again()
    assert left.in_label_studio() == before, "nothing is changed unasked"
    assert "keeps the defaults of release 0.1.0" in " ".join(left.board.queue(PROJECT).remarks)
    served = left.order_by_entropy(second.version)[:4]
    assert left.label(4) == served
    third = left.settle(3)
    assert (third.strategy, third.recipe["steps"], third.features) == ("entropy", 40, 0)
    assert third.parent == second.version
    assert set(left.registry.fitted_labels(PROJECT, third.version)) == labels | set(served)

    # A step back from a project that has taken over all that is new.
    connect(left.studio, PROJECT, left.url, Credentials())
    change(left.studio, Settings(_env_file=None), PROJECT, {"fit_every": "12"})  # which the old build does not know
    wait_until(lambda: left.registry.options(PROJECT).own == {"fit_every": 12}, "the trainer to take over what is new")
    left.studio.start_training(PROJECT)
    assert left.settle(4).strategy == "margin"
    left.label(7)  # of which one or two are of the control set
    wait_until(lambda: "nextlabel-4.1-" in (left.studio.project(PROJECT).model_version or ""), "a head")
    left.stop()
    JobQueue(left.model_dir).want_start(PROJECT)  # which the old build does not know
    program, environment = of_0_1_0
    left.run(*program, **environment)
    left.settle(5)
    left.label(6)
    sixth = left.settle(6)
    assert set(left.registry.fitted_labels(PROJECT, sixth.version)) == left.labelled(), "of the control set, too"

    left.run()
    assert left.settle(6) == sixth
    kept = left.registry.options(PROJECT)
    assert (kept.defaults, bool(kept.control_seed), kept.own) == (LATEST, True, {"fit_every": 12})
    versions = left.registry.versions(PROJECT)
    assert [version_number(version) for version in versions[:5]] == [6, 5, 4, 3, 2]
    assert {left.registry.damage(PROJECT, version) for version in versions} == {""}
