"""Copies in a project: labels of them are learnt once, and what is a copy of a labelled text is not asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from nextlabel.learning.copies import counted_once, lighter
from nextlabel.problems.question import Question
from nextlabel.store.pool import Pool
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example, key_of
from nextlabel.values.layout import agree
from nextlabel.values.survey import Copies

HOLD = "hold"  # the option `near_copies` with which copies are told from other texts


@dataclass(frozen=True)
class Learnt:
    """What people's labels come to. `known`: the label of each labelled task that is not held out, by its id; `to_fit`:
    what of that is fitted on, by task ids; `lighter`: how much those of them count that count less than others.
    `of_labels`: how many were known, where this is a part of it, else 0."""

    known: Mapping[int, str]
    to_fit: list[tuple[Example, str]]
    lighter: Mapping[int, float] = field(default_factory=dict)
    of_labels: int = 0

    @property
    def weights(self) -> Array:
        """How much each label counts that is fitted on (N), from 0 to 1."""
        return np.array([self.lighter.get(example.id, 1.0) for example, _ in self.to_fit])

    def part(self, positions: Iterable[int]) -> "Learnt":
        """Those at these positions of what is fitted on, as if nothing else were known."""
        some = [self.to_fit[position] for position in positions]
        return Learnt({example.id: label for example, label in some}, some, self.lighter, len(self.known))


def learnt_from(pool: Pool, question: Question, near_copies: str) -> Learnt:
    """The labels to fit on: unless near-copies are to be served, those of copies count once, and no copy of a labelled
    text that is held out is among them."""
    answered = pool.answered(holdout=False)
    labels = ((example, question.consensus(votes)) for example, votes in answered)
    labelled = [(example, label) for example, label in labels if label is not None]
    known = {example.id: label for example, label in labelled}
    if near_copies != HOLD:
        return Learnt(known, labelled, lighter(question, answered, labelled))
    held_out = {key_of(example) for example, _ in pool.labelled(question, holdout=True)}
    to_fit = counted_once(question, answered, held_out)
    return Learnt(known, to_fit, lighter(question, answered, to_fit))


def copies_in(pool: Pool, question: Question) -> Copies:
    """What a person should know of the copies in a project."""
    learnt, held_out = pool.labels(question, holdout=False), pool.labels(question, holdout=True)
    kept_out = {
        task_id
        for group in pool.copy_groups([*learnt, *held_out])
        if not held_out.keys().isdisjoint(group)
        for task_id in group
        if task_id in learnt
    }
    groups = pool.copy_groups(learnt.keys() - kept_out)
    return Copies(
        again=sum(len(group) - 1 for group in groups),
        contradicting=sum(not all(agree(learnt[group[0]], learnt[task]) for task in group) for group in groups),
        held_out=len(kept_out),
        open=len(pool.copies_of_labelled(question)),
    )
