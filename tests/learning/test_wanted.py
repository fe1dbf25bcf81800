"""Slots of wanted classes: which places they are, and which tasks come into them first."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.wanted import EVERY, best_first, in_turn, nearness, places

laws = settings(derandomize=True, deadline=None, max_examples=200)


@laws
@given(labels=st.integers(0, 500), depth=st.integers(0, 60), renewals=st.lists(st.integers(1, 20), max_size=30))
def test_one_in_so_many_labels_is_for_a_wanted_class_however_often_the_order_is_renewed(
    labels: int, depth: int, renewals: list[int]
) -> None:
    at_once = [labels + place for place in places(labels, depth)]
    assert at_once == [number for number in range(labels, labels + depth) if number % EVERY == EVERY - 1]
    renewed, known = list[int](), labels
    for given_labels in renewals:
        renewed += [known + place for place in places(known, given_labels)]
        known += given_labels
    assert renewed == [number for number in range(labels, known) if number % EVERY == EVERY - 1]


def test_what_is_near_any_of_the_texts_comes_first_and_equals_by_id() -> None:
    points_ND = np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0]], dtype=np.float16)
    texts_MD = np.array([[0, 1], [0.8, 0.6]], dtype=np.float32)
    near_N = nearness(points_ND, texts_MD)
    np.testing.assert_allclose(near_N, [0.8, 1, 0.96, 0.8], atol=1e-3)
    assert best_first(np.array([4, 3, 2, 1]), near_N) == [3, 2, 1, 4]


def test_classes_take_turns_and_a_task_of_two_comes_once() -> None:
    assert in_turn([[1, 2, 3], [4, 1], []]) == [1, 4, 2, 3]
    assert in_turn([]) == []
