"""Exactly one of several classes: which label a spelling means, what votes come to, and how predictions are judged."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np

from nextlabel.problems.metrics import Scores, evaluate
from nextlabel.values.arrays import Array, Bools, Ints
from nextlabel.values.labels import Vote

Answer = TypeVar("Answer", bound=Hashable)


@dataclass(frozen=True)
class SingleChoice:
    """One of `labels`, at least two. `label_map` tells as which of them other labels are learnt. People may also answer
    with one of the `ignored` labels: then nothing is learnt of the task."""

    labels: tuple[str, ...]
    label_map: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @property
    def layout(self) -> None:
        """None: all numbers are of this question."""
        return None

    @cached_property
    def known(self) -> Mapping[str, str]:
        """The label that each known spelling stands for, ignored or not: its own, one that looks the same, one that is
        mapped."""
        answers = (*self.labels, *self.ignored)
        alike = Counter(map(_as_seen, answers))
        spellings = {_as_seen(label): label for label in answers if alike[_as_seen(label)] == 1}
        mapped = {old: new for old, new in self.label_map.items() if new in answers}
        seen_mapped = {_as_seen(old): new for old, new in mapped.items()}
        return {**seen_mapped, **mapped, **spellings, **{label: label for label in answers}}

    def answer_of(self, given: str) -> str | None:
        """The label, ignored or not, that an annotation's text stands for; None when there is none."""
        return self.known.get(given) or self.known.get(_as_seen(given))

    def label_of(self, given: str) -> str | None:
        """The label to learn that an annotation's text stands for; None when there is none."""
        answer = self.answer_of(given)
        return None if answer in self.ignored else answer

    def consensus(self, votes: Sequence[Vote]) -> str | None:
        """One label per task, see `consensus` below; None when that is an ignored one."""
        answer = consensus(votes, self.answer_of)
        return None if answer in self.ignored else answer

    def leaves_out(self, votes: Sequence[Vote]) -> bool:
        """Whether they come to an ignored label."""
        return consensus(votes, self.answer_of) in self.ignored

    def missing_labels(self, answers: Sequence[str]) -> str:
        """What is missing before a fit makes sense, in words for a person; empty when nothing is."""
        counts = Counter(answers)
        present = [label for label in self.labels if counts[label]]
        if len(present) >= 2:
            return ""
        if not present:
            return "No usable label yet; at least two classes need one label each."
        absent = [label for label in self.labels if not counts[label]]
        return f"All {counts[present[0]]} labels so far are {present[0]!r}; label at least one task as one of {absent}."

    def class_numbers(self, answers: Sequence[str]) -> Ints:
        """Answers as positions in `labels`. Raises `KeyError` on an answer that is none of them."""
        number = {label: i for i, label in enumerate(self.labels)}
        return np.array([number[label] for label in answers], dtype=np.int64)

    def predicted(self, probs_NC: Array) -> Ints:
        """The likeliest class of each example."""
        predictions_N: Ints = probs_NC.argmax(axis=1)
        return predictions_N

    def most_frequent(self, targets_N: Ints) -> Ints:
        """As many predictions, all of them the most frequent class."""
        return np.full_like(targets_N, np.bincount(targets_N, minlength=1).argmax())

    def right(self, targets_N: Ints, predictions_N: Ints) -> Bools:
        """Which predictions are the class, (N)."""
        return np.asarray(targets_N == predictions_N)

    def evaluate(self, targets_N: Ints, predictions_N: Ints) -> Scores:
        """Accuracy and F1 of class numbers. Raises `ValueError` on no examples."""
        return evaluate(targets_N, predictions_N, len(self.labels))


def consensus(votes: Sequence[Vote], label_of: Callable[[str], str | None]) -> str | None:
    """One label per task: ground truth if there is any, else the majority by weight; of as much weight the casting vote
    decides, else the latest.

    `label_of` tells which label a vote's text stands for; a vote for none (None) does not count. None when no vote is
    left.
    """
    if len(votes) == 1:  # as of most tasks, of which there may be tens of thousands at each check
        return label_of(votes[0].label)
    known = [(vote, label) for vote in votes if (label := label_of(vote.label)) is not None]
    known = [(vote, label) for vote, label in known if vote.ground_truth] or known
    if not known:
        return None
    counts = weighed((label, vote.weight) for vote, label in known)
    most = max(counts.values())
    in_time = sorted(known, key=lambda item: (item[0].casting, item[0].when))
    return next(label for _, label in reversed(in_time) if counts[label] == most)


def weighed(given: Iterable[tuple[Answer, float]]) -> dict[Answer, float]:
    """What each answer weighs in all, to 9 digits, so that sums of the same weights are the same in any order."""
    sums = dict[Answer, float]()
    for answer, weight in given:
        sums[answer] = sums.get(answer, 0.0) + weight
    return {answer: round(weight, 9) for answer, weight in sums.items()}


def _as_seen(label: str) -> str:
    """The same for labels that no person can tell from each other: composed, without characters of no width, with one
    plain blank for all blanks between words."""
    shown = (c for c in unicodedata.normalize("NFC", label) if unicodedata.category(c) != "Cf")
    return " ".join("".join(shown).split())
