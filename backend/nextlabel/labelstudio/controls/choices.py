"""`<Choices>`: which of them can be served, with what to change of the others, and the items of a result it makes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError

OTHER_CONTROLS = ("Taxonomy", "Pairwise", "Labels", "HyperTextLabels", "TextArea", "Rating", "Ranker", "Number")
NOTHING_CHOSEN = "nothing is chosen"
KIND = "choices"  # the `type` of its items


@dataclass(frozen=True)
class Choices:
    """The control. `labels` are the aliases where there are any, `shown_as` what people read in the place of each."""

    from_name: str
    to_name: str
    labels: tuple[str, ...]
    shown_as: Mapping[str, str]


def only_one(root: Element) -> Element:
    """The one control of a labelling config. Raises `RefusedConfigError` unless it gives one label to a whole task."""
    found = list(root.iter("Choices"))
    if len(found) != 1:
        others = sorted({tag for tag in OTHER_CONTROLS if root.find(f".//{tag}") is not None})
        seen = f"{len(found)} Choices" + (f" and {', '.join(others)}" if others else "")
        raise RefusedConfigError(
            f"The labelling config has {seen}; exactly one <Choices> is needed. Keep one, or use separate projects."
        )
    control = found[0]
    name = control.get("name", "")
    choice = control.get("choice", "single")
    if choice not in ("single", "single-radio"):
        raise RefusedConfigError(
            f'<Choices name="{name}" choice="{choice}"> lets annotators pick several labels; this backend learns one '
            'label per task. Set choice="single".'
        )
    for attribute in ("perRegion", "perItem"):
        if control.get(attribute, "false").lower() == "true":
            raise RefusedConfigError(
                f'<Choices name="{name}" {attribute}="true"> labels parts of a task; this backend labels whole tasks. '
                f"Remove {attribute}."
            )
    if control.get("value") is not None:
        raise RefusedConfigError(
            f'<Choices name="{name}" value="{control.get("value")}"> takes its labels from each task; a classifier '
            "needs one fixed set. List the labels as <Choice> tags."
        )
    if root.find(".//Repeater") is not None:
        raise RefusedConfigError("<Repeater> makes a control per list item; this backend labels whole tasks.")
    return control


def read(control: Element, texts: Sequence[str]) -> Choices:
    """The control over texts of these names. Raises `RefusedConfigError`."""
    return Choices(
        from_name=control.get("name", ""),
        to_name=_target(control, texts),
        labels=_labels(control),
        shown_as={c.get("alias", ""): c.get("value", "") for c in control.iter("Choice") if c.get("alias")},
    )


def _target(control: Element, names: Sequence[str]) -> str:
    to_name = control.get("toName", "")
    if "," in to_name:
        raise RefusedConfigError(
            f'<Choices toName="{to_name}"> names two texts: Label Studio\'s editor then submits empty results and the '
            f'labels are lost. Set toName="{names[0]}"; both texts are still classified as a pair.'
        )
    if to_name not in names:
        raise RefusedConfigError(
            f'<Choices toName="{to_name}"> does not point to a text; the texts are {names}. Set toName to one of them.'
        )
    return to_name


def _labels(control: Element) -> tuple[str, ...]:
    choices = list(control.iter("Choice"))
    if any(choice.find("Choice") is not None for choice in choices):
        raise RefusedConfigError("Nested <Choice> tags make a tree of labels; list the labels flat.")
    labels = tuple(choice.get("alias") or choice.get("value") or "" for choice in choices)
    if len(labels) < 2 or not all(label.strip() for label in labels) or len(set(labels)) < len(labels):
        raise RefusedConfigError(
            f'<Choices name="{control.get("name")}"> has the labels {list(labels)}; at least two different, '
            "non-empty ones are needed."
        )
    return labels


def item(from_name: str, to_name: str, label: str, **more: Any) -> dict[str, Any]:
    """The item of a result that gives this label, as Label Studio's editor makes it."""
    return {"from_name": from_name, "to_name": to_name, "type": KIND, "value": {"choices": [label]}, **more}


def items_of(result: object) -> list[Mapping[str, Any]]:
    """The items of anybody's result, of whatever control; none where it is no list of them."""
    return [item for item in result if isinstance(item, Mapping)] if isinstance(result, list) else []


def given(items: Sequence[Mapping[str, Any]]) -> list[object]:
    """Each choice of these items, whatever it is."""
    values = [item.get("value") for item in items]
    given = [value.get("choices") for value in values if isinstance(value, Mapping)]
    return [one for some in given for one in (some if isinstance(some, list) else [some])]


def why_no_label(items: Sequence[Mapping[str, Any]]) -> str:
    """Why these items of the control hold no label, in words."""
    values = [item.get("value") for item in items]
    if not all(isinstance(value, Mapping) and "choices" in value for value in values):
        return 'the value has no "choices"'
    odd = any(isinstance(one, Mapping | list) and one for one in given(items))
    return 'the "choices" are not a plain list of labels' if odd else NOTHING_CHOSEN


def shown_choice(result: object) -> str:
    """The choice that a prediction of ours shows; empty when it shows none. Of anybody's result nothing is expected."""
    values = (item.get("value") for item in items_of(result))
    found = (value.get("choices") for value in values if isinstance(value, Mapping))
    return next((c for choices in found if isinstance(choices, list) for c in choices if isinstance(c, str)), "")


def results_with(label: str, escaped: bool) -> str:
    """What results that give this label contain, as Label Studio's filters search them: on SQLite other letters than
    those of ASCII are `escaped`, on PostgreSQL they are not."""
    return f'"choices": [{json.dumps(label, ensure_ascii=escaped)}]'
