"""The live loop on this machine: seconds from a label to the new order, latencies, memory."""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil

from nextlabel import __version__
from nextlabel.lab.annotators import Answer, annotate, gold_of
from nextlabel.lab.demo import small_checkpoint
from nextlabel.lab.importing import PAIR_CONFIG, import_corpus
from nextlabel.lab.measure_rounds import commit_of
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio, free_port, wait_until
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.store.status import QueueStatus, StatusBoard
from nextlabel.values.versions import version_of
from nextlabel.versions.registry import Registry

Row = tuple[str, str]
FEW, PACE_S = 10, 2.0  # labels that begin no fit, and seconds from one to the next
HTTP = httpx.Client(timeout=60)  # one connection: making one takes longer than the answer


def measure(corpus: Corpus, labels: int, steps: int, plain_order: bool = False) -> list[Row]:
    """Name and value of everything, with so many labels a round and optimiser steps a fit, in a new project's order
    without a control set, or the `PLAIN_ORDER`. Starts its own servers."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextlabel-measure-")))
        studio = LocalStudio(directory / "label-studio", free_port(18200))
        stack.callback(studio.stop)
        studio.start()
        backend = LocalBackend(
            studio,
            directory / "backend",
            free_port(19200),
            base_model=small_checkpoint(),
            fit_every=labels,
            fit_steps=steps,
            learning_rate=1e-4,
            **(PLAIN_ORDER if plain_order else {"control_share": "0"}),  # whose labels begin no fit
            promote_margin=1,  # each fit is to give a new order
        )
        stack.callback(backend.stop)
        order = "plain, as of release 0.1.0" if plain_order else "that of a new project, without a control set"
        about = [("build", f"{__version__}, commit {commit_of(Path(__file__).parent)}"), ("order", order)]
        return [*about, ("data", corpus.source), *_measure(studio.connect(), backend, corpus, labels)]


def _measure(studio: LabelStudioClient, backend: LocalBackend, corpus: Corpus, labels: int) -> Iterator[Row]:
    alone = import_corpus(studio, corpus, "without a backend", 0.3, seed=0)
    yield "annotator without us, next task and submit together", _label(studio, alone, corpus, labels)
    start = time.perf_counter()
    backend.start()
    yield "start to the first /health", f"{time.perf_counter() - start:.1f} s"
    project = import_corpus(studio, corpus, "measured", 0.3, seed=0)
    connect(studio, project, backend.url, Credentials(), show_predictions=False)
    registry, board = Registry(backend.model_dir), StatusBoard(backend.model_dir)
    before = _wait_for_change(studio, registry, project, "")
    wait_until(lambda: board.queue(project).state == "published")
    yield "/predict, the first (loads the model)", _latencies(lambda: _predict(backend, project), 2)
    yield "/predict, one pair, idle", _latencies(lambda: _predict(backend, project), 100)
    yield "annotator with us, while the window is topped up", _label(studio, project, corpus, labels)
    labelled = time.perf_counter()
    wait_until(lambda: board.fit(project).state == "fitting")
    yield "/predict, one pair, while a fit is running", _latencies(lambda: _predict(backend, project), 100)
    yield "/webhook while a fit is running", _latencies(lambda: _webhook(backend, project), 200)
    # Label Studio is not asked before there is a new version: it would take the time from the fit.
    wait_until(lambda: registry.current(project) != before)
    version = _wait_for_change(studio, registry, project, before)
    total = time.perf_counter() - labelled
    card = registry.card(project, version)
    wait_until(lambda: board.queue(project).version == version)
    publish = board.queue(project).publish_seconds
    stages = {stage: seconds for stage, seconds in card.seconds.items() if stage not in ("publish", "total")}
    parts = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.items())
    rest = total - sum(stages.values()) - publish
    yield "pool", f"{card.pool} tasks"
    yield "last label to the new order", f"{total:.1f} s: {parts}, publish {publish:.1f} s, all else {rest:.1f} s"
    yield "the same without the fit", f"{total - card.seconds['fit']:.1f} s"
    wait_until(lambda: _at_rest(board.queue(project)))
    yield from _memory(backend.pid)
    yield _cost_of_labels(studio, backend, board, project, corpus)


def _cost_of_labels(
    studio: LabelStudioClient, backend: LocalBackend, board: StatusBoard, project: int, corpus: Corpus
) -> Row:
    """What labels take that begin no fit, with the orders that they renew."""
    answers: Iterator[Answer] = annotate(studio, project, gold_of(corpus))
    fits, labels, before = board.fit(project), board.queue(project).labels, _cpu_s(backend.pid)
    for _ in range(FEW):
        next(answers)
        time.sleep(PACE_S)  # as a person: what labels at once would share is counted for each
    wait_until(lambda: board.queue(project).labels >= labels + FEW and _at_rest(board.queue(project)))
    seconds = (_cpu_s(backend.pid) - before) / FEW
    beside = "" if board.fit(project) == fits else ", a fit included"
    return "processor time of both processes a label without a fit", f"{seconds:.2f} s ({FEW} labels{beside})"


def _cpu_s(supervisor: int) -> float:
    processes = psutil.Process(supervisor).children(recursive=True)
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _at_rest(queue: QueueStatus) -> bool:
    return queue.state == "published" and not (queue.stale or queue.unscored)


def _label(studio: LabelStudioClient, project: int, corpus: Corpus, count: int) -> str:
    answers: Iterator[Answer] = annotate(studio, project, gold_of(corpus))
    next(answers)  # opens the connection
    return _latencies(lambda: next(answers), count - 1)


def _latencies(action: Callable[[], object], count: int) -> str:
    milliseconds = []
    for _ in range(count):
        start = time.perf_counter()
        action()
        milliseconds.append(1000 * (time.perf_counter() - start))
    if count < 10:
        return f"{max(milliseconds):.0f} ms"
    hundredths = statistics.quantiles(milliseconds, n=100, method="inclusive")
    p50, p95, p99 = (hundredths[n - 1] for n in (50, 95, 99))
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms ({count} times)"


def _predict(backend: LocalBackend, project: int) -> None:
    task = {"id": 1, "data": {"sentence1": "A man is playing a flute.", "sentence2": "A man plays the flute."}}
    body = {"tasks": [task], "project": f"{project}.1", "label_config": PAIR_CONFIG}
    HTTP.post(f"{backend.url}/predict", json=body).raise_for_status()


def _webhook(backend: LocalBackend, project: int) -> None:
    HTTP.post(f"{backend.url}/webhook", json={"action": "ANNOTATION_UPDATED", "project": {"id": project}})


def _wait_for_change(studio: LabelStudioClient, registry: Registry, project: int, version: str) -> str:
    """Until the queue follows another version, or a head of it; returns the version."""

    def followed() -> str:
        return version_of(studio.project(project).model_version or "")

    wait_until(lambda: registry.current(project) not in (version, None) and followed() == registry.current(project))
    return followed()


def _memory(supervisor: int) -> Iterator[Row]:
    listing = subprocess.run(["ps", "-eo", "pid,ppid,rss,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in listing.splitlines()[1:]]
    ours = {supervisor}
    for pid, parent, _, _ in sorted(rows, key=lambda row: int(row[0])):
        if int(parent) in ours:
            ours.add(int(pid))
    for name in ("web", "trainer"):
        kib = sum(int(rss) for pid, _, rss, args in rows if int(pid) in ours and f"nextlabel {name}" in args)
        yield f"resident memory, {name} process at rest after two fits", f"{kib / 1024:.0f} MiB"
