"""How a classifier's numbers are divided among the questions of a form, and how answers to it are written down."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from nextlabel.values.arrays import Array, Bools, Ints

ONE_OF, ANY_OF, ORDERED = "one_of", "any_of", "ordered"  # kinds of questions; classes that are ordered are steps
GUESSED = (
    0.5  # from this probability on a label is given where any number may be and nothing else is known to be better
)
MEAN, MAXIMUM = "mean", "maximum"  # ways to make one value of those of several questions

Answers = Mapping[str, tuple[str, ...]]  # by question, in any order; one that is absent has not been answered
NOTHING: Answers = {}


@dataclass(frozen=True)
class Cut:
    """The part of the numbers that is about one question: one for each of `labels`, in their order. `weight`, at least
    0, is what the question counts for in the order of the queue; `thresholds` are the probabilities from which on each
    label is given where any may be, `GUESSED` where there are none; of these the `most` likeliest, if that is not 0."""

    name: str
    kind: str
    labels: tuple[str, ...]
    weight: float = 1.0
    thresholds: tuple[float, ...] = ()
    most: int = 0

    def guessed(self, probs_NC: Array) -> Bools:
        """Which labels its probabilities (N, C) come to: the likeliest one, or all that reach their thresholds, as far
        as so many may be given."""
        if self.kind == ANY_OF:
            found_NC = probs_NC >= np.array(self.thresholds or [GUESSED] * len(self.labels))
            return found_NC & (_ranks(np.where(found_NC, probs_NC, -1)) < self.most) if self.most else found_NC
        return np.asarray(np.arange(len(self.labels)) == probs_NC.argmax(axis=1)[:, None])


@dataclass(frozen=True)
class Layout:
    """The parts, one after the other. An empty answer to a question of which any labels may be given says: none.

    How one value is made of those of the questions says `combine`, and of those of labels of which any may be given
    `combine_labels`: their mean or the highest.
    """

    cuts: tuple[Cut, ...]
    combine: str = MEAN
    combine_labels: str = MAXIMUM

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """A name for each number: the label, after the question where there are several."""
        if len(self.cuts) == 1:
            return self.cuts[0].labels
        return tuple(f"{cut.name}: {label}" for cut in self.cuts for label in cut.labels)

    @cached_property
    def parts(self) -> tuple[tuple[Cut, slice], ...]:
        """Each cut with its columns."""
        ends = np.cumsum([len(cut.labels) for cut in self.cuts]).tolist()
        return tuple((cut, slice(end - len(cut.labels), end)) for cut, end in zip(self.cuts, ends, strict=True))

    def of_question(self, name: str, kind: str) -> "tuple[Layout, slice] | None":
        """The part about the question of that name and kind, as a layout of its own, with its columns; None where there
        is none."""
        found = ((Layout((cut,)), at) for cut, at in self.parts if (cut.name, cut.kind) == (name, kind))
        return next(found, None)

    def targets(self, answers: Sequence[str]) -> Array:
        """Answers (N) as a model learns them: (N, C) of 0 and 1, NaN where a question has not been answered, or where a
        person was not asked about a label.

        Raises `KeyError` on a label that is none of the question's.
        """
        number = {(cut.name, label): at for at, (cut, label) in enumerate(self._named())}
        columns = {cut.name: at for cut, at in self.parts}
        targets_NC = np.full((len(answers), len(number)), np.nan)
        for row_C, answer in zip(targets_NC, answers, strict=True):
            for name, labels in decoded(answer).items():
                row_C[columns[name]] = 0.0
                row_C[[number[name, one] for one in unasked(answer).get(name, ()) if (name, one) in number]] = np.nan
                row_C[[number[name, label] for label in labels]] = 1.0
        return targets_NC

    def _named(self) -> Iterable[tuple[Cut, str]]:
        return ((cut, label) for cut in self.cuts for label in cut.labels)

    def narrowed(self, answer: str) -> str:
        """What an answer says of these questions and labels; empty where it is nothing. Where any labels may be given,
        those that are none of these are left out; a single one is known, or its question is not answered."""
        known, left = {cut.name: cut for cut in self.cuts}, unasked(answer)
        given = {name: labels for name, labels in decoded(answer).items() if name in known}
        own = {name: tuple(label for label in labels if label in known[name].labels) for name, labels in given.items()}
        said = {name: own[name] for name, labels in given.items() if known[name].kind == ANY_OF or own[name] == labels}
        apart = {name: tuple(one for one in left.get(name, ()) if one in known[name].labels) for name in said}
        return encoded(said, apart) if said else ""

    def holds(self, answer: str) -> bool:
        """Whether it answers a form, and all its questions and labels are among these."""
        known, answers = {cut.name: cut.labels for cut in self.cuts}, decoded(answer)
        asked = (name in known and set(labels) <= set(known[name]) for name, labels in answers.items())
        return bool(answers) and all(asked)

    def probabilities(self, logits_NC: Array) -> Array:
        """(N, C): of a question of which any labels may be given each label's own, of the others summing to 1."""
        parts = (
            _sigmoid(logits_NC[:, at]) if cut.kind == ANY_OF else softmax(logits_NC[:, at]) for cut, at in self.parts
        )
        return np.concatenate(list(parts), axis=1)

    def guesses(self, probs_NC: Array) -> Array:
        """What probabilities come to, as `targets` writes answers down."""
        return np.concatenate([cut.guessed(probs_NC[:, at]) for cut, at in self.parts], axis=1).astype(np.float64)

    def as_dict(self) -> dict[str, Any]:
        """The JSON of it, for a card or a checkpoint's config; without what is as it is where nothing is said."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.combine_labels == MAXIMUM:
            del plain["combine_labels"]
        for cut in plain["cuts"]:
            for absent in [name for name in ("thresholds", "most") if not cut[name]]:
                del cut[absent]
        return plain

    @classmethod
    def of(cls, plain: Mapping[str, Any] | None) -> "Layout | None":
        """From plain values; None of none, which is one question with exactly one answer."""
        if not plain:
            return None
        cuts = (
            Cut(**{**cut, "labels": tuple(cut["labels"]), "thresholds": tuple(cut.get("thresholds", ()))})
            for cut in plain["cuts"]
        )
        return cls(tuple(cuts), plain["combine"], plain.get("combine_labels", MAXIMUM))


def asks(layout: Layout | None) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """The questions with their kinds and labels, whatever each counts for; none without a layout."""
    return tuple((cut.name, cut.kind, cut.labels) for cut in layout.cuts) if layout else ()


def asks_in_any_order(
    labels: tuple[str, ...], layout: Layout | None
) -> frozenset[tuple[str, str, tuple[str, ...] | frozenset[str]]]:
    """The same, whatever the order of questions and labels: only steps are other ones in another order."""
    cuts = layout.cuts if layout else (Cut("", ONE_OF, labels),)
    return frozenset((cut.name, cut.kind, cut.labels if cut.kind == ORDERED else frozenset(cut.labels)) for cut in cuts)


def labels_in(answer: str, layout: Layout | None) -> tuple[str, ...]:
    """The labels that an answer gives, as `Layout.labels` names them; without a layout the answer is its one label."""
    if layout is None:
        return (answer,)
    if len(layout.cuts) == 1:
        return decoded(answer).get(layout.cuts[0].name, ())
    return tuple(f"{name}: {label}" for name, labels in decoded(answer).items() for label in labels)


def encoded(answers: Answers, unasked: Answers = NOTHING) -> str:
    """One text for an answer to a form; the same for equal ones. `unasked` are labels that are not given, as the form
    had them not yet when the question was answered."""
    given = {name: sorted(labels) for name, labels in answers.items()}
    left = {name: sorted(labels) for name, labels in unasked.items() if labels}
    return json.dumps([given, left] if left else given, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def decoded(answer: str) -> Answers:
    """The answer that a text of `encoded` stands for; of another one, such as the label of a single question, none."""
    return _read(answer)[0]


def unasked(answer: str) -> Answers:
    """By question the labels that the answer says nothing of, though it answers the question."""
    return _read(answer)[1]


def agree(one: str, other: str) -> bool:
    """Whether two answers are the same, but for labels that one of them says nothing of."""
    given, left = decoded(one), (unasked(one), unasked(other))
    if one == other or not given or not any(left):
        return one == other
    apart = {name: {label for of in left for label in of.get(name, ())} for name in given}
    theirs = decoded(other)
    return given.keys() == theirs.keys() and all({*given[name]} ^ {*theirs[name]} <= apart[name] for name in given)


@lru_cache(maxsize=2**15)  # people give few different answers, and each is asked for at every look
def _read(answer: str) -> tuple[Answers, Answers]:
    try:
        found = json.loads(answer)
        given, left = found if isinstance(found, list) else (found, {})
        return _tuples(given), _tuples(left)
    except (ValueError, AttributeError, TypeError):
        return {}, {}


def _tuples(plain: Mapping[str, Sequence[str]]) -> Answers:
    return {name: tuple(labels) for name, labels in plain.items()}


def _ranks(numbers_NC: Array) -> Ints:
    """Of each number its place among those of its row, 0 for the largest."""
    ranks_NC: Ints = (-numbers_NC).argsort(axis=1, kind="stable").argsort(axis=1)
    return ranks_NC


def softmax(logits_NC: Array) -> Array:
    """Rows that sum to 1."""
    odds_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    return np.asarray(odds_NC / odds_NC.sum(axis=1, keepdims=True))


def _sigmoid(logits_NC: Array) -> Array:
    with np.errstate(over="ignore"):  # exp of a lot is infinite, and one over that is 0, as it should be
        return np.asarray(1 / (1 + np.exp(-logits_NC)))
