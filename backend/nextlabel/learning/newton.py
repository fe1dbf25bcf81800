"""Newton's method for what heads make least. That is strictly convex, so there is one such place. Knows numpy alone."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from nextlabel.values.arrays import Array

STEPS = 200  # at most; mostly some ten are taken
SHORTEST = 1e-9  # share of a step: where even that leads no lower, rounding is all that is left
SOLVED = (
    1e-7  # the norm of a gradient that counts as none: by the default precision of heads, all weights are within 1e-6
)
FALL = 1e-4  # of what a step promises, that much is to be kept


class Smooth(Protocol):
    """A function of rows (S, E)."""

    def value(self, rows_SE: Array, /) -> float:
        """What is to be least."""

    def slope(self, rows_SE: Array, /) -> tuple[Array, Callable[[Array], Array]]:
        """The gradient, and what multiplies a direction by the Hessian."""


def least(function: Smooth, begin_SE: Array) -> Array:
    """The rows at which it is least, from some that may be near. Halved steps where a whole one is too long (Boyd &
    Vandenberghe 2004, section 9.5)."""
    rows_SE, value = begin_SE, function.value(begin_SE)
    for _ in range(STEPS):
        gradient_SE, curvature = function.slope(rows_SE)
        if np.linalg.norm(gradient_SE) <= SOLVED:
            break
        step_SE = _conjugate_gradients(curvature, -gradient_SE)
        fall = float((gradient_SE * step_SE).sum())
        length, after = 1.0, function.value(rows_SE + step_SE)
        while after > value + FALL * length * fall:
            length /= 2
            if length < SHORTEST:
                return rows_SE
            after = function.value(rows_SE + length * step_SE)
        rows_SE, value = rows_SE + length * step_SE, after
    return rows_SE


def _conjugate_gradients(curvature: Callable[[Array], Array], wanted_SE: Array) -> Array:
    """About the direction that `curvature` turns into `wanted_SE`, the closer the smaller that is: an inexact Newton
    step (Nocedal & Wright 2006, algorithm 7.1)."""
    solution_SE, rest_SE = np.zeros_like(wanted_SE), wanted_SE
    direction_SE, size = rest_SE, float((rest_SE**2).sum())
    close = size * min(0.25, size**0.5)
    for _ in range(wanted_SE.size):
        turned_SE = curvature(direction_SE)
        length = size / float((direction_SE * turned_SE).sum())
        solution_SE, rest_SE = solution_SE + length * direction_SE, rest_SE - length * turned_SE
        before, size = size, float((rest_SE**2).sum())
        if size <= close:
            break
        direction_SE = rest_SE + size / before * direction_SE
    return solution_SE
