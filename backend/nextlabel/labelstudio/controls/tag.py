"""What the kinds of controls have in common: what is known of one, and what it is about."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.values.layout import ANY_OF, ONE_OF

PATH = " > "  # between the parts of a label that is a path through a tree
DIGITS = 8  # after the decimal point of a step, as in the editor: 0.1 and 0.2 make 0.3


@dataclass(frozen=True)
class Shown:
    """A control is shown only where of the control `name` one of the `labels` is chosen; without labels: any. `unless`:
    it is shown only where none is."""

    name: str
    labels: tuple[str, ...] = ()
    unless: bool = False


@dataclass(frozen=True)
class ControlTag:
    """A control that asks one question of a whole task.

    `kind` as of `values.layout`. `item_type` is the `type` of its items in a result, whose value holds under `key` one
    label as Label Studio stores it or, where it is `listed`, a list of them: `stored` says how, where that is not the
    label itself. `shown_as` is what people read in the place of some labels. `conditions`: it is shown only where all
    of them hold; None among them stands for one that cannot be told; `written` are the same with the labels as the
    labelling config writes them. `leaves` are, in a tree of which the editor ticks
    a part exactly where it ticks all below it, those of each path, from the top; of a leaf itself. Of labels of which
    any may be given the editor takes `most`, where that is not 0, and at least one where that is `required`.
    `unguessed` are those with which it would tick more than it takes.
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
    written: tuple[Shown | None, ...] = ()
    leaves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    most: int = 0
    unguessed: tuple[str, ...] = ()
    required: bool = False

    def item(self, labels: Sequence[str], **more: Any) -> dict[str, Any]:
        """The item of a result that gives these labels, as Label Studio's editor makes it."""
        in_order = sorted(self._ticked(labels), key=self._place)
        stored = [self.stored.get(label, label) for label in in_order]
        value = {self.key: stored if self.listed else stored[0]}
        return {"from_name": self.name, "to_name": self.to_name, "type": self.item_type, "value": value, **more}

    @property
    def guessable(self) -> bool:
        """Whether it can be told who sees it. What nobody may see is stored all the same."""
        return None not in self.conditions

    def when(self, renamed: Mapping[str, str]) -> frozenset[tuple[str, frozenset[str], bool] | None]:
        """The conditions as people read them, in whatever order and wherever they are written: what is stored of a
        label, or what stands beside it, may change meanwhile. `renamed`: old labels, and what they are called now."""
        return frozenset(
            (when.name, frozenset(renamed.get(label, label) for label in when.labels), when.unless) if when else None
            for when in self.written
        )

    def takes(self, labels: Sequence[str]) -> bool:
        """Whether the editor ticks these as they are, and submits them."""
        most = self.most if self.kind == ANY_OF else 1
        return (not most or len(labels) <= most) and not set(labels) & set(self.unguessed)

    def _ticked(self, labels: Sequence[str]) -> Sequence[str]:
        """All paths of a tree that the editor ticks with these labels."""
        given = {leaf for label in labels for leaf in self.leaves.get(label, ())}
        return [path for path, below in self.leaves.items() if given.issuperset(below)] if self.leaves else labels

    def meant(self, ticked: Sequence[str]) -> list[str]:
        """The labels that paths of a tree stand for when the editor has ticked them: where one label is given, the
        topmost one with all that is below it, be it that more has come below it since; else the leaves. What stands
        alone is left as it is."""
        given = [path for path in ticked if self.leaves.get(path) == (path,)]
        if self.kind == ONE_OF and (one := self._one_of(ticked, given)):
            return [one, *(path for path in ticked if path not in self.leaves)]
        alone = [path for path in ticked if path not in given and not set(given) & set(self.leaves.get(path, ()))]
        return [*given, *alone]

    def _one_of(self, ticked: Sequence[str], given: Sequence[str]) -> str | None:
        """The one label that ticked paths are, with the leaves `given` among them: the lowest where each other one has
        it below, as scripts write them; else the parent that is ticked itself, or that the leaves make up."""
        each = [set(self.leaves[path]) for path in ticked if path in self.leaves]
        lowest, together = min(each, key=len, default=set[str]()), set[str]().union(*each)
        if all(lowest <= below for below in each):
            together = lowest
        elif together not in each and together != set(given):
            return None
        return next((path for path, below in self.leaves.items() if set(below) == together), None)

    @property
    def unlike(self) -> tuple[str, ...]:
        """The labels that are other paths than they look like, for a sign between parts that is in one of them."""
        stored = self.stored.items()
        return tuple(label for label, path in stored if isinstance(path, list) and path != label.split(PATH))

    def _place(self, label: str) -> int:
        """Where it stands in the config; what is not there any more comes last."""
        return self._places.get(label, len(self._places))

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {label: place for place, label in enumerate(self.leaves or self.labels)}


def paths(
    element: Element, above: tuple[str, ...] = (), unique: bool = False
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Each path of aliases through the <Choice> tags in an element, from the top, and whether it ends in a leaf. What
    else stands around some of them makes no part of a path. `unique`: of those with one value in one place the editor
    shows the first alone."""
    values: list[str | None] = []
    for child in element:
        is_choice = child.tag == "Choice"
        if unique and is_choice and child.get("value") in values:
            continue
        values += [child.get("value")] if is_choice else []
        own = (child.get("alias", child.get("value", "")),) if is_choice else ()
        below = list(paths(child, (*above, *own), unique))
        if own:
            yield (*above, *own), not below
        yield from below


def different_paths(control: Element) -> list[tuple[tuple[str, ...], bool]]:
    """All `paths` of a control, each once. Raises `RefusedConfigError` where two of them would be one label."""
    found = dict(paths(control, unique=control.tag == "Taxonomy"))
    written = Counter(PATH.join(path) for path in found)
    if twice := next((label for label, count in written.items() if count > 1), None):
        raise RefusedConfigError(
            f'<{control.tag} name="{control.get("name", "")}"> has two labels that are both {twice!r}, as "{PATH}" '
            f'stands between the parts of a path. Give the <Choice> with "{PATH.strip()}" in its value an alias '
            "without it."
        )
    return list(found.items())


def without_alias(control: Element) -> str:
    """What to do about an alias that is empty, which is stored in the place of the value all the same."""
    return ' Take out alias="".' if any(choice.get("alias") == "" for choice in control.iter("Choice")) else ""


def repeated(root: Element) -> set[Element]:
    """What stands for an item of a list, with names and values of its own for each."""
    return {element for repeater in root.iter("Repeater") for element in repeater.iter()}


def is_required(control: Element, kind: str) -> bool:
    """Whether it is submitted with a label at least, where any may be given; what else is required tells nothing."""
    return kind == ANY_OF and control.get("required", "false").lower() == "true"


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
    if "," in to_name and names:
        raise RefusedConfigError(
            f'<{control.tag} name="{control.get("name", "")}" toName="{to_name}"> names two texts: Label Studio\'s '
            f'editor then submits empty results and the labels are lost. Set toName="{names[0]}"; both texts are '
            "still classified as a pair."
        )
    if to_name not in names:
        raise RefusedConfigError(
            f'<{control.tag} name="{control.get("name", "")}" toName="{to_name}"> does not point to a text; the texts '
            f"are {list(names)}. {'Set toName to one of them' if names else 'Give one a name, and set toName to it'}."
        )
    return to_name


Read = Callable[[Element, Sequence[str]], ControlTag]  # an element of a config, and the names of its texts
