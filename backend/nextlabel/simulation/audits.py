"""What an audit costs in labels, by exact arithmetic, and how often it certifies what is not so, by replays.

Knows no models: a version is its confidences and which of its labels are wrong. The audit is `learning.audit`'s own.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

from nextlabel.learning import audit
from nextlabel.learning.control import control_set
from nextlabel.store.files import replace_file
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Bools, Ints
from nextlabel.values.examples import Key

TRUE_SHARES, NUMBERS, CHANCES = (0.0, 0.01, 0.02, 0.03), (1, 2), (0.5, 0.9)
LABELS_AT_MOST = 5_000
ERRORS_AT_MOST = 300  # 150 +- 12 are made in as many labels at 3 % wrong, and nothing is certified with more
SIZES = (100, 200, 500, 1_000, 2_000, None)
AUDITS = 10
ENDS = range(4_000, 10_001, 1_000)  # where parts of 10,000 tasks end, after the first one's 3,000
LOOKED_AT, DRAWS = 2_000, 200  # labels, and how often an audit of a real pool is played beforehand
CHUNK = 100  # replays at a time, whose arrays stay in the processor's cache

ABOUT = f"""\
An audit (`learning/audit`) certifies that at most {100 * audit.RISK:g} % of a version's labels are wrong. The
probability that one or more of a project's certificates are false is {100 * audit.DELTA:g} % at most: its i-th audit
may spend 2^-i of that."""


@dataclass(frozen=True)
class Cost:
    """Labels after which an audit has certified a pool without end, with the chance given; None: not by the limit."""

    true_share: float
    number: int
    chance: float
    labels: int | None


@dataclass(frozen=True)
class World:
    """A pool as a version sees it: confidences, and which labels are wrong. With `keyed` tasks come in the order of the
    control set's rule, which is then all that is random; else in numpy's."""

    name: str
    confidences_N: Array
    wrong_N: Bools
    most_labels: int
    keyed: bool = False

    @property
    def wrong_share(self) -> float:
        """Of the whole pool."""
        return float(self.wrong_N.mean())


@dataclass(frozen=True)
class Outcome:
    """Shares of replays, `AUDITS` audits in a row each, in which ever a false certificate could have been issued, and a
    true one."""

    world: str
    tasks: int
    wrong_share: float
    labels: int
    false: float
    true: float


def costs() -> list[Cost]:
    """Of each true share and audit, the labels for each chance. Exact: the counts of errors are followed, not drawn."""
    return [
        Cost(share, number, chance, first_with(chances_N, chance))
        for share in TRUE_SHARES
        for number in NUMBERS
        for chances_N in [certain_by(share, audit.spent(number))]
        for chance in CHANCES
    ]


def first_with(chances_N: Array, chance: float) -> int | None:
    """After how many labels the chance is as high as that; None: not by the last of them."""
    return int(np.argmax(chances_N >= chance)) + 1 if chances_N[-1] >= chance else None


def certain_by(true_share: float, level: float, most: int = LABELS_AT_MOST, risk: float = audit.RISK) -> Array:
    """The chance that a pool without end is certified by its n-th label, n from 1 to `most`."""
    enough_nK = _certifying(most, level, risk)
    open_K: Array = np.zeros(enough_nK.shape[1])  # the chance that nothing is certified yet, and so many are wrong
    open_K[0] = 1.0
    found_n = np.empty(most)
    for n, enough_K in enumerate(enough_nK):
        more_K = np.concatenate([[0.0], open_K[:-1]])
        open_K = open_K * (1 - true_share) + more_K * true_share
        found_n[n] = open_K[enough_K].sum()
        open_K[enough_K] = 0.0
    return np.cumsum(found_n)


@cache
def _certifying(most: int, level: float, risk: float) -> Bools:
    """Whether n labels of which K are wrong certify a pool without end, in which it does not matter when they came."""
    errors = min(ERRORS_AT_MOST, most) + 1
    rows = [np.arange(most)[None, :] < wrong for wrong in range(errors)]  # wrong ones first
    log_e_Kn = np.concatenate([audit.log_e(row_1n, None, risk) for row_1n in rows])
    log_e_Kn[np.arange(1, most + 1)[None, :] < np.arange(errors)[:, None]] = -np.inf  # fewer labels than errors
    return np.asarray(log_e_Kn.T + math.log(level) >= 0)


def labels_to_allow(
    confidences_N: Array, wrong_share: float, level: float, risk: float, chances: Sequence[float]
) -> list[int | None]:
    """The least number of labels with which an audit of tasks with these confidences certifies the part that it then
    tests first, if such a share of that is wrong, with each of these chances; None: not with 2,000. The more labels an
    audit may take the smaller is that part, so a larger number may have a smaller chance."""
    tasks, sizes = len(confidences_N), [part.size for part in audit.parts_of(confidences_N)]
    found: list[int | None] = [None] * len(chances)

    def tested_first(most: int) -> int:
        return sizes[audit.tested_first(sizes, most, level, risk)]

    for size, plans in groupby(range(1, min(tasks, LOOKED_AT) + 1), tested_first):
        mosts = list(plans)
        takes = labels_for(tasks, size, wrong_in(size, wrong_share), level, risk, chances, mosts[-1])
        found = [least or (labels and max(labels, mosts[0])) for least, labels in zip(found, takes, strict=True)]
        if all(found):
            break
    return found


def labels_for(
    tasks: int, size: int, wrong: int, level: float, risk: float, chances: Sequence[float], most: int = LOOKED_AT
) -> list[int | None]:
    """After how many labels of so many tasks, drawn at random, a part of this size of which so many are wrong is
    certified, with each of these chances; None: not by the `most`-th. By 200 plays, the same ones each time."""
    kinds_N = np.zeros(tasks, dtype=np.int8)  # outside the part,
    kinds_N[:size], kinds_N[:wrong] = 1, 2  # in it and right, in it and wrong
    drawn_Sn = kinds_N[_plays(tasks, max(most, LOOKED_AT))[:, :most]]
    log_e_Sn = audit.log_e(drawn_Sn == 2, size, risk, drawn_Sn > 0)
    after = np.quantile(_first_certified(log_e_Sn >= -math.log(level)), chances, method="higher").tolist()
    return [None if math.isinf(labels) else int(labels) for labels in after]


@lru_cache(maxsize=1)
def _plays(tasks: int, most: int) -> Ints:
    """The first ones of so many tasks in 200 orders."""
    rng = np.random.default_rng(tasks)
    return np.array([rng.permutation(tasks)[:most] for _ in range(DRAWS)])


def wrong_in(size: int, share: float) -> int:
    """How many tasks of a part are such a share of it, or just above."""
    return math.ceil(round(share * size, 6))


def _first_certified(certified_Sn: Bools) -> Array:
    """After how many labels each row is; infinitely many where it never is."""
    return np.where(certified_Sn.any(axis=1), 1.0 + certified_Sn.argmax(axis=1), np.inf)


def false_in_a_row(true_share: float, most: int) -> float:
    """The chance that ten audits in a row ever certify a pool without end that has more wrong ones than allowed."""
    by_audit = [certain_by(true_share, audit.spent(number), most)[-1] for number in range(1, AUDITS + 1)]
    return 1 - float(np.prod(1 - np.array(by_audit)))


def worlds() -> list[World]:
    """Machines just too bad to be certified whole: 501 of 10,000 wrong, and 26 of 500 in a small pool."""
    tasks = np.arange(10_000)
    falling_N = -tasks.astype(np.float64)
    return [
        World("equally sure of all", np.zeros(10_000), tasks < 501, 2_000),
        World("each part just too bad", falling_N, _wrong({3_000: 151, **dict.fromkeys(ENDS, 50)}), 2_000),
        World("wrong where it is unsure", falling_N, _wrong({5_000: 51, **dict.fromkeys(ENDS[2:], 90)}), 2_000),
        World("equally sure, in the order of the control set", np.zeros(500), tasks[:500] < 26, 500, keyed=True),
    ]


def _wrong(errors: Mapping[int, int]) -> Bools:
    """So many errors in the tasks up to each place, from the place before on."""
    wrong_N = np.zeros(max(errors), dtype=bool)
    start = 0
    for end, count in errors.items():
        wrong_N[start : start + count] = True
        start = end
    return wrong_N


def replay(world: World, replays: int) -> Outcome:
    """So many projects, ten audits in a row each, every one of a new version and watched after every label."""
    ever_S2 = np.zeros((replays, 2), dtype=bool)
    for number in range(1, AUDITS + 1):
        frozen = audit.freeze(world.confidences_N, number, world.most_labels)
        for start in range(0, replays, CHUNK):
            rows = range(start, min(start + CHUNK, replays))
            ever_S2[rows.start : rows.stop] |= _issued(world, frozen, _orders(world, number, rows))
    false, true = ever_S2.mean(axis=0).tolist()
    return Outcome(world.name, len(world.wrong_N), world.wrong_share, world.most_labels, false, true)


def _orders(world: World, number: int, replays: Sequence[int]) -> Ints:
    """In which order tasks are labelled in the project's audit of this number."""
    tasks = len(world.wrong_N)
    if not world.keyed:
        drawn = [np.random.default_rng([number, row]).permutation(tasks)[: world.most_labels] for row in replays]
        return np.array(drawn)
    place_of: dict[Key, int] = {(f"task {place}", None): place for place in range(tasks)}
    return np.array([[place_of[key] for key in control_set(f"{number} {row}", place_of, 1.0)] for row in replays])


def _issued(world: World, frozen: audit.Frozen, orders_Sn: Ints) -> Bools:
    """Whether a false, and whether a true certificate could be issued after any of the labels: (S, 2)."""
    wrong_Sn = world.wrong_N[orders_Sn]
    passed_Sn = audit.parts_passed(frozen, world.confidences_N[orders_Sn], wrong_Sn, np.zeros_like(wrong_Sn))
    wrong_in = [int(world.wrong_N[world.confidences_N >= part.threshold].sum()) for part in frozen.parts]
    too_many = [
        wrong > audit.allowed(part.size, frozen.risk) for wrong, part in zip(wrong_in, frozen.parts, strict=True)
    ]
    false_Sn = np.array([False, *too_many])[passed_Sn]
    return np.stack([false_Sn.any(axis=1), ((passed_Sn > 0) & ~false_Sn).any(axis=1)], axis=1)


def to_markdown(cost: Sequence[Cost], exact: float, outcomes: Sequence[Outcome], replays: int) -> str:
    """The three tables, each under a sentence that says what it shows. `exact` is what the first replay estimates."""
    return f"""\
## How many labels it takes

Labels after which an audit of a pool without end has certified it, with a chance of 50 and of 90 %, by the share of
labels that are wrong. For a part of the pool, read the share wrong in it and divide by the part's share of the pool.

{_costs_table(cost)}

If none is wrong, by the number of tasks in the part:

{_sizes_table()}

## False certificates

{replays:,} projects with {AUDITS} audits in a row, each of a new version and watched after every label. In how many of
them a false certificate could ever have been issued, of the pool or of a part, and in how many a true one. Of a pool
without end, as large a share wrong and as many labels, it is {100 * exact:.2f} % exactly.

{_outcomes_table(outcomes)}
"""


def _costs_table(cost: Sequence[Cost]) -> str:
    of = {(one.true_share, one.number, one.chance): one.labels for one in cost}
    head = ["wrong", *(f"audit {number}, {100 * chance:g} %" for number in NUMBERS for chance in CHANCES)]
    rows = [
        [f"{100 * share:g} %", *(_labels(of[share, number, chance]) for number in NUMBERS for chance in CHANCES)]
        for share in TRUE_SHARES
    ]
    return markdown.table(head, rows)


def _labels(labels: int | None) -> str:
    return f"more than {LABELS_AT_MOST:,}" if labels is None else f"{labels:,}"


def _sizes_table() -> str:
    rows = [
        [f"audit {number}", *(f"{audit.labels_without_error(size, audit.spent(number))}" for size in SIZES)]
        for number in (*NUMBERS, AUDITS)
    ]
    return markdown.table(["tasks", *("no end" if size is None else f"{size:,}" for size in SIZES)], rows)


def _outcomes_table(outcomes: Sequence[Outcome]) -> str:
    head = ["the machine", "tasks", "wrong", "labels of an audit, at most", "a false certificate", "a true one"]
    rows = [
        [
            one.world,
            f"{one.tasks:,}",
            f"{100 * one.wrong_share:.2f} %",
            f"{one.labels:,}",
            f"{100 * one.false:.2f} %",
            f"{100 * one.true:.1f} %",
        ]
        for one in outcomes
    ]
    return markdown.table(head, rows)


def write(out: Path, replays: int, made_by: str) -> str:
    """Computes and replays all, writes OUT/audits.md and OUT/audits.json; returns the former."""
    cost, outcomes = costs(), [replay(world, replays) for world in worlds()]
    exact = false_in_a_row(outcomes[0].wrong_share, outcomes[0].labels)
    result = {"replays": replays, "costs": [asdict(one) for one in cost], "exact": exact}
    result["false"] = [asdict(one) for one in outcomes]
    text = f"# Audits\n\n{ABOUT}\n\n{to_markdown(cost, exact, outcomes, replays)}\n{made_by}\n"
    out.mkdir(parents=True, exist_ok=True)
    replace_file(out / "audits.json", json.dumps(result, indent=1) + "\n")
    replace_file(out / "audits.md", text)
    return text
