"""What tests of the web application share: a MODEL_DIR with a version in it, a client, and what Label Studio sends."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from flask.testing import FlaskClient

from helpers.paths import TESTS
from helpers.versions import make_card
from nextlabel.model.classifier import Recipe
from nextlabel.model.training import fit
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.values.examples import Example
from nextlabel.versions.registry import Registry
from nextlabel.web.app import create_app

PROJECT = 1
AS_SENT = "1.1795444751"  # Label Studio's way to name project 1
VERSION = "nextlabel-1-20261124T063000"
# Bodies that a real Label Studio 1.23.2 has sent; tokens, times, names and addresses in them are neutral ones.
RECORDED: list[dict[str, Any]] = json.loads((TESTS / "recorded_bodies.json").read_text("utf-8"))


def fit_version(model_dir: Path, checkpoint: Path, labels: Sequence[str], texts: Sequence[str], length: int) -> None:
    """Project 1 has an active version afterwards, fitted with as many labels for each class."""
    recipe = Recipe(str(checkpoint), 3, 5e-4, 6, length, seed=0, device="cpu", precision="fp32")
    examples = [Example(i, text) for i, text in enumerate(texts)]
    classifier = fit(recipe, labels, examples, np.arange(len(texts)) % len(labels))
    registry = Registry(model_dir)
    registry.save(make_card(1, labels), dict(enumerate(labels)), classifier.save)
    registry.promote(PROJECT, VERSION)


def client_of(model_dir: Path, **settings: Any) -> FlaskClient:
    """A client of the app, whose queue has time even on a machine whose disk is busy."""
    with patch("nextlabel.store.jobs.ANSWER_S", 10.0):
        settings = {"device": "cpu", "precision": "fp32", **settings}
        app = create_app(Settings(_env_file=None, model_dir=model_dir, **settings))
    return app.test_client()


def jobs_in(model_dir: Path) -> list[tuple[str, tuple[Any, ...]]]:
    """Name and arguments of every job that the trainer will find."""
    queue = JobQueue(model_dir)
    found = [(job.name, job.args) for job in (*queue.huey.pending(), *queue.huey.scheduled())]
    assert len(found) == queue.waiting()
    queue.huey.storage.close()
    return found
