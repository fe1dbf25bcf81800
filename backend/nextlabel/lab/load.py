"""Load on the whole system: annotators at human pace on a real Label Studio, bursts of /predict, webhooks during a fit.

First the annotators work on a project without a backend, then on one in a fixed order, and then on one with the
backend, so that their waits can be compared. (Label Studio goes through the order until it finds a task that nobody
holds: any order costs it more the more annotators there are.) The backend has a personal access token. Afterwards all
labels and the queue are looked at.
"""

import asyncio
import math
import random
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil

from nextlabel.errors import NextlabelError
from nextlabel.lab.crew import Crew, Machines, joined, personal_access_token
from nextlabel.lab.demo import small_checkpoint
from nextlabel.lab.importing import PAIR_CONFIG, import_corpus
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio, free_port, wait_until
from nextlabel.labelstudio.client import UNCERTAINTY, LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.tasks import read_task
from nextlabel.simulation.datasets.corpora import (
    Corpus,
    own_pairs,
    read_mrpc,
    recombined,
)
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import QueueState
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import Card
from nextlabel.versions.registry import Registry

SEED_SET = 0.3  # of the tasks
LOST = ("confirmed_but_not_held", "missing", "differing")
EARLIER_S, LATER_S = 3, 6  # around the moment of serving: the looks at the window are a second or more apart


@dataclass(frozen=True)
class LoadPlan:
    """How much: annotators, minutes with us and in each crew before, median seconds on a task, `/predict` requests at
    once, labels and optimiser steps per fit, published tasks; a corpus and a checkpoint (None: our own, the small one);
    the address of an empty PostgreSQL data base for Label Studio (none: SQLite).
    """

    annotators: int
    minutes: float
    minutes_without: float
    think: float
    burst: int
    mrpc_dir: Path | None
    base_model: Path | None
    labels: int
    steps: int
    window: int
    postgresql: str = ""


def measure(plan: LoadPlan) -> dict[str, Any]:
    """All numbers, and under `problems` in words what is wrong. Starts its own servers."""
    with ExitStack() as stack:
        return asyncio.run(load(plan, stack))


async def load(plan: LoadPlan, stack: ExitStack) -> dict[str, Any]:
    """Start everything, work without us and then with us, look at what came of it."""
    from nextlabel.model.devices import machine  # imports torch

    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextlabel-load-")))
    server = LocalStudio(home / "label-studio", free_port(18500), plan.postgresql)
    stack.callback(server.stop)
    server.start()
    studio, corpus = server.connect(), enough(plan)
    people = [joined(server, f"annotator{number}@example.com") for number in range(plan.annotators)]
    alone = Crew(people, import_corpus(studio, corpus, "without us", SEED_SET, seed=0), corpus, plan.think)
    await alone.work(60 * plan.minutes_without)
    fixed = Crew(people, import_corpus(studio, corpus, "in a fixed order", SEED_SET, seed=0), corpus, plan.think)
    fix_order(server, studio, fixed.project)
    await fixed.work(60 * plan.minutes_without)

    backend = LocalBackend(
        server,
        home / "backend",
        free_port(19800),
        label_studio_api_key=personal_access_token(server),
        base_model=plan.base_model or small_checkpoint(),
        fit_every=plan.labels,
        fit_steps=plan.steps,
        window=plan.window,
        learning_rate=1e-4,
        **PLAIN_ORDER,
        promote_margin=1,  # each fit is to give a new order
    )
    stack.callback(backend.stop)
    backend.start()
    project = import_corpus(studio, corpus, "with us", SEED_SET, seed=0)
    connect(studio, project, backend.url, Credentials(), show_predictions=False)
    crew, machines = Crew(people, project, corpus, plan.think), Machines(backend.url, project, corpus, plan.burst)
    with Watch(studio, backend, project, plan) as watch:
        wait_until(watch.at_rest)
        seconds = 60 * plan.minutes
        await asyncio.gather(crew.work(seconds), machines.bursts(seconds), machines.webhooks(watch.board, seconds))
        # Only then the button: a fit that waits for its turn would take the demand for its own.
        wait_until(watch.at_rest)
        studio.start_training(project)
        wait_until(lambda: not watch.jobs.demanded(project) and watch.at_rest())
    for client in (*people, machines.client):
        await client.aclose()
    given = ("annotators", "think", "minutes_without", "minutes", "burst", "labels", "steps", "window")
    data_base = "PostgreSQL" if plan.postgresql else "SQLite"
    about = {"machine": machine(), "label_studio": studio.version(), "data_base": data_base, "data": corpus.source}
    return {**about, **{name: getattr(plan, name) for name in given}, **findings(alone, fixed, crew, machines, watch)}


def fix_order(server: LocalStudio, studio: LabelStudioClient, project: int) -> None:
    """Give each task a prediction with a score of its own, by which Label Studio serves them from now on."""
    tasks = sorted(studio.task_ids(project))
    scores = random.Random(0).sample(range(len(tasks)), len(tasks))
    predictions = [
        {"task": task, "result": [], "score": score / len(tasks), "model_version": "fixed"}
        for task, score in zip(tasks, scores, strict=True)
    ]
    path = f"{server.url}/api/projects/{project}/import/predictions"
    headers = {"Authorization": f"Token {server.login.token}"}
    answer = httpx.post(path, json=predictions, headers=headers, timeout=300).raise_for_status()
    if answer.json()["created"] != len(tasks):
        raise NextlabelError(f"Label Studio took {answer.json()['created']} of {len(tasks)} predictions.")
    studio.update_project(project, sampling=UNCERTAINTY, show_collab_predictions=False, model_version="fixed")


def enough(plan: LoadPlan) -> Corpus:
    """A corpus that the annotators do not come to the end of."""
    corpus = own_pairs()
    if plan.mrpc_dir:
        corpus = replace(read_mrpc(plan.mrpc_dir), source="MRPC, the official files")
    most = plan.annotators * (60 * plan.minutes / plan.think + 1) + 2 * plan.window
    needed = math.ceil(most / (1 - SEED_SET))
    return recombined(corpus, needed) if needed > len(corpus.train) else corpus


@dataclass(frozen=True)
class Usage:
    """What a process and its children take."""

    rss_mib: float
    handles: int
    threads: int


def usage(process: psutil.Process) -> Usage:
    """As it is now."""
    family = [process, *process.children(recursive=True)]
    rss_mib = sum(member.memory_info().rss for member in family) / 2**20
    return Usage(round(rss_mib, 1), sum(p.num_fds() for p in family), sum(p.num_threads() for p in family))


class Watch:
    """Looks at the backend every second, without asking Label Studio anything."""

    def __init__(self, studio: LabelStudioClient, backend: LocalBackend, project: int, plan: LoadPlan):
        self._studio, self._backend, self._project, self._plan = studio, backend, project, plan
        self._registry, self.board = Registry(backend.model_dir), StatusBoard(backend.model_dir)
        self.jobs = JobQueue(backend.model_dir)
        self.cards: dict[str, Card] = {}  # also of versions that were pruned since
        self.usage: dict[str, list[Usage]] = defaultdict(list)
        self._windows: list[tuple[float, frozenset[int]]] = []  # which tasks were published when
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._keep_looking)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _keep_looking(self) -> None:
        while not self._stop.wait(1):
            self.cards |= {card.version: card for card in self._registry.cards(self._project)}
            with self._pool() as pool:
                queue = pool.state(QueueState)
                window = frozenset(p.task_id for p in pool.published() if p.version in (queue.before, queue.after))
            self._windows.append((time.time(), window))
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self._backend.pid).children():
                    self.usage["web" if "web" in child.cmdline() else "trainer"].append(usage(child))

    def _pool(self) -> Pool:
        return Pool(pool_path(self._backend.model_dir, self._project))

    def at_rest(self) -> bool:
        """Whether the queue is that of the active version, and nothing is left to do."""
        queue, fit = self.board.queue(self._project), self.board.fit(self._project)
        if fit.state == "failed" or not self._backend.running():
            raise NextlabelError(f"The backend failed. {fit.message}\n{self._backend.tail()}")
        version = self._registry.current(self._project)
        if self.jobs.waiting() or (fit.state, queue.state, queue.version) != ("idle", "published", version):
            return False
        if queue.pending >= self._plan.labels or queue.stale or queue.unscored:
            return False
        return self._studio.project(self._project).model_version == version

    def outside(self, served: Sequence[tuple[float, float, int]]) -> int:
        """How many tasks were served that were not published around that time."""
        return sum(
            not any(task in window for at, window in self._windows if asked - EARLIER_S < at < answered + LATER_S)
            for asked, answered, task in served
        )

    def order(self) -> dict[str, int]:
        """Of the open tasks with a prediction in Label Studio: how many there are, how many pairs of them are not in
        the order of our own values, and how many of the best ones are not there."""
        version = self._registry.current(self._project) or ""
        ours = [p for p in self._studio.our_predictions(self._project) if p.version == version]
        with self._pool() as pool:
            values = pool.open_values(version, [p.task_id for p in ours])
            best = {task.task_id for task in pool.ranked(version, self._plan.window, skipped=False)}
        queue = [values[p.task_id] for p in sorted(ours, key=lambda p: (p.score, p.task_id)) if p.task_id in values]
        inversions = sum(later > value + 1e-9 for i, value in enumerate(queue) for later in queue[i + 1 :])
        return {"published": len(queue), "inversions": inversions, "absent": len(best - values.keys())}

    def labels(self, confirmed: set[int]) -> dict[str, int]:
        """What Label Studio holds beside what the active version was fitted on."""
        config = parse_label_config(PAIR_CONFIG)
        held: dict[int, str | None] = {}
        for page in self._studio.tasks_after(self._project, 0):
            rows = [row for row in (read_task(config, task) for task in page) if row.votes and not row.holdout]
            held |= {row.id: config.question.consensus(row.votes) for row in rows}
        fitted = self._registry.fitted_labels(self._project, self._registry.current(self._project) or "")
        return {
            "held": len(held),
            "fitted": len(fitted),
            "confirmed_but_not_held": len(confirmed - held.keys()),
            "missing": len(held.keys() - fitted.keys()),
            "differing": sum(held.get(task) != label for task, label in fitted.items()),
        }

    def complaints(self) -> list[str]:
        """The last of the backend's log."""
        lines = self._backend.tail(10**6).splitlines()
        return [line for line in lines if " WARNING " in line or " ERROR " in line][-20:]


def findings(alone: Crew, fixed: Crew, crew: Crew, machines: Machines, watch: Watch) -> dict[str, Any]:
    """All numbers, and in words what is wrong."""
    crews = {"without us": alone, "in a fixed order": fixed, "with us": crew}
    numbers = {whose: one.tally.numbers() for whose, one in crews.items()}
    requests = {f"{kind}, {whose}": numbers[whose][kind] for whose in crews for kind in sorted(numbers[whose])}
    requests |= dict(sorted(machines.tally.numbers().items()))
    labels = watch.labels(crew.labelled)
    fit, queue = watch.board.fit(crew.project), watch.board.queue(crew.project)
    problems = [f"{kind}: {n} answers were {status}" for kind, status, n in _failed(requests)]
    problems += [f"labels {what}: {labels[what]}" for what in LOST if labels[what]]
    problems += [f"{machines.wrong} answers of /predict had another length"] if machines.wrong else []
    return {
        "requests": requests,
        "times_as_long": {
            f"{kind}, with us as {whose}": _ratios(numbers["with us"][kind]["ms"], numbers[whose][kind]["ms"])
            for kind in ("next", "submit")
            for whose in ("without us", "in a fixed order")
        },
        "labels": {"given": len(crew.labelled), **labels},
        "queue": {"served": len(crew.served), "outside": watch.outside(crew.served), **watch.order()},
        "versions": [
            {"version": card.version, "labels": card.examples, "seconds": card.seconds} for card in watch.cards.values()
        ],
        "fits": {"done": fit.fits, "refused": fit.refused, "failed": fit.failures},
        "reconciles": {"done": queue.reconciles, "failed": queue.errors},
        "processes": {name: _course(used) for name, used in watch.usage.items()},
        "complaints": watch.complaints(),
        "problems": problems,
    }


def _failed(requests: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    for kind, numbers in requests.items():
        for status, count in numbers["answers"].items():
            asked_to_come_back = status == "429" and kind.endswith("try")
            if not (status.startswith("2") or asked_to_come_back):
                yield kind, status, count


def _ratios(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    return {name: round(ms / theirs[name], 2) for name, ms in ours.items() if name in theirs}


def _course(used: Sequence[Usage]) -> dict[str, Any]:
    """Of each number the first, the highest and the last."""
    by_name = {name: [vars(one)[name] for one in used] for name in vars(used[0])}
    return {name: {"start": n[0], "most": max(n), "end": n[-1]} for name, n in by_name.items()}


def report(result: dict[str, Any]) -> Iterator[str]:
    """Two tables."""
    r = result
    yield (
        f"{r['machine']}; Label Studio {r['label_studio']} on {r['data_base']}; {r['data']}. {r['annotators']} "
        f"annotators with a median of {r['think']:g} s a task, {r['minutes_without']:g} minutes without us, as many in "
        f"a fixed order that nobody renews, {r['minutes']:g} with us."
    )
    yield "\n| requests | answers | p50 | p95 | p99 |\n|---|---|---|---|---|"
    for kind, numbers in r["requests"].items():
        answers = ", ".join(f"{status}: {count:,}" for status, count in sorted(numbers["answers"].items()))
        yield f"| {kind} | {answers} | " + " | ".join(f"{ms:,.0f} ms" for ms in numbers["ms"].values()) + " |"
    yield "\n| | |\n|---|---|"
    for kind, ratios in r["times_as_long"].items():
        yield f"| times as long: {kind} | {_listed(ratios)} |"
    yield f"| labels | {_listed(r['labels'])} |"
    yield f"| queue | {_listed(r['queue'])} |"
    yield f"| fits | {_listed(r['fits'])} |"
    yield f"| reconciles | {_listed(r['reconciles'])} |"
    for stage in ("total", "fit"):
        seconds = [version["seconds"][stage] for version in r["versions"][1:] if stage in version["seconds"]]
        if seconds:
            middle, most = statistics.median(seconds), max(seconds)
            name = "label to new order" if stage == "total" else "of which the fit"
            yield f"| {name}, {len(seconds)} versions after the first | median {middle:.1f} s, at most {most:.1f} s |"
    for name, course in r["processes"].items():
        for what, unit in (("rss_mib", "MiB"), ("handles", "file handles"), ("threads", "threads")):
            yield f"| {name}, {unit} | {_listed(course[what])} |"
    yield f"| problems | {'; '.join(r['problems']) or 'none'} |"


def _listed(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in numbers.items())
