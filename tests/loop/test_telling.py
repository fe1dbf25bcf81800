"""Who hears of an advice, when, how often, and what becomes of it while nobody listens."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from helpers.waiting import wait_until
from nextlabel.errors import StudioError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.loop.controller import Controller
from nextlabel.loop.telling import AT_A_TIME, STANDS_S, Teller
from nextlabel.problems.advice import Advice
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool
from nextlabel.store.status import StatusBoard
from nextlabel.versions.registry import Registry

PROJECT = 7
GO_ON, CERTIFY = Advice("label", "Go on labelling.", 1000.0), Advice("certify", "It may be certified.", 2000.0)
STANDS = CERTIFY.since + STANDS_S


class Chat:
    """A server that answers with one status after the other, the last one for ever, and keeps what it was told."""

    def __init__(self, *answers: int):
        self.told: list[Any] = []
        self.paths: list[str] = []
        self.listens = threading.Event()
        self.listens.set()
        chat, left = self, list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                chat.paths.append(self.path)
                chat.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                chat.listens.wait()
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/open-sesame"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def chat() -> Iterator[Callable[..., Chat]]:
    started: list[Chat] = []

    def start(*answers: int) -> Chat:
        started.append(Chat(*answers))
        return started[-1]

    yield start
    for one in started:
        one.listens.set()
        one.server.shutdown()
        one.server.server_close()


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(tmp_path / "pool.sqlite") as found:
        yield found


def idle(teller: Teller) -> Callable[[], bool]:
    """Whether nothing is under way."""
    return lambda: teller._free._value == AT_A_TIME


def test_an_advice_is_told_once_when_it_has_stood_and_again_when_it_is_another(
    pool: Pool, chat: Callable[..., Chat], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    listening = chat(200)
    for now in (STANDS - 1, STANDS, STANDS + 60):
        teller = Teller(listening.url)  # each one anew: a trainer that was started again, or another one
        teller.look(pool, PROJECT, CERTIFY, now)
        wait_until(idle(teller), "the webhook to be told")
    assert listening.told == [{"project": 7, "key": "certify", "sentence": "It may be certified.", "since": 2000.0}]
    teller.look(pool, PROJECT, Advice(), STANDS + 120)
    teller.look(pool, PROJECT, GO_ON, STANDS + 180)
    wait_until(idle(teller), "the webhook to be told")
    assert [told["key"] for told in listening.told] == ["certify", "label"]
    said = [record.message for record in caplog.records if "advice" in record.message]
    assert said == [
        "project 7: the advice is now: It may be certified.",
        "project 7: the advice is now: Go on labelling.",
    ]


@pytest.mark.parametrize(
    ("answers", "tries", "complaint"),
    [
        ((500, 429, 204), 3, ""),
        ((503,), 3, "answers 503"),
        ((404,), 1, "answers 404"),
        ((307,), 1, "answers 307 and names another address, which is not followed: set that one"),
    ],
)
def test_what_may_pass_is_tried_three_times_and_no_redirect_is_followed(
    pool: Pool,
    chat: Callable[..., Chat],
    caplog: pytest.LogCaptureFixture,
    answers: tuple[int, ...],
    tries: int,
    complaint: str,
) -> None:
    listening = chat(*answers)
    teller = Teller(listening.url, pauses_s=(0.0, 0.0))
    teller.look(pool, PROJECT, CERTIFY, STANDS)
    wait_until(idle(teller), "the tries to end")
    assert listening.paths == ["/hooks/open-sesame"] * tries
    expected = [f"project 7: ADVICE_WEBHOOK at 127.0.0.1 {complaint}"] if complaint else []
    assert [record.message for record in caplog.records] == expected
    assert "open-sesame" not in caplog.text, "whoever knows the address may write there"


def test_nothing_waits_for_a_webhook_that_does_not_answer_and_few_requests_are_under_way(
    tmp_path: Path, chat: Callable[..., Chat], caplog: pytest.LogCaptureFixture
) -> None:
    deaf = chat(200)
    deaf.listens.clear()
    teller = Teller(deaf.url, pauses_s=())
    for project in range(AT_A_TIME + 1):
        with Pool(tmp_path / f"{project}.sqlite") as pool:
            teller.look(pool, project, CERTIFY, STANDS)  # comes back, though nobody has answered
    assert [record.message for record in caplog.records] == [
        f"project {AT_A_TIME}: ADVICE_WEBHOOK is not told, as it has still to answer for others"
    ]
    deaf.listens.set()
    wait_until(idle(teller), "the others to be told")
    assert len(deaf.told) == AT_A_TIME


class Away(LabelStudioClient):
    """A Label Studio that does not answer."""

    def __init__(self) -> None:
        super().__init__("http://localhost:9", "f" * 40)

    def project(self, project_id: int, with_counts: bool = True) -> Any:
        raise StudioError("away")


def test_a_project_that_fails_for_a_while_is_told_of_and_each_failure_is_counted(
    tmp_path: Path, chat: Callable[..., Chat]
) -> None:
    listening = chat(200)
    settings = Settings(_env_file=None, model_dir=tmp_path, advice_webhook=listening.url)
    board, registry, now = StatusBoard(tmp_path), Registry(tmp_path), [1000.0]
    registry.know(PROJECT)
    controller = Controller(settings, registry, board, Away(), JobQueue(tmp_path), lambda: now[0])
    controller.reconcile(PROJECT, thorough=True)
    assert (board.queue(PROJECT).state, board.advice(PROJECT).key) == ("failed", "repair")
    now[0] += STANDS_S
    controller.reconcile(PROJECT, thorough=True)
    wait_until(lambda: bool(listening.told), "the webhook to be told")
    assert [(told["key"], told["since"]) for told in listening.told] == [("repair", 1000.0)]
    assert (board.queue(PROJECT).errors, board.queue(PROJECT).unanswered) == (2, 2)
    assert "http" not in listening.told[0]["sentence"]
