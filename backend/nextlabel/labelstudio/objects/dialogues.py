"""`<Paragraphs>` and `<Chat>`: who says what, as lines of "author: text"."""

from collections.abc import Mapping

from nextlabel.labelstudio.objects.fields import (
    ADDRESSES,
    Kind,
    Reading,
    Refusal,
    TextField,
    holds_words,
    reading,
    shown,
    unlike,
    whole,
)


def refusal(text: TextField) -> Refusal | None:
    """Why no text can be read; None when it can."""
    if text.attribute("valuetype", "json").lower() == "url":
        return ADDRESSES._replace(remedy=ADDRESSES.remedy.format("json"))
    return None


def read_paragraphs(text: TextField, data: Mapping[str, object]) -> Reading:
    """A list of objects with `nameKey` and `textKey`, of which the first must have both: else the editor shows
    nothing but an error."""
    keys = text.attribute("namekey", "author"), text.attribute("textkey", "text")
    value = whole(text, data)
    if not isinstance(value, list) or not value:
        return unlike(text, value, "a list of paragraphs")
    absent = next((key for key in keys if not isinstance(value[0], Mapping) or key not in value[0]), None)
    if absent is not None:
        attribute = "nameKey" if absent == keys[0] else "textKey"
        return Reading(
            "",
            f"the field {text.field!r} has no {absent!r} in its first paragraph, so that Label Studio shows none of "
            f"them (set {attribute})",
        )
    return reading(text, _lines(value, *keys))


def read_chat(text: TextField, data: Mapping[str, object]) -> Reading:
    """A list of objects with `role` and `content`."""
    value = whole(text, data)
    if not isinstance(value, list) or not value:
        return unlike(text, value, "a list of messages")
    return reading(text, _lines(value, "role", "content"))


def _lines(value: list[object], name_key: str, text_key: str) -> str:
    found = [(shown(part.get(name_key)), shown(part.get(text_key))) for part in value if isinstance(part, Mapping)]
    return "\n".join(f"{name}: {said}" if name else said for name, said in found if said)


PARAGRAPHS = Kind(("namekey", "textkey", "valuetype"), read_paragraphs, refusal)
CHAT = Kind((), read_chat, holds_words)
