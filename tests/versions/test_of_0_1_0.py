"""A MODEL_DIR that the build of commit 578bf69 (release 0.1.0) left behind, with a version fitted on 24 labels."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers.house import CONFIG, PROJECT
from helpers.paths import TESTS
from helpers.served import client_of
from nextlabel.settings import Settings, for_project
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.versions.history import note_fits, read
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

VERSION = "nextlabel-1-19700101T001740"
TEXTS = ("yes, yes, number 7", "no, no, number 12", "yes, no, number 3")


@pytest.fixture
def left(tmp_path: Path) -> Path:
    with zipfile.ZipFile(TESTS / "versions" / "model_dir_of_0_1_0.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def plain(directory: Path, text: str) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    with torch.no_grad():
        logits_C = model(**tokenizer(text, truncation=True, max_length=16, return_tensors="pt")).logits[0]
    probs: list[float] = torch.softmax(logits_C.double(), dim=0).tolist()
    return probs


def test_its_version_is_active_whole_and_knows_its_labels(left: Path) -> None:
    registry = Registry(left)
    assert registry.projects() == [PROJECT]
    assert registry.current(PROJECT) == registry.promoted(PROJECT) == VERSION
    registry.verify(PROJECT, VERSION)
    card = registry.card(PROJECT, VERSION)
    assert (card.strategy, card.examples, card.features, card.labels) == ("entropy", 24, 0, ("pos", "neg"))
    assert len(registry.fitted_labels(PROJECT, VERSION)) == 24
    own = for_project(Settings(_env_file=None), registry.options(PROJECT))
    assert (own.strategy, own.head, own.fit_steps, own.near_copies) == ("entropy", "off", 343, "serve")


def test_it_answers_as_plain_transformers_does(left: Path) -> None:
    tasks: list[dict[str, Any]] = [{"id": i, "data": {"text": text}} for i, text in enumerate(TEXTS)]
    body = {"tasks": tasks, "project": f"{PROJECT}.1795444751", "label_config": CONFIG}
    answer = client_of(left).post("/predict", json=body).get_json()
    assert answer["model_version"] == VERSION
    for text, result in zip(TEXTS, answer["results"], strict=True):
        said = result["result"][0]["meta"]["probabilities"]
        assert [said["pos"], said["neg"]] == pytest.approx(plain(left / "models" / "1" / VERSION, text), abs=1e-6)


def test_its_card_becomes_a_point_of_the_history(left: Path) -> None:
    note_fits(Registry(left), PROJECT)
    [fit] = read(Registry(left), PROJECT).fits.values()
    assert (fit.version, fit.labels, fit.at, fit.refused, fit.held_out) == (VERSION, 24, 1060.0, "", ())


def test_its_copy_of_the_project_is_read_again_and_what_it_said_is_understood(left: Path) -> None:
    with Pool(pool_path(left, PROJECT)) as pool:
        assert pool.size() == 0
        assert not pool.state(SyncState).complete
    assert StatusBoard(left).fit(PROJECT).fits == 1


def test_its_last_layer_is_found_as_that_of_versions_made_today(left: Path) -> None:
    registry = Registry(left)
    loaded = LoadedVersions(Settings(_env_file=None, device="cpu", precision="fp32"), registry, 1)
    layer = loaded.last_layer(registry.card(PROJECT, VERSION))
    model = AutoModelForSequenceClassification.from_pretrained(registry.path(PROJECT, VERSION))
    assert layer.weights_CD == pytest.approx(model.classifier.weight.detach().double().numpy())
