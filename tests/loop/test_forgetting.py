"""A project that is forgotten leaves no file, whatever was at work on it, was cut short, or comes late."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from helpers.killed import killed_at_each_step
from helpers.told_studio import Studio, backend
from helpers.versions import make_card, write_weights
from nextlabel.errors import BadSettingError, InUseError, NextlabelError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.loop import forgetting
from nextlabel.loop.controller import Controller
from nextlabel.loop.forgetting import forget, what_goes
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import lock, shared
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import ProjectState
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import UNTRAINED
from nextlabel.versions.registry import Registry

PROJECT, OTHERS = 7, (77, 17, 70)


GONE, LEFT, CONNECTED = Studio(there=False), Studio(), Studio(backend({}, "http://user:secret@host:9090"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A MODEL_DIR with several projects and all that a trainer leaves of them."""
    home = tmp_path / "home"
    for project in (PROJECT, *OTHERS):
        Registry(home).save(make_card(1, project=project), {1: "pos"}, write_weights)
        with Pool(pool_path(home, project)):
            pass
        StatusBoard(home).put_queue(project, 0.0, state="published")
        for name in ("{}.queue", "fit.{}"):
            with lock(home, name.format(project)):
                pass
        for place in (
            "pools/{}.tokens/x/part",
            "pools/{}.values/y",
            "audits/{}/1/audit.json",
            "status/.{}.fit.json.1-2",
        ):
            path = home / place.format(project)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    JobQueue(home).demand_fit(PROJECT)
    return home


def settings_of(home: Path) -> Settings:
    return Settings(_env_file=None, model_dir=home, device="cpu")


def forgotten(home: Path, studio: LabelStudioClient = LEFT) -> None:
    forget(settings_of(home), studio, JobQueue(home), PROJECT)


def files(home: Path, project: int = PROJECT) -> set[str]:
    """Those of a project: no other number stands in their names."""
    names = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.name != "queue.sqlite"}
    version = make_card(1).version
    return {
        name
        for name in names
        if str(project) in name.replace(version, "").replace("/1/", "/").replace(".", "/").split("/")
    }


@pytest.mark.parametrize("studio", [LEFT, GONE], ids=["disconnected", "deleted"])
def test_no_file_of_the_project_is_left_and_all_of_others(home: Path, studio: LabelStudioClient) -> None:
    others = {project: files(home, project) for project in OTHERS}
    assert len(files(home)) > 10
    said = what_goes(settings_of(home), studio, PROJECT)
    assert said.startswith("1 versions and 1 audits of project 7; no certificate")
    assert ("Label Studio at http://127.0.0.1:1 does not have project 7 (any more)" in said) == (studio is GONE)
    forgotten(home, studio)
    assert files(home) == set()
    assert {project: files(home, project) for project in OTHERS} == others
    assert JobQueue(home).demanded(PROJECT) == ""
    with pytest.raises(BadSettingError, match=r"holds nothing of project 7, but projects \[17, 70, 77\]"):
        what_goes(settings_of(home), studio, PROJECT)


def test_a_project_that_is_connected_is_not_forgotten(home: Path) -> None:
    before = files(home)
    with pytest.raises(InUseError, match="`nextlabel connect --project 7 --disconnect` first") as error:
        forgotten(home, CONNECTED)
    assert "secret" not in str(error.value)
    assert before <= files(home)
    assert JobQueue(home).demanded(PROJECT)


@pytest.mark.parametrize(
    ("answered", "url"),
    [(make_card(9).version, "http://host:9090"), (UNTRAINED, "http://other:9090")],
    ids=["with versions of its own", "without any, elsewhere"],
)
def test_a_project_that_another_backend_has_taken_over_is_forgotten_here_and_stays_connected(
    home: Path, answered: str, url: str
) -> None:
    with Pool(pool_path(home, PROJECT)) as pool:
        pool.update(ProjectState, lambda state: replace(state, backend_url="http://host:9090"))
    taken_over = Studio(replace(backend({}, url), model_version=answered))
    ours = Studio(replace(backend({}, url), model_version=make_card(1).version))
    unreached = Studio(replace(backend({}, url), model_version=answered, state="Disconnected"))
    for connected in (ours, unreached):
        with pytest.raises(InUseError, match="have it run, so that Label Studio reaches it"):
            forgotten(home, connected)
    forgotten(home, taken_over)
    assert files(home) == set()


def test_a_damaged_copy_keeps_nobody_from_forgetting(home: Path) -> None:
    pool_path(home, PROJECT).write_bytes(b"damaged" * 1000)
    with pytest.raises(InUseError, match="still connected"):
        forgotten(home, CONNECTED)
    forgotten(home)
    assert files(home) == set()


@pytest.mark.parametrize("held", [lock, shared], ids=["lock", "shared"])
@pytest.mark.parametrize("name", ["7.queue", "fit.7", "start.7", "score.7"])
def test_a_project_that_a_trainer_works_on_is_not_forgotten(
    home: Path, held: Callable[[Path, str], AbstractContextManager[object]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PATIENCE_S", 0.1)
    before = files(home)
    with held(home, name), pytest.raises(InUseError, match=r"A trainer is at work on project 7\. Stop it"):
        forgotten(home)
    assert before <= files(home)


FORGET = """
from nextlabel.loop.forgetting import _files
from nextlabel.store.traces import erase
erase(_files(Path(sys.argv[2]), 7))
"""


@pytest.mark.usefixtures("patience")
def test_forgetting_that_is_killed_is_seen_and_gone_on_with(home: Path) -> None:
    others, left = {project: files(home, project) for project in OTHERS}, [files(home)]
    for _ in killed_at_each_step(FORGET, home, stride=4):
        left.append(files(home))
        assert what_goes(settings_of(home), LEFT, PROJECT)
    assert len(left) > 3
    assert all(after <= before for before, after in pairwise(left))
    assert files(home) == set()
    assert {project: files(home, project) for project in OTHERS} == others


def test_what_cannot_be_deleted_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(paths: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(forgetting, "erase", refuse)
    with pytest.raises(NextlabelError, match=r"Not all of project 7 is deleted \(not yours\)"):
        forgotten(home)


@pytest.fixture
def controller(home: Path) -> Callable[[LabelStudioClient], Controller]:
    def of(studio: LabelStudioClient) -> Controller:
        return Controller(settings_of(home), Registry(home), StatusBoard(home), studio, JobQueue(home))

    return of


@pytest.mark.parametrize("studio", [LEFT, GONE], ids=["disconnected", "deleted"])
def test_jobs_that_come_late_leave_nothing(
    home: Path, controller: Callable[[LabelStudioClient], Controller], studio: LabelStudioClient
) -> None:
    worker = controller(studio)
    worker.reconcile(PROJECT, thorough=False)
    assert StatusBoard(home).queue(PROJECT).state == "disconnected", "before it is forgotten, that is said"
    forgotten(home, studio)
    jobs: list[Callable[[], None]] = [
        lambda: worker.reconcile(PROJECT, thorough=True),
        lambda: worker.reconcile(PROJECT, thorough=False),
        lambda: worker.fit(PROJECT),
        lambda: worker.start(PROJECT),
        lambda: worker.score(PROJECT, make_card(1).version, 1, 9),
        lambda: worker.forget(PROJECT, [1]),
    ]
    for job in jobs:
        job()
        assert files(home) == set()
