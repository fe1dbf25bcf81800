"""When people see a control, by Label Studio's attributes for that; refuses to know what anybody answered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from xml.etree.ElementTree import Element

from nextlabel.labelstudio.controls.results import CHOICES
from nextlabel.labelstudio.controls.tag import ControlTag, Shown

# Tags that Label Studio's editor hides by their own `visibleWhen`; it always shows others that have one.
HIDING = ("View", "Choices", "Taxonomy")
CHOSEN, NOT_CHOSEN = "choice-selected", "choice-unselected"
KINDS = (CHOSEN, NOT_CHOSEN, "region-selected", "no-region-selected")  # it shows what has any other `visibleWhen`
ASKING = {"Choices": "choices", "Taxonomy": "taxonomy"}  # tags by whose answers it hides, and the types of their items


def may_hide(element: Element) -> bool:
    """Whether it depends on answers or regions if people see it."""
    when = element.get("visibleWhen")
    return element.tag in HIDING and (when in KINDS if when else bool(element.get("whenChoiceValue")))


def conditions(
    control: Element, parents: Mapping[Element, Element], asking: Collection[str]
) -> tuple[Shown | None, ...]:
    """What must hold for people to see it, by its own attributes and those of what it stands in; labels are as people
    read them. `asking` are the names of all by whose answers the editor hides: of no other one is anything chosen."""
    found: list[Shown | None] = []
    element: Element | None = control
    while element is not None:
        if may_hide(element) and not _follows_nothing(element, asking):
            found.append(_condition(element))
        element = parents.get(element)
    return tuple(found)


def names_asking(root: Element) -> set[str]:
    """Of all by whose answers Label Studio's editor hides anything."""
    return {element.get("name", "") for element in root.iter() if element.tag in ASKING}


def is_never_shown(control: ControlTag, asking: Collection[str]) -> bool:
    """Whether it waits for an answer to what the editor hides nothing by."""
    return any(when and not when.unless and when.name not in asking for when in control.written)


def _follows_nothing(element: Element, asking: Collection[str]) -> bool:
    """Whether it is always shown, as it is where nothing is chosen of what never has anything chosen."""
    when, name = element.get("visibleWhen"), element.get("whenTagName")
    return when == NOT_CHOSEN and bool(name) and name not in asking and element.get("whenChoiceValue") is None


def _condition(element: Element) -> Shown | None:
    name, when = element.get("whenTagName", ""), element.get("visibleWhen", "")
    values = element.get("whenChoiceValue")
    if when not in (CHOSEN, NOT_CHOSEN) or not name:
        return None
    return Shown(name, () if values is None else tuple(values.split(",")), when == NOT_CHOSEN)


def in_stored_labels(control: ControlTag, controls: Sequence[ControlTag]) -> ControlTag:
    """Conditions name labels as people read them; answers hold what is stored, of trees whole paths. One that depends
    on a control that is not served, or by which the editor hides nothing, cannot be told, nor does one that has several
    labels of a tree at once."""
    of = {other.name: other for other in controls if other.item_type in ASKING.values()}
    found = (when and _in_labels(when, of.get(when.name)) for when in control.conditions)
    return replace(control, conditions=tuple(found))


def _in_labels(when: Shown, of: ControlTag | None) -> Shown | None:
    if of is None:
        return None
    found = [_holding(of, label) for label in when.labels]
    return None if None in found else replace(when, labels=tuple(one for labels in found for one in labels or ()))


def _holding(control: ControlTag, shown: str) -> list[str] | None:
    """The labels with which the editor takes the one of that name for chosen, the first that has it as its alias or as
    its value; None where it takes several together."""
    parts = {label: _last(control, label) for label in control.leaves or control.labels}
    last = next((part for part in parts.values() if shown in (part, control.shown_as.get(part))), shown)
    named = [label for label, part in parts.items() if part == last]
    if control.item_type == CHOICES:  # of a <Taxonomy> it takes all that are called so
        named = named[:1]
    if not control.leaves:
        return named or [last]
    found = [
        label
        for label in control.labels
        if any(set(control.leaves[path]) <= set(control.leaves[label]) for path in named)
    ]
    return found or (None if named else [last])


def _last(control: ControlTag, label: str) -> str:
    """The last part of a path; a label that is none is one part, whatever is in it."""
    stored = control.stored.get(label)
    return str(stored[-1]) if isinstance(stored, list) else label
