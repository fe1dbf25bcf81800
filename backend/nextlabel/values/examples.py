"""What is classified: one text, or a pair of texts. Knows neither Label Studio nor models."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One text or a pair. `id` is the Label Studio task id, or the row number in a simulation."""

    id: int
    text: str
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A task that holds no classifiable text, and why, in words for a person."""

    id: int
    reason: str
