"""Tells what the fault tests did, as a Markdown table, from the record that pytest wrote of them.

scripts/test tests/loop/test_crashes.py tests/loop/test_mishaps.py tests/loop/test_clock.py \\
    tests/labelstudio/test_studio_faults.py --junitxml faults.xml; nextlabel faults faults.xml
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import parse

from nextlabel.commands._common import new_parser
from nextlabel.errors import BadRunError

INJECTED, LOST, SECONDS = "faults injected", "labels lost", "seconds to a right queue"


@dataclass(frozen=True)
class Case:
    """One test of one fault. A test that passes has looked for lost labels and for the right order."""

    name: str
    passed: bool
    injected: int
    lost: int
    seconds: float | None


def main(arguments: Sequence[str]) -> None:
    """Read, count, print."""
    parser = new_parser("nextlabel faults", __doc__)
    parser.add_argument("record", type=Path, help="what pytest --junitxml wrote")
    cases = _read(parser.parse_args(arguments).record)
    waits = [case.seconds for case in cases if case.seconds is not None]
    print(f"- tests: {len(cases)}, of which {sum(case.passed for case in cases)} passed")
    print(f"- faults injected: {sum(case.injected for case in cases)}")
    print(f"- labels lost: {sum(case.lost for case in cases)}")
    if waits:
        print(f"- seconds to a right queue: median {statistics.median(waits):.1f}, longest {max(waits):.1f}")
    print("\n| fault | injected | passed | labels lost | seconds to a right queue |\n|---|---|---|---|---|")
    for case in cases:
        seconds = "" if case.seconds is None else f"{case.seconds:.1f}"
        print(f"| {case.name} | {case.injected} | {'yes' if case.passed else 'NO'} | {case.lost} | {seconds} |")


def _read(record: Path) -> list[Case]:
    try:
        found = parse(record).getroot()
    except (OSError, ParseError) as error:
        raise BadRunError(f"{record} is no record of tests ({error}): write one with pytest --junitxml.") from None
    return [_case(element) for element in found.iter("testcase")]


def _case(element: Element) -> Case:
    told = {p.get("name", ""): float(p.get("value", "nan")) for p in element.iter("property")}
    return Case(
        name=element.get("name", "").removeprefix("test_").replace("_", " "),
        passed=not any(element.find(bad) is not None for bad in ("failure", "error", "skipped")),
        injected=int(told.get(INJECTED, 1)),
        lost=int(told.get(LOST, 0)),
        seconds=told.get(SECONDS),
    )
