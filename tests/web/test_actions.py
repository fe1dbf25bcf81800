"""What each button of a page does, on the disk and in the queue; what it asks of the trainer is done there."""

import io
import logging
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flask.testing import FlaskClient
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from werkzeug.test import TestResponse

from helpers.audits import AUDIT
from helpers.pages import parse
from helpers.served import PROJECT, VERSION, client_of, fit_version, jobs_in
from helpers.versions import cut, make_card, write_weights
from nextlabel.errors import NotPossibleError
from nextlabel.learning.heads import Head
from nextlabel.store.jobs import JobQueue
from nextlabel.store.presses import ASKED, DONE, KEPT, REFUSED, Presses
from nextlabel.store.status import StatusBoard
from nextlabel.values.linear import Linear
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.versions import download, heads
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

PAGE = f"/projects/{PROJECT}"
LABELS = ("pos", "neg", "mixed")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """With two versions, of which the second is active."""
    found = Registry(tmp_path)
    for number in (1, 2):
        card = make_card(number, parent=make_card(1).version if number > 1 else None)
        found.save(card, {1: "pos"}, write_weights)
        found.promote(PROJECT, card.version)
    return found


@pytest.fixture
def client(registry: Registry, tmp_path: Path) -> FlaskClient:
    return client_of(tmp_path)


def press(client: FlaskClient, action: str, accept: str = "application/json", **form: str) -> TestResponse:
    found = client.get(f"/api/projects/{PROJECT}/actions").get_json()["actions"]
    token = {one["name"]: one["token"] for one in found}.get(action, "")
    return client.post(f"{PAGE}/actions/{action}", data={"token": token, **form}, headers={"Accept": accept})


def last(model_dir: Path) -> tuple[str, str, str, str]:
    found = Presses(model_dir).all(PROJECT)[0]
    return found.who, found.action, found.about, found.outcome


def test_fit_now_is_start_training_and_is_asked_for_until_the_fit_begins(client: FlaskClient, tmp_path: Path) -> None:
    assert press(client, "fit").status_code == 202
    assert float(JobQueue(tmp_path).demanded(PROJECT)) > 0
    assert jobs_in(tmp_path) == [("reconcile", (PROJECT, False))]
    assert last(tmp_path) == ("this machine", "fit", "", ASKED)
    Presses(tmp_path).note_fit(PROJECT)
    assert last(tmp_path) == ("this machine", "fit", "", DONE)


@pytest.mark.parametrize("by", ["option", "certificate"])
def test_while_it_is_paused_no_fit_is_asked_for(by: str, client: FlaskClient, tmp_path: Path) -> None:
    if by == "option":
        Registry(tmp_path).put_options(PROJECT, ProjectOptions(pause=True))
    else:
        StatusBoard(tmp_path).put_queue(PROJECT, 0.0, paused="Its certificate stands")
    answer = press(client, "fit")
    assert (answer.status_code, "Press Resume first." in answer.get_json()["error"]) == (409, True)
    assert JobQueue(tmp_path).demanded(PROJECT) == ""
    assert last(tmp_path) == ("this machine", "fit", "", REFUSED)


@pytest.mark.parametrize("state", ["ended", "disconnected", "audit"])
def test_where_no_fit_will_come_none_is_asked_for_and_nothing_is_offered_that_would_do_nothing(
    state: str, client: FlaskClient, tmp_path: Path
) -> None:
    why, token = "it was given away", client.get(f"/api/projects/{PROJECT}/actions").get_json()["actions"][0]["token"]
    if state == "audit":
        why = f"Nothing is fitted while an audit of project {PROJECT} runs"
        Audits(tmp_path).begin(replace(AUDIT, project=PROJECT), None)
    else:
        StatusBoard(tmp_path).put_queue(PROJECT, 0.0, state=state, message=why)
    answer = client.post(f"{PAGE}/actions/fit", data={"token": token}, headers={"Accept": "application/json"})
    assert (answer.status_code, why in answer.get_json()["error"]) == (409, True)
    assert (JobQueue(tmp_path).demanded(PROJECT), jobs_in(tmp_path)) == ("", [])
    assert last(tmp_path) == ("this machine", "fit", "", REFUSED)
    shown = parse(client.get(PAGE).text)
    assert not {"press-fit", "press-pause", "press-resume"} & set(shown.ids)
    assert (why[0].upper() + why[1:]) in shown.text
    assert ("press-label" in shown.ids) == (state != "disconnected"), "it may be gone from Label Studio"
    assert any(one.startswith(("ask-promote", "ask-rollback")) for one in shown.ids) == (state == "audit")
    assert ("press-take_defaults" in shown.ids, "follows the order" in shown.text) == 2 * (state == "audit",)


def test_versions_are_promoted_and_rolled_back(client: FlaskClient, registry: Registry, tmp_path: Path) -> None:
    first, second = make_card(1).version, make_card(2).version
    assert press(client, "rollback").status_code == 200
    assert registry.current(PROJECT) == first
    assert press(client, "rollback").status_code == 404
    assert last(tmp_path) == ("this machine", "rollback", "", REFUSED)
    assert press(client, "promote", about="2").status_code == 200
    assert (registry.current(PROJECT), last(tmp_path)) == (second, ("this machine", "promote", "2", DONE))
    assert press(client, "promote", about="1").status_code == 200
    assert press(client, "rollback").status_code == 200
    assert registry.current(PROJECT) == second, "which was active before, though it is the newer one"
    assert press(client, "promote", about="7").status_code == 404
    assert press(client, "promote").status_code == 404
    cut(registry.path(PROJECT, first) / "model.safetensors")
    assert press(client, "promote", about=first).status_code == 500
    assert Registry(tmp_path).current(PROJECT) == second
    assert jobs_in(tmp_path) == [("reconcile", (PROJECT, False))]


@pytest.mark.parametrize("state", ["ended", "disconnected"])
@pytest.mark.parametrize(("action", "about"), [("promote", "1"), ("rollback", "")])
def test_in_a_project_that_is_left_alone_no_other_version_becomes_active(
    action: str, about: str, state: str, client: FlaskClient, registry: Registry, tmp_path: Path
) -> None:
    active = registry.current(PROJECT)
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, state=state, message="it was given away")
    answer = press(client, action, about=about)
    assert (answer.status_code, "t was given away" in answer.get_json()["error"]) == (409, True)
    assert (registry.current(PROJECT), jobs_in(tmp_path)) == (active, [])
    assert last(tmp_path) == ("this machine", action, about, REFUSED)


@pytest.mark.parametrize(("action", "about"), [("promote", "1"), ("rollback", "")])
def test_no_other_version_becomes_active_while_an_audit_keeps_one_in_force(
    action: str, about: str, client: FlaskClient, registry: Registry, tmp_path: Path
) -> None:
    audits, active = Audits(tmp_path), registry.current(PROJECT)
    audits.begin(replace(AUDIT, project=PROJECT), None)
    for _ in range(2):  # while it runs, and while its certificate stands
        answer = press(client, action, about=about)
        assert answer.status_code == 409
        assert f"`nextlabel certificate stop --project {PROJECT}`" in answer.get_json()["error"]
        assert (registry.current(PROJECT), jobs_in(tmp_path)) == (active, [])
        audits.end(PROJECT, "all tasks are certified")
    audits.release(PROJECT)
    assert press(client, action, about=about).status_code == 200


@pytest.mark.parametrize(
    ("action", "about"), [("pause", ""), ("resume", ""), ("show_names", "on"), ("look_again", "off")]
)
def test_what_changes_options_is_asked_of_the_trainer(
    action: str, about: str, client: FlaskClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = press(client, action, about=about)
    assert (answer.status_code, answer.get_json()["outcome"]) == (202, ASKED)
    [waits] = Presses(tmp_path).asked(PROJECT)
    assert (waits.id, waits.action, waits.about) == (answer.get_json()["press"], action, about)
    assert jobs_in(tmp_path) == [("reconcile", (PROJECT, False))]
    assert f"project {PROJECT}: this machine pressed {f'{action} {about}'.strip()}: asked" in caplog.messages
    Presses(tmp_path).answer(PROJECT, waits, REFUSED, "it is Sunday")
    [shown] = client.get(f"/api/projects/{PROJECT}/presses").get_json()["presses"]
    assert (shown["action"], shown["outcome"], shown["why"]) == (action, REFUSED, "it is Sunday")
    assert Presses(tmp_path).asked(PROJECT) == []


def test_who_polls_right_after_a_press_is_not_told_how_it_was_before(client: FlaskClient) -> None:
    address = f"/api/projects/{PROJECT}/page"
    assert client.get(address).get_json()["presses"] == []
    press(client, "pause")
    assert [one["action"] for one in client.get(address).get_json()["presses"]] == ["pause"]
    press(client, "promote", about="99")
    assert [one["outcome"] for one in client.get(address).get_json()["presses"]] == [REFUSED, ASKED]


def test_what_is_no_button_and_what_is_neither_on_nor_off_is_refused(client: FlaskClient, tmp_path: Path) -> None:
    assert press(client, "show_names", about="perhaps").status_code == 409
    assert press(client, "format_disk").status_code == 403, "nobody has a token for it"
    assert Presses(tmp_path).asked(PROJECT) == []
    assert client.get("/api/projects/99/actions").status_code == 404


def test_new_defaults_are_taken_after_whoever_presses_has_seen_them(client: FlaskClient, tmp_path: Path) -> None:
    shown = press(client, "take_defaults").get_json()
    assert shown["outcome"] == ""
    assert "strategy=margin (before: entropy)" in shown["changes"]
    assert shown["changes"] == client.get(f"/api/projects/{PROJECT}/actions").get_json()["new_defaults"]
    assert shown["changes"][-1].startswith("a control set is drawn")
    assert Presses(tmp_path).all(PROJECT) == []
    assert press(client, "take_defaults", sure="yes").status_code == 202
    Registry(tmp_path).put_options(PROJECT, ProjectOptions(defaults=LATEST, control_seed="a"))
    assert press(client, "take_defaults", sure="yes").status_code == 409
    Registry(tmp_path).put_options(PROJECT, ProjectOptions(own={"window": 0}))
    assert client.get(f"/api/projects/{PROJECT}/actions").get_json()["new_defaults"] == []
    assert press(client, "take_defaults").status_code == 422


def test_without_scripts_a_browser_comes_back_to_the_page_or_is_told_what_is_wrong(client: FlaskClient) -> None:
    done = press(client, "fit", accept="text/html")
    assert (done.status_code, done.headers["Location"]) == (303, PAGE)
    sure = press(client, "take_defaults", accept="text/html")
    assert "<li>strategy=margin (before: entropy)</li>" in sure.text
    assert f'action="{PAGE}/actions/take_defaults"' in sure.text
    assert "form-action 'self'" in sure.headers["Content-Security-Policy"]
    refused = press(client, "promote", accept="text/html", about="<b>")
    assert (refused.status_code, "<b>" in refused.text, "&lt;b&gt;" in refused.text) == (404, False, True)


def test_of_many_presses_the_last_are_kept_and_those_that_wait(tmp_path: Path) -> None:
    known = Presses(tmp_path)
    waits = known.add(PROJECT, "me", "pause", "", ASKED)
    for number in range(2 * KEPT + 50):
        known.add(PROJECT, "me", "fit", str(number), DONE)
    found = known.all(PROJECT)
    assert KEPT <= len(found) <= 2 * KEPT + 1
    assert [press.about for press in found[:2]] == [str(2 * KEPT + 49), str(2 * KEPT + 48)]
    assert known.asked(PROJECT) == [waits]
    path = tmp_path / "status" / f"{PROJECT}.presses.jsonl"
    path.write_bytes(b'{"half a li\n\xff\n[]\n' + path.read_bytes())
    assert known.all(PROJECT) == found


# Versions to take away


def archive_of(client: FlaskClient, name: str) -> zipfile.ZipFile:
    answer = client.get(f"{PAGE}/versions/{name}.zip", buffered=True)
    assert (answer.status_code, answer.content_type) == (200, "application/zip")
    return zipfile.ZipFile(io.BytesIO(answer.data))


@pytest.mark.parametrize("with_head", [True, False])
def test_a_version_comes_with_its_newest_head_as_plain_transformers_loads_it(
    with_head: bool, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_version(tmp_path, tiny, LABELS, ("good", "bad", "so and so"), 32)
    monkeypatch.setattr(download, "PIECE", 1000)  # so that the layer lies in several pieces
    version, name = Registry(tmp_path).path(PROJECT, VERSION), VERSION
    plain = AutoModelForSequenceClassification.from_pretrained(version)
    if with_head:
        layer = Linear(np.random.default_rng(0).normal(size=(3, 32)), np.array([0.5, -0.25, 0.125]))
        name = heads.save_next(version, Head(layer, LABELS, {1: "pos"}, 0.1))
        with torch.no_grad():
            plain.classifier.weight.copy_(torch.from_numpy(layer.weights_CD))
            plain.classifier.bias.copy_(torch.from_numpy(layer.bias_C))
    _, parts = download.zipped(Registry(tmp_path), PROJECT, VERSION)
    assert max(map(len, parts)) < 2 * download.PIECE, "however large the file of weights"
    archive = archive_of(client_of(tmp_path), VERSION)
    assert archive.testzip() is None
    assert {Path(file).name for file in archive.namelist()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert not {"labels.json", "card.json", "manifest.json"} & {Path(file).name for file in archive.namelist()}
    archive.extractall(tmp_path / "taken")
    inputs = AutoTokenizer.from_pretrained(tmp_path / "taken" / name)("a fine day", return_tensors="pt")
    taken = AutoModelForSequenceClassification.from_pretrained(tmp_path / "taken" / name)
    with torch.inference_mode():
        assert torch.equal(taken(**inputs).logits, plain(**inputs).logits)
    assert taken.config.id2label == dict(enumerate(LABELS))


def test_what_cannot_be_taken_says_why(client: FlaskClient, registry: Registry) -> None:
    assert client.get(f"{PAGE}/versions/7.zip").status_code == 404
    cut(registry.path(PROJECT, make_card(2).version) / "model.safetensors")
    damaged = client.get(f"{PAGE}/versions/2.zip")
    assert (damaged.status_code, "is damaged" in damaged.get_json()["error"]) == (500, True)


def test_where_two_layers_could_be_the_last_none_is_taken_for_it() -> None:
    tensors: dict[str, Any] = {
        f"{layer}.{part}": {"shape": shape, "dtype": "F32", "data_offsets": [0, 0]}
        for layer in ("one", "other")
        for part, shape in (("weight", [3, 32]), ("bias", [3]))
    }
    layer = Linear(np.zeros((3, 32)), np.zeros(3))
    with pytest.raises(NotPossibleError, match="nextlabel export"):
        download._name_of(tensors, layer, VERSION)
    named = tensors | {f"classifier.out_proj.{part}": tensors[f"one.{part}"] for part in ("weight", "bias")}
    assert download._name_of(named, layer, VERSION) == "classifier.out_proj"
