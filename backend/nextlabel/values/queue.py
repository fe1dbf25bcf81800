"""Tasks in the order of a version, and predictions of ours that Label Studio holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ranked:
    """An open task in the order of the current version. `value` in [0, 1], high is informative."""

    task_id: int
    value: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A task in the head of the queue: of which `kind`, its `value`, and the `score` by which Label Studio sorts it."""

    task_id: int
    kind: str
    value: float
    score: float


@dataclass(frozen=True, slots=True)
class Published:
    """A prediction of ours that Label Studio holds. `score` = 1 - value, as Label Studio sorts ascending; equal values
    stand some 2^-53 apart. `choice` is the label that it shows, of several questions all of them with their questions,
    as one text; empty when it shows none."""

    prediction_id: int
    task_id: int
    version: str
    score: float
    choice: str = ""


def to_score(value: float) -> float:
    """Label Studio's score of an acquisition value: turned around, because it sorts ascending."""
    return min(1.0, max(0.0, 1.0 - float(value)))
