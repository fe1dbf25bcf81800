"""A question with one answer of several: whether there is enough to learn from, and labels as numbers."""

import numpy as np
import pytest

from nextlabel.problems.metrics import evaluate
from nextlabel.problems.single_choice import SingleChoice, consensus
from nextlabel.values.labels import Vote


@pytest.mark.parametrize("given", [["pos", "neg"], ["neg", "pos", "pos"], ["pos", "mixed"], ["pos", "neg", "gone"]])
def test_one_label_of_each_of_two_classes_is_enough(given: list[str]) -> None:
    assert SingleChoice(("pos", "neg", "mixed")).missing_labels(given) == ""


@pytest.mark.parametrize("given", [[], ["gone", "lost"]], ids=["none", "only labels that the config lost"])
def test_without_a_usable_label_two_classes_are_asked_for(given: list[str]) -> None:
    assert "at least two classes need one label each" in SingleChoice(("pos", "neg")).missing_labels(given)


def test_with_one_class_the_others_are_asked_for() -> None:
    complaint = SingleChoice(("pos", "neg", "mixed")).missing_labels(["neg", "neg", "neg", "gone"])
    assert complaint == "All 3 labels so far are 'neg'; label at least one task as one of ['pos', 'mixed']."


def test_classes_are_numbered_in_the_order_of_the_labels() -> None:
    numbers_N = SingleChoice(("pos", "neg", "mixed")).class_numbers(["mixed", "pos", "neg", "pos"])
    assert numbers_N.tolist() == [2, 0, 1, 0]
    assert numbers_N.dtype.kind == "i"
    assert SingleChoice(("pos", "neg")).class_numbers([]).shape == (0,)


def test_a_prediction_is_the_likeliest_class_and_is_judged_by_the_answers() -> None:
    question = SingleChoice(("pos", "neg"))
    predictions_N = question.predicted(np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3]]))
    assert predictions_N.tolist() == [0, 1, 0]
    targets_N = question.class_numbers(["pos", "neg", "neg"])
    assert question.evaluate(targets_N, predictions_N) == evaluate(targets_N, predictions_N, 2)


def test_an_answer_that_is_no_label_has_no_number() -> None:
    with pytest.raises(KeyError, match="gone"):
        SingleChoice(("pos", "neg")).class_numbers(["gone"])


def vote(label: str, when: int, truth: bool = False) -> Vote:
    return Vote(label, truth, f"2026-11-23T14:39:{when:02}.000000Z")


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ([], None),
        ([vote("pos", 1), vote("pos", 2), vote("neg", 3)], "pos"),
        ([vote("pos", 1), vote("neg", 2)], "neg"),
        ([vote("neg", 2), vote("pos", 1)], "neg"),
        ([vote("pos", 1), vote("neg", 2), vote("neg", 3), vote("pos", 4), vote("gone", 5)], "pos"),
        ([vote("neg", 1, truth=True), vote("pos", 2), vote("pos", 3)], "neg"),
        ([vote("neg", 1, truth=True), vote("pos", 2, truth=True)], "pos"),
        ([vote("gone", 1, truth=True), vote("pos", 2)], "pos"),
    ],
    ids=[
        "no vote", "majority", "the latest breaks a tie", "whatever the order", "a tie beside a lost label",
        "ground truth wins", "the latest ground truth", "ground truth of a lost label",
    ],
)  # fmt: skip
def test_a_task_gets_one_label_from_its_votes(votes: list[Vote], label: str | None) -> None:
    assert consensus(votes, SingleChoice(("pos", "neg")).label_of) == label


@pytest.mark.parametrize(
    ("weights", "label"),
    [((0.3, 0.3, 1.0), "neg"), ((0.6, 0.6, 1.0), "pos"), ((0.1, 0.2, 0.3), "neg"), ((0.3, 0.3, 0.3), "pos")],
    ids=["one outweighs two", "two outweigh one", "the latest of as much", "the majority of equals"],
)
def test_votes_count_by_their_weights(weights: tuple[float, ...], label: str) -> None:
    given = zip(("pos", "pos", "neg"), weights, strict=True)
    votes = [Vote(one, False, str(day), weight=weight) for day, (one, weight) in enumerate(given)]
    assert consensus(votes, SingleChoice(("pos", "neg")).label_of) == label


UNSURE = SingleChoice(("pos", "neg"), {"no idea": "unsure"}, ("unsure",))


@pytest.mark.parametrize(
    ("given", "label"),
    [
        (["pos", "unsure", "pos"], "pos"),
        (["unsure"], None),
        (["pos", "unsure", "no idea"], None),
        (["pos", "unsure"], None),
        (["unsure", "pos"], "pos"),
    ],
    ids=["in the minority", "alone", "in the majority", "of as many the latest", "of as many an earlier one"],
)
def test_nothing_is_learnt_where_an_ignored_label_prevails(given: list[str], label: str | None) -> None:
    assert UNSURE.consensus([Vote(one, False, str(day)) for day, one in enumerate(given)]) == label


def test_an_ignored_label_is_no_class_and_known_all_the_same() -> None:
    assert UNSURE.label_of("unsure") is None
    assert (UNSURE.answer_of(" unsure"), UNSURE.answer_of("no idea"), UNSURE.answer_of("gone")) == (
        "unsure",
        "unsure",
        None,
    )
    with pytest.raises(KeyError):
        UNSURE.class_numbers(["unsure"])
