"""How people read whether the order helps."""

import pytest

from nextlabel.problems.helping import Forecast, Helping
from nextlabel.problems.helping_words import is_of, sentences


@pytest.mark.parametrize(
    ("active", "said"),
    [
        ("nextlabel-3-T", []),
        ("nextlabel-3.9-T", []),
        ("", []),
        ("nextlabel-5-T", ["This is about version 3; version 5, which is active now, has not been looked at yet."]),
    ],
)
def test_what_was_found_of_another_version_than_is_active_says_so_first(active: str, said: list[str]) -> None:
    found = Helping("nextlabel-3.2-T", 1.0)
    assert sentences(found, active) == [*said, *sentences(found)]
    assert is_of(found, active) == (not said)


@pytest.mark.parametrize(
    ("gain", "low", "high", "said"),
    [
        (0.064, 0.014, 0.114, "6.4 points above that of random sampling (1.4 points above to 11.4 points above)"),
        (-0.006, -0.056, 0.044, "0.6 points below that of random sampling (5.6 points below to 4.4 points above)"),
    ],
)
def test_a_forecast_says_which_of_two_is_better(gain: float, low: float, high: float, said: str) -> None:
    found = sentences(Helping("nextlabel-1-T", 1.0, forecast=Forecast(245, gain, low, high, None)))
    assert any(f"at 245 labels the accuracy is {said}." in sentence for sentence in found)
