"""What a version has yet to score: a few on the spot, many in parts, and always behind a fit. With a real model."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from helpers.versions import EXAMPLES, make_card
from helpers.waiting import wait_until
from nextlabel.compute import rounds
from nextlabel.compute.tasks import TaskLostError
from nextlabel.errors import NoModelError
from nextlabel.learning.rounds import Scored
from nextlabel.loop import backlog as backlogs
from nextlabel.loop.backlog import FEW, PART, TO_KEEP, TRIES, Backlog
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.model.training import fit
from nextlabel.settings import Settings
from nextlabel.store.arrays import record
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow
from nextlabel.values.versions import Card
from nextlabel.versions.loaded import SLICE, LoadedVersions
from nextlabel.versions.registry import Registry

PROJECT = 1
VERSION = make_card(1).version


class Worker:
    """Notes the parts that it is asked for."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, str, int, int]] = []
        self.hints: list[int] = []

    def reconcile(self, project: int, thorough: bool) -> None:
        self.hints.append(project)

    def fit(self, project: int) -> None:
        raise AssertionError("nobody asked for a fit")

    def score(self, project: int, version: str, first: int, last: int) -> None:
        self.parts.append((project, version, first, last))

    def start(self, project: int) -> None:
        raise AssertionError("there is a version")

    def forget(self, project: int, task_ids: object) -> None:
        raise AssertionError("nothing was deleted")

    def helping(self, project: int) -> None:
        raise AssertionError("nobody asked for it")


class House:
    """An active version, a pool, and a queue that is worked on when the test says so."""

    def __init__(self, model_dir: Path, tiny: Path):
        settings = Settings(_env_file=None, model_dir=model_dir, device="cpu", precision="fp32")
        self.registry = Registry(model_dir)
        classifier = fit(
            Recipe(str(tiny), 1, 5e-4, 4, 32, 0, "cpu", "fp32"), ("pos", "neg"), EXAMPLES, np.arange(4) % 2
        )
        for number in (1, 2):
            self.registry.save(make_card(number), {}, classifier.save)
        self.registry.promote(PROJECT, VERSION)
        self.worker = Worker()
        self.jobs = JobQueue(model_dir)
        self.jobs.assign(self.worker)
        self.turn = ComputeGate()
        self.settings, self.resident = settings, LoadedVersions(settings, self.registry, 1)
        self.backlog = Backlog(settings, self.registry, self.jobs, self.resident, self.turn)
        self.pool = Pool(pool_path(model_dir, PROJECT))

    def add(self, *ids: int) -> None:
        rows = [TaskRow(i, Example(i, f"text {i}"), False, False, False, 0, ()) for i in ids]
        self.pool.upsert(rows)

    def look(self) -> int:
        return self.backlog.look(self.pool, make_card(1))

    def work(self) -> list[tuple[int, str, int, int]]:
        """Take every job that can be begun now; the parts among them."""
        self.worker.parts = []
        while task := self.jobs.huey.dequeue():
            self.jobs.huey.execute(task)
        return self.worker.parts

    def waiting(self) -> int:
        return self.jobs.waiting()


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    made = House(tmp_path, tiny)
    yield made
    made.pool.__exit__()


def test_a_few_new_tasks_are_scored_on_the_spot(house: House) -> None:
    house.add(*range(1, FEW + 1))
    assert house.look() == 0
    assert house.pool.unscored(VERSION) == []
    assert house.waiting() == 0
    values = [ranked.value for ranked in house.pool.ranked(VERSION, FEW, skipped=False)]
    assert len(values) == FEW
    assert 0 < min(values) <= max(values) <= 1


def test_of_many_the_parts_are_asked_for_once_each(house: House) -> None:
    ids = [*range(1, FEW), PART, 2 * PART - 1, 7 * PART]
    house.add(*ids)
    assert house.look() == len(ids)
    assert house.look() == len(ids)
    parts = house.work()
    assert sorted(parts) == [(PROJECT, VERSION, n * PART, n * PART + PART - 1) for n in (0, 1, 7)]
    assert house.look() == len(ids), "nothing was scored, so the parts are asked for again"
    assert sorted(house.work()) == sorted(parts)


def test_after_the_last_part_and_no_earlier_the_project_is_looked_at_again(house: House) -> None:
    house.add(*range(1, SLICE + 10), PART + 1)
    for _ in range(2):
        house.backlog.score(PROJECT, VERSION, 0, PART - 1)
        assert [e.id for e in house.pool.unscored(VERSION)] == [PART + 1]
    house.work()
    assert house.worker.hints == []
    house.backlog.score(PROJECT, VERSION, PART, 2 * PART - 1)
    house.work()
    assert house.worker.hints == [PROJECT]


class InstantCluster:
    """Has room for everything, and answers at once."""

    takes_tasks = has_room = True

    def score(self, card: Card, version: Path, examples: Sequence[Example]) -> "Future[Scored]":
        ended = Future[Scored]()
        ended.set_result(Scored((), np.full((len(examples), 2), 0.5), np.full(len(examples), 0.5)))
        return ended


def test_a_cluster_that_is_faster_than_the_disk_does_not_fill_the_memory(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, kept = threading.Event(), list[int]()

    def keep(pool: Pool, version: str, scored: Scored) -> None:
        assert disk.wait(60)
        kept.extend(example.id for example in scored.examples)

    monkeypatch.setattr(backlogs, "keep", keep)
    there: Any = InstantCluster()
    backlog = Backlog(house.settings, house.registry, house.jobs, house.resident, house.turn, there)
    house.add(*range(1, TO_KEEP + 2))
    for task in range(1, TO_KEEP + 2):
        assert backlog.has_room == (task <= TO_KEEP)
        backlog.score(PROJECT, VERSION, task, task)
    assert house.waiting() == 1, "the last one is asked for again"
    disk.set()
    wait_until(lambda: backlog.has_room and len(kept) == TO_KEEP, "the others are on the disk")


class SlowCluster:
    """Answers when it is told to."""

    takes_tasks = has_room = True

    def __init__(self) -> None:
        self.out: list[tuple[Sequence[Example], Future[Scored]]] = []

    def score(self, card: Card, version: Path, examples: Sequence[Example]) -> "Future[Scored]":
        self.out.append((examples, Future()))
        return self.out[-1][1]

    def answer(self) -> None:
        for examples, ended in self.out:
            ended.set_result(Scored((), np.full((len(examples), 2), 0.5), np.full(len(examples), 0.5)))


def records_of(model_dir: Path) -> int:
    """How many there are in the file: a text that is there twice counts twice."""
    [file] = pool_path(model_dir, PROJECT).with_suffix(".values").glob(f"*/{VERSION}")
    return file.stat().st_size // record(2).itemsize


def test_what_is_under_way_is_not_scored_here_whoever_asks_for_it(house: House) -> None:
    there: Any = SlowCluster()
    backlog = Backlog(house.settings, house.registry, house.jobs, house.resident, house.turn, there)
    house.add(*range(1, 11))
    backlog.score(PROJECT, VERSION, 0, PART - 1)
    house.add(PART + 1)
    assert backlog.look(house.pool, make_card(1)) == 10, "the new one alone was scored on the spot"
    there.takes_tasks = False  # it is full, or away
    backlog.score(PROJECT, VERSION, 0, PART - 1)
    assert len(house.pool.unscored(VERSION)) == 10
    there.answer()
    wait_until(lambda: not house.pool.has_unscored(VERSION), "the part came back")
    assert records_of(house.settings.model_dir) == 11


def test_a_task_that_is_new_or_edited_waits_for_no_part_whose_ids_are_around_its_own(house: House) -> None:
    there: Any = SlowCluster()
    backlog = Backlog(house.settings, house.registry, house.jobs, house.resident, house.turn, there)
    house.add(1, 2, 4)
    backlog.score(PROJECT, VERSION, 0, PART - 1)
    house.add(3)
    house.pool.upsert([TaskRow(2, Example(2, "another text"), False, False, False, 0, ())])
    assert backlog.look(house.pool, make_card(1)) == 2
    assert [example.id for example in house.pool.unscored(VERSION)] == [1, 4]
    there.answer()
    wait_until(lambda: not backlog._under_way, "the part came back")
    assert not house.pool.has_unscored(VERSION)
    assert records_of(house.settings.model_dir) == 4


def test_what_two_trainers_have_scored_is_in_the_record_once(house: House) -> None:
    there: list[Any] = [SlowCluster(), SlowCluster()]
    trainers = [
        Backlog(house.settings, house.registry, house.jobs, house.resident, house.turn, cluster) for cluster in there
    ]
    house.add(*range(1, 11))
    for trainer in trainers:
        trainer.score(PROJECT, VERSION, 0, PART - 1)
    house.backlog.score(PROJECT, VERSION, 0, 5)
    threads = [threading.Thread(target=cluster.answer) for cluster in there]
    for thread in threads:
        thread.start()
    wait_until(lambda: not any(trainer._under_way for trainer in trainers), "both came back")
    assert not house.pool.has_unscored(VERSION)
    assert records_of(house.settings.model_dir) == 10


def test_a_part_that_fails_again_and_again_is_scored_here(house: House) -> None:
    class Failing(InstantCluster):
        def score(self, card: Card, version: Path, examples: Sequence[Example]) -> "Future[Scored]":
            asked.append(len(examples))
            ended = Future[Scored]()
            ended.set_exception(TaskLostError("the nodes have another release"))
            return ended

    asked, there = list[int](), cast(Any, Failing())
    backlog = Backlog(house.settings, house.registry, house.jobs, house.resident, house.turn, there)
    house.add(1, 2)
    for _ in range(TRIES):
        backlog.score(PROJECT, VERSION, 0, PART - 1)
        wait_until(lambda: not backlog._under_way, "it is over")
    backlog.score(PROJECT, VERSION, 0, PART - 1)
    assert asked == [2] * TRIES
    assert not house.pool.has_unscored(VERSION)


def test_a_checkpoint_is_verified_once_also_when_parts_of_projects_take_turns(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified, card = list[tuple[int, str]](), house.registry.card(PROJECT, VERSION)
    monkeypatch.setattr(house.registry, "verify", lambda *which: verified.append(which))
    monkeypatch.setattr(house.registry, "current", lambda project: VERSION)  # of the same second in both
    monkeypatch.setattr(house.registry, "card", lambda *which: card)
    there = cast(Any, SlowCluster())
    backlog = Backlog(house.settings, house.registry, house.jobs, house.resident, house.turn, there)
    for project in (PROJECT, PROJECT + 1):
        with Pool(pool_path(house.settings.model_dir, project)) as pool:
            pool.upsert([TaskRow(i, Example(i, f"text {i}"), False, False, False, 0, ()) for i in (1, 2)])
    for part in ((1, 1), (2, 2)):
        for project in (PROJECT, PROJECT + 1):
            backlog.score(project, VERSION, *part)
    assert len(there.out) == 4
    assert verified == [(PROJECT, VERSION), (PROJECT + 1, VERSION)]


def test_of_a_part_that_took_too_long_the_rest_is_asked_for(house: House) -> None:
    class CutsShort(InstantCluster):
        def score(self, card: Card, version: Path, examples: Sequence[Example]) -> "Future[Scored]":
            asked.append([example.id for example in examples])
            return super().score(card, version, examples[:3])

    asked, there = list[list[int]](), cast(Any, CutsShort())
    backlog = Backlog(house.settings, house.registry, house.jobs, house.resident, house.turn, there)
    house.add(1, 2, 3, 4, 5)
    backlog.score(PROJECT, VERSION, 0, PART - 1)
    wait_until(lambda: house.waiting() == 1, "the rest is asked for")
    house.jobs.assign(cast(Any, SimpleNamespace(score=backlog.score, reconcile=house.worker.reconcile)))
    house.work()
    wait_until(lambda: not house.pool.has_unscored(VERSION), "it came back")
    assert asked == [[1, 2, 3, 4, 5], [4, 5]]
    assert records_of(house.settings.model_dir) == 5


def test_a_node_ends_a_part_that_takes_long_after_a_slice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = classifiers.load(house.registry.path(PROJECT, VERSION), "cpu", "fp32")
    examples = [Example(i, f"text {i}") for i in range(1, 6)]

    def scored(long_s: float) -> Scored:
        monkeypatch.setattr(rounds, "LONG_S", long_s)
        return rounds.score_part(lambda stage, done, total: None, opened, examples, "entropy", 0, False, 2)

    whole, begun = scored(600.0), scored(-1.0)
    assert (len(whole.values_N), len(begun.values_N)) == (5, 2)
    assert begun.probs_NC.tolist() == whole.probs_NC[:2].tolist()


def test_a_part_that_could_not_be_handed_in_is_handed_in_when_it_is_asked_for_again(house: House) -> None:
    class FailsFirst(InstantCluster):
        def score(self, card: Card, version: Path, examples: Sequence[Example]) -> "Future[Scored]":
            asked.append(len(examples))
            if len(asked) == 1:
                raise NoModelError("gone for a moment")
            return super().score(card, version, examples)

    asked, there = list[int](), cast(Any, FailsFirst())
    backlog = Backlog(house.settings, house.registry, house.jobs, house.resident, house.turn, there)
    house.add(1)
    with pytest.raises(NoModelError):
        backlog.score(PROJECT, VERSION, 1, 1)
    backlog.score(PROJECT, VERSION, 1, 1)
    assert asked == [1, 1]
    wait_until(lambda: not house.pool.has_unscored(VERSION), "it is on the disk")


def test_the_parts_of_a_version_that_is_not_active_any_more_are_dropped(house: House) -> None:
    house.add(1, 2)
    house.registry.promote(PROJECT, make_card(2).version)
    house.backlog.score(PROJECT, VERSION, 0, PART - 1)
    assert len(house.pool.unscored(VERSION)) == 2
    assert house.waiting() == 0


def test_while_a_fit_has_the_turn_a_part_comes_later(house: House) -> None:
    house.add(1, 2)
    with house.turn.for_fit(PROJECT) as ours:
        assert ours
        house.backlog.score(PROJECT, VERSION, 0, PART - 1)
    assert len(house.pool.unscored(VERSION)) == 2
    assert house.waiting() == 1
    house.backlog.score(PROJECT, VERSION, 0, PART - 1)
    assert house.pool.unscored(VERSION) == []


@pytest.mark.parametrize(("method", "left"), [("_score", 2), ("_give_way", 3)], ids=["between two", "within one"])
def test_a_fit_that_comes_stops_a_part(method: str, left: int, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit comes after the first slice, or after its first batch; what is done of a slice is then dropped."""
    house.add(*range(1, 3 * SLICE + 1))
    fitting, done = threading.Event(), threading.Event()

    def fit_now() -> None:
        with house.turn.for_fit(PROJECT) as ours:
            assert ours
            fitting.set()
            done.wait(30)

    watched = getattr(Backlog, method)
    fits: list[Any] = []

    def a_fit_comes(self: Backlog, *args: object) -> None:
        if method == "_score":
            watched(self, *args)
        if not fits:
            fits.append(threading.Thread(target=fit_now))
            fits[0].start()
            while not house.turn.fit_comes:
                pass
        if method == "_give_way":
            watched(self, *args)

    monkeypatch.setattr(Backlog, method, a_fit_comes)
    house.backlog.score(PROJECT, VERSION, 0, PART - 1)
    assert fitting.wait(30), "the turn was given to the fit"
    done.set()
    assert len(house.pool.unscored(VERSION)) == left * SLICE
    assert house.waiting() == 1, "the rest of the part is asked for"


def test_two_fits_do_not_share_a_process_and_the_second_does_not_wait() -> None:
    turn = ComputeGate()
    with turn.for_fit(PROJECT) as first, turn.for_fit(PROJECT) as second:
        assert (first, second) == (True, False)
    with turn.for_fit(PROJECT) as after:
        assert after
    assert not turn.fit_comes


def test_a_second_fit_does_not_wait_while_the_first_waits_for_a_slice() -> None:
    turn = ComputeGate()

    def fit_when_free() -> None:
        with turn.for_fit(PROJECT) as ours:
            assert ours

    fitting = threading.Thread(target=fit_when_free)
    with turn.for_scoring() as scoring:
        assert scoring
        fitting.start()
        while not turn.fit_comes:
            pass
        with turn.for_fit(PROJECT) as second:
            assert not second
        assert turn.fit_comes
    fitting.join(30)
    assert not fitting.is_alive()


def test_a_fit_waits_for_a_slice_however_many_parts_are_refused_meanwhile() -> None:
    turn, got = ComputeGate(), threading.Event()

    def fit_when_free() -> None:
        with turn.for_fit(PROJECT) as ours:
            assert ours
            got.set()

    fitting = threading.Thread(target=fit_when_free)
    with turn.for_scoring() as scoring, turn.for_scoring() as another:
        assert (scoring, another) == (True, False)
        fitting.start()
        while not turn.fit_comes:
            pass
        with turn.for_scoring() as third:
            assert not third
        assert not got.is_set()
    fitting.join(30)
    assert got.is_set()
    assert not turn.fit_comes
