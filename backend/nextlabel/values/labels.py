"""A task with its annotators' answers, and what they come to. Knows no config, no format and no files."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nextlabel.values.examples import Example
from nextlabel.values.survey import Note


@dataclass(frozen=True, slots=True)
class Vote:
    """One annotator's answer. `when` is Label Studio's ISO time, which sorts as text.

    `accepted`: it was submitted as a prediction had filled it in.
    """

    label: str
    ground_truth: bool
    when: str
    accepted: bool = False


def consensus(votes: Sequence[Vote], label_of: Callable[[str], str | None]) -> str | None:
    """One label per task: ground truth if there is any, else the majority; the latest vote breaks a tie.

    `label_of` tells which label a vote's text stands for; a vote for none (None) does not count. None when no vote is
    left.
    """
    known = [(vote, label) for vote in votes if (label := label_of(vote.label)) is not None]
    known = [(vote, label) for vote, label in known if vote.ground_truth] or known
    if not known:
        return None
    counts = Counter(label for _, label in known)
    most = max(counts.values())
    in_time = sorted(known, key=lambda item: item[0].when)
    return next(label for _, label in reversed(in_time) if counts[label] == most)


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as Label Studio tells it. `example` is None when the task cannot be read.

    `closed`: Label Studio no longer serves it. `skipped`: at least one annotator passed it over.
    """

    id: int
    example: Example | None
    holdout: bool
    closed: bool
    skipped: bool
    annotations: int
    votes: tuple[Vote, ...]
    notes: tuple[Note, ...] = ()

    @property
    def open(self) -> bool:
        """Whether the task is in the pool."""
        return self.example is not None and not (self.holdout or self.closed or self.votes)
