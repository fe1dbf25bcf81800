"""The labelled tasks that are worth a second look, with reasons in words. Pure.

Each question of a form is asked by itself; where any labels may be given, each label is. A task is as doubtful as what
is most doubtful of it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from nextlabel.learning.doubt import SUSPECT, Cast, Raw, doubts, nearest, out_of_fold_each
from nextlabel.problems.look_again import Suspect
from nextlabel.problems.question import Question
from nextlabel.values.arrays import Array, Features, Ints
from nextlabel.values.examples import Example, key_of
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ANY_OF, decoded, encoded, unasked

Answered = tuple[Example, Sequence[Vote]]
Read = tuple[Vote, str | None]  # a vote, and what it says of the form
NO_ANSWER = encoded({})
NEAR = 10  # labelled texts that a reason counts among
NAMED = 3  # tasks in one reason


@dataclass(frozen=True)
class Asked:
    """One question with one answer: its classes in words for a person, and which of them an answer gives, by number;
    None where it says nothing of the question. Whether a label is given of which any may be is in the `column` of a
    form's numbers."""

    labels: tuple[str, ...]
    given: Callable[[str], int | None]
    column: int | None = None


def all_asked(question: Question) -> list[Asked]:
    """What a project asks, as questions with one answer."""
    if question.layout is None:
        numbers = {label: number for number, label in enumerate(question.labels)}
        return [Asked(question.labels, numbers.get)]
    found = list[Asked]()
    for cut, at in question.layout.parts:
        named = tuple(f"{cut.name}: {label}" for label in cut.labels)
        if cut.kind == ANY_OF:
            found += [
                Asked((f"{cut.name}: not {label}", named[number]), _any_of(cut.name, label), at.start + number)
                for number, label in enumerate(cut.labels)
            ]
        else:
            found.append(Asked(named, _one_of(cut.name, cut.labels)))
    return found


def _one_of(name: str, labels: Sequence[str]) -> Callable[[str], int | None]:
    def given(answer: str) -> int | None:
        return next((labels.index(label) for label in decoded(answer).get(name, ()) if label in labels), None)

    return given


def _any_of(name: str, label: str) -> Callable[[str], int | None]:
    def given(answer: str) -> int | None:
        labels = decoded(answer).get(name)
        return None if labels is None or label in unasked(answer).get(name, ()) else int(label in labels)

    return given


@dataclass(frozen=True)
class LookedAt:
    """What a look at all labels finds. `suspects`: tasks whose label in force has a posterior below one half, the most
    doubtful first, equal ones by id. `casting`: of tasks on which people differ whose answer, by account, is the
    likeliest one that was given, so that it decides where the majority does not."""

    suspects: tuple[Suspect, ...]
    casting: Mapping[int, str]


def look(question: Question, answered: Sequence[Answered], features_ND: Features, most: int | None = None) -> LookedAt:
    """All labels. Features (N, D) of unit length, by the order of what is `answered`, which makes no difference. Only
    the first `most` suspects are told, as reasons take a look at all labels each.

    A label that two people gave, or that is marked as ground truth, is settled, and no suspect.
    """
    order = sorted(range(len(answered)), key=lambda row: answered[row][0].id)
    answered, features_ND = [answered[row] for row in order], features_ND[order]
    in_force = [question.consensus(votes) for _, votes in answered]
    read = [
        [(vote, question.consensus([vote])) for vote in sorted(votes, key=lambda vote: vote.when)]
        for _, votes in answered
    ]
    examples, known = [example for example, _ in answered], _out_of_fold(question, in_force, features_ND)
    looks = [_Look.of(asked, examples, read, in_force, features_ND, known) for asked in all_asked(question)]
    worst: dict[int, tuple[float, _Look, int]] = {}
    for one in looks:
        for row, doubt in one.doubtful():
            task = one.examples[row].id
            if task not in worst or doubt > worst[task][0]:
                worst[task] = (doubt, one, row)
    listed = sorted(worst, key=lambda task: (-worst[task][0], task))[:most]
    return LookedAt(
        tuple(one.suspect(row, doubt) for doubt, one, row in map(worst.__getitem__, listed)), _casting(looks)
    )


def _out_of_fold(question: Question, in_force: Sequence[str | None], features_ND: Features) -> Mapping[int, Raw]:
    """By column, what heads say of whether a label is given of which any may be."""
    columns = [asked.column for asked in all_asked(question) if asked.column is not None]
    if question.layout is None or not columns or not in_force:
        return {}
    targets_NC = question.layout.targets([answer or NO_ANSWER for answer in in_force])
    probs_NL, seen_NL = out_of_fold_each(features_ND, targets_NC[:, columns])
    both = zip(columns, probs_NL.T, seen_NL.T, strict=True)
    return {column: (np.stack([1 - probs_N, probs_N], axis=1), seen_N) for column, probs_N, seen_N in both}


def _casting(looks: Sequence["_Look"]) -> dict[int, str]:
    logs: dict[int, dict[str, float]] = {}
    for task, account, log in chain.from_iterable(one.differing() for one in looks):
        of_task = logs.setdefault(task, {})
        of_task[account] = of_task.get(account, 0.0) + log
    return {task: max(sorted(of_task), key=of_task.__getitem__) for task, of_task in sorted(logs.items())}


@dataclass(frozen=True)
class _Look:
    """At one question: the tasks with an answer to it, by id."""

    asked: Asked
    examples: Sequence[Example]
    votes: Sequence[Mapping[str, tuple[Vote, int]]]
    in_force_N: Ints
    features_ND: Features
    raw: Raw | None

    @classmethod
    def of(
        cls,
        asked: Asked,
        examples: Sequence[Example],
        read: Sequence[Sequence[Read]],
        in_force: Sequence[str | None],
        features_ND: Features,
        known: Mapping[int, Raw],
    ) -> "_Look":
        """Votes are by person: of one who answered a task twice the last one counts."""
        numbers = [None if answer is None else asked.given(answer) for answer in in_force]
        rows = [row for row, number in enumerate(numbers) if number is not None]
        votes = [_by_person(asked, read[row]) for row in rows]
        in_force_N = np.array([numbers[row] for row in rows], dtype=np.int64)
        whole = known.get(asked.column) if asked.column is not None else None
        raw = (whole[0][rows], whole[1][rows]) if whole else None
        return cls(asked, [examples[row] for row in rows], votes, in_force_N, features_ND[rows], raw)

    @cached_property
    def _doubts(self) -> tuple[Array, Array]:
        """How doubtful each label in force is (N), and the posterior of each label (N, C)."""
        casts = [
            Cast(row, person, choice, vote.weight)
            for row, given in enumerate(self.votes)
            for person, (vote, choice) in given.items()
        ]
        doubt_N, weighed = doubts(self.features_ND, self.in_force_N, casts, len(self.asked.labels), self.raw)
        return doubt_N, weighed.probs_NC

    def doubtful(self) -> Iterator[tuple[int, float]]:
        """Rows of suspects of this question alone, and how doubtful their labels are."""
        doubt_N, _ = self._doubts
        for row in np.flatnonzero(doubt_N > 1 - SUSPECT).tolist():
            if not self._settled(row):
                yield row, float(doubt_N[row])

    def differing(self) -> Iterator[tuple[int, str, float]]:
        """Of tasks on which people differ each one's account, and how likely the answer is, as a logarithm."""
        _, probs_NC = self._doubts
        for row, given in enumerate(self.votes):
            if len({choice for _, choice in given.values()}) > 1:
                for account, (_, choice) in given.items():
                    yield self.examples[row].id, account, float(np.log(probs_NC[row, choice]))

    def _settled(self, row: int) -> bool:
        agreeing = [vote for vote, choice in self.votes[row].values() if choice == self.in_force_N[row]]
        return len(agreeing) > 1 or any(vote.ground_truth for vote in agreeing)

    def suspect(self, row: int, doubt: float) -> Suspect:
        """One of them, with reasons."""
        probs_C = self._doubts[1][row]
        others_C = np.where(np.arange(len(probs_C)) == self.in_force_N[row], -1, probs_C)
        other = int(others_C.argmax())
        reasons = (self._model(other), self._neighbours(row, other), self._people(row), self._copies(row))
        label = self.asked.labels[self.in_force_N[row]]
        return Suspect(self.examples[row].id, label, doubt, tuple(filter(None, reasons)))

    def _model(self, other: int) -> str:
        return f"a model that does not know this label would rather say {self.asked.labels[other]!r}"

    def _neighbours(self, row: int, other: int) -> str:
        near_K = self.in_force_N[nearest(self.features_ND, row, NEAR)]
        alike = int(np.sum(near_K == other))
        verb = "is" if alike == 1 else "are"
        return (
            f"{alike} of the {len(near_K)} nearest labelled texts {verb} {self.asked.labels[other]!r}" if alike else ""
        )

    def _people(self, row: int) -> str:
        given = [choice for _, choice in self.votes[row].values()]
        others = sorted({self.asked.labels[choice] for choice in given if choice != self.in_force_N[row]})
        if not others:
            return ""
        differ = sum(choice != self.in_force_N[row] for choice in given)
        return f"{differ} of {len(given)} people gave another label: {', '.join(map(repr, others))}"

    def _copies(self, row: int) -> str:
        mine = self._by_text[key_of(self.examples[row])]
        other = [copy for copy in mine if self.in_force_N[copy] != self.in_force_N[row]]
        if not other:
            return ""
        tasks = ", ".join(str(self.examples[copy].id) for copy in other[:NAMED])
        return f"copies of this text are labelled otherwise (task {tasks}{' and others' if len(other) > NAMED else ''})"

    @cached_property
    def _by_text(self) -> Mapping[object, Collection[int]]:
        found: dict[object, list[int]] = {}
        for row, example in enumerate(self.examples):
            found.setdefault(key_of(example), []).append(row)
        return found


def _by_person(asked: Asked, votes: Sequence[Read]) -> dict[str, tuple[Vote, int]]:
    found: dict[str, tuple[Vote, int]] = {}
    for vote, answer in votes:
        number = None if answer is None else asked.given(answer)
        if number is not None:
            found[vote.account] = (vote, number)
    return found
