"""`<Table>`: names with values, or rows under headings, in the order in which Label Studio's editor shows them."""

import csv
import json
from collections.abc import Mapping

from nextlabel.labelstudio.objects.fields import (
    ADDRESSES,
    Kind,
    Reading,
    Refusal,
    TextField,
    reading,
    shown,
    unlike,
    whole,
)

BETWEEN = " | "  # cells of a row


def refusal(text: TextField) -> Refusal | None:
    """Why no text can be read; None when it can."""
    kind, options = _value_type(text)
    if "url" in (kind, *options):
        return ADDRESSES._replace(remedy=ADDRESSES.remedy.format("json"))
    return None


def read(text: TextField, data: Mapping[str, object]) -> Reading:
    """An object or a list, or one of them as JSON; with valueType="csv" a text."""
    value = whole(text, data)
    kind, options = _value_type(text)
    if isinstance(value, str) and value.strip():
        value = _of_csv(value, options) if kind == "csv" else _of_json(value)
    if not isinstance(value, Mapping | list) or not value:
        return unlike(text, value, "a table")
    return reading(text, "\n".join(_lines(value)))


def _lines(value: Mapping[str, object] | list[object]) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}: {_packed(value[name])}" for name in sorted(value, key=str.lower)]
    if not isinstance(value[0], Mapping):
        return [f"{place}: {_packed(cell)}" for place, cell in enumerate(value)]
    rows = [row if isinstance(row, Mapping) else {} for row in value]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [BETWEEN.join(cells) for cells in (names, *([_cell(row.get(name)) for name in names] for row in rows))]


def _cell(value: object) -> str:
    """In a row; the editor leaves truth values out."""
    return "" if isinstance(value, bool) else (shown(value) or (_packed(value) if value else ""))


def _packed(value: object) -> str:
    """Beside a name; what is nested stands there as JSON."""
    if value is None or isinstance(value, Mapping | list):
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        except RecursionError:
            return ""
    return _cell(value)


def _value_type(text: TextField) -> tuple[str, Mapping[str, str]]:
    """The type and its options, as in `csv|separator=;|headless`: the first sign that is no letter parts them."""
    given = text.attribute("valuetype", "json")
    kind = next((given[:end] for end, sign in enumerate(given) if not (sign.isalnum() or sign == "_")), given)
    parts = given[len(kind) + 1 :].split(given[len(kind)]) if len(given) > len(kind) else []
    return kind, {name: value for name, _, value in (part.partition("=") for part in parts)}


def _of_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _of_csv(text: str, options: Mapping[str, str]) -> object:
    between = options.get("separator") or max(",\t|;", key=text.partition("\n")[0].count)
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=between))
    except (csv.Error, TypeError):
        return text
    if "headless" in options:
        return [dict(zip(map(str, range(len(row))), row, strict=True)) for row in rows]
    return [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]


KIND = Kind(("valuetype",), read, refusal)
