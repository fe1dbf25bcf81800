"""`<Taxonomy>`: paths through a tree; exactly one of them where `maxUsages` is 1, else any number."""

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.tag import PATH, ControlTag, require_whole_task, target
from nextlabel.values.layout import ANY_OF, ONE_OF

MOST = 1000  # labels; each is a row of numbers


def read(control: Element, texts: Sequence[str]) -> ControlTag:
    """The control over texts of these names; a label is a path with `PATH` between its parts. Raises
    `RefusedConfigError`."""
    name = control.get("name", "")
    require_whole_task(control)
    for attribute in ("value", "apiUrl"):
        if control.get(attribute):
            raise RefusedConfigError(
                f'<Taxonomy name="{name}" {attribute}="{control.get(attribute)}"> takes its labels from elsewhere; a '
                "classifier needs one fixed set. List them as <Choice> tags."
            )
    leaves = control.get("leafsOnly", "false").lower() == "true"
    paths = {PATH.join(path): list(path) for path, is_leaf in _paths(control, ()) if is_leaf or not leaves}
    if not 2 <= len(paths) <= MOST or not all(part.strip() for path in paths.values() for part in path):
        raise RefusedConfigError(
            f'<Taxonomy name="{name}"> has {len(paths)} labels that can be given; 2 to {MOST} with names are needed.'
        )
    kind = ONE_OF if control.get("maxUsages") == "1" else ANY_OF
    return ControlTag(name, target(control, texts), kind, tuple(paths), "taxonomy", "taxonomy", stored=paths)


def _paths(element: Element, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Each path from the top, and whether it ends in a leaf."""
    for choice in element.findall("Choice"):
        path = (*above, choice.get("alias") or choice.get("value") or "")
        below = list(_paths(choice, path))
        yield path, not below
        yield from below
