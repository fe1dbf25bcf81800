"""`<Pairwise>`: which of two texts, the left one or the right one."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.tag import ControlTag
from nextlabel.values.layout import ONE_OF

LEFT, RIGHT = "left", "right"


def read(control: Element, texts: Sequence[str]) -> ControlTag:
    """The control over two of the texts of these names. Raises `RefusedConfigError`."""
    compared = [name.strip() for name in control.get("toName", "").split(",")]
    if len(compared) != 2 or not set(compared) <= set(texts):
        raise RefusedConfigError(
            f'<Pairwise name="{control.get("name", "")}" toName="{control.get("toName", "")}"> compares no two texts; '
            f"the texts are {list(texts)}. Name two of them."
        )
    # Label Studio's editor names the control itself as what its items are about, which an import of predictions drops.
    # The first text does for both.
    return ControlTag(control.get("name", ""), compared[0], ONE_OF, (LEFT, RIGHT), "pairwise", "selected", listed=False)
