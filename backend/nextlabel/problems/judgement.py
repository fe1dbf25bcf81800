"""What the control set says of a version, as a record that is kept, sent and shown. Knows no model and no disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from nextlabel.problems import quality
from nextlabel.problems.quality import Estimate
from nextlabel.values.arrays import Ints
from nextlabel.values.layout import ONE_OF

WIDE = 0.25  # of an interval: it says too little for a figure to be shown


@dataclass(frozen=True)
class OfClass:
    """One class: its `share` of the texts, and recall and F1 of the machine's answers. Where the machine was wrong, its
    texts were `taken_for` that class most, so many `times`; empty: it never was."""

    label: str
    share: Estimate
    recall: Estimate
    f1: Estimate
    taken_for: str = ""
    times: int = 0


@dataclass(frozen=True)
class Figures:
    """Of new texts like the project's. `at_worst` is the accuracy if all that people did not answer were wrong.

    `macro_f1` has no value while its interval is too wide to say anything. Where any labels may be given, an answer is
    right when all of them are, and the classes are the labels, each given or not. Of steps there is the mean absolute
    `error`, in steps.
    """

    accuracy: Estimate
    at_worst: Estimate
    macro_f1: Estimate
    calibration: Estimate
    classes: tuple[OfClass, ...]
    error: Estimate | None = None


@dataclass(frozen=True)
class Sample:
    """How far the control set is answered, in texts; copies are one. What follows the first text that is open, or in
    hand as further annotators are to answer it, does not count yet.

    In the whole set there are `texts`. Of those that count, `answered` have a label and `skipped` have none and are
    offered no more. `waiting` ones have a label and do not count yet, as `missing` ones come before them, of which
    `in_hand` have a label. `newer` ones were imported later, and the figures are not about their like yet.
    """

    texts: int = 0
    answered: int = 0
    skipped: int = 0
    waiting: int = 0
    missing: int = 0
    in_hand: int = 0
    newer: int = 0

    @property
    def left(self) -> int:
        """How many can still be answered."""
        return self.texts - self.answered - self.skipped


@dataclass(frozen=True)
class Judgement:
    """What the control set, a `control_share` of the project's texts, says of the version or head `order`.

    `figures` are None where there can be none, and `why` says so; the accuracy on what is `left` without a person's
    label rests on `unmarked` texts, and has a `why_left`. So many `more` labels of the control set may do for the
    accuracy, and `more_for_macro_f1` for that. Of a form, which asks several, it is about one `question`, and each of
    the `questions` has a judgement of its own, of that `kind`, with intervals that hold for it alone.
    """

    order: str = ""
    control_share: float = 0.0
    sample: Sample = Sample()
    why: str = ""
    figures: Figures | None = None
    left: Estimate | None = None
    why_left: str = ""
    more: int = 0
    more_for_macro_f1: int = 0
    question: str = ""
    kind: str = ONE_OF
    questions: tuple["Judgement", ...] = ()


@dataclass(frozen=True)
class NextAudit:
    """What the audit that a project has not begun yet takes where so many `tasks` are left: about so many labels
    `without_error`."""

    tasks: int
    without_error: int


def tells(estimate: Estimate | None) -> bool:
    """Whether a figure says enough to be shown."""
    return estimate is not None and estimate.value is not None and estimate.interval.width < WIDE


def of_table(labels: Sequence[str], confusion_KK: Ints) -> tuple[OfClass, ...]:
    """What a confusion table says of each class."""
    shares = (quality.share_of(count, int(confusion_KK.sum())) for count in confusion_KK.sum(axis=1).tolist())
    figures = (shares, quality.recalls(confusion_KK), quality.f1s(confusion_KK), quality.most_confused(confusion_KK))
    return tuple(
        OfClass(label, of, recall, f1, *((labels[other[0]], other[1]) if other else ()))
        for label, of, recall, f1, other in zip(labels, *figures, strict=True)
    )


NO_JUDGEMENT = Judgement()
