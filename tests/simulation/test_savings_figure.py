"""The figure of what is saved: whatever that is, its axis shows 0 and something around it."""

import numpy as np
import pytest

from nextlabel.simulation.curves import Estimate
from nextlabel.simulation.figures import Saving, savings

NOTHING, ONE_SEED = Estimate(0.0, 0.0, 0.0, 10), Estimate(0.0, None, None, 1)
SOME, LOSS = Estimate(0.3, 0.1, 0.5, 10), Estimate(-8.0, -12.0, -4.0, 10)


@pytest.mark.parametrize(
    ("drawn", "low", "high"),
    [
        ([None], (-5, -5), (100, 100)),
        ([NOTHING], (-10, -10), (10, 10)),
        ([ONE_SEED, None], (-10, -10), (10, 10)),
        ([SOME, NOTHING], (-20, -10), (50, 70)),
        ([LOSS, SOME], (-100, -100), (50, 100)),
    ],
)
def test_the_axis_of_savings_is_sane_also_where_nothing_was_saved(
    drawn: list[Estimate | None], low: tuple[float, float], high: tuple[float, float]
) -> None:
    items = [Saving(f"arm {i}", of, None, "" if of else "not reached") for i, of in enumerate(drawn)]
    [axes] = savings({"Against random": items}).axes
    left, right = axes.get_xlim()
    assert low[0] <= left <= low[1]
    assert high[0] <= right <= high[1]
    points = [line for line in axes.lines if line.get_marker() in ("o", "^", "<")]
    assert len(points) >= len([of for of in drawn if of])
    for x_N in (np.asarray(line.get_xdata(), dtype=float) for line in points):
        assert ((left <= x_N) & (x_N <= right)).all()
