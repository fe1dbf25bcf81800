"""A trainer for tests, quick to start: the real consumer and the real clock, and a worker whose versions are files."""

import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from nextlabel.loop.trainer import work_off
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, lock
from nextlabel.versions.registry import Registry


class Notebook:
    """Lines that several processes write."""

    def __init__(self, path: Path):
        self._path = path

    def write(self, what: str, project: int) -> None:
        line = json.dumps([what, project, os.getpid()]) + "\n"
        with self._path.open("ab", buffering=0) as out:
            out.write(line.encode())  # one write, at the end of the file: lines of two processes do not mix

    def lines(self, what: str) -> list[tuple[int, int]]:
        """Project and process of each such line."""
        text = self._path.read_text() if self._path.exists() else ""
        read = [json.loads(line) for line in text.splitlines()]
        return [(project, pid) for name, project, pid in read if name == what]


class Copyist:
    """A worker whose versions are files. Like the real one it takes the project's lock and looks whether a fit is due.

    As long as there is a file `hold-<project>`, a fit of that project does not end.
    """

    def __init__(self, home: Path, registry: Registry, notebook: Notebook, jobs: JobQueue):
        self._home, self._registry, self._notebook, self._jobs = home, registry, notebook, jobs

    def reconcile(self, project: int, thorough: bool) -> None:
        self._notebook.write("thorough look" if thorough else "look", project)
        if not self._version(project).exists():
            self._jobs.want_fit(project)

    def fit(self, project: int) -> None:
        try:
            with lock(self._registry.root.parent, f"fit.{project}"):
                if not self._version(project).exists():
                    self._notebook.write("begin", project)
                    while (self._home / f"hold-{project}").exists():
                        time.sleep(0.05)
                    self._version(project).touch()
        except LockHeld:
            self._jobs.want_fit(project, delay_s=1.0)

    def score(self, project: int, version: str, first: int, last: int) -> None:
        raise AssertionError("nobody asked for it")

    def start(self, project: int) -> None:
        raise AssertionError("nobody asked for it")

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        raise AssertionError("nobody asked for it")

    def helping(self, project: int) -> None:
        raise AssertionError("nobody asked for it")

    def _version(self, project: int) -> Path:
        return self._home / f"version-{project}"


def settings_of(home: Path, url: str) -> Settings:
    return Settings(
        _env_file=None, model_dir=home, queue_url=url, queue_name=home.name.replace("-", "_"), reconcile_s=2
    )


def queue_of(settings: Settings, patient: bool = False) -> JobQueue:
    return JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name, patient)


def trainer(home: Path, url: str) -> None:
    """What each trainer process does."""
    logging.basicConfig(filename=home / "log", format="%(process)d %(levelname)s %(message)s", level="INFO")
    logging.getLogger("huey").setLevel("WARNING")  # as in the real one
    settings, registry = settings_of(home, url), Registry(home)
    jobs = queue_of(settings, patient=True)
    work_off(settings, registry, jobs, Copyist(home, registry, Notebook(home / "notebook"), jobs))
