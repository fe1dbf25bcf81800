"""How good each version and head was, as records that are kept, sent and shown. Knows no model and no disk."""

from dataclasses import dataclass

from nextlabel.problems.quality import Estimate

CONTROL_SET, HOLDOUT = "control set", "holdout"


@dataclass(frozen=True)
class Point:
    """A version or one of its heads, under a short `name`, fitted to so many `labels` at a time in seconds since 1970.

    `promoted`: the queue was to follow it; otherwise why it was `refused`. It is `judged_by` the labels of the control
    set or the holdout, empty where nothing can judge it: then there are no figures. There are none either while their
    interval is too wide to say anything. Of a version of an earlier release it is not known how many labels of the
    holdout judged it: its accuracy rests on 0 examples and lies between 0 and 1. `majority` is the share of the most
    frequent class among the labels that judge. Of a form the control set judges one `question`, of that name, and the
    holdout, without a name, all of them together.
    """

    version: str
    name: str
    labels: int
    at: float
    promoted: bool = True
    refused: str = ""
    judged_by: str = ""
    accuracy: Estimate | None = None
    macro_f1: Estimate | None = None
    majority: float | None = None
    question: str = ""


@dataclass(frozen=True)
class History:
    """All points by the time at which they were fitted; `at` is when they were judged, 0: nothing is known."""

    at: float = 0.0
    points: tuple[Point, ...] = ()


NO_HISTORY = History()
