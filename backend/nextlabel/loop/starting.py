"""The order before there is a version: typical and different texts first, by the base encoder's embeddings.

It is kept in the pool as values under a name of its own, so that it is the same after a restart and never changes while
tasks are labelled.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import ParamSpec, TypeVar

import numpy as np

from nextlabel.compute import local
from nextlabel.errors import NextlabelError
from nextlabel.learning.start_order import ORDERED_AT_MOST, start_order
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.orders import StartOrder
from nextlabel.processes import lower_priority, trim_heap
from nextlabel.settings import Settings, for_project
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.pool import EMBEDDINGS, Pool, pool_path
from nextlabel.store.state import StartState, SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import start_name
from nextlabel.versions.registry import Registry

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

FIRST = 1000  # tasks of a larger pool that are drawn and ordered at first, in seconds
PLACES = 256  # that are chosen; the others follow as they were drawn
SPREAD = 1000.0  # places from value 1 to value 0.5
EMBEDDED = 0.9  # of the tasks to compare: with fewer, the others are embedded
AT_A_TIME = 4096  # values that are written
TELL_S = 1.0  # between two words to the page
BUSY_S = 1.0  # when this process is at something else
SAID = "Start order: typical and different texts come first"

# That of fits may be busy for many minutes.
_thread = ThreadPoolExecutor(1, "start", initializer=lower_priority, initargs=(local.NICENESS,))


class StartOrders:
    """Makes start orders, one at a time in a process and of a project one at a time anywhere. Killed at any stage, the
    next look asks for what is not done."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        board: StatusBoard,
        jobs: JobQueue,
        embedder: Embedder,
        turn: ComputeGate,
        now: Callable[[], float] = time.time,
    ):
        self._settings, self._registry, self._board, self._jobs = settings, registry, board, jobs
        self._embedder, self._turn, self._now = embedder, turn, now

    def look(self, pool: Pool, project: int, may_ask: bool) -> StartOrder | None:
        """The project's start order, with tasks that came since at its end; None as long as there is none, or when it
        is switched off. A better one, if there may be, is asked for where one `may_ask`."""
        way = self._way(project)
        if way == "off":
            return None
        made_of = self._made_of(pool, way)
        if may_ask and self._wanted(pool, made_of):
            self._jobs.want_start(project)
        state = _current(pool, made_of)
        if not state.name:
            return None
        if pool.unscored_size(state.name):
            added = {example.id: to_value(state.tasks + example.id) for example in pool.unscored(state.name)}
            _put(pool, state.name, added)
        return StartOrder(pool, state.name)

    def look_for(self, pool: Pool, project: int) -> None:
        """Ask for embeddings to compare with what a person looks for, beside a version, if many tasks have none."""
        numbers_N = pool.open_numbers(skipped=False)[1]
        try:
            known_N = pool.latest_vectors(EMBEDDINGS, self._embedder.name).knows(numbers_N)
        except NextlabelError:  # the look at the base checkpoint tells people
            return
        if known_N.sum() < EMBEDDED * min(len(numbers_N), ORDERED_AT_MOST):
            self._jobs.want_start(project)

    def make(self, project: int) -> None:
        """Make the order that is wanted, unless a fit comes. Where there is a version by now, nothing but what a person
        looks for needs embeddings.

        The first order of a project takes seconds and gives way to no fit of another one, which may take many minutes,
        or be followed by the next: both go on at once.
        """
        if self._registry.current(project) and not self._registry.options(project).look_for:
            return
        try:
            with (
                lock(self._settings.model_dir, f"start.{project}"),
                Pool(pool_path(self._settings.model_dir, project)) as pool,
            ):
                done = self._make_in_turn(pool, project)
        except (LockHeld, _FitComesError):
            done = False
        except NextlabelError as error:  # the look at the base checkpoint tells people; the next look asks again
            log.warning("project %d: there is no start order: %s", project, error)
            return
        if done:
            self._jobs.hint(project)
        else:
            self._jobs.want_start(project, delay_s=BUSY_S)

    def _make_in_turn(self, pool: Pool, project: int) -> bool:
        """Whether it was our turn."""
        way, version = self._way(project), self._registry.current(project)
        made_of = self._made_of(pool, way)
        first = not (version or _current(pool, made_of).name)
        turn = self._turn.beside_fits_of_others(project) if first else self._turn.for_scoring()
        with turn as ours:
            if ours and version:
                self._embed(pool, project, self._drawn(pool)[:ORDERED_AT_MOST])
            elif ours and way != "off" and (wanted := self._wanted(pool, made_of)):
                self._make(pool, project, way, made_of, wanted, first)
        return ours

    def _make(self, pool: Pool, project: int, way: str, made_of: str, wanted: int, first: bool) -> None:
        seed, following, run = self._settings.seed, self._drawn(pool), _run_beside if first else local.run
        self._embed(pool, project, following[:wanted], first)
        ids_N, embedded_ND = pool.vectors(EMBEDDINGS, self._embedder.name, following[:wanted])
        chosen = ids_N[run(start_order, way, embedded_ND, min(PLACES, len(ids_N)), seed)].tolist()
        name = start_name(datetime.fromtimestamp(self._now(), timezone.utc))
        ordered = dict.fromkeys([*chosen, *following])
        _put(pool, name, {task: to_value(place) for place, task in enumerate(ordered)})
        pool.update(StartState, lambda _: StartState(name, made_of, len(following), wanted))
        trim_heap()
        log.info("project %d: %s orders %d of %d tasks", project, name, wanted, len(following))
        self._say(project, f"{SAID}. Tasks compared", wanted, len(following))

    def _drawn(self, pool: Pool) -> list[int]:
        """The tasks of the pool in an order drawn of all, labelled or not: after a kill it is the same."""
        drawn = np.random.default_rng(self._settings.seed).permutation(sorted(pool.task_ids())).tolist()
        still_open = set(pool.open_ids())
        return [task for task in drawn if task in still_open]

    def _embed(self, pool: Pool, project: int, task_ids: Sequence[int], first: bool = False) -> None:
        missing = pool.without_vector(EMBEDDINGS, self._embedder.name, task_ids)
        known, told_at = len(task_ids) - len(missing), 0.0

        def progress(done: int, total: int) -> None:
            nonlocal told_at
            if self._turn.fits(project) if first else self._turn.fit_comes:
                raise _FitComesError
            if self._now() - told_at >= TELL_S or done == total:
                told_at = self._now()
                self._say(project, f"{SAID}. Texts embedded", known + done, known + total)

        self._embedder.embed(pool, project, missing, progress)

    def _wanted(self, pool: Pool, made_of: str) -> int:
        """How many tasks are to be ordered now; 0 when the order that there is will do."""
        state, size = _current(pool, made_of), pool.open_size()
        if not state.name:
            return min(size, FIRST)
        unfinished = state.ordered < min(state.tasks, ORDERED_AT_MOST)
        return min(size, ORDERED_AT_MOST) if unfinished or size > 2 * state.tasks else 0

    def _made_of(self, pool: Pool, way: str) -> str:
        """What an order depends on, besides the texts."""
        return f"{way} {self._embedder.name} {pool.state(SyncState).reading}"

    def _way(self, project: int) -> str:
        return for_project(self._settings, self._registry.options(project)).start_order

    def _say(self, project: int, message: str, done: int, total: int) -> None:
        self._board.put_start(project, self._now(), message=message, done=done, total=total)


class _FitComesError(Exception):
    """The rest of the embeddings can wait; the fit may make them needless."""


def _run_beside(job: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    return _thread.submit(job, *args, **kwargs).result()


def _current(pool: Pool, made_of: str) -> StartState:
    """What there is, if it is made of that and its values were not lost; else as if there were none."""
    state = pool.state(StartState)
    if not state.name or state.made_of != made_of or 0 < pool.scored_size() == pool.unscored_size(state.name):
        return StartState()
    return state


def to_value(place: int) -> float:
    """The value of a place, counted from 0: in ]0, 1], less for each further one."""
    return SPREAD / (SPREAD + place)


def place_of(value: float) -> int:
    """The place of a value, as `to_value` gave it."""
    return round(SPREAD / value - SPREAD)


def _put(pool: Pool, name: str, values: dict[int, float]) -> None:
    tasks = list(values)
    for start in range(0, len(tasks), AT_A_TIME):
        examples = pool.examples(tasks[start : start + AT_A_TIME])
        values_N = np.array([values[example.id] for example in examples])
        pool.put_scores(name, examples, values_N, np.zeros((len(examples), 0)), exact=True)
