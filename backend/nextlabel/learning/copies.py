"""Copies, texts that are alike but for case and blanks, count once in what is fitted. Pure."""

from collections.abc import Collection, Sequence

from nextlabel.problems.question import Question
from nextlabel.values.examples import Example, Key, key_of
from nextlabel.values.labels import Vote

Answered = tuple[Example, Sequence[Vote]]


def counted_once(
    question: Question, answered: Sequence[Answered], held_out: Collection[Key] = ()
) -> list[tuple[Example, str]]:
    """What to fit on: of the examples that are copies of each other the first, with what their labels come to as if
    they were several people's answers to one task: the majority by weight, and of as much the latest one.

    Copies of what is `held_out` are not among them. Without any copy it is each example with its label.
    """
    groups: dict[Key, list[tuple[Example, Vote]]] = {}
    for example, votes in answered:
        vote = _as_one(question, votes)
        key = key_of(example)
        if vote is not None and key not in held_out:
            groups.setdefault(key, []).append((example, vote))
    found = ((copies[0][0], question.consensus([vote for _, vote in copies])) for copies in groups.values())
    return [(example, label) for example, label in found if label is not None]


def lighter(
    question: Question, answered: Sequence[Answered], labelled: Sequence[tuple[Example, str]]
) -> dict[int, float]:
    """How much labels count, from 0 to below 1, by the ids of the labelled examples of which it is less than 1: as much
    as the vote for this label does that counts most, on the example or a copy of it."""
    if all(vote.weight == 1 for _, votes in answered for vote in votes):
        return {}
    given: dict[Key, list[Vote]] = {}
    for example, votes in answered:
        given.setdefault(key_of(example), []).extend(votes)
    found = {example.id: _weight(question, given[key_of(example)], label) for example, label in labelled}
    return {task: weight for task, weight in found.items() if weight < 1}


def _as_one(question: Question, votes: Sequence[Vote]) -> Vote | None:
    """What the answers to a task come to, as one answer; None when none of them counts."""
    label = question.consensus(votes)
    if label is None:
        return None
    weight, gold = _weight(question, votes, label), any(vote.ground_truth for vote in votes)
    return Vote(label, gold, max(vote.when for vote in votes), weight=weight)


def _weight(question: Question, votes: Sequence[Vote], label: str) -> float:
    """Of the votes for the label the largest weight; of all, where nobody gave all that they come to together."""
    weights = {vote.weight for vote in votes}
    if len(weights) > 1:  # as of few tasks, of which there may be tens of thousands at each check
        weights = {vote.weight for vote in votes if question.consensus([vote]) == label} or weights
    return max(weights)
