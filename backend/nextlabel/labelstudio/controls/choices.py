"""`<Choices>`: one of its labels or, with `choice="multiple"`, any number of them."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.tag import PATH, ControlTag, paths, require_whole_task, target
from nextlabel.values.layout import ANY_OF, ONE_OF


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
            "needs one fixed set. List the labels as <Choice> tags, or add a control beside it that does."
        )
    stored = _tree(control)
    return ControlTag(
        name,
        target(control, texts),
        ANY_OF if choice == "multiple" else ONE_OF,
        tuple(stored) or _labels(control, least=1 if choice == "multiple" else 2),
        shown_as={c.get("alias", ""): c.get("value", "") for c in control.iter("Choice") if c.get("alias")},
        stored=stored,
    )


def _tree(control: Element) -> dict[str, list[str]]:
    """The path that is stored for each label, where labels are nested; nothing where they are flat."""
    if all(choice.find("Choice") is None for choice in control.iter("Choice")):
        return {}
    found = {PATH.join(path): list(path) for path, _ in paths(control)}
    if control.get("allowNested", "false").lower() != "true" or not all(all(path) for path in found.values()):
        raise RefusedConfigError(
            f'<Choices name="{control.get("name", "")}"> has <Choice> tags in <Choice> tags, which make a tree of '
            'labels. Set allowNested="true" and name each, list the labels flat, or use <Taxonomy>.'
        )
    return found


def _labels(control: Element, least: int) -> tuple[str, ...]:
    choices = list(control.iter("Choice"))
    labels = tuple(dict.fromkeys(choice.get("alias") or choice.get("value") or "" for choice in choices))
    if len(labels) < least or not all(label.strip() for label in labels):
        inside = any((choice.text or "").strip() and not choice.get("value") for choice in choices)
        instead = ' Write <Choice value="label"/> in the place of <Choice>label</Choice>.' if inside else ""
        raise RefusedConfigError(
            f'<Choices name="{control.get("name")}"> has the labels {list(labels)}; at least '
            f"{'two different, non-empty ones are' if least == 2 else 'one, and none empty, is'} needed.{instead}"
        )
    return labels
