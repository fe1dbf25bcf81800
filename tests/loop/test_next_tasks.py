"""What the board says comes next: as it is served, with reasons, and with no guess where none may be seen."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.house import CONFIG, PROJECT, RIGHT, TRAIN, House
from helpers.versions import make_card
from nextlabel.labelstudio.client import Project
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.composer import CONTROL, INFORMATIVE
from nextlabel.learning.wanted import WANTED
from nextlabel.loop.next_tasks import SHOWN, NextTasksTeller, Served
from nextlabel.loop.orders import Order, StartOrder, VersionOrder
from nextlabel.loop.publishing import Publication, Publisher
from nextlabel.loop.sides import Side
from nextlabel.loop.starting import PLACES, to_value
from nextlabel.problems import next_words
from nextlabel.store.pool import EMBEDDINGS, Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.next_tasks import AUDIT, NOTHING_NEXT, START, NextTasks
from nextlabel.values.queue import Published
from nextlabel.values.versions import Card
from nextlabel.versions.registry import Registry

FORM = (
    '<View><Text name="text" value="$text"/>'
    '<Choices name="topic" toName="text" choice="single"><Choice value="a"/><Choice value="b"/></Choices>'
    '<Choices name="tone" toName="text" choice="single"><Choice value="x"/><Choice value="y"/></Choices></View>'
)
READING = parse_label_config(CONFIG)
SET, LIKE = range(301, 304), "like the text you gave for pos"
NEAR: Any = type("Named", (), {"name": "base"})()


class Studio:
    """A Label Studio that takes whatever is written, and keeps the scores."""

    def __init__(self) -> None:
        self.scores: dict[int, float] = {}
        self._ids = count(1)

    def create_prediction(self, task: int, prediction: dict[str, Any]) -> int:
        self.scores[task] = prediction["score"]
        return next(self._ids)

    def set_model_version(self, project: int, version: str) -> None:
        """The queue follows it."""


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    found = House(tmp_path, tiny, head="on", query_strategy="margin")
    found.label(TRAIN, RIGHT)
    found.fit()
    found.pool.upsert(control(task) for task in SET)
    card = card_of(found)
    examples = found.pool.examples(SET)
    scored = found.resident.score(card, examples, exact=True)
    found.pool.put_scores(card.version, examples, scored.values_N, scored.probs_NC, exact=True)
    yield found
    found.pool.__exit__()


def control(task: int, *labels: str, skipped: bool = False) -> TaskRow:
    votes = tuple(Vote(label, False, "") for label in labels)
    example = Example(task, f"yes, number {task}")
    return TaskRow(task, example, False, bool(labels), skipped, len(votes), votes, draw=f"{task:064x}")


def card_of(house: House) -> Card:
    return house.registry.card(PROJECT, house.active_version)


def version_order(house: House) -> Order:
    card = card_of(house)
    return VersionOrder(house.pool, READING, card, lambda some: house.resident.predict(card, some, features=True))


def publish(house: House, studio: Any, order: Order, *sides: Side) -> Publication:
    project = Project(PROJECT, "one", "", "", order.name, False, 0, 0, False, False)
    settings: dict[str, Any] = {"superseded": lambda: False, "hinted": lambda: False, "rest": lambda seconds: None}
    with Publisher(studio, house.pool, order, sides=sides, **settings) as publisher:
        return publisher.publish(project, depth=20)


def told(house: House, order: Order, published: Publication, labels: int = 0, **changes: Any) -> NextTasks:
    card = card_of(house) if house.active_version else None
    served = Served(READING, order, card, published, "typiclust", labels)
    teller = NextTasksTeller(house.registry, house.board, NEAR, lambda: 7.0)
    teller.look(house.pool, PROJECT, replace(served, **changes))
    return house.board.next_tasks(PROJECT)


def test_it_is_what_is_served_in_that_order_as_computed_independently(house: House) -> None:
    studio, order = Studio(), version_order(house)
    published = publish(house, studio, order)
    found = told(house, order, published)
    assert (found.at, found.order) == (7.0, house.active_version)
    by_score = sorted(studio.scores, key=studio.scores.__getitem__)
    assert [task.task for task in found.tasks] == by_score[:SHOWN] == [p.task_id for p in published.head][:SHOWN]
    assert [task.rank for task in found.tasks] == list(range(1, SHOWN + 1))
    card, left = card_of(house), house.pool.open_examples()
    exact, _ = house.resident.predict(card, left)
    margins = {e.id: 1 - abs(float(p[0] - p[1])) for e, p in zip(left, exact.probs_NC, strict=True)}
    assert [task.value for task in found.tasks] == pytest.approx(sorted(margins.values(), reverse=True)[:SHOWN])
    probs = dict(zip([e.id for e in left], exact.probs_NC, strict=True))
    for task in found.tasks:
        best = int(probs[task.task].argmax())
        assert (task.kind, task.label) == (INFORMATIVE, card.labels[best])
        assert task.probability == pytest.approx(float(probs[task.task][best]), abs=1e-5)
        assert re.match(r"the model (is torn between|says) (pos|neg) \(", task.why)

    first, second = by_score[:2]
    house.label(range(first, first + 1), RIGHT)
    after = told(house, order, published)
    assert [task.task for task in after.tasks] == by_score[1 : SHOWN + 1], "what is labelled is served no more"
    row = TaskRow(second, house.pool.examples([second])[0], False, False, True, 0, ())
    house.pool.upsert([row])
    assert told(house, order, published).tasks[0].why.endswith(f"; {next_words.SKIPPED}")


def test_neighbours_are_the_nearest_labelled_tasks_by_what_the_version_reads(house: House) -> None:
    order = version_order(house)
    found = told(house, order, publish(house, Studio(), order))
    labelled = house.pool.labelled(READING.question, holdout=False)
    rows, _ = house.resident.predict(card_of(house), [e for e, _ in labelled], features=True)
    asked, _ = house.resident.predict(card_of(house), house.pool.examples([found.tasks[0].task]), features=True)
    assert rows.features_ND is not None
    assert asked.features_ND is not None
    lengths_N = np.linalg.norm(rows.features_ND, axis=1) * np.linalg.norm(asked.features_ND[0])
    cosines_N = rows.features_ND @ asked.features_ND[0] / lengths_N
    near = found.tasks[0].neighbours
    assert [one.similarity for one in near] == pytest.approx(sorted(cosines_N, reverse=True)[:3], abs=5e-3)
    assert {one.task: one.label for one in near}.items() <= {e.id: label for e, label in labelled}.items()


def test_of_a_form_a_guess_names_the_question_that_it_answers(tmp_path: Path) -> None:
    config = parse_label_config(FORM)
    layout = config.question.layout
    assert layout is not None
    card = make_card(1, layout.labels, PROJECT, asked=layout.as_dict())
    registry, board = Registry(tmp_path), StatusBoard(tmp_path)
    registry.save(card, {7: "a"}, lambda directory: None)
    with Pool(pool_path(tmp_path, PROJECT)) as pool:
        pool.upsert([TaskRow(1, Example(1, "a text"), False, False, False, 0, ()), control(2)])
        probs_NC = np.array([[0.6, 0.4, 0.1, 0.9]] * 2)
        pool.put_scores(card.version, pool.unscored(card.version), np.array([0.5, 0.5]), probs_NC, exact=True)
        pool.note_published(Published(1, 1, card.version, 0.5), Published(2, 2, card.version, 0.6))
        order = VersionOrder(pool, config, card, None)  # type: ignore[arg-type]
        served = Served(config, order, card, Publication(0, 0, 0, 0, None), "typiclust", 1)
        NextTasksTeller(registry, board, NEAR, lambda: 7.0).look(pool, PROJECT, served)
    guessed, hidden = board.next_tasks(PROJECT).tasks
    assert (guessed.question, guessed.label, guessed.probability) == ("topic", "a", 0.6)
    assert guessed.why.startswith("of topic, the model is torn between a (60 %) and b (40 %)")
    assert (hidden.kind, hidden.question, hidden.label) == (CONTROL, "", None)
    [path] = (tmp_path / "status").glob("*.next.json")
    path.write_text(path.read_text().replace(', "question": "topic"', "").replace(', "question": ""', ""))
    assert board.next_tasks(PROJECT).tasks == (replace(guessed, question=""), hidden), "what is older is still read"


def test_of_control_and_audit_tasks_no_guess_is_told_not_even_by_neighbours(house: House) -> None:
    order, studio = version_order(house), Studio()
    sides = [
        Side(CONTROL, list(SET), [0, 4, 5], hidden=True),
        Side(WANTED, [202], [1], why={202: LIKE}),
    ]
    published = publish(house, studio, order, *sides)
    found = {task.task: task for task in told(house, order, published).tasks}
    assert [found[task].kind for task in SET] == [CONTROL] * 3
    for task in SET:
        hidden = found[task]
        assert (hidden.value, hidden.label, hidden.probability, hidden.neighbours) == (None, None, None, ())
        assert hidden.why == next_words.CONTROL
    assert (found[202].rank, found[202].kind, found[202].why) == (2, WANTED, LIKE)

    house.pool.upsert([control(SET[0], "pos"), control(SET[1], skipped=True)])
    left = {task.task for task in told(house, order, published).tasks}
    assert left & set(SET) == {SET[2]}, "labelled and skipped ones are judged by, not served"

    name = "nextlabel-audit-1-20261129T000000"
    audit: Any = type("Audit", (), {"name": name, "values": lambda self, tasks: {}})()
    house.pool.note_published(*(replace(p, version=name) for p in house.pool.published()))
    for one in told(house, audit, published).tasks:
        assert (one.kind, one.why) == (AUDIT, next_words.AUDIT)
        assert (one.value, one.label, one.probability, one.neighbours) == (None, None, None, ())


def test_before_a_version_the_first_are_typical_and_later_ones_drawn(tmp_path: Path, tiny: Path) -> None:
    house = House(tmp_path, tiny)
    left, name = house.pool.open_examples(), "nextlabel-start-20261129T000000"
    places = [*range(5), *range(PLACES, PLACES + len(left) - 5)]
    values_N = np.array([to_value(place) for place in places])
    house.pool.put_scores(name, left, values_N, np.zeros((len(left), 0)), exact=True)
    house.pool.put_vectors(EMBEDDINGS, "base", left, np.eye(len(left), dtype=np.float16))
    order = StartOrder(house.pool, name)
    found = told(house, order, publish(house, Studio(), order))
    assert [task.kind for task in found.tasks] == [START] * SHOWN
    assert [task.why for task in found.tasks] == [next_words.TYPICAL] * 5 + [next_words.DRAWN] * 5
    assert all((task.label, task.probability, task.neighbours) == (None, None, ()) for task in found.tasks)
    far = told(house, order, publish(house, Studio(), order), way="farthest")
    assert far.tasks[0].why == next_words.FAR
    house.label(range(left[0].id, left[0].id + 1), RIGHT)
    near = told(house, order, publish(house, Studio(), order))
    assert [(one.task, one.similarity) for one in near.tasks[0].neighbours] == [(left[0].id, 0.0)]
    house.pool.__exit__()


def test_nothing_is_told_again_before_something_is_another(house: House) -> None:
    order, studio, clock = version_order(house), Studio(), count(1)
    served = Served(READING, order, card_of(house), publish(house, studio, order), "typiclust", 24)
    teller, another = (NextTasksTeller(house.registry, house.board, NEAR, lambda: next(clock)) for _ in range(2))

    def told_at(by: NextTasksTeller, labels: int = 24) -> float:
        by.look(house.pool, PROJECT, replace(served, labels=labels))
        return house.board.next_tasks(PROJECT).at

    assert (told_at(teller), told_at(teller), told_at(teller, 25)) == (1, 1, 2)
    house.label(range(found_first(house), found_first(house) + 1), RIGHT)
    assert (told_at(another), told_at(another)) == (3, 3)
    (house.settings.model_dir / "status" / f"{PROJECT}.next.json").write_text('{"at": "yesterday"}')
    assert house.board.next_tasks(PROJECT) == NOTHING_NEXT, "a damaged word counts as none"
    assert told_at(another) == 4
    teller.forget(PROJECT)
    assert house.board.next_tasks(PROJECT) == NOTHING_NEXT
    assert told_at(another) == 5, "what another trainer told is not taken for ours"
    assert len(house.board.next_tasks(PROJECT).tasks) == SHOWN


def found_first(house: House) -> int:
    return house.board.next_tasks(PROJECT).tasks[0].task


def test_a_kind_that_is_not_known_is_told_without_a_guess_also_of_a_labelled_task(house: House) -> None:
    order = version_order(house)
    again = Side("look again", [TRAIN[3]], [2], hidden=True, why={TRAIN[3]: "its neighbours differ"})
    third = told(house, order, publish(house, Studio(), order, again)).tasks[2]
    assert (third.task, third.kind, third.why) == (TRAIN[3], "look again", "its neighbours differ")
    assert (third.value, third.label, third.probability, third.neighbours) == (None, None, None, ())


def test_a_model_is_torn_between_the_two_likeliest_unless_it_is_rather_sure() -> None:
    torn = next_words.of_guess(("A", "B", "C"), (0.41, 0.11, 0.48))
    assert torn == "the model is torn between C (48 %) and A (41 %)"
    sure = next_words.of_guess(("A", "B"), (0.93, 0.07), "tone")
    assert sure == "of tone, the model says A (93 %), and is as sure or surer of what comes after it"
    assert next_words.like_given("") == "like a text that you gave"
    with pytest.raises(ValueError, match="unpack"):
        next_words.of_guess(("A",), (1.0,))
