"""Labels that a person has left out are in no fit, head, gate or figure, and are back once they are let in again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.house import CONFIG, POOL, PROJECT, RIGHT, TRAIN, WRONG, House
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.notices import on_counted_less
from nextlabel.learning.control import Control
from nextlabel.learning.judging import ANSWERED, IN_HAND, LEFT_OUT, OPEN, SKIPPED
from nextlabel.learning.thresholds import with_thresholds
from nextlabel.loop.auditing import NO_ANSWER, _answer
from nextlabel.loop.controlling import control_side, control_texts
from nextlabel.loop.copies import HOLD, Learnt, learnt_from
from nextlabel.loop.fitting import FITTED_ON, _of_form
from nextlabel.loop.heading import HeadMaker
from nextlabel.problems.form import Form, Part
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import SyncState
from nextlabel.values.counting import EVERYTHING, Counting, LeftOut
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import ANY_OF, GUESSED, encoded
from nextlabel.values.linear import Linear
from nextlabel.values.queue import Published
from nextlabel.values.survey import CountedLess

QUESTION = parse_label_config(CONFIG).question
GUIDELINE = "2026-11-20"
OLD, NEW = "2026-11-19T08:00:00Z", "2026-11-20T08:00:00Z"
WITHOUT_ANNA = Counting((LeftOut("7"),))
ANNA, BEN = "7", "9"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, PROJECT)) as opened:
        yield opened


def vote(label: str, account: str, when: str = NEW, counting: Counting = EVERYTHING) -> Vote:
    """As it is read from Label Studio."""
    return Vote(
        label, False, when, account=account, weight=counting.weight(account, when), why=counting.why(account, when)
    )


def row(task_id: int, *votes: Vote, closed: bool | None = None, text: str = "", **fields: object) -> TaskRow:
    is_closed = bool(votes) if closed is None else closed
    found = TaskRow(task_id, Example(task_id, text or f"text {task_id}"), False, is_closed, False, len(votes), votes)
    return replace(found, **fields)  # type: ignore[arg-type]


def read(counting: Counting) -> list[TaskRow]:
    """A project in which Anna and Ben label: Anna alone, both, Ben alone, and in tasks where others are still asked."""
    return [
        row(1, vote("pos", ANNA, counting=counting), text="a text"),
        row(2, vote("pos", ANNA, counting=counting), vote("neg", BEN, OLD, counting)),
        row(3, vote("neg", BEN, OLD, counting)),
        row(4, vote("pos", ANNA, counting=counting), closed=False),
        row(5, vote("pos", ANNA, counting=counting), holdout=True),
        row(6, text="A  text"),
        row(7, vote("pos", BEN, OLD, counting), holdout=True),
    ]


def known(pool: Pool) -> dict[str, object]:
    return {
        "labels": pool.labels(QUESTION, holdout=False),
        "holdout": pool.labels(QUESTION, holdout=True),
        "copies": pool.copies_of_labelled(QUESTION),
        "open": pool.open_ids(),
        "votes": {label: seen.count for label, seen in pool.survey().votes.items()},
        "less": pool.counted_less(),
    }


def test_labels_of_a_person_are_none_wherever_labels_are_read_until_they_count_again(pool: Pool) -> None:
    pool.upsert(read(EVERYTHING))
    before = known(pool)
    assert before["labels"] == {1: "pos", 2: "pos", 3: "neg", 4: "pos"}
    assert (before["open"], before["copies"], before["less"]) == ([6], {6}, CountedLess())
    assert pool.count_votes(WITHOUT_ANNA) == 4
    assert known(pool) == {
        "labels": {2: "neg", 3: "neg"},
        "holdout": {7: "pos"},
        "copies": set(),
        "open": [4, 6],  # others are asked for the fourth task, but nobody for the first one
        "votes": {"neg": 2, "pos": 1},
        "less": CountedLess(labels=4, people=1, lost=2),
    }
    assert pool.with_uncounted() == {1, 2, 4, 5}
    assert pool.upsert(read(WITHOUT_ANNA)) == 0, "as if they were read now"
    assert pool.count_votes(EVERYTHING) == 4
    assert known(pool) == before


def test_labels_from_before_a_guideline_are_left_out_or_weigh_less_and_judge_nothing(pool: Pool) -> None:
    pool.upsert(read(EVERYTHING))
    pool.count_votes(Counting((), GUIDELINE))
    assert pool.labels(QUESTION, holdout=False) == {1: "pos", 2: "pos", 4: "pos"}
    assert pool.counted_less() == CountedLess(older=3, lost=2)
    weighed = Counting((), GUIDELINE, 0.25)
    assert pool.count_votes(weighed) == 3
    assert pool.labels(QUESTION, holdout=False) == {1: "pos", 2: "pos", 3: "neg", 4: "pos"}
    assert pool.labels(QUESTION, holdout=True) == {5: "pos"}
    assert pool.counted_less() == CountedLess(older=3, weighed=3)
    pool.upsert([row(8, vote("neg", BEN, OLD, weighed)), row(9, vote("neg", BEN), text="Text   8")])
    learnt = learnt_from(pool, QUESTION, HOLD)
    assert {example.id: weight for (example, _), weight in zip(learnt.to_fit, learnt.weights, strict=True)} == {
        1: 1, 2: 1, 3: 0.25, 4: 1, 8: 1,
    }, "a copy counts as much as the label does that counts most"  # fmt: skip
    assert learnt_from(pool, QUESTION, "serve").lighter == {3: 0.25}


def test_a_control_task_is_none_to_judge_by_where_only_labels_stand_that_are_left_out(pool: Pool) -> None:
    counting = Counting((LeftOut(ANNA),), GUIDELINE, 0.25)
    pool.upsert(
        [
            row(1, vote("pos", ANNA), draw="a" * 64),
            row(2, vote("pos", ANNA), draw="b" * 64, closed=False),
            row(3, vote("pos", ANNA), vote("neg", BEN), draw="c" * 64),
            row(4, vote("pos", BEN, OLD), draw="d" * 64),
            row(5, draw="e" * 64, skipped=True),
            row(6, draw="f" * 64),
        ]
    )
    states = [(text.state, text.answer) for text in control_texts(pool, QUESTION)]
    assert states == [
        (ANSWERED, "pos"), (IN_HAND, ""), (ANSWERED, "neg"), (ANSWERED, "pos"), (SKIPPED, ""), (OPEN, ""),
    ]  # fmt: skip
    pool.count_votes(counting)
    states = [(text.state, text.answer) for text in control_texts(pool, QUESTION)]
    assert states == [(LEFT_OUT, ""), (IN_HAND, ""), (ANSWERED, "neg"), (LEFT_OUT, ""), (SKIPPED, ""), (OPEN, "")]
    side = control_side(pool, Control("seed", 0.5), first=6, others=0, depth=9)
    assert list(side.tasks) == [6], "nobody is asked again"


def test_what_was_asked_for_stays_so_whether_its_label_counts_or_not(pool: Pool) -> None:
    pool.upsert([row(1, vote("pos", ANNA)), row(2, vote("pos", BEN)), row(3), row(4, vote("pos", ANNA), draw="a")])
    pool.note_published(*[Published(task, task, "nextlabel-1", task / 10) for task in (1, 2, 3)])
    scores, since = pool.labelled_scores(), pool.labels_since_control()
    pool.count_votes(Counting((LeftOut(ANNA), LeftOut(BEN))))
    assert (pool.labelled_scores(), pool.labels_since_control()) == (scores, since)
    assert (scores, since) == ({"nextlabel-1": {1: 0.1, 2: 0.2}}, 0)
    pool.mark_labelled()
    assert [task.marked for [task] in pool.control()] == [True]


def test_an_audits_answers_count_whoever_is_left_out_of_training(pool: Pool) -> None:
    pool.upsert([row(1, vote("pos", ANNA)), row(2, closed=True), row(3), row(4, text="TEXT 1")])
    pool.count_votes(WITHOUT_ANNA)
    answers = [_answer(QUESTION.consensus, asked) for asked in pool.asked([1, 2])]
    assert answers[0] is not None
    assert (answers[0].label, answers[1]) == ("pos", NO_ANSWER)
    assert [example.id for example in pool.unanswered()] == [3], "nor is one of its texts asked for again"


# Fits


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    """Anna has labelled a third of what the version knows, and all of it wrongly."""
    found = House(tmp_path, tiny, head="on", query_strategy="margin")
    found.label(TRAIN, RIGHT)
    label(found, TRAIN[::3], WRONG, ANNA)
    found.fit()
    yield found
    found.pool.__exit__()


def label(house: House, ids: range, by: dict[str, str], account: str, when: str = NEW) -> None:
    words = {i: ("yes", "no")[i % 2] for i in ids}
    house.pool.upsert(row(i, vote(by[w], account, when), text=f"{w}, {w}, number {i}") for i, w in words.items())


def decide(house: House, counting: Counting) -> None:
    """As the next look at Label Studio finds it."""
    house.pool.count_votes(counting)
    house.pool.update(SyncState, lambda state: replace(state, counting=str(counting)))


def test_what_is_left_out_is_in_no_version_any_more_and_its_card_counts_it(house: House) -> None:
    first, annas = house.active_version, set(TRAIN[::3])
    assert annas <= house.registry.fitted_labels(PROJECT, first).keys()
    decide(house, WITHOUT_ANNA)
    assert house.look().reason == "labels that the last version knows count otherwise"
    second = house.fit()
    assert house.registry.fitted_labels(PROJECT, second).keys() == {*TRAIN} - annas
    card = house.registry.card(PROJECT, second)
    assert (card.counting, card.left_out, card.older, card.weighed) == ("7", len(annas), 0, 0)
    assert house.look().reason == ""
    decide(house, EVERYTHING)
    assert (house.look().pending, house.look().reason) == (len(annas), f"{len(annas)} new labels")
    assert house.registry.fitted_labels(PROJECT, house.fit()).keys() == {*TRAIN}


def test_whoever_is_left_out_and_gave_no_label_is_no_reason_for_a_fit(house: House) -> None:
    decide(house, Counting((LeftOut("77"), LeftOut(ANNA, "2026-12-24", ""))))
    assert (house.look().reason, house.look().pending) == ("", 0)


def test_a_head_that_knows_a_label_that_is_left_out_is_made_anew_at_once(house: House) -> None:
    card = house.registry.card(PROJECT, house.active_version)
    maker = HeadMaker(house.registry, house.resident)

    def newest() -> set[int] | None:
        learnt = learnt_from(house.pool, QUESTION, HOLD)
        labels = {example.id: answer for example, answer in learnt.to_fit}
        found = maker.newest(house.pool, card, parse_label_config(CONFIG), labels, 0, learnt.lighter)
        return set(found[1].known) if found else None

    assert newest() is None
    label(house, POOL[:1], RIGHT, BEN)
    assert newest() is None, "one new label is not worth a head"
    label(house, POOL[:1], RIGHT, ANNA)
    one_label = Counting((LeftOut(ANNA, "2026-11-20", "2026-11-20"),))
    decide(house, one_label)
    assert newest() == {*TRAIN} - {*TRAIN[::3]}
    assert newest() == {*TRAIN} - {*TRAIN[::3]}, "once"


def test_labels_that_weigh_less_choose_no_threshold() -> None:
    rng, form = np.random.default_rng(0), Form((Part("tags", ANY_OF, SingleChoice(("rare", "other"))),))
    features_ND = rng.normal(size=(200, 4))
    said = [("rare",) if one > 1.2 else () for one in features_ND[:, 0] + rng.normal(size=200)]
    said[100:] = [("rare",)] * 100  # as they were labelled before the guideline
    to_fit = [(Example(n, f"text {n}"), encoded({"tags": labels})) for n, labels in enumerate(said)]
    last = Linear(np.zeros((2, 4)), np.zeros(2))
    result: Any = SimpleNamespace(
        labelled=SimpleNamespace(features_ND=features_ND), classifier=SimpleNamespace(last_layer=last)
    )
    targets_NC = form.class_numbers([answer for _, answer in to_fit])

    def chosen(weights: dict[int, float]) -> object:
        return _of_form(form, Learnt({}, to_fit, weights), [], result)["asked"]

    alone = with_thresholds(form.layout, last, features_ND[:100], targets_NC[:100])
    assert alone.cuts[0].thresholds[0] < GUESSED
    assert chosen(dict.fromkeys(range(100, 200), 0.3)) == alone.as_dict()
    assert chosen({}) == with_thresholds(form.layout, last, features_ND, targets_NC).as_dict() != alone.as_dict()
    assert chosen(dict.fromkeys(range(200), 0.3)) == form.layout.as_dict(), "none is left to choose by"


def test_labels_that_weigh_less_are_known_and_judge_no_version(house: House) -> None:
    label(house, TRAIN, RIGHT, BEN)
    label(house, TRAIN[::3], WRONG, ANNA, OLD)
    decide(house, Counting((), GUIDELINE, 0.25))
    assert house.look().reason == "labels that the last version knows count otherwise"
    card = house.registry.card(PROJECT, house.fit())
    assert house.registry.fitted_labels(PROJECT, card.version).keys() == {*TRAIN}
    assert (card.counting, card.older, card.weighed) == ("before 2026-11-20: 0.25", 8, 8)
    assert card.judged == f"{FITTED_ON} (16)"
    assert house.look().reason == ""
    decide(house, Counting((), GUIDELINE, 0.5))
    assert house.look().reason == "labels that the last version knows count otherwise"
    assert house.registry.card(PROJECT, house.fit()).counting == "before 2026-11-20: 0.5"
    decide(house, EVERYTHING)
    assert house.look().reason == "labels that the last version knows count otherwise"


def test_how_many_labels_do_not_count_is_said_in_a_sentence() -> None:
    def said(found: CountedLess, counting: Counting) -> list[str]:
        return [notice.text for notice in on_counted_less(found, counting, 7) if notice.harmless]

    changes = "`nextlabel options --project 7` shows and changes that."
    assert said(CountedLess(), EVERYTHING) == []
    assert said(CountedLess(labels=40, people=1), WITHOUT_ANNA) == [f"40 labels of 1 person are left out. {changes}"]
    assert said(CountedLess(labels=1, people=1, older=2, lost=1), Counting((LeftOut("7"),), GUIDELINE)) == [
        "1 label of 1 person is left out and 2 labels from before the guideline of 2026-11-20 are left out. On 1 task "
        "nothing else counts, so that no model knows them, and Label Studio asks nobody any more: to have them "
        f"labelled anew, delete these annotations there. {changes}"
    ]
    assert said(CountedLess(labels=9, people=2, older=1, weighed=1), Counting((LeftOut("7"),), GUIDELINE, 0.3)) == [
        "9 labels of 2 people are left out and 1 label from before the guideline of 2026-11-20 counts by 0.3. "
        + changes
    ]
    assert said(CountedLess(), Counting((LeftOut("7"), LeftOut("9", "2026-11-03", "")))) == [
        f"None of the labels is of an account and a day that `leave_out` names. {changes}"
    ]
