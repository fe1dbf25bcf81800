"""From which probability on each label of a question is shown, where any number of them may be given. Pure."""

from dataclasses import replace

import numpy as np

from nextlabel.learning.heads import FOLDS, probabilities, refitted_form
from nextlabel.values.arrays import Array, Features
from nextlabel.values.layout import ANY_OF, GUESSED, Cut, Layout
from nextlabel.values.linear import Linear

LEAST = 10  # texts with a label, and as many without it, from which on its threshold is chosen
LOWEST, HIGHEST = 0.2, 0.8
NEVER = 1.0


def with_thresholds(layout: Layout, fitted: Linear, features_ND: Features, targets_NC: Array) -> Layout:
    """The layout with thresholds by what people answered, (N, C) as `Layout.targets` has it.

    Of each label the one with the highest F1 on texts that the head which says it was not fitted to (five folds),
    between `LOWEST` and `HIGHEST`, and `GUESSED` where few texts have the label or few have not: F1 of few is chance.
    """
    cuts = []
    for cut, at in layout.parts:
        asked_N = ~np.isnan(targets_NC[:, at]).all(axis=1)
        rows = Linear(fitted.weights_CD[at], None if fitted.bias_C is None else fitted.bias_C[at])
        chosen = cut.kind == ANY_OF and asked_N.any()
        cuts.append(_with_thresholds(cut, rows, features_ND[asked_N], targets_NC[asked_N, at]) if chosen else cut)
    return replace(layout, cuts=tuple(cuts))


def _with_thresholds(cut: Cut, rows: Linear, features_MD: Features, targets_MC: Array) -> Cut:
    given_C, withheld_C = (targets_MC == 1).sum(axis=0), (targets_MC == 0).sum(axis=0)
    often = np.flatnonzero(np.minimum(given_C, withheld_C) >= LEAST)
    thresholds_C = np.full(len(cut.labels), GUESSED)
    # Who could choose one label alone says no to none: until somebody does, a guess would be that all are given.
    thresholds_C[(given_C > 0) & (withheld_C == 0) & np.isnan(targets_MC).any(axis=0)] = NEVER
    if len(often):
        alone = Layout((Cut(cut.name, ANY_OF, tuple(cut.labels[c] for c in often)),))
        some = Linear(rows.weights_CD[often], None if rows.bias_C is None else rows.bias_C[often])
        probs_MC = _out_of_fold(some, features_MD, targets_MC[:, often], alone)
        thresholds_C[often] = list(map(best_threshold, probs_MC.T, targets_MC[:, often].T))
    return replace(cut, thresholds=tuple(thresholds_C.tolist()))


def _out_of_fold(rows: Linear, features_MD: Features, targets_MC: Array, layout: Layout) -> Array:
    """What heads say that were fitted to the other folds."""
    fold_M, probs_MC = np.arange(len(targets_MC)) % FOLDS, np.zeros_like(targets_MC)
    for fold in range(FOLDS):
        out_M = fold_M == fold
        layer = refitted_form(rows, features_MD[~out_M], targets_MC[~out_M], layout)
        probs_MC[out_M] = probabilities(layer, features_MD[out_M], layout)
    return probs_MC


def best_threshold(probs_M: Array, given_M: Array) -> float:
    """The one with the highest F1, of as good ones the nearest to `GUESSED`. What is NaN among what was given counts
    for nothing."""
    asked_M = ~np.isnan(given_M)
    probs_M, given_M = probs_M[asked_M], given_M[asked_M]
    if min(given_M.sum(), len(given_M) - given_M.sum()) < LEAST:
        return GUESSED
    tried_T = np.linspace(LOWEST, HIGHEST, 61)
    said_TM = probs_M >= tried_T[:, None]
    right_T, all_T = (said_TM * given_M).sum(axis=1), said_TM.sum(axis=1) + given_M.sum()
    f1_T = np.round(2 * right_T / all_T, 9)
    best_T = np.flatnonzero(f1_T == f1_T.max())
    return round(float(tried_T[best_T[np.abs(tried_T[best_T] - GUESSED).argmin()]]), 3)
