"""Doubt: what model and votes come to, against brute force, and what must hold whatever the labels are."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.doubt import (
    LEAST,
    MOST,
    PSEUDO_VOTES,
    ROUNDS,
    SUSPECT,
    USUAL,
    Cast,
    doubts,
    nearest,
    out_of_fold,
    out_of_fold_each,
    said,
    weigh,
)
from nextlabel.learning.fresh_heads import Known, fresh_head
from nextlabel.learning.heads import folds
from nextlabel.learning.second_votes import drawn, place
from nextlabel.values.arrays import Array, Ints


def clouds(seed: int, examples: int, classes: int = 3, noise: float = 0.25) -> tuple[Array, Ints]:
    """Features of unit length around a point for each class, and the classes."""
    rng = np.random.default_rng(seed)
    targets_N = np.arange(examples) % classes
    points_ND = np.eye(classes, 6)[targets_N] + noise * rng.normal(size=(examples, 6))
    return points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True), targets_N


def by_hand(probs_NC: list[list[float]], casts: list[Cast]) -> tuple[list[list[float]], dict[str, float]]:
    """The same as `weigh` from its definition: products of whole likelihoods, one task after the other."""
    classes, people = len(probs_NC[0]), sorted({cast.person for cast in casts})
    accuracy = dict.fromkeys(people, USUAL)
    for _ in range(ROUNDS):
        found = []
        for row, probs_C in enumerate(probs_NC):
            joint = list(probs_C)
            for cast in casts:
                if cast.row == row:
                    right, wrong = accuracy[cast.person], (1 - accuracy[cast.person]) / (classes - 1)
                    joint = [p * (right if k == cast.choice else wrong) ** cast.weight for k, p in enumerate(joint)]
            found.append([p / math.fsum(joint) for p in joint])
        for person in people:
            mine = [cast for cast in casts if cast.person == person]
            right = math.fsum(cast.weight * found[cast.row][cast.choice] for cast in mine)
            share = (right + USUAL * PSEUDO_VOTES) / (math.fsum(cast.weight for cast in mine) + PSEUDO_VOTES)
            accuracy[person] = min(MOST, max(LEAST, share))
    return found, accuracy


@st.composite
def voted(draw: st.DrawFn) -> tuple[Array, list[Cast]]:
    """Probabilities of some tasks, and votes of some people on each."""
    classes, tasks = draw(st.integers(2, 4)), draw(st.integers(1, 8))
    odds = st.lists(st.floats(0.01, 1), min_size=classes, max_size=classes)
    probs_NC = np.array([draw(odds) for _ in range(tasks)])
    casts = [
        Cast(row, person, draw(st.integers(0, classes - 1)), draw(st.sampled_from([1.0, 0.3])))
        for row in range(tasks)
        for person in draw(st.sets(st.sampled_from("abc"), min_size=1))
    ]
    return probs_NC / probs_NC.sum(axis=1, keepdims=True), casts


@given(voted())
@settings(deadline=None)
def test_model_and_votes_come_to_what_whole_likelihoods_come_to(found: tuple[Array, list[Cast]]) -> None:
    probs_NC, casts = found
    weighed, (theirs_NC, accuracy) = weigh(probs_NC, casts), by_hand(probs_NC.tolist(), casts)
    assert np.allclose(weighed.probs_NC, theirs_NC, atol=1e-9)
    assert weighed.accuracy == pytest.approx(accuracy, abs=1e-9)


@given(voted(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_the_order_in_which_votes_are_told_makes_no_difference(found: tuple[Array, list[Cast]], by: object) -> None:
    probs_NC, casts = found
    shuffled = list(casts)
    by.shuffle(shuffled)  # type: ignore[attr-defined]
    assert np.array_equal(weigh(probs_NC, casts).probs_NC, weigh(probs_NC, shuffled).probs_NC)


def test_a_label_in_the_wrong_cloud_is_the_most_doubtful_one_though_one_person_gave_all() -> None:
    features_ND, right_N = clouds(0, 120)
    given_N = right_N.copy()
    given_N[[7, 50]] = (right_N[[7, 50]] + 1) % 3
    casts = [Cast(row, "1", int(label)) for row, label in enumerate(given_N)]
    doubt_N, weighed = doubts(features_ND, given_N, casts, 3)
    assert set(np.argsort(-doubt_N)[:2]) == {7, 50}
    assert {7} <= set(np.flatnonzero(doubt_N > 1 - SUSPECT)) <= {7, 50}
    assert weighed.probs_NC[7].argmax() == right_N[7]
    assert weighed.accuracy["1"] > USUAL, "the model says so of one person, too"


def test_a_second_person_who_says_the_same_takes_the_doubt_away_and_one_who_says_what_the_model_does_confirms_it() -> (
    None
):
    features_ND, right_N = clouds(1, 90, noise=0.4)
    given_N = right_N.copy()
    given_N[4] = (right_N[4] + 1) % 3
    first = [Cast(row, "1", int(label)) for row, label in enumerate(given_N)]
    alone = doubts(features_ND, given_N, first, 3)[0][4]
    agreed = doubts(features_ND, given_N, [*first, Cast(4, "2", int(given_N[4]))], 3)[0][4]
    differ = doubts(features_ND, given_N, [*first, Cast(4, "2", int(right_N[4]))], 3)[0][4]
    assert agreed < alone < differ


def test_who_answers_anything_counts_for_less_than_the_others() -> None:
    features_ND, right_N = clouds(2, 200)
    rng = np.random.default_rng(0)
    answers = {"1": right_N, "2": right_N, "spam": rng.integers(3, size=200)}
    casts = [Cast(row, who, int(answers[who][row])) for row in range(200) for who in answers if rng.random() < 0.5]
    accuracy = weigh(said(features_ND, right_N, 3), casts).accuracy
    assert min(accuracy["1"], accuracy["2"]) > 0.95
    assert accuracy["spam"] < 0.5


def test_an_example_is_judged_by_a_head_that_does_not_know_it() -> None:
    features_ND, targets_N = clouds(3, 40)
    probs_NC, seen_N = out_of_fold(features_ND, targets_N, 3)
    fold_N = folds(targets_N)
    assert seen_N.all()
    for fold in range(5):
        head = fresh_head(Known(features_ND[fold_N != fold], targets_N[fold_N != fold]))
        theirs = head.probabilities(features_ND[fold_N == fold], 3)
        assert np.allclose(probs_NC[fold_N == fold], theirs, atol=1e-6)


def test_heads_of_many_labels_say_at_once_what_each_would_alone() -> None:
    rng = np.random.default_rng(0)
    features_ND = rng.normal(size=(80, 6))
    features_ND /= np.linalg.norm(features_ND, axis=1, keepdims=True)
    targets_NL = (features_ND @ rng.normal(size=(6, 4)) + rng.normal(0, 0.2, (80, 4)) > 0.3).astype(float)
    targets_NL[:30, 1] = np.nan  # nobody was asked
    targets_NL[:, 2], targets_NL[7, 3] = 0, 1
    targets_NL[[n for n in range(80) if n != 7], 3] = 0  # never, and once
    probs_NL, seen_NL = out_of_fold_each(features_ND, targets_NL)
    for label, targets_N in enumerate(targets_NL.T):
        asked_N = ~np.isnan(targets_N)
        alone_NC, seen_N = out_of_fold(features_ND[asked_N], targets_N[asked_N].astype(np.int64), 2)
        np.testing.assert_array_equal(seen_NL[asked_N, label], seen_N)
        np.testing.assert_allclose(probs_NL[asked_N, label][seen_N], alone_NC[seen_N, 1], atol=1e-5)
        assert not seen_NL[~asked_N, label].any()


@pytest.mark.parametrize("targets", [[], [0], [1, 1, 1, 1], [0, 1], [0, 0, 0, 0, 0, 0, 0, 2], [0, 1, 2]])
def test_where_a_class_has_no_other_example_its_label_is_not_doubted(targets: list[int]) -> None:
    targets_N = np.array(targets, dtype=np.int64)
    features_ND = np.eye(8)[np.arange(len(targets))]
    casts = [Cast(row, "1", label) for row, label in enumerate(targets)]
    doubt_N = doubts(features_ND, targets_N, casts, 3)[0]
    counts_N = np.array([targets.count(label) for label in targets])
    assert len(doubt_N) == len(targets)
    assert (doubt_N[counts_N == 1] <= 1 - USUAL + 0.05).all()


def test_with_one_class_nothing_is_doubted() -> None:
    doubt_N, weighed = doubts(np.eye(4), np.zeros(4, dtype=np.int64), [Cast(0, "1", 0)], 1)
    assert (doubt_N == 0).all()
    assert weighed.accuracy == {"1": USUAL}


def test_of_very_many_labels_a_part_makes_the_heads_and_all_are_judged() -> None:
    features_ND, targets_N = clouds(4, 3000)
    given_N = targets_N.copy()
    given_N[11] = (targets_N[11] + 1) % 3
    doubt_N, _ = doubts(features_ND, given_N, [Cast(r, "1", int(k)) for r, k in enumerate(given_N)], 3)
    assert np.flatnonzero(doubt_N > 1 - SUSPECT).tolist() == [11]


def test_the_nearest_come_first_and_none_is_its_own_neighbour() -> None:
    points_ND = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]])
    assert nearest(points_ND, 0).tolist() == [1, 3, 2]
    assert nearest(points_ND, 2, 1).tolist() == [3]
    assert nearest(points_ND[:1], 0).tolist() == []


def test_the_draw_for_second_votes_is_a_rule_that_a_larger_share_only_adds_to() -> None:
    tasks = range(1, 20_001)
    few, more = drawn("seed", 0.03, tasks), drawn("seed", 0.1, tasks)
    assert len(few) == pytest.approx(600, abs=100)
    assert more[: len(few)] == few
    assert [place("seed", task) for task in few] == sorted(place("seed", task) for task in few)
    assert drawn("seed", 0.03, reversed(tasks)) == few
    assert len(set(few) & set(drawn("other", 0.03, tasks))) < 60
    assert drawn("", 0.5, tasks) == drawn("seed", 0, tasks) == []
    assert all(drawn("seed", 1, some) == drawn("seed", 1, [1, 2, 3]) for some in permutations([1, 2, 3]))
