"""How a run was made, as reports tell it: commands, starts, versions, class balance. Knows no statistics."""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from nextlabel.simulation.blocks import Block, Code, Paragraph, Table
from nextlabel.simulation.records import FULL, Record, Run, arms_of


def commands(run: Run) -> list[str]:
    """The different commands that played it, in order."""
    return list(dict.fromkeys(str(i["command"]) for i in run.invocations if "command" in i))


def needed_commands(run: Run) -> list[str]:
    """The same without those whose seeds, arms and rounds a later start takes up again, all of them: with these it is
    made."""
    plans = [(set(arms_of(start)), start.get("rounds") or math.inf) for start in run.invocations]
    again = [
        any(arms and arms <= others and rounds <= most for others, most in plans[n + 1 :])
        for n, (arms, rounds) in enumerate(plans)
    ]
    return commands(
        replace(run, invocations=[i for i, is_again in zip(run.invocations, again, strict=True) if not is_again])
    )


def starts(run: Run) -> Table:
    """Every start of the simulation, with its machine and the versions of its packages."""
    rows = [
        [str(i.get("started", "")), str(i.get("machine", "")), str(i.get("device", "")), _listed(i.get("versions"))]
        for i in run.invocations
    ]
    return Table("Starts of the simulation.", ["started", "machine", "device", "versions"], rows)


def settled(run: Run) -> Iterator[Block]:
    """All that is equal for its rounds."""
    yield Paragraph("Setting, equal for all rounds:")
    yield Code(json.dumps(run.setting, indent=2, ensure_ascii=False))


def by_strategy(arms: Collection[tuple[int, str]]) -> str:
    """Arms, each a seed and a strategy, as `entropy, seeds 3, 4; random, seed 4`; the baseline comes first."""
    names = sorted({name for _, name in arms}, key=lambda name: (name != FULL, name))
    seeds = {name: sorted(seed for seed, of in arms if of == name) for name in names}
    return "; ".join(
        f"{name}, seed{'s' if len(of) > 1 else ''} {', '.join(map(str, of))}" for name, of in seeds.items()
    )


def differing_versions(rounds: Sequence[Record]) -> Iterator[str]:
    """Every package of which rounds were made with several versions, as `torch 2.12 and 2.13`."""
    known = [record.versions for record in rounds if record.versions]
    for package in dict.fromkeys(package for versions in known for package in versions):
        found = dict.fromkeys(str(versions.get(package, "none")) for versions in known)
        if len(found) > 1:
            yield f"{package} {listing(list(found))}"


def balance(part: str, by_label: Mapping[str, int]) -> str:
    """How many examples of a part each label has, and their shares."""
    total = sum(by_label.values()) or 1
    return f"{part} " + ", ".join(f"{label} {n} ({100 * n / total:.1f} %)" for label, n in by_label.items())


def listing(names: Sequence[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _listed(versions: object) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, dict) else ""
