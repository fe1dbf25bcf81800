"""Which controls are served, by tag: a new one is an entry here and a module with its `read`."""

from collections.abc import Mapping

from nextlabel.labelstudio.controls import choices, pairwise, steps, taxonomy
from nextlabel.labelstudio.controls.tag import Read

KINDS: Mapping[str, Read] = {
    "Choices": choices.read,
    "Taxonomy": taxonomy.read,
    "Rating": steps.read_rating,
    "Number": steps.read_number,
    "Pairwise": pairwise.read,
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
