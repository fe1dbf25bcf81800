"""What there is in a project, and what is odd about it, in numbers. Words for people are in `notices`."""

from collections.abc import Mapping
from dataclasses import dataclass

# Kinds of notes on a task
UNREADABLE, HALF, NOT_WORDS = "unreadable", "half", "not words"
HELD_OUT, OF_LABELS, SPLIT, NOT_COUNTED = "held out", "held out of the labels", "split", "not counted"


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a task that a person may have to hear of; `detail` is the same wherever it is so."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Seen:
    """How often something was seen, and the lowest id of a task of which it is so."""

    count: int
    task_id: int


@dataclass(frozen=True)
class UnknownWords:
    """Of `looked` texts, `count` consist mostly of what the tokenizer does not know; `task_id` is one of them."""

    looked: int = 0
    count: int = 0
    task_id: int = 0


@dataclass(frozen=True)
class Copies:
    """Texts that are alike but for case and blanks. `again` labels are of copies of other labelled texts, and of
    `contradicting` texts the copies have different ones; `held_out` labels are of copies of labelled texts that are
    held out. `open` tasks of the pool are copies of labelled texts."""

    again: int = 0
    contradicting: int = 0
    held_out: int = 0
    open: int = 0


@dataclass(frozen=True)
class CountedLess:
    """`labels` of so many `people` are left out, and so many more are `older` than the guideline: left out too, unless
    they are `weighed`. On `lost` tasks nothing counts, though Label Studio serves them to nobody any more."""

    labels: int = 0
    people: int = 0
    older: int = 0
    weighed: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Survey:
    """The tasks of a project. `votes` by the label as Label Studio stores it; of them `accepted` were submitted as a
    prediction had filled them in. `unused` tasks have a vote and cannot be read."""

    tasks: int
    readable: int
    unused: int
    notes: Mapping[Note, Seen]
    votes: Mapping[str, Seen]
    accepted: Mapping[str, int]

    def noted(self, kind: str) -> dict[str, Seen]:
        """What was noted of this kind, by its detail, the most frequent first."""
        return {note.detail: seen for note, seen in self.notes.items() if note.kind == kind}
