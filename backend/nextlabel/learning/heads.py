"""A version's head: its own last layer, fitted again to all labels known now. Knows numpy alone.

Multinomial logistic regression with a Gaussian prior around the fitted layer. The same features and labels in the same
order give the same head on the same machine. Features are in fp32 of texts that were shown, of others as the fast pass
kept them, in half precision: a head that is made again from version and labels is nearly the same, not to the digit.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import NoModelError
from nextlabel.learning import yes_or_no
from nextlabel.learning.newton import least
from nextlabel.learning.strategies import acquire, draws
from nextlabel.store.files import replace_file
from nextlabel.values.arrays import Array, Features, Ints
from nextlabel.values.layout import ANY_OF, Layout, softmax
from nextlabel.values.linear import Linear

EVERY = 5  # labels, after which the live loop fits a head again (reports/renewals)
PRECISION = 0.1  # of the prior: one over the variance of each weight around the fitted one
FOLDS = 5  # of the cross-validation by which a head is judged
NO_LIGHTER: Mapping[int, float] = {}


@dataclass(frozen=True)
class Head:
    """A layer whose rows are `labels`, and what it was fitted to: the answer of each task by id, in their order. As of
    a classifier, a `layout` divides the rows among several questions."""

    layer: Linear
    labels: tuple[str, ...]
    known: Mapping[int, str]
    precision: float
    layout: Layout | None = None


def make_head(
    fitted: Linear,
    labels: tuple[str, ...],
    known: Mapping[int, str],
    features_ND: Features,
    precision: float = PRECISION,
    near: Linear | None = None,
    layout: Layout | None = None,
    lighter: Mapping[int, float] = NO_LIGHTER,
) -> Head:
    """The head that knows the answers `known`; `features_ND` are those of its tasks, in its order. Raises `ValueError`
    for a label that is none of `labels`. As of `refitted`, what it is `near` makes it sooner. `lighter` are weights, 0
    to below 1, by the ids of tasks whose labels count less than others."""
    weights_N = np.array([lighter.get(task, 1.0) for task in known])
    if layout is not None:
        targets_NC = layout.targets(list(known.values()))
        layer = refitted_form(fitted, features_ND, targets_NC, layout, precision, near, weights_N)
    else:
        targets_N = np.array([labels.index(label) for label in known.values()], dtype=np.int64)
        layer = refitted(fitted, features_ND, targets_N, precision, near, weights_N)
    return Head(layer, labels, dict(known), precision, layout)


def refitted(
    fitted: Linear,
    features_ND: Features,
    targets_N: Ints,
    precision: float = PRECISION,
    near: Linear | None = None,
    weights_N: Array | None = None,
) -> Linear:
    """The layer after Newton's method, its numbers rounded to those of fp32, as a checkpoint holds them.

    The row of a class without an example stays as it is; without any example the whole layer does. The method begins at
    the layer that it is `near`, such as the last head's; where it ends does not depend on that. Examples count by
    `weights_N`, from 0 to 1; without, all alike.
    """
    seen_S = np.unique(targets_N)
    if not len(seen_S):
        return fitted
    inputs_NE = _inputs(fitted, features_ND)
    rows_CE = _rows(fitted)
    begin_SE = (_rows(near) - rows_CE)[seen_S] if near else np.zeros((len(seen_S), inputs_NE.shape[1]))
    weights_N1 = 1.0 if weights_N is None else weights_N[:, None]
    change_SE = least(_Posterior(inputs_NE, fitted(features_ND), targets_N, seen_S, precision, weights_N1), begin_SE)
    rows_CE[seen_S] += change_SE
    return _from_rows(rows_CE, fitted)


def refitted_form(
    fitted: Linear,
    features_ND: Features,
    targets_NC: Array,
    layout: Layout,
    precision: float = PRECISION,
    near: Linear | None = None,
    weights_N: Array | None = None,
) -> Linear:
    """As `refitted`, each question by itself, to those who answered it, and each label of which any may be given to
    those who were asked about it: their rows have nothing to do with each other.

    `targets_NC` as of `Layout.targets`.
    """
    changed: list[Linear] = []
    weights_N = np.ones(len(targets_NC)) if weights_N is None else weights_N
    for cut, at in layout.parts:
        asked_N = ~np.isnan(targets_NC[:, at]).all(axis=1)
        given_MC, features_MD, weights_M = targets_NC[asked_N, at], features_ND[asked_N], weights_N[asked_N]
        rows, before = _rows_of(fitted, at), near and _rows_of(near, at)
        if cut.kind == ANY_OF:
            changed.append(_refitted_each(rows, features_MD, given_MC, precision, before, weights_M))
        else:
            changed.append(refitted(rows, features_MD, given_MC.argmax(axis=1), precision, before, weights_M))
    bias_C = None if fitted.bias_C is None else np.concatenate([np.asarray(part.bias_C) for part in changed])
    return Linear(np.concatenate([part.weights_CD for part in changed]), bias_C)


def _refitted_each(
    fitted: Linear, features_MD: Features, targets_MC: Array, precision: float, near: Linear | None, weights_M: Array
) -> Linear:
    """Rows of which each is the lead of one class over another whose logit is always 0."""
    rows_CE = _rows(fitted)
    begin_CE = _rows(near) - rows_CE if near else np.zeros_like(rows_CE)
    inputs_ME, logits_MC = _inputs(fitted, features_MD), fitted(features_MD)
    given_MC, weights_MC = np.nan_to_num(targets_MC), weights_M[:, None] * ~np.isnan(targets_MC)
    change_CE = yes_or_no.least(inputs_ME, logits_MC, given_MC, weights_MC, precision, begin_CE)
    change_CE[np.isnan(targets_MC).all(axis=0)] = 0
    return _from_rows(rows_CE + change_CE, fitted)


def _rows_of(layer: Linear, some: slice) -> Linear:
    return Linear(layer.weights_CD[some], None if layer.bias_C is None else layer.bias_C[some])


def probabilities(layer: Linear, features_ND: Features, layout: Layout | None = None) -> Array:
    """Class probabilities (N, C), rows summing to 1 or as `Layout.probabilities` has them: what the model says once the
    layer stands in it."""
    logits_NC = layer(features_ND)
    return layout.probabilities(logits_NC) if layout else softmax(logits_NC)


def acquisition_values(
    layer: Linear, features_ND: Features, ids_N: Ints, strategy: str, seed: int, layout: Layout | None = None
) -> Array:
    """Values (N) in [0, 1] of examples by what the layer says of them, as `rounds.score_pool` has a version's."""
    return acquire(strategy, probabilities(layer, features_ND, layout)[:, None, :], draws(ids_N, seed), layout)


def folds(targets_N: Ints) -> Ints:
    """The fold of each example (N), stratified by class and without chance."""
    fold_N = np.empty(len(targets_N), dtype=np.int64)
    fold_N[np.argsort(targets_N, kind="stable")] = np.arange(len(targets_N)) % FOLDS
    return fold_N


def beats_majority(features_ND: Features, targets_N: Ints, fitted: Linear, precision: float = PRECISION) -> bool:
    """Whether heads that do not know an example's label are right more often than the most frequent label is.

    Stratified cross-validation without chance. Kind to a version that was fitted on these labels, as its layer and its
    features know them.
    """
    fold_N, right = folds(targets_N), 0
    for fold in np.unique(fold_N):
        out_N = fold_N == fold
        layer = refitted(fitted, features_ND[~out_N], targets_N[~out_N], precision)
        right += int(np.sum(layer(features_ND[out_N]).argmax(axis=1) == targets_N[out_N]))
    return right > int(np.bincount(targets_N, minlength=1).max())


def save(head: Head, path: Path) -> None:
    """Write arrays that `numpy.load` reads: weights and bias in fp32, labels of the rows, task ids and their labels.

    Readers see the file whole or not at all. Raises `OSError` when it cannot be written.
    """
    arrays: dict[str, Any] = {
        "weights_CD": head.layer.weights_CD.astype(np.float32),
        "labels_C": np.array(head.labels, dtype=np.str_),
        "task_ids_N": np.array(list(head.known), dtype=np.int64),
        "known_N": np.array(list(head.known.values()), dtype=np.str_),
        "precision": np.float64(head.precision),
    }
    if head.layer.bias_C is not None:
        arrays["bias_C"] = head.layer.bias_C.astype(np.float32)
    if head.layout is not None:
        arrays["layout"] = np.array(json.dumps(head.layout.as_dict()))
    file = io.BytesIO()
    np.savez(file, **arrays)
    replace_file(path, file.getvalue())


def load(path: Path) -> Head:
    """A head that was saved. Raises `NoModelError` when the file is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        bias_C = found["bias_C"].astype(np.float64) if "bias_C" in found else None
        return Head(
            Linear(found["weights_CD"].astype(np.float64), bias_C),
            tuple(found["labels_C"].tolist()),
            dict(zip(found["task_ids_N"].tolist(), found["known_N"].tolist(), strict=True)),
            float(found["precision"]),
            Layout.of(json.loads(str(found["layout"]))) if "layout" in found else None,
        )
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise NoModelError(f"{path} holds no head ({error}). Delete it: the next one is made anew.") from None


@dataclass(frozen=True)
class _Posterior:
    """Minus its logarithm as a function of the change of the seen classes' rows, (S, E), less a constant.

    `inputs_NE` are the features, with a one for the bias; `logits_NC` the fitted layer's.
    """

    inputs_NE: Array
    logits_NC: Array
    targets_N: Ints
    seen_S: Ints
    precision: float
    weights_N1: Array | float = 1.0

    def logits(self, change_SE: Array) -> Array:
        logits_NC = self.logits_NC.copy()
        logits_NC[:, self.seen_S] += self.inputs_NE @ change_SE.T
        return logits_NC

    def value(self, change_SE: Array) -> float:
        logits_NC = self.logits(change_SE)
        top_N = logits_NC.max(axis=1)
        sums_N = np.log(np.exp(logits_NC - top_N[:, None]).sum(axis=1)) + top_N
        right_N = logits_NC[np.arange(len(logits_NC)), self.targets_N]
        return float((self.weights_N1 * (sums_N - right_N)[:, None]).sum() + self.precision / 2 * (change_SE**2).sum())

    def slope(self, change_SE: Array) -> tuple[Array, Callable[[Array], Array]]:
        """The gradient, and what multiplies a direction by the Hessian."""
        probs_NS = softmax(self.logits(change_SE))[:, self.seen_S]
        errors_NS = self.weights_N1 * (probs_NS - (self.targets_N[:, None] == self.seen_S))

        def curvature(direction_SE: Array) -> Array:
            moved_NS = probs_NS * (self.inputs_NE @ direction_SE.T)
            moved_NS -= probs_NS * moved_NS.sum(axis=1, keepdims=True)
            moved_NS *= self.weights_N1
            return np.asarray(moved_NS.T @ self.inputs_NE + self.precision * direction_SE)

        return errors_NS.T @ self.inputs_NE + self.precision * change_SE, curvature


def _inputs(layer: Linear, features_ND: Features) -> Array:
    """What its rows, the bias their last number, are multiplied by."""
    inputs_ND = features_ND.astype(np.float64)
    return inputs_ND if layer.bias_C is None else np.hstack([inputs_ND, np.ones((len(inputs_ND), 1))])


def _rows(layer: Linear) -> Array:
    if layer.bias_C is None:
        return layer.weights_CD.copy()
    return np.hstack([layer.weights_CD, layer.bias_C[:, None]])


def _from_rows(rows_CE: Array, like: Linear) -> Linear:
    """A layer of them, with a bias if the one that it is like has one, in numbers that fp32 has."""
    rows_CE = rows_CE.astype(np.float32).astype(np.float64)
    return Linear(rows_CE, None) if like.bias_C is None else Linear(rows_CE[:, :-1], rows_CE[:, -1])
