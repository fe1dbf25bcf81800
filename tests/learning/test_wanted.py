"""Slots of wanted classes: which places they are, and which tasks come into them first."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.wanted import EVERY, best_first, in_turn, near, places, turns

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


@laws
@given(labels=st.integers(0, 500), classes=st.integers(1, 4), renewals=st.lists(st.integers(1, 20), max_size=30))
def test_classes_take_turns_from_slot_to_slot_however_often_the_order_is_renewed(
    labels: int, classes: int, renewals: list[int]
) -> None:
    renewed, known = list[int](), labels
    for given_labels in renewals:
        renewed += turns(known, given_labels, classes)
        known += given_labels
    assert renewed == turns(labels, known - labels, classes)
    assert all(after == (before + 1) % classes for before, after in pairwise(renewed))


def test_near_is_what_stands_out_by_its_cosine_to_any_of_the_texts_the_nearest_first_and_equals_by_id() -> None:
    angles_N = np.array([3.1, 0.02, 1.6, 0.01, 0.01, *np.linspace(2.2, 2.8, 60)])
    points_ND = np.stack([np.cos(angles_N), np.sin(angles_N)], axis=1).astype(np.float16)
    texts_MD = np.array([[0, 1], [1, 0]], dtype=np.float32)
    ids_N = np.array([9, 8, 7, 6, 5, *range(100, 160)])
    assert near(ids_N, points_ND, texts_MD[1:]) == [5, 6, 8]
    assert near(ids_N, points_ND, texts_MD) == [5, 6, 8, 7], "7 is near the other one"
    assert near(ids_N, points_ND, texts_MD[:0]) == near(ids_N[:0], points_ND[:0], texts_MD) == []
    assert best_first(np.array([4, 3, 2, 1]), np.array([0.8, 1, 0.96, 0.8])) == [3, 2, 1, 4]


def test_classes_take_turns_and_a_task_of_two_comes_once() -> None:
    assert in_turn([[1, 2, 3], [4, 1], []]) == [1, 4, 2, 3]
    assert in_turn([]) == []
