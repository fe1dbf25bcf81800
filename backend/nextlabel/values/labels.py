"""A task with its annotators' answers. Knows no config, no format and no files."""

from dataclasses import dataclass

from nextlabel.values.examples import Example
from nextlabel.values.survey import Note


@dataclass(frozen=True, slots=True)
class Vote:
    """One annotator's answer. `when` is Label Studio's ISO time, which sorts as text, of its last edit; it was `first`
    given then, empty where that is not known.

    `accepted`: it was submitted as a prediction had filled it in. `account` is the id of whose it is. It counts by
    `weight`, from 0 (not at all) to 1; `why` it counts less than others is a word of `counting`. So many `seconds` it
    took in Label Studio's editor, its edits included; None for one that came another way. A `casting` one goes before
    later ones where there is as much weight on several labels.
    """

    label: str
    ground_truth: bool
    when: str
    accepted: bool = False
    account: str = ""
    weight: float = 1.0
    why: str = ""
    seconds: float | None = None
    casting: bool = False
    first: str = ""

    @property
    def asked_at(self) -> str:
        """When its account was surely before the form. To mark an answer as ground truth moves `when`, though nobody is
        asked anything then."""
        return self.first if self.ground_truth and self.first else self.when


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as Label Studio tells it. `example` is None when the task cannot be read.

    `closed`: Label Studio no longer serves it. `skipped`: at least one annotator passed it over. `draw` is its place
    in the order of the control set, empty when it is none of that. `by_hand`: it was answered in Label Studio's editor.
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
    by_hand: bool = False

    @property
    def voted(self) -> bool:
        """Whether there is a vote that counts."""
        return any(vote.weight for vote in self.votes)

    @property
    def open(self) -> bool:
        """Whether the task is in the pool."""
        return self.example is not None and not (self.holdout or self.draw or self.closed or self.voted)
