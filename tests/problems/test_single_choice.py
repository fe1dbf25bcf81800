"""A question with one answer of several: whether there is enough to learn from, and labels as numbers."""

import numpy as np
import pytest

from nextlabel.problems.metrics import evaluate
from nextlabel.problems.single_choice import SingleChoice


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
