"""Results as anybody may have written them: their items, what is given in these, and why it may be nothing."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nextlabel.labelstudio.controls.tag import DIGITS, PATH, ControlTag

NOTHING_CHOSEN = "nothing is chosen"
CHOICES = "choices"


def items_of(result: object) -> list[Mapping[str, Any]]:
    """The items of anybody's result, of whatever control; none where it is no list of them."""
    return [item for item in result if isinstance(item, Mapping)] if isinstance(result, list) else []


def names_of(result: object) -> set[str]:
    """The names of all that anybody's result has items of; what ties regions together has none."""
    return {str(item["from_name"]) for item in items_of(result) if "from_name" in item}


def given(items: Sequence[Mapping[str, Any]], key: str = CHOICES) -> list[object]:
    """Each label in these items, whatever it is."""
    values = [item.get("value") for item in items]
    given = [value.get(key) for value in values if isinstance(value, Mapping)]
    return [one for some in given for one in (some if isinstance(some, list) else [some])]


def given_to(control: ControlTag, items: Sequence[Mapping[str, Any]]) -> list[object]:
    """The same of a control; of a tree, each path in one, and what is ticked as the labels that it stands for."""
    found = [round(one, DIGITS) if isinstance(one, float) else one for one in given(items, control.key)]
    if not any(isinstance(stored, list) for stored in control.stored.values()):
        return found
    joined = [_joined(control, path) if isinstance(path, list) else path for path in found]
    ticked = [path for path in joined if isinstance(path, str)]
    odd = [path for path in joined if not isinstance(path, str)]
    return [*control.meant(ticked), *odd] if control.leaves else joined


def _joined(control: ControlTag, path: Sequence[object]) -> str:
    """A path as a label is written; another one than the label that would be written alike, as no label is."""
    parts = [*map(str, path)]
    label = PATH.join(parts)
    return label if control.stored.get(label, parts) == parts else json.dumps(parts, ensure_ascii=False)


def say_none(items: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Whether there are items of a control, and all of them have an empty list. The editor stores none; scripts do."""
    values = [item.get("value") for item in items]
    return bool(values) and all(isinstance(value, Mapping) and value.get(key) == [] for value in values)


def why_no_label(items: Sequence[Mapping[str, Any]], key: str = CHOICES) -> str:
    """Why these items of a control hold no label, in words."""
    values = [item.get("value") for item in items]
    if not all(isinstance(value, Mapping) and key in value for value in values):
        return f'the value has no "{key}"'
    odd = any(isinstance(one, Mapping | list) and one for one in given(items, key))
    return f'the "{key}" are not a plain list of labels' if odd else NOTHING_CHOSEN


def shown(result: object) -> str:
    """What a prediction of ours shows: of a single question the label, else all that is given, with the names of the
    questions; empty for nothing. Of anybody's result nothing is expected."""
    items = [item for item in items_of(result) if isinstance(item.get("value"), Mapping) and "from_name" in item]
    labels = [one for one in given(items) if isinstance(one, str)]
    if len(labels) == 1 and len(items) == 1 and not _answers_form(items[0]):
        return labels[0]
    plain = [[item["from_name"], item.get("type"), item["value"]] for item in items]
    return json.dumps(plain, ensure_ascii=False) if plain else ""


def _answers_form(item: Mapping[str, Any]) -> bool:
    """Whether it is the first item of a prediction of several questions: it has the probabilities of each."""
    meta = item.get("meta")
    probabilities = meta.get("probabilities") if isinstance(meta, Mapping) else None
    return isinstance(probabilities, Mapping) and any(isinstance(of, Mapping) for of in probabilities.values())
