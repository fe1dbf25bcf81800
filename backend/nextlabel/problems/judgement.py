"""What the control set says of a version, as a record that is kept, sent and shown. Knows no model and no disk."""

from dataclasses import dataclass

from nextlabel.problems.quality import Estimate

WIDE = 0.25  # of an interval: it says too little for a figure to be shown


@dataclass(frozen=True)
class OfClass:
    """One class: its `share` of the texts, and recall and F1 of the machine's answers."""

    label: str
    share: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Figures:
    """Of new texts like the project's. `at_worst` is the accuracy if all that people did not answer were wrong.

    `macro_f1` has no value while its interval is too wide to say anything.
    """

    accuracy: Estimate
    at_worst: Estimate
    macro_f1: Estimate
    calibration: Estimate
    classes: tuple[OfClass, ...]


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


@dataclass(frozen=True)
class Judgement:
    """What the control set, a `control_share` of the project's texts, says of the version or head `order`.

    `figures` are None where there can be none, and `why` says so; the accuracy on what is `left` without a person's
    label rests on `unmarked` texts, and has a `why_left`. So many `more` labels of the control set may do for the
    accuracy, and `more_for_macro_f1` for that. All is about the `question`, where a form asks several.
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


def tells(estimate: Estimate | None) -> bool:
    """Whether a figure says enough to be shown."""
    return estimate is not None and estimate.value is not None and estimate.interval.width < WIDE


NO_JUDGEMENT = Judgement()
