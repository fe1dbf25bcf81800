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
    they were several people's answers to one task: the majority, and of as many the latest one.

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


def lighter(answered: Sequence[Answered]) -> dict[int, float]:
    """How much labels count, from 0 to below 1, by the ids of the examples of which it is less than 1: as much as the
    vote does that counts most, on the example or a copy of it."""
    if all(vote.weight == 1 for _, votes in answered for vote in votes):
        return {}
    most: dict[Key, float] = {}
    for example, votes in answered:
        key = key_of(example)
        most[key] = max([most.get(key, 0.0), *(vote.weight for vote in votes)])
    return {example.id: most[key_of(example)] for example, _ in answered if most[key_of(example)] < 1}


def _as_one(question: Question, votes: Sequence[Vote]) -> Vote | None:
    """What the answers to a task come to, as one answer; None when none of them counts."""
    label = question.consensus(votes)
    if label is None:
        return None
    return Vote(label, any(vote.ground_truth for vote in votes), max(vote.when for vote in votes))
