"""`<Pairwise>`: which of two texts, the left one or the right one."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.tag import ControlTag
from nextlabel.values.layout import ONE_OF

LEFT, RIGHT = "left", "right"


def read(control: Element, texts: Sequence[str]) -> ControlTag:
    """The control over two of the texts of these names. Raises `RefusedConfigError`."""
    compared = control.get("toName", "").split(",")
    if len(compared) != 2 or len({*compared} & {*texts}) != 2:
        raise RefusedConfigError(
            f'<Pairwise name="{control.get("name", "")}" toName="{control.get("toName", "")}"> compares no two texts; '
            f"the texts are {list(texts)}. {_instead(texts)}"
        )
    # Label Studio's editor names the control itself as what its items are about, which an import of predictions drops.
    # The first text does for both.
    return ControlTag(control.get("name", ""), compared[0], ONE_OF, (LEFT, RIGHT), listed=False)


def _instead(texts: Sequence[str]) -> str:
    if len(texts) >= 2:
        return (
            "Name two of them, without a blank at the comma; a third answer, such as a tie, is for a <Choices> beside "
            "it."
        )
    return (
        "What is no text, such as an image, cannot be compared here: show words about each, such as captions, in two "
        f'more <Text> tags and name these, or add a <Choices toName="{texts[0] if texts else "text"}"> with the labels '
        "left and right beside it. It can stay as it is."
    )
