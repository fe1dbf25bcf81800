"""Labels of copies count once, as if several people had answered one task."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.copies import Answered, counted_once, lighter
from nextlabel.problems.form import Form, Part
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.values.examples import Example, key_of
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ONE_OF, encoded

QUESTION = SingleChoice(("pos", "neg"))
TEXTS = st.sampled_from(["where is it", "Where  is it", "WHERE IS IT ", "where is it?", "who is it", "Who is it"])
ANSWERS = st.lists(st.sampled_from(["pos", "neg", "gone"]), min_size=1, max_size=3)


def answered(task_id: int, text: str, *labels: str, gold: bool = False, day: int = 1) -> Answered:
    return Example(task_id, text), [Vote(label, gold, f"2026-11-{day:02d}") for label in labels]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.tuples(TEXTS, ANSWERS), max_size=12))
def test_each_text_with_a_label_is_there_once_and_in_the_order_of_the_tasks(rows: list[tuple[str, list[str]]]) -> None:
    tasks = [answered(i, text, *labels) for i, (text, labels) in enumerate(rows)]
    fitted = counted_once(QUESTION, tasks)
    keys = [key_of(example) for example, _ in fitted]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {key_of(example) for example, votes in tasks if QUESTION.consensus(votes)}
    assert [example.id for example, _ in fitted] == sorted(example.id for example, _ in fitted)


def test_without_copies_it_is_every_example_with_its_label() -> None:
    tasks = [answered(1, "one", "pos"), answered(2, "two", "neg", "neg", "pos"), answered(3, "three", "gone")]
    assert counted_once(QUESTION, tasks) == [(Example(1, "one"), "pos"), (Example(2, "two"), "neg")]


def test_the_majority_of_the_copies_counts_and_of_as_many_the_latest_label() -> None:
    tasks = [answered(1, "one", "pos", day=1), answered(2, "One", "neg", day=3), answered(3, "ONE", "pos", day=2)]
    assert counted_once(QUESTION, tasks) == [(Example(1, "one"), "pos")]
    assert counted_once(QUESTION, tasks[:2]) == [(Example(1, "one"), "neg")]
    assert counted_once(QUESTION, tasks[1:]) == [(Example(2, "One"), "neg")]


def test_a_copy_counts_once_however_many_people_answered_it_and_ground_truth_decides() -> None:
    tasks = [answered(1, "one", "pos", "pos", "pos"), answered(2, "one", "neg"), answered(3, "one", "neg")]
    assert counted_once(QUESTION, tasks) == [(Example(1, "one"), "neg")]
    tasks.append(answered(4, "one", "pos", gold=True))
    assert counted_once(QUESTION, tasks) == [(Example(1, "one"), "pos")]


def test_copies_of_what_is_held_out_are_not_fitted_on() -> None:
    tasks = [answered(1, "one", "pos"), answered(2, "two", "neg")]
    assert counted_once(QUESTION, tasks, {key_of(Example(9, " ONE "))}) == [(Example(2, "two"), "neg")]


def test_pairs_are_copies_when_both_texts_are() -> None:
    vote = [Vote("pos", False, "")]
    tasks = [(Example(1, "one", "two"), vote), (Example(2, "One", " two"), vote), (Example(3, "one"), vote)]
    assert [example.id for example, _ in counted_once(QUESTION, tasks)] == [1, 3]


def weighed(task_id: int, *votes: tuple[str, float]) -> Answered:
    return Example(task_id, "one"), [
        Vote(label, False, f"{day}", weight=weight) for day, (label, weight) in enumerate(votes)
    ]


@pytest.mark.parametrize(
    ("tasks", "label", "weight"),
    [
        ([weighed(1, ("pos", 0.3), ("pos", 0.3), ("neg", 1.0))], "neg", {}),
        ([weighed(1, ("pos", 0.3), ("pos", 0.3), ("neg", 0.5))], "pos", {1: 0.3}),
        ([weighed(1, ("pos", 0.3)), weighed(2, ("pos", 0.3)), weighed(3, ("neg", 1.0))], "neg", {}),
        ([weighed(1, ("pos", 0.6)), weighed(2, ("pos", 0.7)), weighed(3, ("neg", 1.0))], "pos", {1: 0.7}),
        ([weighed(1, ("pos", 0.3), ("pos", 1.0)), weighed(2, ("neg", 0.6))], "pos", {}),
    ],
    ids=["one outweighs two", "of one task", "in copies", "in copies that outweigh one", "as much as its heaviest"],
)
def test_a_label_counts_as_much_as_the_heaviest_vote_for_it(
    tasks: list[Answered], label: str, weight: dict[int, float]
) -> None:
    fitted = counted_once(QUESTION, tasks)
    assert [(example.id, said) for example, said in fitted] == [(1, label)]
    assert lighter(QUESTION, tasks, fitted) == weight


def test_an_answer_to_a_form_that_nobody_gave_as_a_whole_counts_as_much_as_the_heaviest_answer() -> None:
    form = Form((Part("topic", ONE_OF, SingleChoice(("a", "b"))), Part("tone", ONE_OF, SingleChoice(("x", "y")))))
    given = {"topic": ("a",)}, {"topic": ("b",), "tone": ("x",)}, {"topic": ("a",)}
    votes = [Vote(encoded(one), False, f"{n}", weight=0.2 + n / 10) for n, one in enumerate(given)]
    tasks = [(Example(1, "one"), votes)]
    fitted = counted_once(form, tasks)
    assert fitted == [(Example(1, "one"), encoded({"topic": ("a",), "tone": ("x",)}))]
    assert lighter(form, tasks, fitted) == {1: 0.4}
