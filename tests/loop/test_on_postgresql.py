"""A project moves with its Label Studio from SQLite to PostgreSQL, and its loop goes on there."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest

from helpers.fits import QUICK
from helpers.live_project import LiveProject
from helpers.ports import own_port
from helpers.queue_servers import PostgresqlServer
from helpers.waiting import wait_until
from nextlabel.__main__ import main
from nextlabel.errors import NextlabelError
from nextlabel.lab.annotators import gold_of, sign_up
from nextlabel.lab.importing import result_of
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.doctor import examine
from nextlabel.labelstudio.to_postgresql import move
from nextlabel.learning.heads import EVERY
from nextlabel.simulation.datasets.corpora import Corpus

ON: dict[str, Any] = {
    **QUICK,
    "head": "on",
    "fit_every": 1000,
    "fit_max_wait_s": 3600,
    "fit_schedule": "8",
    "reconcile_s": 2,
}
PEOPLE = 4


@pytest.fixture(scope="module")
def data_base(postgresql_server: PostgresqlServer) -> str:
    """An empty one, with letters that are none in a URL."""
    with psycopg.connect(postgresql_server.url(), autocommit=True) as made:
        made.execute("CREATE DATABASE label_studio")
    return postgresql_server.url().removesuffix("/postgres") + "/label_studio"


@pytest.fixture
def home(label_studio_program: str) -> Iterator[Path]:
    with TemporaryDirectory(prefix="label-studio-") as directory:
        yield Path(directory)


def everything(studio: LabelStudioClient, server: LocalStudio, project: int) -> dict[str, Any]:
    """All that Label Studio tells of a project, but for the moment in which it was last touched."""
    header = {"Authorization": f"Token {server.login.token}"}
    with httpx.Client(base_url=server.url, headers=header, timeout=60) as client:
        listed = {
            name: client.get(f"/api/{name}?project={project}").json() for name in ("predictions", "webhooks", "ml")
        }
        listed["project"] = client.get(f"/api/projects/{project}").json()
        listed["people"] = client.get("/api/users").json()
    listed["tasks"] = [task for page in studio.tasks_after(project, 0) for task in page]
    for changing in ("updated_at", "state", "error_message"):  # of the ML backend: asking it is noted there
        for backend in listed["ml"]:
            backend.pop(changing, None)
    for person in listed["people"]:
        person.pop("last_activity")
    for prediction in listed["predictions"]:
        prediction.pop("created_ago")
    for webhook in listed["webhooks"]:
        webhook["actions"].sort()
    rows = ("people", "webhooks", "predictions")  # in no order there
    return {**listed, **{name: sorted(listed[name], key=itemgetter("id")) for name in rows}}


def served(studio: LabelStudioClient, project: int) -> dict[str, Any]:
    task = studio.next_task(project)
    assert task is not None
    return task


def test_a_project_moves_and_its_loop_goes_on(
    home: Path, data_base: str, few_pairs: Corpus, wide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on_sqlite = LocalStudio(home, own_port(18150))
    on_sqlite.start()
    backend = LocalBackend(on_sqlite, tmp_path / "backend", own_port(19150), base_model=wide, **ON)
    backend.start()
    try:
        project = LiveProject(on_sqlite.connect(), backend, few_pairs)
        project.wait()
        people = [sign_up(on_sqlite, f"person{number}@example.org") for number in range(PEOPLE)]
        before, registered = everything(project.studio, on_sqlite, project.id), project.studio.project(project.id)
        on_sqlite.stop()

        file, url = home / "label_studio.sqlite3", data_base
        with pytest.raises(
            NextlabelError, match=r"lacks .* of Label Studio's tables, such as .* Start this Label Studio"
        ):
            move(file, url)
        on_postgresql = LocalStudio(home, on_sqlite.port, url)
        on_postgresql.start()  # makes its tables
        on_postgresql.stop()
        main(["move-to-postgresql", "--sqlite", str(file), "--to", url])
        counted = f"copied 1 projects, {len(before['tasks'])} tasks, "
        assert counted in capsys.readouterr().out
        with pytest.raises(NextlabelError, match="holds 1 projects already"):
            move(file, url)
        file.rename(home / "moved")  # nothing reads it any more
        on_postgresql.start()
        try:
            goes_on(project, on_postgresql, people, before)
            is_fitted_and_switched(project, on_postgresql)
            assert project.studio.project(project.id).sampling == registered.sampling
        finally:
            on_postgresql.stop()
    finally:
        backend.stop()
        on_sqlite.stop()


def goes_on(project: LiveProject, server: LocalStudio, people: list[str], before: dict[str, Any]) -> None:
    assert everything(project.studio, server, project.id) == before
    for round_ in range(2):
        name = project.studio.project(project.id).model_version or ""
        asking = [LabelStudioClient(server.url, token) for token in people]
        with ThreadPoolExecutor(PEOPLE) as pool:
            tasks = {task["id"]: task for task in pool.map(partial(served, project=project.id), asking)}
        assert len(tasks) == PEOPLE, f"round {round_}: two people got one task at the same moment"
        scores = {p.task_id: p.score for p in project.studio.our_predictions(project.id) if p.version == name}
        open_scores = sorted(scores[task] for task in scores.keys() - project.labelled())
        assert sorted(scores[task] for task in tasks) == open_scores[:PEOPLE], "not the head of the queue"
        assert len(set(open_scores)) == len(open_scores), "a tie has no order here"
        for person in asking:  # who is served their own task once more
            task = served(person, project.id)
            assert task["id"] in tasks
            person.annotate(task["id"], result_of(gold_of(project.corpus)(task)), lead_time_s=4.2)
        project.label(EVERY)  # with theirs enough for five people at work
        wait_until(partial(renewed, project, name), "an order that knows the labels")


def is_fitted_and_switched(project: LiveProject, server: LocalStudio) -> None:
    """A version that was fitted there becomes the one that is served, and every link of a new connection holds."""
    connect(project.studio, project.id, project.backend.url, Credentials(), show_predictions=False)
    version = project.version()
    project.studio.start_training(project.id)
    fitted = project.wait(newer_than=version)
    assert project.lost(fitted) == set()
    assert project.published()
    found = list(examine(project.studio, server.login.token, project.backend.url, Credentials(), project.id))
    assert [finding.answer for finding in found if not finding.ok] == []
    assert len(found) > 3, "it went as far as the queue"


def renewed(project: LiveProject, after: str) -> bool:
    name, status = project.studio.project(project.id).model_version, project.board.queue(project.id)
    return name not in (None, "", after) and status.order == name and status.state == "published"


def test_what_is_no_data_base_of_label_studio_is_named(data_base: str, tmp_path: Path) -> None:
    with pytest.raises(NextlabelError, match=r"There is no file .*away\.sqlite3"):
        move(tmp_path / "away.sqlite3", data_base)
    (tmp_path / "a.sqlite3").write_text("no data base " * 100)
    with pytest.raises(NextlabelError, match=r"a\.sqlite3 cannot be read as an SQLite data base"):
        move(tmp_path / "a.sqlite3", data_base)
    with pytest.raises(NextlabelError, match=r"PostgreSQL cannot be reached at postgresql://\*+@127\.0\.0\.1:1/x"):
        move(tmp_path / "a.sqlite3", "postgresql://me:secret@127.0.0.1:1/x")
