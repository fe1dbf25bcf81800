"""What is classified: one text, or a pair of texts. Knows neither Label Studio nor models."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One text or a pair. `id` is the Label Studio task id, or the row number in a simulation."""

    id: int
    text: str
    pair: str | None = None


Key = tuple[str, str | None]


def key_of(example: Example) -> Key:
    """The same for copies, examples that are alike but for case and blanks, and for no others."""
    return _folded(example.text), None if example.pair is None else _folded(example.pair)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A task that holds no classifiable text, and why, in words for a person."""

    id: int
    reason: str
