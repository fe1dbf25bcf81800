"""Makes Label Studio's queue head what the current version wants. Writes first, then switches, then takes away."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from nextlabel.labelstudio.client import LabelStudioClient, Project, StudioRefusedError
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.controls import results
from nextlabel.labelstudio.predictions import can_show, no_prediction
from nextlabel.learning.composer import INFORMATIVE, compose
from nextlabel.loop.orders import Order
from nextlabel.loop.sides import LOOKED_AT, Side, hidden, reasons, slots
from nextlabel.loop.window import WindowPlan, plan_window
from nextlabel.store.pool import Pool
from nextlabel.store.state import QueueState
from nextlabel.values.queue import Placed, Published, Ranked
from nextlabel.values.versions import is_ours

log = logging.getLogger(__name__)

HEAD = 8  # tasks for whoever asks next that are in place before the version is switched; the rest follows
WRITERS = 2  # requests at a time when there is no time to rest,
SHARE = 10  # and one for so many annotators: of a busy Label Studio everyone gets a share by the number of requests
BATCH = 24  # further tasks per reconcile, so that new labels are looked at in between
DELETIONS = 16  # stale predictions taken away per reconcile; they no longer order anything, so there is no hurry
LEFT = 2  # tasks for each annotator that the queue keeps until it is switched: one may be held, and one is next
LEAST = 4  # of both together, even if labels come all the time: or the window would never be filled
Free = Callable[[Sequence[Ranked], int, int], list[Ranked]]
GONE = (400, 404)  # what Label Studio answers to a prediction for a task that was deleted


@dataclass(frozen=True)
class Publication:
    """What a publication did. `seconds_to_switch` is None when the version was already active.

    `missing` tasks of the window and `stale` predictions remain for the next reconcile; of a window that was only
    begun, all that is not its head. `held` tasks of those that were looked at are kept back for now. `head` is what the
    composer wanted, and `why` in words why some of its tasks come.
    """

    written: int
    removed: int
    missing: int
    stale: int
    seconds_to_switch: float | None
    begun: bool = False
    held: int = 0
    head: tuple[Placed, ...] = ()
    why: Mapping[int, str] = field(default_factory=dict)

    @property
    def unfinished(self) -> bool:
        """Whether tasks of the window are to follow."""
        return self.begun or self.missing > 0

    def and_then(self, other: "Publication") -> "Publication":
        """Both as one, where the other has written the rest."""
        return replace(
            other,
            written=self.written + other.written,
            removed=self.removed + other.removed,
            seconds_to_switch=self.seconds_to_switch,
        )


def all_free(ranked: Sequence[Ranked], depth: int, least: int) -> list[Ranked]:
    """Those of the ranked tasks that may stand in the queue: all of them. Whoever keeps some back need not look further
    than until `depth` are free, and frees others until `least` are, so that nobody is told that there are no tasks."""
    return list(ranked)


def at_once(others: int) -> int:
    """Requests at a time when there is no time to rest, with so many annotators beside one."""
    return max(WRITERS, others // SHARE)


class Publisher:
    """Publishes an order of one project.

    `superseded` tells that a newer one waits, so that there is no point in going on; `hinted` that a look at new
    labels does, for which is put off what is not urgent: these may make a fit due, and in a large project Label Studio
    takes half a second for each request. `rest` pauses between requests that are not urgent, so that annotators' go
    first. `others` are at work beside one annotator: each may hold a task, which is served to nobody else, so that as
    many more are published. `first` tasks are in place before the queue is switched. `changes` has predictions of
    an order before become those of this one, where that saves a request. `announce` is told of a switch before it is
    made. `pointless` tasks of the pool are never published; of the others, as far as nobody has skipped them, those
    that are `free`. Tasks of the `sides` stand in the places of these.
    """

    def __init__(
        self,
        studio: LabelStudioClient,
        pool: Pool,
        order: Order,
        superseded: Callable[[], bool],
        hinted: Callable[[], bool],
        rest: Callable[[float], None] = time.sleep,
        others: int = 0,
        first: int = HEAD,
        changes: bool = False,
        announce: Callable[[str], None] = lambda name: None,
        pointless: Collection[int] = (),
        free: Free = all_free,
        sides: Sequence[Side] = (),
    ):
        self._studio, self._pool, self._order = studio, pool, order
        self._sides, self._hidden = sides, hidden(sides)
        self._pointless, self._free = frozenset(pointless), free
        self._superseded, self._hinted, self._rest = superseded, hinted, rest
        self._others, self._first, self._changes, self._announce = others, first, changes, announce
        self._at_once, self._held = at_once(others), set[int]()
        self._writers = ThreadPoolExecutor(self._at_once)

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        self._writers.shutdown()

    def publish(self, project: Project, depth: int, settled: bool = True, fitting: bool = False) -> Publication:
        """Bring the published head to `depth` tasks that nobody holds. Does nothing at all when nothing changed.

        While the order is not `settled`, as the pool is being scored, the head is only kept from running low, and the
        queue is not switched to a head with empty places, in which a hidden task may stand alone. During a fit, which
        needs the cores, stale predictions wait for its end, unless they are more than a window.
        """
        start = time.perf_counter()
        version = self._order.name
        switching = project.model_version != version
        # The new order comes first: what makes it longer follows in the next reconcile.
        published = self._pool.published()
        first = LEFT if self._runs_dry(project, published) else self._first
        places = (min(depth, first) if switching else depth) + self._others
        wanted = self._exact_head(places)
        self._order.make_exact([p.task_id for p in published if p.version == version])
        tasks = [p.task_id for p in published]
        values, misplaced = self._order.values(tasks), self._pool.misplaced(tasks) | self._pointless
        reserved = self._pool.reserved(tasks) | self._hidden.keys()
        plan = plan_window(wanted, published, version, values, misplaced, reserved)
        missed = {task.task_id for task in self._useful(len(wanted), skipped=True)}
        to_serve = sum(task.task_id not in missed for task in wanted)  # nobody who skipped one is served it again
        ready = settled or to_serve >= min(places, self._pool.left_size())
        urgent = plan.create if switching and ready else ()
        there = self._there(project, plan, published)
        tried, written = self._write(urgent, there, hurry=True, at_least=len(urgent))
        seconds_to_switch = None
        in_place = to_serve - len(plan.create) + written
        if switching and ready and self._may_switch(to_serve, in_place):
            # Remembered first: after a crash in between, neither version is taken for a person's choice.
            self._pool.update(QueueState, lambda _: QueueState(project.model_version or "", version))
            self._announce(version)
            self._studio.set_model_version(project.id, version)
            seconds_to_switch = time.perf_counter() - start
            log.info("project %d: the queue is in the order of %s", project.id, version)
        rest = plan.create[len(urgent) :]
        # Fast annotators must not run out of published tasks: Label Studio would serve at random, or nothing.
        short = depth // 2 + self._others - in_place
        low = bool(rest) and not switching and short > 0
        if not (settled or low):
            rest = ()
        more_tried, more_written = self._write(rest[:BATCH], there, hurry=low, at_least=max(LEAST, short))
        stale = self._left_over(plan.delete, set(there.values()))
        missing = len(urgent) + len(rest) - tried - more_tried
        removed = self._clear(project, stale) if self._changes and not (switching or missing) else 0
        if not self._changes:
            removable = () if switching or low or (fitting and len(stale) <= depth) else stale[:DELETIONS]
            removed = self._remove(removable, at_least=LEAST - len(rest))
        return Publication(
            written=written + more_written,
            removed=removed,
            missing=missing,
            stale=len(stale) - removed,
            seconds_to_switch=seconds_to_switch,
            begun=seconds_to_switch is not None,
            held=len(self._held),
            head=tuple(wanted),
            why=reasons(self._sides),
        )

    def _runs_dry(self, project: Project, published: Sequence[Published]) -> bool:
        """Whether the queue is about to have no task of a version before that nobody holds. Versions that follow each
        other fast leave its window short: each is given up for the next one."""
        followed = project.model_version or ""
        left = len(self._pool.waiting(followed))
        known = any(p.version == followed for p in published)
        return known and not self._changes and left <= LEFT * (1 + self._others)

    def _there(self, project: Project, plan: WindowPlan, published: Sequence[Published]) -> dict[int, int]:
        """Of tasks that get a prediction one that has to go, which is changed into it. Those that the queue still
        follows are left to it, unless it has more than are needed until the switch."""
        if not self._changes:
            return {}
        unwanted = {p.task_id: p for p in published if p.prediction_id in set(plan.delete)}
        followed = self._pool.waiting(project.model_version or "")
        spare = (
            len(followed) - LEFT * (1 + self._others) if project.model_version != self._order.name else len(followed)
        )
        there = {}
        for prediction in (unwanted[task.task_id] for task in plan.create if task.task_id in unwanted):
            spare -= prediction.prediction_id in followed
            if spare >= 0:
                there[prediction.task_id] = prediction.prediction_id
        return there

    def _exact_head(self, depth: int) -> list[Placed]:
        # The pool was scored in the fast precision, whose rounding shuffles neighbours. The few tasks that are shown
        # are scored again in fp32, some ahead of need, until the head holds none but exact values.
        while True:
            beside = self._beside(depth)
            fresh = self._fresh(depth + depth // 4 + 1, min(depth, HEAD + self._others), beside)
            skipped = self._useful(depth, skipped=True)
            wanted = compose({**beside, INFORMATIVE: fresh}, slots(self._sides, depth), depth, skipped)
            if not self._order.make_exact([task.task_id for task in wanted], [task.task_id for task in fresh]):
                return wanted

    def _beside(self, depth: int) -> dict[str, list[Ranked]]:
        """The tasks of the sides that may come into the head, by kind, best first: of a kind as many as have places."""
        kinds = Counter(map(slots(self._sides, depth), range(depth)))
        found = [(side, self._of_side(side, depth)) for side in self._sides]
        of_pool = [task for _, tasks in found for task in tasks if task.task_id not in self._hidden]
        free = self._free(of_pool, len(of_pool), 0) if of_pool else []
        self._held = {task.task_id for task in of_pool} - {task.task_id for task in free}
        return {
            side.kind: side.in_turn([task for task in tasks if task.task_id not in self._held])[: kinds[side.kind]]
            for side, tasks in found
        }

    def _of_side(self, side: Side, depth: int) -> list[Ranked]:
        """More of them than come into the head, as some may be kept back."""
        tasks = [task for task in side.tasks if task not in self._pointless][: LOOKED_AT * depth]
        if side.hidden:
            return [Ranked(task, 0.0) for task in tasks]
        values = self._order.values(tasks)
        return [Ranked(task, values[task]) for task in tasks if task in values]

    def _fresh(self, depth: int, least: int, beside: Mapping[str, Sequence[Ranked]]) -> list[Ranked]:
        """The tasks that come next, most informative first, without those `beside` them: `depth` of them, as far as so
        many are found soon; but `least`, however far down they are. What is kept back is freed where the pool has no
        others."""
        looked_at = depth
        first = [task for tasks in beside.values() for task in tasks if task.task_id not in self._hidden]
        of_sides = {task.task_id for task in first}
        while True:
            useful = self._useful(looked_at + len(first), skipped=False)
            ranked = [task for task in useful if task.task_id not in of_sides][:looked_at]
            free = self._free([*first, *ranked], depth + len(first), 0)
            enough = least if looked_at >= LOOKED_AT * depth else depth + len(first)
            if len(free) >= enough or len(ranked) < looked_at:
                break
            looked_at *= 2
        if len(free) < least:
            free = self._free([*first, *ranked], depth + len(first), least)
        self._held = (self._held | {task.task_id for task in ranked}) - {task.task_id for task in free}
        return [task for task in free if task.task_id not in of_sides][:depth]

    def _useful(self, limit: int, skipped: bool) -> list[Ranked]:
        ranked = self._order.ranked(limit + len(self._pointless), skipped)
        return [task for task in ranked if task.task_id not in self._pointless][:limit]

    def _left_over(self, prediction_ids: Sequence[int], there: Collection[int]) -> list[int]:
        """Without those that were `there` and have become others."""
        now = {p.prediction_id for p in self._pool.published() if p.version == self._order.name}
        return [
            prediction_id for prediction_id in prediction_ids if prediction_id not in now or prediction_id not in there
        ]

    def _may_switch(self, wanted: int, in_place: int) -> bool:
        if 2 * in_place < wanted and self._superseded():
            return False  # the window of the version before is the better one until the next one's is there
        # Label Studio refuses a model version without predictions.
        return any(p.version == self._order.name for p in self._pool.published())

    def _write(self, tasks: Sequence[Placed], there: Mapping[int, int], hurry: bool, at_least: int) -> tuple[int, int]:
        """How many of the tasks had their turn, and how many of these have their prediction now."""
        tried, written, at_once = 0, 0, self._at_once if hurry else 1
        in_flight: deque[tuple[int, Future[Published | None]]] = deque()
        for task in tasks:
            if self._superseded() or (tried >= at_least and self._hinted()):
                break
            start = time.perf_counter()
            value, prediction = self._prediction(task) or (None, {})
            if value == task.value:  # neither labelled nor edited in the meantime
                job = self._writers.submit(self._put, task, prediction, there.get(task.task_id))
                in_flight.append((task.task_id, job))
            if len(in_flight) == at_once:
                written += self._note(*in_flight.popleft())
            tried += 1
            if not hurry:
                self._rest(time.perf_counter() - start)
        for task_id, future in in_flight:
            written += self._note(task_id, future)
        return tried, written

    def _prediction(self, task: Placed) -> tuple[float, dict[str, Any]] | None:
        """The value of a task and what is shown of it; None when it has left the pool."""
        if task.task_id in self._hidden:
            return task.value, no_prediction(task.score, self._order.name, "")
        return self._order.prediction(task.task_id)

    def _note(self, task_id: int, prediction: "Future[Published | None]") -> bool:
        """Whether it was written."""
        published = prediction.result()
        if published is None:
            self._pool.forget([task_id])
        else:
            self._pool.note_published(published)
        return published is not None

    def _put(self, task: Placed, prediction: dict[str, Any], there: int | None) -> Published | None:
        """The new prediction, with the composer's score; None when the task is gone from Label Studio. The one that is
        `there` becomes it, unless it is gone."""
        new = {**prediction, "score": task.score}
        try:
            if there is not None and self._studio.replace_prediction(there, new):
                prediction_id = there
            else:
                prediction_id = self._studio.create_prediction(task.task_id, new)
        except StudioRefusedError as error:
            if error.code not in GONE:
                raise
            log.warning("task %d is gone from Label Studio: %s", task.task_id, error)
            return None
        shown = results.shown(prediction["result"])
        return Published(prediction_id, task.task_id, self._order.name, task.score, shown)

    def _clear(self, project: Project, prediction_ids: Sequence[int]) -> int:
        """Take away what is stale: of an order of which nothing is left but that, all of it in one request."""
        stale, of = set(prediction_ids), dict[str, set[int]]()
        for prediction in self._pool.published():
            of.setdefault(prediction.version, set()).add(prediction.prediction_id)
        for version, ids in of.items():
            if ids <= stale and is_ours(version) and version not in (project.model_version, self._order.name):
                self._studio.delete_model_version(project.id, version)
                for prediction_id in ids:
                    self._pool.note_withdrawn(prediction_id)
                stale -= ids
        left = [prediction_id for prediction_id in prediction_ids if prediction_id in stale]
        return len(prediction_ids) - len(left) + self._remove(left[:DELETIONS], at_least=LEAST)

    def _remove(self, prediction_ids: Sequence[int], at_least: int) -> int:
        removed = 0
        for prediction_id in prediction_ids:
            if self._superseded() or (removed >= at_least and self._hinted()):
                break
            start = time.perf_counter()
            self._studio.delete_prediction(prediction_id)
            self._pool.note_withdrawn(prediction_id)
            removed += 1
            self._rest(time.perf_counter() - start)
        return removed


def check_published(studio: LabelStudioClient, pool: Pool, project: int) -> None:
    """Notice predictions that came or went without us (a deleted version, a retrieval by a person, a crash).

    One small request; the list itself is read only when the numbers differ.
    """
    ours: dict[str, int] = {}
    for prediction in pool.published():
        ours[prediction.version] = ours.get(prediction.version, 0) + 1
    there = {version: n for version, n in studio.model_versions(project).items() if n and is_ours(version)}
    if ours != there:
        log.info("project %d: predictions in Label Studio are %s, expected %s; reading them", project, there, ours)
        pool.replace_published(studio.our_predictions(project))


def take_back_choices(
    studio: LabelStudioClient,
    pool: Pool,
    config: LabelConfig,
    project: Project,
    hinted: Callable[[], bool],
    others: int = 0,
) -> int:
    """Have our predictions no longer show labels that the config does not have (any more); returns how many still do.

    The editor ticks nothing for such a label, and Submit would store it all the same. A prediction keeps its score, so
    that the order stays. Those that annotators are served come first, in the order of the queue and without a rest; of
    what only the quick view shows, all but a few wait while a hint does.
    """
    wrong = [p for p in pool.published() if p.choice and not can_show(config, p.choice)]
    if not wrong:
        return 0
    waiting, followed = pool.waiting(project.model_version or ""), project.model_version
    wrong.sort(key=lambda p: (p.version != followed, p.score, p.prediction_id))
    served = [p for p in wrong if p.prediction_id in waiting]
    seen = [p for p in wrong if p.prediction_id not in waiting]
    done = 0
    with ThreadPoolExecutor(at_once(others)) as writers:
        for some in (served, *(seen[start : start + LEAST] for start in range(0, len(seen), LEAST))):
            if done >= len(served) + LEAST and hinted():
                break
            _show_nothing(studio, pool, some, writers)
            done += len(some)
    log.info("project %d: %d predictions showed a label that the config does not have", project.id, done)
    return len(wrong) - done


def _show_nothing(
    studio: LabelStudioClient, pool: Pool, predictions: Sequence[Published], writers: ThreadPoolExecutor
) -> None:
    updates = writers.map(lambda p: studio.update_prediction(p.prediction_id, []), predictions)
    for p, is_there in zip(predictions, updates, strict=True):
        if is_there:
            pool.note_published(replace(p, choice=""))
        else:
            pool.note_withdrawn(p.prediction_id)
