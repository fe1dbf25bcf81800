"""The web process for long: very many predictions, and new versions at even distances in between.

Looks at its memory, handles and threads, and at the disk, whenever it is at rest before a change of version.
"""

import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from nextlabel.lab.crew import MOST_TASKS, NO_KEEPING, TIMEOUT_S, prediction_request
from nextlabel.lab.demo import small_checkpoint
from nextlabel.lab.load import usage
from nextlabel.lab.sandbox import LocalBackend, LocalStudio, free_port, wait_until
from nextlabel.simulation.datasets.corpora import LABELS, own_pairs
from nextlabel.simulation.datasets.textsets import of_pairs
from nextlabel.values.versions import Card, version_name
from nextlabel.versions.registry import Registry

if TYPE_CHECKING:
    from nextlabel.model.classifier import Classifier

PROJECT = 1
KEPT = 5  # versions
CLIENTS = 4  # at a time


@dataclass(frozen=True)
class SoakPlan:
    """How many predictions and changes of version, and a checkpoint (None: the small one)."""

    predictions: int
    versions: int
    base_model: Path | None


def measure(plan: SoakPlan) -> dict[str, Any]:
    """Ask and change versions in turn; every number. Starts its own web process."""
    with ExitStack() as stack:
        return _soak(plan, stack)


def _soak(plan: SoakPlan, stack: ExitStack) -> dict[str, Any]:
    from nextlabel.model.devices import machine  # imports torch

    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextlabel-soak-")))
    # The web process never calls Label Studio, so that none has to run.
    studio, model_dir = LocalStudio(home / "label-studio", free_port(18600)), home / "backend"
    registry, classifier = Registry(model_dir), fitted(plan.base_model or small_checkpoint())
    backend = LocalBackend(studio, model_dir, free_port(19850), "web")
    stack.callback(backend.stop)
    backend.start()
    look, wrong, start = Look(backend), Counter[str](), time.perf_counter()
    samples, rng = [look.sample(0)], random.Random(0)
    for number in range(1, plan.versions + 2):  # the first one is no change
        version = change(registry, classifier, number)
        done = samples[-1]["predictions"]
        sizes = list(portions(plan.predictions * number // (plan.versions + 1) - done, rng))
        wrong += ask(backend.url, version, sizes, rng)
        samples.append(look.sample(done + sum(sizes)))
    return {
        "machine": machine(),
        "seconds": round(time.perf_counter() - start, 1),
        "versions": plan.versions,
        "wrong": dict(wrong),
        **course(samples),
        "samples": samples,
    }


def fitted(checkpoint: Path) -> "Classifier":
    """After a few steps: what it knows does not matter."""
    import numpy as np

    from nextlabel.model.classifier import Recipe
    from nextlabel.model.training import fit

    examples, labels = zip(*of_pairs(own_pairs()).train[:64], strict=True)
    recipe = Recipe(str(checkpoint), steps=3, learning_rate=1e-4, batch_size=32, max_length=128, seed=0, device="cpu")
    return fit(recipe, LABELS, examples, np.array([LABELS.index(label) for label in labels]))


def change(registry: Registry, classifier: "Classifier", number: int) -> str:
    """Another active version, with the same weights; the name of it."""
    now = datetime.now(timezone.utc)
    version, libraries = version_name(number, now), dict[str, str]()
    fit = (registry.current(PROJECT), LABELS, dict.fromkeys(LABELS, 32), "base", "entropy", 0, {"steps": 3}, None, 0)
    how = ({"fit": 0.0}, "cpu", "fp32", libraries, now.isoformat(), "a soak")
    registry.save(Card(version, number, PROJECT, *fit, *how), {}, classifier.save)
    registry.promote(PROJECT, version)
    registry.prune(PROJECT, KEPT)
    return version


def portions(total: int, rng: random.Random) -> Iterator[int]:
    """How many tasks each request has."""
    while total > 0:
        count = min(total, rng.randint(1, MOST_TASKS))
        total -= count
        yield count


def ask(url: str, version: str, sizes: Sequence[int], rng: random.Random) -> Counter[str]:
    """Have so many tasks answered, some requests at a time; what was wrong, by what it was."""
    corpus = own_pairs()
    bodies = [prediction_request(PROJECT, corpus, rng, count) for count in sizes]
    client = httpx.Client(base_url=url, timeout=TIMEOUT_S, limits=NO_KEEPING)
    with client, ThreadPoolExecutor(CLIENTS) as threads:
        found = threads.map(lambda body: complaint(client.post("/predict", json=body), version, body), bodies)
        return Counter(what for what in found if what)


def complaint(answer: httpx.Response, version: str, body: dict[str, Any]) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if answer.status_code != 200:
        return f"status {answer.status_code}"
    results = answer.json()["results"]
    if len(results) != len(body["tasks"]):
        return "number of results"
    return "" if {result["model_version"] for result in results} == {version} else "version"


class Look:
    """What the web process takes while nobody asks anything."""

    def __init__(self, backend: LocalBackend):
        self._backend, self._process = backend, psutil.Process(backend.pid)

    def sample(self, predictions: int) -> dict[str, Any]:
        """After so many predictions, once all connections are closed."""
        wait_until(lambda: not self._connections())
        files = [path for path in self._backend.model_dir.rglob("*") if path.is_file()]
        disk_mib = sum(path.stat().st_size for path in files) / 2**20
        return {"predictions": predictions, **asdict(usage(self._process)), "disk_mib": round(disk_mib, 1)}

    def _connections(self) -> int:
        family = [self._process, *self._process.children(recursive=True)]
        open_ones = [c for member in family for c in member.net_connections() if c.status != psutil.CONN_LISTEN]
        return len(open_ones)


def course(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """At the start, after a tenth, at the end, at most; and by how much the memory grew in the second half."""
    total = samples[-1]["predictions"]
    tenth = next(sample for sample in samples if sample["predictions"] >= total / 10)
    half = [sample for sample in samples if sample["predictions"] >= total / 2]
    slope = statistics.linear_regression([s["predictions"] for s in half], [s["rss_mib"] for s in half]).slope
    most = {name: max(sample[name] for sample in samples) for name in tenth}
    by_moment = {"start": samples[0], "tenth": tenth, "end": samples[-1], "most": most}
    return {**by_moment, "mib_per_10000": round(10_000 * slope, 2)}


def report(result: dict[str, Any]) -> Iterator[str]:
    """A table."""
    moments = {"start": "start", "tenth": "after a tenth", "end": "end", "most": "at most"}
    names = {
        "predictions": "predictions",
        "rss_mib": "resident memory, MiB",
        "handles": "file handles",
        "threads": "threads",
        "disk_mib": "`MODEL_DIR`, MiB",
    }
    yield f"{result['machine']}; {result['versions']} changes of version in {result['seconds']:,.0f} s."
    yield f"\n| web process | {' | '.join(moments.values())} |\n|---|---|---|---|---|"
    for name, words in names.items():
        yield f"| {words} | {' | '.join(f'{result[moment][name]:,}' for moment in moments)} |"
    yield f"\nMemory grew by {result['mib_per_10000']} MiB per 10,000 predictions in the second half."
    wrong = ", ".join(f"{what}: {count}" for what, count in result["wrong"].items())
    yield f"Wrong answers: {wrong or 'none'}."
