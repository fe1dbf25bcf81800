"""What must not get out or in: secrets, calls to strangers, paths beyond MODEL_DIR, code that comes with weights."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from helpers.served import AS_SENT, PROJECT, RECORDED, VERSION, client_of, fit_version, jobs_in
from helpers.versions import make_card
from nextlabel.errors import NoModelError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.loop.controller import Controller
from nextlabel.model.classifier import load
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard
from nextlabel.versions.registry import Registry

LABELS = ("pos", "neg")
TOKEN = "aaaabbbbccccddddeeeeffff0000111122223333"
SETUP = next(recorded["body"] for recorded in RECORDED if recorded["path"] == "/setup")


class Listener:
    """A server on this machine that refuses everything and remembers what it was asked."""

    def __init__(self) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(f"{self.path} {self.headers.get('Authorization')}")
                self.send_response(404)
                self.end_headers()

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.asked = asked
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def listeners() -> Iterator[tuple[Listener, Listener]]:
    """Two of them."""
    both = Listener(), Listener()
    yield both
    for listener in both:
        listener.server.shutdown()
        listener.server.server_close()


def controller_of(settings: dict[str, Any], home: Path, studio: LabelStudioClient) -> Controller:
    board = StatusBoard(home)
    return Controller(Settings(_env_file=None, **settings), Registry(home), board, studio, JobQueue(home))


def test_only_the_configured_label_studio_is_called_whatever_setup_names(
    tmp_path: Path, listeners: tuple[Listener, Listener]
) -> None:
    ours, stranger = listeners
    settings: dict[str, Any] = {"label_studio_url": ours.url, "label_studio_api_key": "f" * 40, "model_dir": tmp_path}
    body = {**SETUP, "hostname": stranger.url, "access_token": TOKEN, "extra_params": {"hostname": stranger.url}}
    body["schema"] = body["schema"].replace("<Text ", f'<Text valueList="{stranger.url}" ')
    assert client_of(**settings).post("/setup", json=body).status_code == 200
    [(job, arguments)] = jobs_in(tmp_path)
    assert job == "reconcile"
    studio = LabelStudioClient(ours.url, "f" * 40)
    controller_of(settings, tmp_path, studio).reconcile(*arguments)
    [asked] = ours.asked
    assert asked.startswith(f"/api/projects/{PROJECT}")
    assert asked.endswith(f" Token {'f' * 40}"), "our token, not the one that was sent"
    assert stranger.asked == []


def test_a_token_that_is_sent_is_kept_nowhere(
    tmp_path: Path, listeners: tuple[Listener, Listener], caplog: pytest.LogCaptureFixture, tiny: Path
) -> None:
    caplog.set_level("DEBUG")
    fit_version(tmp_path, tiny, LABELS, ("good", "bad"), 32)
    ours, _ = listeners
    settings: dict[str, Any] = {
        "label_studio_url": ours.url,
        "label_studio_api_key": TOKEN[::-1],
        "model_dir": tmp_path,
    }
    client = client_of(**settings)
    neutral = {"access_token": TOKEN, "token": TOKEN, "password": TOKEN}
    answers = []
    for recorded in RECORDED:
        body = json.loads(json.dumps(recorded["body"]), object_hook=lambda found: {**found, **neutral})
        answers.append(client.post(recorded["path"], json=body))
        answers.append(client.post(recorded["path"], json={**body, "project": "x", "action": "PROJECT_UPDATED"}))
    controller = controller_of(settings, tmp_path, LabelStudioClient(ours.url, TOKEN[::-1]))
    controller.reconcile(PROJECT, thorough=True)
    answers += [client.get(path) for path in ("/", "/metrics", "/versions", "/openapi.json", "/health")]
    assert {answer.status_code for answer in answers} == {200, 201, 400}
    shown = "\n".join([caplog.text, *(answer.get_data(as_text=True) for answer in answers)])
    kept = b"\n".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "is not a Label Studio project id" in caplog.text
    assert "does not exist any more in Label Studio" in StatusBoard(tmp_path).queue(PROJECT).message
    assert b"The project does not exist any more in Label Studio" in answers[-5].data, "the failure is on the page"
    for token in (TOKEN, TOKEN[::-1]):
        assert token not in shown
        assert token.encode() not in kept


# Paths


@pytest.mark.parametrize("pointer", ["../../outside", "/{outside}", "..", ".", "", "\x00", "1/../../outside"])
def test_a_pointer_cannot_lead_out_of_the_models(pointer: str, tmp_path: Path) -> None:
    model_dir, outside = tmp_path / "data", tmp_path / "outside"
    registry = Registry(model_dir)
    registry.save(make_card(1, LABELS), {}, lambda directory: None)
    shutil.copytree(registry.path(PROJECT, VERSION), outside)
    registry.promote(PROJECT, pointer.replace("{outside}", str(outside)))
    assert registry.current(PROJECT) == VERSION
    assert client_of(model_dir).post("/setup", json=SETUP).get_json() == {"model_version": VERSION}


@pytest.mark.parametrize("project", ["../..", "1/../..", "..%2f..", "1.2/../../..", "/etc", "1\x00", "", None, [], -1])
@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook", "/versions"])
def test_a_project_cannot_lead_out_of_the_models(project: object, path: str, tmp_path: Path) -> None:
    body = {**SETUP, "label_config": SETUP["schema"], "tasks": [], "action": "START_TRAINING", "project": project}
    everything = path == "/versions" and project is None  # of all projects
    before = sorted(tmp_path.rglob("*"))
    client = client_of(tmp_path / "data")
    assert client.post(path, json=body).status_code == (200 if everything else 400)
    made = {found.relative_to(tmp_path).parts[0] for found in tmp_path.rglob("*") if found not in before}
    assert made == {"data"}
    assert not (tmp_path / "data" / "models").exists()
    assert jobs_in(tmp_path / "data") == []


def test_what_label_studio_calls_a_version_is_no_path(tmp_path: Path) -> None:
    body = {"action": "PROJECT_UPDATED", "project": {"id": 1, "model_version": "../../outside"}}
    assert client_of(tmp_path).post("/webhook", json=body).status_code == 201
    assert jobs_in(tmp_path) == [("reconcile", (1, False))], "a job carries no version from outside"


# Checkpoints


@pytest.fixture
def checkpoint(tiny: Path, tmp_path: Path) -> Path:
    """A copy of a checkpoint, to be changed."""
    return shutil.copytree(tiny, tmp_path / "checkpoint")


def test_pickled_weights_are_not_loaded(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    torch.save(load_file(weights), checkpoint / "pytorch_model.bin")
    assert load(checkpoint, "cpu").labels
    weights.unlink()
    with pytest.raises(NoModelError, match="cannot be loaded"):
        load(checkpoint, "cpu")


@pytest.mark.parametrize("model_type", ["bert", "unheard-of"])
def test_code_that_comes_with_a_checkpoint_is_not_run(checkpoint: Path, tmp_path: Path, model_type: str) -> None:
    ran = tmp_path / "ran"
    (checkpoint / "theirs.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: ...\nclass Model: ...\n")
    config = json.loads((checkpoint / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "theirs.Config", "AutoModelForSequenceClassification": "theirs.Model"}
    (checkpoint / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
    if model_type == "bert":
        assert load(checkpoint, "cpu").labels
    else:
        with pytest.raises(NoModelError, match="cannot be loaded"):
            load(checkpoint, "cpu")
    assert not ran.exists()


def test_a_body_is_about_its_own_project_alone(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    inner = {"id": 2, "project": 3, "data": {"project": "4"}}
    body = {"action": "ANNOTATION_CREATED", "annotation": inner, "task": inner, "project": {"id": 1, "project": 5}}
    assert client.post("/webhook", json=body).status_code == 201
    assert client.post("/setup", json={**SETUP, "project": AS_SENT, "extra_params": {"project": 6}}).status_code == 200
    assert {arguments[0] for _, arguments in jobs_in(tmp_path)} == {1}
