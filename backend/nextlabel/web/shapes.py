"""What the trainer says on the status board, in the shapes in which the page and others get it as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nextlabel.problems.history import Point
from nextlabel.problems.quality import Estimate


def points(history: Sequence[Point]) -> list[dict[str, Any]]:
    """Each version and head with its figures; null where there are none."""
    return [
        {**asdict(point), "accuracy": _estimate(point.accuracy), "macro_f1": _estimate(point.macro_f1)}
        for point in history
    ]


def _estimate(found: Estimate | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"value": found.value, "low": found.interval.low, "high": found.interval.high, "n": found.examples}
