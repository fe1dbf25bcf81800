"""How a trainer scores a large pool, without Label Studio: seconds to the head, to the end, and memory.

Memory is what the process held at most above what it held with a fitted model and no pool. Linux only.
"""

import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from nextlabel.errors import NextlabelError
from nextlabel.lab.loop_benchmark.builds import Build, older_build, this_build
from nextlabel.simulation.datasets.corpora import Corpus, corpus_without_hub, recombined
from nextlabel.store.state import SyncState

PROJECT = 1
LABELLED = 64
PAGE = 1000
FIGURE = re.compile(r"^\| ([^|]+) \|[^|]*?([\d.]+) (?:s|MiB)\b", re.MULTILINE)  # the first of a row
RESET = Path("/proc/self/clear_refs")


def measure(tasks: int, base_model: str | None, device: str, parts: int | None, mrpc_dir: Path | None) -> None:
    """Fill a pool, fit, score it, and print a row as each of them is done. With `parts` the scoring stops after so many
    and goes on in another process."""
    with tempfile.TemporaryDirectory(prefix="nextlabel-pool-") as directory:
        home = Path(directory)
        base_model = base_model or str(small_bert(home / "bert"))
        print("| | |\n|---|---|")
        # Each in a process of its own, so that the memory of one is not counted for another.
        in_a_process(fill, home, mrpc_dir, tasks)
        in_a_process(fit_and_score, home, base_model, device, parts)
        if parts:
            in_a_process(go_on, home, base_model, device)
        for name in ("sqlite", "values", "tokens"):
            say(f"on disk, {name}", f"{size_mib(home / 'pools', name):.0f} MiB")


def compare(against: Path, turns: int, arguments: Sequence[str]) -> None:
    """Have this build and the one of an older checkout measure in turns; print every figure of both and their ratio.

    Raises `BadSettingError` when there is no such build, `NextlabelError` with what a build said when it failed.
    """
    ours, older = this_build(), older_build(against)
    measured: dict[str, list[dict[str, float]]] = {ours.name: [], older.name: []}
    for turn in range(turns):
        for build in (ours, older) if turn % 2 == 0 else (older, ours):
            measured[build.name].append(figures_of(build, arguments))
    print(f"| median of {turns} | {ours.name} | {older.name} | ratio | smallest to largest |\n|---|---|---|---|---|")
    for what in measured[older.name][0]:
        pairs = [(a[what], b[what]) for a, b in zip(measured[ours.name], measured[older.name], strict=True)]
        ratios = [a / b for a, b in pairs]
        values = " | ".join(f"{median(values):.1f}" for values in zip(*pairs, strict=True))
        say(what, f"{values} | {median(ratios):.3f} | {min(ratios):.3f} to {max(ratios):.3f}")


def figures_of(build: Build, arguments: Sequence[str]) -> dict[str, float]:
    """What a build measures: seconds or MiB, by row of its table."""
    environment = {**os.environ, "PYTHONPATH": build.python_path}
    command = [*build.program, "measure-pool", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise NextlabelError(f"{build.name} cannot measure: {done.stderr.strip()[-500:]}")
    return {what: float(value) for what, value in FIGURE.findall(done.stdout)}


def in_a_process(work: Callable[..., None], *arguments: object) -> None:
    """Run to the end; an error there is an error here."""
    process = multiprocessing.get_context("spawn").Process(target=child, args=(work, *arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def child(work: Callable[..., None], *arguments: object) -> None:
    """In the new process."""
    try:
        work(*arguments)
    except NextlabelError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


def say(what: str, value: str) -> None:
    """A row of the table."""
    print(f"| {what} | {value} |", flush=True)


def small_bert(directory: Path) -> Path:
    """A BERT with random weights that takes no time: what is measured is all around it."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification
    from transformers.utils.logging import disable_progress_bar

    from nextlabel.lab.demo import small_checkpoint

    disable_progress_bar()
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertForSequenceClassification(BertConfig(**shape)).save_pretrained(directory)
    AutoTokenizer.from_pretrained(small_checkpoint()).save_pretrained(directory)
    return directory


def size_mib(directory: Path, kind: str) -> float:
    """Of all files below the directory whose path has this in it."""
    files = (path for path in directory.rglob("*") if kind in str(path) and path.is_file())
    return sum(path.stat().st_size for path in files) / 2**20


def fill(home: Path, mrpc_dir: Path | None, tasks: int) -> None:
    """The local copy of a project with so many pairs."""
    from nextlabel.lab.importing import PAIR_CONFIG
    from nextlabel.labelstudio.config import parse_label_config
    from nextlabel.store.pool import Pool, pool_path

    start = time.perf_counter()
    corpus = recombined(corpus_without_hub(mrpc_dir), tasks + LABELLED)
    labels = parse_label_config(PAIR_CONFIG).labels
    with Pool(pool_path(home, PROJECT)) as pool:
        for page in pages(corpus, labels):
            pool.upsert(page)
        pool.update(SyncState, lambda state: replace(state, complete=True, label_config=PAIR_CONFIG))
    say("tasks", f"{tasks}")
    say("filling the local copy", f"{time.perf_counter() - start:.1f} s")


def pages(corpus: Corpus, labels: Sequence[str]) -> Iterator[list[Any]]:
    """Tasks as a synchronisation reads them; the first ones are labelled."""
    from nextlabel.values.examples import Example
    from nextlabel.values.labels import TaskRow, Vote

    def row(number: int, first: str, second: str) -> TaskRow:
        votes = (Vote(labels[number % 2], False, "2026-01-01"),) if number <= LABELLED else ()
        return TaskRow(number, Example(number, first, second), False, bool(votes), False, len(votes), votes)

    rows = (row(n, pair.sentence1, pair.sentence2) for n, pair in enumerate(corpus.train, start=1))
    while page := list(islice(rows, PAGE)):
        yield page


class Trainer:
    """What a trainer does with a pool, job by job."""

    def __init__(self, home: Path, base_model: str, device: str):
        from nextlabel.loop.backlog import Backlog
        from nextlabel.loop.compute_gate import ComputeGate
        from nextlabel.loop.fitting import Fitter
        from nextlabel.model.tokens import TokenCache
        from nextlabel.settings import Settings
        from nextlabel.store.jobs import JobQueue
        from nextlabel.store.pool import tokens_path
        from nextlabel.store.status import StatusBoard
        from nextlabel.versions.loaded import LoadedVersions
        from nextlabel.versions.registry import Registry

        settings = Settings(
            _env_file=None,
            model_dir=home,
            base_model=base_model,
            device=device,
            fit_steps=5,
            learning_rate=1e-4,
        )
        self.home, self.registry, cache = home, Registry(home), TokenCache(tokens_path(home, PROJECT))
        self.jobs = JobQueue(home)
        self.jobs.assign(self)
        resident, turn = LoadedVersions(settings, self.registry, 2, lambda project: cache), ComputeGate()
        self.backlog = Backlog(settings, self.registry, self.jobs, resident, turn)
        self.fitter = Fitter(
            settings, self.registry, StatusBoard(home), self.jobs, resident, turn, lambda project: cache
        )

    def reconcile(self, project: int, thorough: bool) -> None:
        """Nothing to publish to."""

    def start(self, project: int) -> None:
        """There is no start order."""

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        """Nothing is deleted."""

    def helping(self, project: int) -> None:
        """There is no control set."""

    def fit(self, project: int) -> None:
        """The first stage: what comes before a version is active."""
        self.fitter.fit(project)

    def score(self, project: int, version: str, first: int, last: int) -> None:
        """The second stage."""
        self.backlog.score(project, version, first, last)

    def rest(self, most: int | None) -> tuple[int, float]:
        """Score what is left, at most so many parts: how many tasks in how many seconds."""
        from nextlabel.store.pool import Pool, pool_path

        start = time.perf_counter()
        version = self.registry.current(PROJECT)
        assert version is not None
        with Pool(pool_path(self.home, PROJECT)) as pool:
            before = self.backlog.look(pool, self.registry.card(PROJECT, version))
            done = 0
            while (task := self.jobs.huey.dequeue()) and (most is None or done < most):
                self.jobs.huey.execute(task)
                done += task.name == "score"
            return before - pool.unscored_size(version), time.perf_counter() - start


def fit_and_score(home: Path, base_model: str, device: str, parts: int | None) -> None:
    """Memory with a fitted model and no pool; then the pool."""
    import numpy as np

    from nextlabel.model.classifier import Recipe
    from nextlabel.model.training import fit
    from nextlabel.values.examples import Example

    few = [Example(i, "a text", "another one") for i in range(32)]
    model = fit(Recipe(base_model, 2, 1e-4, 32, 128, 0, device), ("a", "b"), few, np.arange(32) % 2)
    model.predict_proba(few, exact=False)
    before = resident_mib()
    RESET.write_text("5")  # the highest so far, forgotten: proc(5)
    say("model in memory", f"{before:.0f} MiB")
    trainer = Trainer(home, base_model, device)
    start = time.perf_counter()
    trainer.fit(PROJECT)
    version = trainer.registry.current(PROJECT)
    assert version is not None
    seconds = ", ".join(f"{name} {s:.1f} s" for name, s in trainer.registry.card(PROJECT, version).seconds.items())
    say("start to an active version", f"{time.perf_counter() - start:.1f} s: {seconds}")
    tell_rest(trainer, parts)
    say("highest memory above the model", f"{highest_mib() - before:.0f} MiB")


def go_on(home: Path, base_model: str, device: str) -> None:
    """In another process, what the first one left."""
    tell_rest(Trainer(home, base_model, device), None)


def tell_rest(trainer: Trainer, parts: int | None) -> None:
    """Score what is left and say how fast."""
    tasks, seconds = trainer.rest(parts)
    say("the rest", f"{tasks} tasks in {seconds:.1f} s ({tasks / seconds:.0f} a second)")


def resident_mib() -> float:
    """What this process holds now."""
    return status_mib("VmRSS")


def highest_mib() -> float:
    """The most it held since the last reset."""
    return status_mib("VmHWM")


def status_mib(name: str, process: str = "self") -> float:
    """What the kernel says of a process under that name: proc(5)."""
    status = Path("/proc", process, "status").read_text(encoding="utf-8")
    (kib,) = re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    return int(kib) / 1024
