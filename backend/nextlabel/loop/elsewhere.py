"""What the loop has computed on a cluster, where RAY_ADDRESS names one: the fits of its projects, parts of their pools.

Decides nothing about projects; files and locks stay with who asks.
"""

import functools
import hashlib
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nextlabel.compute import local, rounds
from nextlabel.compute.cluster import Cluster
from nextlabel.compute.tasks import FIT, PART, ClusterAwayError, Running, Shared, Task
from nextlabel.learning.rounds import Round, StageProgress
from nextlabel.model import checkpoints, packed
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Classifier, Recipe
from nextlabel.model.devices import pick_device, precision_name, threads
from nextlabel.model.tokens import TokenCache
from nextlabel.problems.question import Question
from nextlabel.settings import Settings
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example
from nextlabel.values.versions import Card
from nextlabel.versions.loaded import SLICE

Labelled = Sequence[tuple[Example, str]]


class Elsewhere:
    """Computes on a cluster what would be computed here, with as many threads, to the bit where processors are alike.

    Thread-safe. All its waits end: with `ClusterAwayError` where COMPUTE_AWAY is local.
    """

    def __init__(self, settings: Settings, cluster: Cluster):
        self._settings, self._cluster = settings, cluster
        self._fits = threading.Semaphore(settings.compute_fits)
        # Of the thread that would fit here: each has a number of its own.
        self._threads = settings.compute_threads or local.run(threads)
        # Of each project, until a part comes back from there: the version whose last part did not, and why.
        self._failed = dict[int, tuple[str, str]]()

    @property
    def takes_tasks(self) -> bool:
        """Whether the cluster is to be asked, now."""
        return self._settings.compute_away == "wait" or not self._cluster.rests

    @property
    def has_room(self) -> bool:
        """Whether another part of a pool would not wait here for long."""
        return self._cluster.room(*self._asked) > 0

    def words(self, project: int, version: str | None) -> str:
        """For the people of a project with this active version: where is computed, and what happens while that is not
        possible."""
        here = self._settings.compute_away == "local"
        until = "this machine computes" if here else "fits, and scores of large pools, wait"
        if self._cluster.is_away:
            return f"The cluster is {self._cluster.words}; {until} until it is back (COMPUTE_AWAY)."
        if lacks := self._cluster.lacks(*self._asked):
            return f"The cluster of {self._cluster.words} has {lacks}; {until} until it has (COMPUTE_AWAY)."
        if why := self._why_failed(project, version):
            return (
                f"Parts of this project's pool failed on the cluster of {self._cluster.words}. Nothing is lost: each "
                "is tried again there, and then scored here. Most often nodes have another release of Nextlabel: "
                f"install the same one on every node. The last one: {why}"
            )
        return f"Fits, and scores of large pools, are computed on a cluster: {self._cluster.words}."

    def is_amiss(self, project: int, version: str | None) -> bool:
        """Whether they should know: it cannot be had, does not suffice, or parts of their pool fail there."""
        return self._cluster.is_away or bool(self._why_failed(project, version) or self._cluster.lacks(*self._asked))

    def _why_failed(self, project: int, version: str | None) -> str:
        """Empty where nothing did; what became of the parts of another version is past."""
        failed, why = self._failed.get(project, ("", ""))
        return why if failed == version else ""

    @property
    def _asked(self) -> tuple[int, float]:
        """Threads and GPUs of each task."""
        return self._threads, self._settings.compute_gpus

    @contextmanager
    def for_fit(self) -> Iterator[bool]:
        """Whether one more fit may wait for the cluster, until the end."""
        ours = self._fits.acquire(blocking=False)
        try:
            yield ours
        finally:
            if ours:
                self._fits.release()

    def round(
        self,
        recipe: Recipe,
        question: Question,
        labelled: Labelled,
        pool: Sequence[Example],
        holdout: Labelled,
        strategy: str,
        progress: StageProgress,
        cache: TokenCache | None = None,
        features: bool = False,
        weights_N: Array | None = None,
    ) -> Round:
        """As `run_round`. What `progress` raises ends the fit, and is raised here."""
        asked = (self._there(recipe), question, labelled, pool, holdout, strategy, features, weights_N)
        base = checkpoints.directory_of(recipe.base_model)
        shared = Shared(f"checkpoint {packed.key(base)}", functools.partial(packed.pack, base), packed.unpacked)
        running = self._cluster.submit(self._task("fit", rounds.fit_round, asked, shared, FIT))
        fitted: rounds.Fitted = self._cluster.wait_for(running, progress)
        return fitted.as_round(labelled, pool, running.node, self._settings.device, self._settings.precision, cache)

    def score(self, card: Card, version: Path, examples: Sequence[Example]) -> Running:
        """A `Scored` to be, without its examples: what the version in a directory says of them."""
        asked = (examples, card.strategy, card.seed, card.features > 0, SLICE)
        there = self._there(Recipe("", 0, 0.0, 1, 0, 0, self._settings.device, self._settings.precision))
        opened = functools.partial(open_version, device=there.device, precision=there.precision)
        shared = Shared(f"version {packed.key(version)}", functools.partial(packed.pack, version), opened)
        running = self._cluster.submit(self._task("score", rounds.score_part, asked, shared, PART))
        running.add_done_callback(functools.partial(self._note, card.project, card.version))
        return running

    def _note(self, project: int, version: str, ended: "Future[Any]") -> None:
        """What is given back, or not waited for, says nothing of what becomes of parts there."""
        if ended.cancelled() or isinstance(error := ended.exception(), ClusterAwayError):
            return
        self._failed.pop(project, None)
        if error is not None:
            self._failed[project] = version, str(error)

    def _there(self, recipe: Recipe) -> Recipe:
        """With what this machine makes of its settings, so that a node makes nothing else of them."""
        if self._settings.compute_gpus:
            return replace(recipe, device="cuda")
        return replace(recipe, device="cpu", precision=precision_name(recipe.precision, pick_device("cpu")))

    def _task(self, what: str, job: Callable[..., Any], asked: tuple[Any, ...], shared: Shared, rank: int) -> Task:
        digest = hashlib.sha256(pickle.dumps((shared.key, asked), protocol=5)).hexdigest()
        return Task(f"{what} {digest}", job, asked, (shared,), self._threads, self._settings.compute_gpus, rank)


def elsewhere_of(settings: Settings) -> Elsewhere | None:
    """Where the settings name a cluster. Raises `MissingPackageError` without the packages of the extra `ray`."""
    if not settings.ray_address:
        return None
    return Elsewhere(settings, Cluster(settings.ray_address, settings.compute_away))


def open_version(checkpoint: packed.Bytes, device: str, precision: str) -> Classifier:
    """On a node."""
    return classifiers.load(packed.unpacked_to_load(checkpoint), device, precision)
