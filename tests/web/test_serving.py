"""The supervisor: both processes run, come back when they die, and go when it goes."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest

from helpers.paths import ROOT
from helpers.ports import own_port
from helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("patience")

SECRET = "open-sesame"
STOP_S = 8.0  # Docker kills after 10


class Served:
    """`python -m backend` as a child in a process group of its own, its log in a file."""

    def __init__(self, home: Path, command: str = "serve", **settings: object):
        self.port = int(str(settings.get("port", own_port(19300))))
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = home / "log"
        environment = {**os.environ, **environment_of(home), "PORT": str(self.port)}
        environment |= {key.upper(): str(value) for key, value in settings.items()}
        with self.log_file.open("ab") as out:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "nextlabel", command],
                env=environment,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.process = psutil.Process(self._child.pid)

    def log(self) -> str:
        return self.log_file.read_text()

    def healthy(self) -> bool:
        try:
            return bool(httpx.get(f"{self.url}/health", timeout=2).json()["status"] == "UP")
        except httpx.HTTPError:
            return False

    def started(self) -> bool:
        return self.healthy() and "trainer ready" in self.log()

    def child(self, name: str) -> psutil.Process | None:
        """The web process or the trainer, once it runs."""
        found = [child for child in self.process.children() if name in words_of(child)]
        return found[0] if found else None

    def family(self) -> list[psutil.Process]:
        """All that the supervisor started, gunicorn's worker included."""
        return list(self.process.children(recursive=True))

    def send(self, number: int) -> None:
        self._child.send_signal(number)

    def wait(self, seconds: float) -> int:
        return self._child.wait(seconds)

    def end(self, family: list[psutil.Process]) -> None:
        for process in (self.process, *family):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._child.wait(5)


def environment_of(home: Path) -> Mapping[str, str]:
    return {
        "PYTHONPATH": str(ROOT / "backend"),
        "MODEL_DIR": str(home / "data"),
        "HOST": "127.0.0.1",
        "LABEL_STUDIO_URL": "http://127.0.0.1:9",  # nobody answers there
        "LABEL_STUDIO_API_KEY": SECRET,
    }


def words_of(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def python_backend(arguments: list[str], home: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """`python -m backend` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "nextlabel", *arguments],
        env={**os.environ, **environment_of(home), **settings},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts the backend; whatever a test leaves of it is killed."""
    started: list[Served] = []

    def start(command: str = "serve", **settings: object) -> Served:
        started.append(Served(tmp_path, command, **settings))
        return started[-1]

    yield start
    for served in started:
        left = [p for p in psutil.process_iter() if session_of(p) == served.process.pid]
        served.end(left)


def session_of(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return 0


# Starting


def test_it_answers_and_tells_its_settings_without_secrets(serve: Serve) -> None:
    served = serve(basic_auth_user="me", basic_auth_pass=SECRET + "2")
    wait_until(served.healthy, "/health")
    log = served.log()
    assert "LABEL_STUDIO_API_KEY=********" in log
    assert "BASIC_AUTH_PASS=********" in log
    assert f"PORT={served.port}" in log
    assert "FIT_EVERY=64" in log
    assert SECRET not in log
    assert httpx.get(f"{served.url}/versions").status_code == 401


def test_no_process_has_a_secret_in_its_command_line(serve: Serve) -> None:
    served = serve(basic_auth_user="me", basic_auth_pass=SECRET + "2", webhook_secret=SECRET + "-for-webhooks")
    wait_until(served.started, "both processes")
    shown = [word for process in (served.process, *served.family()) for word in words_of(process)]
    assert len(shown) > 12, "three processes and the supervisor"
    assert not [word for word in shown if SECRET in word]


@pytest.mark.parametrize(
    ("given", "listens", "said"),
    [
        ({"host": ""}, "127.0.0.1", "only this machine gets in; for others set BASIC_AUTH_USER and BASIC_AUTH_PASS"),
        ({"host": "0.0.0.0"}, "0.0.0.0", "HOST=0.0.0.0 lets everyone in who reaches the port; set BASIC_AUTH_USER"),
        ({"host": "", "basic_auth_user": "me", "basic_auth_pass": SECRET}, "0.0.0.0", ""),
    ],
    ids=["nothing set", "told to", "with credentials"],
)
def test_it_says_whom_it_lets_in(given: dict[str, str], listens: str, said: str, serve: Serve) -> None:
    served = serve("web", **given)
    wait_until(served.healthy, "/health")
    bound = {
        connection.laddr.ip
        for process in (served.process, *served.family())
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert bound == {listens}
    assert f"web process on http://{listens}:{served.port}" in served.log()
    assert said in served.log()
    assert ("gets in" in served.log(), "lets everyone in" in served.log()) == ("gets in" in said, "lets" in said)


@pytest.mark.parametrize("command", ["serve", "web", "trainer"])
def test_a_bad_setting_is_named_and_nothing_starts(command: str, tmp_path: Path) -> None:
    run = python_backend([command], tmp_path, FIT_EVERY="abc", PORT="70000")
    assert run.returncode == 2
    assert "FIT_EVERY='abc' is not possible: expected a whole number of new labels, at least 1." in run.stderr
    assert "PORT='70000' is not possible: expected a port number from 1 to 65535." in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [[], ["dance"], ["serve", "--port", "80"]], ids=" ".join)
def test_a_wrong_command_is_answered_with_the_right_ones(arguments: list[str], tmp_path: Path) -> None:
    run = python_backend(arguments, tmp_path)
    assert run.returncode == 2
    assert "usage: nextlabel" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_taken_port_is_named_and_used_once_it_is_free(serve: Serve) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", own_port(19300)))
        other.listen(1)
        port = other.getsockname()[1]
        served = serve(port=port)
        wait_until(lambda: f"PORT={port} cannot be listened on" in served.log(), "the complaint")
        assert "Traceback" not in served.log()
    wait_until(served.healthy, "the port to be taken over")


# Dying


@pytest.mark.parametrize("name", ["web", "trainer"])
def test_a_killed_process_is_named_in_the_log_and_started_again(name: str, serve: Serve) -> None:
    served = serve()
    wait_until(served.healthy, "/health")
    other = served.child("trainer" if name == "web" else "web")
    victim = served.child(name)
    assert victim is not None
    victim.kill()
    victim.wait(5)
    ready = served.log().count("trainer ready")
    wait_until(lambda: served.child(name) not in (None, victim), f"a new {name} process")
    assert f"the {name} process was killed by signal 9; starting it again in 0.5 s" in served.log()
    assert served.child("trainer" if name == "web" else "web") == other, "the other one is left alone"
    if name == "web":
        wait_until(served.healthy, "/health of the new web process")
    else:
        wait_until(lambda: served.log().count("trainer ready") == ready + 1, "the new trainer")
    assert served.log().count("starting it again") == 1


def test_a_process_that_keeps_dying_is_started_again_less_and_less_often(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("where the directory should be")
    served = serve()
    wait_until(lambda: "starting it again in 2.0 s" in served.log(), "the third pause")
    pauses = re.findall(r"the web process .*; starting it again in (\S+) s", served.log())
    assert pauses == ["0.5", "1.0", "2.0"][: len(pauses)]
    assert served.process.is_running(), "the supervisor goes on, as the disk may come back"


# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_stops_everything_soon_and_cleanly(number: signal.Signals, serve: Serve) -> None:
    served = serve()
    wait_until(served.started, "both processes")
    family = served.family()
    assert len(family) == 3, "web, its gunicorn worker, trainer"
    served.send(number)
    assert served.wait(STOP_S) == 0
    assert alive(family) == []
    assert served.log().rstrip().endswith("stopped")
    assert "does not stop; killing it" not in served.log()
    assert "Traceback" not in served.log()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{served.url}/health")


def test_a_signal_while_starting_stops_everything_too(serve: Serve) -> None:
    served = serve()
    wait_until(lambda: len(served.process.children()) == 2, "the first sign of both")
    family = served.family()
    served.send(signal.SIGTERM)
    assert served.wait(STOP_S) == 0
    assert alive(family) == []


def test_nothing_survives_a_killed_supervisor(serve: Serve) -> None:
    served = serve()
    wait_until(served.started, "both processes")
    family = served.family()
    served.process.kill()
    wait_until(lambda: not alive(family), "all children to end", STOP_S)


def test_nothing_survives_a_supervisor_that_is_killed_at_the_start(serve: Serve) -> None:
    served = serve()
    wait_until(lambda: len(served.process.children()) == 2, "the first sign of both")
    family = served.family()
    served.process.kill()
    wait_until(lambda: not alive(family), "all children to end", STOP_S)


@pytest.mark.parametrize("command", ["web", "trainer"])
def test_each_process_stops_alone_as_well(command: str, serve: Serve) -> None:
    served = serve(command)
    ready = served.healthy if command == "web" else (lambda: "trainer ready" in served.log())
    wait_until(ready, f"the {command} process")
    served.send(signal.SIGTERM)
    assert served.wait(STOP_S) == 0
    assert "Traceback" not in served.log()
