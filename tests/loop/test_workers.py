"""Several trainers on one queue: the work is shared, nothing is done twice, whoever is killed is stood in for."""

import contextlib
import multiprocessing
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from helpers.copyist import Notebook, queue_of, settings_of, trainer
from helpers.paths import ROOT
from helpers.ports import own_port
from helpers.queue_servers import IN_URL, PASSWORD, RedisServer
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.processes import share_cores
from nextlabel.versions.registry import Registry

PROJECTS = range(1, 13)
ANSWER_S = 0.9  # Label Studio waits a second for a webhook
Trainers = Callable[[int], list[psutil.Process]]


@pytest.fixture(params=["file", "redis", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Where the queue lies."""
    return "" if request.param == "file" else str(request.getfixturevalue(f"{request.param}_server").url())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A MODEL_DIR, with a name that no other test's queue has."""
    path = tmp_path / f"q-{uuid.uuid4().hex}"
    for project in PROJECTS:
        Registry(path).know(project)
    return path


@pytest.fixture
def start_trainers(home: Path, url: str, patience: None) -> Iterator[Trainers]:
    started: list[multiprocessing.process.BaseProcess] = []
    spawn = multiprocessing.get_context("spawn")

    def start(count: int) -> list[psutil.Process]:
        new = [spawn.Process(target=trainer, args=(home, url)) for _ in range(count)]
        for process in new:
            process.start()
        started.extend(new)
        wait_until(lambda: log_of(home).count("trainer ready") == len(started), "the trainers")
        return [psutil.Process(process.pid) for process in new]

    yield start
    for process in started:
        process.kill()
        process.join()


def log_of(home: Path) -> str:
    return (home / "log").read_text() if (home / "log").exists() else ""


def done(home: Path) -> set[int]:
    return {project for project in PROJECTS if (home / f"version-{project}").exists()}


def hold(home: Path, projects: Iterable[int]) -> None:
    for project in projects:
        (home / f"hold-{project}").touch()


def release(home: Path) -> None:
    for held in home.glob("hold-*"):
        held.unlink()


def begun(home: Path) -> list[tuple[int, int]]:
    """Project and process of every fit that was begun, in order."""
    return Notebook(home / "notebook").lines("begin")


def clock_keepers(home: Path) -> list[int]:
    """Who took the clock, in order."""
    return [int(pid) for pid in re.findall(r"^(\d+) INFO keeping the clock$", log_of(home), re.MULTILINE)]


def test_every_project_is_fitted_once_and_both_trainers_work(home: Path, url: str, start_trainers: Trainers) -> None:
    hints = queue_of(settings_of(home, url))
    hold(home, PROJECTS)
    trainers = start_trainers(2)
    wait_until(lambda: len({pid for _, pid in begun(home)}) == 2, "both trainers to begin a fit")
    release(home)
    while done(home) != set(PROJECTS):  # a storm of hints, and marks are lost in it, as when trainers come and go
        for project in PROJECTS:
            hints.hint(project)
            hints.want_fit(project)
        hints.restart()
        assert len(Notebook(home / "notebook").lines("look")) < 5000, "the projects are looked at and not fitted"
    wait_until(lambda: hints.waiting() == 0, "the queue to become empty")
    assert sorted(project for project, _ in begun(home)) == list(PROJECTS)
    assert {pid for _, pid in begun(home)} == {process.pid for process in trainers}
    assert len(clock_keepers(home)) == 1
    assert "Traceback" not in log_of(home)


@pytest.mark.parametrize("url", ["redis"], indirect=True)
def test_whoever_is_killed_is_stood_in_for(home: Path, url: str, start_trainers: Trainers) -> None:
    hold(home, [5])
    first, second = start_trainers(2)
    wait_until(lambda: done(home) == set(PROJECTS) - {5}, "all fits but one")
    [victim] = [pid for project, pid in begun(home) if project == 5]
    psutil.Process(victim).kill()
    survivor = ({first.pid, second.pid} - {victim}).pop()
    wait_until(lambda: begun(home)[-1] == (5, survivor), "the other trainer to take over the fit")
    release(home)
    wait_until(lambda: done(home) == set(PROJECTS), "the last fit")
    assert clock_keepers(home)[-1] == survivor
    [third] = start_trainers(1)
    psutil.Process(survivor).kill()
    wait_until(lambda: clock_keepers(home)[-1] == third.pid, "the third to take the clock")
    looks = len(Notebook(home / "notebook").lines("thorough look"))
    wait_until(lambda: len(Notebook(home / "notebook").lines("thorough look")) > looks, "the clock to go on")
    assert "Traceback" not in log_of(home)


@pytest.mark.parametrize("url", ["redis"], indirect=True)
def test_trainers_go_on_by_themselves_when_the_server_is_back(
    home: Path, redis_server: RedisServer, start_trainers: Trainers
) -> None:
    hold(home, [5])
    trainers = start_trainers(2)
    wait_until(lambda: done(home) == set(PROJECTS) - {5}, "all fits but one")
    redis_server.kill()
    wait_until(lambda: log_of(home).count("It is asked until it answers") >= 2, "both to find out")
    wait_until(lambda: "the clock missed a tick" in log_of(home), "the clock to find out")
    release(home)
    wait_until(lambda: done(home) == set(PROJECTS), "a fit to end without the server")
    redis_server.start()
    wait_until(lambda: log_of(home).count("answers again") >= 2, "both to find it")
    (home / "version-7").unlink()
    queue_of(settings_of(home, redis_server.url())).hint(7)
    wait_until(lambda: 7 in done(home), "a new fit")
    assert all(process.is_running() for process in trainers)
    assert "Traceback" not in log_of(home)
    assert PASSWORD not in log_of(home)
    assert len(log_of(home).splitlines()) < 50, "an outage is no reason for a full disk"


# The whole program


@pytest.fixture
def serve(tmp_path: Path, redis_server: RedisServer, patience: None) -> Iterator[Callable[[], LocalBackend]]:
    """Starts `nextlabel serve` with two trainers and a queue on Redis; Label Studio is not there."""
    studio = LocalStudio(tmp_path / "studio", 9)
    started: list[LocalBackend] = []

    def start() -> LocalBackend:
        own: dict[str, Any] = {
            "queue_url": redis_server.url(),
            "queue_name": uuid.uuid4().hex,
            "workers": 2,
            "device": "cpu",
        }
        started.append(LocalBackend(studio, tmp_path / "data", own_port(19500), reconcile_s=1, **own))
        started[-1].start()
        return started[-1]

    yield start
    for backend in started:
        backend.stop()


def trainers_of(backend: LocalBackend) -> dict[str, psutil.Process]:
    """The trainers that run, by number."""
    found = {}
    for child in psutil.Process(backend.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie counts as one
            line = child.cmdline()
            if "--number" in line:
                found[line[line.index("--number") + 1]] = child
    return found


def post(backend: LocalBackend) -> httpx.Response:
    return httpx.post(f"{backend.url}/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 7}}, timeout=5)


def test_serve_runs_trainers_and_outlives_the_queue(
    serve: Callable[[], LocalBackend], redis_server: RedisServer
) -> None:
    backend = serve()
    wait_until(lambda: backend.tail(200).count("trainer ready") == 2, "two trainers")
    before = trainers_of(backend)
    assert set(before) == {"0", "1"}
    before["1"].kill()
    wait_until(lambda: trainers_of(backend).get("1") not in (None, before["1"]), "a new trainer 1")
    assert trainers_of(backend)["0"] == before["0"], "the other one is left alone"
    assert "the trainer 1 process was killed by signal 9; starting it again in 0.5 s" in backend.tail(200)

    redis_server.freeze()
    refused_in_time(backend, "no answer in time|Timeout")
    redis_server.thaw()
    redis_server.kill()
    refused_in_time(backend, "Connection refused")
    redis_server.start()
    assert post(backend).status_code == 201, "the first after the outage counts"
    wait_until(lambda: "project 7: " in backend.tail(200), "a look at the project")
    log = backend.tail(1000)
    assert "QUEUE_URL=********" in log
    assert PASSWORD not in log
    assert IN_URL not in log
    assert "Traceback" not in log


def refused_in_time(backend: LocalBackend, why: str) -> None:
    start = time.monotonic()
    answer = post(backend)
    assert time.monotonic() - start < ANSWER_S
    assert answer.status_code == 503
    assert re.fullmatch(
        rf"The job queue at redis://127.0.0.1:\d+/0 cannot be used \(.*({why}).*\): start the server, or correct "
        r"QUEUE_URL\.",
        answer.json()["error"],
    )


def run_backend(home: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """`python -m backend` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "nextlabel", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "backend"), "MODEL_DIR": str(home / "data"), **settings},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("command", ["web", "trainer"])
def test_a_server_that_is_not_there_at_the_start_is_said_in_a_sentence(command: str, tmp_path: Path) -> None:
    url = f"redis://:{IN_URL}@127.0.0.1:{own_port(16700)}"
    run = run_backend(tmp_path, command, QUEUE_URL=url, PORT=str(own_port(19600)))
    assert run.returncode == 2
    [headline, why] = run.stderr.splitlines()[-2:]
    assert headline == "Nextlabel cannot start:"
    assert re.fullmatch(r"The job queue at redis://127.0.0.1:\d+ cannot be used \(.*refused\): start the .*\.", why)
    assert "Traceback" not in run.stderr


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("command", ["serve", "trainer"])
def test_a_bad_number_of_trainers_is_refused(command: str, tmp_path: Path) -> None:
    run = run_backend(tmp_path, command, "--workers", "0", WORKERS="2")
    assert run.returncode == 2
    assert "WORKERS='0' is not possible: expected a whole number of trainers from 1 to 64." in run.stderr


# Shares of the machine


@pytest.mark.parametrize(
    ("cores", "workers", "already", "share"),
    [(8, 2, None, "4"), (8, 3, None, "2"), (2, 4, None, "1"), (8, 1, None, None), (8, 2, "3", "3")],
)
def test_each_trainer_has_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int, already: str | None, share: str | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setenv("OMP_NUM_THREADS", already or "")
    if not already:
        monkeypatch.delenv("OMP_NUM_THREADS")
    share_cores(workers)
    assert os.environ.get("OMP_NUM_THREADS") == share


@pytest.mark.usefixtures("patience")
def test_torch_heeds_the_share_in_a_trainer(tmp_path: Path) -> None:
    code = """
import os
from nextlabel.loop import trainer
from nextlabel.settings import load_settings

def work_off(settings, registry, jobs, worker):
    import torch
    print(torch.get_num_threads(), os.environ["OMP_WAIT_POLICY"], flush=True)

trainer.work_off = work_off
trainer.run_trainer(load_settings(), 63)
"""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
    settings = {"PYTHONPATH": str(ROOT / "backend"), "MODEL_DIR": str(tmp_path), "WORKERS": "64", "DEVICE": "cpu"}
    run = subprocess.run(
        [sys.executable, "-c", code], env={**kept, **settings}, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    threads, policy = run.stdout.split()
    assert (int(threads), policy) == (max(1, (os.cpu_count() or 1) // 64), "PASSIVE")


def test_trainers_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch  # here, as the other tests need none

    from nextlabel.model.devices import device_of_trainer

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device_of_trainer("auto", number) for number in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert device_of_trainer("cuda", 1) == "cuda:1"
    assert [device_of_trainer(name, 1) for name in ("cuda:0", "cpu", "mps")] == ["cuda:0", "cpu", "mps"]
    for few in (0, 1):
        monkeypatch.setattr(torch.cuda, "device_count", lambda few=few: few)
        assert [device_of_trainer(name, 1) for name in ("auto", "cuda")] == ["auto", "cuda"]
