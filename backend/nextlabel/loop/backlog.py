"""The pool tasks that the active version has not scored yet: a few at once, many in parts that trainers share."""

import logging
from collections.abc import Sequence

import numpy as np

from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.orders import keep
from nextlabel.model.classifier import Progress
from nextlabel.processes import trim_heap
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import shared
from nextlabel.store.pool import Pool, pool_path
from nextlabel.values.examples import Example
from nextlabel.values.versions import Card
from nextlabel.versions.loaded import SLICE, LoadedVersions
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

FEW = 256  # tasks that are scored on the spot: new or edited ones
PART = 4096  # ids a part
GATE_BUSY_S = 1.0  # when this process is at something else


class Backlog:
    """Scores what is left. Killed anywhere, the next look asks for the parts that are not done."""

    def __init__(
        self, settings: Settings, registry: Registry, jobs: JobQueue, resident: LoadedVersions, turn: ComputeGate
    ):
        self._settings, self._registry, self._jobs = settings, registry, jobs
        self._resident, self._turn = resident, turn

    def look(self, pool: Pool, card: Card) -> int:
        """How many tasks are without a score, after a few were given theirs, or the parts of many were asked for."""
        size = pool.unscored_size(card.version)
        if 0 < size <= FEW:
            log.info("project %d: scoring %d tasks that %s has not seen", card.project, size, card.version)
            self._score(pool, card, pool.unscored(card.version))
            return pool.unscored_size(card.version)
        if size:
            parts = pool.unscored_parts(card.version, PART)
            # Each version in another order: when the next one always comes too early, no end of the pool is left out.
            for i in np.random.default_rng(card.seed).permutation(len(parts)):
                self._jobs.want_scores(card.project, card.version, *parts[i])
        return size

    def score(self, project: int, version: str, first: int, last: int) -> None:
        """Score a part, unless another version is active by now."""
        if self._registry.current(project) != version:
            return
        with (
            shared(self._settings.model_dir, f"score.{project}"),
            self._turn.for_scoring() as ours,
            Pool(pool_path(self._settings.model_dir, project)) as pool,
        ):
            if not (ours and self._score_part(pool, self._registry.card(project, version), first, last)):
                self._jobs.want_scores(project, version, first, last, delay_s=GATE_BUSY_S)
            elif not pool.has_unscored(version):
                trim_heap()
                self._jobs.hint(project)  # now, and not after each part: the head would be written over and over

    def _score_part(self, pool: Pool, card: Card, first: int, last: int) -> bool:
        """Whether the part is done; not if a fit came."""
        todo = pool.unscored(card.version, first, last)
        try:
            for start in range(0, len(todo), SLICE):
                if self._turn.fit_comes:
                    return False
                self._score(pool, card, todo[start : start + SLICE], self._give_way)
        except _FitComesError:
            return False
        return True

    def _give_way(self, done: int, total: int) -> None:
        if done < total and self._turn.fit_comes:
            raise _FitComesError

    def _score(self, pool: Pool, card: Card, examples: Sequence[Example], progress: Progress | None = None) -> None:
        keep(pool, card.version, self._resident.score(card, examples, False, progress, features=card.features > 0))


class _FitComesError(Exception):
    """A slice is given up, so that the fit can begin: its end would take a second or two, to make it again as long."""
