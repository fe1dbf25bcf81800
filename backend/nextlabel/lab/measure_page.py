"""What open pages cost the web process, and whether webhooks wait for them. No Label Studio, no trainer, no model.

A made-up project with all that a page can hold, whose labels change as people work and which the trainer looks at in
between; browsers poll its document as `page.js` does. The cost is counted in CPU seconds of the web process, which
other programs on the machine hardly change; the waits of webhooks they do.
"""

import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import psutil

from nextlabel.lab.crew import percentiles
from nextlabel.lab.sandbox import LocalBackend, Login, free_port
from nextlabel.lab.shown_project import LABELS, fill, in_turn
from nextlabel.loop.look_again import SHOWN
from nextlabel.store.status import StatusBoard
from nextlabel.values.next_tasks import NextTasks

PROJECT = 1
EVERY_S = 3.0  # between two polls of a browser, as in page.js
WEBHOOKS_A_SECOND = 5.0
MILLION = 1e6  # bytes
TIMEOUT_S = 20.0
UNLIMITED = httpx.Limits(max_connections=None)


@dataclass(frozen=True)
class PagePlan:
    """So many `browsers`, so many `seconds`, and how many of them pass between two changes of the project."""

    browsers: int
    seconds: float
    change_s: float


@dataclass
class Seen:
    """What was answered: polls by status, bytes of their bodies as they were sent and as the longest one is unpacked,
    and milliseconds of each webhook."""

    polls: dict[int, int] = field(default_factory=dict)
    sent: int = 0
    longest: int = 0
    webhooks_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


class _NoStudio:
    url = "http://127.0.0.1:9"  # where nobody answers
    login = Login("", "", "")


def measure(plan: PagePlan) -> dict[str, Any]:
    """The same without a page open, with one, and with all of them. Starts the web process, and stops it."""
    with tempfile.TemporaryDirectory(prefix="nextlabel-pages-") as home:
        backend = LocalBackend(_NoStudio(), Path(home), free_port(19850), "web")
        fill_up(backend.model_dir)
        backend.start()
        try:
            found = {count: asyncio.run(_watched(backend, plan, count)) for count in (0, 1, plan.browsers)}
        finally:
            backend.stop()
    return {
        "seconds": plan.seconds,
        "change_s": plan.change_s,
        "open": {str(count): _numbers(seen, plan) for count, seen in found.items()},
    }


def fill_up(model_dir: Path) -> None:
    """A project with something in every section, and as many labels to look at again as are ever listed."""
    fill(model_dir, PROJECT, datetime.now(timezone.utc), show_people=True)
    board = StatusBoard(model_dir)
    found = board.look_again(PROJECT)
    listed = zip(itertools.cycle(found.tasks), in_turn()[:SHOWN], strict=False)
    board.put_look_again(PROJECT, replace(found, tasks=tuple(replace(one, task=task) for one, task in listed)))


async def _watched(backend: LocalBackend, plan: PagePlan, browsers: int) -> Seen:
    seen, until = Seen(), time.monotonic() + plan.seconds
    before = _cpu_seconds(backend.pid)
    # One client: to make 50 would take this process a second, and the webhooks would seem to wait as long.
    async with httpx.AsyncClient(base_url=backend.url, timeout=TIMEOUT_S, limits=UNLIMITED) as client:
        await asyncio.gather(
            _people(StatusBoard(backend.model_dir), plan, until),
            _webhooks(client, seen, until),
            *(_browser(client, seen, until) for _ in range(browsers)),
        )
    seen.cpu_s = _cpu_seconds(backend.pid) - before
    return seen


def _cpu_seconds(pid: int) -> float:
    """Of a process and its children, so far."""
    process = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))


async def _people(board: StatusBoard, plan: PagePlan, until: float) -> None:
    """Labels that come, as the trainer says it, and a look after each that finds nothing new."""
    while await _rest(plan.change_s / 2, until):
        _look(board)
        if not await _rest(plan.change_s / 2, until):
            return
        _label(board)


def _look(board: StatusBoard) -> None:
    queue, people = board.queue(PROJECT), board.people(PROJECT)
    board.put_queue(PROJECT, time.time(), reconciles=queue.reconciles + 1)
    board.put_people(PROJECT, replace(people, at=time.time()))


def _label(board: StatusBoard) -> None:
    """Of the task that comes next, so that another one does."""
    queue, people, following = board.queue(PROJECT), board.people(PROJECT), board.next_tasks(PROJECT)
    label = LABELS[queue.labels % len(LABELS)]
    counts = {"labels": queue.labels + 1, "pending": queue.pending + 1, "left": queue.left - 1, "pool": queue.pool - 1}
    by_class = {**queue.by_class, label: queue.by_class[label] + 1}
    board.put_queue(PROJECT, time.time(), reconciles=queue.reconciles + 1, by_class=by_class, **counts)
    board.put_people(PROJECT, replace(people, today=replace(people.today, labels=people.today.labels + 1)))
    tasks = (replace(task, rank=rank) for rank, task in enumerate((*following.tasks[1:], following.tasks[0]), 1))
    board.put_next_tasks(PROJECT, NextTasks(time.time(), following.order, tuple(tasks)))


async def _webhooks(client: httpx.AsyncClient, seen: Seen, until: float) -> None:
    body = {"action": "ANNOTATION_CREATED", "project": {"id": PROJECT}}
    while await _rest(1 / WEBHOOKS_A_SECOND, until):
        begun = time.perf_counter()
        (await client.post("/webhook", json=body)).raise_for_status()
        seen.webhooks_ms.append(1000 * (time.perf_counter() - begun))


async def _browser(client: httpx.AsyncClient, seen: Seen, until: float) -> None:
    etag = ""
    await asyncio.sleep(random.uniform(0, EVERY_S))
    while await _rest(EVERY_S, until):
        answer = await client.get(f"/api/projects/{PROJECT}/page", headers={"If-None-Match": etag})
        seen.polls[answer.status_code] = seen.polls.get(answer.status_code, 0) + 1
        seen.sent += answer.num_bytes_downloaded
        seen.longest = max(seen.longest, len(answer.content))
        etag = answer.headers.get("ETag", etag)


async def _rest(seconds: float, until: float) -> bool:
    """Whether there is time for more."""
    await asyncio.sleep(min(seconds, max(0.0, until - time.monotonic())))
    return time.monotonic() < until


def _numbers(seen: Seen, plan: PagePlan) -> dict[str, Any]:
    return {
        "share_of_a_core": round(seen.cpu_s / plan.seconds, 4),
        "polls": {str(status): count for status, count in sorted(seen.polls.items())},
        "bytes_sent": seen.sent,
        "longest_document": seen.longest,
        "webhooks": len(seen.webhooks_ms),
        "webhook_ms": percentiles(seen.webhooks_ms),
    }


def report(result: Mapping[str, Any]) -> Iterator[str]:
    """A table: a row for each number of open pages."""
    yield f"{result['seconds']:g} s each; the project changes every {result['change_s']:g} s."
    yield "\n| pages open | a core | polls | sent | document | /webhook p50 | p95 | p99 |"
    yield "|---|---|---|---|---|---|---|---|"
    for count, one in result["open"].items():
        yield _row(count, one)


def _row(count: str, one: Mapping[str, Any]) -> str:
    polls = ", ".join(f"{status}: {polls:,}" for status, polls in one["polls"].items()) or "none"
    waits: Sequence[str] = [f"{ms:,.1f} ms" for ms in one["webhook_ms"].values()]
    sent, longest = f"{one['bytes_sent'] / MILLION:.1f} MB", f"{one['longest_document'] / 1000:.0f} kB"
    return f"| {count} | {one['share_of_a_core']:.1%} | {polls} | {sent} | {longest} | {' | '.join(waits)} |"
