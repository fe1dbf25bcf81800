"""How versions are named, and what is said of one."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from nextlabel.values.layout import Layout

PREFIX = "nextlabel-"
UNTRAINED = f"{PREFIX}untrained"
MACHINE_LABELS = "machine-labels-"  # of predictions at the end of a project, which no loop takes away


def is_ours(version: str | None) -> bool:
    """Whether a model version in Label Studio was written by this backend."""
    return bool(version) and str(version).startswith(PREFIX)


def version_name(number: int, now: datetime) -> str:
    """Ordered for people, and unique even if MODEL_DIR was lost and numbering began again."""
    return f"{PREFIX}{number}-{now:%Y%m%dT%H%M%S}"


def start_name(now: datetime) -> str:
    """The name of the order that the queue follows before there is a version."""
    return f"{PREFIX}start-{now:%Y%m%dT%H%M%S}"


def is_start(name: str) -> bool:
    """Whether an order of that name is a start order."""
    return name.startswith(f"{PREFIX}start-")


def audit_name(number: int, begun: datetime) -> str:
    """The name of the order that the queue follows during an audit."""
    return f"{PREFIX}audit-{number}-{begun:%Y%m%dT%H%M%S}"


def is_audit(name: str) -> bool:
    """Whether an order of that name is an audit's."""
    return name.startswith(f"{PREFIX}audit-")


def version_number(version: str) -> int:
    """The number in a version name; 0 when there is none."""
    number = version.removeprefix(PREFIX).partition("-")[0]
    return int(number) if number.isdigit() else 0


def head_name(version: str, number: int) -> str:
    """The name of a version's head: `nextlabel-5.12-TIME` is the twelfth of `nextlabel-5-TIME`."""
    first, dash, rest = version.removeprefix(PREFIX).partition("-")
    return f"{PREFIX}{first}.{number}{dash}{rest}"


def head_number(name: str) -> int:
    """The number of a head by its name; 0 of a version's own."""
    found = re.match(rf"^{PREFIX}\d+\.(\d+)(?=-|$)", name)
    return int(found[1]) if found else 0


def version_of(name: str) -> str:
    """The version that a head's name belongs to; a version's own name is its own."""
    return re.sub(rf"^({PREFIX}\d+)\.\d+(?=-|$)", r"\1", name)


def short_name(name: str) -> str:
    """What people read of a version's or a head's name: `5`, or `5.12`."""
    return name.removeprefix(PREFIX).partition("-")[0]


@dataclass(frozen=True)
class Card:
    """What a version is. `scores` are those of the labelled holdout, None without one. Times in seconds.

    `holdout` tells that holdout from others; `refused` says why the version was kept and not promoted, `judged` by
    which labels it was compared with its parent, `unjudged` why that was not possible; `scored` is how many tasks were
    scored in the seconds of that name; `due_at` when we saw the label that made the fit due, in seconds since 1970, 0
    for a refused version; `texts` are the fields that made the text, in their order; `steps` how many were made, fewer
    than the recipe's where the fit had converged; `features` is how many numbers its last layer reads of each text, 0
    where they are not kept, so that it has no heads; `asked` is the `Layout` of a form's questions, empty where it is
    one with exactly one answer, `known` how many labelled tasks a form's version was fitted on, and `measures` are
    those of the holdout by question. `counting` says in words which labels counted less than others, or not at all:
    `left_out` ones of people, and those `older` than the guideline, of which so many are `weighed`. `held_out` is the
    confusion table of the holdout, a row for each class that is right, empty for a form and without a holdout. A quick
    first version knows a part `of_labels`, which is 0 for all others. `node` names the machine of a cluster that made
    the fit; it is empty where that was ours. `read_at` is when its labels were read from Label Studio. Fields with a
    default are absent from cards of earlier releases.
    """

    version: str
    number: int
    project: int
    parent: str | None
    labels: tuple[str, ...]
    label_counts: dict[str, int]
    base_model: str
    strategy: str
    seed: int
    recipe: dict[str, Any]
    scores: dict[str, float] | None
    pool: int
    seconds: dict[str, float]
    device: str
    precision: str
    libraries: dict[str, str]
    created_at: str
    reason: str
    holdout: str = ""
    refused: str = ""
    judged: str = ""
    unjudged: str = ""
    scored: int = 0
    due_at: float = 0.0
    texts: str = ""
    steps: int = 0
    features: int = 0
    asked: dict[str, Any] = field(default_factory=dict)
    known: int = 0
    measures: dict[str, dict[str, float]] = field(default_factory=dict)
    of_labels: int = 0
    counting: str = ""
    left_out: int = 0
    older: int = 0
    weighed: int = 0
    node: str = ""
    held_out: tuple[tuple[int, ...], ...] = ()
    read_at: str = ""

    @property
    def examples(self) -> int:
        """How many labelled examples the version was fitted on."""
        return self.known or sum(self.label_counts.values())

    @cached_property
    def layout(self) -> Layout | None:
        """How the version's numbers are divided among questions; None: all are of one with exactly one answer."""
        return Layout.of(self.asked)

    @property
    def fitted_on(self) -> str:
        """The same in words, which tell a quick version from others."""
        return f"{self.examples} (quick, of {self.of_labels})" if self.of_labels else str(self.examples)

    @property
    def verdict(self) -> str:
        """In words, by what it was compared with its parent, or why it was not; empty when nobody noted that."""
        if self.judged:
            return f"judged by {self.judged}"
        return f"not judged, as {self.unjudged}" if self.unjudged else ""
