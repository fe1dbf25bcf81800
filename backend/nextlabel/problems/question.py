"""What a kind of question has to say for itself, so that rounds, pool and loop need not know which kind it is."""

from collections.abc import Sequence
from typing import Protocol

from nextlabel.problems.metrics import Scores
from nextlabel.values.arrays import Array, Bools, Targets
from nextlabel.values.labels import Vote
from nextlabel.values.layout import Layout


class Measured(Protocol):
    """A question of which each task has one label at most, as far as figures about it need to know it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes."""

    def consensus(self, votes: Sequence[Vote]) -> str | None:
        """What several people's votes to one task come to; None when none of them counts."""

    def leaves_out(self, votes: Sequence[Vote]) -> bool:
        """Whether they come to an answer of which nothing is learnt, so that the task is none to judge by either."""


class Question(Measured, Protocol):
    """What a project asks of people about each task. An answer is a text that the kind of question knows to read: of
    exactly one of several classes it is the class."""

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each of the numbers that a model gives, in their order: the classes."""

    @property
    def layout(self) -> Layout | None:
        """How these numbers are divided; None: they are the classes of one question with one answer."""

    def answer_of(self, given: str) -> str | None:
        """The answer that somebody's text stands for, whether it is learnt or not; None when there is none."""

    def missing_labels(self, answers: Sequence[str]) -> str:
        """What is missing before a fit makes sense, in words for a person; empty when nothing is."""

    def class_numbers(self, answers: Sequence[str]) -> Targets:
        """The answers (N) as a model learns them. Raises `KeyError` on a label that is unknown."""

    def predicted(self, probs_NC: Array) -> Targets:
        """What probabilities say, in the form of `class_numbers`."""

    def most_frequent(self, targets: Targets) -> Targets:
        """As many predictions, all of them the most frequent answer."""

    def right(self, targets: Targets, predictions: Targets) -> Bools:
        """Of each answer to each question whether it was predicted, in one row."""

    def evaluate(self, targets: Targets, predictions: Targets) -> Scores:
        """How good predictions on a labelled holdout are. Raises `ValueError` on no examples."""
