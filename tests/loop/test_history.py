"""How good each version was, by the labels of today: of versions that are kept, deleted, refused, and of heads."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.house import CONFIG, HOLDOUT, PROJECT, RIGHT, TRAIN, WRONG, House
from helpers.versions import NOW, cut, make_card, write_weights
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.learning.control import Control
from nextlabel.learning.heads import EVERY
from nextlabel.loop.heading import HeadMaker
from nextlabel.loop.history import STEP, Historian, InForce
from nextlabel.loop.marks import begin
from nextlabel.loop.orders import keep
from nextlabel.problems import quality
from nextlabel.problems.history import CONTROL_SET, NO_HISTORY, History, Point
from nextlabel.problems.history import HOLDOUT as BY_HOLDOUT
from nextlabel.problems.intervals import clopper_pearson
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import encoded
from nextlabel.values.versions import version_name
from nextlabel.versions.history import FILE, Said, note_said
from nextlabel.versions.registry import Registry

READING = replace(parse_label_config(CONFIG), control=Control("a seed", 0.1))
PLAIN = parse_label_config(CONFIG)
FORM = (
    '<View><Text name="text" value="$text"/>'
    '<Choices name="topic" toName="text" choice="single"><Choice value="a"/><Choice value="b"/></Choices>'
    '<Choices name="tone" toName="text" choice="single"><Choice value="x"/><Choice value="y"/></Choices></View>'
)
SET = range(301, 381)
REFUSED = version_name(3, NOW)


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    found = House(tmp_path, tiny, head="on", query_strategy="margin", keep_versions=1, promote_margin=1)
    begin(found.pool, READING, asked_before=False)
    found.pool.upsert(control(task) for task in SET)
    found.label(TRAIN, RIGHT)
    found.fit()
    yield found
    found.pool.__exit__()


def control(task: int, *labels: str, draw: int = 0) -> TaskRow:
    """A task whose right label changes with every third one, so that a model finds some of them hard."""
    word = ("yes", "no")[task % 2]
    example = Example(task, f"{word}, {word}, number {task}")
    votes = tuple(Vote(label, False, "") for label in labels)
    return TaskRow(task, example, False, bool(labels), False, len(votes), votes, draw=f"{16 * (draw or task):064x}")


def given(task: int) -> str:
    return ("pos", "neg")[task % 2 if task % 3 else task % 4 // 2]


def answer(house: House, tasks: Sequence[int]) -> None:
    house.pool.upsert(control(task, given(task)) for task in tasks)


def score(house: House) -> None:
    card = house.registry.card(PROJECT, house.active_version)
    keep(house.pool, card.version, house.resident.score(card, house.pool.unscored(card.version), False, features=True))


def look(house: House, order: str = "", known: int = 0, config: LabelConfig = READING) -> tuple[Point, ...]:
    card = house.registry.card(PROJECT, house.active_version)
    in_force = InForce(order or card.version, card, known or card.examples)
    Historian(house.registry, house.board, lambda: house.now).look(house.pool, PROJECT, config, in_force, anew=True)
    return house.board.history(PROJECT).points


def said_by_hand(house: House) -> dict[int, str]:
    """What the active version says of each task of the set, from its weights."""
    card = house.registry.card(PROJECT, house.active_version)
    examples = house.pool.examples(SET)
    probs_NC = house.resident.score(card, examples, exact=False).probs_NC
    return {e.id: card.labels[best] for e, best in zip(examples, probs_NC.argmax(axis=1), strict=True)}


def expect(point: Point, said: dict[int, str], tasks: Sequence[int]) -> None:
    """The figures as computed from what was said and given."""
    right, names = sum(said[task] == given(task) for task in tasks), ("pos", "neg")
    numbers = [np.array([names.index(of(task)) for task in tasks]) for of in (given, said.__getitem__)]
    table = quality.confusion(numbers[0], numbers[1], 2)
    wide = clopper_pearson(right, len(tasks)).width >= 0.25
    assert point.judged_by == CONTROL_SET
    assert point.accuracy == (None if wide else quality.accuracy(table))
    if point.accuracy is not None:
        assert (point.accuracy.value, point.accuracy.examples) == (right / len(tasks), len(tasks))
    assert point.majority == table.sum(axis=1).max() / len(tasks)


def test_every_version_is_judged_by_the_labels_of_today_also_when_it_was_deleted(house: House) -> None:
    first = house.active_version
    [bare] = look(house)
    assert (bare.judged_by, bare.accuracy, bare.labels) == ("", None, len(TRAIN)), "it has scored nothing of the set"
    score(house)
    assert look(house)[0].judged_by == "", "nothing of the set is labelled"
    said = {first: said_by_hand(house)}
    answer(house, SET[:20])
    [young] = look(house)
    expect(young, said[first], SET[:20])
    assert young.accuracy is None, "so few labels cannot tell"

    house.label(range(201, 225), WRONG)
    second = house.fit()
    assert house.registry.versions(PROJECT) == [second], "the first one is deleted"
    score(house)
    said[second] = said_by_hand(house)
    answer(house, SET)
    points = look(house)
    assert [(point.version, point.labels) for point in points] == [(first, 24), (second, 48)]
    assert said[first] != said[second]
    for point in points:
        expect(point, said[point.version], SET)
        assert point.accuracy is not None
    house.pool.upsert([control(task, given(task)) for task in SET[10:]])
    house.pool.forget(SET[:10])
    for point in look(house):
        expect(point, said[point.version], SET[10:])


def test_texts_that_were_imported_later_judge_the_later_versions_alone(house: House) -> None:
    score(house)
    answer(house, SET)
    look(house)
    first = said_by_hand(house)
    house.pool.upsert([control(task, given(task), draw=task - 400) for task in range(501, 521)])
    points = look(house)
    expect(points[0], first, SET)
    house.label(range(201, 225), RIGHT)
    house.fit()
    score(house)
    points = look(house)
    expect(points[0], first, SET)
    assert points[1].accuracy is not None
    assert points[1].accuracy.examples == len(SET) + 20


def test_a_head_is_kept_when_it_knows_enough_more(house: House) -> None:
    score(house)
    answer(house, SET)
    assert [point.name for point in look(house)] == ["1"]
    card = house.registry.card(PROJECT, house.active_version)
    maker, names = HeadMaker(house.registry, house.resident), []
    for last in (201 + EVERY, 201 + 2 * EVERY):
        house.label(range(201, last), RIGHT)
        labels = house.pool.labels(READING.question, holdout=False)
        head = maker.newest(house.pool, card, READING, labels, 0)
        assert head is not None
        names.append(head[0])
        look(house, head[0], len(head[1].known))
    points = house.board.history(PROJECT).points
    kept = [f"1.{number}" for number in (1, 2) if EVERY * number >= STEP]
    assert [point.name for point in points] == ["1", *kept[:1]]
    assert points[1].labels >= points[0].labels + STEP
    assert points[1].judged_by == CONTROL_SET
    assert points[1].version == card.version


def test_a_version_that_was_fitted_on_a_text_of_the_set_is_not_judged_by_it(house: House) -> None:
    house.pool.upsert([control(TRAIN[0], "neg"), *(control(task, given(task)) for task in SET)])
    score(house)
    assert [point.judged_by for point in look(house)] == [""]


def copy_of(version: Path) -> Callable[[Path], None]:
    def write(there: Path) -> None:
        shutil.copytree(version, there, dirs_exist_ok=True)

    return write


def test_kept_versions_that_never_said_anything_are_asked(house: House) -> None:
    registry, first = house.registry, house.active_version
    answer(house, SET)
    historian = Historian(registry, house.board, lambda: house.now)
    assert historian.unsaid(house.pool, PROJECT, READING) == [], "the active one says it when it has scored the pool"
    said = said_by_hand(house)
    on_a_text_of_it = replace(registry.card(PROJECT, first), version=version_name(2, NOW), number=2)
    for card, labels in ((on_a_text_of_it, {SET[0]: "pos"}), (replace(on_a_text_of_it, version=REFUSED), {1: "pos"})):
        registry.save(replace(card, refused="it was worse"), labels, copy_of(registry.path(PROJECT, first)))
    unsaid = historian.unsaid(house.pool, PROJECT, READING)
    assert [card.version for card in unsaid] == [REFUSED, on_a_text_of_it.version]
    for card in unsaid:
        historian.ask(house.pool, READING, card, house.resident)
    assert historian.unsaid(house.pool, PROJECT, READING) == []
    points = {point.version: point for point in look(house)}
    expect(points[REFUSED], said, SET)
    assert points[REFUSED].refused == "it was worse"
    assert points[on_a_text_of_it.version].judged_by == "", "it was fitted on a text of the set"

    cut(registry.path(PROJECT, REFUSED) / "model.safetensors")
    (registry.home(PROJECT) / FILE).unlink()
    anew = Historian(Registry(house.settings.model_dir), house.board)
    left = [card.version for card in anew.unsaid(house.pool, PROJECT, READING)]
    assert left == [on_a_text_of_it.version], "a damaged one is not asked"


def test_the_holdout_judges_where_the_control_set_cannot(tmp_path: Path, tiny: Path) -> None:
    house = House(tmp_path, tiny)
    house.label(HOLDOUT, RIGHT, holdout=True)
    house.label(TRAIN, RIGHT)
    card = house.registry.card(PROJECT, house.fit())
    [point] = look(house, config=PLAIN)
    assert (point.judged_by, point.majority) == (BY_HOLDOUT, 0.5)
    assert card.scores is not None
    assert point.accuracy is not None
    assert (point.accuracy.value, point.accuracy.examples) == (card.scores["accuracy"], len(HOLDOUT))
    house.pool.__exit__()


def test_of_a_form_a_point_names_the_question_that_the_control_set_judges(tmp_path: Path) -> None:
    config = replace(parse_label_config(FORM), control=Control("a seed", 0.1))
    registry, board = Registry(tmp_path), StatusBoard(tmp_path)
    of_holdout = make_card(1, ("a", "b", "x", "y"), PROJECT, scores={"accuracy": 0.75})
    registry.save(of_holdout, {1: "a"}, lambda directory: None)
    said = Said(version_name(2, NOW), 16, NOW.timestamp() + 1, ("a", "b"), {f"{16 * task:016x}": 0 for task in SET})
    note_said(registry, PROJECT, said)
    with Pool(pool_path(tmp_path, PROJECT)) as pool:
        begin(pool, config, asked_before=False)
        pool.upsert(control(task, encoded({"tone": ("x",), "topic": ("a",)})) for task in SET)
        Historian(registry, board).look(pool, PROJECT, config, None, anew=True)
    points = board.history(PROJECT).points
    assert [(point.judged_by, point.question) for point in points] == [(BY_HOLDOUT, ""), (CONTROL_SET, "topic")]
    assert [point.accuracy.value for point in points if point.accuracy] == [0.75, 1.0]


def test_points_that_were_kept_before_they_named_a_question_are_still_read(tmp_path: Path) -> None:
    registry, board = Registry(tmp_path), StatusBoard(tmp_path)
    registry.know(PROJECT)
    point = Point(version_name(1, NOW), "1", 8, 5.0)
    board.put_history(PROJECT, History(7.0, (point,)))
    [path] = (tmp_path / "status").glob("*.history.json")
    path.write_text(path.read_text().replace(', "question": ""', ""))
    assert "question" not in path.read_text()
    assert board.history(PROJECT) == History(7.0, (point,))


def test_a_project_of_an_earlier_release_gets_what_its_cards_tell(tmp_path: Path, tiny: Path) -> None:
    house = House(tmp_path, tiny)
    cards = [make_card(1), make_card(2, scores=None, refused="it was worse"), make_card(3, created_at="")]
    for card in cards:
        house.registry.save(card, {}, write_weights)
    house.registry.promote(PROJECT, cards[0].version)
    historian = Historian(Registry(tmp_path), house.board)
    historian.look(house.pool, PROJECT, PLAIN, None, anew=False)
    third, first, refused = house.board.history(PROJECT).points
    assert (first.judged_by, first.promoted, first.name, first.at) == (BY_HOLDOUT, True, "1", 1795501800.0)
    assert first.accuracy is not None
    assert (first.accuracy.value, *first.accuracy.interval, first.accuracy.examples) == (0.5, 0, 1, 0)
    assert (refused.promoted, refused.refused, refused.accuracy) == (False, "it was worse", None)
    assert third.at == 0.0

    file = tmp_path / "status" / f"{PROJECT}.history.json"
    file.write_text('{"points": 7}')
    assert house.board.history(PROJECT) == NO_HISTORY
    historian.look(house.pool, PROJECT, PLAIN, None, anew=False)
    assert house.board.history(PROJECT) == NO_HISTORY, "nothing is judged again before something is another"
    historian.look(house.pool, PROJECT, PLAIN, None, anew=True)
    assert len(house.board.history(PROJECT).points) == 3
    house.pool.__exit__()
