"""Runs the web application under gunicorn, and the web process and the trainers side by side under supervision."""

import ipaddress
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from nextlabel.errors import BadSettingError
from nextlabel.processes import keep_few_kernels, yield_cores_while_waiting
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue

log = logging.getLogger(__name__)

WEB_THREADS = 16  # more than predictions are admitted, so that a webhook never waits behind them
GRACE_S = 5.0  # between SIGTERM and SIGKILL
LONGEST_PAUSE_S = 30.0  # before a process that keeps dying is started again
SETTLED_S = 10.0  # whoever has lived so long does not die of its start
REST_S = 1.0  # for what is left of a body before its request is answered


class _Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's, but what the application left of a body is read before its answer is sent, not after it: where too
    much is left, or it is malformed, the connection is closed, and only so does the answer say that."""

    def handle_request(self, req: Any, conn: Any) -> Any:
        asked_to_close = req.should_close

        def should_close() -> bool:
            if not (asked_to_close() or _read_to_its_end(conn)):
                req.force_close()
            return bool(asked_to_close())

        req.should_close = should_close
        return super().handle_request(req, conn)


def _read_to_its_end(conn: Any) -> bool:
    """Whether nothing of the request's body is left; up to 64 KiB are read for it."""
    try:
        return bool(conn.parser.finish_body(deadline=time.monotonic() + REST_S))
    except (OSError, ParseException):
        return False


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    def __init__(self, settings: Settings):
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        options: dict[str, Any] = {
            "bind": f"{host}:{self._settings.port}",
            "workers": 1,  # one resident model per version; threads share it
            "worker_class": _Worker,
            "threads": WEB_THREADS,
            "timeout": 120,  # above Label Studio's 100 s for /predict
            "graceful_timeout": 3,
            "loglevel": "warning",
            "proc_name": "nextlabel-web",
            "control_socket_disable": True,
        }
        for key, value in options.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Any:
        from nextlabel.web.app import create_app

        return create_app(self._settings)


def run_web(settings: Settings) -> None:
    """Serve until SIGTERM."""
    yield_cores_while_waiting()
    keep_few_kernels()
    _check_port(settings)
    # Here, where its error is one sentence: from a process of gunicorn's it would be a traceback.
    JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name).huey.storage.close()
    log.info("web process on http://%s:%d", settings.host, settings.port)
    _say_who_gets_in(settings)
    _Gunicorn(settings).run()


def _say_who_gets_in(settings: Settings) -> None:
    if settings.basic_auth_user:
        return
    if _is_this_machine(settings.host):
        log.info("only this machine gets in; for others set BASIC_AUTH_USER and BASIC_AUTH_PASS")
    else:
        log.warning(
            "HOST=%s lets everyone in who reaches the port; set BASIC_AUTH_USER and BASIC_AUTH_PASS", settings.host
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_port(settings: Settings) -> None:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise BadSettingError(
                f"HOST={settings.host} PORT={settings.port} cannot be listened on ({error.strerror}). Stop what uses "
                "the port, or set another PORT."
            ) from None


def run_supervised(settings: Settings, with_web: bool) -> int:
    """Run the trainers, and the web process beside them; start again whichever dies, stop all on SIGTERM or SIGINT
    within some seconds."""
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: stop.append(signum))
    children = [_Child("web", "web")] if with_web else []
    children += _trainers(settings.workers)
    while not stop:
        for child in children:
            child.keep_alive()
        time.sleep(0.2)
    log.info("stopping")
    for child in children:
        child.terminate()
    deadline = time.monotonic() + GRACE_S
    for child in children:
        child.wait(deadline)
    log.info("stopped")
    return 0


def _trainers(workers: int) -> "list[_Child]":
    if workers == 1:
        return [_Child("trainer", "trainer")]
    return [_Child(f"trainer {number}", "trainer", "--number", str(number)) for number in range(workers)]


class _Child:
    """One supervised process: `python -m nextlabel ARGUMENTS`."""

    def __init__(self, name: str, *arguments: str):
        self._name, self._arguments = name, arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._pause_s = 0.0
        self._started = self._start_at = time.monotonic()

    def keep_alive(self) -> None:
        """Start the process if it is not running and its pause is over."""
        now = time.monotonic()
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            lived = now - self._started
            self._pause_s = min(LONGEST_PAUSE_S, max(0.5, 2 * self._pause_s)) if lived < SETTLED_S else 0.5
            self._start_at = now + self._pause_s
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            log.error("the %s process %s; starting it again in %.1f s", self._name, how, self._pause_s)
            self._process = None
        if now >= self._start_at:
            command = [sys.executable, "-m", "nextlabel", *self._arguments, "--supervised-by", str(os.getpid())]
            self._process = subprocess.Popen(command)
            self._started = now

    def terminate(self) -> None:
        """Ask the process to stop."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait until the deadline, then kill."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("the %s process does not stop; killing it", self._name)
            self._process.kill()
            self._process.wait()
