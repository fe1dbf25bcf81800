"""A project that is connected to a backend, as end-to-end tests look at it: what is active, what is published, in
which order it should be."""

from collections.abc import Callable

import httpx
import numpy as np
import psutil
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers.waiting import wait_until
from nextlabel.lab.annotators import annotate, gold_of
from nextlabel.lab.importing import import_corpus
from nextlabel.lab.sandbox import LocalBackend
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.simulation.datasets.corpora import Corpus, Pair, own_pairs
from nextlabel.store.status import StatusBoard
from nextlabel.versions.registry import Registry

SEEDS = 24
StartBackend = Callable[..., LocalBackend]


class LiveProject:
    """A connected project, as a test looks at it."""

    def __init__(self, studio: LabelStudioClient, backend: LocalBackend, corpus: Corpus, start: float = SEEDS):
        self.studio, self.backend, self.corpus = studio, backend, corpus
        self.id = import_corpus(studio, corpus, "loop", start, seed=0)
        connect(studio, self.id, backend.url, Credentials(), show_predictions=False)
        self.registry, self.board = Registry(backend.model_dir), StatusBoard(backend.model_dir)

    def version(self) -> str | None:
        return self.registry.current(self.id)

    def is_active(self) -> bool:
        """Whether Label Studio follows our current version with a complete window, and nothing is in progress."""
        version, status = self.version(), self.board.queue(self.id)
        return (
            version is not None
            and status.version == version
            and status.state == "published"
            and self.studio.project(self.id).model_version == version
        )

    def wait(self, newer_than: str | None = None) -> str:
        wait_until(lambda: self.version() != newer_than and self.is_active(), "a new active version")
        version = self.version()
        assert version is not None
        return version

    def label(self, count: int, studio: LabelStudioClient | None = None) -> list[int]:
        answers = annotate(studio or self.studio, self.id, gold_of(self.corpus))
        return [next(answers).task_id for _ in range(count)]

    def order_by_entropy(self, version: str) -> list[int]:
        """Open tasks by falling entropy of the version's weights, computed with plain transformers."""
        directory = self.registry.path(self.id, version)
        tokenizer = AutoTokenizer.from_pretrained(directory)
        model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
        open_tasks = [
            task
            for page in self.studio.tasks_after(self.id, 0)
            for task in page
            if not task["annotations"] and task["data"]["split"] == "train"
        ]
        entropies = []
        for task in open_tasks:
            pair = tokenizer(task["data"]["sentence1"], task["data"]["sentence2"], truncation=True, return_tensors="pt")
            with torch.no_grad():
                probs_C = torch.softmax(model(**pair).logits[0].double(), dim=0).numpy()
            entropies.append(-np.sum(probs_C * np.log(probs_C)))
        return [open_tasks[i]["id"] for i in np.argsort(-np.array(entropies), kind="stable")]

    def labelled(self) -> set[int]:
        """Tasks to learn from that Label Studio holds an annotation for, which is no skip."""
        return {
            task["id"]
            for page in self.studio.tasks_after(self.id, 0)
            for task in page
            if task["data"]["split"] == "train" and any(not a["was_cancelled"] for a in task["annotations"])
        }

    def lost(self, version: str) -> set[int]:
        """Labels that the version has not seen."""
        return self.labelled() - set(self.registry.fitted_labels(self.id, version))

    def queue(self) -> list[int]:
        """Published tasks without a label, in the order in which Label Studio serves them."""
        scores, labelled = self.published(), self.labelled()
        return sorted(scores.keys() - labelled, key=lambda task: (scores[task], task))

    def published(self) -> dict[int, float]:
        """Scores in Label Studio of the active version, by task."""
        version = self.version()
        return {p.task_id: p.score for p in self.studio.our_predictions(self.id) if p.version == version}


def kill(backend: LocalBackend, command: str) -> None:
    """SIGKILL for the `web` or the `trainer` process."""
    for child in psutil.Process(backend.pid).children():
        if command in child.cmdline():
            child.kill()
            return
    raise AssertionError(f"no {command} process")


def healthy(backend: LocalBackend) -> bool:
    """Whether the web process answers."""
    try:
        return httpx.get(f"{backend.url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def plain_pairs(count: int, start: int = 0) -> list[Pair]:
    """Some of our own pairs."""
    return list(own_pairs().train[start : start + count])
