"""What a label, a new version and the clock cost in requests and bytes, in pools of several sizes.

Also how fast the first synchronisation is beside Label Studio's own export.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from nextlabel.lab.annotators import annotate, gold_of
from nextlabel.lab.demo import small_checkpoint
from nextlabel.lab.importing import import_corpus
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio, free_port, wait_until
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.simulation.datasets.corpora import Corpus, recombined
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.values import markdown
from nextlabel.values.traffic import Traffic
from nextlabel.versions.registry import Registry

T = TypeVar("T")

QUIET_S = 9.0  # so long without a request: the trainer has nothing left to do, and `sync` does not look back that far
NEVER_S = 1e6


@dataclass(frozen=True)
class Count:
    """One pool size: seconds, and traffic of the trainer."""

    pool: int
    import_s: float
    export_s: float
    first_sync_s: float
    first_sync: Traffic
    labels: int
    by_label: Traffic
    rounds: int
    by_round: Traffic
    looks: int
    by_look: Traffic


@dataclass(frozen=True)
class CountPlan:
    """How much: sizes of pools, optimiser steps of a fit, single labels, new versions, checks by the clock."""

    pools: Sequence[int]
    base_model: Path | None
    steps: int
    labels: int
    rounds: int
    looks: int


def count(corpus: Corpus, plan: CountPlan) -> Iterator[Count]:
    """Each size of pool, made by recombining the corpus. Starts its own servers."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextlabel-count-")))
        studio = LocalStudio(directory / "label-studio", free_port(18250))
        stack.callback(studio.stop)
        studio.start()
        for pool in plan.pools:
            backend = LocalBackend(
                studio,
                directory / f"backend-{pool}",
                free_port(19250),
                base_model=plan.base_model or small_checkpoint(),
                fit_steps=plan.steps,
                learning_rate=1e-4,
                **PLAIN_ORDER,
                promote_margin=1,  # each fit is to give a new order
                fit_every=64,
                fit_max_wait_s=NEVER_S,  # nothing happens but what is counted
                reconcile_s=NEVER_S,
            )
            stack.callback(backend.stop)
            yield _count(studio, backend, recombined(corpus, pool), plan)
            backend.stop()


def _count(server: LocalStudio, backend: LocalBackend, corpus: Corpus, plan: CountPlan) -> Count:
    studio, pool = server.connect(), len(corpus.train)
    import_s, project = _timed(lambda: import_corpus(studio, corpus, f"{pool} tasks", 64, seed=0))
    export_s, _ = _timed(lambda: _export(server, project))
    backend.start()
    watch = _Watch(backend.model_dir, project)
    connect(studio, project, backend.url, Credentials(), show_predictions=False)
    first_sync_s, _ = _timed(lambda: wait_until(lambda: _complete(backend.model_dir, project)))
    wait_until(lambda: watch.traffic() != Traffic())
    first_sync = watch.traffic()
    wait_until(lambda: watch.fits() == 1)
    watch.settle()
    jobs = JobQueue(backend.model_dir)
    by_look = [watch.traffic_of(lambda: jobs.hint(project, thorough=True)) for _ in range(plan.looks)]
    answers = annotate(studio, project, gold_of(corpus))
    by_label = [watch.traffic_of(lambda: next(answers)) for _ in range(plan.labels)]
    by_round = [watch.traffic_of(lambda: _fit(studio, watch, project)) for _ in range(plan.rounds)]
    return Count(
        pool=pool,
        import_s=round(import_s, 2),
        export_s=round(export_s, 2),
        first_sync_s=round(first_sync_s, 2),
        first_sync=first_sync,
        labels=plan.labels,
        by_label=sum(by_label, start=Traffic()),
        rounds=plan.rounds,
        by_round=sum(by_round, start=Traffic()),
        looks=plan.looks,
        by_look=sum(by_look, start=Traffic()),
    )


def _export(server: LocalStudio, project: int) -> None:
    """All tasks, as Label Studio itself exports them."""
    url = f"{server.url}/api/projects/{project}/export"
    headers = {"Authorization": f"Token {server.login.token}"}
    params = {"exportType": "JSON", "download_all_tasks": "true"}
    httpx.get(url, headers=headers, params=params, timeout=1800).raise_for_status()


def _complete(model_dir: Path, project: int) -> bool:
    path = pool_path(model_dir, project)
    if not path.exists():
        return False
    with Pool(path) as pool:
        return pool.state(SyncState).complete


def _fit(studio: LabelStudioClient, watch: "_Watch", project: int) -> None:
    fits = watch.fits()
    studio.start_training(project)
    wait_until(lambda: watch.fits() > fits)


class _Watch:
    """What the trainer says of a project."""

    def __init__(self, model_dir: Path, project: int):
        self._registry, self._board, self._project = Registry(model_dir), StatusBoard(model_dir), project

    def traffic(self) -> Traffic:
        return self._board.traffic()

    def fits(self) -> int:
        return self._board.fit(self._project).fits

    def settle(self) -> None:
        """Until the queue is that of the current version and nothing more is asked of Label Studio."""
        last, since = self.traffic(), time.monotonic()
        while time.monotonic() < since + QUIET_S:
            queue = self._board.queue(self._project)
            done = queue.state == "published" and not queue.stale and not queue.unscored
            done &= queue.version == self._registry.current(self._project)
            if self.traffic() != last or not done:
                last, since = self.traffic(), time.monotonic()
            time.sleep(0.1)

    def traffic_of(self, action: Callable[[], object]) -> Traffic:
        """What an action and all that follows from it cost."""
        before = self.traffic()
        action()
        wait_until(lambda: self.traffic() != before)
        self.settle()
        return self.traffic() - before


def _timed(action: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    done = action()
    return time.perf_counter() - start, done


def table(counts: Sequence[Count]) -> str:
    """Markdown, a column for each size of pool."""
    rows: list[tuple[str, Callable[[Count], str]]] = [
        ("a label: requests, bytes", lambda c: _each(c.by_label, c.labels)),
        ("a new version: requests, bytes", lambda c: _each(c.by_round, c.rounds)),
        ("a check by the clock: requests, bytes", lambda c: _each(c.by_look, c.looks)),
        ("import", lambda c: f"{c.import_s:.1f} s"),
        ("Label Studio's own export", lambda c: _speed(c.pool, c.export_s)),
        ("first synchronisation", lambda c: _speed(c.pool, c.first_sync_s)),
        ("first synchronisation: requests, bytes", lambda c: _each(c.first_sync, 1)),
    ]
    head = ["pool", *(f"{count.pool:,}" for count in counts)]
    return markdown.table(head, ([name, *map(cell, counts)] for name, cell in rows))


def _each(traffic: Traffic, times: int) -> str:
    return f"{traffic.requests / times:.1f}, {(traffic.sent + traffic.received) / times:,.0f}"


def _speed(tasks: int, seconds: float) -> str:
    return f"{seconds:.1f} s, {tasks / seconds:,.0f} tasks/s"
