"""Label Studio's ML backend protocol as Label Studio speaks it, and everything else that may knock at the port."""

import io
import json
import math
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flask.testing import FlaskClient
from pydantic import SecretStr
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from werkzeug.test import TestResponse

from helpers.pages import parse
from helpers.served import AS_SENT, PROJECT, VERSION, client_of, fit_version, jobs_in
from helpers.versions import make_card
from nextlabel.labelstudio.connection import Credentials
from nextlabel.learning.heads import Head
from nextlabel.model.classifier import load
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.linear import Linear
from nextlabel.values.options import ProjectOptions
from nextlabel.values.versions import UNTRAINED
from nextlabel.versions import heads
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry
from nextlabel.web.app import MAX_BODY
from nextlabel.web.protocol import HINTS, MAX_TASKS
from nextlabel.web.services import MAX_PREDICTIONS
from nextlabel.web.serving import WEB_THREADS
from nextlabel.web.words import sentence as as_sentence

LABELS = ("pos", "neg", "mixed")
CHOICES = "".join(f'<Choice value="{label}"/>' for label in LABELS)
CONFIG = f'<View><Text name="text" value="$text"/><Choices name="label" toName="text">{CHOICES}</Choices></View>'
PAIRS = CONFIG.replace("<View>", '<View><Text name="other" value="$other"/>')
TWO_CHOICES = CONFIG.replace("</View>", f'<Choices name="label" toName="text">{CHOICES}</Choices></View>')
MAX_LENGTH = 64

TEXTS = ("a fine day", "what a bad and long idea this was", "so and so", "good", "awful weather", "it depends")


@pytest.fixture(scope="module")
def fitted_dir(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A MODEL_DIR in which project 1 has a version. Not to be changed."""
    model_dir = tmp_path_factory.mktemp("fitted")
    fit_version(model_dir, tiny, LABELS, TEXTS, MAX_LENGTH)
    return model_dir


@pytest.fixture(scope="module")
def fitted(fitted_dir: Path) -> FlaskClient:
    """A client of a backend that has fitted a version."""
    return client_of(fitted_dir)


@pytest.fixture
def fresh(tmp_path: Path) -> FlaskClient:
    """A client of a backend that knows nothing yet."""
    return client_of(tmp_path)


def strict(response: TestResponse) -> dict[str, Any]:
    """The JSON of an answer; fails on NaN and Infinity, which Label Studio cannot read."""
    assert response.content_type == "application/json"
    answer = json.loads(response.get_data(as_text=True), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert isinstance(answer, dict)
    return answer


def predict(client: FlaskClient, tasks: Sequence[object], config: str = CONFIG) -> list[dict[str, Any]]:
    body = {"tasks": tasks, "project": AS_SENT, "label_config": config, "params": {"login": None, "context": None}}
    response = client.post("/predict", json=body)
    assert response.status_code == 200
    results = strict(response)["results"]
    assert isinstance(results, list)
    return results


def task(text: object, number: int = 1, **more: object) -> dict[str, object]:
    return {"id": number, "data": {"text": text, **more}, "project": 1, "annotations": [], "predictions": []}


# Is it there, and what does it serve


def test_health_is_up(fresh: FlaskClient) -> None:
    assert strict(fresh.get("/health"))["status"] == "UP"


def setup_body(**changes: object) -> dict[str, object]:
    body = {"project": AS_SENT, "schema": CONFIG, "hostname": "http://localhost:18080", "extra_params": None}
    return {**body, "access_token": "aaaabbbbccccddddeeeeffff0000111122223333", **changes}


def test_setup_of_an_unknown_project_names_no_version_and_has_the_project_looked_at(
    fresh: FlaskClient, tmp_path: Path
) -> None:
    for _ in range(2):  # Label Studio asks at least twice
        assert strict(fresh.post("/setup", json=setup_body())) == {"model_version": "nextlabel-untrained"}
    assert jobs_in(tmp_path) == [("reconcile", (1, True))]


def test_setup_of_a_known_project_asks_for_no_work(fresh: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).know(PROJECT)
    assert strict(fresh.post("/setup", json=setup_body())) == {"model_version": UNTRAINED}
    assert jobs_in(tmp_path) == []


def test_the_echo_of_our_own_switch_is_no_hint_and_a_persons_change_is(fresh: FlaskClient, tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    queue.expect_echo(PROJECT, VERSION)
    event = {"action": "PROJECT_UPDATED", "project": {"id": PROJECT, "model_version": VERSION}}
    for hints in (0, 1, 1):  # one event for a switch; a second hint joins the first
        assert fresh.post("/webhook", json=event).status_code == 201
        assert len(jobs_in(tmp_path)) == hints


@pytest.mark.parametrize("name", ["nextlabel-2", None, 7, {"a": 1}])
def test_an_event_that_names_another_version_is_no_echo(name: object, fresh: FlaskClient, tmp_path: Path) -> None:
    JobQueue(tmp_path).expect_echo(PROJECT, VERSION)
    fresh.post("/webhook", json={"action": "PROJECT_UPDATED", "project": {"id": PROJECT, "model_version": name}})
    assert len(jobs_in(tmp_path)) == 1


def test_setup_names_the_current_version(fitted: FlaskClient) -> None:
    assert strict(fitted.post("/setup", json=setup_body())) == {"model_version": VERSION}
    assert strict(fitted.post("/setup", json=setup_body(project="2.1795444751"))) == {"model_version": UNTRAINED}


def test_setup_keeps_the_token_to_itself(fresh: FlaskClient, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for body in (setup_body(), setup_body(schema=TWO_CHOICES), setup_body(project="x")):
        assert b"aaaabbbb" not in fresh.post("/setup", json=body).data
    assert caplog.messages, "the refusals are logged"
    assert "aaaabbbb" not in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"aaaabbbb" in path.read_bytes()]


def test_setup_answers_for_a_config_it_cannot_serve_and_has_the_trainer_say_why(
    fresh: FlaskClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = strict(fresh.post("/setup", json=setup_body(schema=TWO_CHOICES)))
    assert answer["model_version"] == UNTRAINED
    assert "are named ['label', 'label']; give each its own name" in answer["refused"]
    assert caplog.messages == [f"/setup: {answer['refused']}"]
    assert jobs_in(tmp_path) == [("reconcile", (1, True))]


def test_versions_are_told_of_all_projects_or_of_one(fitted: FlaskClient) -> None:
    assert strict(fitted.get("/versions")) == {"versions": [VERSION]}
    assert strict(fitted.get("/versions?project=1")) == {"versions": [VERSION]}
    assert strict(fitted.post("/versions", json={"project": AS_SENT})) == {"versions": [VERSION]}
    assert strict(fitted.get("/versions?project=2")) == {"versions": []}


# Predictions


def plain_probs(directory: Path, text: str, pair: str | None = None) -> list[float]:
    """Class probabilities by transformers alone, one text at a time."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory)
    inputs = tokenizer(text, pair, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
    with torch.inference_mode():
        probs: list[float] = torch.softmax(model(**inputs).logits[0].double(), dim=0).tolist()
    return probs


@pytest.mark.parametrize("config", [CONFIG, PAIRS], ids=["text", "pair"])
def test_a_prediction_is_what_plain_transformers_says_of_the_saved_version(
    config: str, fitted: FlaskClient, fitted_dir: Path
) -> None:
    texts = ["The weather was fine.", "so-so", "a terrible, awful thing " * 40]
    tasks = [task(text, i, other=f"{text} indeed") for i, text in enumerate(texts)]
    answers = predict(fitted, tasks, config)
    assert len(answers) == len(texts)
    for text, answer in zip(texts, answers, strict=True):
        fields = (text,) if config == CONFIG else (f"{text} indeed", text)  # in the order of the config
        probs = plain_probs(fitted_dir / "models" / "1" / VERSION, *fields)
        entropy = -sum(p * math.log(p) for p in probs)
        [item] = answer["result"]
        assert answer["score"] == pytest.approx(1 - entropy / math.log(3), abs=1e-5)
        assert item["score"] == pytest.approx(max(probs), abs=1e-5)
        assert item["value"] == {"choices": [LABELS[probs.index(max(probs))]]}
        assert item["meta"]["probabilities"] == pytest.approx(dict(zip(LABELS, probs, strict=True)), abs=1e-5)
        assert item["meta"]["entropy"] == pytest.approx(entropy, abs=1e-5)
        assert (item["from_name"], item["to_name"], item["type"]) == ("label", "text", "choices")
        assert answer["model_version"] == VERSION


def test_a_prediction_is_that_of_the_newest_head_whose_name_it_bears(fitted_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(fitted_dir, tmp_path, dirs_exist_ok=True)
    version, rng = Registry(tmp_path).path(PROJECT, VERSION), np.random.default_rng(0)
    exported = AutoModelForSequenceClassification.from_pretrained(version)
    for shift in (1, 2):
        rows_CD = exported.classifier.weight.detach().numpy() + rng.normal(size=(3, 32)).astype(np.float32)
        layer = Linear(rows_CD.astype(np.float64), np.array([0.5, -0.5, 0.1]) * shift)
        heads.save_next(version, Head(layer, LABELS, {1: "pos"}, 0.1))
    with torch.no_grad():
        exported.classifier.weight.copy_(torch.from_numpy(rows_CD))
        exported.classifier.bias.copy_(torch.from_numpy(np.array([1.0, -1.0, 0.2])))
    exported.save_pretrained(tmp_path / "plain")
    AutoTokenizer.from_pretrained(version).save_pretrained(tmp_path / "plain")
    texts = ["The weather was fine.", "so-so"]
    tasks = [task(text, i) for i, text in enumerate(texts)]
    answers = predict(client_of(tmp_path, head="on"), tasks)
    for text, answer in zip(texts, answers, strict=True):
        probs = plain_probs(tmp_path / "plain", text)
        entropy = -sum(p * math.log(p) for p in probs)
        [item] = answer["result"]
        assert item["meta"]["probabilities"] == pytest.approx(dict(zip(LABELS, probs, strict=True)), abs=1e-5)
        assert item["meta"]["entropy"] == pytest.approx(entropy, abs=1e-5)
        assert answer["score"] == pytest.approx(1 - entropy / math.log(3), abs=1e-5)
        assert answer["model_version"] == "nextlabel-1.2-20261124T063000"
    off = predict(client_of(tmp_path, head="off"), tasks)
    assert off == predict(client_of(fitted_dir), tasks)


def test_a_person_waits_for_a_single_task_and_gets_the_fast_precision_while_several_are_exact(fitted_dir: Path) -> None:
    client = client_of(fitted_dir, precision="bf16")
    classifier = load(fitted_dir / "models" / "1" / VERSION, "cpu", "bf16")
    examples = [Example(i, text) for i, text in enumerate(TEXTS)]

    def shown(answers: list[dict[str, Any]]) -> list[list[float]]:
        return [[answer["result"][0]["meta"]["probabilities"][label] for label in LABELS] for answer in answers]

    several = shown(predict(client, [task(text, i) for i, text in enumerate(TEXTS)]))
    assert np.allclose(several, classifier.predict_proba(examples), atol=1e-6)
    single = shown([predict(client, [task(text)])[0] for text in TEXTS])
    expected = [classifier.predict_proba([example], exact=False)[0] for example in examples]
    assert np.allclose(single, expected, atol=1e-6)
    assert 1e-5 < np.abs(np.subtract(single, several)).max() < 0.02


def test_answers_come_in_the_order_of_the_tasks(fitted: FlaskClient) -> None:
    tasks = [task(text, i) for i, text in enumerate(TEXTS)]  # of different lengths: they are batched longest first
    scores = [answer["score"] for answer in predict(fitted, tasks)]
    assert len(set(scores)) == len(TEXTS)
    assert [answer["score"] for answer in predict(fitted, tasks[::-1])] == pytest.approx(scores[::-1], abs=1e-6)


READABLE = {
    "plain": task("a fine day"),
    "integer": task(42),
    "decimal": task(0.5),
    "boolean": task(True),
    "list": task(["a", "b"]),
    "huge": task("x y z, and so on. " * 12000),  # 216000 characters
    "one huge word": task("x" * 200_000),
    "emoji": task("👩‍👩‍👧 🙂🙂🙂 👍🏽"),
    "Arabic, Hindi, Chinese": task("يوم جميل और अच्छा दिन 今天天气很好"),
    "lone surrogate": task("half an emoji \ud83d here"),
    "control characters": task("a\x00b\x07c\u202ed"),
    "id is no number": {**task("good"), "id": "seven"},
    "no id": {"data": {"text": "good"}},
}
UNREADABLE: Mapping[str, object] = {
    "missing field": {"id": 1, "data": {"txt": "wrong key"}},
    "null": task(None),
    "empty": task(""),
    "blank": task(" \n\t"),
    "empty list": task([]),
    "list of objects": task([{"author": "a", "text": "b"}]),
    "object": task({"a": "b"}),
    "no data": {"id": 1},
    "data is null": {"id": 1, "data": None},
    "data is a list": {"id": 1, "data": ["text"]},
    "task is null": None,
    "task is a number": 7,
    "task is a text": "text",
    "task is a list": [task("inside")],
}


@pytest.fixture(scope="module")
def mixed(fitted: FlaskClient) -> dict[str, dict[str, Any]]:
    """The answers to good and bad tasks, taking turns in one request, by name."""
    named = sorted({**READABLE, **UNREADABLE}.items())
    answers = predict(fitted, [sent for _, sent in named])
    return dict(zip((name for name, _ in named), answers, strict=True))


@pytest.mark.parametrize("name", READABLE)
def test_a_readable_task_gets_among_others_what_it_gets_alone(
    name: str, mixed: dict[str, dict[str, Any]], fitted: FlaskClient
) -> None:
    [alone] = predict(fitted, [READABLE[name]])
    assert mixed[name]["score"] == pytest.approx(alone["score"], abs=1e-6)
    assert mixed[name]["result"][0]["value"] == alone["result"][0]["value"]
    assert 0 <= mixed[name]["score"] <= 1


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_task_shows_nothing_is_served_last_and_says_why(
    name: str, mixed: dict[str, dict[str, Any]]
) -> None:
    answer = mixed[name]
    assert (answer["result"], answer["score"], answer["model_version"]) == ([], 1.0, VERSION)
    assert answer["reason"].startswith(("the field 'text' ", "the task "))


def test_a_text_that_is_longer_than_what_is_read_is_said_to_be(fitted: FlaskClient) -> None:
    texts = {"a fine day": False, " ".join(["day"] * (MAX_LENGTH - 2)): False, " ".join(["day"] * MAX_LENGTH): True}
    answers = predict(fitted, [task(text, i) for i, text in enumerate(texts)])
    assert [a["result"][0]["meta"].get("truncated", False) for a in answers] == list(texts.values())
    assert "truncated" not in answers[0]["result"][0]["meta"]


def test_an_id_beyond_64_bits_is_no_reason_to_fail(fitted: FlaskClient) -> None:
    [answer] = predict(fitted, [task("a fine day", 10**30)])
    assert answer["score"] == pytest.approx(predict(fitted, [task("a fine day")])[0]["score"], abs=1e-6)


@pytest.mark.parametrize("tasks", [[], list(UNREADABLE.values())], ids=["no task", "only unreadable ones"])
def test_a_request_without_a_readable_task_is_answered(tasks: list[object], fitted: FlaskClient) -> None:
    assert [answer["result"] for answer in predict(fitted, tasks)] == [[]] * len(tasks)


def test_before_the_first_fit_nothing_is_shown_for_any_task(fresh: FlaskClient) -> None:
    tasks = [*READABLE.values(), *UNREADABLE.values()]
    answers = predict(fresh, tasks)
    assert len(answers) == len(tasks)
    for answer in answers:
        assert (answer["result"], answer["score"], answer["model_version"]) == ([], 0.0, UNTRAINED)
        assert answer["reason"] == "no version is fitted yet"


def test_a_choice_that_the_config_lost_is_scored_but_not_shown(fitted: FlaskClient) -> None:
    renamed = CONFIG.replace('value="pos"', 'value="p"').replace('value="neg"', 'value="n"').replace("mixed", "m")
    [answer] = predict(fitted, [task("a fine day")], renamed)
    assert answer["result"] == []
    assert answer["score"] == predict(fitted, [task("a fine day")])[0]["score"]


def test_a_new_version_is_served_without_a_restart(fitted_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(fitted_dir, tmp_path, dirs_exist_ok=True)
    client, registry = client_of(tmp_path), Registry(tmp_path)
    assert predict(client, [task("good")])[0]["model_version"] == VERSION
    second = version_two(registry)
    assert predict(client, [task("good")])[0]["model_version"] == second


def copy_into(source: Path, directory: Path) -> None:
    shutil.copytree(source, directory, dirs_exist_ok=True)


def version_two(registry: Registry) -> str:
    """A second active version, with the weights of the first."""
    second = make_card(2, LABELS)
    first = registry.path(PROJECT, VERSION)
    registry.save(second, {}, partial(copy_into, first))
    registry.promote(PROJECT, second.version)
    return second.version


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("release", ["this", "an earlier one"])
def test_a_damaged_version_is_stood_in_for_by_the_newest_intact_one(
    fitted_dir: Path, tmp_path: Path, name: str, release: str
) -> None:
    shutil.copytree(fitted_dir, tmp_path, dirs_exist_ok=True)
    client, registry = client_of(tmp_path), Registry(tmp_path)
    directory = registry.path(PROJECT, version_two(registry))
    damaged = directory / name
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    if release == "an earlier one":
        (directory / "manifest.json").unlink()
    for _ in range(2):
        [answer] = predict(client, [task("good")])
        assert answer["model_version"] == VERSION
        assert answer["result"]


def test_a_version_with_a_changed_byte_is_not_served(fitted_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(fitted_dir, tmp_path, dirs_exist_ok=True)
    client, weights = client_of(tmp_path), Registry(tmp_path).path(PROJECT, VERSION) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert [(a["model_version"], a["result"]) for a in predict(client, [task("good")])] == [(UNTRAINED, [])]


# What is not Label Studio


def failure(response: TestResponse) -> str:
    """The words of an error; fails when they show the program's inside."""
    text = response.get_data(as_text=True)
    assert "Traceback" not in text
    assert 'File "' not in text
    error = strict(response)["error"]
    assert isinstance(error, str)
    assert error
    return error


def predict_body(**changes: object) -> str:
    return json.dumps({"tasks": [task("good")], "project": AS_SENT, "label_config": CONFIG, **changes})


RUBBISH = {
    "nothing": ("/predict", b"", 400, "not a JSON object"),
    "not JSON": ("/predict", b"tasks=1", 400, "not a JSON object"),
    "half of it": ("/predict", predict_body()[:-9], 400, "not a JSON object"),
    "not UTF-8": ("/webhook", b'{"action": "\xff\xfe"}', 400, "not a JSON object"),
    "a list": ("/predict", "[]", 400, "not a JSON object"),
    "null": ("/webhook", "null", 400, "not a JSON object"),
    "a number with 9000 digits": ("/setup", "1" * 9000, 400, "not a JSON object"),
    "tasks are an object": ("/predict", predict_body(tasks={"0": {}}), 400, "not a list of Label Studio tasks"),
    "tasks are missing": ("/predict", predict_body(tasks=None), 400, "tasks=None is not a list"),
    "tasks are a text": ("/predict", predict_body(tasks="good"), 400, "tasks='good' is not a list"),
    "no project": ("/predict", predict_body(project=None), 400, "project='None' is not a Label Studio project id"),
    "a path as project": ("/predict", predict_body(project="../../etc"), 400, "project='../../etc' is not"),
    "a negative project": ("/setup", json.dumps(setup_body(project=-1)), 400, "project='-1' is not"),
    "an object as project": ("/setup", json.dumps(setup_body(project={"id": 1})), 400, "is not a Label Studio project"),
    "a project of 20 digits": ("/webhook", '{"action": "PROJECT_UPDATED", "project": 12345678901234567890}', 400, "id"),
    "a number with a fraction as project": ("/setup", json.dumps(setup_body(project=1.5)), 400, "project='1.5' is not"),
    "a number that begins like a project": ("/setup", json.dumps(setup_body(project=1.2e16)), 400, "'1.2e+16' is not"),
    "a path behind the project": ("/setup", json.dumps(setup_body(project="1./../2")), 400, "project='1./../2' is not"),
    "true as project": ("/webhook", '{"action": "PROJECT_UPDATED", "project": {"id": true}}', 400, "project='True'"),
    "too many tasks": ("/predict", predict_body(tasks=[None] * (MAX_TASKS + 1)), 400, "select fewer tasks"),
    "a name as project": ("/webhook", '{"action": "ANNOTATION_CREATED", "project": "x"}', 400, "project='x' is not"),
    "no config": ("/predict", predict_body(label_config=None), 422, "not well-formed XML"),
    "broken config": ("/predict", predict_body(label_config="<View>"), 422, "not well-formed XML"),
    "a config that opens files": (
        "/predict",
        predict_body(label_config='<!DOCTYPE v [<!ENTITY e SYSTEM "file:///etc/passwd">]><View>&e;</View>'),
        422,
        "DTD or entities",
    ),
    "two controls of one name": ("/predict", predict_body(label_config=TWO_CHOICES), 422, "give each its own name"),
    "no such versions": ("/versions", '{"project": "x"}', 400, "project='x' is not"),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_refused_in_words(name: str, fresh: FlaskClient, tmp_path: Path) -> None:
    path, body, status, words = RUBBISH[name]
    response = fresh.post(path, data=body)
    assert response.status_code == status
    assert words in failure(response)
    assert jobs_in(tmp_path) == []


@pytest.mark.parametrize("opening", ["[", '{"tasks":'], ids=["lists", "objects"])
def test_what_is_nested_too_deeply_is_refused_too(opening: str, fresh: FlaskClient) -> None:
    response = fresh.post("/predict", data=opening * 100_000)
    assert response.status_code == 400
    assert failure(response)


def test_what_can_be_read_but_is_too_deep_to_be_quoted_is_refused_too(fresh: FlaskClient) -> None:
    refused = 0
    for depth in range(700, 1000, 5):  # from where quoting fails to where reading does
        nested = "[" * depth + "]" * depth
        for body in (f'{{"tasks": {{"0": {nested}}}}}', f'{{"tasks": [], "project": {nested}}}'):
            response = fresh.post("/predict", data=body)
            assert response.status_code == 400
            refused += "nested too deeply" in failure(response)
    assert refused


def test_an_error_is_one_line_of_bounded_length_in_answer_and_log(
    fresh: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    schema = CONFIG.replace('name="label"', f'name="a&#10;b\u202e{"c" * 10_000}" choice="any"')
    words = strict(fresh.post("/setup", json=setup_body(schema=schema)))["refused"]
    assert words.startswith('<Choices name="a b\ufffdccc')
    assert len(words) < 700
    assert caplog.messages == [f"/setup: {words}"]


def test_too_large_a_body_is_refused(fresh: FlaskClient) -> None:
    response = fresh.post("/predict", data=b" " * (MAX_BODY + 1))
    assert response.status_code == 413
    assert failure(response)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere"),
        ("POST", "/train"),
        ("GET", "/static/../web.py"),
        ("POST", "/webhook//"),
        ("POST", "/predict/"),
    ],
)
def test_an_unknown_address_is_refused(method: str, path: str, fresh: FlaskClient) -> None:
    response = fresh.open(method=method, environ_overrides={"PATH_INFO": path})
    assert response.status_code == 404
    assert failure(response) == f"There is nothing at '{path}'; /openapi.json lists what there is."


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", path, {"POST"}) for path in ("/predict", "/setup", "/webhook")]
    + [("POST", path, {"GET", "HEAD"}) for path in ("/health", "/metrics", "/", "/openapi.json")]
    + [("OPTIONS", "/webhook", {"POST"}), ("TRACE", "/versions", {"GET", "HEAD", "POST"})],
)
def test_another_method_is_refused_with_those_that_are_possible(
    method: str, path: str, allowed: set[str], fresh: FlaskClient
) -> None:
    response = fresh.open(path, method=method)
    assert response.status_code == 405
    assert {name.strip() for name in response.headers["Allow"].split(",")} == allowed
    assert all(name in failure(response) for name in allowed)


def test_more_predictions_than_there_are_places_for_are_put_off_and_all_else_is_answered(
    fitted_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, begun, go_on = client_of(fitted_dir), threading.Semaphore(0), threading.Event()
    score = LoadedVersions.predict

    def held_up(*arguments: Any, **more: Any) -> Any:
        begun.release()
        assert go_on.wait(60)
        return score(*arguments, **more)

    monkeypatch.setattr(LoadedVersions, "predict", held_up)
    with ThreadPoolExecutor(MAX_PREDICTIONS) as threads:
        asked = [
            threads.submit(lambda: client.application.test_client().post("/predict", data=predict_body()).status_code)
            for _ in range(MAX_PREDICTIONS)
        ]
        assert all(begun.acquire(timeout=300) for _ in asked)
        response = client.post("/predict", data=predict_body())
        assert (response.status_code, response.headers["Retry-After"]) == (429, "5")
        assert f"{MAX_PREDICTIONS} requests for predictions are being answered" in failure(response)
        assert client.get("/health").status_code == 200
        assert client.post("/webhook", json={}).status_code == 200
        go_on.set()
        assert [answer.result() for answer in asked] == [200] * MAX_PREDICTIONS
    monkeypatch.setattr(LoadedVersions, "predict", lambda *_, **__: 1 // 0)
    assert [client.post("/predict", data=predict_body()).status_code for _ in asked] == [500] * MAX_PREDICTIONS
    monkeypatch.setattr(LoadedVersions, "predict", score)
    assert len(predict(client, [task("good")])) == 1, "an error gives its place back"


def test_a_body_that_breaks_off_is_refused(fresh: FlaskClient) -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise RuntimeError("a chunk without a size")  # gunicorn's is no OSError either

    stream = io.BufferedReader(Broken())
    response = fresh.post("/webhook", environ_overrides={"wsgi.input": stream, "wsgi.input_terminated": True})
    assert response.status_code == 400
    assert failure(response) == "The body cannot be read to its end; send it again."


def test_there_are_threads_left_beside_predictions() -> None:
    assert WEB_THREADS >= MAX_PREDICTIONS + 4


def test_an_error_nobody_thought_of_says_nothing_of_the_inside(
    fresh: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Registry, "current", lambda *_: 1 // 0)
    response = fresh.post("/predict", data=predict_body())
    assert response.status_code == 500
    assert failure(response) == "Internal error (ZeroDivisionError); the backend's log has the details."
    assert "Traceback" in caplog.text


def test_a_version_with_a_damaged_card_is_none(fresh: FlaskClient, tmp_path: Path) -> None:
    directory = Registry(tmp_path).save(make_card(1, LABELS), {}, lambda directory: None)
    (directory / "card.json").write_text("{not json")
    assert [answer["model_version"] for answer in predict(fresh, [task("good")])] == [UNTRAINED]


# Events

ANNOTATION = {
    "id": 1,
    "result": [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["pos"]}}],
    "was_cancelled": False,
    "task": 1,
    "project": 1,
}
SENT_PROJECT = {"id": 1, "title": "q3 capture", "label_config": CONFIG, "model_version": "bk", "task_number": 3}
ABOUT_TASK = {"project": SENT_PROJECT, "task": {"id": 1, "data": {"text": "t0"}, "project": 1}}
SKIPPED = {**ANNOTATION, "was_cancelled": True}
EVENTS: Mapping[str, dict[str, object]] = {
    "an annotation": {"action": "ANNOTATION_CREATED", "annotation": ANNOTATION, **ABOUT_TASK},
    "a skip": {"action": "ANNOTATION_CREATED", "annotation": SKIPPED, **ABOUT_TASK},
    "predictions made annotations": {
        "action": "ANNOTATIONS_CREATED",
        "annotation": [ANNOTATION, ANNOTATION],
        "task": [ABOUT_TASK["task"], ABOUT_TASK["task"]],
        "project": SENT_PROJECT,
    },
    "a change": {"action": "ANNOTATION_UPDATED", "annotation": ANNOTATION, **ABOUT_TASK},
    "deletions without a task": {
        "action": "ANNOTATIONS_DELETED",
        "annotations": [{"id": 3}, {"id": 2}],
        "project": SENT_PROJECT,
    },
    "an import": {
        "action": "TASKS_CREATED",
        "tasks": [{"id": 4, "data": {"text": "a"}, "project": 1}, {"id": 5, "data": {"text": "b"}, "project": 1}],
        "project": SENT_PROJECT,
    },
    "a new config": {"action": "PROJECT_UPDATED", "project": SENT_PROJECT},
    "the echo of our own switch": {"action": "PROJECT_UPDATED", "project": {**SENT_PROJECT, "model_version": VERSION}},
    "the project as an id": {"action": "ANNOTATION_CREATED", "annotation": ANNOTATION, "project": 1},
    "the project as a text": {"action": "ANNOTATION_CREATED", "project": AS_SENT},
    "lists where objects were": {"action": "ANNOTATION_CREATED", "annotation": [], "task": None, "project": {"id": 1}},
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_becomes_one_hint(name: str, fresh: FlaskClient, tmp_path: Path) -> None:
    response = fresh.post("/webhook", json=EVENTS[name])
    assert response.status_code == 201
    assert strict(response)["status"] == "queued"
    assert jobs_in(tmp_path) == [("reconcile", (1, False))]
    assert JobQueue(tmp_path).demanded(1) == ""


@pytest.mark.parametrize("action", sorted(HINTS))
def test_an_event_without_its_payload_counts_all_the_same(action: str, fresh: FlaskClient, tmp_path: Path) -> None:
    response = fresh.post("/webhook", json={"action": action, "project": {"id": 1}})
    assert response.status_code == 201
    assert ("reconcile", (1, False)) in jobs_in(tmp_path)


def test_many_events_of_a_project_become_one_job(fresh: FlaskClient, tmp_path: Path) -> None:
    for body in EVENTS.values():
        assert fresh.post("/webhook", json=body).status_code == 201
    fresh.post("/webhook", json={"action": "PROJECT_UPDATED", "project": {"id": 2}})
    assert jobs_in(tmp_path) == [("reconcile", (1, False)), ("reconcile", (2, False))]


def test_start_training_leaves_a_demand_and_waits_for_nothing(fresh: FlaskClient, tmp_path: Path) -> None:
    assert fresh.post("/webhook", json={"action": "START_TRAINING", "project": SENT_PROJECT}).status_code == 201
    queue = JobQueue(tmp_path)
    assert queue.demanded(1)
    assert queue.demanded(2) == ""
    [job] = queue.huey.pending()
    assert (job.name, job.args, job.eta) == ("reconcile", (1, False), None)


def test_an_annotation_lets_the_annotators_next_request_go_first(fresh: FlaskClient, tmp_path: Path) -> None:
    fresh.post("/webhook", json=EVENTS["an annotation"])
    [job] = JobQueue(tmp_path).huey.pending()
    assert job.eta is not None


@pytest.mark.parametrize(
    ("tasks", "ids"),
    [
        ([{"id": 3}], [3]),
        ([{"id": 2}, {"id": 9}], [2, 9]),
        ([{"id": 2}, {"id": "9"}, {"id": 10**30}, {"id": True}, {"id": -1}, {"id": 4.0}, {}, None, 7], [2]),
        ([], []),
        (None, []),
        ({"id": 3}, []),
    ],
)
def test_deleted_tasks_are_to_be_forgotten(tasks: object, ids: list[int], fresh: FlaskClient, tmp_path: Path) -> None:
    body = {"action": "TASKS_DELETED", "tasks": tasks, "project": SENT_PROJECT}
    assert fresh.post("/webhook", json=body).status_code == 201
    assert jobs_in(tmp_path) == [("forget", (1, ids)), ("reconcile", (1, False))]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "PROJECT_DELETED", "project": {"id": 1}},
        {"action": "LABEL_LINK_CREATED", "project": {"id": 1}},
        {"action": "annotation_created", "project": {"id": 1}},
        {"action": ["ANNOTATION_CREATED"], "project": {"id": 1}},
        {"action": None, "project": "rubbish"},
        {"project": {"id": 1}},
        {},
    ],
    ids=lambda body: str(body.get("action", "no action")),
)
def test_an_unknown_event_is_ignored(body: dict[str, object], fresh: FlaskClient, tmp_path: Path) -> None:
    response = fresh.post("/webhook", json=body)
    assert response.status_code == 200
    assert strict(response)["status"] == "ignored"
    assert jobs_in(tmp_path) == []


# Who may ask

USER, PASSWORD = "label-studio", "pässwörd:with colon"


@pytest.fixture
def guarded(tmp_path: Path) -> FlaskClient:
    return client_of(tmp_path, basic_auth_user=USER, basic_auth_pass=SecretStr(PASSWORD))


ROUTES = [("GET", "/"), ("GET", "/metrics"), ("GET", "/versions"), ("POST", "/setup"), ("POST", "/predict")]
ROUTES += [("POST", "/webhook"), ("GET", "/nowhere"), ("GET", "/health/"), ("GET", "/openapi.json"), ("PUT", "/")]


@pytest.mark.parametrize("path", ["//webhook", "/%77ebhook"])
def test_the_webhook_is_guarded_however_its_address_is_written(path: str, secretive: FlaskClient) -> None:
    assert secretive.post("/", environ_overrides={"PATH_INFO": path}).status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_everything_but_health_asks_for_credentials(method: str, path: str, guarded: FlaskClient) -> None:
    response = guarded.open(path, method=method)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert "BASIC_AUTH_USER" in failure(response)


def test_health_needs_no_credentials_and_minds_no_wrong_ones(guarded: FlaskClient) -> None:
    assert guarded.get("/health").status_code == 200
    assert guarded.get("/health", auth=(USER, "wrong")).status_code == 200


@pytest.mark.parametrize(
    "credentials",
    [(USER, "wrong"), ("wrong", PASSWORD), (USER, ""), ("", ""), (USER, PASSWORD + " "), (PASSWORD, USER)],
)
def test_wrong_credentials_are_refused_and_their_event_is_not_taken(
    credentials: tuple[str, str], guarded: FlaskClient, tmp_path: Path
) -> None:
    assert guarded.post("/webhook", json=EVENTS["an annotation"], auth=credentials).status_code == 401
    assert jobs_in(tmp_path) == []


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic /////w==", "Bearer x", "Token x", "\x00", ""])
def test_a_strange_authorization_header_is_refused(header: str, guarded: FlaskClient) -> None:
    assert guarded.post("/webhook", json={}, headers={"Authorization": header}).status_code == 401


def test_the_right_credentials_pass_everywhere(guarded: FlaskClient) -> None:
    for path in ("/", "/metrics", "/versions", "/openapi.json"):
        assert guarded.get(path, auth=(USER, PASSWORD)).status_code == 200
    assert guarded.post("/setup", json=setup_body(), auth=(USER, PASSWORD)).status_code == 200


def test_the_webhooks_own_header_passes(tmp_path: Path) -> None:
    client = client_of(tmp_path, basic_auth_user="u", basic_auth_pass=SecretStr("p"))
    response = client.post("/webhook", json=EVENTS["an annotation"], headers={"Authorization": "Basic dTpw"})
    assert response.status_code == 201
    assert jobs_in(tmp_path) == [("reconcile", (1, False))]


WEBHOOK_SECRET = "0123456789abcdef-of-ours"


@pytest.fixture
def secretive(tmp_path: Path) -> FlaskClient:
    """A client of a backend with a secret for its webhook."""
    secrets = {"basic_auth_pass": SecretStr(PASSWORD), "webhook_secret": SecretStr(WEBHOOK_SECRET)}
    return client_of(tmp_path, basic_auth_user=USER, **secrets)


def test_the_webhook_comes_in_by_its_secret(secretive: FlaskClient, tmp_path: Path) -> None:
    headers = Credentials(USER, PASSWORD, WEBHOOK_SECRET).webhook_headers()
    assert headers == {"X-Nextlabel-Secret": WEBHOOK_SECRET}, "who can read the webhook cannot read the password"
    assert secretive.post("/webhook", json=EVENTS["an annotation"], headers=headers).status_code == 201
    assert jobs_in(tmp_path) == [("reconcile", (1, False))]


def test_start_training_comes_in_by_the_credentials(secretive: FlaskClient, tmp_path: Path) -> None:
    body = {"action": "START_TRAINING", "project": SENT_PROJECT}
    assert secretive.post("/webhook", json=body, auth=(USER, PASSWORD)).status_code == 201
    assert JobQueue(tmp_path).demanded(1)


@pytest.mark.parametrize("secret", ["", "wrong", WEBHOOK_SECRET[:-1], WEBHOOK_SECRET.upper(), "\xff\xfe", PASSWORD])
def test_a_wrong_secret_is_refused_and_its_event_is_not_taken(
    secret: str, secretive: FlaskClient, tmp_path: Path
) -> None:
    headers = {"X-Nextlabel-Secret": secret.encode().decode("latin-1")}
    response = secretive.post("/webhook", json=EVENTS["an annotation"], headers=headers)
    assert response.status_code == 401
    assert "X-Nextlabel-Secret" in failure(response)
    assert WEBHOOK_SECRET not in failure(response)
    assert jobs_in(tmp_path) == []


@pytest.mark.parametrize("path", ["/", "/metrics", "/versions", "/webhook/", "/nowhere"])
def test_the_secret_opens_nothing_but_the_webhook(path: str, secretive: FlaskClient) -> None:
    assert secretive.get(path, headers={"X-Nextlabel-Secret": WEBHOOK_SECRET}).status_code == 401


def test_without_a_secret_of_ours_nobodys_secret_passes(guarded: FlaskClient) -> None:
    for secret in ("", "None"):
        assert guarded.post("/webhook", json={}, headers={"X-Nextlabel-Secret": secret}).status_code == 401


# The page for people

MADE = "24 Nov 2026, 06:30 UTC"  # each version


def page(client: FlaskClient) -> str:
    response = client.get("/")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    return response.get_data(as_text=True)


def test_the_page_without_a_project_says_how_to_connect_one(fresh: FlaskClient) -> None:
    assert "No project is connected yet" in page(fresh)
    assert "nextlabel connect --project" in page(fresh)


def test_the_page_shows_html_of_others_as_text(fresh: FlaskClient, tmp_path: Path) -> None:
    evil = "<script>alert('{}')</script>"
    Registry(tmp_path).know(PROJECT)
    board = StatusBoard(tmp_path)
    board.put_queue(PROJECT, 0.0, title=evil.format("title"), warnings=(evil.format("warning"),), state="published")
    board.put_queue(PROJECT, 0.0, message=evil.format("message"))
    board.put_fit(PROJECT, 0.0, state="failed", message=evil.format("fit"))
    shown = page(fresh)
    assert "<script>" not in shown
    for part in ("title", "warning", "message", "fit"):
        assert f"&lt;script&gt;alert(&#39;{part}&#39;)&lt;/script&gt;" in shown


def test_the_page_shows_what_is_to_be_pasted_as_code(fresh: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).know(PROJECT)
    board = StatusBoard(tmp_path)
    board.put_queue(PROJECT, 0.0, first="Run `map 'a&b'=<c>`.", warnings=("Half a `tick.",), remarks=("`x` and `y`.",))
    shown = page(fresh)
    assert "Run <code>map &#39;a&amp;b&#39;=&lt;c&gt;</code>." in shown
    assert "Half a `tick." in shown
    assert "<code>x</code> and <code>y</code>." in shown


def test_the_page_counts_the_labels_of_wanted_classes(fresh: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).know(PROJECT)
    wanted = {"refund": {"labels": 12, "target": 30}, "<b>": {"labels": 1, "target": None}}
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, wanted=wanted)
    assert "<p>Labels of wanted classes: <bdi>refund</bdi> 12 of 30 · <bdi>&lt;b&gt;</bdi> 1</p>" in page(fresh)
    assert fresh.get(f"/api/projects/{PROJECT}").get_json()["queue"]["wanted"] == wanted


def test_a_project_says_of_itself_what_the_page_shows(fresh: FlaskClient, tmp_path: Path) -> None:
    missing = fresh.get(f"/api/projects/{PROJECT}")
    assert missing.status_code == 404
    assert f"nextlabel connect --project {PROJECT}" in missing.get_json()["error"]
    Registry(tmp_path).know(PROJECT)
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, first="One thing.", warnings=("Another.",), state="waiting")
    said = fresh.get(f"/api/projects/{PROJECT}").get_json()
    assert (said["id"], said["queue"]["first"], said["queue"]["warnings"]) == (PROJECT, "One thing.", ["Another."])
    assert (said["fit"]["state"], said["base_model"]["state"]) == ("idle", "unknown")


def test_the_page_and_the_project_say_what_is_active_and_where_it_comes_from(
    fresh: FlaskClient, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    registry.know(PROJECT)
    registry.put_options(PROJECT, ProjectOptions(own={"window": 9}))
    said = fresh.get(f"/api/projects/{PROJECT}").get_json()["settings"]
    assert (said["window"], said["sources"]["window"], said["sources"]["strategy"]) == (9, "project", "built in")
    rows = parse(page(fresh)).tables["Options in force, and where each comes from"]
    assert rows[:4] == [
        ["Option", "Value", "From"], ["strategy", "entropy", "built in"], ["window", "9", "project"],
        ["fit_every", "64", "built in"],
    ]  # fmt: skip
    registry.put_options(PROJECT, ProjectOptions(own={"window": 0}))
    assert fresh.get(f"/api/projects/{PROJECT}").get_json()["settings"]["sources"]["window"] == "built in"


def test_the_page_says_how_far_the_start_order_is_until_there_is_a_version(fresh: FlaskClient, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.know(PROJECT)
    registry.put_options(PROJECT, ProjectOptions(own={"start_order": "typiclust"}))
    StatusBoard(tmp_path).put_start(PROJECT, 0.0, message="Start order. Texts embedded", done=512, total=1000)
    assert "<p>Start order. Texts embedded: 512 of 1000</p>" in page(fresh)
    assert fresh.get(f"/api/projects/{PROJECT}").get_json()["start"]["done"] == 512
    registry.put_options(PROJECT, ProjectOptions(own={"start_order": "off"}))
    assert "Start order" not in page(fresh)


def test_setup_says_which_option_cannot_be(fresh: FlaskClient) -> None:
    body = {"project": AS_SENT, "schema": CONFIG, "extra_params": {"nextlabel": {"fit_every": 0}}}
    refused = strict(fresh.post("/setup", json=body))["refused"]
    assert "nextlabel.fit_every=0; expected a whole number of new labels, at least 1." in refused


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/openapi.json", "/nowhere", "/predict"])
def test_every_answer_tells_browsers_to_do_nothing_but_show_it(path: str, fresh: FlaskClient) -> None:
    headers = fresh.get(path).headers
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("same-origin", "no-store")
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(headers["Content-Security-Policy"].split("; "))


def test_a_page_loads_nothing_but_our_files_and_nothing_in_it_is_run(fresh: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).save(make_card(1, LABELS), {}, lambda directory: None)
    answer = fresh.get("/")
    assert answer.headers["Content-Security-Policy"].split("; ") == [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
    ]  # fmt: skip
    shown = parse(answer.text)
    assert "style" not in shown.tags
    assert not [name for name in shown.names if name == "style" or name.startswith("on")], "the policy leaves them out"
    loaded = [of.partition("=")[2] for of in shown.loads if of.startswith(("script", "link"))]
    assert len(loaded) == 5
    for address in loaded:
        assert address.startswith("/static/")
        assert fresh.get(address).status_code == 200


def test_the_page_shows_what_the_board_and_the_cards_say(fitted: FlaskClient, fitted_dir: Path) -> None:
    shown = page(fitted)
    for words in ("Project</bdi> <", "#1", VERSION, "0.500", "0.250", "0.375", "6 new labels", "waiting"):
        assert words in shown


def test_the_page_says_which_version_is_is_active_and_why_another_is_not(fitted_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(fitted_dir, tmp_path, dirs_exist_ok=True)
    client = client_of(tmp_path)
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, state="published", version=VERSION)
    assert "not promoted" not in page(client)
    worse = make_card(2, LABELS, refused="its score is 0.100 below", judged="the holdout (40)")
    Registry(tmp_path).save(worse, {}, lambda directory: None)
    shown = page(client)
    assert (
        f"{worse.version} was not promoted: its score is 0.100 below. The queue stays in the order of {VERSION};"
        in shown
    )
    versions = parse(shown).tables["Versions on disk, the newest first"]
    assert [row[0] for row in versions] == ["Version", f"2 refused {MADE}", f"1 active {MADE}"]
    for version, name in ((VERSION, "1"), (worse.version, "2")):
        assert f'<span title="{version}">{name}</span>' in shown
    assert "Start Training fits once more" in shown
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, state="ended")
    assert "not promoted" not in page(client), "no order is followed, and no fit comes"
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, state="published", version=worse.version)
    assert "not promoted" not in page(client), "a person promoted it"
    assert "version 2 was judged" not in page(client)
    for card in (make_card(3, LABELS, judged="the holdout (40)"), make_card(4, LABELS, unjudged="8 are too few")):
        Registry(tmp_path).save(card, {}, lambda directory: None)
        StatusBoard(tmp_path).put_queue(PROJECT, 0.0, version=card.version)
        assert f"When it was fitted, version {card.number} was {card.verdict}." in page(client)


def test_the_page_tells_a_quick_version_from_others(tmp_path: Path) -> None:
    for card in (make_card(1, LABELS, of_labels=9100), make_card(2, LABELS)):
        Registry(tmp_path).save(card, {}, lambda directory: None)
    shown = page(client_of(tmp_path))
    for name in ("Versions on disk, the newest first", "What each version took, and its scores on the holdout"):
        labels = [row[1] for row in parse(shown).tables[name]]
        assert labels == ["Labels", str(2 * len(LABELS)), f"{2 * len(LABELS)} (quick, of 9100)"]


def test_the_page_shows_the_progress_of_a_fit(fresh: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).know(PROJECT)
    StatusBoard(tmp_path).put_fit(PROJECT, 0.0, state="fitting", stage="fit", done=3, total=40)
    assert 'max="40" value="3"' in page(fresh)


def test_the_page_says_how_to_find_tasks_by_their_prediction_once_there_is_one(
    fresh: FlaskClient, tmp_path: Path
) -> None:
    Registry(tmp_path).know(PROJECT)
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, how_to_find='contain `"choices": ["pos"]`')
    assert "contain" not in page(fresh)
    Registry(tmp_path).save(make_card(1, LABELS), {}, lambda directory: None)
    assert "contain <code>&#34;choices&#34;: [&#34;pos&#34;]</code>" in page(fresh)


def test_page_and_project_say_one_state_whatever_its_parts_say(fresh: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).know(PROJECT)
    board, now = StatusBoard(tmp_path), time.time()
    board.put_queue(PROJECT, now, state="waiting", message="3 of 64 new labels", labels=11, order="nextlabel-1-x")
    board.put_fit(PROJECT, now, state="failed", message="out of memory", stage="score", done=287, total=343)
    for state, colour in (("fit failed", "failed"), ("disconnected", "")):
        shown, said = page(fresh), fresh.get(f"/api/projects/{PROJECT}").get_json()
        assert re.findall(r'<span class="state (.*?)">(.*?)</span>', shown) == [(colour, state)]
        assert (said["state"], said["progress"]) == (state, None)
        assert all(f"<p>{as_sentence(one)}</p>" in shown for one in said["sentences"])
        assert "<progress" not in shown
        assert ("11 labels" in shown, "in the order of" in shown) == 2 * (state == "fit failed",)
        board.put_queue(PROJECT, now, state="disconnected", message="it is gone")


def test_the_page_hides_a_password_in_label_studios_address(tmp_path: Path) -> None:
    shown = page(client_of(tmp_path, label_studio_url="http://me:hunter2@studio.example:8080"))
    assert "studio.example:8080" in shown
    assert "hunter2" not in shown
