"""How a start order is made and kept, with a real model and no Label Studio."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from helpers.versions import make_card
from nextlabel.compute import local
from nextlabel.learning.start_order import start_order
from nextlabel.loop import starting
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.orders import StartOrder
from nextlabel.loop.starting import StartOrders, to_value
from nextlabel.model.classifier import Progress, Recipe, load_base
from nextlabel.model.tokens import TokenCache
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import EMBEDDINGS, Pool, pool_path
from nextlabel.store.state import StartState
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import ProjectOptions
from nextlabel.values.versions import is_ours, version_number, version_of
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

PROJECT = 1


class House:
    """A project that is read, and what makes its start order when the test says so."""

    def __init__(self, home: Path, tiny: Path, way: str = "typiclust"):
        settings = Settings(_env_file=None, model_dir=home, device="cpu", precision="fp32", start_order=way)
        self.registry, self.jobs, self.turn = Registry(home), JobQueue(home), ComputeGate()
        recipe = Recipe(str(tiny), 0, 0.0, 1, 32, 0, "cpu", "fp32")
        resident = LoadedVersions(settings, self.registry, 1)
        self.embedder = Embedder(recipe, resident, lambda _: TokenCache(home / "tokens"))
        self.board, self.time = StatusBoard(home), 1e9
        self.starts = StartOrders(
            settings, self.registry, self.board, self.jobs, self.embedder, self.turn, lambda: self.time
        )
        self.path = pool_path(home, PROJECT)
        self.pool = Pool(self.path)

    def add(self, ids: range, text: str = "text") -> None:
        self.pool.upsert(TaskRow(i, Example(i, f"{text} {i} {i * i}"), False, False, False, 0, ()) for i in ids)

    def label(self, task: int) -> None:
        vote = Vote("pos", False, "2026-01-01", False)
        self.pool.upsert([TaskRow(task, Example(task, f"text {task} {task * task}"), False, False, False, 1, (vote,))])

    def look(self) -> StartOrder | None:
        return self.starts.look(self.pool, PROJECT, may_ask=True)

    def make(self) -> StartOrder:
        """A second later, whatever is wanted."""
        self.time += 1
        self.starts.make(PROJECT)
        order = self.look()
        assert order is not None
        return order

    def embedded(self) -> list[int]:
        with Pool(self.path) as pool:  # some ask in another thread
            ids: list[int] = pool.vectors(EMBEDDINGS, self.embedder.name, pool.open_ids())[0].tolist()
        return ids


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    made = House(tmp_path, tiny)
    yield made
    made.pool.__exit__()


def tasks_of(order: StartOrder) -> list[int]:
    """After a look at whether each has a value of its own."""
    ranked = order.ranked(10**6, skipped=False)
    assert len({task.value for task in ranked}) == len(ranked)
    assert all(0 < task.value <= 1 for task in ranked)
    return [task.task_id for task in ranked]


def test_there_is_none_until_it_is_made_and_then_it_is_that_of_the_embeddings(house: House) -> None:
    assert house.look() is None
    assert house.jobs.waiting() == 0  # there is nothing to order
    house.add(range(1, 41))
    assert house.look() is None
    assert house.jobs.waiting() == 1
    order = house.make()
    ids_N, embedded_ND = house.pool.vectors(EMBEDDINGS, house.embedder.name, range(1, 41))
    assert tasks_of(order) == ids_N[start_order("typiclust", embedded_ND, 40, 0)].tolist()


def test_it_shows_nothing_and_a_task_keeps_its_value_while_others_are_labelled(house: House) -> None:
    house.add(range(1, 41))
    order = house.make()
    tasks = tasks_of(order)
    values = order.values(tasks)
    for task in tasks[:5]:
        house.label(task)
    again = house.make()
    assert (again.name, tasks_of(again)) == (order.name, tasks[5:])
    assert again.values(tasks) == {task: values[task] for task in tasks[5:]}
    value, prediction = again.prediction(tasks[5]) or (None, {})
    assert (value, prediction["score"]) == (to_value(5), 1 - to_value(5))
    assert (prediction["result"], prediction["model_version"]) == ([], order.name)
    assert again.prediction(tasks[0]) is None


def test_of_a_larger_pool_a_part_is_ordered_first_and_then_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "FIRST", 10)
    monkeypatch.setattr(starting, "PLACES", 8)
    house.add(range(1, 41))
    house.starts.make(PROJECT)
    part = house.embedded()
    assert len(part) == 10
    first = house.look()
    assert first is not None
    assert set(tasks_of(first)[:10]) == set(part)
    assert len(tasks_of(first)) == 40
    assert house.jobs.waiting() > 0
    whole = house.make()
    assert (whole.name != first.name, len(house.embedded()), len(tasks_of(whole))) == (True, 40, 40)
    assert house.make().name == whole.name


def test_a_very_large_pool_is_not_embedded_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "FIRST", 10)
    monkeypatch.setattr(starting, "ORDERED_AT_MOST", 20)
    house.add(range(1, 41))
    house.make()
    order = house.make()
    assert house.make().name == order.name
    assert (len(house.embedded()), len(tasks_of(order))) == (20, 40)


def test_tasks_that_come_later_stand_behind_and_when_the_pool_has_doubled_all_are_ordered_anew(house: House) -> None:
    house.add(range(1, 21))
    order = house.make()
    tasks = tasks_of(order)
    house.add(range(21, 41))
    assert tasks_of(house.make()) == [*tasks, *range(21, 41)]
    house.add(range(41, 42))
    anew = house.make()
    assert anew.name != order.name
    assert (len(tasks_of(anew)), len(house.embedded())) == (41, 41)


def test_one_whose_values_are_gone_is_made_anew(house: House) -> None:
    house.add(range(1, 21))
    tasks = tasks_of(house.make())
    house.pool.keep_scores_of(make_card(PROJECT).version)
    assert house.look() is None
    assert tasks_of(house.make()) == tasks


def test_its_name_is_ours_and_no_versions(house: House) -> None:
    house.add(range(1, 21))
    name = house.make().name
    assert (is_ours(name), version_number(name), version_of(name)) == (True, 0, name)


def test_an_edited_text_goes_behind(house: House) -> None:
    house.add(range(1, 21))
    tasks = tasks_of(house.make())
    house.add(range(tasks[0], tasks[0] + 1), "another text")
    assert tasks_of(house.make()) == [*tasks[1:], tasks[0]]


def test_a_fit_goes_first_and_what_was_embedded_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(range(1, 1001))
    with house.turn.for_fit(PROJECT):
        house.starts.make(PROJECT)
    assert (house.look(), house.embedded(), house.jobs.waiting()) == (None, [], 1)
    monkeypatch.setattr(ComputeGate, "fits", lambda *_: len(house.embedded()) > 0)
    house.starts.make(PROJECT)
    assert house.look() is None
    assert 0 < len(house.embedded()) < 1000
    monkeypatch.undo()
    assert len(tasks_of(house.make())) == 1000


def comes_while_embedding(house: House, monkeypatch: pytest.MonkeyPatch, project: int) -> None:
    """A fit of that project, which begins at the first embedding, or waits until somebody gives way."""
    embed, done, fits = Embedder.embed, threading.Event(), list[threading.Thread]()

    def fit() -> None:
        with house.turn.for_fit(project):
            done.wait(60)

    def with_a_fit(self: Embedder, pool: Pool, of: int, tasks: Sequence[Example], progress: Progress) -> None:
        fits.append(threading.Thread(target=fit))
        fits[0].start()
        while not house.turn.fits(project):
            pass
        embed(self, pool, of, tasks, progress)

    monkeypatch.setattr(Embedder, "embed", with_a_fit)
    house.starts.make(PROJECT)
    monkeypatch.undo()
    done.set()
    fits[0].join(30)
    assert not fits[0].is_alive()


def test_the_first_order_gives_way_to_its_own_fit_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add(range(1, 21))
    comes_while_embedding(house, monkeypatch, PROJECT)
    assert house.look() is None
    comes_while_embedding(house, monkeypatch, PROJECT + 1)
    order = house.look()
    assert order is not None
    assert len(tasks_of(order)) == 20
    house.add(range(21, 61))
    comes_while_embedding(house, monkeypatch, PROJECT + 1)
    assert len(house.embedded()) < 60, "a better order can wait"


def test_the_first_order_is_made_while_another_project_is_fitted(house: House) -> None:
    """However long: the fit has its turn, and the thread in which fits run, until the order is there."""
    house.add(range(1, 21))
    ends, begun = threading.Event(), threading.Event()

    def slow_fit() -> None:
        begun.set()
        ends.wait(60)

    def fit() -> None:
        with house.turn.for_fit(PROJECT + 1):
            local.run(slow_fit)

    fitting = threading.Thread(target=fit)
    fitting.start()
    assert begun.wait(30)
    first = house.make()
    house.add(range(21, 61))
    house.starts.make(PROJECT)
    waiting = house.look()
    ends.set()
    fitting.join(30)
    assert waiting is not None
    assert (waiting.name, len(house.embedded())) == (first.name, 20), "a better order waits"
    assert house.make().name != first.name


def test_of_two_first_orders_one_is_made_beside_a_fit_and_then_the_other(house: House) -> None:
    house.add(range(1, 21))
    with house.turn.for_fit(PROJECT + 1):
        with house.turn.beside_fits_of_others(PROJECT + 2) as ours:
            assert ours
            house.starts.make(PROJECT)
            assert (house.look(), house.jobs.waiting()) == (None, 1)
        assert len(tasks_of(house.make())) == 20


def test_when_there_is_a_version_none_is_made(house: House, tiny: Path) -> None:
    house.add(range(1, 21))
    card = make_card(PROJECT)
    house.registry.save(card, {}, load_base(Recipe(str(tiny), 0, 0.0, 1, 32, 0, "cpu")).save)
    house.registry.promote(PROJECT, card.version)
    house.starts.make(PROJECT)
    assert house.look() is None
    assert house.pool.state(StartState) == StartState()
    assert house.embedded() == []


def test_beside_a_version_tasks_are_embedded_where_a_person_looks_for_texts(house: House, tiny: Path) -> None:
    house.add(range(1, 21))
    card = make_card(PROJECT)
    house.registry.save(card, {}, load_base(Recipe(str(tiny), 0, 0.0, 1, 32, 0, "cpu")).save)
    house.registry.promote(PROJECT, card.version)
    house.registry.put_options(PROJECT, ProjectOptions(look_for={"pos": ("text 7",)}))
    house.starts.make(PROJECT)
    assert (house.embedded(), house.pool.state(StartState)) == (list(range(1, 21)), StartState())
    waiting = house.jobs.waiting()
    house.add(range(21, 23))
    house.starts.look_for(house.pool, PROJECT)
    assert house.jobs.waiting() == waiting, "two of 22 are too few to load the encoder for"
    house.add(range(23, 31))
    house.starts.look_for(house.pool, PROJECT)
    assert house.jobs.waiting() == waiting + 1


def test_where_it_is_off_none_is_made(tmp_path: Path, tiny: Path) -> None:
    house = House(tmp_path, tiny, "off")
    house.add(range(1, 21))
    house.starts.make(PROJECT)
    assert (house.look(), house.embedded(), house.jobs.waiting()) == (None, [], 1)
    house.pool.__exit__()


def test_a_base_checkpoint_that_is_not_there_leaves_the_queue_as_it_is(tmp_path: Path) -> None:
    house = House(tmp_path / "home", tmp_path / "nowhere")
    house.add(range(1, 21))
    house.starts.make(PROJECT)
    assert house.look() is None
    house.pool.__exit__()
