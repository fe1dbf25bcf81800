"""`<Text>` and `<HyperText>`: words, numbers and lists of such, with other words around them, encoded or as HTML."""

import base64
import binascii
from collections.abc import Mapping

from nextlabel.labelstudio.html_text import text_of_html
from nextlabel.labelstudio.objects.fields import (
    ADDRESSES,
    MAX_TEXT,
    MISSING,
    NOWHERE,
    PLAIN,
    VARIABLE,
    Kind,
    Reading,
    Refusal,
    TextField,
    at,
    encodable,
    shown,
    variables,
)

ENCODINGS = ("none", "base64", "base64unicode")


def refusal(text: TextField) -> Refusal | None:
    """Why no text can be read; None when it can."""
    if text.attribute("valuetype", "text").lower() == "url" or text.attribute("resolver", ""):
        return ADDRESSES._replace(remedy=ADDRESSES.remedy.format("text"))
    encoding = text.attribute("encoding", "none")
    if encoding not in ENCODINGS:
        known = "Label Studio knows the encodings none, base64 and base64unicode. Set one of them"
        return Refusal(f'has encoding="{encoding}"', known)
    return None


def read(text: TextField, data: Mapping[str, object]) -> Reading:
    """Numbers, truth values and lists of such count as text; a missing, null, empty or nested value does not."""
    values = {path: at(data, path) for path in variables(text.value)}
    words = {path: shown(value) or "" for path, value in values.items()}
    if not any(words.values()):
        return Reading("", _why_empty(text, values))
    if PLAIN.fullmatch(text.value):
        [whole] = words.values()
    else:
        whole = VARIABLE.sub(lambda found: words[found[0][1:]], text.value)
    encoding = text.attribute("encoding", "none")
    try:
        whole = encodable(_decoded(whole, encoding))
    except (binascii.Error, UnicodeError):
        return Reading("", f"the field {text.field!r} is not {encoding}, as the labelling config says")
    seen = text_of_html(whole) if text.tag == "HyperText" else whole
    if seen.strip():
        return Reading(seen[:MAX_TEXT])
    tags = ", apart from its HTML tags" if whole.strip() else ""
    return Reading("", f"the field {text.field!r} is empty{tags}")


def _why_empty(text: TextField, values: Mapping[str, object]) -> str:
    odd = next((value for value in values.values() if isinstance(value, Mapping | list) and value), None)
    if odd is not None:
        return f"the field {text.field!r} holds {'a list' if isinstance(odd, list) else 'an object'}, not a text"
    missing = all(value is NOWHERE for value in values.values())
    return f"the field {text.field!r} {MISSING if missing else 'is empty'}"


def _decoded(text: str, encoding: str) -> str:
    if encoding == "none":
        return text
    raw = base64.b64decode("".join(text.split()), validate=True)
    return raw.decode("utf-8" if encoding == "base64unicode" else "latin-1")


KIND = Kind(("encoding", "valuetype", "resolver"), read, refusal)
