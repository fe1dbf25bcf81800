"""Real servers for the job queue, each with a directory and a port of its own: started, killed and frozen at will."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from helpers.ports import own_port
from helpers.programs import program
from helpers.waiting import wait_until

PASSWORD = "open%sesame"
IN_URL = "open%25sesame"
DEBIANS = "/usr/lib/postgresql/*/bin"  # which keeps a server's programs off PATH


class QueueServer(ABC):
    """One server. What it was told survives being killed."""

    user: str | None = None  # whom it runs as
    end_at_once = signal.SIGKILL

    def __init__(self, wanted_port: int):
        self.port = own_port(wanted_port)
        # Not in pytest's directory, which only its owner can enter: PostgreSQL refuses to run as root.
        self.home = Path(tempfile.mkdtemp(prefix="nextlabel-queue-"))
        self._process: Any = None  # a psutil.Popen

    @abstractmethod
    def url(self) -> str:
        """What QUEUE_URL says of it."""

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes calls."""

    def start(self) -> None:
        with (self.home / "log").open("ab") as out:
            self._process = psutil.Popen(
                self.command(), cwd=self.home, stdin=subprocess.DEVNULL, stdout=out, stderr=out, user=self.user
            )
        wait_until(self.answers, f"{self.command()[0]} to answer")

    def kill(self) -> None:
        self._process.send_signal(self.end_at_once)
        self._process.wait(10)

    def freeze(self) -> None:
        """It still takes connections, and answers nothing."""
        self._each("suspend")

    def thaw(self) -> None:
        self._each("resume")

    def end(self) -> None:
        if self._process is not None and self._process.is_running():
            self.kill()
        shutil.rmtree(self.home)

    def _each(self, what: str) -> None:
        children = self._process.children()
        getattr(self._process, what)()  # the parent first, or it would start others
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                getattr(child, what)()


class RedisServer(QueueServer):
    def __init__(self) -> None:
        super().__init__(16400)

    def url(self) -> str:
        return f"redis://:{IN_URL}@127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.home), "requirepass": PASSWORD}
        kept = {"appendonly": "yes", "appendfsync": "always", "save": ""}
        return [
            program("redis-server"),
            *(word for key, value in {**options, **kept}.items() for word in (f"--{key}", value)),
        ]

    def answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url()).ping())
        except redis.RedisError:
            return False


class PostgresqlServer(QueueServer):
    end_at_once = (
        signal.SIGQUIT
    )  # connections are cut, nothing is tidied up; after SIGKILL a child may bar the new start

    def __init__(self) -> None:
        super().__init__(15400)
        self._data = self.home / "data"
        if os.getuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self.user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self.home, self.user)
        (self.home / "password").write_text(PASSWORD)
        options = ["--username=me", f"--pwfile={self.home / 'password'}", "--auth=scram-sha-256", "--no-sync"]
        made = [program("initdb", within=DEBIANS), f"--pgdata={self._data}", "--encoding=UTF8", "--no-locale", *options]
        subprocess.run(made, cwd=self.home, user=self.user, check=True, capture_output=True)

    def url(self) -> str:
        return f"postgresql://me:{IN_URL}@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str]:
        settings = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=", "fsync=off")
        return [
            program("postgres", within=DEBIANS),
            "-D",
            str(self._data),
            *(word for s in settings for word in ("-c", s)),
        ]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True
