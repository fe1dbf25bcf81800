"""Who may see texts and names, and who may press: real requests, honest and forged."""

import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from helpers.served import PROJECT, client_of, jobs_in
from helpers.versions import make_card
from nextlabel.problems.people import People, Person, Today
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.presses import DONE, Presses
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow
from nextlabel.values.options import ProjectOptions
from nextlabel.versions.registry import Registry
from nextlabel.web import access
from nextlabel.web.actions import ACTIONS

TEXT, NAME, PRESSER = "the text that is nobody else's", "anna@example.org", "somebody-with-a-name"
USER, PASSWORD = "lead", "s3cret-of-the-lead"
CREDENTIALS = {"basic_auth_user": USER, "basic_auth_pass": PASSWORD}
PAUSE = f"/projects/{PROJECT}/actions/pause"


def known(model_dir: Path) -> Path:
    """A MODEL_DIR with a version, a text, a person whose name is to be shown, and a press."""
    registry, board = Registry(model_dir), StatusBoard(model_dir)
    registry.save(make_card(1), {1: "pos"}, lambda directory: None)
    registry.put_options(PROJECT, ProjectOptions(show_people=True))
    row = Person(NAME, 3, 40, 4.2, 12, 15, "like the others")
    board.put_people(PROJECT, People(1.0, True, Today(3, 1), 4.2, None, "none", (row,)))
    board.put_queue(PROJECT, 1.0, state="published", title="a project")
    Presses(model_dir).add(PROJECT, PRESSER, "fit", "", DONE)
    with Pool(pool_path(model_dir, PROJECT)) as pool:
        pool.upsert([TaskRow(1, Example(1, TEXT), False, False, False, 0, ())])
    return model_dir


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, FlaskClient]:
    """Of a backend that asks for credentials, and of one that does not."""
    model_dir = known(tmp_path_factory.mktemp("known"))
    return {True: client_of(model_dir, **CREDENTIALS), False: client_of(model_dir)}


@pytest.fixture
def fresh(tmp_path: Path) -> FlaskClient:
    return client_of(known(tmp_path))


def routes(client: FlaskClient) -> Iterator[str]:
    """Every address that answers a GET, for project 1 and its version."""
    for rule in client.application.url_map.iter_rules():
        if "GET" in (rule.methods or ()):
            path = re.sub(r"<int:\w+>", str(PROJECT), rule.rule)
            yield re.sub(r"<(\w+:)?\w+>", make_card(1).version, path)


HERE = ["localhost:9090", "127.0.0.1:9090", "[::1]:9090", "LOCALHOST", "127.8.8.8"]
ELSEWHERE = ["evil.example:9090", "10.0.0.5", "me@localhost", "localhost.evil.example", "[", "::1]x"]
REMOTES = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.5", "::ffff:10.0.0.5", "192.168.1.7", ""]
PROXIES = [*access.BY_PROXY, "X-Unrelated"]
WORDS = [None, (USER, PASSWORD), (USER, "wrong"), ("", ""), ("wrong", PASSWORD)]


def from_here(remote: str, host: str, proxies: list[str], protocol: str) -> bool:
    """What the documents say is this machine."""
    loops = remote in ("127.0.0.1", "::1", "::ffff:127.0.0.1") and host in HERE
    return loops and set(proxies) <= {"X-Unrelated"} and protocol == "HTTP/1.1"


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    asks=st.booleans(),
    remote=st.sampled_from(REMOTES),
    host=st.sampled_from(HERE + ELSEWHERE),
    proxies=st.lists(st.sampled_from(PROXIES), max_size=1),
    protocol=st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]),
    words=st.sampled_from(WORDS),
)
def test_no_route_shows_a_text_or_a_name_or_a_button_without_the_right(
    asks: bool,
    remote: str,
    host: str,
    proxies: list[str],
    protocol: str,
    words: tuple[str, str] | None,
    clients: dict[bool, FlaskClient],
) -> None:
    right = words == (USER, PASSWORD) if asks else from_here(remote, host, proxies, protocol)
    client, shown = clients[asks], b""
    for path in routes(client):
        answer = client.get(
            path,
            auth=words,
            headers={"Host": host, **dict.fromkeys(proxies, "for=10.0.0.5")},
            environ_overrides={"REMOTE_ADDR": remote, "SERVER_PROTOCOL": protocol},
        )
        shown += answer.data
    buttons = re.search(rb'"token": ?"', shown) is not None
    assert (NAME.encode() in shown, PRESSER.encode() in shown, buttons) == (right,) * 3
    assert right or TEXT.encode() not in shown


def test_names_are_shown_only_where_a_lead_wants_them(fresh: FlaskClient, tmp_path: Path) -> None:
    address = f"/api/projects/{PROJECT}/people"
    said = fresh.get(address).get_json()
    assert (said["names_shown"], [person["name"] for person in said["people"]]) == (True, [NAME])
    Registry(tmp_path).put_options(PROJECT, ProjectOptions())
    said = fresh.get(address).get_json()
    assert (said["names_shown"], said["people"], said["today"]) == (False, [], {"labels": 3, "people": 1})


# Forged requests

Sent = Mapping[str, Any]


def token_of(client: FlaskClient, action: str = "pause", project: int = PROJECT, **more: Any) -> str:
    found = client.get(f"/api/projects/{project}/actions", **more).get_json()["actions"]
    return {one["name"]: str(one["token"]) for one in found}[action]


def asked(model_dir: Path) -> list[str]:
    return [press.action for press in Presses(model_dir).asked(PROJECT)]


HONEST: dict[str, Mapping[str, str]] = {
    "a browser of today": {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
    "a browser that hides its page": {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    "an older one": {"Origin": "http://localhost"},
    "one that says only where it comes from": {"Referer": "http://localhost/projects/1"},
    "no browser": {},
}


@pytest.mark.parametrize("how", HONEST)
def test_a_press_on_our_own_page_counts(how: str, fresh: FlaskClient, tmp_path: Path) -> None:
    answer = fresh.post(PAUSE, data={"token": token_of(fresh)}, headers=HONEST[how])
    assert (answer.status_code, answer.get_json()["outcome"]) == (202, "asked")
    assert asked(tmp_path) == ["pause"]


FORGED: dict[str, Callable[[FlaskClient, str], Sent]] = {
    "no token": lambda client, action: {"data": {}},
    "an empty token": lambda client, action: {"data": {"token": ""}},
    "a token that somebody made up": lambda client, action: {"data": {"token": signed("another key", action)}},
    "a token with another signature": lambda client, action: {"data": {"token": token_of(client, action)[:-2] + "AA"}},
    "a token of another button": lambda client, action: {
        "data": {"token": token_of(client, "resume" if action != "resume" else "pause")},
    },
    "a token of another project": lambda client, action: {"data": {"token": token_of(client, action, project=2)}},
    "a token in the address": lambda client, action: {"query_string": {"token": token_of(client, action)}},
    "a token in JSON, as text": lambda client, action: {
        "data": f'{{"token": "{token_of(client, action)}"}}', "content_type": "text/plain",
    },
    "the form of another site": lambda client, action: stolen(client, action, Origin="https://evil.example"),
    "of another port": lambda client, action: stolen(client, action, Origin="http://localhost:3000"),
    "of a page without an address": lambda client, action: stolen(client, action, Origin="null"),
    "of another site, as the browser says": lambda client, action: stolen(
        client, action, **{"Sec-Fetch-Site": "cross-site"}
    ),
    "of another program of this machine": lambda client, action: stolen(
        client, action, **{"Sec-Fetch-Site": "same-site"}
    ),
    "of a name that ends as ours": lambda client, action: stolen(
        client, action, Origin="http://localhost.evil.example"
    ),
    "of a page with a malformed address": lambda client, action: stolen(client, action, Origin="http://["),
    "of a page with a referrer": lambda client, action: stolen(
        client, action, Referer="https://evil.example/localhost"
    ),
    "a name that points here": lambda client, action: stolen(
        client, action, Host="evil.example", Origin="http://evil.example"
    ),
    "through a proxy": lambda client, action: stolen(client, action, **{"X-Forwarded-For": "10.0.0.5"}),
    "from another machine": lambda client, action: {
        **stolen(client, action), "environ_overrides": {"REMOTE_ADDR": "10.0.0.5"},
    },
}  # fmt: skip
ABOUT = {"promote": make_card(1).version, "show_names": "on", "look_again": "on"}  # with which each would do something


def signed(key: str, action: str) -> str:
    return str(URLSafeTimedSerializer(key, salt="nextlabel.forms").dumps([PROJECT, action, "this machine"]))


def stolen(client: FlaskClient, action: str, **headers: str) -> Sent:
    """With a good token, as if it had come into wrong hands."""
    return {"data": {"token": token_of(client, action)}, "headers": headers}


@pytest.mark.parametrize("accept", ["application/json", "text/html,*/*"])
@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_press_does_nothing_and_hears_why(
    kind: str, accept: str, fresh: FlaskClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Registry(tmp_path).know(2)
    sent = dict(FORGED[kind](fresh, "pause"))
    sent["headers"] = {**sent.get("headers", {}), "Accept": accept}
    answer = fresh.post(PAUSE, **sent)
    assert answer.status_code == 403
    if accept.startswith("text/html"):
        assert answer.content_type == "text/html; charset=utf-8"
        assert "<h1>Nothing was done</h1>" in answer.text
    else:
        assert answer.get_json().keys() == {"outcome", "error"}
    assert asked(tmp_path) == []
    assert [press.action for press in Presses(tmp_path).all(PROJECT)] == ["fit"], "who may not press fills no list"
    assert any("'pause' was not done" in message for message in caplog.messages)


@pytest.mark.parametrize("action", ACTIONS)
def test_no_button_does_anything_that_was_forged(action: str, fresh: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).know(2)
    forged = {kind: dict(make(fresh, action)) for kind, make in FORGED.items()}  # which may make the key
    before = on_disk(tmp_path)
    for kind, sent in forged.items():
        if "data" not in sent or isinstance(sent["data"], dict):
            sent["data"] = {**sent.get("data", {}), "about": ABOUT.get(action, ""), "sure": "yes"}
        assert fresh.post(f"/projects/{PROJECT}/actions/{action}", **sent).status_code == 403, kind
        assert on_disk(tmp_path) == before, kind
    assert jobs_in(tmp_path) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_each_button_leaves_something_behind_when_it_is_pressed_on_our_own_page(
    action: str, fresh: FlaskClient, tmp_path: Path
) -> None:
    Registry(tmp_path).save(make_card(2), {1: "pos"}, lambda directory: None)
    for number in (1, 2):
        Registry(tmp_path).promote(PROJECT, make_card(number).version)
    data = {"token": token_of(fresh, action), "about": ABOUT.get(action, ""), "sure": "yes"}
    before = on_disk(tmp_path)
    assert fresh.post(f"/projects/{PROJECT}/actions/{action}", data=data).status_code in (200, 202)
    assert on_disk(tmp_path) != before, "so that a forged press would be seen there, too"


def on_disk(model_dir: Path) -> dict[str, bytes]:
    """Every file of versions, options and presses, the queue's demands among them, and the jobs."""
    JobQueue(model_dir)  # makes its tables
    files = {str(path): path.read_bytes() for path in sorted(model_dir.rglob("*")) if path.is_file()}
    kept = {path: content for path, content in files.items() if ".sqlite" not in path and "/locks/" not in path}
    return {**kept, "jobs": repr(jobs_in(model_dir)).encode(), "demand": JobQueue(model_dir).demanded(PROJECT).encode()}


def test_a_token_is_good_for_half_a_day_and_for_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, lead = client_of(known(tmp_path)), client_of(tmp_path, **CREDENTIALS)
    words = (USER, PASSWORD)
    assert lead.post(PAUSE, data={"token": token_of(here)}, auth=words).status_code == 403
    token = token_of(lead, auth=words)
    assert lead.post(PAUSE, data={"token": token}).status_code == 401
    assert lead.post(PAUSE, data={"token": token}, auth=words).status_code == 202
    assert lead.get(PAUSE, auth=words).status_code == 405
    monkeypatch.setattr(access, "VALID_S", -1)
    late = lead.post(PAUSE, data={"token": token}, auth=words)
    assert (late.status_code, late.get_json()["error"]) == (
        403,
        "This page is too old to press a button on it: load it again.",
    )


def test_all_web_processes_have_one_key_and_nobody_else_reads_it(tmp_path: Path) -> None:
    token = token_of(client_of(known(tmp_path)))
    access._key.cache_clear()  # as in another process
    assert client_of(tmp_path).post(PAUSE, data={"token": token}).status_code == 202
    [key] = [path for path in tmp_path.iterdir() if access.KEY in path.name]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 64


@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site"])
@pytest.mark.parametrize("path", ["/webhook", "/setup", "/predict", "/versions"])
def test_no_page_in_a_browser_speaks_for_label_studio(
    path: str, header: str, fresh: FlaskClient, tmp_path: Path
) -> None:
    body = {"action": "START_TRAINING", "project": {"id": PROJECT}}
    forged = fresh.post(path, json=body, headers={header: "http://localhost"})
    assert (forged.status_code, "nothing is done" in forged.get_json()["error"]) == (403, True)
    assert jobs_in(tmp_path) == []
    assert JobQueue(tmp_path).demanded(PROJECT) == ""
