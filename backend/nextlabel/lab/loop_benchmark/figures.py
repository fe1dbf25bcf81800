"""What is concluded from what was noted: pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nextlabel.lab.loop_benchmark.orders import Switch
from nextlabel.lab.loop_benchmark.people import Given, Served


@dataclass(frozen=True)
class Turn:
    """What was noted of one build while people labelled. `requests` are those of its trainer; `waits` how often nobody
    was served anything. `cpu_s` is what its trainer took meanwhile, fits included, `rss_mib` its memory at the end,
    `web_rss_mib` that of the web process."""

    switches: tuple[Switch, ...]
    served: tuple[Served, ...]
    given: tuple[Given, ...]
    requests: int
    waits: int
    seconds: float
    pool: int
    cpu_s: float = 0.0
    rss_mib: float = 0.0
    web_rss_mib: float = 0.0


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The nearest-rank one: a value that was measured; None of nothing."""
    if not values:
        return None
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def first_answers(given: Sequence[Given]) -> dict[int, float]:
    """When each task was first labelled."""
    return {one.task: one.at for one in sorted(given, key=lambda one: one.at, reverse=True)}


def knowledge(turn: Turn) -> list[tuple[int, int] | None]:
    """Of each served task how many labels people had given before, and how many of these its order knew; None for a
    task that came from no order."""
    known = {switch.order: switch.known for switch in turn.switches}
    answers = first_answers(turn.given)
    found: list[tuple[int, int] | None] = []
    for served in turn.served:
        before = {task for task, at in answers.items() if at <= served.at}
        found.append((len(before), len(before & known[served.order])) if served.order else None)
    return found


def unknown_labels(turn: Turn) -> list[int]:
    """Of each task that was served from an order how many labels given before the order did not know."""
    return [given - known for given, known in filter(None, knowledge(turn))]


def label_to_order(turn: Turn) -> list[float]:
    """Of each switch to an order that knows labels which the one before did not: seconds from the last of these labels
    to the switch, 0 at least as the switch may be seen before the label's answer."""
    answers = first_answers(turn.given)
    seconds = []
    before: frozenset[int] = frozenset()
    for switch in turn.switches:
        renewing = [answers[task] for task in switch.known - before if task in answers]
        if renewing:
            seconds.append(max(0.0, switch.at - max(renewing)))
        before = switch.known
    return seconds


def figures(turns: Sequence[Turn]) -> dict[str, Any]:
    """Those of one build over all its turns. Times in seconds; None for what did not happen."""
    waits = [seconds for turn in turns for seconds in label_to_order(turn)]
    unknown = [count for turn in turns for count in unknown_labels(turn)]
    labels = sum(len(turn.given) for turn in turns)
    served = [one for turn in turns for one in turn.served]
    return {
        "p50_s": _rounded(percentile(waits, 50)),
        "p95_s": _rounded(percentile(waits, 95)),
        "requests_per_label": _rounded(sum(turn.requests for turn in turns) / labels if labels else None),
        "unknown_labels_p50": percentile(unknown, 50),
        "unknown_labels_p95": percentile(unknown, 95),
        "served_outside": sum(not one.order for one in served),
        "served": len(served),
        "served_nothing": sum(turn.waits for turn in turns),
        "labels": labels,
        "new_orders": len(waits),
        "trainer_cpu_s_per_label": _rounded(sum(turn.cpu_s for turn in turns) / labels if labels else None),
        "trainer_rss_mib": _rounded(max((turn.rss_mib for turn in turns), default=0.0)),
        "web_rss_mib": _rounded(max((turn.web_rss_mib for turn in turns), default=0.0)),
        "seconds": _rounded(sum(turn.seconds for turn in turns)),
    }


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """How many times as long the other one takes."""
    return None if ours is None or theirs is None else round(theirs / max(ours, 0.01), 2)


def rows(turn: Turn) -> list[dict[str, Any]]:
    """Every served task: seconds since the first one, its order, labels given before, and those that the order knew."""
    start = min((one.at for one in turn.served), default=0.0)
    return [
        {
            "at_s": round(one.at - start, 2),
            "task": one.task,
            "order": one.order,
            "labels": counts[0] if counts else None,
            "known": counts[1] if counts else None,
        }
        for one, counts in zip(turn.served, knowledge(turn), strict=True)
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
