"""What the status board says of the order in force, from the copy alone. With a real model, however small."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers.audits import AUDIT
from helpers.house import CONFIG, PROJECT, RIGHT, TRAIN, House
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.control import Control
from nextlabel.learning.heads import EVERY
from nextlabel.learning.judging import ANSWERED, IN_HAND, LEFT_OUT, NO_VERSION, OPEN, SKIPPED, counting
from nextlabel.loop.auditing import name_of, speaks_for
from nextlabel.loop.controlling import control_side, control_texts
from nextlabel.loop.heading import HeadMaker
from nextlabel.loop.judging import Judge
from nextlabel.loop.marks import Marks, begin
from nextlabel.loop.orders import keep
from nextlabel.problems.judgement import NO_JUDGEMENT, Figures, Sample
from nextlabel.store.pool import Pool
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import ProjectOptions
from nextlabel.values.queue import Published

READING = replace(
    parse_label_config(CONFIG, ProjectOptions(ignored_labels=("unsure",))), control=Control("a seed", 0.1)
)
CONTROL = range(301, 313)


def fitted(model_dir: Path, base_model: Path, **settings: object) -> House:
    found = House(model_dir, base_model, head="on", query_strategy="margin", **settings)
    begin(found.pool, READING, asked_before=False)
    found.label(TRAIN, RIGHT)
    found.fit()
    return found


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    found = fitted(tmp_path, tiny)
    yield found
    found.pool.__exit__()


def row(task_id: int, *labels: str, closed: bool | None = None, skipped: bool = False, copy_of: int = 0) -> TaskRow:
    number = copy_of or task_id
    text, votes = f"{('yes', 'no')[number % 2]}, yes, number {number}", tuple(Vote(la, False, "") for la in labels)
    is_closed = bool(labels) if closed is None else closed
    return TaskRow(
        task_id, Example(task_id, text), False, is_closed, skipped, len(votes), votes, draw=f"{16 * number:064x}"
    )


def answer(house: House, ids: Sequence[int]) -> None:
    house.pool.upsert(row(i, ("pos", "neg")[i % 2]) for i in ids)


def look(house: House, judge: Judge, order: str = "") -> bool:
    version = house.registry.current(PROJECT)
    card = house.registry.card(PROJECT, version) if version else None
    return judge.look(house.pool, PROJECT, READING, order or version or "", card)


def score(house: House) -> None:
    card = house.registry.card(PROJECT, house.active_version)
    keep(house.pool, card.version, house.resident.score(card, house.pool.unscored(card.version), False, features=True))


def probabilities_by_hand(house: House, ids: Sequence[int], head: Path | None = None) -> list[torch.Tensor]:
    """By plain transformers, in the order of their ids."""
    path = house.registry.path(PROJECT, house.active_version)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    if head:
        with np.load(head) as arrays, torch.no_grad():
            model.classifier.weight.copy_(torch.from_numpy(arrays["weights_CD"]))
            model.classifier.bias.copy_(torch.from_numpy(arrays["bias_C"]))
    found = []
    for example in house.pool.examples(ids):
        with torch.no_grad():
            inputs = tokenizer(example.text, truncation=True, max_length=16, return_tensors="pt")
            found.append(torch.softmax(model(**inputs).logits[0].double(), dim=0))
    return found


def by_hand(house: House, ids: Sequence[int], head: Path | None = None) -> tuple[float, float]:
    """Accuracy and mean confidence."""
    probs = probabilities_by_hand(house, ids, head)
    right = [int(probs_C.argmax()) == i % 2 for i, probs_C in zip(sorted(ids), probs, strict=True)]
    return float(np.mean(right)), float(np.mean([float(probs_C.max()) for probs_C in probs]))


def figures(house: House) -> Figures:
    found = house.board.quality(PROJECT).figures
    assert found is not None
    return found


def test_the_board_has_the_figures_of_the_version_and_then_of_its_head(house: House) -> None:
    judge = Judge(house.registry, house.board)
    answer(house, CONTROL)
    assert look(house, judge)
    assert house.board.quality(PROJECT).why == f"{house.active_version} has still to score {len(CONTROL)} of them"
    score(house)
    look(house, judge)
    accuracy, sure = by_hand(house, CONTROL)
    assert figures(house).accuracy.value == pytest.approx(accuracy)
    assert figures(house).calibration.value == pytest.approx(sure - accuracy, abs=1e-5)
    assert house.board.quality(PROJECT).left == figures(house).accuracy

    name = renewed_head(house)
    assert not look(house, judge, name), "the answers are the same of every order"
    assert house.board.quality(PROJECT).order == name
    path = house.registry.path(PROJECT, house.active_version) / "heads" / "1.npz"
    accuracy, sure = by_hand(house, CONTROL, path)
    assert figures(house).accuracy.value == pytest.approx(accuracy)
    assert figures(house).calibration.value == pytest.approx(sure - accuracy, abs=1e-3), "from features in fp16"
    path.unlink()
    look(house, Judge(house.registry, house.board), name)
    assert house.board.quality(PROJECT).figures is None, "a head that is gone cannot be judged"


def test_in_an_audit_the_board_has_the_figures_of_the_version_that_is_audited(house: House) -> None:
    answer(house, CONTROL)
    score(house)
    audit = replace(AUDIT, version=house.active_version)
    look(house, Judge(house.registry, house.board), speaks_for(audit, name_of(audit)))
    assert figures(house).accuracy.value == pytest.approx(by_hand(house, CONTROL)[0])
    assert house.board.quality(PROJECT).order == house.active_version
    assert speaks_for(audit, "nextlabel-2") == "nextlabel-2"
    assert speaks_for(None, "nextlabel-2") == "nextlabel-2"


def renewed_head(house: House) -> str:
    """The name of a head that knows a few labels more than its version."""
    house.label(range(201, 201 + EVERY), RIGHT)
    card = house.registry.card(PROJECT, house.active_version)
    labels = house.pool.labels(READING.question, holdout=False)
    found = HeadMaker(house.registry, house.resident).newest(house.pool, card, READING, labels, 0)
    assert found is not None
    return found[0]


def test_a_label_that_a_head_asked_for_marks_what_it_would_have_asked_for_before(tmp_path: Path, wide: Path) -> None:
    house = fitted(tmp_path, wide, fit_steps=1, learning_rate=1e-6)  # whose values are far from each other
    house.pool.upsert(row(i) for i in CONTROL)
    score(house)
    name, path = renewed_head(house), house.registry.path(PROJECT, house.active_version) / "heads" / "1.npz"
    probs = probabilities_by_hand(house, CONTROL, path)
    values = {i: 1 - float(probs_C.max() - probs_C.min()) for i, probs_C in zip(CONTROL, probs, strict=True)}
    ranked = sorted(values.values())
    widest = max(range(1, len(ranked)), key=lambda place: ranked[place] - ranked[place - 1])
    lowest = (ranked[widest] + ranked[widest - 1]) / 2
    house.pool.note_published(Published(1, 230, name, 1 - lowest))
    marks = Marks(house.registry)
    marks.look(house.pool, PROJECT, READING, name)
    assert not any(task.marked for [task] in house.pool.control())
    house.label(range(230, 231), RIGHT)
    marks.look(house.pool, PROJECT, READING, name)
    marked = {task.task_id for [task] in house.pool.control() if task.marked}
    assert marked == {i for i, value in values.items() if value > lowest}
    assert 0 < len(marked) < len(CONTROL)
    house.pool.__exit__()


def test_nothing_is_judged_again_until_an_answer_a_mark_or_the_order_is_another(house: House) -> None:
    judge, file = Judge(house.registry, house.board), house.settings.model_dir / "status" / f"{PROJECT}.quality.json"
    answer(house, CONTROL[:4])
    house.pool.upsert(row(i) for i in CONTROL[4:])
    score(house)
    look(house, judge)
    file.unlink()
    look(house, judge)
    house.label(range(201, 203), RIGHT)
    look(house, judge)
    assert not file.exists(), "nothing of the control set has changed"
    house.pool.mark([CONTROL[0]])
    look(house, judge)
    left = house.board.quality(PROJECT).left
    assert left is not None
    assert left.examples == 3
    answer(house, CONTROL[:5])
    look(house, judge)
    assert figures(house).accuracy.examples == 5
    assert figures(house).classes[0].recall.examples == 2
    house.pool.upsert([row(CONTROL[0], "pos")])  # relabelled
    look(house, judge)
    assert figures(house).classes[0].recall.examples == 3


def test_a_version_that_was_fitted_on_a_task_of_the_set_is_not_judged(house: House) -> None:
    house.pool.upsert([row(TRAIN[0], "neg"), *(row(i, "pos") for i in CONTROL)])
    score(house)
    look(house, Judge(house.registry, house.board))
    assert house.board.quality(PROJECT).figures is None
    assert "was fitted on 1 of the texts of the control set" in house.board.quality(PROJECT).why


def test_before_the_first_version_the_board_says_how_far_the_set_is_answered(tmp_path: Path, tiny: Path) -> None:
    empty = House(tmp_path, tiny)
    answer(empty, CONTROL[:3])
    look(empty, Judge(empty.registry, empty.board))
    said = empty.board.quality(PROJECT)
    assert (said.sample, said.why, said.order) == (Sample(3, answered=3), NO_VERSION, "")
    (tmp_path / "status" / f"{PROJECT}.quality.json").write_text('{"sample": 7}')
    assert empty.board.quality(PROJECT) == NO_JUDGEMENT, "a damaged one is as good as none"
    empty.pool.__exit__()


def test_without_a_control_set_there_is_nothing_on_the_board(house: House) -> None:
    judge = Judge(house.registry, house.board)
    answer(house, CONTROL)
    score(house)
    look(house, judge)
    assert figures(house)
    off = replace(READING, control=Control())
    judge.look(house.pool, PROJECT, off, house.active_version, house.registry.card(PROJECT, house.active_version))
    assert house.board.quality(PROJECT) == NO_JUDGEMENT


def test_tasks_that_are_imported_later_leave_the_figures_alone_until_they_are_caught_up_with(house: House) -> None:
    judge = Judge(house.registry, house.board)
    answer(house, CONTROL)
    house.pool.upsert([row(400)])
    score(house)
    look(house, judge)
    before = figures(house)
    imported = [replace(row(501), draw=f"{16 * 302 + 1:064x}"), replace(row(502), draw=f"{1:064x}")]
    house.pool.upsert(imported)
    score(house)
    look(house, judge)
    assert figures(house) == before
    assert house.board.quality(PROJECT).sample.newer == 2
    labelled = (replace(r, votes=(Vote("pos", False, ""),), closed=True) for r in imported)
    house.pool.upsert(labelled)
    look(house, judge)
    assert figures(house).accuracy.examples == len(CONTROL) + 2
    assert house.board.quality(PROJECT).sample.newer == 0


# What people made of a text


@pytest.mark.parametrize(
    ("rows", "state", "expected"),
    [
        ([row(1)], OPEN, ""),
        ([row(1, "pos")], ANSWERED, "pos"),
        ([row(1, "pos", closed=False)], IN_HAND, ""),
        ([row(1, "pos", closed=False, skipped=True)], IN_HAND, ""),
        ([row(1, "neg", "pos", "pos")], ANSWERED, "pos"),
        ([row(1, skipped=True)], SKIPPED, ""),
        ([row(1, "unsure")], LEFT_OUT, ""),
        ([row(1, "unsure", "pos", "pos")], ANSWERED, "pos"),
        ([row(1, "a label that was renamed")], SKIPPED, ""),
        ([row(1), row(2, "neg", copy_of=1)], ANSWERED, "neg"),
        ([row(1, skipped=True), row(2, copy_of=1)], SKIPPED, ""),
        ([row(1, closed=True)], OPEN, ""),
        ([row(1, closed=True), row(2, copy_of=1)], OPEN, ""),
        ([replace(row(1, closed=True), annotations=1)], SKIPPED, ""),
        ([row(1, "neg"), row(2, "pos", copy_of=1), row(3, "pos", copy_of=1)], ANSWERED, "pos"),
    ],
)
def test_what_people_made_of_a_text_and_its_copies(
    rows: Sequence[TaskRow], state: str, expected: str, tmp_path: Path
) -> None:
    with Pool(tmp_path / "1.sqlite") as pool:
        pool.upsert(rows)
        [text] = control_texts(pool, READING.question)
    assert (text.task_ids, text.state, text.answer) == (tuple(r.id for r in rows), state, expected)


def test_a_task_that_was_closed_before_anybody_saw_it_ends_the_order_and_is_not_offered(tmp_path: Path) -> None:
    with Pool(tmp_path / "1.sqlite") as pool:
        pool.upsert([row(1, "pos"), row(2, closed=True), row(3, "neg"), row(4, closed=True), row(5, copy_of=4)])
        texts = control_texts(pool, READING.question)
        side = control_side(pool, READING.control, first=9, others=0, depth=9)
    assert [text.task_ids for text in counting(texts)] == [(1,)], "what lies behind the hard one does not count alone"
    assert list(side.tasks) == [5], "of copies one that is served"


def test_labels_are_counted_for_the_places_of_the_set_only_where_one_of_its_tasks_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pool(tmp_path / "1.sqlite") as pool:
        pool.upsert([row(task) for task in range(1, 9)])
        side = control_side(pool, READING.control, first=9, others=0, depth=3)
        assert (len(side.tasks), list(side.places)) == (8, [0, 1, 2]), "no place lies before its own"
        pool.upsert([row(task, "pos") for task in range(1, 9)])
        monkeypatch.setattr(pool, "labels_since_control", None)
        assert control_side(pool, READING.control, first=9, others=0, depth=3).places == []


def test_whoever_skips_what_is_of_the_set_is_not_served_the_next_of_it_any_sooner(tmp_path: Path) -> None:
    rule, chance = Control("a seed", 0.1), Random(0)
    examples = [Example(number, f"text {number}") for number in range(1, 201)]
    rows = {e.id: TaskRow(e.id, e, False, False, False, 0, (), draw=rule.drawn(e)) for e in examples}
    others, labels, turns = [task for task, row in rows.items() if not row.draw], 0, list[int]()
    with Pool(tmp_path / "1.sqlite") as pool:
        pool.upsert(rows.values())
        while (side := control_side(pool, rule, first=0, others=0, depth=9)).tasks and labels < 100:
            due = 0 in side.places
            task = next(iter(side.tasks)) if due else others[labels]
            if due and chance.random() < 0.6:
                pool.upsert([replace(rows[task], skipped=True)])
            else:
                given = (Vote("pos", False, f"2026-11-30T00:{labels + len(turns):04}Z"),)
                pool.upsert([replace(rows[task], closed=True, annotations=1, votes=given)])
            turns, labels = ([*turns, labels], labels) if due else (turns, labels + 1)
        done = pool.control()
    assert {copies[0].passed for copies in done if copies[0].labelled or copies[0].passed} == {True, False}
    assert len(turns) > 8
    assert all(4 <= after - before <= 14 for before, after in pairwise(turns))


def test_texts_that_were_passed_before_anybody_looked_do_not_make_the_next_one_late(tmp_path: Path) -> None:
    given = [Vote("pos", False, f"2026-11-30T00:{minute:02}Z") for minute in range(40)]
    others = [replace(row(50 + place), draw="", annotations=1, votes=(vote,)) for place, vote in enumerate(given)]
    with Pool(tmp_path / "1.sqlite") as pool:
        pool.upsert([*(row(task, skipped=task < 6) for task in range(1, 9)), *others])
        assert control_side(pool, READING.control, first=0, others=0, depth=1).places == [0], "due since long"
        pool.upsert([row(6, skipped=True)])
        assert control_side(pool, READING.control, first=0, others=0, depth=1).places == [4]


def test_deleted_and_imported_again_a_text_has_its_place_and_waits_for_a_label(tmp_path: Path) -> None:
    with Pool(tmp_path / "1.sqlite") as pool:
        pool.upsert([row(1, "pos"), row(2, "neg"), row(3, "pos")])
        pool.forget([2])
        assert [text.task_ids for text in control_texts(pool, READING.question)] == [(1,), (3,)]
        pool.upsert([row(9, copy_of=2)])
        texts = control_texts(pool, READING.question)
    assert [(text.task_ids, text.state) for text in texts] == [((1,), ANSWERED), ((9,), OPEN), ((3,), ANSWERED)]
