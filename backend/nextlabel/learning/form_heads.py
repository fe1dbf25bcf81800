"""Heads that know a few answers to a form and nothing else: as `fresh_heads`, for each question by itself. Pure."""

from dataclasses import dataclass

import numpy as np

from nextlabel.learning import fresh_heads
from nextlabel.learning.fresh_heads import fresh_head
from nextlabel.learning.heads import refitted_form
from nextlabel.values.arrays import Array, Bools, Features, Ints
from nextlabel.values.layout import ANY_OF, Cut, Layout
from nextlabel.values.linear import Linear


@dataclass(frozen=True)
class KnownAnswers:
    """Tasks with answers to some question: features (N, D) of unit length, targets (N, C) as of the layout."""

    features_ND: Features
    targets_NC: Array
    layout: Layout

    def __len__(self) -> int:
        return len(self.targets_NC)

    def of(self, rows: slice | Ints) -> "KnownAnswers":
        """Some of them."""
        return KnownAnswers(self.features_ND[rows], self.targets_NC[rows], self.layout)

    def right(self, judges: "KnownAnswers") -> Array:
        """Of each judging task the share of its answered questions to which the heads of these answers say just what it
        says, (M) from 0 to 1. Of a question that none of these answers, they say nothing."""
        right_MQ = np.full((len(judges), len(self.layout.cuts)), np.nan)
        for place, (cut, at) in enumerate(self.layout.parts):
            asked_M = _answered(judges.targets_NC[:, at])
            targets_JC, features_JD = judges.targets_NC[asked_M, at], judges.features_ND[asked_M]
            right_MQ[asked_M, place] = self._right(cut, at, targets_JC, features_JD)
        return np.asarray(np.nanmean(right_MQ, axis=1))

    def _right(self, cut: Cut, at: slice, targets_JC: Array, features_JD: Features) -> Bools:
        known_N = _answered(self.targets_NC[:, at])
        targets_KC, features_KD = self.targets_NC[known_N, at], self.features_ND[known_N]
        if not len(targets_KC):
            return np.zeros(len(targets_JC), dtype=bool)
        if cut.kind != ANY_OF:
            head = fresh_head(fresh_heads.Known(features_KD, targets_KC.argmax(axis=1)))
            return np.asarray(head.predictions(features_JD) == targets_JC.argmax(axis=1))
        labels, layout = targets_KC.shape[1], Layout((cut,))
        zero = Linear(np.zeros((labels, features_KD.shape[1])), np.zeros(labels))
        said_JC = layout.guesses(
            layout.probabilities(refitted_form(zero, features_KD, targets_KC, layout)(features_JD))
        )
        return np.asarray(((said_JC == targets_JC) | np.isnan(targets_JC)).all(axis=1))


def _answered(targets_NC: Array) -> Bools:
    return np.asarray(~np.isnan(targets_NC).all(axis=1))
