"""Suspects: what must hold of every list, and the words that say why."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.suspects import Answered, all_asked, look
from nextlabel.problems.form import Form, Part
from nextlabel.problems.question import Question
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, encoded

LABELS = ("cat", "dog", "eel")
SINGLE = SingleChoice(LABELS)
FORM = Form(
    (
        Part("topic", ONE_OF, SingleChoice(LABELS)),
        Part("tags", ANY_OF, SingleChoice(("new", "old"))),
        Part("tone", ORDERED, SingleChoice(("1", "2", "3"))),
    )
)


def features(tasks: int, seed: int = 0) -> Array:
    """Around a point for each class, of which task i has the one with the number i % 3."""
    rng = np.random.default_rng(seed)
    points_ND = np.eye(3, 6)[np.arange(tasks) % 3] + 0.15 * rng.normal(size=(tasks, 6))
    found: Array = points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True)
    return found


def answered(tasks: int, others: Mapping[int, Sequence[Vote]] = {}, text: str = "text {}") -> list[Answered]:
    """All tasks labelled right by person 1, and some as given."""
    right = ([Vote(LABELS[task % 3], False, "2026-11-01", account="1")] for task in range(tasks))
    return [(Example(task, text.format(task)), others.get(task, votes)) for task, votes in enumerate(right)]


def vote(label: str, account: str = "1", gold: bool = False) -> Vote:
    return Vote(label, gold, f"2026-11-0{account}", account=account)


def test_the_one_label_that_the_model_contradicts_is_listed_with_reasons() -> None:
    tasks = answered(60, {7: [vote("cat")]})
    tasks[9] = (Example(9, "text 7"), tasks[9][1])
    tasks[10] = (Example(10, "Text  7"), tasks[10][1])
    [found] = look(SINGLE, tasks, features(60)).suspects
    assert (found.task, found.label) == (7, "cat")
    assert found.doubt > 0.5
    assert found.reasons == (
        "a model that does not know this label would rather say 'dog'",
        "10 of the 10 nearest labelled texts are 'dog'",
        "copies of this text are labelled otherwise (task 10)",
    )


def test_another_person_is_a_reason_and_two_who_agree_or_a_ground_truth_settle_it() -> None:
    def found(*votes: Vote) -> list[str]:
        return [
            reason for one in look(SINGLE, answered(60, {7: votes}), features(60)).suspects for reason in one.reasons
        ]

    assert "1 of 2 people gave another label: 'eel'" in found(vote("eel"), vote("cat", "2"))
    assert found(vote("cat"))
    assert found(vote("cat"), vote("cat")), "one person twice is one person"
    assert found(vote("cat"), vote("cat", "2")) == []
    assert found(vote("cat", gold=True)) == []
    assert found(vote("cat"), vote("dog", "2")) == [], "what the model says as well is in force now"


def test_of_two_who_differ_the_one_whose_answer_the_model_finds_likelier_decides_whoever_came_last() -> None:
    for first, second in (("dog", "cat"), ("cat", "dog"), ("cat", "eel")):
        tasks = answered(60, {7: [vote(first), vote(second, "2")], 8: [vote("eel"), vote("eel", "2")]})
        casting = look(SINGLE, tasks, features(60)).casting
        assert casting.keys() == {7}
        votes = [replace(one, casting=casting[7] == one.account) for one in tasks[7][1]]
        assert SINGLE.consensus(votes) == ("dog" if "dog" in (first, second) else SINGLE.consensus(votes))
        assert SINGLE.consensus(votes) in (first, second), "never a label that nobody gave"
        assert SINGLE.consensus([*votes, vote(first, "3")]) == first, "a majority needs no casting vote"


def test_each_question_of_a_form_is_asked_by_itself_and_the_worst_is_told() -> None:
    def form(topic: int, tags: tuple[str, ...], tone: str) -> list[Vote]:
        answers = {"topic": (LABELS[topic],), "tags": tags, "tone": (tone,)}
        return [vote(encoded(answers))]

    right = {task: form(task % 3, ("new",) if task % 3 else (), str(task % 3 + 1)) for task in range(60)}
    other = {6: form(1, (), "1"), 16: form(1, (), "2"), 26: form(2, ("new",), "1"), 35: [vote(encoded({"tags": ()}))]}
    looked = look(FORM, answered(60, {**right, **other}), features(60))
    found = {one.task: one.label for one in looked.suspects}
    assert found == {6: "topic: dog", 16: "tags: not new", 26: "tone: 1", 35: "tags: not new"}


@st.composite
def projects(draw: st.DrawFn) -> tuple[Question, list[Answered], Array]:
    """Any votes of any people on any question, some that are no labels."""
    forms = st.builds(
        lambda topic, tags, tone: encoded({**topic, **tags, **tone}),
        st.sampled_from([{}, {"topic": ("cat",)}, {"topic": ("eel",)}]),
        st.sampled_from([{}, {"tags": ()}, {"tags": ("old",)}, {"tags": ("new", "old")}]),
        st.sampled_from([{}, {"tone": ("1",)}, {"tone": ("3",)}]),
    )
    two = SingleChoice(("cat", "dog"), ignored=("unsure",))
    kinds: list[tuple[Question, st.SearchStrategy[str]]] = [
        (SINGLE, st.sampled_from([*LABELS, "gone"])),
        (two, st.sampled_from(["cat", "dog", "unsure"])),
        (FORM, forms),
    ]
    question, labels = draw(st.sampled_from(kinds))
    one = st.builds(Vote, labels, st.booleans(), st.sampled_from("123"), account=st.sampled_from("ab"))
    votes = draw(st.lists(st.lists(one, min_size=1, max_size=3), max_size=12))
    points_ND = features(len(votes), draw(st.integers(0, 3)))
    return (
        question,
        [(Example(task, "same" if task % 4 else "other"), some) for task, some in enumerate(votes)],
        points_ND,
    )


@pytest.mark.usefixtures("patience")
@given(projects(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_no_list_has_a_label_that_nobody_gave_or_depends_on_the_order_of_the_tasks(
    project: tuple[Question, list[Answered], Array], by: Random
) -> None:
    question, tasks, points_ND = project
    looked = look(question, tasks, points_ND)
    given_by = {example.id: [question.answer_of(vote.label) for vote in votes] for example, votes in tasks}
    for one in looked.suspects:
        asked = [asked for asked in all_asked(question) if one.label in asked.labels]
        numbers = [asked[0].given(answer) for answer in given_by[one.task] if answer is not None]
        assert asked[0].labels.index(one.label) in numbers
        assert 0.5 < one.doubt <= 1
        assert one.reasons
        assert "wrong" not in " ".join(one.reasons)
    order = list(range(len(tasks)))
    by.shuffle(order)
    assert look(question, [tasks[row] for row in order], points_ND[order]) == looked
    for task, account in looked.casting.items():
        assert account in {vote.account for vote in tasks[task][1]}
