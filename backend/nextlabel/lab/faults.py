"""What the fault tests did, from the record that pytest wrote of them."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import parse

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


def report(record: Path) -> Iterator[str]:
    """Lines of Markdown: the sums, and a row for each test. Raises `BadRunError` when `record` is none."""
    cases = _read(record)
    waits = [case.seconds for case in cases if case.seconds is not None]
    yield f"- tests: {len(cases)}, of which {sum(case.passed for case in cases)} passed"
    yield f"- faults injected: {sum(case.injected for case in cases)}"
    yield f"- labels lost: {sum(case.lost for case in cases)}"
    if waits:
        yield f"- seconds to a right queue: median {statistics.median(waits):.1f}, longest {max(waits):.1f}"
    yield "\n| fault | injected | passed | labels lost | seconds to a right queue |\n|---|---|---|---|---|"
    for case in cases:
        seconds = "" if case.seconds is None else f"{case.seconds:.1f}"
        yield f"| {case.name} | {case.injected} | {'yes' if case.passed else 'NO'} | {case.lost} | {seconds} |"


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
