"""A Label Studio and a backend on this machine, as child processes, for the demo and the tests."""

import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import httpx

from nextlabel.errors import NextlabelError
from nextlabel.labelstudio.client import LabelStudioClient

CHECKOUT = Path(__file__).resolve().parents[3]  # when this is run from one
# The order of versions alone, in batches of FIT_EVERY: release 0.1.0's, and what a measurement of a fit's way is of.
PLAIN_ORDER: Mapping[str, str] = {
    "query_strategy": "entropy",
    "head": "off",
    "start_order": "off",
    "near_copies": "serve",
    "fit_schedule": "off",
    "control_share": "0",
}
FIRST_START_S = 600.0  # Label Studio migrates a fresh data base: some 30 s on a quiet machine
STOP_S = 30.0


@dataclass(frozen=True)
class Login:
    """The account that Label Studio is started with."""

    user: str
    password: str
    token: str


def login_of(data_dir: Path) -> Login:
    """The account of a data directory, made up on first use: Label Studio applies it only when it creates the user."""
    path = data_dir / "login.json"
    if path.exists():
        return Login(**json.loads(path.read_text()))
    login = Login("demo@example.com", secrets.token_hex(6), secrets.token_hex(20))
    data_dir.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(login)))
    return login


def label_studio() -> str:
    """Label Studio's program: what LABEL_STUDIO_EXECUTABLE names, else the one of `.venv-label-studio` in the current
    directory or the checkout, else the one on PATH. Raises `NextlabelError` when there is none."""
    named = os.environ.get("LABEL_STUDIO_EXECUTABLE")
    own = [str(home / ".venv-label-studio" / "bin" / "label-studio") for home in (Path.cwd(), CHECKOUT)]
    found = next(filter(None, map(shutil.which, [named] if named else [*own, "label-studio"])), None)
    if found is None:
        where = f"LABEL_STUDIO_EXECUTABLE={named} is no program" if named else "Label Studio is not installed"
        raise NextlabelError(
            f"{where}. In a checkout run scripts/setup; elsewhere install it into an environment of its own (its "
            "pins and ours must not meet) and set LABEL_STUDIO_EXECUTABLE to its bin/label-studio."
        )
    return found


def free_port(wanted: int) -> int:
    """The first free TCP port from `wanted` on. Label Studio moves on silently, so it must be known beforehand."""
    for port in range(wanted, min(wanted + 50, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen(1)
            except OSError:
                continue
            return port
    raise NextlabelError(f"No free port from {wanted} to {wanted + 49}. Stop what uses them, or name another --port.")


def wait_until(done: Callable[[], bool], seconds: float = 1800) -> None:
    """Look twenty times a second until it is so; raises `TimeoutError` when it never is."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the loop did not move on")
        time.sleep(0.05)


class Process:
    """A child in a process group of its own, with its output in a file, stopped as a whole."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path, cwd: Path):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._pid_file = log.with_suffix(".pid")
        self._stop_leftover()
        _end_cleanly()
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                command,
                env=dict(environment),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=cwd,
                start_new_session=True,
            )
        self._pid_file.write_text(f"{self._child.pid} {command[0]}")

    @property
    def pid(self) -> int:
        """Process id of the child, and of its group."""
        return self._child.pid

    def running(self) -> bool:
        """Whether the child lives."""
        return self._child.poll() is None

    def wait_for(self, answers: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Until it answers. Raises `NextlabelError` with the end of its log when it dies or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not answers():
            if not self.running() or time.monotonic() > deadline:
                self.stop()
                raise NextlabelError(f"{what} did not start:\n{self.tail()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """SIGTERM to the group, and SIGKILL if that is not heard."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal_group(self._child.pid, number)
            try:
                self._child.wait(STOP_S)
                break
            except subprocess.TimeoutExpired:
                continue
        self._pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = 15) -> str:
        """The last lines of the output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _stop_leftover(self) -> None:
        # A run that was killed could not clean up; two servers on one SQLite file would lock each other out.
        try:
            pid, program = self._pid_file.read_text().split(" ", 1)
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except (FileNotFoundError, ValueError, NotADirectoryError, ProcessLookupError):
            return
        if program in command:
            _signal_group(int(pid), signal.SIGKILL)
            time.sleep(0.5)


def _end_cleanly() -> None:
    """Have SIGTERM end this program as Ctrl-C does, unless it means something else here: a child has a session of its
    own, and would go on."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _on_postgresql(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "DJANGO_DB": "default",
        "POSTGRE_HOST": parts.hostname or "",
        "POSTGRE_PORT": str(parts.port or 5432),
        "POSTGRE_USER": unquote(parts.username or ""),
        "POSTGRE_PASSWORD": unquote(parts.password or ""),
        "POSTGRE_NAME": parts.path.lstrip("/"),
    }


class LocalStudio:
    """Label Studio on SQLite or, where an address is given, on a PostgreSQL data base: no telemetry, legacy token
    allowed, private addresses allowed."""

    def __init__(self, data_dir: Path, port: int, postgresql: str = ""):
        self.data_dir, self.port, self.postgresql = data_dir, port, postgresql
        self.url = f"http://127.0.0.1:{port}"
        self.login = login_of(data_dir)
        self._process: Process | None = None

    def start(self) -> None:
        """Start and wait until it answers, to us and not to another server on the port."""
        command = [
            label_studio(), "start", "--no-browser", "--data-dir", str(self.data_dir),
            "--internal-host", "127.0.0.1", "--port", str(self.port),
            "--username", self.login.user, "--password", self.login.password,
            "--user-token", self.login.token, "--enable-legacy-api-token", "--log-level", "WARNING",
        ]  # fmt: skip
        self._process = Process(command, self._environment(), self.data_dir / "label-studio.log", self.data_dir)
        self._process.wait_for(self._answers, FIRST_START_S, f"Label Studio on port {self.port}")

    def _environment(self) -> dict[str, str]:
        # Label Studio refuses private addresses unless both switches are off, and calls home unless told not to.
        return {
            **os.environ,
            "HOME": str(self.data_dir),
            "LABEL_STUDIO_HOST": self.url,
            "ML_BLOCK_LOCAL_IP": "false",
            "SSRF_PROTECTION_ENABLED": "false",
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            **(_on_postgresql(self.postgresql) if self.postgresql else {}),
        }

    def _answers(self) -> bool:
        try:
            headers = {"Authorization": f"Token {self.login.token}"}
            return httpx.get(f"{self.url}/api/current-user/whoami", headers=headers, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def pid(self) -> int:
        """Process id of the server."""
        assert self._process is not None
        return self._process.pid

    def connect(self, token: str = "") -> LabelStudioClient:
        """A client with the token given, or the account's own."""
        return LabelStudioClient(self.url, token or self.login.token)

    def stop(self) -> None:
        """Stop the server; its data stays."""
        if self._process is not None:
            self._process.stop()
            self._process = None


class Studio(Protocol):
    """What a backend is told of the Label Studio that it serves."""

    url: str
    login: Login


class LocalBackend:
    """`python -m nextlabel COMMAND` with the given settings, beside what the environment says."""

    program: Sequence[str] = (sys.executable, "-m", "nextlabel")

    def __init__(self, studio: Studio, model_dir: Path, port: int, command: str = "serve", **settings: object):
        self.url = f"http://127.0.0.1:{port}"
        self.model_dir = model_dir
        self._command = command
        self._environment = {
            **os.environ,
            "LABEL_STUDIO_URL": studio.url,
            "LABEL_STUDIO_API_KEY": studio.login.token,
            "MODEL_DIR": str(model_dir),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            **{key.upper(): str(value) for key, value in settings.items()},
        }
        self._process: Process | None = None

    def start(self, timeout_s: float = 60) -> None:
        """Start and wait until /health answers (the trainer alone: until it runs)."""
        # The working directory holds no .env that could interfere.
        self.model_dir.mkdir(parents=True, exist_ok=True)
        command = [*self.program, self._command]
        self._process = Process(command, self._environment, self.model_dir / f"{self._command}.log", self.model_dir)
        if self._command != "trainer":
            self._process.wait_for(self._healthy, timeout_s, "The backend")

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def call(self, *arguments: str) -> list[str]:
        """What another command prints with the same settings, line by line. Raises `NextlabelError` when it fails."""
        command, home = [*self.program, *arguments], self.model_dir.parent
        done = subprocess.run(command, env=self._environment, cwd=home, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NextlabelError(f"nextlabel {shlex.join(arguments)} failed: {done.stdout}{done.stderr}")
        return done.stdout.splitlines()

    @property
    def pid(self) -> int:
        """Process id of the supervisor, or of the one process."""
        assert self._process is not None
        return self._process.pid

    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.running()

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return self._process.tail(lines) if self._process is not None else ""

    def stop(self) -> None:
        """Stop it; versions stay."""
        if self._process is not None:
            self._process.stop()
            self._process = None
