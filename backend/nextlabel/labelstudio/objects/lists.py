"""`<List>`: items with title, body and HTML, one under the other."""

import re
from collections.abc import Mapping

from nextlabel.labelstudio.objects.fields import (
    Kind,
    Reading,
    TextField,
    holds_words,
    reading,
    shown,
    unlike,
    whole,
)

NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")  # keys that JavaScript puts first, in their order


def read(text: TextField, data: Mapping[str, object]) -> Reading:
    """A list of objects; also of words, though the editor shows those as "undefined"."""
    value = whole(text, data)
    if not isinstance(value, list) or not value:
        return unlike(text, value, "a list of items")
    return reading(text, "\n".join(filter(None, map(_item, _in_order(value)))))


def _in_order(items: list[object]) -> list[object]:
    """As the editor shows them: by id where that is a whole number, and of equal ids the last."""
    by_id = {_id(item, place): item for place, item in enumerate(items)}
    numbered = sorted((key for key in by_id if NUMBER.fullmatch(key)), key=int)
    return [by_id[key] for key in dict.fromkeys((*numbered, *by_id))]


def _id(item: object, place: int) -> str:
    return shown(item.get("id")) or "" if isinstance(item, Mapping) else f"item {place}"


def _item(item: object) -> str:
    if not isinstance(item, Mapping):
        return shown(item) or ""
    parts = (shown(item.get("title")), shown(item.get("body")), _of_html(shown(item.get("html"))))
    return "\n".join(part for part in parts if part)


def _of_html(html: str | None) -> str:
    from nextlabel.labelstudio.html_text import text_of_html  # lxml, without which a simulation reads other items

    return text_of_html(html) if html else ""


KIND = Kind((), read, holds_words)
