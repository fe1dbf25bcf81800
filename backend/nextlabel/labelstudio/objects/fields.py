"""A tag's value and the task's data that it names, as Label Studio's editor reads them. No I/O."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

VARIABLE = re.compile(r"\$[\w\[\].{}]+", re.ASCII)  # as Label Studio's editor finds them in a tag's value
PLAIN = re.compile(r"\$[^\s$]+")  # a value that is one variable and nothing else, in any script
MAX_TEXT = 2**18  # characters of a text that are looked at: more than there are in all the word pieces that are read
MISSING = "is missing"
DEEPEST = 20  # lists within lists
NOWHERE = object()


@dataclass(frozen=True)
class TextField:
    """A text that the config shows. `value` as it stands there: `$body`, `$review.body`, `$texts[0]`, `From: $name`.

    `name` and `tag` of the element; `attributes` of it that decide how the value is read, by their names in small
    letters.
    """

    value: str
    name: str = ""
    tag: str = "Text"
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def field(self) -> str:
        """What people call it: the variable without its dollar sign, or the value with its words."""
        return self.value[1:] if PLAIN.fullmatch(self.value) else self.value

    def attribute(self, name: str, default: str) -> str:
        """The attribute of that name, in small letters; `default` where the tag has none."""
        return next((value for known, value in self.attributes if known == name), "") or default


class Reading(NamedTuple):
    """What was found in the place of one of the texts: the text, or why there is none."""

    text: str
    why: str = ""


class Refusal(NamedTuple):
    """Why a tag gives no text, and what to do that leaves the project's labels as they are."""

    why: str
    remedy: str


class Kind(NamedTuple):
    """A kind of tag. `attributes` decide how its value is read, `read` does so, and `refusal` says when it cannot."""

    attributes: tuple[str, ...]
    read: Callable[[TextField, Mapping[str, object]], Reading]
    refusal: Callable[[TextField], Refusal | None]


ADDRESSES = Refusal(
    "holds addresses, not texts",
    'Add a field with the texts themselves to the data of the tasks, name it in value, and set valueType="{}"; '
    "labels and names stay as they are",
)


def holds_words(_: TextField) -> None:
    """Of a kind of tag whose value can always be read."""


def variables(value: str) -> list[str]:
    """The paths into `task.data` that a tag's value names."""
    return [value[1:]] if PLAIN.fullmatch(value) else [found[1:] for found in VARIABLE.findall(value)]


def whole(text: TextField, data: Mapping[str, object]) -> object:
    """What lies where the value points to, of whatever type; NOWHERE when nothing does. A value with words around its
    variables is text."""
    if PLAIN.fullmatch(text.value):
        return at(data, text.value[1:])
    return VARIABLE.sub(lambda found: shown(at(data, found[0][1:])) or "", text.value)


def at(data: Mapping[str, object], path: str) -> object:
    """What lies at `a.b` or `a[0]`; a key that is written like a path goes first, as in the editor (lodash's `get`)."""
    if path in data:
        return data[path]
    value: object = data
    for step in re.findall(r"[^.\[\]]+", path):
        key = step.strip("\"'")
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return NOWHERE
    return value


def shown(value: object, deepest: int = DEEPEST) -> str | None:
    """A value of the data as the editor shows it; None when it shows nothing that a person could read.

    Lists within lists are read `deepest` times.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and deepest:
        parts = [shown(part, deepest - 1) for part in value]
        return ",".join(part or "" for part in parts) if value and None not in parts else None
    return None


def reading(text: TextField, found: str) -> Reading:
    """What was found, as far as it is looked at."""
    if not found.strip():
        return Reading("", f"the field {text.field!r} is empty")
    return Reading(encodable(found)[:MAX_TEXT])


def unlike(text: TextField, value: object, expected: str) -> Reading:
    """Why a value is not what its tag shows."""
    if value is NOWHERE:
        return Reading("", f"the field {text.field!r} {MISSING}")
    if value is None or value in ("", [], {}):
        return Reading("", f"the field {text.field!r} is empty")
    return Reading("", f"the field {text.field!r} holds {_named(value)}, not {expected}")


def _named(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else "a text" if isinstance(value, str) else "a number"


def encodable(text: str) -> str:
    """Without lone surrogates: they are legal in JSON but not in UTF-8, which the tokenizer and SQLite speak."""
    return text.encode("utf-8", "replace").decode("utf-8")
