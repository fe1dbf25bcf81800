"""Fresh heads: what scikit-learn's logistic regression says, of the classes that they have seen."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from nextlabel.learning.fresh_heads import Known, fresh_head
from nextlabel.learning.heads import PRECISION


def drawn(seed: int, examples: int, classes: int = 3, width: int = 6) -> Known:
    """Features of unit length that tell something about classes, each of which has an example."""
    rng = np.random.default_rng(seed)
    targets_N = np.concatenate([np.arange(classes), rng.integers(classes, size=examples - classes)])
    points_ND = np.eye(classes, width)[targets_N] + 0.7 * rng.normal(size=(examples, width))
    return Known(points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True), targets_N)


def test_it_is_logistic_regression_on_its_labels_alone() -> None:
    known, others = drawn(0, 40), drawn(1, 200)
    inputs_NE, of_others_NE = (np.hstack([of.features_ND, np.ones((len(of), 1))]) for of in (known, others))
    theirs = LogisticRegression(C=1 / PRECISION, fit_intercept=False, tol=1e-10, max_iter=5000)
    theirs.fit(inputs_NE, known.targets_N)
    head = fresh_head(known)
    assert np.allclose(head.probabilities(others.features_ND, 3), theirs.predict_proba(of_others_NE), atol=1e-5)
    assert np.array_equal(head.predictions(others.features_ND), theirs.predict(of_others_NE))


def test_what_it_has_seen_no_example_of_it_never_says() -> None:
    known = drawn(2, 60, classes=4)
    seen = known.of(np.flatnonzero(known.targets_N != 1))
    head = fresh_head(seen)
    probs_NC = head.probabilities(known.features_ND, 5)
    assert np.allclose(probs_NC.sum(axis=1), 1)
    assert set(np.flatnonzero(probs_NC.any(axis=0))) == {0, 2, 3}
    assert np.array_equal(head.predictions(known.features_ND), probs_NC.argmax(axis=1))


def test_of_one_class_it_says_that_and_of_no_label_there_is_none() -> None:
    known = drawn(3, 30)
    head = fresh_head(Known(known.features_ND, np.full(30, 2)))
    assert set(head.predictions(known.features_ND)) == {2}
    with pytest.raises(ValueError, match="no labels was asked for; give at least one"):
        fresh_head(known.of(slice(0)))


def test_what_it_begins_near_to_makes_no_difference() -> None:
    known, others = drawn(4, 50), drawn(5, 100)
    for before in (known.of(slice(30)), known.of(np.flatnonzero(known.targets_N))):  # the latter has a class less
        near = fresh_head(known, fresh_head(before))
        ours, theirs = (head.probabilities(others.features_ND, 3) for head in (near, fresh_head(known)))
        assert np.allclose(ours, theirs, atol=1e-5)
