"""Heads that know a few labels and nothing else, as if there had been no version: to compare what labels are worth.

A head around a version's layer (`heads`) also knows what that version was fitted on. Knows numpy alone.
"""

from dataclasses import dataclass

import numpy as np

from nextlabel.learning import heads
from nextlabel.values.arrays import Array, Bools, Features, Ints
from nextlabel.values.linear import Linear


@dataclass(frozen=True)
class Known:
    """Labelled tasks: features (N, D) of unit length, and class numbers (N)."""

    features_ND: Features
    targets_N: Ints

    def __len__(self) -> int:
        return len(self.targets_N)

    def of(self, rows: slice | Ints) -> "Known":
        """Some of them."""
        return Known(self.features_ND[rows], self.targets_N[rows])

    def right(self, judges: "Known") -> Array:
        """Whether the head of these labels is right, by judging task, (M): 1 or 0."""
        right_M: Bools = fresh_head(self).predictions(judges.features_ND) == judges.targets_N
        return right_M.astype(np.float64)


@dataclass(frozen=True)
class FreshHead:
    """A layer whose rows are the classes that it has seen, by rising number."""

    layer: Linear
    classes_S: Ints

    def predictions(self, features_ND: Features) -> Ints:
        """Class numbers (N)."""
        predictions_N: Ints = self.classes_S[self.layer(features_ND).argmax(axis=1)]
        return predictions_N

    def probabilities(self, features_ND: Features, classes: int) -> Array:
        """Of all `classes` (N, C), rows summing to 1; 0 for one that it has not seen."""
        probs_NC = np.zeros((len(features_ND), classes))
        probs_NC[:, self.classes_S] = heads.probabilities(self.layer, features_ND)
        return probs_NC


def fresh_head(known: Known, near: FreshHead | None = None) -> FreshHead:
    """Multinomial logistic regression with the prior of `heads` around zero; what it is `near` makes it sooner.

    Raises `ValueError` without a label.
    """
    if not len(known):
        raise ValueError("a head of no labels was asked for; give at least one")
    classes_S, targets_N = np.unique(known.targets_N, return_inverse=True)
    zero = Linear(np.zeros((len(classes_S), known.features_ND.shape[1])), np.zeros(len(classes_S)))
    begin = near.layer if near is not None and np.array_equal(near.classes_S, classes_S) else None
    return FreshHead(heads.refitted(zero, known.features_ND, targets_N, near=begin), classes_S)
