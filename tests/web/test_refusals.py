"""Errors as a person meets them in a browser, and the same errors as a program does."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import pytest
from pydantic import SecretStr
from werkzeug.test import TestResponse

from helpers.pages import parse
from helpers.served import client_of
from helpers.shown_project import fill, long_ago
from nextlabel.web import panels
from nextlabel.web.refusals import WHAT

PROJECT, GUARD = 7, {"basic_auth_user": "u", "basic_auth_pass": SecretStr("p")}
OF_BROWSERS = (  # of Chromium, Firefox, Safari
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
)
OF_PROGRAMS = ("*/*", "application/json", "application/json, text/plain, */*", "application/json, text/html", "", None)
MET = [  # how, where, the status, and what is said of why
    ("GET", "/projects/99", 404, "No project 99 is connected to this backend, only 7."),
    ("GET", "/api/projects/99/page", 404, "nextlabel connect --project 99"),
    ("GET", "/projects/none", 404, "There is nothing at '/projects/none'"),
    ("GET", "/projects/7/versions/9.zip", 404, "9"),
    ("GET", "/projects/7/actions/fit", 405, "GET is not possible"),
    ("POST", "/projects/7/actions/fit", 403, "was not pressed on this backend's own page"),
    ("GET", "/projects/7/versions/8.zip", 403, "Texts, names and buttons are for"),
    ("GET", "/projects/7", 401, "Credentials are missing or wrong"),
    ("GET", "/projects/7", 500, "Internal error (KeyError)"),
    ("POST", "/setup", 400, ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a project. Not to be changed."""
    model_dir = tmp_path_factory.mktemp("home")
    fill(model_dir, PROJECT, long_ago())
    return model_dir


def met(home: Path, method: str, address: str, status: int, accepts: Sequence[str | None]) -> list[TestResponse]:
    """What is answered to each way to say what one accepts."""
    client = client_of(home, **(GUARD if status == 401 else {}))
    elsewhere = {"X-Forwarded-For": "192.0.2.7"} if address.endswith("8.zip") else {}
    asked = [elsewhere if accept is None else {**elsewhere, "Accept": accept} for accept in accepts]
    with patch.object(panels, "document", side_effect=KeyError) if status == 500 else nullcontext():
        return [client.open(address, method=method, headers=headers) for headers in asked]


@pytest.mark.parametrize(("method", "address", "status", "why"), MET)
def test_a_person_gets_a_short_page_that_says_what_and_why_and_leads_on(
    method: str, address: str, status: int, why: str, home: Path
) -> None:
    answer, other = met(home, method, address, status, OF_BROWSERS)
    assert other.text == answer.text
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    shown = parse(answer.text)
    assert len(shown.headings) == 1
    assert WHAT.get(status, "") in ("", *shown.headings) or method == "POST"
    assert why in shown.text
    assert "a href=/" in shown.loads, "the list of projects"
    back = f"a href=/projects/{PROJECT}" in shown.loads
    assert back == ("/projects/7" in address and status in (403, 404))
    assert any(load.startswith("link ") for load in shown.loads) == (status != 401), "or it would ask once more"
    assert len(answer.text) < 1500
    assert answer.headers["Vary"] == "Accept"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("method", "address", "status", "why"), MET)
def test_a_program_gets_json_with_the_same_words(method: str, address: str, status: int, why: str, home: Path) -> None:
    for answer in met(home, method, address, status, OF_PROGRAMS):
        assert (answer.status_code, answer.content_type) == (status, "application/json")
        assert why in answer.get_json()["error"]


def test_headers_that_say_what_to_do_go_with_a_page_too(home: Path) -> None:
    accept = {"Accept": OF_BROWSERS[0]}
    assert client_of(home).get("/projects/7/actions/fit", headers=accept).headers["Allow"] == "POST"
    refused = client_of(home, **GUARD).get("/", headers=accept)
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="nextlabel"'


def test_what_was_asked_for_is_shown_as_text(home: Path) -> None:
    shown = client_of(home).get("/<script>alert(1)</script>", headers={"Accept": OF_BROWSERS[0]}).text
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
