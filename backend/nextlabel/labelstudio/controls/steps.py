"""`<Rating>` and `<Number>`: one of few steps, which have an order."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.tag import ControlTag, require_whole_task, target
from nextlabel.values.layout import ORDERED

MOST = 21  # steps: 0 to 100 by five


def read_rating(control: Element, texts: Sequence[str]) -> ControlTag:
    """Stars, from one on. Raises `RefusedConfigError`."""
    require_whole_task(control)
    return _steps(control, texts, "rating", 1, _number(control, "maxRating", "5"), 1)


def read_number(control: Element, texts: Sequence[str]) -> ControlTag:
    """Numbers from `min` to `max`, `step` apart. Raises `RefusedConfigError`."""
    require_whole_task(control)
    if control.get("min") is None or control.get("max") is None:
        raise RefusedConfigError(
            f'<Number name="{control.get("name", "")}"> has no bounds; a classifier needs few steps. Set min and max '
            f"(and step), for at most {MOST} steps in all."
        )
    lowest, highest = _number(control, "min"), _number(control, "max")
    return _steps(control, texts, "number", lowest, highest, _number(control, "step", "1"))


def _number(control: Element, attribute: str, otherwise: str = "") -> int:
    given = control.get(attribute, otherwise)
    try:
        return int(given)
    except ValueError:
        raise RefusedConfigError(
            f'<{control.tag} name="{control.get("name", "")}" {attribute}="{given}"> is no whole number, of which '
            "steps could be made. Correct it."
        ) from None


def _steps(control: Element, texts: Sequence[str], kind: str, lowest: int, highest: int, apart: int) -> ControlTag:
    numbers = range(lowest, highest + 1, max(apart, 1))
    if not 2 <= len(numbers) <= MOST:
        raise RefusedConfigError(
            f'<{control.tag} name="{control.get("name", "")}"> has {len(numbers)} steps from {lowest} to {highest}; a '
            f"classifier learns from 2 to {MOST}. Set other bounds, or a wider step."
        )
    stored = {str(number): number for number in numbers}
    name, to_name = control.get("name", ""), target(control, texts)
    return ControlTag(name, to_name, ORDERED, tuple(stored), kind, kind, listed=False, stored=stored)
