"""What can be said of the people who label: today's work, seconds a label, and how far they answer alike.

Agreement is of tasks that were drawn at random alone: of those that were given to a second person because the first
answer looked wrong, it would be far too low. Nobody is ranked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import median

from nextlabel.problems.intervals import clopper_pearson

BREAK_S = 600.0  # nobody works on one label for so long
PACED = 200  # the last labels, of which the one in the middle is said
CROWD = 3  # people, of whom a figure in common is nobody's own
LEAST_PACED = 5  # labels
KAPPA_TASKS, KAPPA_ANSWERS = 60, 5  # shared tasks, and answers of each class: of fewer, kappa misleads
LEAST_SHARED = 15  # tasks, before one person is laid beside the others
LIKE_THE_OTHERS, CLEARLY_BELOW = "like the others", "clearly below"


@dataclass(frozen=True)
class Given:
    """A label that somebody gave by hand `at` a time, in seconds since 1970, and how many `seconds` it took."""

    person: str
    at: float
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What a person said of a shared task."""

    person: str
    label: str


@dataclass(frozen=True)
class Today:
    """So many labels of so many people since midnight."""

    labels: int = 0
    people: int = 0


@dataclass(frozen=True)
class Agreement:
    """Two people gave `alike` answers to so many `of` the shared tasks; the share is between `low` and `high` with 95 %
    confidence. `kappa` takes off what chance alone would do; None below 60 tasks, or 5 answers of each class."""

    alike: int
    of: int
    low: float
    high: float
    kappa: float | None = None


@dataclass(frozen=True)
class Person:
    """One person's figures, as a lead wants them shown. `alike` of so many `of` the tasks that were shared with
    somebody; `verdict` is empty where that cannot be told."""

    name: str
    today: int
    labels: int
    pace_s: float | None
    alike: int
    of: int
    verdict: str


@dataclass(frozen=True)
class People:
    """All that is shown. Without `names_shown` there is nobody in `people`. `pace_s`: seconds a label, of those in the
    middle, which are of a `crowd` of so many people as `paced` says; `why` there is no agreement."""

    at: float = 0.0
    names_shown: bool = False
    today: Today = Today()
    pace_s: float | None = None
    agreement: Agreement | None = None
    why: str = ""
    people: tuple[Person, ...] = ()
    paced: int = 0

    @property
    def without_names(self) -> "People":
        """What may be shown of them whoever looks: nobody's name and nobody's own speed."""
        return replace(self, names_shown=False, people=(), pace_s=self.pace_s if self.paced >= CROWD else None)


def today(given: Sequence[Given], midnight: float) -> Today:
    """What was given since then."""
    found = [one.person for one in given if one.at >= midnight]
    return Today(len(found), len(set(found)))


def pace_s(given: Sequence[Given]) -> float | None:
    """Seconds a label, without breaks: the median of the last ones. None where too few are known."""
    worked = _worked(given)
    return round(median(one.seconds for one in worked), 1) if len(worked) >= LEAST_PACED else None


def paced(given: Sequence[Given]) -> int:
    """The `crowd` that gave these last ones."""
    return crowd(one.person for one in _worked(given))


def crowd(givers: Iterable[str]) -> int:
    """How many people gave labels, by who gave each; 1 where one of them gave more than half, as what lies in the
    middle is theirs then."""
    counts = Counter(givers)
    return 1 if 2 * max(counts.values(), default=0) > counts.total() else len(counts)


def _worked(given: Sequence[Given]) -> list[Given]:
    return [one for one in sorted(given, key=lambda one: one.at) if is_work(one.seconds)][-PACED:]


def is_work(seconds: float) -> bool:
    """Whether a label that took so long tells how fast somebody works: neither unknown (0) nor a break."""
    return 0 < seconds < BREAK_S


def agreement(shared: Sequence[tuple[Answer, Answer]]) -> Agreement | None:
    """Of the first two people's answers to each task; None without such a task."""
    if not shared:
        return None
    alike = _alike(shared)
    low, high = clopper_pearson(alike, len(shared))
    return Agreement(alike, len(shared), low, high, _kappa(shared))


def _alike(shared: Sequence[tuple[Answer, Answer]]) -> int:
    return sum(one.label == other.label for one, other in shared)


def _kappa(shared: Sequence[tuple[Answer, Answer]]) -> float | None:
    """Scott's pi, which is Fleiss' kappa of two answers a task: whoever they are of (Scott 1955)."""
    answers = Counter(answer.label for answer in chain.from_iterable(shared))
    if len(shared) < KAPPA_TASKS or len(answers) < 2 or min(answers.values()) < KAPPA_ANSWERS:
        return None
    by_chance = sum((count / answers.total()) ** 2 for count in answers.values())
    return (_alike(shared) / len(shared) - by_chance) / (1 - by_chance)


def persons(
    given: Sequence[Given], shared: Sequence[tuple[Answer, Answer]], names: Mapping[str, str], midnight: float
) -> tuple[Person, ...]:
    """Everybody's figures, by name. Who is not in `names` is named by the account's id."""
    ids = {one.person for one in given} | {answer.person for answer in chain.from_iterable(shared)}
    found = (_person(id, names.get(id, f"account {id}"), given, shared, midnight) for id in ids)
    return tuple(sorted(found, key=lambda person: person.name.casefold()))


def _person(
    id: str, name: str, given: Sequence[Given], shared: Sequence[tuple[Answer, Answer]], midnight: float
) -> Person:
    theirs = [one for one in given if one.person == id]
    own = [pair for pair in shared if id in (pair[0].person, pair[1].person)]
    others = [pair for pair in shared if id not in (pair[0].person, pair[1].person)]
    return Person(
        name,
        today(theirs, midnight).labels,
        len(theirs),
        pace_s(theirs),
        _alike(own),
        len(own),
        _verdict(own, others),
    )


def _verdict(own: Sequence[tuple[Answer, Answer]], others: Sequence[tuple[Answer, Answer]]) -> str:
    """Whether a person's agreement is below that of the others among themselves: clearly, if the exact intervals are
    apart. Who is right cannot be told from it."""
    if min(len(own), len(others)) < LEAST_SHARED:
        return ""
    theirs = clopper_pearson(_alike(own), len(own))
    return CLEARLY_BELOW if theirs.high < clopper_pearson(_alike(others), len(others)).low else LIKE_THE_OTHERS
