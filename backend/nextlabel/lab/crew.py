"""People and machines that load Label Studio and a backend, and how they were answered. Judges nothing."""

import asyncio
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import httpx

from nextlabel.lab.annotators import gold_of, sign_up
from nextlabel.lab.importing import PAIR_CONFIG, result_of
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.simulation.datasets.corpora import LABELS, Corpus
from nextlabel.store.status import StatusBoard

SKIPS = MISTAKES = 0.02  # of the tasks; a mistake is corrected after the next task
SPREAD = 0.5  # standard deviation of the logarithm of the thinking time
BURSTS, MOST_TASKS = 3, 100
WEBHOOKS_PER_S, WEBHOOKS_S = 50, 10
TIMEOUT_S = 120.0
# As Label Studio does: a connection that is kept may be closed by the server just when it is used again.
NO_KEEPING = httpx.Limits(max_connections=None, max_keepalive_connections=0)


class Tally:
    """How requests were answered, by kind: statuses, and milliseconds of those that succeeded."""

    def __init__(self) -> None:
        self.answers: dict[str, Counter[str]] = defaultdict(Counter)
        self.ms: dict[str, list[float]] = defaultdict(list)

    async def ask(
        self,
        kind: str,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        body: object = None,
        since: float | None = None,
    ) -> httpx.Response | None:
        """The answer; None if there was none. Its time counts from `since`, or from now."""
        since = time.perf_counter() if since is None else since
        try:
            response = await client.request(method, path, json=body)
        except httpx.HTTPError as error:
            self.answers[kind][type(error).__name__] += 1
            return None
        self.note(kind, response, since)
        return response

    def note(self, kind: str, response: httpx.Response, since: float) -> None:
        """An answer has come."""
        self.answers[kind][str(response.status_code)] += 1
        if response.is_success:
            self.ms[kind].append(1000 * (time.perf_counter() - since))

    def numbers(self) -> dict[str, Any]:
        """All of it, by kind."""
        return {kind: {"answers": dict(self.answers[kind]), "ms": percentiles(self.ms[kind])} for kind in self.answers}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99; nothing of nothing."""
    ordered = sorted(values)
    return {f"p{n}": round(ordered[math.ceil(n / 100 * len(ordered)) - 1], 1) for n in (50, 95, 99) if ordered}


def joined(server: LocalStudio, email: str) -> httpx.AsyncClient:
    """A client of another annotator, who has just joined."""
    token = {"Authorization": f"Token {sign_up(server, email)}"}
    return httpx.AsyncClient(base_url=server.url, headers=token, follow_redirects=True, timeout=TIMEOUT_S)


def personal_access_token(server: LocalStudio) -> str:
    """Of the account that Label Studio was started with. What it is exchanged for is good for 300 seconds."""
    owner = {"Authorization": f"Token {server.login.token}"}
    return str(httpx.post(f"{server.url}/api/token/", headers=owner).raise_for_status().json()["token"])


class Crew:
    """Annotators on one project, who work at human pace, skip some tasks and correct some of their labels."""

    def __init__(self, people: Sequence[httpx.AsyncClient], project: int, corpus: Corpus, think_s: float):
        self.people, self.project, self.think_s = people, project, think_s
        self.tally, self._gold = Tally(), gold_of(corpus)
        self.served: list[tuple[float, float, int]] = []  # asked for when, served when, which task
        self.labelled: set[int] = set()  # tasks, as Label Studio has confirmed

    async def work(self, seconds: float) -> None:
        """All of them side by side; who has begun a task when the time is over finishes it."""
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._work(person, random.Random(n), end) for n, person in enumerate(self.people)))

    async def _work(self, person: httpx.AsyncClient, rng: random.Random, end: float) -> None:
        await asyncio.sleep(rng.uniform(0, self.think_s))
        earlier: tuple[int, str] | None = None
        while time.monotonic() < end:
            mistake = await self._label(person, rng)
            if earlier:
                annotation, right = earlier
                body = {"result": result_of(right)}
                await self.tally.ask("correct", person, "PATCH", f"/api/annotations/{annotation}/", body)
            earlier = mistake

    async def _label(self, person: httpx.AsyncClient, rng: random.Random) -> tuple[int, str] | None:
        """One task; the annotation and the right label, if this one was wrong."""
        asked = time.time()
        answer = await self.tally.ask("next", person, "GET", f"/api/projects/{self.project}/next")
        served, think_s = time.time(), rng.lognormvariate(math.log(self.think_s), SPREAD)
        await asyncio.sleep(think_s)
        if answer is None or not answer.is_success:
            return None
        task = answer.json()
        self.served.append((asked, served, task["id"]))
        right, chance = self._gold(task), rng.random()
        skip, mistake = chance < SKIPS, chance > 1 - MISTAKES
        given = next(label for label in LABELS if (label == right) != mistake)
        body = {"result": [] if skip else result_of(given), "was_cancelled": skip, "lead_time": think_s}
        path = f"/api/tasks/{task['id']}/annotations/"
        done = await self.tally.ask("skip" if skip else "submit", person, "POST", path, body)
        if done is None or not done.is_success or skip:
            return None
        self.labelled.add(task["id"])
        return (done.json()["id"], right) if mistake else None


class Machines:
    """What else comes to the backend: bursts of predictions, and webhooks faster than people label."""

    def __init__(self, url: str, project: int, corpus: Corpus, burst: int):
        self.project, self.corpus, self.burst = project, corpus, burst
        self.tally, self.wrong, self._rng = Tally(), 0, random.Random(0)
        self.client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=NO_KEEPING)

    async def bursts(self, seconds: float) -> None:
        """At even distances, or as soon as the one before is answered."""
        start = time.monotonic()
        for number in range(1, BURSTS + 1):
            await asyncio.sleep(start + seconds * number / (BURSTS + 1) - time.monotonic())
            await asyncio.gather(*(self._predict(self._rng.randint(1, MOST_TASKS)) for _ in range(self.burst)))

    async def _predict(self, count: int) -> None:
        """As a decent client: who is told to come back later does."""
        body = prediction_request(self.project, self.corpus, self._rng, count)
        since, kind = time.perf_counter(), "predict, first try"
        while (answer := await self._ask(kind, "/predict", body)) and answer.status_code == 429:
            kind = "predict, another try"
            await asyncio.sleep(float(answer.headers["Retry-After"]) * self._rng.uniform(1, 1.5))
        if answer is not None:
            self.tally.note("predict, until answered", answer, since)
            self.wrong += answer.is_success and len(answer.json()["results"]) != count

    async def webhooks(self, board: StatusBoard, seconds: float) -> None:
        """Once a fit begins, each webhook at its time, whether those before are answered or not."""
        end, body = time.monotonic() + seconds, {"action": "ANNOTATION_UPDATED", "project": {"id": self.project}}
        while board.fit(self.project).state != "fitting":
            if time.monotonic() > end:
                return
            await asyncio.sleep(0.05)
        start, sent = time.perf_counter(), []
        for number in range(WEBHOOKS_PER_S * WEBHOOKS_S):
            at = start + number / WEBHOOKS_PER_S
            await asyncio.sleep(at - time.perf_counter())
            kind = "webhook, during a fit" if board.fit(self.project).state == "fitting" else "webhook, after it"
            sent.append(asyncio.create_task(self._ask(kind, "/webhook", body, at)))
        await asyncio.gather(*sent)

    async def _ask(self, kind: str, path: str, body: object, since: float | None = None) -> httpx.Response | None:
        return await self.tally.ask(kind, self.client, "POST", path, body, since)


def prediction_request(project: int, corpus: Corpus, rng: random.Random, count: int) -> dict[str, Any]:
    """As Label Studio sends it, of pairs drawn from the corpus."""
    pairs = rng.choices(corpus.train, k=count)
    tasks = [{"id": p.row, "data": {"sentence1": p.sentence1, "sentence2": p.sentence2}} for p in pairs]
    return {"tasks": tasks, "project": f"{project}.1", "label_config": PAIR_CONFIG}
