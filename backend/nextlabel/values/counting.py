"""Which people's labels count, since when, and how much, and which only judge. Knows accounts by their ids, and no
Label Studio."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

DELETED = "deleted"  # in the place of an id: accounts that are gone
PERSON, GUIDELINE = "person", "guideline"  # why a label counts less than others
ACCOUNTS = (
    "accounts by their e-mail addresses or ids, each with the days (in UTC) of its labels that are meant if not all "
    'are, such as "anna@example.org" or "7 2026-11-03, 9 2026-12-01..2026-12-04, 12 2026-12-24.."'
)
A_DAY = "a day (in UTC) such as 2026-11-20"
A_WEIGHT = "a number from 0 to below 1 such as 0.3; 0: left out"
MOST_HELD_OUT = 0.5
SOME_LABELS = (
    f"a share up to {MOST_HELD_OUT:g}, and the day (in UTC) before which the labels were given that it is drawn from, "
    "such as 0.2 2026-11-20"
)
DAY = r"\d{4}-\d\d-\d\d"
ONE_OF_THEM = re.compile(rf"(?P<account>\d+|{DELETED}|\S+@\S+)(\s+(?P<first>{DAY})?(?P<to>\.\.)?(?P<last>{DAY})?)?")


@dataclass(frozen=True)
class LeftOut:
    """Labels of an account, by its id or `DELETED`, that were last changed from the day `first` to the day `last`, both
    included; where there is no day, there is no limit."""

    account: str
    first: str = ""
    last: str = ""

    def covers(self, account: str, when: str) -> bool:
        """Whether the label that an account gave at an ISO time is one of them."""
        day = when[: len("2026-11-20")]
        return account == self.account and self.first <= day and (not self.last or day <= self.last)

    def __str__(self) -> str:
        if not (self.first or self.last):
            return self.account
        days = self.first if self.first == self.last else f"{self.first}..{self.last}"
        return f"{self.account} {days}"


@dataclass(frozen=True)
class Counting:
    """Labels that are `left_out`, and how much those count, as a weight from 0 to below 1, that are `older` than the
    guideline in force `since` a day."""

    left_out: tuple[LeftOut, ...] = ()
    since: str = ""
    older: float = 0.0

    def weight(self, account: str, when: str) -> float:
        """Of a label that an account gave at an ISO time, from 0 (it does not count) to 1."""
        return {PERSON: 0.0, GUIDELINE: self.older}.get(self.why(account, when), 1.0)

    def why(self, account: str, when: str) -> str:
        """`PERSON` or `GUIDELINE`, if it counts less than others; else empty."""
        if any(one.covers(account, when) for one in self.left_out):
            return PERSON
        return GUIDELINE if when < self.since else ""

    def __str__(self) -> str:
        older = [f"before {self.since}: {self.older:g}"] if self.since else []
        return "; ".join([*map(str, self.left_out), *older])


EVERYTHING = Counting()


@dataclass(frozen=True)
class HeldOut:
    """The `share`, from 0 to `MOST_HELD_OUT`, of the tasks first labelled `before` a day that judge versions and teach
    none."""

    share: float = 0.0
    before: str = ""

    def __bool__(self) -> bool:
        return self.share > 0

    def __str__(self) -> str:
        return f"{self.share:g} {self.before}" if self else ""


NOTHING_HELD_OUT = HeldOut()


def held_out_of(given: object) -> HeldOut | None:
    """From words. None: they say nothing of the kind."""
    words = given.split() if isinstance(given, str) else []
    if not words:
        return NOTHING_HELD_OUT if given == "" else None
    share, before = weight_of(words[0]), day_of(words[-1])
    return HeldOut(share, before) if len(words) == 2 and before and share and share <= MOST_HELD_OUT else None


def left_out_of(given: object) -> tuple[LeftOut, ...] | None:
    """From words, or a list of such, each for an account. None: they say nothing of the kind."""
    words: Sequence[object] = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else "?"
    found = [_left_out(str(one).strip()) if type(one) in (str, int) else None for one in words]
    return tuple(one for one in found if one) if all(found) else None


def _left_out(words: str) -> LeftOut | None:
    found = ONE_OF_THEM.fullmatch(words)
    if found is None:
        return None
    first, last = found["first"] or "", found["last"] or ""
    if not found["to"]:
        first, last = first or last, last or first
    possible = are_days(day for day in (first, last) if day) and (not last or first <= last)
    return LeftOut(found["account"], first, last) if possible else None


def day_of(given: object) -> str | None:
    """A day. None: it is none."""
    return given if isinstance(given, str) and re.fullmatch(DAY, given) and are_days([given]) else None


def are_days(words: Iterable[str]) -> bool:
    """Whether all of them are in the calendar."""
    try:
        return all(date.fromisoformat(day) for day in words)
    except ValueError:
        return False


def weight_of(given: object) -> float | None:
    """A weight from 0 to below 1. None: it is none."""
    try:
        weight = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else -1.0
    except ValueError:
        return None
    return weight if 0 <= weight < 1 else None
