"""Which labels are worth a second look: those that a model which does not know them, and all votes together, doubt.

The model is a head on frozen embeddings: a fitted encoder knows its labels by heart. Knows numpy alone; the likelihood
of votes is that of Dawid and Skene (1979) with one accuracy for each person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from nextlabel.learning.forecast import temperature, tempered
from nextlabel.learning.fresh_heads import FreshHead, Known, fresh_head
from nextlabel.learning.heads import FOLDS, PRECISION, folds
from nextlabel.learning.yes_or_no import AT_A_TIME, least
from nextlabel.values.arrays import Array, Bools, Features, Ints
from nextlabel.values.layout import softmax

SUSPECT = 0.5  # a label is one whose posterior is below that
ROUNDS = 15  # of the EM, after which nothing changes that matters
USUAL, PSEUDO_VOTES = 0.9, 20.0  # a person's accuracy beforehand, and how many votes that belief is worth
LEAST, MOST = 0.3, 0.995  # a person's accuracy is kept within these
NOTHING = 1e-9  # no model is surer than that
KNOWN_AT_MOST = 2_000  # labels that a fold's head is fitted on, so that a look at many takes no longer


@dataclass(frozen=True, order=True)
class Cast:
    """A vote: the row of the task, whose it is, the class number, and how much it counts, above 0 to 1."""

    row: int
    person: str
    choice: int
    weight: float = 1.0


@dataclass(frozen=True)
class Weighed:
    """What model and votes come to: probabilities (N, C), rows summing to 1, and how often each person is right."""

    probs_NC: Array
    accuracy: Mapping[str, float]


Raw = tuple[Array, Bools]  # probabilities (N, C) of heads that do not know an example, and of which they saw its class


def doubts(
    features_ND: Features, in_force_N: Ints, casts: Sequence[Cast], classes: int, raw: Raw | None = None
) -> tuple[Array, Weighed]:
    """How doubtful each label in force is (N), from 0 to 1, and what all that is known comes to.

    `in_force_N` are class numbers, features have unit length. A label of which no other example is known is not doubted
    by the model, which has never seen its class; with one class nothing is doubted. What heads say may be known, `raw`.
    """
    probs_NC = said(features_ND, in_force_N, classes, raw)
    weighed = weigh(probs_NC, casts)
    return 1 - weighed.probs_NC[np.arange(len(in_force_N)), in_force_N], weighed


def said(features_ND: Features, in_force_N: Ints, classes: int, raw: Raw | None = None) -> Array:
    """What heads that do not know an example's label say of it (N, C), calibrated by one temperature; of an example
    whose class they have not seen, and where there is nothing to tell apart, nothing: all classes alike."""
    probs_NC, seen_N = out_of_fold(features_ND, in_force_N, classes) if raw is None else raw
    if seen_N.any():
        raw_MC = np.maximum(probs_NC[seen_N], NOTHING)
        probs_NC[seen_N] = np.maximum(tempered(raw_MC, temperature(raw_MC, in_force_N[seen_N])), NOTHING)
    probs_NC[~seen_N] = 1 / classes
    return probs_NC


def out_of_fold(features_ND: Features, targets_N: Ints, classes: int) -> Raw:
    """The raw probabilities of those heads (N, C), and of which examples (N) the head has seen the class."""
    probs_NC, seen_N = np.full((len(targets_N), classes), 1 / classes), np.zeros(len(targets_N), dtype=bool)
    fold_N = folds(targets_N)
    near: FreshHead | None = None
    for fold in np.unique(fold_N):
        out_N = fold_N == fold
        rows = _some(np.flatnonzero(~out_N), targets_N)
        if len(np.unique(targets_N[rows])) < 2:
            continue
        near = fresh_head(Known(features_ND[rows].astype(np.float64), targets_N[rows]), near)
        probs_NC[out_N] = near.probabilities(features_ND[out_N].astype(np.float64), classes)
        seen_N[out_N] = np.isin(targets_N[out_N], near.classes_S)
    return probs_NC, seen_N


def out_of_fold_each(features_ND: Features, targets_NL: Array) -> Raw:
    """The same of labels of which any may be given, all at once: how likely each is given (N, L), and where (N, L) the
    head has seen it given and withheld. `targets_NL` are 0 and 1, NaN where nobody was asked. Of many tasks the heads
    are fitted on an even sample."""
    parts = -(-targets_NL.size // AT_A_TIME) or 1
    found = [_of_labels(features_ND, some_NL) for some_NL in np.array_split(targets_NL, parts, axis=1)]
    probs_NL, seen_NL = (np.concatenate(each, axis=1) for each in zip(*found, strict=True))
    return probs_NL, seen_NL


def _of_labels(features_ND: Features, targets_NL: Array) -> Raw:
    sample = min(len(targets_NL), KNOWN_AT_MOST * FOLDS // (FOLDS - 1))
    rows_R = np.linspace(0, len(targets_NL) - 1, sample).astype(np.int64)
    inputs_RE = np.hstack([features_ND[rows_R], np.ones((sample, 1))]).astype(np.float64)
    fold_NL, given_RL = _folds_each(targets_NL), np.nan_to_num(targets_NL[rows_R])
    probs_NL, seen_NL = np.full(targets_NL.shape, 0.5), np.zeros(targets_NL.shape, dtype=bool)
    rows_LE = np.zeros((targets_NL.shape[1], inputs_RE.shape[1]))
    for fold in range(FOLDS):
        known_RL = (fold_NL[rows_R] != fold) & (fold_NL[rows_R] >= 0)
        both_L = (known_RL & (given_RL == 1)).any(axis=0) & (known_RL & (given_RL == 0)).any(axis=0)
        weights_RL = (known_RL & both_L).astype(np.float64)
        # One row for the lead of one class over another has half the precision of the two rows of a fresh head.
        rows_LE = least(inputs_RE, np.zeros_like(given_RL), given_RL, weights_RL, PRECISION / 2, rows_LE)
        out_NL = (fold_NL == fold) & both_L
        logits_NL = features_ND.astype(np.float64) @ rows_LE[:, :-1].T + rows_LE[:, -1]
        probs_NL[out_NL] = 1 / (1 + np.exp(-logits_NL[out_NL]))
        seen_NL |= out_NL
    return probs_NL, seen_NL


def _folds_each(targets_NL: Array) -> Ints:
    """Of each label by itself, -1 where nobody was asked."""
    fold_NL = np.full(targets_NL.shape, -1)
    for label, targets_N in enumerate(targets_NL.T):
        asked_N = ~np.isnan(targets_N)
        fold_NL[asked_N, label] = folds(targets_N[asked_N].astype(np.int64))
    return fold_NL


def _some(rows: Ints, targets_N: Ints) -> Ints:
    """As many as a head is fitted on, of each class about the same share."""
    if len(rows) <= KNOWN_AT_MOST:
        return rows
    by_class = rows[np.argsort(targets_N[rows], kind="stable")]
    return by_class[np.linspace(0, len(by_class) - 1, KNOWN_AT_MOST).astype(np.int64)]


def weigh(probs_NC: Array, casts: Sequence[Cast]) -> Weighed:
    """The probabilities times the likelihood of every vote. A person's wrong votes spread evenly over other labels."""
    classes = probs_NC.shape[1]
    casts = sorted(
        casts, key=attrgetter("row", "person", "choice", "weight")
    )  # a sum in another order is another one in its last digits
    people = {person: number for number, person in enumerate(sorted({cast.person for cast in casts}))}
    if classes < 2 or not casts:
        return Weighed(probs_NC, dict.fromkeys(people, USUAL))
    row_V, choice_V = np.array([cast.row for cast in casts]), np.array([cast.choice for cast in casts])
    person_V, weight_V = np.array([people[cast.person] for cast in casts]), np.array([cast.weight for cast in casts])
    given_P = np.bincount(person_V, weight_V, len(people))
    accuracy_P: Array = np.full(len(people), USUAL)
    for _ in range(ROUNDS):
        lead_V = np.log(accuracy_P * (classes - 1) / (1 - accuracy_P))[
            person_V
        ]  # what is common to all labels is left out
        logs_NC = np.log(probs_NC)
        np.add.at(logs_NC, (row_V, choice_V), weight_V * lead_V)
        weighed_NC = softmax(logs_NC)
        right_P = np.bincount(person_V, weight_V * weighed_NC[row_V, choice_V], len(people))
        accuracy_P = np.clip((right_P + USUAL * PSEUDO_VOTES) / (given_P + PSEUDO_VOTES), LEAST, MOST)
    return Weighed(weighed_NC, dict(zip(people, accuracy_P.tolist(), strict=True)))


def nearest(features_ND: Features, row: int, count: int = 10) -> Ints:
    """The rows that are nearest to one, the nearest first, without itself. Features have unit length."""
    cosines_N = features_ND @ features_ND[row]
    cosines_N[row] = -np.inf
    order: Ints = np.lexsort((np.arange(len(cosines_N)), -cosines_N))
    return order[: min(count, len(cosines_N) - 1)]
