"""What people read of whether the order helps. docs/quality.md explains each sentence."""

from collections.abc import Iterator, Sequence

from nextlabel.problems.helping import Forecast, Helping, Measured, NextLabels, change_at_most
from nextlabel.problems.quality_words import not_possible
from nextlabel.values.versions import short_name, version_of

HOUR_S = 3600.0


def sentences(helping: Helping, active: str = "") -> list[str]:
    """What was measured, what is forecast, and what the next labels may bring; nothing if nobody has asked. Where it
    was found of another version than is `active`, that is said first."""
    if not helping.at:
        return []
    about = _about(helping.questions)
    found = [*about, *_measured(helping.measured), *_forecast(helping.forecast), *_next(helping.next_labels)]
    return found if is_of(helping, active) else [_of_another(helping, active), *found]


def in_short(helping: Helping) -> tuple[str, str]:
    """Whether it helps in a word or three, and how that is known."""
    measured, forecast = helping.measured, helping.forecast
    if measured.helps and measured.gain is not None:
        return "yes", f"{_points(measured.gain)} more than random labels, measured on the first 64"
    if forecast.why or forecast.low is None or forecast.high is None:
        return "cannot tell yet", "neither measured nor forecast"
    words = "likely" if forecast.low > 0 else "unlikely" if forecast.high < 0 else "cannot tell yet"
    limits = f"{100 * forecast.low:+.1f} to {100 * forecast.high:+.1f}"
    return words, f"{limits} points beside random sampling, a forecast"


def _about(questions: Sequence[str]) -> Iterator[str]:
    if len(questions) > 1:
        names = f"{', '.join(questions[:-1])} and {questions[-1]}"
        yield f"Of {names} together: accuracy is the share of them that is right."
    elif questions:
        yield f"Of {questions[0]}: an answer is right if all its labels are, and no other is given."


def is_of(helping: Helping, active: str) -> bool:
    """Whether what was found is about that version, or one of its heads; no name: that is not known."""
    return not (active and helping.order) or version_of(helping.order) == version_of(active)


def _of_another(helping: Helping, active: str) -> str:
    asked = short_name(version_of(helping.order))
    now = short_name(version_of(active))
    return f"This is about version {asked}; version {now}, which is active now, has not been looked at yet."


def _measured(found: Measured) -> Iterator[str]:
    if found.why:
        yield f"Whether the order helps cannot be measured: {found.why}."
    elif found.helps and found.gain is not None:
        yield (
            f"Measured: the order helps. A head on the base encoder that knows the project's first 64 labels is "
            f"{_points(found.gain)} more accurate than heads that know 64 random ones, with a standard error of "
            f"{_points(found.error or 0.0)}, judged by {found.labels} control labels. That is neither the accuracy of "
            "this version nor said of a strategy that was chosen later. In simulations of orders that gain nothing it "
            "was said in 2 % of the projects."
        )
    else:
        yield f"Measured: cannot tell yet whether the order helps{_more(found)}"


def _more(found: Measured) -> str:
    so_far = ""
    if found.gain is not None:
        so_far = f" (so far {_points(found.gain)}, standard error {_points(found.error or 0.0)})"
    if found.more is None:
        return f"{so_far}, and more control labels are unlikely to settle it."
    if found.left is not None and found.more > found.left:
        return f"{so_far}: {not_possible(str(found.more), found.left)}."
    return f"{so_far}: about {found.more} more control labels may settle it."


def _forecast(found: Forecast) -> Iterator[str]:
    if found.why or found.gain is None or found.low is None or found.high is None:
        yield f"There is no forecast: {found.why}."
        return
    yield (
        f"Forecast, by a replay on the model's own view of these texts: at {found.labels} labels the accuracy is "
        f"{_beside(found.gain)} that of random sampling ({_beside(found.low)} to {_beside(found.high)})."
    )
    if found.times:
        least, most = found.times
        upto = f" to {most:g}" if most is not None else " or more"
        yield f"By the same replay random sampling would need about {least:g}{upto} times as many labels."


def _next(found: NextLabels) -> Iterator[str]:
    if found.why or found.changed is None:
        yield f"What the next labels may bring cannot be told: {found.why}."
        return
    left = found.labels if found.left is None else min(found.labels, found.left)
    seconds = found.seconds * left
    took = f" {'It is' if left == 1 else 'They are'} about {_hours(seconds)} of people's work." if seconds else ""
    yield (
        f"The last {found.labels} labels changed {100 * found.changed:.1f} % of the machine's labels on what is left. "
        f"The {found.words} will hardly change the accuracy by more than {at_most(found.changed)}; rare "
        f"classes may still gain more in F1.{took}"
    )


def at_most(changed: float) -> str:
    """`change_at_most` in words."""
    return _points(change_at_most(changed))


def _beside(gain: float) -> str:
    return f"{_points(abs(gain))} {'below' if gain < 0 else 'above'}"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / HOUR_S:.1f} hours" if seconds >= HOUR_S else f"{seconds / 60:.0f} minutes"
