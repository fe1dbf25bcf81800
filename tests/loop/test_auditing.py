"""What an audit freezes, when an answer counts, which tasks come next. With a real model, however small."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from helpers.audits import problems
from helpers.house import CONFIG, POOL, PROJECT, RIGHT, TRAIN, House
from nextlabel.errors import BadAuditError, NoModelError
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.carrying import Rows
from nextlabel.learning.certificate import Answer, Audit, issue, seed_of, text_hash
from nextlabel.learning.control import Control, draw
from nextlabel.learning.heads import probabilities
from nextlabel.loop.auditing import (
    NO_ANSWER,
    AuditOrder,
    answered_later,
    certified_questions,
    certified_tasks,
    claim_of,
    freeze_pool,
    in_force,
    progress,
    records_of,
    said_since,
)
from nextlabel.loop.fitting import AUDITED
from nextlabel.loop.heading import HeadMaker, features_of
from nextlabel.store.pool import Pool, pool_path
from nextlabel.values.examples import Example, key_of
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import ANY_OF, Answers, decoded, encoded
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.versions.audits import Audits

SEED, NOW = "the house's own", datetime(2026, 2, 1, tzinfo=timezone.utc)
READING = parse_label_config(CONFIG)
RULE = Control(SEED, 0.3)
ODD = (201, 202, 203, 204)  # a copy of a labelled text, one of another in the pool, one skipped, one closed


def row(task: int, text: str, votes: tuple[Vote, ...] = (), skipped: bool = False, closed: bool = False) -> TaskRow:
    example = Example(task, text)
    return TaskRow(task, example, False, closed, skipped, len(votes), votes, draw=RULE.drawn(example))


def text_of(task: int) -> str:
    """As the house has it."""
    word = ("yes", "no")[task % 2]
    return f"{word}, {word}, number {task}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[House]:
    """With a version and a head, and a control set of which one task in ten is answered."""
    found = House(tmp_path_factory.mktemp("house"), tiny, head="on")
    found.label(TRAIN, RIGHT)
    odd = [row(201, text_of(1)), row(202, text_of(230).upper()), row(203, text_of(203), skipped=True)]
    odd.append(row(204, text_of(204), closed=True))
    found.pool.upsert([*odd, *(row(task, text_of(task)) for task in POOL if task not in ODD)])
    found.fit()
    card = found.registry.card(PROJECT, found.active_version)
    labels = found.pool.labels(READING.question, holdout=False)
    HeadMaker(found.registry, found.resident).renewed(found.pool, card, Rows.all(card.labels, None), labels, None)
    yield found
    found.pool.__exit__()


@pytest.fixture
def head(house: House) -> str:
    return house.active_version.replace("-1-", "-1.1-")


def frozen(house: House, followed: str, most: int = 20) -> Audit:
    version = in_force(house.registry, PROJECT, followed)
    return freeze_pool(house.pool, house.registry, READING, SEED, version, 1, "2026-01-01T00:00:00+00:00", most, 0.2)


def test_what_is_frozen_is_what_nobody_has_answered_in_the_order_of_the_draw(house: House, head: str) -> None:
    audit = frozen(house, head)
    left = {task: text_of(task) for task in POOL if task not in (*ODD, 230)} | {202: text_of(230).upper()}
    keys = {task: key_of(Example(task, text)) for task, text in left.items()}
    assert audit.ids_N.tolist() == sorted(left, key=lambda task: draw(seed_of(SEED, 1), keys[task]))
    assert any(RULE.drawn(Example(task, text)) for task, text in left.items()), "the control set is not left out"
    assert audit.texts == tuple(text_hash(keys[task]) for task in audit.ids_N.tolist())


def test_labels_and_confidences_are_those_of_the_head_or_the_version_that_the_queue_follows(
    house: House, head: str
) -> None:
    version, order = in_force(house.registry, PROJECT, head), frozen(house, head).ids_N.tolist()
    assert version.head is not None
    ids_N, features_ND = features_of(house.pool, version.card, dict.fromkeys(order, ""))
    said = {
        head: probabilities(version.head.layer, features_ND),
        house.active_version: house.pool.said(house.active_version, order)[2],
    }
    for followed, probs_NC in said.items():
        audit = frozen(house, followed)
        place_of = {int(task): place for place, task in enumerate(ids_N)}
        rows_NC = probs_NC[[place_of[task] for task in audit.ids_N.tolist()]]
        assert audit.said == tuple(version.card.labels[best] for best in rows_NC.argmax(axis=1))
        top_N = rows_NC.max(axis=1)
        np.testing.assert_allclose(audit.confidences_N, np.log(top_N / (1 - top_N)), rtol=1e-9)
        assert audit.version == followed
    assert frozen(house, head).confidences_N.tolist() != frozen(house, house.active_version).confidences_N.tolist()


def test_an_audit_is_of_what_the_queue_follows_and_of_a_scored_pool(house: House, head: str, tmp_path: Path) -> None:
    with pytest.raises(BadAuditError, match=r"follows nextlabel-start-1, and nextlabel-1-.* is active"):
        in_force(house.registry, PROJECT, "nextlabel-start-1")
    with pytest.raises(NoModelError, match=r"nextlabel-1\.7-.* is none of the newest"):
        in_force(house.registry, PROJECT, head.replace("1.1", "1.7"))
    version = in_force(house.registry, PROJECT, head)
    with Pool(tmp_path / "empty.sqlite") as empty:
        for tasks in (0, 3):
            empty.upsert([row(task, text_of(task)) for task in range(300, 300 + tasks)])
            with pytest.raises(BadAuditError, match=f"has scored 0 of the {tasks} tasks"):
                freeze_pool(empty, house.registry, READING, SEED, version, 1, "2026-01-01T00:00:00+00:00", 20, 0.2)


def test_what_a_later_audit_of_the_same_version_says_is_to_be_known(house: House, head: str, tmp_path: Path) -> None:
    first, audits = frozen(house, head), Audits(tmp_path)
    assert list(said_since(house.pool, READING, audits, first)) == []
    for number, version in ((1, head), (2, "nextlabel-9"), (3, head), (4, head)):
        audits.begin(replace(first, number=number, version=version), None)
    cut = tmp_path / "audits" / str(PROJECT) / "4" / "pool.npz"
    cut.write_bytes(b"")
    said = f"The same version was audited again since. Audit 3 of {head}: 0 of 20 labels, certifies nothing."
    assert list(said_since(house.pool, READING, audits, first)) == [said]


def test_no_more_labels_are_planned_than_there_are_tasks(house: House, head: str) -> None:
    assert frozen(house, head, most=200).most_labels == len(frozen(house, head).ids_N) < 200


def test_answers_count_once_a_task_is_done_and_no_task_is_passed_over(house: House, head: str, tmp_path: Path) -> None:
    audit = frozen(house, head)
    first = audit.ids_N[:8].tolist()
    texts = {example.id: example.text for example in house.pool.examples(first)}
    one, two = Vote("pos", False, "2026-01-02T00:00:01"), Vote("neg", False, "2026-01-02T00:00:02")
    with Pool(pool_path(tmp_path, PROJECT)) as pool:
        pool.upsert([row(task, texts[task]) for task in first])
        pool.upsert([row(first[0], texts[first[0]], (one,), closed=True)])
        pool.upsert([row(first[1], texts[first[1]], (one, two), closed=True)])
        pool.upsert([row(first[2], texts[first[2]], skipped=True)])
        pool.upsert([row(first[3], "another text", (one,), closed=True)])
        pool.forget([first[4]])
        pool.upsert([row(first[5], texts[first[5]], (one,))])  # others are asked, too
        pool.upsert([row(first[7], texts[first[7]], (one,), closed=True)])
        found = progress(pool, READING, audit)
        assert found.counted == [
            Answer("pos", 1, one.when),
            Answer("neg", 2, two.when),
            NO_ANSWER,
            NO_ANSWER,
            NO_ANSWER,
        ]
        order = AuditOrder(found)
        assert [task.task_id for task in order.ranked(2, skipped=False)] == [first[5], first[6]]
        assert order.ranked(2, skipped=True) == []
        value, prediction = order.prediction(first[5]) or (0.0, {})
        assert (prediction["result"], prediction["score"]) == ([], 1 - value)
        assert order.prediction(first[7]) is None
        assert answered_later(pool, READING, audit, len(found.counted)) == {first[5]: "pos", first[7]: "pos"}
        pool.upsert([row(first[6], texts[first[6]], skipped=True)])
        assert answered_later(pool, READING, audit, 6) == {first[6]: None, first[7]: "pos"}
        assert found.message == f"Audit 1 of {head}: 5 of 20 labels, certifies nothing"


def test_an_audit_is_over_when_all_is_certified_or_as_many_labels_were_given_as_it_may_take(
    house: House, head: str, tmp_path: Path
) -> None:
    audit = frozen(house, head)
    tasks = audit.ids_N.tolist()
    texts = {example.id: example.text for example in house.pool.examples(tasks)}
    rows = [
        row(task, texts[task], (Vote(said, False, "2026-01-02T00:00:00"),), closed=True)
        for task, said in zip(tasks, audit.said, strict=True)
    ]
    with Pool(pool_path(tmp_path, PROJECT)) as pool:
        pool.upsert([row(task, texts[task]) for task in tasks])
        over = []
        for answered in rows[:20]:
            pool.upsert([answered])
            over.append(progress(pool, READING, audit).over)
        done = next(place for place, why in enumerate(over) if why)
        assert over[done] == "all tasks are certified"
        few = progress(pool, READING, replace(audit, most_labels=done))
        assert few.over == f"{done} tasks were asked for"
        assert sorted(certified_tasks(pool, READING, audit)) == sorted(tasks)
        assert certified_tasks(pool, READING, replace(audit, most_labels=3)) == []
        in_pool = next(task for task in tasks[20:] if not RULE.drawn(Example(task, texts[task])))
        pool.upsert([row(900, texts[in_pool].upper())])
        assert {in_pool, 900} <= pool.open_copies_of(tasks)
        records = records_of(pool, READING, SEED, audit, head, NOW)
        found = issue(audit, progress(pool, READING, audit).counted, "2026-01-03T00:00:00+00:00")
        assert problems(found, records) == []
        running = records_of(pool, READING, SEED, audit, "nextlabel-audit-1-20260101T000000", NOW)
        assert running.in_force == head


def test_nothing_is_fitted_while_an_audit_runs_and_what_waited_is_fitted_after_it(
    house: House, head: str, tmp_path: Path
) -> None:
    audits = Audits(house.settings.model_dir)
    audits.begin(frozen(house, head), None)
    house.jobs.demand_fit(PROJECT)
    assert house.look().reason == ""
    assert house.look().message == AUDITED.format(PROJECT)
    before = house.active_version
    assert house.fit() == before
    audits.end(PROJECT, "all tasks are certified")
    assert house.fit() == before, "what is certified stays in force"
    audits.release(PROJECT)
    assert house.fit() != before


# Forms. Who says "no" is not asked why.

FORM = (
    '<View><Text name="t" value="$text"/>'
    '<Choices name="tags" toName="t" choice="multiple"><Choice value="yes"/><Choice value="rare"/></Choices>'
    '<Choices name="topic" toName="t"><Choice value="a"/><Choice value="b"/></Choices>'
    '<Choices name="why" toName="t" visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="a">'
    '<Choice value="because"/><Choice value="so"/></Choices></View>'
)
OF_FORM, ALL = parse_label_config(FORM, ProjectOptions(defaults=LATEST)), ("tags", "topic", "why")
YES: Answers = {"tags": ("yes",), "topic": ("a",), "why": ("because",)}
NO: Answers = {"tags": (), "topic": ("b",)}


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[House]:
    found = House(tmp_path_factory.mktemp("form"), tiny, fit_steps=60)
    found.registry.know(PROJECT)
    found.registry.put_options(PROJECT, ProjectOptions(defaults=LATEST))
    found.configure(FORM)
    for task in TRAIN:
        found.pool.upsert([row(task, text_of(task), (Vote(encoded(YES if task % 2 == 0 else NO), False, ""),))])
    found.pool.upsert([row(task, text_of(task)) for task in POOL])
    found.fit()
    yield found
    found.pool.__exit__()


def audit_of_form(house: House, asks: tuple[str, ...]) -> Audit:
    version = in_force(house.registry, PROJECT, house.active_version)
    day = "2026-01-01T00:00:00+00:00"
    return freeze_pool(house.pool, house.registry, OF_FORM, SEED, version, 1, day, 20, 0.4, asks)


def test_of_a_form_all_answers_are_frozen_or_those_to_one_question(form: House) -> None:
    layout = form.registry.card(PROJECT, form.active_version).layout
    assert layout is not None
    audit = audit_of_form(form, ALL)
    order = audit.ids_N.tolist()
    ids_N, _, probs_NC = form.pool.said(form.active_version, order)
    probs_NC = np.stack([probs_NC[ids_N.tolist().index(task)] for task in order])
    assert audit.labels == layout.labels
    assert {tuple(decoded(said)) for said in audit.said} == {("tags", "topic"), ALL}, "a follow-up where it is shown"
    for probs_C, said, confidence in zip(probs_NC, audit.said, audit.confidences_N, strict=True):
        guessed_C, answers = layout.guesses(probs_C[None])[0] == 1, decoded(said)
        right = [p if is_so else 1 - p for p, is_so in zip(probs_C[:2], guessed_C[:2], strict=True)]
        right.append(probs_C[2:4].max())
        right += [probs_C[4:].max()] if "why" in answers else []
        assert answers["topic"] == ("ab"[probs_C[2:4].argmax()],)
        assert confidence == pytest.approx(np.log(np.prod(right) / (1 - np.prod(right))))
    alone = audit_of_form(form, ("why",))
    assert (alone.labels, alone.asks) == (("because", "so"), ("why",))
    assert {said for said in alone.said if said != "{}"} == {encoded({"why": ("because",)})}
    assert all(
        (said == "{}") == (confidence == np.inf)
        for said, confidence in zip(alone.said, alone.confidences_N, strict=True)
    )
    renamed = parse_label_config(FORM.replace('value="b"', 'value="c"'), ProjectOptions(defaults=LATEST))
    version = in_force(form.registry, PROJECT, form.active_version)
    with pytest.raises(BadAuditError, match="does not answer topic with the labels that the form has now"):
        freeze_pool(form.pool, form.registry, renamed, SEED, version, 1, "2026-01-01", 20, 0.2, ("topic",))


def test_no_more_labels_are_frozen_than_the_form_takes_by_now(form: House) -> None:
    version, day = in_force(form.registry, PROJECT, form.active_version), "2026-01-01T00:00:00+00:00"
    [tags, *others] = OF_FORM.asked
    eager = version.card.layout
    assert eager is not None
    cuts = tuple(replace(cut, thresholds=(0.0,) * len(cut.labels)) if cut.kind == ANY_OF else cut for cut in eager.cuts)
    version = replace(version, card=replace(version.card, asked=replace(eager, cuts=cuts).as_dict()))
    for most, count in ((0, 2), (1, 1)):
        config = replace(OF_FORM, controls=(replace(tags, most=most), *others))
        audit = freeze_pool(form.pool, form.registry, config, SEED, version, 1, day, 20, 0.4, ALL)
        assert {len(decoded(said)["tags"]) for said in audit.said} == {count}


@pytest.mark.parametrize("asks", [ALL, ("topic",), ("why",)])
def test_an_answer_to_a_form_is_right_when_all_that_is_shown_is(
    form: House, tmp_path: Path, asks: tuple[str, ...]
) -> None:
    audit = audit_of_form(form, asks)
    tasks = audit.ids_N.tolist()
    texts = {example.id: example.text for example in form.pool.examples(tasks)}
    given: list[Answers] = [NO if task % 2 else YES for task in tasks]
    given[0] = {**given[0], "tags": ("rare",)}  # wrong of tags alone
    given[1] = {"tags": given[1]["tags"]}  # and never said what about
    with Pool(pool_path(tmp_path, PROJECT)) as pool:
        for task, answers in zip(tasks, given, strict=True):
            vote = Vote(encoded(answers), False, "2026-01-02T00:00:00")
            pool.upsert([row(task, texts[task], (vote,), closed=True)])
        found = progress(pool, OF_FORM, audit)
        labels = [answer.label for answer in found.counted]
        assert labels[2:] == [encoded({n: of[n] for n in asks if n in of}) for of in given[2:20]]
        assert [label == said for label, said in zip(labels[:2], audit.said, strict=False)] == [asks != ALL, False]
        assert labels[1] is None or asks == ("why",), "what is shown and not answered is no answer"
        assert found.part is not None
        made = issue(audit, found.counted, "2026-01-03T00:00:00+00:00")
        assert made["questions"] == list(asks)
        assert f"answers to {' and '.join(asks)} that" in made["claim"] == claim_of(pool, OF_FORM, audit)
        assert [one["label"] for one in made["result"]["classes"]] == list(audit.labels)
        again = records_of(pool, OF_FORM, SEED, audit, form.active_version, NOW)
        assert problems(made, again) == []
        assert problems({**made, "questions": ["tags"]}, again) != []
        more = parse_label_config(FORM.replace('value="so"', 'value="too"'), ProjectOptions(defaults=LATEST))
        outdated = problems(made, records_of(pool, more, SEED, audit, form.active_version, NOW))
        assert any(why.startswith("Outdated") for why in outdated) == ("why" in asks)
        left_to_the_machine = certified_tasks(pool, OF_FORM, audit)
        assert bool(left_to_the_machine) == (asks == ALL), "no person may be spared a question that is not certified"
        assert certified_questions(pool, OF_FORM, audit) == (() if asks == ALL else asks)
        assert certified_questions(pool, OF_FORM, replace(audit, most_labels=3)) == ()
        assert claim_of(pool, OF_FORM, replace(audit, most_labels=3)) == ""
