"""The local copy against a real Label Studio: what is read, what is not lost, and what a label costs in requests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.served import jobs_in
from nextlabel.errors import StudioError
from nextlabel.lab.annotators import annotate, gold_of, sign_up
from nextlabel.lab.importing import PAIR_CONFIG, import_corpus, result_of
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient, Project
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.tasks import read_task
from nextlabel.loop.controller import Controller
from nextlabel.loop.sync import annotators_at_work, sync
from nextlabel.settings import Settings
from nextlabel.simulation.datasets.corpora import LABELS, Corpus, Pair
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import lock
from nextlabel.store.pool import Pool
from nextlabel.store.state import SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.values.traffic import Traffic
from nextlabel.versions.registry import Registry

CONFIG = parse_label_config(PAIR_CONFIG)
PAGE = 20
NO_SEEDS = 0.0


class Watched(LabelStudioClient):
    """Does something before each page of tasks that it reads."""

    pages = 0

    def before(self, page: int) -> None:
        """Before the page of this number, counted from 1."""

    def _tasks(
        self, project: int, filters: Sequence[Mapping[str, Any]], **params: Any
    ) -> tuple[list[dict[str, Any]], int]:
        self.pages += 1
        self.before(self.pages)
        return super()._tasks(project, filters, **params)


class Clock:
    """A time that a test moves on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(tmp_path / "pool.sqlite") as opened:
        yield opened


@pytest.fixture
def watched(label_studio: LocalStudio, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A client that reads small pages."""
    monkeypatch.setattr("nextlabel.labelstudio.client.PAGE", PAGE)
    return Watched(label_studio.url, label_studio.login.token)


def numbered(count: int) -> Corpus:
    """Pairs that are all of the same length."""
    pairs = (Pair(i, f"Sentence {i:06d}.", f"Phrase {7 * i:06d}.", LABELS[i % 2]) for i in range(count))
    return Corpus("numbered pairs", tuple(pairs), ())


def make_project(studio: LabelStudioClient, count: int, start: float = NO_SEEDS) -> int:
    return import_corpus(studio, numbered(count), f"{count:06d} tasks", start, seed=0)


def ids_of(studio: LabelStudioClient, project: int) -> list[int]:
    return sorted(studio.task_ids(project))


def bring_up_to_date(studio: LabelStudioClient, pool: Pool, project: int, clock: Clock) -> None:
    sync(studio, pool, CONFIG, studio.project(project), clock)


def labels(pool: Pool) -> dict[int, str]:
    return {example.id: label for example, label in pool.labelled(CONFIG.question, holdout=False)}


# What is read


def test_the_fields_that_are_asked_for_tell_all_that_a_whole_task_would(studio: LabelStudioClient) -> None:
    project = studio.create_project("all kinds of tasks", PAIR_CONFIG)
    pair = {"sentence1": "One.", "sentence2": "Two."}
    label = {"result": result_of(LABELS[0])}
    tasks: list[dict[str, Any]] = [
        {"data": pair},
        {"data": {**pair, "split": "validation"}, "annotations": [label]},
        {"data": {"sentence1": "", "sentence2": " "}},
        {"data": pair, "annotations": [label, {"result": result_of(LABELS[1]), "ground_truth": True}]},
        {"data": pair, "annotations": [{"result": [], "was_cancelled": True}]},
        {"data": pair, "annotations": [{"result": result_of("no such label")}]},
    ]
    studio.import_tasks(project, tasks)
    read = [task for page in studio.tasks_after(project, 0) for task in page]
    whole = studio._call("GET", "api/tasks", params={"project": project, "fields": "all", "page_size": 100})["tasks"]
    rows = [read_task(CONFIG, task) for task in read]
    assert rows == [read_task(CONFIG, task) for task in sorted(whole, key=lambda task: int(task["id"]))]
    assert [len(row.votes) for row in rows] == [0, 1, 0, 2, 0, 1]
    assert [row.skipped for row in rows] == [False, False, False, False, True, False]
    assert [row.open for row in rows] == [True, False, False, False, False, False], (
        "a skip that is imported closes a task"
    )
    assert all(vote.when for row in rows for vote in row.votes)
    assert len(str(read)) < len(str(whole)) / 2


def test_a_page_may_be_smaller_than_was_asked_for(
    studio: LabelStudioClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where an administrator has set TASK_API_PAGE_SIZE_MAX.
    project = make_project(studio, 2 * PAGE + 5)
    ask = studio._call
    monkeypatch.setattr(
        studio,
        "_call",
        lambda method, path, **kwargs: ask(
            method, path, **({**kwargs, "params": {**kwargs["params"], "page_size": PAGE}} if kwargs else {})
        ),
    )
    assert len(ids_of(studio, project)) == 2 * PAGE + 5
    bring_up_to_date(studio, pool, project, Clock())
    assert pool.size() == 2 * PAGE + 5


# What is not lost


def test_a_first_reading_that_was_killed_goes_on_where_it_was_and_misses_no_label(
    studio: LabelStudioClient, watched: Watched, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(studio, 5 * PAGE)
    read_before = ids_of(studio, project)[0]

    def die(page: int) -> None:
        if page == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(watched, "before", die)
    with pytest.raises(KeyboardInterrupt):
        bring_up_to_date(watched, pool, project, Clock())
    assert (pool.size(), pool.state(SyncState).complete) == (2 * PAGE, False)
    studio.annotate(read_before, result_of(LABELS[0]))

    asked_from = watched.pages
    monkeypatch.setattr(watched, "before", lambda page: None)
    later = Clock()
    later.now += 3600
    with Pool(tmp_path / "pool.sqlite") as again:
        bring_up_to_date(watched, again, project, later)
        assert again.size() == 5 * PAGE
        assert labels(again) == {read_before: LABELS[0]}
    assert watched.pages - asked_from <= 3 + 5, "three pages that were missing, then what has changed of late"


def test_who_is_at_work_is_told_by_the_latest_labels(
    label_studio: LocalStudio, studio: LabelStudioClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, clock = make_project(studio, 10), Clock()
    bring_up_to_date(studio, pool, project, clock)
    assert annotators_at_work(pool) == 0
    for client in (studio, label_studio.connect(sign_up(label_studio, "at-work@example.com"))):
        next(annotate(client, project, gold_of(numbered(10))))
        next(annotate(client, project, gold_of(numbered(10))))
    bring_up_to_date(studio, pool, project, clock)
    assert annotators_at_work(pool) == 2
    monkeypatch.setattr("nextlabel.loop.sync.AT_WORK_S", 0.0)
    next(annotate(studio, project, gold_of(numbered(10))))
    bring_up_to_date(studio, pool, project, clock)
    assert annotators_at_work(pool) == 1


def test_a_label_given_while_the_changes_are_read_is_in_the_next_ones(
    studio: LabelStudioClient, watched: Watched, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextlabel.loop.sync.TRANSACTION_S", 0.0)
    clock = Clock()
    project = make_project(studio, 2)
    bring_up_to_date(watched, pool, project, clock)
    studio.import_tasks(project, [{"data": {"sentence1": f"{i}", "sentence2": "b"}} for i in range(2 * PAGE)])
    early, late = ids_of(studio, project)[2], ids_of(studio, project)[-1]
    first = watched.pages + 1

    def label_meanwhile(page: int) -> None:
        if page == first + 1:
            clock.now += 5  # reading took so long
            studio.annotate(early, result_of(LABELS[0]))
            studio.annotate(late, result_of(LABELS[1]))

    monkeypatch.setattr(watched, "before", label_meanwhile)
    bring_up_to_date(watched, pool, project, clock)
    assert labels(pool) == {late: LABELS[1]}, "the early task was read before it was labelled"
    bring_up_to_date(watched, pool, project, clock)
    assert labels(pool) == {early: LABELS[0], late: LABELS[1]}


def test_a_project_that_is_deleted_while_it_is_read_ends_without_an_error(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: Callable[..., LocalBackend], tmp_path: Path
) -> None:
    class Fateful(LabelStudioClient):
        """Deletes the project as soon as it was found."""

        def project(self, project: int, with_counts: bool = True) -> Project:
            found = super().project(project, with_counts)
            self._call("DELETE", f"api/projects/{project}/")
            return found

    web = start_backend("web", model_dir=tmp_path / "web")
    project = make_project(studio, 10)
    connect(studio, project, web.url, Credentials(), show_predictions=False)
    settings, board = Settings(_env_file=None, model_dir=tmp_path), StatusBoard(tmp_path)
    Registry(tmp_path).know(project)
    fateful = Fateful(label_studio.url, label_studio.login.token)
    controller = Controller(settings, Registry(tmp_path), board, fateful, JobQueue(tmp_path))
    controller.reconcile(project, thorough=False)
    status = board.queue(project)
    assert (status.state, status.errors) == ("disconnected", 0)
    assert status.message.startswith("the project does not exist any more"), status.message
    assert f"`nextlabel forget --project {project}`" in status.message


@pytest.mark.parametrize("thorough", [True, False])
def test_a_look_that_finds_the_project_taken_comes_again_as_thorough_as_it_was(thorough: bool, tmp_path: Path) -> None:
    registry, studio = Registry(tmp_path), LabelStudioClient("http://127.0.0.1:1", "not asked")
    settings, jobs = Settings(_env_file=None, model_dir=tmp_path), JobQueue(tmp_path)
    controller = Controller(settings, registry, StatusBoard(tmp_path), studio, jobs)
    with lock(tmp_path, "1.queue"):
        controller.reconcile(1, thorough)
    assert jobs_in(tmp_path) == [("reconcile", (1, thorough))]


class Broken(LabelStudioClient):
    """A Label Studio that breaks off whatever is read of a project with this labelling config."""

    def __init__(self) -> None:
        super().__init__("http://studio.invalid", "")

    def last_change(self, project: int) -> str:
        raise StudioError("away")


def test_what_a_form_was_like_stays_known_while_its_tasks_are_read_anew(pool: Pool) -> None:
    project = Project(1, "one", "<View/>", "", None, False, 0, 0, False, False)
    known = []
    for before in ("", "<View><Text/></View>"):
        pool.clear(SyncState("another", label_config=before))
        with pytest.raises(StudioError):
            sync(Broken(), pool, CONFIG, project, Clock())
        state = pool.state(SyncState)
        assert (state.reading, state.complete) == (CONFIG.reading, False)
        known.append(state.label_config)
    assert known == ["", "<View/>"], "of a project that was never read nothing is known"


# What a label costs


@dataclass(frozen=True)
class Costs:
    """Traffic of a label, of a new version's publication, and of a check by the clock."""

    label: Traffic
    round: Traffic
    look: Traffic


LABELLED = 6
PART = 100


@pytest.fixture
def costs_of(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: Callable[..., LocalBackend],
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int], Costs]:
    """Measures a project of some size, with the trainer's work done by the test, step by step."""
    # How much is read twice would else depend on how fast this machine labels.
    monkeypatch.setattr("nextlabel.loop.sync.TRANSACTION_S", 0.0)
    monkeypatch.setattr(
        "nextlabel.labelstudio.client.PAGE", PART
    )  # which the clock verifies, in the smaller project too
    web = start_backend("web", model_dir=tmp_path / "web")

    def measure(size: int) -> Costs:
        home = tmp_path / f"{size}"
        settings = Settings(
            _env_file=None, model_dir=home, base_model=str(tiny), fit_every=LABELLED, fit_steps=2,
            window=LABELLED, precision="fp32", device="cpu", control_share=0.0,  # of which no label makes a fit due
        )  # fmt: skip
        ours, board, clock, jobs = label_studio.connect(), StatusBoard(home), Clock(), JobQueue(home)
        controller = Controller(settings, Registry(home), board, ours, jobs, clock)
        project = make_project(studio, size, start=LABELLED)
        connect(studio, project, web.url, Credentials(), show_predictions=False)

        def work_off(thorough: bool = False) -> Traffic:
            before = ours.traffic()
            controller.reconcile(project, thorough)
            while board.queue(project).state == "publishing" or board.queue(project).stale:
                clock.now += 10
                controller.reconcile(project, thorough=False)
            assert board.queue(project).state in ("waiting", "published"), board.queue(project).message
            clock.now += 10
            controller.reconcile(project, thorough=False)  # sees what it wrote itself
            return ours.traffic() - before

        work_off(thorough=True)
        controller.fit(project)
        work_off()
        answers = annotate(studio, project, gold_of(numbered(size)))
        labels = Traffic()
        for _ in range(LABELLED):
            next(answers)
            labels += work_off()
        controller.fit(project)
        version = work_off()
        assert board.fit(project).fits == 2
        jobs.restart()  # no hint waits, for which the part that is verified would be put off
        return Costs(labels, version, work_off(thorough=True))

    return measure


def test_a_label_costs_as_many_requests_and_bytes_in_a_large_project_as_in_a_small_one(
    costs_of: Callable[[int], Costs],
) -> None:
    small, large = costs_of(200), costs_of(1000)
    for name in ("label", "round", "look"):
        few, many = getattr(small, name), getattr(large, name)
        assert many.requests == few.requests, name
        assert many.sent == pytest.approx(few.sent, rel=0.02), name
        # Of the smaller project's tasks more are labelled, in the part that is verified too.
        assert many.received == pytest.approx(few.received, rel=0.15 if name == "look" else 0.02), name
    assert LABELLED * 3 <= small.label.requests <= LABELLED * 8
