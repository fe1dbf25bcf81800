"""A backend that moves from one address to another, in a Label Studio in memory, with kills between. What a real Label
Studio and a real trainer do with it is in `loop/test_moving_live`."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from helpers.labelling_configs import PAIR_XML
from nextlabel.__main__ import main
from nextlabel.errors import StudioError
from nextlabel.labelstudio.client import SEQUENTIAL, UNCERTAINTY, MLBackend, Project, StudioRefusedError, Webhook
from nextlabel.labelstudio.connection import Credentials, connect, disconnect, plan, remedy_of
from nextlabel.labelstudio.registration import LOOKS, before_of, is_anothers
from nextlabel.labelstudio.requests import WEBHOOK_ACTIONS
from nextlabel.store.locks import LockHeld, lock
from nextlabel.values.queue import Published
from nextlabel.values.versions import UNTRAINED, is_ours

A, B, NER = "http://127.0.0.1:9090", "http://127.0.0.1:9191", "http://127.0.0.1:7070"
OURS, THEIRS = "nextlabel-3-20261129T100000", "nextlabel-1-20261129T110000"
BEFORE = Project(7, "seven", PAIR_XML, "Uniform sampling", "", False, 0, 0, False, False)


class InMemory:
    """A Label Studio that does what the real one does to backends and webhooks. `serves`: what /setup answers where."""

    def __init__(self, project: Project = BEFORE):
        self.now, self.serves = project, {A: UNTRAINED, B: UNTRAINED, NER: "ner-1"}
        self.rows: dict[int, MLBackend] = {}
        self.hooks: dict[int, Webhook] = {}
        self.predictions: dict[int, Published] = {}
        self.ids, self.writes, self.killed_at = count(1), 0, 0
        self.meanwhile: Callable[[], None] = lambda: None

    def _write(self) -> None:
        self.writes += 1
        if self.writes == self.killed_at:
            raise KeyboardInterrupt

    def project(self, project: int) -> Project:
        return self.now

    def update_project(self, project: int, **fields: Any) -> None:
        self._write()
        names = {"show_collab_predictions": "show_predictions"}
        self.now = replace(self.now, **{names.get(name, name): value for name, value in fields.items()})

    def set_model_version(self, project: int, version: str) -> None:
        self.update_project(project, model_version=version)

    def tasks_after(self, project: int, task_id: int) -> Iterator[list[dict[str, Any]]]:
        return iter([])

    def ml_backends(self, project: int) -> list[MLBackend]:
        self.meanwhile()
        return [
            replace(row, model_version=self.serves[row.url], state="Connected")
            if row.url in self.serves
            else replace(row, state="Disconnected")
            for row in reversed(self.rows.values())
        ]

    def add_ml_backend(self, project: int, url: str, title: str, user: str, password: str, extra: Any) -> None:
        self._write()
        row = next(self.ids)
        self.rows[row] = MLBackend(row, url, title, "", "Connected", "", extra)
        self.hooks[next(self.ids)] = Webhook(row, f"{url}/webhook", True, True, True, (), {})

    def update_ml_backend(
        self, backend: int, project: int, url: str, title: str, user: str, password: str, extra: Any
    ) -> None:
        if url not in self.serves:
            raise StudioRefusedError("Can't connect to ML backend", 400)
        self._write()
        self.rows[backend] = replace(self.rows[backend], url=url, title=title, extra_params=extra)

    def remove_ml_backend(self, backend: int) -> None:
        self._write()
        self.rows.pop(backend, None)

    def webhooks(self, project: int) -> list[Webhook]:
        return [replace(hook, id=number) for number, hook in self.hooks.items()]

    def put_webhook(self, project: int, url: str, headers: Any, webhook: int | None = None) -> None:
        self._write()
        number = webhook or next(self.ids)
        self.hooks[number] = Webhook(number, url, True, False, True, WEBHOOK_ACTIONS, headers)

    def remove_webhook(self, webhook: int) -> None:
        self._write()
        del self.hooks[webhook]

    def model_versions(self, project: int) -> dict[str, int]:
        return {p.version: 1 for p in self.predictions.values()}

    def our_predictions(self, project: int) -> list[Published]:
        return [p for p in self.predictions.values() if is_ours(p.version)]

    def delete_prediction(self, prediction: int) -> None:
        self._write()
        self.predictions.pop(prediction, None)

    def publish(self, version: str) -> None:
        """As a trainer does."""
        for number in range(3):
            self.predictions[number] = Published(number, number, version, 0.5, "")
        self.now = replace(self.now, model_version=version)

    def addresses(self) -> tuple[list[str], list[str]]:
        """Of our backends, and of all webhooks."""
        return [row.url for row in self.rows.values()], [hook.url for hook in self.hooks.values()]


@pytest.fixture(autouse=True)
def no_rests() -> Iterator[None]:
    with patch("nextlabel.labelstudio.registration.LOOK_S", 0.0):
        yield


def connect_at(studio: Any, url: str) -> list[str]:
    return connect(studio, 7, url, Credentials())


def test_a_backend_that_moves_keeps_one_registration_and_the_first_before() -> None:
    studio: Any = InMemory()
    connect_at(studio, A)
    studio.publish(OURS)
    studio.serves[A] = studio.serves[B] = OURS
    del studio.serves[A]  # it has moved, and nobody answers where it was
    done = connect_at(studio, B)
    assert done[0] == f"moved the ML backend {A} to {B}"
    assert studio.addresses() == ([B], [f"{B}/webhook"])
    assert studio.now.model_version == OURS, "the same MODEL_DIR: the queue goes on as it was"
    assert connect_at(studio, B) == []
    told: list[str] = []
    assert disconnect(studio, 7, A, tell=told.append)
    assert told == ["removing predictions: 0 of 3"]
    assert (studio.now, studio.addresses(), studio.predictions) == (BEFORE, ([], []), {})


def test_connecting_an_ended_project_leaves_the_machines_labels_in_view() -> None:
    studio = InMemory(BEFORE)
    connect_at(studio, A)
    studio.now = replace(studio.now, model_version="machine-labels-r1", show_predictions=True)
    studio.serves[B] = UNTRAINED
    for url in (A, B):
        assert not any("model_version" in line or "show_collab" in line for line in connect_at(studio, url))
        assert (studio.now.model_version, studio.now.show_predictions) == ("machine-labels-r1", True)
    studio.rows.clear()  # removed in Label Studio alone
    connect_at(studio, A)
    assert "machine-labels" not in str(before_of(list(studio.rows.values()))), "nobody chose them to be followed"


def test_another_backend_takes_over_what_the_queue_followed_and_can_give_it_back() -> None:
    studio: Any = InMemory()
    connect_at(studio, A)
    studio.publish(OURS)
    studio.serves |= {A: OURS, B: THEIRS}
    assert "set model_version to ''" in connect_at(studio, B)
    studio.publish(THEIRS)
    assert "set model_version to ''" in connect_at(studio, A)
    studio.publish(OURS)
    assert connect_at(studio, A) == []
    studio.now = replace(studio.now, model_version="nextlabel-2-20261129T090000")
    assert connect_at(studio, A) == ["set model_version to ''"], "what a person chose is set back, as the page says"


def test_where_nothing_answers_a_backend_is_not_moved_to() -> None:
    studio: Any = InMemory()
    connect_at(studio, A)
    kept = studio.addresses(), dict(studio.rows), studio.now
    with pytest.raises(Exception, match="Check that the backend runs"):
        connect_at(studio, "http://127.0.0.1:9")
    assert (studio.addresses(), studio.rows, studio.now) == kept


def test_a_row_that_label_studio_saves_where_it_was_is_moved_again_and_a_webhook_that_comes_back_goes() -> None:
    studio: Any = InMemory()
    connect_at(studio, A)
    [number] = studio.rows
    looks = count()

    def trainer() -> None:
        """Its listing, which began before the move, ends after it; then it makes the webhook that it misses."""
        if next(looks) == 2:
            studio.rows[number] = replace(studio.rows[number], url=A)
            studio.hooks[99] = Webhook(99, f"{A}/webhook", True, False, True, WEBHOOK_ACTIONS, {})

    studio.meanwhile = trainer
    connect_at(studio, B)
    assert studio.addresses() == ([B], [f"{B}/webhook"])


def two_registrations() -> Any:
    """What release 0.1.0 left of a backend that moved: the second remembers what the first had made of the project."""
    studio: Any = InMemory()
    before = {"sampling": BEFORE.sampling, "show_collab_predictions": False, "model_version": ""}
    ours = {"sampling": UNCERTAINTY, "show_collab_predictions": False, "model_version": OURS}
    for url, state in ((A, before), (B, ours)):
        studio.add_ml_backend(7, url, "Nextlabel", "", "", {"nextlabel": {"before": state}, "kept": 1})
    studio.update_project(7, sampling=UNCERTAINTY)
    studio.publish(OURS)
    return studio


def test_of_two_registrations_one_is_left_which_remembers_how_it_was_before_the_first() -> None:
    studio = two_registrations()
    connect_at(studio, B)
    assert studio.addresses() == ([B], [f"{B}/webhook"])
    [row] = studio.rows.values()
    assert (row.extra_params["nextlabel"]["before"]["sampling"], row.extra_params["kept"]) == ("Uniform sampling", 1)
    studio = two_registrations()
    disconnect(studio, 7)
    assert (studio.now, studio.addresses(), studio.predictions) == (BEFORE, ([], []), {})


OWN: dict[str, Any] = {
    "control_seed": "ab", "control_first": 20, "audits": 2, "asked_since": {"tone": "2026-11-01"}, "leave_out": ["7"],
    "window": 64, "defaults": 1,
}  # fmt: skip


@pytest.mark.parametrize("connected_first", [True, False], ids=["in its place", "before it"])
@pytest.mark.parametrize("at", [A, B])
def test_of_a_registration_beside_the_one_that_was_connected_the_options_of_the_latter_are_kept(
    at: str, connected_first: bool
) -> None:
    studio: Any = InMemory()
    before = {"sampling": BEFORE.sampling, "show_collab_predictions": False, "model_version": ""}
    connected = {"nextlabel": {**OWN, "before": before}, "kept": 1}
    rows = [(A, connected), (B, {"nextlabel": {"window": 8}, "added": 2})]
    for url, extra in rows if connected_first else reversed(rows):
        studio.add_ml_backend(7, url, "Nextlabel", "", "", extra)
    studio.update_project(7, sampling=UNCERTAINTY, show_collab_predictions=True)
    found = plan(studio, 7, at)
    assert (found.corrects_backend, found.options.audits, found.shown) == (True, 2, True)
    [other] = found.others
    assert f"removed the ML backend {other.url}, which is this one at an earlier address" in connect_at(studio, at)
    assert studio.addresses() == ([at], [f"{at}/webhook"])
    [row] = studio.rows.values()
    assert row.extra_params == {**connected, "added": 2}
    assert studio.now.show_predictions, "as it was decided when it was connected"
    assert connect_at(studio, at) == []


def test_a_registration_that_comes_back_is_waited_for_as_long_as_a_new_one() -> None:
    studio: Any = InMemory()
    connect_at(studio, A)
    looks = count()

    def trainer() -> None:
        if next(looks) == LOOKS:  # the last one, if nothing were wrong
            studio.rows[98] = MLBackend(98, A, "Nextlabel", "", "Connected", "", {})

    studio.meanwhile = trainer
    connect_at(studio, B)
    assert studio.addresses() == ([B], [f"{B}/webhook"])
    assert next(looks) == 1 + 2 * LOOKS


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ({"older_labels": "much"}, ["nextlabel.older_labels='much'"]),
        ({"window": "wide", "fields": 7}, ["nextlabel.fields=7", "nextlabel.window='wide'"]),
        ({"leave_out": ["anna@example.org"]}, ["nextlabel.leave_out=['anna@example.org']"]),
    ],
)
def test_of_spoilt_options_only_these_are_taken_out_and_it_is_said(spoilt: dict[str, Any], told: list[str]) -> None:
    studio: Any = InMemory()
    connect_at(studio, A)
    [number] = studio.rows
    kept = {
        **OWN,
        "before": studio.rows[number].extra_params["nextlabel"]["before"],
        "older_labels": 0.5,
        "fields": ["s2"],
    }
    studio.rows[number] = replace(studio.rows[number], extra_params={"nextlabel": {**kept, **spoilt}})
    done = connect_at(studio, A)
    assert sorted(done[1:]) == [f"took out {option}, which is not possible" for option in told]
    after = studio.rows[number].extra_params["nextlabel"]
    assert after == {name: value for name, value in kept.items() if name not in spoilt}
    assert connect_at(studio, A) == []


def test_whoever_leaves_is_told_what_goes_and_what_stays() -> None:
    studio: Any = InMemory()
    connect(studio, 7, A, Credentials(), ignored_labels=(), control_first=20)
    assert disconnect(studio, 7)[-2:] == [
        "its options are gone (control_first): once it is connected again, `nextlabel restore FILE` brings them back "
        "from a backup",
        "versions and audits stay in MODEL_DIR; `nextlabel forget --project 7` deletes them",
    ]


def test_the_backend_of_another_program_stays() -> None:
    studio: Any = InMemory(replace(BEFORE, model_version="ner-1"))
    studio.add_ml_backend(7, NER, "Other NER", "", "", {})
    studio.predictions[50] = Published(50, 50, "ner-1", 0.5, "")
    connect_at(studio, A)
    studio.publish(OURS)
    with pytest.raises(StudioError, match="another ML backend, 'Other NER', and not of Nextlabel"):
        connect_at(studio, NER)
    with pytest.raises(StudioError, match="another ML backend, 'Other NER', and not of Nextlabel"):
        disconnect(studio, 7, NER)
    disconnect(studio, 7)
    assert studio.addresses() == ([NER], [f"{NER}/webhook"])
    assert (studio.now.model_version, list(studio.predictions)) == ("ner-1", [50])


def test_one_that_label_studios_own_form_registered_is_remembered_as_it_was() -> None:
    studio: Any = InMemory(replace(BEFORE, model_version="my model"))
    studio.add_ml_backend(7, A, "my model", "", "", None or {})
    studio.now = replace(studio.now, model_version="")
    connect_at(studio, A)
    disconnect(studio, 7)
    assert (studio.now, studio.addresses()) == (BEFORE, ([], []))


@pytest.mark.parametrize("followed", ["", "ner-1", OURS])
def test_one_that_label_studios_own_form_registered_and_nobody_connected_has_changed_nothing(followed: str) -> None:
    studio: Any = InMemory(replace(BEFORE, model_version=followed))
    studio.add_ml_backend(7, A, "my model", "", "", {})
    disconnect(studio, 7)
    kept = "" if followed == OURS else followed
    assert (studio.now, studio.addresses()) == (replace(BEFORE, model_version=kept), ([], []))


def test_one_that_was_removed_in_label_studio_alone_leaves_nothing_either() -> None:
    studio: Any = InMemory()
    connect_at(studio, A)
    studio.publish(OURS)
    studio.rows.clear()
    disconnect(studio, 7)
    assert (studio.addresses(), studio.predictions) == (([], []), {})
    assert (studio.now.sampling, studio.now.model_version) == (SEQUENTIAL, "")
    after = studio.now
    assert disconnect(studio, 7) == []
    assert studio.now == after


STEPS: dict[str, Callable[[Any], Any]] = {
    "connect": lambda studio: connect_at(studio, A),
    "move": lambda studio: connect_at(studio, B),
    "disconnect": lambda studio: disconnect(studio, 7),
}


@pytest.mark.parametrize("killed", [1, 2])
@pytest.mark.parametrize("order", ["connect move disconnect", "connect disconnect", "connect move connect disconnect"])
def test_killed_at_any_request_and_begun_again_nothing_of_ours_is_left(order: str, killed: int) -> None:
    kills = 0
    for at in range(1, 40):
        studio: Any = InMemory()
        for step in order.split():
            studio.writes, studio.killed_at = 0, at
            for _ in range(killed):  # the second try may be killed as well
                with suppress(KeyboardInterrupt):
                    STEPS[step](studio)
                kills += studio.writes == at
                studio.writes = 0
            studio.killed_at = 0
            STEPS[step](studio)
            if step != "disconnect":
                url = B if step == "move" else A
                assert studio.addresses() == ([url], [f"{url}/webhook"])
                studio.publish(OURS)
        assert (studio.now, studio.addresses(), studio.predictions) == (BEFORE, ([], []), {}), at
    assert kills > 5


@pytest.mark.parametrize("way", [["--backend-url", B], ["--disconnect"]])
def test_whoever_connects_or_disconnects_has_the_options_to_themselves(
    way: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studio, turns = InMemory(), list[bool]()
    connect_at(studio, A)
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setattr("nextlabel.commands.connect.studio_from_settings", lambda: studio)
    monkeypatch.setattr("nextlabel.labelstudio.project_options.PATIENCE_S", 0.0)
    real = InMemory._write

    def write(self: InMemory) -> None:
        try:
            with lock(tmp_path, "options.7"):
                turns.append(False)
        except LockHeld:
            turns.append(True)
        real(self)

    monkeypatch.setattr(InMemory, "_write", write)
    command = ["connect", "--project", "7", *way]
    before = studio.now, studio.addresses()
    with lock(tmp_path, "options.7"):
        assert main(command) != 0
    assert "The options of project 7 are being changed already. Try again." in capsys.readouterr().err
    assert (turns, studio.now, studio.addresses()) == ([], *before)
    assert main(command) == 0
    assert turns
    assert all(turns)
    assert (studio.now, studio.addresses()) != before


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (
            "(Caused by ProxyError('Unable to connect to proxy', ...",
            "where Label Studio runs, add backend.example to NO",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify",
            "set REQUESTS_CA_BUNDLE to a file with the certificate",
        ),
        ("401 Client Error: UNAUTHORIZED for url: https://backend.example:9090/setup", "Set BASIC_AUTH_USER and"),
        ("Connection refused", "Check that the backend runs"),
    ],
)
def test_what_keeps_label_studio_from_a_backend_is_named(said: str, remedy: str) -> None:
    begin = "Can't connect to ML backend https://backend.example:9090, health check failed. Additional info: "
    refused = StudioRefusedError("Label Studio answered 400 to POST api/ml: Can't connect", 400, begin + said)
    assert remedy in remedy_of(refused, "https://backend.example:9090")


@pytest.mark.parametrize(
    ("answered", "state", "versions", "at", "anothers"),
    [
        (OURS, "Connected", [OURS], A, False),
        (THEIRS, "Connected", [OURS], A, True),
        (THEIRS, "Connected", [], "", True),
        (THEIRS, "Disconnected", [OURS], A, False),
        (UNTRAINED, "Connected", [], "", False),
        (UNTRAINED, "Connected", [OURS], B, False),
        (UNTRAINED, "Connected", [OURS], A, True),
        ("", "Connected", [OURS], A, False),
    ],
)
def test_by_its_versions_a_trainer_tells_its_own_backend_from_anothers(
    answered: str, state: str, versions: list[str], at: str, anothers: bool
) -> None:
    assert is_anothers(MLBackend(1, B, "Nextlabel", answered, state, "", {}), versions, at) is anothers
