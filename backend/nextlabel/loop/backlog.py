"""The pool tasks that the active version has not scored yet: a few at once, many in parts that trainers share."""

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from nextlabel.compute.tasks import ClusterAwayError
from nextlabel.errors import NextlabelError
from nextlabel.learning.rounds import Scored
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.elsewhere import Elsewhere
from nextlabel.loop.orders import keep
from nextlabel.model.classifier import Progress
from nextlabel.processes import lower_priority, trim_heap
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, shared
from nextlabel.store.pool import Pool, pool_path
from nextlabel.values.examples import Example
from nextlabel.values.versions import Card
from nextlabel.versions.loaded import SLICE, LoadedVersions
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

FEW = 256  # tasks that are scored on the spot: new or edited ones
PART = 4096  # ids a part
GATE_BUSY_S = 1.0  # when this process is at something else, or the cluster
TO_KEEP = 4  # parts that came back and are not on the disk: a fast cluster must not fill the memory
FAILED_S = 60.0  # until a part is tried again that failed on the cluster
TRIES = 3  # of a part there; then it is scored here
NICENESS = 5  # of keeping what comes from there: what keeps the queue full goes first

Part = tuple[int, str, int, int]  # project, version, first and last id


class Backlog:
    """Scores what is left. Killed anywhere, the next look asks for the parts that are not done."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        jobs: JobQueue,
        resident: LoadedVersions,
        turn: ComputeGate,
        elsewhere: Elsewhere | None = None,
    ):
        """`elsewhere` is asked first, where there is such a place."""
        self._settings, self._registry, self._jobs = settings, registry, jobs
        self._resident, self._turn, self._elsewhere = resident, turn, elsewhere
        self._under_way: dict[Part, frozenset[Example]] = {}
        self._to_keep: set[Part] = set()
        self._failures = Counter[Part]()
        self._verified = set[tuple[int, str]]()
        self._keeper = ThreadPoolExecutor(1, "keep", initializer=lower_priority, initargs=(NICENESS,))

    def look(self, pool: Pool, card: Card) -> int:
        """How many tasks are without a score, after a few were given theirs, or the parts of many were asked for."""
        size = pool.unscored_size(card.version)
        if 0 < size <= FEW:
            ours, of_parts = (card.project, card.version), list(self._under_way.items())
            away = frozenset[Example]().union(*(examples for part, examples in of_parts if part[:2] == ours))
            here = [example for example in pool.unscored(card.version) if example not in away]
            if here:
                log.info("project %d: scoring %d tasks that %s has not seen", card.project, len(here), card.version)
                self._score(pool, card, here)
            return pool.unscored_size(card.version)
        if size:
            parts = pool.unscored_parts(card.version, PART)
            # Each version in another order: when the next one always comes too early, no end of the pool is left out.
            for i in np.random.default_rng(card.seed).permutation(len(parts)):
                self._jobs.want_scores(card.project, card.version, *parts[i])
        return size

    def score(self, project: int, version: str, first: int, last: int) -> None:
        """Score a part, unless another version is active by now, or it is under way elsewhere."""
        part = (project, version, first, last)
        if self._registry.current(project) != version or part in self._under_way:
            return
        if self._elsewhere is not None and self._elsewhere.takes_tasks and self._failures[part] < TRIES:
            self._hand_in(self._elsewhere, project, version, first, last)
        else:
            self._score_here(project, version, first, last)

    def _score_here(self, project: int, version: str, first: int, last: int) -> None:
        with (
            shared(self._settings.model_dir, f"score.{project}"),
            self._turn.for_scoring() as ours,
            Pool(pool_path(self._settings.model_dir, project)) as pool,
        ):
            if not (ours and self._score_part(pool, self._registry.card(project, version), first, last)):
                self._jobs.want_scores(project, version, first, last, delay_s=GATE_BUSY_S)
                return
            self._failures.pop((project, version, first, last), None)
            if not pool.has_unscored(version):
                trim_heap()
                self._jobs.hint(project)  # now, and not after each part: the head would be written over and over

    @property
    def has_room(self) -> bool:
        """Whether a part that is handed in elsewhere would wait for long neither there, nor here when it is back."""
        return self._elsewhere is not None and self._elsewhere.has_room and len(self._to_keep) < TO_KEEP

    def _hand_in(self, elsewhere: Elsewhere, project: int, version: str, first: int, last: int) -> None:
        """Have a part scored elsewhere, if there is room. What comes of it goes to `_keep_part`; if this process ends
        before, the next look asks for it again."""
        if not self.has_room:
            self._jobs.want_scores(project, version, first, last, delay_s=GATE_BUSY_S)
            return
        with Pool(pool_path(self._settings.model_dir, project)) as pool:
            todo = pool.unscored(version, first, last)
        if not todo:
            return
        if (project, version) not in self._verified:
            self._registry.verify(project, version)
            self._verified.add((project, version))
        card, path = self._registry.card(project, version), self._registry.path(project, version)
        running = elsewhere.score(card, path, todo)
        part = (project, version, first, last)
        self._under_way[part] = frozenset(todo)
        running.add_done_callback(lambda ended: self._come_back(part, todo, ended))

    def _come_back(self, part: Part, asked: Sequence[Example], ended: "Future[Scored]") -> None:
        self._to_keep.add(part)
        self._keeper.submit(self._keep_part, part, asked, ended)

    def _keep_part(self, part: Part, asked: Sequence[Example], ended: "Future[Scored]") -> None:
        """Into the record what has no score there yet; of what is missing then, ask again."""
        project, version, first, last = part
        again_s = None
        try:
            scored = ended.result()
            scored = replace(scored, examples=asked[: len(scored.values_N)])
            self._failures.pop(part, None)
            with shared(self._settings.model_dir, f"score.{project}"):
                if self._registry.current(project) == version and not self._keep_new(part, scored):
                    again_s = 0.0
        except LockHeld:  # it is being forgotten
            pass
        except NextlabelError as error:
            log.warning("project %d: a part of the pool is scored later: %s", project, error)
            again_s = GATE_BUSY_S if isinstance(error, ClusterAwayError) else self._after_failure(part)
        except Exception:
            log.exception("project %d: what was scored elsewhere cannot be kept", project)
        finally:
            self._to_keep.discard(part)
            self._under_way.pop(part, None)
        if again_s is not None:  # only now: while it is under way it is not begun
            self._jobs.want_scores(project, version, first, last, delay_s=again_s)

    def _after_failure(self, part: Part) -> float:
        """Seconds until it is tried again: the last time here, and soon."""
        self._failures[part] += 1
        return FAILED_S if self._failures[part] < TRIES else GATE_BUSY_S

    def _keep_new(self, part: Part, scored: Scored) -> bool:
        """Whether that was all of the part."""
        project, version, first, last = part
        with Pool(pool_path(self._settings.model_dir, project)) as pool:
            left = set(pool.unscored(version, first, last))
            rows = [i for i, example in enumerate(scored.examples) if example in left]
            keep(pool, version, scored.rows(rows))
            if not pool.has_unscored(version):
                trim_heap()
                self._jobs.hint(project)
            return len(rows) == len(left)

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
