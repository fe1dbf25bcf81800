"""What random sampling would have, as far as that was measured or forecast: a line beside that of the versions."""

from collections.abc import Sequence
from dataclasses import replace

from nextlabel.problems.helping import FORECAST, Helping, RandomPoint
from nextlabel.problems.history import CONTROL_SET, Point
from nextlabel.problems.intervals import square_and_add
from nextlabel.problems.quality import Estimate

NEAR = 0.1  # of the labels of a forecast, by which a version may know more or less


def random_line(helping: Helping, points: Sequence[Point]) -> tuple[RandomPoint, ...]:
    """The points that are known, by labels; none where nothing can be told.

    What is forecast is a difference. So it is taken from the accuracy of the version or head that knows about as many
    labels and that the control set has judged; its limits are those of both, by square-and-add.
    """
    forecast, nearest = helping.forecast, _nearest(helping.forecast.labels, points)
    found = list(helping.measured.at_random)
    if nearest and forecast.gain is not None and forecast.low is not None and forecast.high is not None:
        value, interval = nearest.value or 0.0, nearest.interval
        below = square_and_add((value - interval.low, forecast.high - forecast.gain), 0.0)
        above = square_and_add((interval.high - value, forecast.gain - forecast.low), 0.0)
        at = value - forecast.gain
        found.append(_within(RandomPoint(forecast.labels, at, at - below, at + above, FORECAST)))
    return tuple(sorted(found, key=lambda point: point.labels))


def _nearest(labels: int, points: Sequence[Point]) -> Estimate | None:
    judged = [point for point in points if point.judged_by == CONTROL_SET and point.accuracy]
    near = [point for point in judged if abs(point.labels - labels) <= NEAR * labels]
    return min(near, key=lambda point: abs(point.labels - labels)).accuracy if near else None


def _within(point: RandomPoint) -> RandomPoint:
    value, low, high = (min(1.0, max(0.0, share)) for share in (point.value, point.low, point.high))
    return replace(point, value=value, low=low, high=high)
