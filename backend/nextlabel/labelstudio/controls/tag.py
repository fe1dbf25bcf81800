"""What the kinds of controls have in common: what is known of one, and when people see it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.values.layout import ONE_OF, Answers

PATH = " > "  # between the parts of a label that is a path through a tree
DIGITS = 8  # after the decimal point of a step, as in the editor: 0.1 and 0.2 make 0.3
# Tags that Label Studio's editor hides by their own `visibleWhen`; it always shows others that have one.
HIDING = ("View", "Choices", "Taxonomy")


@dataclass(frozen=True)
class Shown:
    """A control is shown only where of the control `name` one of the `labels` is chosen; without labels: any."""

    name: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ControlTag:
    """A control that asks one question of a whole task.

    `kind` as of `values.layout`. `item_type` is the `type` of its items in a result, whose value holds under `key` one
    label as Label Studio stores it or, where it is `listed`, a list of them: `stored` says how, where that is not the
    label itself. `shown_as` is what people read in the place of some labels. `conditions`: it is shown only where all
    of them hold; None among them stands for one that cannot be told. `leaves` are, in a tree of which the editor ticks
    a part exactly where it ticks all below it, those of each path, from the top; of a leaf itself.
    """

    name: str
    to_name: str
    kind: str
    labels: tuple[str, ...]
    item_type: str = "choices"
    key: str = "choices"
    listed: bool = True
    shown_as: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, Any] = field(default_factory=dict)
    conditions: tuple[Shown | None, ...] = ()
    leaves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def item(self, labels: Sequence[str], **more: Any) -> dict[str, Any]:
        """The item of a result that gives these labels, as Label Studio's editor makes it."""
        stored = [self.stored.get(label, label) for label in self._ticked(labels)]
        value = {self.key: stored if self.listed else stored[0]}
        return {"from_name": self.name, "to_name": self.to_name, "type": self.item_type, "value": value, **more}

    def _ticked(self, labels: Sequence[str]) -> Sequence[str]:
        """All paths of a tree that the editor ticks with these labels."""
        given = {leaf for label in labels for leaf in self.leaves.get(label, ())}
        return [path for path, below in self.leaves.items() if given.issuperset(below)] if self.leaves else labels

    def meant(self, ticked: Sequence[str]) -> list[str]:
        """The labels that paths of a tree stand for when the editor has ticked them: where one label is given, the
        topmost one with all that is below it, else the leaves. What stands alone is left as it is."""
        given = [path for path in ticked if self.leaves.get(path) == (path,)]
        alone = [path for path in ticked if path not in given and not set(given) & set(self.leaves.get(path, ()))]
        whole = next((path for path, below in self.leaves.items() if set(below) == set(given)), None)
        return [*([whole] if whole and self.kind == ONE_OF else given), *alone]

    def asked(self, answers: Answers, unclear: Collection[str] = ()) -> bool | None:
        """Whether a person who gives these answers sees it; None when that cannot be told, as where it depends on
        questions of which it is `unclear` how they are answered."""
        seen: list[bool | None] = [
            None if condition is None or condition.name in unclear else _holds(condition, answers)
            for condition in self.conditions
        ]
        return False if False in seen else None if None in seen else True


def _holds(condition: Shown, answers: Answers) -> bool:
    given = answers.get(condition.name, ())
    return bool(set(given) & set(condition.labels)) if condition.labels else bool(given)


def paths(element: Element, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Each path of aliases through the <Choice> tags in an element, from the top, and whether it ends in a leaf. What
    else stands around some of them makes no part of a path."""
    for child in element:
        own = (child.get("alias") or child.get("value") or "",) if child.tag == "Choice" else ()
        below = list(paths(child, (*above, *own)))
        if own:
            yield (*above, *own), not below
        yield from below


def is_hidden(element: Element) -> bool:
    """Whether its style keeps people from seeing it, with all that is in it."""
    style = element.get("style", "").replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style


def repeated(root: Element) -> set[Element]:
    """What stands for an item of a list, with names and values of its own for each."""
    return {element for repeater in root.iter("Repeater") for element in repeater.iter()}


def may_hide(element: Element) -> bool:
    """Whether it depends on answers or regions if people see it."""
    return element.tag in HIDING and bool(element.get("visibleWhen") or element.get("whenChoiceValue"))


def require_whole_task(control: Element) -> None:
    """Raises `RefusedConfigError` for a control that asks about parts of a task."""
    for attribute in ("perRegion", "perItem", "labeling"):
        if control.get(attribute, "false").lower() == "true":
            raise RefusedConfigError(
                f'<{control.tag} name="{control.get("name", "")}" {attribute}="true"> labels parts of a task: it is '
                f"not learnt. Whole tasks are; for that add a control without {attribute}."
            )


def target(control: Element, names: Sequence[str]) -> str:
    """The text that it is about. Raises `RefusedConfigError`."""
    to_name = control.get("toName", "")
    if "," in to_name:
        raise RefusedConfigError(
            f'<{control.tag} name="{control.get("name", "")}" toName="{to_name}"> names two texts: Label Studio\'s '
            f'editor then submits empty results and the labels are lost. Set toName="{names[0]}"; both texts are '
            "still classified as a pair."
        )
    if to_name not in names:
        raise RefusedConfigError(
            f'<{control.tag} name="{control.get("name", "")}" toName="{to_name}"> does not point to a text; the texts '
            f"are {list(names)}. Set toName to one of them."
        )
    return to_name


def conditions(control: Element, parents: Mapping[Element, Element]) -> tuple[Shown | None, ...]:
    """What must hold for people to see it, by its own attributes and those of what it stands in."""
    found: list[Shown | None] = []
    element: Element | None = control
    while element is not None:
        if may_hide(element):
            found.append(_condition(element))
        element = parents.get(element)
    return tuple(found)


def _condition(element: Element) -> Shown | None:
    name, values = element.get("whenTagName", ""), element.get("whenChoiceValue")
    if element.get("visibleWhen") != "choice-selected" or not name:
        return None
    return Shown(name, () if values is None else tuple(values.split(",")))


Read = Callable[[Element, Sequence[str]], ControlTag]  # an element of a config, and the names of its texts
