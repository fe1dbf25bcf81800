"""Heads: what logistic regression gives, drawn to the fitted layer, the same each time, on disk, and no worse."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from nextlabel.errors import NoModelError
from nextlabel.learning import heads, newton
from nextlabel.learning.heads import Head, beats_majority, load, make_head, probabilities, refitted, save
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.linear import Linear


def zero(classes: int, width: int, bias: bool = True) -> Linear:
    return Linear(np.zeros((classes, width)), np.zeros(classes) if bias else None)


def drawn(seed: int, examples: int = 60, width: int = 7, classes: int = 3) -> tuple[Linear, Array, Ints]:
    """A layer, features that tell something about classes, and classes; every class has an example."""
    rng = np.random.default_rng(seed)
    targets_N = np.concatenate([np.arange(classes), rng.integers(classes, size=examples - classes)])
    means_CD = rng.normal(size=(classes, width))
    features_ND = means_CD[targets_N] + rng.normal(size=(examples, width))
    return Linear(rng.normal(size=(classes, width)), rng.normal(size=classes)), features_ND, targets_N


def distance(one: Linear, other: Linear) -> float:
    assert one.bias_C is not None
    assert other.bias_C is not None
    return float(np.hypot(np.linalg.norm(one.weights_CD - other.weights_CD), np.linalg.norm(one.bias_C - other.bias_C)))


@pytest.mark.parametrize("precision", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("classes", [2, 3, 9])
def test_around_zero_it_is_the_logistic_regression_of_scikit_learn(classes: int, precision: float) -> None:
    _, features_ND, targets_N = drawn(classes, classes=classes)
    inputs_NE = np.hstack([features_ND, np.ones((len(features_ND), 1))])  # it leaves its own intercept unpenalised
    inverse = (2 if classes == 2 else 1) / precision  # of two rows it fits the difference
    theirs = LogisticRegression(C=inverse, fit_intercept=False, tol=1e-10, max_iter=5000).fit(inputs_NE, targets_N)
    ours_NC = probabilities(refitted(zero(classes, 7), features_ND, targets_N, precision), features_ND)
    assert np.allclose(ours_NC, theirs.predict_proba(inputs_NE), atol=1e-5)


def test_without_a_bias_it_is_that_without_an_intercept() -> None:
    _, features_ND, targets_N = drawn(5)
    theirs = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=5000).fit(features_ND, targets_N)
    ours = refitted(zero(3, 7, bias=False), features_ND, targets_N, precision=1.0)
    assert ours.bias_C is None
    assert np.allclose(ours.weights_CD, theirs.coef_, atol=1e-5)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), low=st.floats(0.01, 10), factor=st.floats(1.1, 100))
def test_the_more_precise_the_prior_the_nearer_it_stays_to_the_fitted_layer(
    seed: int, low: float, factor: float
) -> None:
    fitted, features_ND, targets_N = drawn(seed)
    loose, tight = (refitted(fitted, features_ND, targets_N, precision) for precision in (low, low * factor))
    assert distance(tight, fitted) < distance(loose, fitted)


def test_without_a_label_it_is_the_fitted_layer() -> None:
    fitted, features_ND, targets_N = drawn(0)
    assert refitted(fitted, features_ND[:0], targets_N[:0]) is fitted


def test_an_example_counts_by_its_weight() -> None:
    fitted, features_ND, targets_N = drawn(2)
    twice = refitted(
        fitted, np.vstack([features_ND] * 2), np.tile(targets_N, 2), weights_N=np.full(2 * len(targets_N), 0.5)
    )
    assert distance(twice, refitted(fitted, features_ND, targets_N)) < 1e-5
    first_N = np.arange(len(targets_N)) < len(targets_N) // 2
    assert set(targets_N[first_N]) == set(targets_N)
    half = refitted(fitted, features_ND, targets_N, weights_N=first_N.astype(float))
    assert distance(half, refitted(fitted, features_ND[first_N], targets_N[first_N])) < 1e-5
    head = make_head(fitted, ("a", "b", "c"), dict(enumerate("abcab")), features_ND[:5], lighter={1: 0.25})
    weights_N, numbers_N = np.array([1, 0.25, 1, 1, 1]), np.array([0, 1, 2, 0, 1])
    assert distance(head.layer, refitted(fitted, features_ND[:5], numbers_N, weights_N=weights_N)) == 0


def test_a_class_without_an_example_keeps_its_row() -> None:
    fitted, features_ND, targets_N = drawn(1, classes=4)
    seen_N = targets_N != 2
    head = refitted(fitted, features_ND[seen_N], targets_N[seen_N])
    assert fitted.bias_C is not None
    assert head.bias_C is not None
    for row in range(4):
        expected = fitted.weights_CD[row].astype(np.float32)
        assert np.array_equal(head.weights_CD[row], expected) == (row == 2)
        assert (head.bias_C[row] == np.float32(fitted.bias_C[row])) == (row == 2)


def test_it_is_the_same_each_time_and_holds_numbers_of_fp32() -> None:
    one, other = (refitted(*drawn(2, 300, 64, 8)) for _ in range(2))
    assert np.array_equal(one.weights_CD, other.weights_CD)
    assert np.array_equal(one.weights_CD, one.weights_CD.astype(np.float32))


@pytest.mark.parametrize("precision", [1e-3, 1.0])
def test_it_is_where_the_slope_is_none_even_far_from_where_it_began(precision: float) -> None:
    fitted, features_ND, targets_N = drawn(3, 200, 30, 5)
    far = Linear(40 * fitted.weights_CD, fitted.bias_C)
    inputs_NE = np.hstack([features_ND, np.ones((len(features_ND), 1))])
    posterior = heads._Posterior(inputs_NE, far(features_ND), targets_N, np.arange(5), precision)
    change_SE = newton.least(posterior, np.zeros((5, 31)))
    assert np.linalg.norm(posterior.slope(change_SE)[0]) <= newton.SOLVED
    rng = np.random.default_rng(0)
    value = posterior.value(change_SE)
    assert all(posterior.value(change_SE + 1e-2 * rng.normal(size=change_SE.shape)) > value for _ in range(20))


def test_where_it_begins_makes_no_difference() -> None:
    fitted, features_ND, targets_N = drawn(5)
    before = refitted(fitted, features_ND[:-5], targets_N[:-5])
    anew, on = refitted(fitted, features_ND, targets_N), refitted(fitted, features_ND, targets_N, near=before)
    assert distance(before, anew) > 0.01
    assert distance(on, anew) < 1e-6
    third = targets_N != 2  # a class that has lost its examples goes back to the fitted row
    again = refitted(fitted, features_ND[third], targets_N[third], near=anew)
    assert distance(again, refitted(fitted, features_ND[third], targets_N[third])) < 1e-6


def test_half_precision_is_enough_for_its_features() -> None:
    fitted, features_ND, targets_N = drawn(4)
    ours, rounded = (refitted(fitted, some, targets_N) for some in (features_ND, features_ND.astype(np.float16)))
    assert np.allclose(probabilities(ours, features_ND), probabilities(rounded, features_ND), atol=5e-3)


# The guard


def test_a_head_that_tells_classes_apart_beats_the_majority() -> None:
    _, features_ND, targets_N = drawn(0, 60)
    assert beats_majority(features_ND, targets_N, zero(3, 7))


def test_a_head_on_features_that_say_nothing_does_not() -> None:
    rng = np.random.default_rng(0)
    targets_N = np.repeat([0, 1], [30, 14])
    assert not beats_majority(rng.normal(size=(44, 20)), targets_N, zero(2, 20))


@pytest.mark.parametrize("targets", [[], [1], [1, 1, 1, 1, 1, 1, 1]])
def test_one_class_is_no_reason_to_trust_a_head(targets: list[int]) -> None:
    features_ND = np.random.default_rng(0).normal(size=(len(targets), 5))
    assert not beats_majority(features_ND, np.array(targets, dtype=np.int64), zero(2, 5))


def test_each_label_is_judged_once_by_a_head_that_does_not_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    left_out: list[float] = []
    _, features_ND, targets_N = drawn(1, 23)

    def noted(fitted: Linear, known_ND: Array, *_: Any) -> Linear:
        left_out.extend(value for value in features_ND[:, 0] if value not in known_ND[:, 0])
        return fitted

    monkeypatch.setattr(heads, "refitted", noted)
    beats_majority(features_ND, targets_N, zero(3, 7))
    assert sorted(left_out) == sorted(features_ND[:, 0])


# On disk


def a_head(bias: bool = True) -> Head:
    fitted, features_ND, _ = drawn(0, 5)
    fitted = fitted if bias else replace(fitted, bias_C=None)
    return make_head(
        fitted, ("ja", "nein", "unklar, später"), {9: "nein", 4: "ja", 7: "ja", 1: "nein", 2: "ja"}, features_ND
    )


@pytest.mark.parametrize("bias", [True, False])
def test_what_is_saved_is_read_again(bias: bool, tmp_path: Path) -> None:
    head = a_head(bias)
    save(head, tmp_path / "12.npz")
    found = load(tmp_path / "12.npz")
    assert (found.labels, list(found.known.items()), found.precision) == (head.labels, list(head.known.items()), 0.1)
    features_ND = np.random.default_rng(0).normal(size=(4, 7))
    assert np.array_equal(probabilities(found.layer, features_ND), probabilities(head.layer, features_ND))
    assert [path.name for path in tmp_path.iterdir()] == ["12.npz"]


def test_the_same_head_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(a_head(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_labels_that_the_version_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        make_head(zero(2, 3), ("ja", "nein"), {1: "oui"}, np.zeros((1, 3)))


@pytest.mark.parametrize("kept", [0, 10, -30])
def test_a_damaged_file_is_named(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "12.npz"
    save(a_head(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(NoModelError, match=r"12\.npz holds no head .*Delete it"):
        load(path)


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "12.npz", weights_CD=np.zeros((2, 2)))
    with pytest.raises(NoModelError, match=r"12\.npz holds no head .*labels_C"):
        load(tmp_path / "12.npz")
