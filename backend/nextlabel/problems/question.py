"""What a kind of question has to say for itself, so that rounds, pool and loop need not know which kind it is."""

from collections.abc import Sequence
from typing import Protocol

from nextlabel.problems.metrics import Scores
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.labels import Vote


class Question(Protocol):
    """What a project asks of people about each task. `labels` are its classes, in the order of class numbers."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes."""

    def consensus(self, votes: Sequence[Vote]) -> str | None:
        """What several people's votes to one task come to; None when none of them counts."""

    def leaves_out(self, votes: Sequence[Vote]) -> bool:
        """Whether they come to an answer of which nothing is learnt, so that the task is none to judge by either."""

    def missing_labels(self, answers: Sequence[str]) -> str:
        """What is missing before a fit makes sense, in words for a person; empty when nothing is."""

    def class_numbers(self, answers: Sequence[str]) -> Ints:
        """The answers (N) as a model learns them. Raises `KeyError` on an answer that is none of `labels`."""

    def predicted(self, probs_NC: Array) -> Ints:
        """What probabilities say, in the form of `class_numbers`."""

    def evaluate(self, targets_N: Ints, predictions_N: Ints) -> Scores:
        """How good predictions on a labelled holdout are. Raises `ValueError` on no examples."""
