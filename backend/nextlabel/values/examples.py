"""What is classified: one text, a pair of texts, or several. Knows neither Label Studio nor models."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One text, a pair, or a pair and `more`, where some texts may be empty. `id` is the Label Studio task id, or the
    row number in a simulation."""

    id: int
    text: str
    pair: str | None = None
    more: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them in their order, at least one."""
        return (self.text,) if self.pair is None else (self.text, self.pair, *self.more)


def of_texts(id: int, texts: Sequence[str]) -> Example:
    """The example of these texts, at least one."""
    return Example(id, texts[0], texts[1] if len(texts) > 1 else None, tuple(texts[2:]))


Key = tuple[str, str | None] | tuple[str, ...]


def key_of(example: Example) -> Key:
    """The same for copies, examples that are alike but for case and blanks, and for no others."""
    if example.more:
        return tuple(map(_folded, example.texts))
    return _folded(example.text), None if example.pair is None else _folded(example.pair)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A task that holds no classifiable text, and why, in words for a person."""

    id: int
    reason: str
