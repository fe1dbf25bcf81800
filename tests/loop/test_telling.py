"""Who hears of an advice, when, how often, and what becomes of it while nobody listens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.chat import Chat
from helpers.waiting import wait_until
from nextlabel.errors import StudioError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.loop.controller import Controller
from nextlabel.loop.telling import AT_A_TIME, Teller
from nextlabel.problems.advice import AUDIT_WORTH_IT, GO_ON, Advice
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool
from nextlabel.store.status import StatusBoard
from nextlabel.versions.registry import Registry

PROJECT = 7
LABEL, AUDIT = Advice(GO_ON, "Go on.", 1000.0), Advice(AUDIT_WORTH_IT, "An audit may be worth it.", 2000.0)
STANDS_S = 300.0
STANDS = AUDIT.since + STANDS_S


@pytest.fixture
def chat() -> Iterator[Callable[..., Chat]]:
    started: list[Chat] = []

    def start(*answers: int) -> Chat:
        started.append(Chat(*answers))
        return started[-1]

    yield start
    for one in started:
        one.stop()


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
        teller = Teller(listening.url, STANDS_S)  # each one anew: a trainer that was started again, or another one
        teller.look(pool, PROJECT, AUDIT, now)
        wait_until(idle(teller), "the webhook to be told")
    assert listening.told == [
        {"project": 7, "key": "audit_worth_it", "sentence": "An audit may be worth it.", "since": 2000.0}
    ]
    teller.look(pool, PROJECT, Advice(), STANDS + 120)
    teller.look(pool, PROJECT, LABEL, STANDS + 180)
    wait_until(idle(teller), "the webhook to be told")
    assert [told["key"] for told in listening.told] == ["audit_worth_it", "go_on"]
    said = [record.message for record in caplog.records if "what to do" in record.message]
    assert said == [
        "project 7: what to do next: An audit may be worth it.",
        "project 7: what to do next: Go on.",
    ]


def test_what_was_told_is_not_told_again_by_a_release_with_other_tables(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nextlabel.loop.telling")
    for _ in range(2):
        with Pool(tmp_path / "pool.sqlite") as pool:
            Teller("", STANDS_S).look(pool, PROJECT, AUDIT, STANDS)
            pool._db.execute("PRAGMA user_version=1")
    assert len(caplog.records) == 1


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
    teller = Teller(listening.url, STANDS_S, pauses_s=(0.0, 0.0))
    teller.look(pool, PROJECT, AUDIT, STANDS)
    wait_until(idle(teller), "the tries to end")
    assert listening.paths == ["/hooks/open-sesame"] * tries
    expected = [f"project 7: ADVICE_WEBHOOK at 127.0.0.1 {complaint}"] if complaint else []
    assert [record.message for record in caplog.records] == expected
    assert "open-sesame" not in caplog.text, "whoever knows the address may write there"


def test_an_address_at_which_nobody_listens_is_a_line_in_the_log_without_its_secret(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    teller = Teller("http://127.0.0.1:9/hooks/open-sesame", STANDS_S, pauses_s=(0.0,))
    teller.look(pool, PROJECT, AUDIT, STANDS)
    wait_until(idle(teller), "the tries to end")
    said = [record.message for record in caplog.records]
    assert said == ["project 7: ADVICE_WEBHOOK at 127.0.0.1 did not answer (ConnectError)"]
    assert "open-sesame" not in caplog.text


def test_nothing_waits_for_a_webhook_that_does_not_answer_and_few_requests_are_under_way(
    tmp_path: Path, chat: Callable[..., Chat], caplog: pytest.LogCaptureFixture
) -> None:
    deaf = chat(200)
    deaf.listens.clear()
    teller = Teller(deaf.url, STANDS_S, pauses_s=())
    for project in range(AT_A_TIME + 1):
        with Pool(tmp_path / f"{project}.sqlite") as pool:
            teller.look(pool, project, AUDIT, STANDS)  # comes back, though nobody has answered
    assert [record.message for record in caplog.records] == [
        f"project {AT_A_TIME}: ADVICE_WEBHOOK is not told, as it has still to answer for others"
    ]
    deaf.listens.set()
    wait_until(idle(teller), "the others to be told")
    assert len(deaf.told) == AT_A_TIME


class Away(LabelStudioClient):
    """A Label Studio that does not answer."""

    def __init__(self, *why: str) -> None:
        super().__init__("http://localhost:9", "f" * 40)
        self._why = iter(why)

    def project(self, project_id: int, with_counts: bool = True) -> Any:
        raise StudioError(next(self._why, "away"))


def test_looks_that_fail_as_label_studio_does_not_answer_are_counted(tmp_path: Path) -> None:
    settings, board, registry = Settings(_env_file=None, model_dir=tmp_path), StatusBoard(tmp_path), Registry(tmp_path)
    registry.know(PROJECT)
    controller = Controller(settings, registry, board, Away(), JobQueue(tmp_path))
    for looks in (1, 2):
        controller.reconcile(PROJECT, thorough=True)
        status = board.queue(PROJECT)
        assert (status.state, status.errors, status.unanswered) == ("failed", looks, looks)


def test_what_fails_again_and_again_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "nextlabel.loop.controller")
    settings, registry = Settings(_env_file=None, model_dir=tmp_path), Registry(tmp_path)
    registry.know(PROJECT)
    away = Away("away", "away", "its data base is locked", "away", "away")
    controller = Controller(settings, registry, StatusBoard(tmp_path), away, JobQueue(tmp_path))
    for _ in range(5):
        controller.reconcile(PROJECT, thorough=False)
    said = [record.message for record in caplog.records]
    assert said == ["project 7: away", "project 7: its data base is locked", "project 7: away"]
    caplog.clear()
    again = Controller(settings, registry, StatusBoard(tmp_path), Away(*["away"] * 2), JobQueue(tmp_path))
    for _ in range(2):
        again.reconcile(PROJECT, thorough=False)
    assert [record.message for record in caplog.records] == ["project 7: away"], "a trainer that was started since"
