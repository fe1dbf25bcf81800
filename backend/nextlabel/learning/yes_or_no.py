"""Logistic regressions on the same inputs, one for each label of which any may be given: all at once. Numpy alone."""

from dataclasses import dataclass

import numpy as np

from nextlabel.learning.newton import FALL, SHORTEST, SOLVED, STEPS
from nextlabel.values.arrays import Array, Ints

AT_A_TIME = 2**22  # numbers in one array of texts by labels


def least(
    inputs_NE: Array, logits_NL: Array, targets_NL: Array, weights_NL: Array, precision: float, begin_LE: Array
) -> Array:
    """The change of each label's row (L, E), from one that may be near, at which its posterior is largest.

    `logits_NL` are those of the rows as they are, `targets_NL` 0 and 1, and `precision` that of the prior around no
    change. Answers count by `weights_NL`, from 0 to 1; a row without any stays as it is.
    """
    labels_L, parts = np.arange(logits_NL.shape[1]), -(-logits_NL.size // AT_A_TIME)
    found = []
    for some in np.array_split(labels_L, min(max(parts, 1), max(len(labels_L), 1))):
        posterior = _Posteriors(inputs_NE, logits_NL[:, some], targets_NL[:, some], weights_NL[:, some], precision)
        found.append(_newton(posterior, begin_LE[some]))
    return np.concatenate(found)


@dataclass(frozen=True)
class _Posteriors:
    """Minus their logarithms as functions of the changes (L, E), less constants."""

    inputs_NE: Array
    logits_NL: Array
    targets_NL: Array
    weights_NL: Array
    precision: float

    def of(self, some: Ints) -> "_Posteriors":
        if len(some) == self.logits_NL.shape[1]:
            return self
        columns = (self.logits_NL[:, some], self.targets_NL[:, some], self.weights_NL[:, some])
        return _Posteriors(self.inputs_NE, *columns, self.precision)

    def _logits(self, change_LE: Array) -> Array:
        return np.asarray(self.logits_NL + self.inputs_NE @ change_LE.T)

    def values(self, change_LE: Array) -> Array:
        logits_NL = self._logits(change_LE)
        each_NL = self.weights_NL * (np.logaddexp(0, logits_NL) - self.targets_NL * logits_NL)
        return np.asarray(each_NL.sum(axis=0) + self.precision / 2 * (change_LE**2).sum(axis=1))

    def slopes(self, change_LE: Array) -> tuple[Array, Array]:
        """The gradients, and the curvature (N, L) along each answer's logit."""
        with np.errstate(over="ignore"):  # one over infinity is 0, as it should be
            probs_NL = 1 / (1 + np.exp(-self._logits(change_LE)))
        errors_NL = self.weights_NL * (probs_NL - self.targets_NL)
        gradients_LE = errors_NL.T @ self.inputs_NE + self.precision * change_LE
        return gradients_LE, self.weights_NL * probs_NL * (1 - probs_NL)

    def turned(self, curvature_NL: Array, direction_LE: Array) -> Array:
        """Directions times the Hessians."""
        moved_NL = curvature_NL * (self.inputs_NE @ direction_LE.T)
        return np.asarray(moved_NL.T @ self.inputs_NE + self.precision * direction_LE)


def _newton(posteriors: _Posteriors, begin_LE: Array) -> Array:
    """As `newton.least`, each row for itself."""
    change_LE, left = begin_LE.copy(), np.arange(len(begin_LE))
    for _ in range(STEPS):
        gradient_RE, curvature_NR = posteriors.of(left).slopes(change_LE[left])
        going = np.linalg.norm(gradient_RE, axis=1) > SOLVED
        left, gradient_RE, curvature_NR = left[going], gradient_RE[going], curvature_NR[:, going]
        if not len(left):
            break
        some = posteriors.of(left)
        step_RE = _conjugate_gradients(some, curvature_NR, -gradient_RE)
        length_R = _lengths(some, change_LE[left], step_RE, (gradient_RE * step_RE).sum(axis=1))
        change_LE[left] += length_R[:, None] * step_RE
        left = left[length_R > 0]
    return change_LE


def _conjugate_gradients(posteriors: _Posteriors, curvature_NR: Array, wanted_RE: Array) -> Array:
    solution_RE, rest_RE, direction_RE = np.zeros_like(wanted_RE), wanted_RE.copy(), wanted_RE.copy()
    size_R = (rest_RE**2).sum(axis=1)
    close_R, left = size_R * np.minimum(0.25, size_R**0.5), np.arange(len(wanted_RE))
    for _ in range(wanted_RE.shape[1]):
        turned_PE = posteriors.turned(curvature_NR[:, left], direction_RE[left])
        length_P = size_R[left] / (direction_RE[left] * turned_PE).sum(axis=1)
        solution_RE[left] += length_P[:, None] * direction_RE[left]
        rest_RE[left] -= length_P[:, None] * turned_PE
        before_P, size_R[left] = size_R[left], (rest_RE[left] ** 2).sum(axis=1)
        direction_RE[left] = rest_RE[left] + (size_R[left] / before_P)[:, None] * direction_RE[left]
        left = left[size_R[left] > close_R[left]]
        if not len(left):
            break
    return solution_RE


def _lengths(posteriors: _Posteriors, change_RE: Array, step_RE: Array, fall_R: Array) -> Array:
    """The share of each step to take, halved until it leads lower; 0 where none does."""
    value_R, length_R, left = posteriors.values(change_RE), np.ones(len(step_RE)), np.arange(len(step_RE))
    while len(left):
        after_P = posteriors.of(left).values(change_RE[left] + length_R[left, None] * step_RE[left])
        left = left[after_P > value_R[left] + FALL * length_R[left] * fall_R[left]]
        length_R[left] /= 2
        length_R[left[length_R[left] < SHORTEST]] = 0
        left = left[length_R[left] > 0]
    return length_R
