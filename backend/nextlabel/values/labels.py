"""A task with its annotators' answers. Knows no config, no format and no files."""

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


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as Label Studio tells it. `example` is None when the task cannot be read.

    `closed`: Label Studio no longer serves it. `skipped`: at least one annotator passed it over. `draw` is its place
    in the order of the control set, empty when it is none of that.
    """

    id: int
    example: Example | None
    holdout: bool
    closed: bool
    skipped: bool
    annotations: int
    votes: tuple[Vote, ...]
    notes: tuple[Note, ...] = ()
    draw: str = ""

    @property
    def open(self) -> bool:
        """Whether the task is in the pool."""
        return self.example is not None and not (self.holdout or self.draw or self.closed or self.votes)
