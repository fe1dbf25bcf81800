"""What Label Studio sends, spoilt in every way: no error of ours, no word of the inside, no wrong project touched.

The oracle of the project is written anew here: what is named in a body is an id, or an id and a time, as Label Studio
writes them.
"""

import copy
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from helpers.served import RECORDED, client_of, fit_version, jobs_in
from nextlabel.store.jobs import JobQueue
from nextlabel.web.protocol import HINTS

MAX_LENGTH = 32
BIG = 10 * 2**20

# Stand-ins for what json.dumps does not write, replaced in the text.
LITERALS = {
    "@huge number@": "1e400",
    "@many digits@": "9" * 5000,
    "@deep@": "[" * 100_000 + "]" * 100_000,
    "@rather deep@": '{"a":' * 300 + "0" + "}" * 300,
    "@raw control@": '"\x00\x1f"',
    "@bare word@": "undefined",
}
JUNK = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 7, 2**31, 2**63, 10**30, 0.5, 1.2e16, -0.0]),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), *LITERALS]),
    st.sampled_from(["", " ", "1", "1.2", "01.5", "1./..", "../../etc/passwd", "..", "1\n", "\uff11", "-1", "1e3"]),
    st.sampled_from(["\ud800", "\udfff half", "\x00\x07\x1b[31m", "\u202e", "x" * 100_000, "{{ 7 * 7 }}", "<b>'\""]),
    st.sampled_from(["<View>", "<a>" * 5000, "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<View/>", "&#0;", "<a b='1"]),
    st.sampled_from(["http://169.254.169.254/", "file:///etc/passwd", "nextlabel-untrained", *sorted(HINTS)]),
    st.sampled_from([[], {}, [[]], [None], {"id": 2}, {"id": "2.5"}, {"id": True}, [{"id": 2}], {"": None}]),
    st.text(max_size=20),
    st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=5), st.lists, max_leaves=8),
).map(copy.deepcopy)


def places(tree: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body, as the keys that lead there."""
    yield path
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inside:
        yield from places(value, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, bytes]:
    """A recorded body with some things dropped, replaced, added or doubled, as text; and where it is sent."""
    recorded = draw(st.sampled_from(RECORDED))
    body = json.loads(json.dumps(recorded["body"]))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(places(body))))
        body = changed(draw, body, path)
    where = draw(st.sampled_from([recorded["path"]] * 6 + ["/predict", "/setup", "/webhook", "/versions"]))
    text = json.dumps(body)
    for name, literal in LITERALS.items():
        text = text.replace(json.dumps(name), literal)
    return where, text.encode()


def changed(draw: st.DrawFn, body: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return draw(st.sampled_from([body] * 8 + [[body], None, "text"]))
    home = body
    for key in path[:-1]:
        home = home[key]
    key, what = path[-1], draw(st.sampled_from(["drop", "replace", "replace", "replace", "add", "wrap"]))
    if what == "drop":
        del home[key]
    elif what == "replace":
        home[key] = draw(JUNK)
    elif what == "wrap":
        home[key] = draw(st.sampled_from([[home[key]], {"id": home[key]}, json.dumps(home[key])]))
    elif isinstance(home, dict):
        home[draw(st.sampled_from(["id", "project", "action", "tasks", "data", "", "\ud800", "x" * 1000]))] = draw(JUNK)
    else:
        home.append(draw(JUNK))
    return body


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A MODEL_DIR in which project 1 has a version; its queue is emptied after every request."""
    model_dir = tmp_path_factory.mktemp("fuzzed")
    fit_version(model_dir, tiny, ("pos", "neg"), ("good", "bad"), MAX_LENGTH)
    return model_dir


@pytest.fixture(scope="module")
def client(home: Path) -> FlaskClient:
    return client_of(home)


def named_project(where: str, raw: bytes) -> int | None:
    """The project that a body is about, if it says so in a way that Label Studio might."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    named = body.get("project") if isinstance(body, dict) else None
    if where == "/webhook" and isinstance(named, dict):
        named = named.get("id")
    if type(named) is str:
        return int(named.split(".")[0]) if re.fullmatch(r"\d{1,18}(\.\d+)?", named, re.ASCII) else None
    return named if type(named) is int and 0 <= named < 10**18 else None


def check(response: TestResponse) -> None:
    """What holds of every answer, whatever was sent."""
    text = response.get_data(as_text=True)
    assert response.status_code < 500, text
    assert response.content_type == "application/json"
    answer = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert isinstance(answer, dict)
    if response.status_code >= 400:
        assert set(answer) == {"error"}
        assert re.fullmatch(r"\S.{1,700}[.…]", answer["error"]), "one line, not empty, not endless"
        assert "Traceback" not in text
        assert 'File "' not in text


def check_all(client: FlaskClient, home: Path, where: str, raw: bytes, **options: Any) -> TestResponse:
    """Send it; only the project that it names is touched, and only when it was taken."""
    response = client.post(where, data=raw, **options)
    check(response)
    touched = {arguments[0] for _, arguments in jobs_in(home)}
    allowed = {named_project(where, raw)} if response.status_code < 300 and where != "/predict" else set()
    assert touched <= allowed
    assert {path.name for path in (home / "models").iterdir()} == {"1"}
    JobQueue(home).huey.flush()
    return response


FUZZ = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.usefixtures("patience")
@settings(FUZZ, max_examples=2000)
@given(spoilt())
def test_spoilt_bodies_are_answered_in_words_and_touch_no_other_project(
    client: FlaskClient, home: Path, sent: tuple[str, bytes]
) -> None:
    where, raw = sent
    check_all(client, home, where, raw)


@pytest.mark.usefixtures("patience")
@settings(FUZZ, max_examples=1000)
@given(st.sampled_from(RECORDED), st.data())
def test_spoilt_bytes_are_answered_in_words(
    client: FlaskClient, home: Path, recorded: dict[str, Any], data: st.DataObject
) -> None:
    raw = bytearray(json.dumps(recorded["body"]).encode(data.draw(st.sampled_from(["utf-8"] * 5 + ["utf-16"]))))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=6))
    check_all(
        client,
        home,
        recorded["path"],
        bytes(raw),
        content_type=data.draw(
            st.sampled_from(["application/json", "text/plain", "multipart/form-data", "\u00e4", ""])
        ),
        headers={
            "Content-Encoding": data.draw(st.sampled_from(["identity", "gzip", "br"])),
            "Authorization": data.draw(st.sampled_from(["", "Basic", "Basic e30=", "Bearer \u00e4", "Digest a=b"])),
        },
    )


@settings(FUZZ, max_examples=300)
@given(
    st.sampled_from(["/health", "/setup", "/predict", "/versions", "/webhook", "/metrics", "/", "/openapi.json"]),
    st.sampled_from(["", "/", "//", "/..", "%00", "?project=", "?project=\ud800", "\x7f"]) | st.text(max_size=10),
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get"]),
)
def test_strange_addresses_and_methods_are_answered_in_words(
    client: FlaskClient, path: str, more: str, method: str
) -> None:
    raw = (path + more).encode("utf-8", "replace").decode("latin-1")  # as a server hands it on
    parts = raw.partition("?")
    response = client.open(method=method, environ_overrides={"PATH_INFO": parts[0], "QUERY_STRING": parts[2]})
    if response.status_code >= 400 and method != "HEAD":
        check(response)
    assert response.status_code < 500
    assert "Location" not in response.headers


@settings(FUZZ, max_examples=200)
@given(st.text() | st.sampled_from(["1", "1.2", "../1", "1/../2", "0", "9" * 18, "9" * 19]))
def test_strange_projects_in_an_address_are_answered_in_words(client: FlaskClient, project: str) -> None:
    response = client.get("/versions", query_string={"project": project.encode("utf-8", "surrogatepass")})
    check(response)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["what"])
def test_what_was_recorded_is_taken(client: FlaskClient, home: Path, recorded: dict[str, Any]) -> None:
    response = check_all(client, home, recorded["path"], json.dumps(recorded["body"]).encode())
    assert response.status_code == (201 if recorded["path"] == "/webhook" else 200)


@pytest.mark.parametrize("where", ["/predict", "/setup", "/webhook", "/versions"])
@pytest.mark.parametrize(
    "raw",
    [
        b'{"project": "' + b"1" * BIG + b'"}',
        b'{"project": {"id": "' + b"x" * BIG + b'"}, "action": "PROJECT_UPDATED"}',
        b'{"action": "' + b"A" * BIG + b'"}',
        b'{"tasks": "' + b"t" * BIG + b'", "project": 1}',
        b'{"tasks": [' + b"{}," * (BIG // 3) + b'{}], "project": 1}',
        b'{"project": 1, "tasks": [], "label_config": "' + b"<a>" * (BIG // 3) + b'"}',
        b'{"project": 1, "schema": "' + b"<a>" * 500_000 + b"</a>" * 500_000 + b'"}',
        b'{"project": 1, "schema": "<View>' + b"<Choice/>" * (BIG // 9) + b'</View>"}',
        b'{"a": ' * 1_000_000,
        b"[" * BIG,
        b" " * BIG,
        b"\xef\xbb\xbf{}",
        gzip.compress(b" " * 100 * BIG),
        gzip.compress(b'{"project": 1, "action": "PROJECT_UPDATED"}'),
    ],
    ids=range(14),
)
def test_large_bodies_and_bombs_are_answered_in_words(client: FlaskClient, home: Path, where: str, raw: bytes) -> None:
    headers = {"Content-Encoding": "gzip"} if raw.startswith(b"\x1f\x8b") else {}
    response = check_all(client, home, where, raw, headers=headers)
    assert len(response.data) < 2000, "what was sent is not sent back"


@pytest.mark.parametrize("html", [False, True], ids=["text", "html"])
def test_a_large_or_strange_text_is_predicted(client: FlaskClient, home: Path, html: bool) -> None:
    config = next(r["body"]["label_config"] for r in RECORDED if r["path"] == "/predict")
    config = config.replace("<Text", "<HyperText") if html else config
    texts = ["x " * (BIG // 2), "x" * BIG, "<div>" * 100_000 + "x", "<p>&#xD800;\x00" * 1000, "\ud800", "&" * 100_000]
    body = {"tasks": [{"data": {"text": text}} for text in texts], "project": 1, "label_config": config}
    answers = check_all(client, home, "/predict", json.dumps(body).encode()).json
    assert answers is not None
    assert len(answers["results"]) == len(texts)
