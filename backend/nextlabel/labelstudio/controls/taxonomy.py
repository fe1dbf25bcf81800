"""`<Taxonomy>`: paths through a tree; exactly one of them where `maxUsages` is 1, else any number, or so many."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.tag import (
    PATH,
    ControlTag,
    different_paths,
    is_required,
    require_whole_task,
    target,
    without_alias,
)
from nextlabel.values.layout import ANY_OF, ONE_OF

MOST = 1000  # labels; each is a row of numbers
BESIDE = " Add a <Choices> or a <Taxonomy> with the upper levels beside it to have these learnt; it can stay as it is."


def read(control: Element, texts: Sequence[str]) -> ControlTag:
    """The control over texts of these names; a label is a path with `PATH` between its parts. Raises
    `RefusedConfigError`."""
    name = control.get("name", "")
    require_whole_task(control)
    for attribute in ("value", "apiUrl"):
        if control.get(attribute):
            raise RefusedConfigError(
                f'<Taxonomy name="{name}" {attribute}="{control.get(attribute)}"> takes its labels from elsewhere; a '
                "classifier needs one fixed set. List them as <Choice> tags, or add a control with such tags beside it."
            )
    leaves = control.get("leafsOnly", "false").lower() == "true"
    labels = {PATH.join(path): list(path) for path, is_leaf in different_paths(control) if is_leaf or not leaves}
    if not 2 <= len(labels) <= MOST or not all(part.strip() for path in labels.values() for part in path):
        raise RefusedConfigError(
            f'<Taxonomy name="{name}"> has {len(labels)} labels that can be given; 2 to {MOST} with names are needed.'
            f"{BESIDE if len(labels) > MOST else without_alias(control)}"
        )
    shown_as = {c.get("alias", ""): c.get("value", "") for c in control.iter("Choice") if c.get("alias")}
    most = _most(control)
    kind = ONE_OF if most == 1 else ANY_OF
    return ControlTag(
        name,
        target(control, texts),
        kind,
        tuple(labels),
        shown_as=shown_as,
        stored=labels,
        most=most if most > 1 else 0,
        required=is_required(control, kind),
    )


def _most(control: Element) -> int:
    """How many paths Label Studio's editor submits; 0 for any number, as also where it is no number, or a long one."""
    given = control.get("maxUsages", "")
    return int(given) if given.isdecimal() and len(given) <= len(str(MOST)) else 0
