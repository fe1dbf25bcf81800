"""The audit that certifies: "at most R of these tasks are labelled wrongly by this version", at a level d. Pure.

May be looked at after every label and ended whenever one likes. Everything is fixed before the first label (`freeze`):
the version's confidences, the parts of the pool, the level. Then tasks come in random order, and each label of a part
is a bet against the claim that too much of it is wrong:

    E = sum_j w_j product over labels of (q_j / r if wrong, (1 - q_j) / (1 - r) if right),   q_j = r x (.02 .. .8)

with r = (floor(R N) + 1 - k) / (N - n) before each label, the least share of wrong ones among the tasks not yet drawn
if the claim is true (N tasks in the part, n drawn, k of them wrong); r = R in a pool without end. If it is true, no bet
gains on average, so E ever reaches 1 / d with probability d at most (Ville 1939; Waudby-Smith and Ramdas 2020, arXiv
2006.04347, and 2024, arXiv 2010.09686). That holds for parts with still more errors because q_j stays below r.

Parts are tested in a fixed order as long as they pass, each at the whole level d (fixed sequence; Angelopoulos et al.
2021, Learn then Test, arXiv 2110.01052). The i-th audit of a project spends delta x 2^-i, so that with probability
1 - delta at least none of them ever certifies what is not so.

"Right" means as this project's people would label, and it is said of the part as it was frozen, of no later version.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from nextlabel.errors import BadAuditError
from nextlabel.problems.judgement import NextAudit
from nextlabel.values.arrays import Array, Bools, Features, Ints

RISK = 0.05  # R, the share of wrong labels that a certificate allows
DELTA = 0.05  # the probability that any certificate of a project is false
MOST_LABELS = 200
SHARES = (30, 40, 50, 60, 70, 80, 90, 100)  # percent of the pool, the most certain ones
BETS = ((0.4, 0.02), (0.2, 0.2), (0.15, 0.4), (0.15, 0.6), (0.1, 0.8))  # w_j and q_j / r
SPARE = 1.5  # times the labels that a part takes without an error, which the first one tested may hope for


@dataclass(frozen=True)
class Part:
    """The tasks of the frozen pool whose confidence is at least `threshold`, `size` in number."""

    threshold: float
    size: int


@dataclass(frozen=True)
class Frozen:
    """What is fixed before the first label: the parts to be tested, from the smallest to the whole pool, and how."""

    parts: tuple[Part, ...]
    level: float
    risk: float


def spent(number: int, delta: float = DELTA) -> float:
    """The level d of a project's audit, which are numbered from 1."""
    return delta * 2.0**-number


def log_odds(logits_NC: Features) -> Array:
    """Of each row the log-odds of the highest class, ln(p / (1 - p)), which tell apart what p rounds to 1."""
    falling_NC = -np.sort(-logits_NC.astype(np.float64), axis=1)
    return np.asarray(-np.log(np.sum(np.exp(falling_NC[:, 1:] - falling_NC[:, :1]), axis=1)))


def joint_log_odds(doubts_NG: Array) -> Array:
    """Of each row the log-odds that several guesses are right, were they independent, from how likely each is wrong.
    They rank tasks; nothing is claimed of them."""
    with np.errstate(divide="ignore"):  # one that is certain is infinitely likely
        logs_N = np.log1p(-doubts_NG).sum(axis=1)
        return np.asarray(logs_N - np.log(-np.expm1(logs_N)))


def freeze(
    confidences_N: Array, number: int, most_labels: int = MOST_LABELS, risk: float = RISK, delta: float = DELTA
) -> Frozen:
    """The plan of a project's audit with this number, counted from 1, which may take `most_labels`.

    Confidences are full doubles that rank the pool, best `log_odds`. The first part tested is the smallest whose share
    of the labels is half as much again as it takes without an error; without such a one it is the whole pool. Raises
    `BadAuditError` for a pool without tasks, a confidence that is no number, or a number below 1.
    """
    if not len(confidences_N) or np.isnan(confidences_N).any():
        raise BadAuditError(
            f"An audit needs a confidence for every task left, and {np.isnan(confidences_N).sum()} of "
            f"{len(confidences_N)} are no number. Score the pool again, and audit while tasks are left."
        )
    if number < 1:
        raise BadAuditError(f"A project's audits are numbered from 1, and this one has the number {number}.")
    parts, level = parts_of(confidences_N), spent(number, delta)
    first = tested_first([part.size for part in parts], most_labels, level, risk)
    return Frozen(tuple(parts[first:]), level, risk)


def tested_first(sizes: Sequence[int], most_labels: int, level: float, risk: float) -> int:
    """The place of the first part tested among the sizes of all, of which the last is that of the pool."""
    able = (
        place
        for place, size in enumerate(sizes)
        if most_labels * size / sizes[-1] >= SPARE * labels_without_error(size, level, risk)
    )
    return next(able, len(sizes) - 1)


def next_audit(tasks: int, number: int) -> NextAudit:
    """Of a project's audit of this number with so many tasks left, each of which the version is surer or less sure of
    than of the others."""
    if not tasks:
        return NextAudit(0, 0)
    sizes, level = sorted({_size_of(tasks, percent) for percent in SHARES}), spent(number)
    size = sizes[tested_first(sizes, min(MOST_LABELS, tasks), level, RISK)]
    return NextAudit(tasks, math.ceil(labels_without_error(size, level) * tasks / size))


def _size_of(tasks: int, percent: int) -> int:
    return -(-tasks * percent // 100)


def parts_of(confidences_N: Array) -> list[Part]:
    """The parts with the highest confidences, from the smallest to the whole pool.

    Thresholds are confidences of the pool itself, those that so many percent of it reach. Ties go in together, so a
    part may be larger, and there may be fewer of them.
    """
    rising_N = np.sort(confidences_N)
    ends = {float(rising_N[len(rising_N) - _size_of(len(rising_N), percent)]) for percent in SHARES}
    return [Part(end, int(np.sum(confidences_N >= end))) for end in sorted(ends, reverse=True)]


@cache
def labels_without_error(size: int | None, level: float, risk: float = RISK) -> int:
    """How many labels certify a part of `size` tasks (None: without end) when none of them is wrong."""
    weight, bet = BETS[0]
    enough = math.ceil(math.log(level * weight) / (math.log1p(-risk) - math.log1p(-bet * risk)))  # the first bet alone
    never_wrong_1n = np.zeros((1, enough if size is None else min(enough, size)), dtype=bool)
    return 1 + int(np.argmax(log_e(never_wrong_1n, size, risk)[0] >= -math.log(level)))


def log_e(wrong_Sn: Bools, size: int | None, risk: float = RISK, inside_Sn: Bools | None = None) -> Array:
    """ln E of a part after each of n labels, in S rows that know nothing of each other.

    `size` is the part's, None for a pool without end; labels that are not `inside` it change nothing. -inf once more
    are wrong than allowed, inf once fewer tasks are left than would have to be wrong. Raises `BadAuditError` for more
    labels than tasks.
    """
    inside_Sn = np.ones_like(wrong_Sn) if inside_Sn is None else inside_Sn
    wrong_Sn = wrong_Sn & inside_Sn
    if size is None:
        return _log_e(wrong_Sn, inside_Sn, np.full(wrong_Sn.shape, risk))
    left_Sn = size - np.cumsum(inside_Sn, axis=1)
    if (left_Sn < 0).any():
        raise BadAuditError(f"A part of {size} tasks was given {size - left_Sn.min()} labels. Give each task once.")
    needed_Sn = allowed(size, risk) + 1 - np.cumsum(wrong_Sn, axis=1)  # more errors, for the claim to be true
    before_Sn = (needed_Sn + wrong_Sn) / np.maximum(left_Sn + inside_Sn, 1)
    log_e_Sn = _log_e(wrong_Sn, inside_Sn, np.where((before_Sn > 0) & (before_Sn < 1), before_Sn, 0.0))
    return np.where(needed_Sn <= 0, -np.inf, np.where(needed_Sn > left_Sn, np.inf, log_e_Sn))


def allowed(size: int, risk: float) -> int:
    """How many of `size` tasks may be wrong: floor(R N) of the share as it is written, as 0.29 x 100 is 28.99.. ."""
    return math.floor(Fraction(str(risk)) * size)


def _log_e(wrong_Sn: Bools, inside_Sn: Bools, bound_Sn: Array) -> Array:
    log_e_Sn = np.full(wrong_Sn.shape, -np.inf)
    for weight, bet in BETS:
        right_Sn = np.log1p(-bet * bound_Sn) - np.log1p(-bound_Sn)
        steps_Sn = np.where(wrong_Sn, math.log(bet), np.where(inside_Sn, right_Sn, 0.0))
        log_e_Sn = np.logaddexp(log_e_Sn, math.log(weight) + np.cumsum(steps_Sn, axis=1))
    return log_e_Sn


def parts_passed(frozen: Frozen, confidences_Sn: Array, wrong_Sn: Bools, skipped_Sn: Bools) -> Ints:
    """How many of the parts, in their order, pass after each of n labels, in S rows that know nothing of each other.

    A part passes once E has reached 1 / d, unless more are wrong than allowed. Tasks that people skipped are left out
    of it, and counted as wrong where they are more than R / 2 of its labels.
    """
    passed_Sn = np.zeros(wrong_Sn.shape, dtype=np.int64)
    rows: Ints = np.arange(len(wrong_Sn))
    still = np.ones(wrong_Sn.shape, dtype=bool)
    for part in frozen.parts:
        inside = confidences_Sn[rows] >= part.threshold
        still = still & _passes(frozen, part.size, inside, wrong_Sn[rows], skipped_Sn[rows])
        passed_Sn[rows] += still
        rows, still = rows[still.any(axis=1)], still[still.any(axis=1)]
    return passed_Sn


def _passes(frozen: Frozen, size: int, inside_Sn: Bools, wrong_Sn: Bools, skipped_Sn: Bools) -> Bools:
    left_out_Sn = _reaches(frozen, size, wrong_Sn, inside_Sn & ~skipped_Sn)
    if not skipped_Sn.any():
        return left_out_Sn
    skips_Sn = np.cumsum(inside_Sn & skipped_Sn, axis=1, dtype=np.int64)
    many_Sn = many_skipped(frozen.risk, skips_Sn, np.cumsum(inside_Sn, axis=1, dtype=np.int64))
    return np.where(many_Sn, _reaches(frozen, size, wrong_Sn | skipped_Sn, inside_Sn), left_out_Sn)


def many_skipped(risk: float, skipped: Ints, inside: Ints) -> Bools:
    """Whether so many of a part's labelled tasks were skipped that they count as wrong: more than R / 2."""
    return np.asarray(skipped > risk / 2 * inside)


def _reaches(frozen: Frozen, size: int, wrong_Sn: Bools, inside_Sn: Bools) -> Bools:
    log_e_Sn = log_e(wrong_Sn, size, frozen.risk, inside_Sn)
    return (np.maximum.accumulate(log_e_Sn, axis=1) >= -math.log(frozen.level)) & (log_e_Sn > -np.inf)


def certified(frozen: Frozen, confidences_n: Array, right: Sequence[bool | None]) -> Part | None:
    """The largest part that passes, given the labels in their order; None when none does.

    `confidences_n` are the frozen ones of the labelled tasks; `right` says whether the version's label is the people's,
    None where they skipped. May be asked after each label.
    """
    if not right:
        return None
    skipped_1n = np.array([[answer is None for answer in right]])
    wrong_1n = np.array([[not answer for answer in right]]) & ~skipped_1n
    passed = int(parts_passed(frozen, confidences_n[None, :], wrong_1n, skipped_1n)[0, -1])
    return frozen.parts[passed - 1] if passed else None
