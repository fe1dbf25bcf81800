"""What the kinds of controls have in common: what is known of one, and when people see it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.values.layout import Answers

PATH = " > "  # between the parts of a label that is a path through a tree


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
    of them hold; None among them stands for one that cannot be told.
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

    def item(self, labels: Sequence[str], **more: Any) -> dict[str, Any]:
        """The item of a result that gives these labels, as Label Studio's editor makes it."""
        stored = [self.stored.get(label, label) for label in labels]
        value = {self.key: stored if self.listed else stored[0]}
        return {"from_name": self.name, "to_name": self.to_name, "type": self.item_type, "value": value, **more}

    def asked(self, answers: Answers) -> bool | None:
        """Whether a person who gives these answers sees it; None when that cannot be told."""
        seen: list[bool | None] = [
            None if condition is None else _holds(condition, answers) for condition in self.conditions
        ]
        return False if False in seen else None if None in seen else True


def _holds(condition: Shown, answers: Answers) -> bool:
    given = answers.get(condition.name, ())
    return bool(set(given) & set(condition.labels)) if condition.labels else bool(given)


def paths(element: Element, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Each path of aliases through the <Choice> tags in an element, from the top, and whether it ends in a leaf."""
    for choice in element.findall("Choice"):
        path = (*above, choice.get("alias") or choice.get("value") or "")
        below = list(paths(choice, path))
        yield path, not below
        yield from below


def is_hidden(element: Element) -> bool:
    """Whether its style keeps people from seeing it, with all that is in it."""
    style = element.get("style", "").replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style


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
    """What must hold for people to see it, from its own `visibleWhen` and from those of what it stands in."""
    found: list[Shown | None] = []
    element: Element | None = control
    while element is not None:
        if when := element.get("visibleWhen"):
            found.append(_condition(element) if when == "choice-selected" else None)
        element = parents.get(element)
    return tuple(found)


def _condition(element: Element) -> Shown | None:
    name, values = element.get("whenTagName", ""), element.get("whenChoiceValue", "")
    return Shown(name, tuple(value.strip() for value in values.split(",") if value.strip())) if name else None


Read = Callable[[Element, Sequence[str]], ControlTag]  # an element of a config, and the names of its texts
