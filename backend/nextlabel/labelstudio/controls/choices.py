"""`<Choices>`: one of its labels or, with `choice="multiple"` or as a check box alone, any number of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.tag import (
    PATH,
    ControlTag,
    different_paths,
    is_required,
    paths,
    require_whole_task,
    target,
    without_alias,
)
from nextlabel.labelstudio.objects.fields import VARIABLE
from nextlabel.values.layout import ANY_OF, ONE_OF

ALONE = ' For one that is given or not, set choice="multiple".'
Path = tuple[str, ...]  # of a label through a tree, from the top


def read(control: Element, texts: Sequence[str]) -> ControlTag:
    """The control over texts of these names. A label that is listed twice is one. Raises `RefusedConfigError`."""
    name, choice = control.get("name", ""), control.get("choice", "single")
    require_whole_task(control)
    if choice not in ("single", "single-radio", "multiple"):
        raise RefusedConfigError(
            f'<Choices name="{name}" choice="{choice}">: Label Studio knows single, single-radio and multiple. Set one '
            "of them."
        )
    if control.get("value") is not None:
        raise RefusedConfigError(
            f'<Choices name="{name}" value="{control.get("value")}"> takes its labels from each task; a classifier '
            "needs one fixed set. List the labels as <Choice> tags, or add a control with such tags beside it."
        )
    _require_fixed(control)
    tree = _tree(control)
    kind = ANY_OF if choice == "multiple" or _is_box(control, choice) else ONE_OF
    return ControlTag(
        name,
        target(control, texts),
        kind,
        _labels(control, kind, tree),
        shown_as={c.get("alias", ""): c.get("value", "") for c in control.iter("Choice") if c.get("alias")},
        stored={PATH.join(path): list(path) for path in tree},
        leaves={PATH.join(path): tuple(PATH.join(leaf) for leaf in below) for path, below in tree.items()},
        unguessed=() if choice == "multiple" else listed_twice(control),
        required=is_required(control, kind),
    )


def _is_box(control: Element, choice: str) -> bool:
    """Whether it is a check box alone, which may be ticked or not."""
    return choice == "single" and len(list(paths(control))) == 1


def listed_twice(control: Element) -> tuple[str, ...]:
    """Labels of which one guess ticks several boxes, and where one alone may be ticked the editor submits none."""
    counts = Counter(PATH.join(path) for path, _ in paths(control))
    return tuple(label for label, count in counts.items() if count > 1)


def _require_fixed(control: Element) -> None:
    """Raises `RefusedConfigError` where the editor stores words of each task in the place of a label."""
    for choice in control.iter("Choice"):
        if (field := VARIABLE.search(choice.get("value", ""))) and not choice.get("alias"):
            raise RefusedConfigError(
                f'<Choices name="{control.get("name", "")}"> has <Choice value="{choice.get("value")}"/>: Label Studio '
                f"puts words of each task in the place of {field[0]}, and a classifier needs one fixed set of labels. "
                "Give each such <Choice> an alias, which is stored instead; texts and question stay as they are."
            )


def _tree(control: Element) -> dict[Path, tuple[Path, ...]]:
    """Each path, with the leaves at or below it, where labels may be nested; nothing where they are flat.

    With `allowNested` the editor stores paths, whether any label is nested or not.
    """
    if control.get("allowNested", "false").lower() == "true":
        found = dict(different_paths(control))
        leaves = [path for path, is_leaf in found.items() if is_leaf]
        return {path: tuple(leaf for leaf in leaves if leaf[: len(path)] == path) for path in found}
    if any(choice.find("Choice") is not None for choice in control.iter("Choice")):
        raise RefusedConfigError(
            f'<Choices name="{control.get("name", "")}"> has <Choice> tags in <Choice> tags, which make a tree of '
            'labels. Set allowNested="true" and give each <Choice> a value of its own, list the labels flat, or use '
            "<Taxonomy>."
        )
    return {}


def _labels(control: Element, kind: str, tree: Mapping[Path, tuple[Path, ...]]) -> tuple[str, ...]:
    """Those that can be told from each other. The editor ticks a path exactly where all leaves below it are ticked: of
    several it says nothing more than they do, and of paths with the same leaves one is as good as the other."""
    choices = list(control.iter("Choice"))
    flat = [(choice.get("alias", choice.get("value", "")),) for choice in choices]
    topmost: dict[tuple[Path, ...], Path] = {}
    for path, below in tree.items():
        if kind == ONE_OF or below == (path,):
            topmost.setdefault(below, path)
    found = dict.fromkeys(topmost.values() if tree else flat)
    labels, least = tuple(map(PATH.join, found)), 1 if kind == ANY_OF else 2
    if len(labels) < least or not all(part.strip() for path in found for part in path):
        inside = any((choice.text or "").strip() and not choice.get("value") for choice in choices)
        instead = ' Write <Choice value="label"/> in the place of <Choice>label</Choice>.' if inside else ""
        raise RefusedConfigError(
            f'<Choices name="{control.get("name")}"> has the labels {list(labels)}; at least '
            f"{'two different, non-empty ones are' if least == 2 else 'one, and none empty, is'} needed.{instead}"
            f"{without_alias(control)}{ALONE if kind == ONE_OF and len(labels) == 1 else ''}"
        )
    return labels
