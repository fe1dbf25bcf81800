"""Which controls are served, by tag: a new one is an entry here and a module with its `read`."""

from collections.abc import Mapping
from typing import NamedTuple

from nextlabel.labelstudio.controls import choices, pairwise, steps, taxonomy
from nextlabel.labelstudio.controls.tag import Read


class Kind(NamedTuple):
    """How such a control is read, and what its items in a result look like: as of `ControlTag`. Of `steps` the answers
    have an order."""

    read: Read
    item_type: str
    key: str
    steps: bool = False


KINDS: Mapping[str, Kind] = {
    "Choices": Kind(choices.read, "choices", "choices"),
    "Rating": Kind(steps.read_rating, "rating", "rating", steps=True),
    "Number": Kind(steps.read_number, "number", "number", steps=True),
    "Taxonomy": Kind(taxonomy.read, "taxonomy", "taxonomy"),
    "Pairwise": Kind(pairwise.read, "pairwise", "selected"),
}
# What asks people for something else; named where nothing else is asked, and as not learnt where something is.
OTHERS: Mapping[str, str] = {
    "Relations": "ties regions together",
    "TextArea": "asks for words",
    "DateTime": "asks for a date",
    "Ranker": "asks for an order",
    "ReactCode": "asks what its own code asks",
}
REGIONS = ("Labels", "Rectangle", "Ellipse", "Polygon", "KeyPoint", "Brush", "Magicwand", "Vector", "BitMask")
NO_QUESTIONS = ("Filter",)  # of those that point to something none asks anything


def asks(tag: str) -> str:
    """What a control that is not served asks for; a new one of Label Studio is not known."""
    return OTHERS.get(tag, "marks regions" if tag.endswith(REGIONS) else "is not known here")
