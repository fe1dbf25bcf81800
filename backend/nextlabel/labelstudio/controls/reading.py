"""Which questions a labelling config asks: all controls that can be served, and of the others why not."""

from collections.abc import Sequence
from dataclasses import replace
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.conditions import conditions, in_stored_labels, names_asking
from nextlabel.labelstudio.controls.kinds import KINDS, NO_QUESTIONS, OTHERS, asks
from nextlabel.labelstudio.controls.styles import hides
from nextlabel.labelstudio.controls.tag import ControlTag, repeated

UNSEEN = (
    '<{} name="{}"> is hidden by a style: nobody answers it, and it is not learnt. To have it learnt, take the style '
    "away."
)
NEEDED = "A control that asks about a whole text is needed: add one, such as"


def read(
    root: Element, texts: Sequence[str], beside: Sequence[str] = ()
) -> tuple[tuple[ControlTag, ...], tuple[str, ...]]:
    """The controls over texts of these names, in their order, and a sentence on each that is not learnt.

    A control that points to one tag may point to one `beside` the texts; what is compared must be texts.

    Raises `RefusedConfigError`, with what to change, when none can be served.
    """
    parents = {child: parent for parent in root.iter() for child in parent}
    unseen = {element for view in root.iter("View") if hides(view.get("style", "")) for element in view.iter()}
    inside = repeated(root)
    asking = names_asking(root)
    served: list[ControlTag] = []
    others = ["<Repeater> asks about each item of a list: it is not learnt."] if inside else []
    for element in root.iter():
        if element in inside:
            continue
        if element.tag in KINDS:
            try:
                if element in unseen:
                    raise RefusedConfigError(UNSEEN.format(element.tag, element.get("name", "")))
                names = texts if "," in element.get("toName", "") else (*texts, *beside)
                kind, written = KINDS[element.tag], conditions(element, parents, asking)
                control = replace(kind.read(element, names), item_type=kind.item_type, key=kind.key)
                served.append(replace(control, conditions=written, written=written))
            except RefusedConfigError as error:
                others.append(str(error))
        elif element.tag in OTHERS or (element.get("toName") and element.tag not in NO_QUESTIONS):
            others.append(f'<{element.tag} name="{element.get("name", "")}"> {asks(element.tag)}: it is not learnt.')
    if not served:
        raise RefusedConfigError(_nothing_to_serve(others, texts))
    names = [control.name for control in served]
    if len(set(names)) < len(names):
        raise RefusedConfigError(f"The controls of the labelling config are named {names}; give each its own name.")
    return tuple(in_stored_labels(control, served) for control in served), tuple(others)


def _nothing_to_serve(others: Sequence[str], texts: Sequence[str]) -> str:
    refused = [why for why in others if not why.endswith("it is not learnt.")]
    if refused:
        return refused[0]
    needed = f'{NEEDED} <Choices name="label" toName="{texts[0] if texts else "text"}"> with two labels.'
    return (
        " ".join([*others, needed, "All else can stay."]) if others else f"The labelling config asks nothing. {needed}"
    )
