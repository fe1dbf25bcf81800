"""How figures, times and sentences are written on the pages."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from markupsafe import Markup, escape

from nextlabel.problems.quality_words import percent
from nextlabel.values.versions import PREFIX


def with_code(sentence: str) -> Markup:
    """What stands in backticks as code, to be copied as it is."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))


def sentence(words: str) -> str:
    """Words as a sentence: with a capital in front and a full stop."""
    begun = words[:1].upper() + words[1:]
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."


def with_names(sentence: str) -> str:
    """With versions by what people call them, their numbers."""
    name = rf"{PREFIX}(\d[\d.]*)-\d{{8}}T\d{{6}}\b"
    return re.sub(rf"\b{name}", r"version \1", re.sub(rf"^{name}", r"Version \1", sentence))


def share(figure: Mapping[str, Any]) -> Markup:
    """A share with its interval, in percent; without one where it is not known on how much it rests."""
    if not figure.get("n", 1):
        return Markup('<span class="value">{}</span>').format(percent(figure["value"]))
    return _with_interval(percent(figure["value"]), percent(figure["low"]), percent(figure["high"]))


def between(figure: Mapping[str, Any]) -> str:
    """The limits of a share alone, in percent."""
    return f"{percent(figure['low']).removesuffix(' %')} to {percent(figure['high'])}"


def number(figure: Mapping[str, Any]) -> Markup:
    """A figure from 0 to 1 with its interval."""
    return _with_interval(*(f"{figure[name]:.2f}" for name in ("value", "low", "high")))


def points(figure: Mapping[str, Any]) -> Markup:
    """A difference of shares with its interval, in points."""
    value, low, high = (f"{100 * figure[name]:+.0f}" for name in ("value", "low", "high"))
    return _with_interval(f"{value} points", low, high)


def _with_interval(value: str, low: str, high: str) -> Markup:
    return Markup('<span class="value">{}</span> <span class="interval">{} to {}</span>').format(
        value, low.removesuffix(" %"), high
    )


def when(time: str | float) -> Markup:
    """A time as ISO 8601 has it, or in seconds since 1970, for a browser to say how long ago that was."""
    try:
        at = (
            datetime.fromtimestamp(time, timezone.utc)
            if isinstance(time, int | float)
            else datetime.fromisoformat(time)
        )
    except ValueError:
        return escape(time)
    at = at.astimezone(timezone.utc)
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), f"{at:%d %b %Y, %H:%M} UTC")


def seconds(taken: float) -> str:
    """A duration, to about two digits."""
    if taken < 90:
        return f"{taken:.0f} s"
    return f"{taken / 60:.0f} min" if taken < 5400 else f"{taken / 3600:.1f} h"


FILTERS: Mapping[str, Callable[..., str]] = {
    "with_code": with_code,
    "sentence": sentence,
    "with_names": with_names,
    "share": share,
    "between": between,
    "number": number,
    "points": points,
    "when": when,
    "seconds": seconds,
    "percent": percent,
}
