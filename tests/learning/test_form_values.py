"""Several questions: one value for all, and heads that fit each by itself."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from nextlabel.learning.heads import make_head, probabilities, refitted, refitted_form
from nextlabel.learning.strategies import SERVABLE, acquire
from nextlabel.learning.thresholds import best_threshold, with_thresholds
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ANY_OF, GUESSED, MAXIMUM, MEAN, ONE_OF, ORDERED, Cut, Layout, encoded
from nextlabel.values.linear import Linear

TOPIC, TONES, STARS = (
    Cut("topic", ONE_OF, ("a", "b", "c")),
    Cut("tones", ANY_OF, ("x", "y")),
    Cut("stars", ORDERED, tuple("12345")),
)
LAYOUT = Layout((TOPIC, TONES, STARS))
SURE = [1.0, 0, 0, 0, 1, 0, 0, 1, 0, 0]
NO_IDEA = [1 / 3] * 3 + [0.5] * 2 + [0.5, 0, 0, 0, 0.5]


def value(strategy: str, probs: list[float], layout: Layout = LAYOUT) -> float:
    return float(acquire(strategy, np.array([[probs]]), np.array([0.4]), layout)[0])


@pytest.mark.parametrize("strategy", SERVABLE)
def test_certainty_about_all_is_worth_nothing_and_none_about_any_is_worth_all(strategy: str) -> None:
    if strategy == "random":
        assert value(strategy, SURE) == value(strategy, NO_IDEA) == pytest.approx(0.4)
    elif strategy.startswith("power"):
        assert value(strategy, SURE) < value(strategy, NO_IDEA)
    else:
        assert value(strategy, SURE) == pytest.approx(0)
        assert value(strategy, NO_IDEA) == pytest.approx(1)


def test_one_question_with_one_answer_has_the_value_that_it_has_without_a_layout() -> None:
    probs_NKC = np.random.default_rng(0).dirichlet(np.ones(3), (20, 1))
    alone_N = acquire("margin", probs_NKC, np.zeros(20))
    np.testing.assert_allclose(acquire("margin", probs_NKC, np.zeros(20), Layout((TOPIC,))), alone_N)


def test_of_labels_that_may_all_be_given_the_least_certain_one_counts_or_their_mean() -> None:
    layout = Layout((Cut("tags", ANY_OF, tuple("abcdefghij")),))
    assert value("margin", [0.5, *[0.01] * 9], layout) == pytest.approx(1)
    assert value("margin", [0.01] * 10, layout) == pytest.approx(0.02)
    mean = replace(layout, combine_labels=MEAN)
    assert value("margin", [0.5, *[0.01] * 9], mean) == pytest.approx((1 + 9 * 0.02) / 10)
    assert Layout.of(mean.as_dict()) == mean
    assert "combine_labels" not in layout.as_dict(), "as versions have it that know nothing of it"


def test_far_apart_steps_are_worth_more_than_neighbours() -> None:
    layout = Layout((STARS,))
    apart, beside = value("entropy", [0.5, 0, 0, 0, 0.5], layout), value("entropy", [0, 0, 0.5, 0.5, 0], layout)
    assert apart == pytest.approx(1)
    assert beside == pytest.approx(0.25 / 4)


def test_questions_count_by_their_weights_or_the_highest_of_them_does() -> None:
    probs = [1 / 3] * 3 + SURE[3:]  # nothing is known of the topic, all of the rest

    def weighted(topic: float, rest: float, combine: str = MEAN) -> float:
        cuts = (
            Cut("topic", ONE_OF, ("a", "b", "c"), topic),
            *(Cut(c.name, c.kind, c.labels, rest) for c in (TONES, STARS)),
        )
        return value("entropy", probs, Layout(cuts, combine))

    assert weighted(1, 1) == pytest.approx(1 / 3)
    assert weighted(2, 1) == pytest.approx(1 / 2)
    assert weighted(0, 1) == pytest.approx(0)
    assert weighted(0, 0) == pytest.approx(1 / 3)  # no question at all: as if none were named
    assert weighted(1, 1, MAXIMUM) == pytest.approx(1)
    assert weighted(0, 1, MAXIMUM) == pytest.approx(0)


def features(count: int, width: int = 6) -> Array:
    return np.random.default_rng(1).normal(size=(count, width))


def zero(rows: int, width: int = 6) -> Linear:
    return Linear(np.zeros((rows, width)), np.zeros(rows))


def answers(count: int) -> list[str]:
    rng = np.random.default_rng(2)
    tones = [tuple(label for label in ("x", "y") if rng.random() < 0.4) for _ in range(count)]
    topics = [rng.choice(["a", "b", "c"]) for _ in range(count)]
    return [
        encoded({"tones": tone, **({"topic": (topic,)} if i % 3 else {})})
        for i, (tone, topic) in enumerate(zip(tones, topics, strict=True))
    ]


def test_labels_that_may_all_be_given_are_fitted_as_scikit_learn_fits_each() -> None:
    layout, features_ND = Layout((TOPIC, TONES)), features(60)
    targets_NC = layout.targets(answers(60))
    ours = probabilities(refitted_form(zero(5), features_ND, targets_NC, layout, precision=0.5), features_ND, layout)
    ones_N1 = np.ones((60, 1))  # the bias is drawn to 0 as the weights are
    for column in (3, 4):
        theirs = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-10, max_iter=1000)
        theirs.fit(np.hstack([features_ND, ones_N1]), targets_NC[:, column])
        expected_N = theirs.predict_proba(np.hstack([features_ND, ones_N1]))[:, 1]
        np.testing.assert_allclose(ours[:, column], expected_N, atol=1e-5)


def test_a_question_is_fitted_to_those_who_answered_it_whatever_else_is_asked() -> None:
    layout, features_ND = Layout((TOPIC, TONES)), features(60)
    targets_NC = layout.targets(answers(60))
    whole = refitted_form(zero(5), features_ND, targets_NC, layout)
    asked_N = ~np.isnan(targets_NC[:, 0])
    alone = refitted(zero(3), features_ND[asked_N], targets_NC[asked_N, :3].argmax(axis=1))
    np.testing.assert_array_equal(whole.weights_CD[:3], alone.weights_CD)
    near = refitted_form(zero(5), features_ND, targets_NC, layout, near=whole)
    np.testing.assert_allclose(near.weights_CD, whole.weights_CD, atol=1e-5)


def test_an_answer_counts_by_its_weight_in_each_question() -> None:
    layout, features_ND = Layout((TOPIC, TONES)), features(60)
    targets_NC, first_N = layout.targets(answers(60)), np.arange(60) < 40
    weighed = refitted_form(zero(5), features_ND, targets_NC, layout, weights_N=first_N.astype(float))
    alone = refitted_form(zero(5), features_ND[first_N], targets_NC[first_N], layout)
    np.testing.assert_allclose(weighed.weights_CD, alone.weights_CD, atol=1e-5)


def test_rows_of_a_question_that_nobody_answered_stay_as_they_are() -> None:
    fitted = Linear(np.random.default_rng(3).normal(size=(10, 6)).astype(np.float32).astype(float), None)
    known = dict(enumerate(answers(30)))
    head = make_head(fitted, LAYOUT.labels, known, features(30), layout=LAYOUT)
    np.testing.assert_array_equal(head.layer.weights_CD[5:], fitted.weights_CD[5:])
    assert (head.layer.weights_CD[:5] != fitted.weights_CD[:5]).any()


def test_a_label_is_fitted_to_those_who_were_asked_about_it() -> None:
    layout, features_ND = Layout((TOPIC, TONES)), features(60)
    targets_NC, later_N = layout.targets(answers(60)), np.arange(60) >= 25
    partly_NC = targets_NC.copy()
    partly_NC[~later_N, 4] = np.nan
    some = refitted_form(zero(5), features_ND, partly_NC, layout)
    of_all = refitted_form(zero(5), features_ND, targets_NC, layout)
    of_later = refitted_form(zero(5), features_ND[later_N], targets_NC[later_N], layout)
    np.testing.assert_array_equal(some.weights_CD[:3], of_all.weights_CD[:3])
    np.testing.assert_allclose(some.weights_CD[3], of_all.weights_CD[3], atol=1e-5)
    np.testing.assert_allclose(some.weights_CD[4], of_later.weights_CD[4], atol=1e-5)
    partly_NC[:, 4] = np.nan
    stays = refitted_form(of_all, features_ND, partly_NC, layout, near=some)
    np.testing.assert_array_equal(stays.weights_CD[4], of_all.weights_CD[4])


def test_a_threshold_is_chosen_by_those_who_were_asked_about_the_label() -> None:
    rng = np.random.default_rng(0)
    probs_M, given_M = rng.random(400), np.full(400, np.nan)
    given_M[:200] = probs_M[:200] > 0.7
    assert best_threshold(probs_M, given_M) == best_threshold(probs_M[:200], given_M[:200]) > GUESSED
    layout, features_ND = Layout((Cut("tones", ANY_OF, ("x", "y")),)), features(200)
    targets_NC = (features_ND[:, :2] > 0.5).astype(float)
    targets_NC[9:, 1] = np.nan
    found = with_thresholds(layout, zero(2), features_ND, targets_NC).cuts[0].thresholds
    assert found[1] == GUESSED != found[0], "nine answers are too few"
