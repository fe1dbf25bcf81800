"""`<Rating>` and `<Number>`: one of few steps, which have an order."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.tag import DIGITS, ControlTag, require_whole_task, target
from nextlabel.values.layout import ORDERED

MOST = 21  # steps: 0 to 100 by five
LARGEST = Decimal(10**9)
BESIDE = "Add a <Rating> or a <Choices> with few steps beside it to have it learnt; it can stay as it is."


def read_rating(control: Element, texts: Sequence[str]) -> ControlTag:
    """Stars, from one on. Raises `RefusedConfigError`."""
    require_whole_task(control)
    return _steps(control, texts, Decimal(1), _number(control, "maxRating", "5"), Decimal(1))


def read_number(control: Element, texts: Sequence[str]) -> ControlTag:
    """Numbers from `min` to `max`, `step` apart. Raises `RefusedConfigError`."""
    require_whole_task(control)
    if control.get("min") is None or control.get("max") is None:
        raise RefusedConfigError(
            f'<Number name="{control.get("name", "")}"> has no bounds (min and max); a classifier needs few steps. '
            f"{BESIDE}"
        )
    lowest, highest = _number(control, "min"), _number(control, "max")
    apart = _number(control, "step", "1")
    return _steps(control, texts, lowest, highest, apart if apart > 0 else Decimal(1))


def _number(control: Element, attribute: str, otherwise: str = "") -> Decimal:
    given = control.get(attribute, otherwise)
    try:
        number = Decimal(given)
        if abs(number) <= LARGEST and number == round(number, DIGITS):
            return number
    except InvalidOperation:
        pass
    raise RefusedConfigError(
        f'<{control.tag} name="{control.get("name", "")}" {attribute}="{given}"> is no number of at most {LARGEST} and '
        f"{DIGITS} decimals, of which steps could be made. {BESIDE}"
    )


def _steps(control: Element, texts: Sequence[str], lowest: Decimal, highest: Decimal, apart: Decimal) -> ControlTag:
    count = int((highest - lowest) // apart) + 1 if lowest <= highest else 0
    if not 2 <= count <= MOST:
        raise RefusedConfigError(
            f'<{control.tag} name="{control.get("name", "")}"> goes from {lowest} to {highest} in steps of {apart}, '
            f"{count or 'none'} in all; a classifier learns from 2 to {MOST}. {BESIDE}"
        )
    numbers = [lowest + apart * place for place in range(count)]
    stored = {_written(number): int(number) if number == int(number) else float(number) for number in numbers}
    name, to_name = control.get("name", ""), target(control, texts)
    return ControlTag(name, to_name, ORDERED, tuple(stored), listed=False, stored=stored)


def _written(number: Decimal) -> str:
    """As a person writes it: 1 for 1.0."""
    return str(int(number)) if number == int(number) else f"{number.normalize():f}"
