"""Which rows of a version's last layer answer a form that has changed: they go by the names of question and label.

Pure: no disk, no models.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nextlabel.problems.question import Question
from nextlabel.values.arrays import Array, Bools
from nextlabel.values.layout import ANY_OF, GUESSED, ONE_OF, ORDERED, Cut, Layout, asks
from nextlabel.values.linear import Linear

Renamed = Callable[[str, str], str | None]  # what a label is called now in a question of that name; None: it is gone
NO_NAME = ""  # of the question of a version that answers one alone, whose name nobody noted


@dataclass(frozen=True)
class Carried:
    """Labels of a form, as its layout names them: those whose rows were `kept`, those `begun` without one, by the
    answers at hand, and those of which nothing is known yet, `missing`."""

    kept: tuple[str, ...]
    begun: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The rows of a head: `labels` and `layout` as of a classifier. Each begins with the mean of the rows `of` the
    version's layer, by their places: with one of them or, where the version knows nothing of its label, with those of
    its question or, where any labels may be given, with none, which is all zeros. `begun` are the places of these."""

    labels: tuple[str, ...]
    layout: Layout | None
    of: tuple[tuple[int, ...], ...]
    begun: frozenset[int] = frozenset()

    @classmethod
    def all(cls, labels: tuple[str, ...], layout: Layout | None) -> "Rows":
        """Those of the version, as they are."""
        return cls(labels, layout, tuple((place,) for place in range(len(labels))))

    def taken(self, fitted: Linear) -> Linear:
        """The layer that a head of these rows is fitted around, from the version's."""
        if self.of == tuple((place,) for place in range(len(fitted.weights_CD))):
            return fitted

        def means(rows: Array) -> Array:
            return np.stack([rows[list(of)].mean(axis=0) if of else np.zeros_like(rows[0]) for of in self.of])

        return Linear(means(fitted.weights_CD), None if fitted.bias_C is None else means(fitted.bias_C))

    def known_as(self, answer: str) -> str:
        """What an answer says of these labels; empty where that is nothing."""
        if self.layout is None:
            return answer if answer in self.labels else ""
        return self.layout.narrowed(answer)


def rows_for(
    labels: tuple[str, ...],
    layout: Layout | None,
    question: Question,
    name: str,
    renamed: Renamed,
    answers: Collection[str],
) -> Rows | None:
    """Those by which a version of these labels and questions answers what is asked now, under that `name` where it is
    one question alone; None where it can answer none of it.

    A label that the version does not know is among them once `answers` give and withhold it. Of a question that has one
    answer there are two rows at least. What each question counts for, and its thresholds, stay those of the version.
    """
    if labels == question.labels and asks(layout) == asks(question.layout):
        return Rows.all(labels, layout)
    before, after = layout or _alone(NO_NAME, labels), question.layout or _alone(name, question.labels)
    learnable_C = _learnable(question, answers)
    found = [
        _rows_of(cut, past, renamed, learnable_C[at])
        for cut, at in after.parts
        for past in [_past(cut, before, after, renamed)]
    ]
    kept = [(cut, of) for cut, of in found if len(of) > (cut.kind != ANY_OF)]
    if not kept:
        return None
    now = replace(before if layout else after, cuts=tuple(cut for cut, _ in kept))
    of = [row for _, rows in kept for row in rows]
    begun = frozenset(place for place, row in enumerate(of) if row.begun)
    return Rows(now.labels, now if question.layout else None, tuple(row.of for row in of), begun)


def carried(rows: Rows | None, question: Question) -> Carried:
    """What becomes of the labels of the form."""
    several = question.layout is not None and len(question.layout.cuts) > 1
    cuts = rows.layout.cuts if rows and rows.layout else ()
    names = tuple(f"{cut.name}: {label}" for cut in cuts for label in cut.labels) if several else rows and rows.labels
    begun = {name: place in rows.begun for place, name in enumerate(names or ())} if rows else {}
    kept, new = (tuple(name for name in question.labels if begun.get(name) is so) for so in (False, True))
    return Carried(kept, new, tuple(name for name in question.labels if name not in begun))


def turned(labels: tuple[str, ...], layout: Layout | None, question: Question, name: str) -> Mapping[str, str]:
    """The questions whose earlier answers say something else by now, since one label or any number may be given, or
    steps have other ends: with the kind that they had when a version of these labels and questions was fitted."""
    before, after = layout or _alone(NO_NAME, labels), question.layout or _alone(name, question.labels)
    pasts = {past.name: past for past in before.cuts}
    if layout is None and not any(cut.kind == ONE_OF and {*cut.labels} & {*labels} for cut in after.cuts):
        pasts = {cut.name: before.cuts[0] for cut in after.cuts if {*cut.labels} & {*labels}}
    both = ((cut, pasts.get(cut.name)) for cut in after.cuts)
    return {cut.name: past.kind for cut, past in both if past is not None and _is_turned(past, cut)}


def _is_turned(before: Cut, after: Cut) -> bool:
    if ORDERED not in (before.kind, after.kind):
        return before.kind != after.kind
    ends = {(cut.labels[0], cut.labels[-1]) for cut in (before, after)}
    return before.kind == after.kind and len(ends) > 1


Past = tuple[Cut, slice] | None


@dataclass(frozen=True)
class _Row:
    of: tuple[int, ...]
    begun: bool


def _alone(name: str, labels: tuple[str, ...]) -> Layout:
    return Layout((Cut(name, ONE_OF, labels),))


def _past(cut: Cut, before: Layout, after: Layout, renamed: Renamed) -> Past:
    """What a version knows of a question: by its name and kind or, where it has no name, by its labels, if these are
    those of no other question."""
    for past, at in before.parts:
        if (past.name, past.kind) == (cut.name, cut.kind):
            return past, at
        if past.name == NO_NAME and _alike(past, after, renamed) == [cut.name]:
            return past, at
    return None


def _alike(past: Cut, after: Layout, renamed: Renamed) -> list[str]:
    of_one = (cut for cut in after.cuts if cut.kind == ONE_OF)
    return [cut.name for cut in of_one if any(renamed(label, cut.name) in cut.labels for label in past.labels)]


def _rows_of(cut: Cut, past: Past, renamed: Renamed, learnable_C: Bools) -> tuple[Cut, list[_Row]]:
    """The question with those of its labels that have a row, and from which rows of the version's."""
    labels, start = (past[0].labels, past[1].start) if past else ((), 0)
    known = {renamed(label, cut.name): start + place for place, label in reversed([*enumerate(labels)])}
    known |= {label: start + place for place, label in enumerate(labels)}  # its own row, whatever is learnt as it
    known = {label: place for label, place in known.items() if label in cut.labels}
    like = () if cut.kind == ANY_OF else tuple(known.values())
    own = [label for label, learnable in zip(cut.labels, learnable_C, strict=True) if label in known or learnable]
    of = [_Row((known[label],), False) if label in known else _Row(like, True) for label in own]
    weight = past[0].weight if past else cut.weight
    thresholds = tuple(_threshold(past, known.get(label)) for label in own) if past and past[0].thresholds else ()
    return replace(cut, labels=tuple(own), weight=weight, thresholds=thresholds), of


def _threshold(past: Past, place: int | None) -> float:
    return GUESSED if past is None or place is None else past[0].thresholds[place - past[1].start]


def _learnable(question: Question, answers: Collection[str]) -> Bools:
    """Of each label whether it is given and withheld."""
    targets = question.class_numbers(list(answers))
    hot_NC = targets if targets.ndim == 2 else targets[:, None] == np.arange(len(question.labels))
    return np.asarray((hot_NC == 1).any(axis=0) & (hot_NC == 0).any(axis=0))
