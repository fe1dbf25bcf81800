"""Arms of a simulation on a cluster: each round of each arm is a task, and what is lost of it is that round.

Gives the records of one machine of the same kind with as many threads. Writes nothing.
"""

import functools
import hashlib
import logging
import math
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from pathlib import Path

from nextlabel.compute.cluster import Cluster
from nextlabel.compute.tasks import ClusterAwayError, Running, Shared, Task, Tell
from nextlabel.errors import DivergedError
from nextlabel.model import checkpoints, packed
from nextlabel.model.devices import use_threads
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.experiment import Event, ExperimentPlan, Job, Make
from nextlabel.simulation.records import FULL, Record
from nextlabel.simulation.replay import Arm, Player, RunProtocol, rounds_in

log = logging.getLogger(__name__)

LOOK_S = 1.0  # so often Ctrl-C is heeded


def on_cluster(cluster: Cluster) -> Make:
    """How an `Experiment` has its arms played there. What it gives back, as it is away or full, is played here, round
    after round, until it can be had again."""
    return lambda data, protocol, jobs, plan: _Play(cluster, data, protocol, plan).play(jobs)


class _Play:
    """A run on a cluster: which rounds are under way, and what is known of each arm."""

    def __init__(self, cluster: Cluster, data: TextSet, protocol: RunProtocol, plan: ExperimentPlan):
        self._cluster, self._data, self._protocol, self._plan = cluster, data, protocol, plan
        given = pickle.dumps((data, protocol), protocol=5)
        self._run = hashlib.sha256(given).hexdigest()[:16]
        base = checkpoints.directory_of(protocol.recipe.base_model)
        self._shared = (
            Shared(f"run {self._run}", functools.partial(bytes, given), pickle.loads),
            Shared(f"checkpoint {packed.key(base)}", functools.partial(packed.pack, base), packed.unpacked),
        )
        self._made: dict[Arm, list[Record]] = {}
        self._under_way: dict[Running, Job] = {}
        self._refused: list[Job] = []
        self._here = False

    def play(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """All rounds that are missing."""
        self._made = {arm: list(made) for job in jobs for arm, made in job}
        for arms in _begun_together(self._made):
            self._submit(arms)
        try:
            while self._under_way or self._refused:
                yield from self._ended()
                if self._refused:
                    yield from self._again(self._refused.pop(0))
        finally:
            for running in self._under_way:
                self._cluster.cancel(running)

    def _again(self, job: Job) -> Iterator[Event]:
        """What was refused is handed in once more or, while the cluster is not to be asked, played here."""
        if not self._cluster.rests:
            self._submit([arm for arm, _ in job])
            return
        if not self._here:
            log.warning("The cluster is %s; what it gives back is played here, a round at a time.", self._cluster.words)
        self._here = True
        use_threads(self._plan.threads)
        player = _player(self._run, self._data, self._protocol)
        yield from self._took([_next(player, arm, made, self._plan.rounds) for arm, made in job])

    def _job(self, arms: Sequence[Arm]) -> Job:
        return [(arm, self._made[arm]) for arm in arms if not self._is_over(arm)]

    def _is_over(self, arm: Arm) -> bool:
        made = self._made[arm]
        most = rounds_in(self._data, self._protocol, arm, self._plan.rounds)
        return len(made) >= most or bool(made and not made[-1].chosen)

    def _submit(self, arms: Sequence[Arm]) -> None:
        job = self._job(arms)
        if not job:
            return
        names = ", ".join(f"{arm.seed} {arm.strategy} {len(made)}" for arm, made in job)
        arguments = (self._run, job, self._plan.rounds)
        task = Task(
            f"{self._run}: {names}", play_next, arguments, self._shared, self._plan.threads, still_s=math.inf
        )  # a round tells nothing before it is over
        self._under_way[self._cluster.submit(task)] = job

    def _ended(self) -> Iterator[Event]:
        """What came of the rounds that ended, and the next ones handed in before."""
        wait(self._under_way, timeout=0 if self._refused else LOOK_S, return_when=FIRST_COMPLETED)
        for running in [running for running in self._under_way if running.done()]:
            job = self._under_way[running]
            try:
                events = running.result()
            except ClusterAwayError:
                events = []
                self._refused.append(job)
            else:
                self._say_it_is_back()
            del self._under_way[running]
            yield from self._took(events)

    def _took(self, events: Sequence[Event]) -> Sequence[Event]:
        for event in events:
            if event.record is not None:
                self._made[event.arm].append(event.record)
                self._submit([event.arm])
        return events

    def _say_it_is_back(self) -> None:
        if self._here and not self._cluster.rests:
            log.warning("Rounds are played on the cluster again.")
            self._here = False


def _begun_together(made: dict[Arm, list[Record]]) -> list[list[Arm]]:
    """The first rounds of a seed's arms are one task, for they share their fit; the baseline has one of its own."""
    groups: dict[object, list[Arm]] = {}
    for arm, records in made.items():
        alone = bool(records) or arm.strategy == FULL
        groups.setdefault(arm if alone else arm.seed, []).append(arm)
    return list(groups.values())


def play_next(
    tell: Tell, given: tuple[TextSet, RunProtocol], base: Path, run: str, job: Job, rounds: int | None
) -> list[Event]:
    """On a node: the next round of each arm. A fit that diverges ends its arm."""
    data, protocol = given
    protocol = replace(protocol, recipe=replace(protocol.recipe, base_model=str(base)))
    return [_next(_player(run, data, protocol), arm, made, rounds) for arm, made in job]


def _next(player: Player, arm: Arm, made: Sequence[Record], rounds: int | None) -> Event:
    try:
        return Event(arm, next(player.play(arm, made, rounds)))
    except DivergedError as error:
        return Event(arm, failed=str(error))


_players: dict[str, Player] = {}


def _player(run: str, data: TextSet, protocol: RunProtocol) -> Player:
    """Of the run that this process plays: it holds word pieces, embeddings and the first fit of a seed."""
    if run not in _players:
        _players.clear()
        _players[run] = Player(data, protocol)
    return _players[run]
