"""The whole loop while Label Studio, or what stands before it, answers badly: annotators go on, nothing is lost."""

import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from helpers.faulty_studio import (
    BAD_GATEWAY,
    EXPIRED,
    LOCKED,
    LOGIN_PAGE,
    TOO_MANY,
    TOO_MANY_FOR_NOW,
    Ask,
    Condition,
    Fault,
    FaultyStudio,
    Injection,
    Outlived,
    Reply,
    json_of,
    late,
    lost,
    reset,
    to,
    truncated,
)
from helpers.live_project import LiveProject
from helpers.ports import own_port
from helpers.waiting import wait_until
from nextlabel.errors import StudioError
from nextlabel.lab.annotators import sign_up
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.simulation.datasets.corpora import Corpus, own_pairs

FIT_EVERY, WINDOW = 3, 6  # Label Studio's requests take most of the time
SWITCH = to(r"^PATCH /api/projects/\d+")
WRITING = to(r"^POST /api/predictions/")
HELD_S = 8  # Label Studio waits 5 s for the lock, then 1 s, 5 s, 1.5 s, 5 s, ...
REMOVAL = to(r"^DELETE /api/predictions/")

Record = Callable[[str, object], None]


class FaultyProject(LiveProject):
    """A project whose backend reaches Label Studio through the proxy. Its annotators do not."""

    def __init__(self, proxy: FaultyStudio, studio: LabelStudioClient, backend: LocalBackend, corpus: Corpus):
        super().__init__(studio, backend, corpus)
        self.proxy = proxy

    def noticed(self, words: str) -> bool:
        """Whether the board says in a sentence what is wrong."""
        status = self.board.queue(self.id)
        return status.state == "failed" and re.search(words, status.message) is not None

    def ordered(self, version: str) -> bool:
        """Whether what is published of a version are its own scores: open tasks in the order of its weights."""
        scores = {p.task_id: p.score for p in self.studio.our_predictions(self.id) if p.version == version}
        order = [task for task in self.order_by_entropy(version) if task in scores]
        return bool(order) and order == sorted(order, key=lambda task: (scores[task], task))

    def right(self, version: str) -> bool:
        """Whether the queue is the head of the version's order, each task once, and nothing else is left of ours."""
        there = self.studio.our_predictions(self.id)
        tasks = Counter(p.task_id for p in there)
        return (
            self.is_active()
            and {p.version for p in there} == {version}
            and set(tasks.values()) == {1}
            and self.queue() == self.order_by_entropy(version)[:WINDOW]
        )


Connect = Callable[..., FaultyProject]


@pytest.fixture(scope="module")
def connect(
    label_studio: LocalStudio, studio: LabelStudioClient, wide: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connect]:
    """Starts a backend behind a proxy, with a project; stops them after the tests."""
    started: list[LocalBackend | FaultyStudio] = []

    def start(**settings: Any) -> FaultyProject:
        proxy = FaultyStudio(label_studio)
        started.append(proxy)
        quick: dict[str, Any] = {
            "base_model": wide, "fit_every": FIT_EVERY, "fit_steps": 6, "learning_rate": 1e-3, "window": WINDOW,
            "reconcile_s": 1, "promote_margin": 1, "device": "cpu", "precision": "fp32", **PLAIN_ORDER,
        }  # fmt: skip
        port = own_port(19700)
        backend = LocalBackend(proxy, tmp_path_factory.mktemp("backend"), port, **{**quick, **settings})
        started.append(backend)
        backend.start()
        pairs = own_pairs()
        return FaultyProject(proxy, studio, backend, Corpus("our own pairs", pairs.train[:120], pairs.holdout[:8]))

    yield start
    for server in reversed(started):
        server.stop()


@pytest.fixture(scope="module")
def proxy(label_studio: LocalStudio) -> Iterator[FaultyStudio]:
    """A proxy without a backend."""
    proxy = FaultyStudio(label_studio)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def personal(label_studio: LocalStudio) -> str:
    """A personal access token. Label Studio gives each user one, so it is that of a new one."""
    robot = label_studio.connect(sign_up(label_studio, "someone-else@example.com"))
    return str(robot._call("POST", "api/token/", json={})["token"])


@pytest.fixture(scope="module")
def shared(connect: Connect) -> FaultyProject:
    """One project for all faults, one after the other."""
    return connect()


@pytest.fixture
def project(shared: FaultyProject) -> Iterator[FaultyProject]:
    """It, when all is well. What the trainer writes to its log during a test holds no traceback."""
    shared.wait()
    wait_until(lambda: shared.board.queue(shared.id).stale == 0, "what the last test left to be removed")
    before = len(log_of(shared))
    yield shared
    assert "Traceback" not in log_of(shared)[before:]


def log_of(project: LiveProject) -> str:
    return (project.backend.model_dir / "serve.log").read_text(errors="replace")


def settle(project: FaultyProject, before: str, injection: Injection, record: Record) -> None:
    """The fault is over: within a reconcile or two the queue is right, and every label counts."""
    start = monotonic()
    version = project.wait(newer_than=before)
    wait_until(lambda: project.right(version), "the queue to be right", 30)
    record("seconds to a right queue", round(monotonic() - start, 1))
    record("faults injected", injection.injected)
    record("labels lost", len(project.lost(version)))
    assert project.lost(version) == set()
    assert injection.injected > 0


EVERYWHERE: dict[str, tuple[Fault, str]] = {
    "401": (EXPIRED, r"answered 401 to GET \S+: Authentication credentials .* Check LABEL_STUDIO_API_KEY"),
    "429": (TOO_MANY, r"answered 429 to GET \S+: Request was throttled\."),
    "429 with Retry-After": (TOO_MANY_FOR_NOW, r"answered 429 to GET \S+: Request was throttled\. Expected"),
    "500": (LOCKED, r"answered 500 to GET \S+: database is locked\."),
    "502 with a page": (BAD_GATEWAY, r"not Label Studio's \(status 502, text/html\)\. .* does not reach it"),
    "200 with a page": (LOGIN_PAGE, r"GET \S+ is not Label Studio's \(status 200, text/html\)\. Correct"),
    "half an answer": (truncated, r"GET \S+ is not Label Studio's \(status 200, application/json\)\. Correct"),
    "an empty list": (json_of(200, []), r"GET \S+ is not Label Studio's \(TypeError: .*\)\. Correct"),
    "an empty object": (json_of(200, {}), r"GET \S+ is not Label Studio's \(KeyError: 'id'\)\. Correct"),
    "null": (json_of(200, None), r"GET \S+ is not Label Studio's \(TypeError: .*\)\. Correct"),
    "a reset connection": (reset, r"does not answer \(ReadError: .*\)\. Start it"),
    "lost answers": (lost, r"does not answer \(RemoteProtocolError: .*\)\. Start it"),
}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_while_all_requests_fail_annotators_go_on_and_afterwards_the_queue_is_right(
    name: str, project: FaultyProject, record_property: Record
) -> None:
    fault, words = EVERYWHERE[name]
    before = project.version() or ""
    with project.proxy.failing(fault) as injection:
        project.label(FIT_EVERY)
        wait_until(lambda: injection.injected > 1 and project.noticed(words), "the fault to be noticed", 60)
        message = project.board.queue(project.id).message
        assert not re.search(r"\n|<|Traceback|" + project.proxy.login.token, message)
        assert project.studio.project(project.id).model_version == before
        assert project.ordered(before)
    settle(project, before, injection, record_property)


HALF = {"every": 2, "times": WINDOW // 2}
PUBLISHING: dict[str, tuple[Fault, Condition, dict[str, int], str]] = {
    "half of the writing is refused": (LOCKED, WRITING, HALF, ""),
    "half of the writing is not confirmed": (lost, WRITING, HALF, ""),
    "all of the writing is refused": (LOCKED, WRITING, {}, r"500 to POST api/predictions/: database is locked\."),
    "the switch is refused": (LOCKED, SWITCH, {}, r"500 to PATCH api/projects/\d+: database is locked\."),
    "the switch is not confirmed": (lost, SWITCH, {}, ""),
    "the removal is refused": (LOCKED, REMOVAL, {}, r"500 to DELETE api/predictions/\d+/: database is locked\."),
    "the removal is not confirmed": (lost, REMOVAL, HALF, ""),
}


@pytest.mark.parametrize("name", PUBLISHING)
def test_when_a_step_of_the_publication_fails_the_queue_follows_a_whole_version_and_nothing_stale_is_left(
    name: str, project: FaultyProject, record_property: Record
) -> None:
    fault, condition, some, words = PUBLISHING[name]
    before = project.version() or ""
    with project.proxy.failing(fault, condition, **some) as injection:
        project.label(FIT_EVERY)
        wait_until(lambda: injection.injected >= WINDOW // 2, "some faults")
        if words:
            wait_until(lambda: project.noticed(words), "the fault to be noticed", 60)
        else:
            project.wait(newer_than=before)
        followed = project.studio.project(project.id).model_version or ""
        assert followed in (before, project.version())
        assert project.ordered(followed)
    settle(project, before, injection, record_property)


def test_when_each_answer_is_late_the_queue_gets_right_and_our_own_answers_do_not_wait(
    project: FaultyProject, record_property: Record
) -> None:
    before = project.version() or ""
    hint = {"action": "ANNOTATION_CREATED", "project": {"id": project.id}}

    def switched() -> bool:
        assert httpx.get(f"{project.backend.url}/health", timeout=2).status_code == 200
        assert httpx.post(f"{project.backend.url}/webhook", json=hint, timeout=2).status_code == 201
        return project.studio.project(project.id).model_version not in (None, before)

    with project.proxy.failing(late) as injection:
        project.label(FIT_EVERY)
        wait_until(switched, "the new order, late", 240)
        version = project.version() or ""
        assert project.queue() == project.order_by_entropy(version)[:WINDOW]
        assert project.board.queue(project.id).state != "failed"
    settle(project, before, injection, record_property)


def test_while_another_program_holds_label_studios_data_base_nothing_is_lost(
    label_studio: LocalStudio, project: FaultyProject, record_property: Record
) -> None:
    before = project.version() or ""
    other = sqlite3.connect(
        label_studio.data_dir / "label_studio.sqlite3", isolation_level=None, check_same_thread=False
    )
    release = threading.Timer(HELD_S, lambda: other.execute("ROLLBACK"))

    def held(ask: Ask) -> Reply:
        other.execute("BEGIN IMMEDIATE")
        release.start()
        return ask()

    with project.proxy.failing(held, WRITING, times=1) as injection:
        project.label(FIT_EVERY)
        wait_until(lambda: injection.injected == 1, "the data base to be held", 60)
        while other.in_transaction:  # readers read on
            assert project.studio.project(project.id).model_version == before
            assert project.ordered(before)
            assert httpx.get(f"{project.backend.url}/health", timeout=2).status_code == 200
            sleep(0.2)
    settle(project, before, injection, record_property)
    release.join()
    other.close()


def test_with_access_tokens_that_die_early_the_loop_goes_on(
    connect: Connect, personal: str, record_property: Record
) -> None:
    project = connect(label_studio_api_key=personal)
    version = project.wait()
    old = Outlived(2.0)
    with project.proxy.failing(EXPIRED, old) as injection:
        for _ in range(2):
            project.label(FIT_EVERY)
            version = project.wait(newer_than=version)
            wait_until(lambda: project.right(project.version() or ""), "the queue to be right")
    record_property("tokens used", len(old.seen_at))
    record_property("faults injected", injection.injected)
    assert len(old.seen_at) > 2
    assert project.board.queue(project.id).errors == 0, "a dead token is renewed before anybody hears of it"
    assert project.lost(version) == set()
    assert "Traceback" not in log_of(project)


READING: dict[str, Callable[[LabelStudioClient], object]] = {
    "version": LabelStudioClient.version,
    "user": LabelStudioClient.user,
    "projects": LabelStudioClient.projects,
    "project": lambda studio: studio.project(1),
    "tasks": lambda studio: next(studio.tasks_after(1, 0)),
    "part": lambda studio: studio.part_after(1, 0),
    "task": lambda studio: studio.task(1),
    "last change": lambda studio: studio.last_change(1),
    "model versions": lambda studio: studio.model_versions(1),
    "predictions": lambda studio: studio.our_predictions(1),
    "next task": lambda studio: studio.next_task(1),
    "ML backends": lambda studio: studio.ml_backends(1),
    "webhooks": lambda studio: studio.webhooks(1),
    "a new prediction": lambda studio: studio.create_prediction(1, {"result": [], "score": 0, "model_version": "x"}),
    "a changed prediction": lambda studio: studio.update_prediction(1, []),
    "a new project": lambda studio: studio.create_project("abc", "<View/>"),
    "an import": lambda studio: studio.import_tasks(1, []),
    "an annotation": lambda studio: studio.annotate(1, []),
}


@pytest.mark.parametrize("reading", READING)
def test_no_answer_is_taken_for_label_studios_that_is_none(reading: str, proxy: FaultyStudio) -> None:
    studio = LabelStudioClient(proxy.url, proxy.login.token)
    for fault in (json_of(200, None), json_of(200, [None]), json_of(200, "fine"), json_of(200, 7), LOGIN_PAGE):
        with (
            proxy.failing(fault),
            pytest.raises(
                StudioError, match=r"What http://\S+ answers to (GET|POST|PATCH) api/.* is not Label Studio's \("
            ),
        ):
            READING[reading](studio)


@pytest.mark.parametrize("body", [[], {}, None, "page"])
def test_no_token_is_read_from_an_answer_that_holds_none(body: object, proxy: FaultyStudio, personal: str) -> None:
    fault = LOGIN_PAGE if body == "page" else json_of(200, body)
    with (
        proxy.failing(fault, to("^POST /api/token/refresh/")),
        pytest.raises(StudioError, match=r"answers to POST api/token/refresh/ is not Label Studio's \(no token\)"),
    ):
        LabelStudioClient(proxy.url, personal).user()
