"""What heads of a few answers to a form are worth, by each question and by all."""

import numpy as np
import pytest

from nextlabel.learning import helping
from nextlabel.learning.form_heads import KnownAnswers
from nextlabel.learning.fresh_heads import Known
from nextlabel.learning.stability import changed_share
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ANY_OF, ONE_OF, Cut, Layout

TOPIC, TONES = Cut("topic", ONE_OF, ("a", "b", "c")), Cut("tones", ANY_OF, ("x", "y"))
NAN = np.nan


def drawn(tasks: int) -> tuple[Array, Array]:
    """Features of unit length, and answers to both questions that go by them."""
    points_ND = np.random.default_rng(0).normal(size=(tasks, 5))
    points_ND /= np.linalg.norm(points_ND, axis=1, keepdims=True)
    topics_NC = np.eye(3)[(2 * points_ND[:, :3]).argmax(axis=1)]
    return points_ND, np.hstack([topics_NC, (points_ND[:, 3:] > 0).astype(float)])


def test_of_one_question_with_one_answer_the_looks_are_those_of_a_project_that_asks_nothing_else() -> None:
    features_ND, targets_NC = drawn(400)
    plain = Known(features_ND, targets_NC[:, :3].argmax(axis=1))
    form = KnownAnswers(features_ND, targets_NC[:, :3], Layout((TOPIC,)))
    one, other = (helping.looks(known.of(slice(100, 400)), known.of(slice(100))) for known in (plain, form))
    assert one == other
    assert [look.labels for look in one] == [192, 256]


def test_a_task_is_as_right_as_the_share_of_its_questions_that_are() -> None:
    features_ND, targets_NC = drawn(300)
    both = KnownAnswers(features_ND, targets_NC, Layout((TOPIC, TONES)))
    topic = KnownAnswers(features_ND, targets_NC[:, :3], Layout((TOPIC,)))
    tones = KnownAnswers(features_ND, targets_NC[:, 3:], Layout((TONES,)))
    few, many = slice(80), slice(80, 300)
    right_of = [known.of(few).right(known.of(many)) for known in (topic, tones)]
    np.testing.assert_array_equal(both.of(few).right(both.of(many)), np.mean(right_of, axis=0))
    assert 0.6 < right_of[1].mean() < 1
    targets_NC[100:, 3:] = NAN  # of the later judges nobody was asked about tones
    judged_N = both.of(few).right(both.of(slice(100, 300)))
    np.testing.assert_array_equal(judged_N, right_of[0][20:])
    targets_NC[:100, 4] = NAN  # nor anybody else about y: then x alone is judged
    x = KnownAnswers(features_ND, targets_NC[:, 3:4], Layout((Cut("tones", ANY_OF, ("x",)),)))
    judges = slice(80, 100)
    expected = [known.of(few).right(known.of(judges)) for known in (topic, x)]
    np.testing.assert_array_equal(both.of(few).right(both.of(judges)), np.mean(expected, axis=0))


def test_of_a_question_without_an_answer_heads_say_nothing() -> None:
    features_ND, targets_NC = drawn(40)
    targets_NC[:20, 3:] = NAN
    known = KnownAnswers(features_ND, targets_NC, Layout((TONES,)))
    alone = KnownAnswers(features_ND, targets_NC[:, 3:], Layout((TONES,)))
    assert alone.of(slice(20)).right(alone.of(slice(20, 40))).tolist() == [0.0] * 20
    assert len(known) == 40


def test_an_answer_to_a_form_has_changed_if_any_of_it_has() -> None:
    before, now = np.array([[1, 0, 1], [0, 1, 0], [0, 1, 1]]), np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]])
    assert changed_share(before, now) == pytest.approx(2 / 3)
