"""The control set of a simulation: which examples nothing is learnt from, when they are asked, what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nextlabel.learning.control import Control, places
from nextlabel.learning.judging import ANSWERED, ControlText, Said, judge
from nextlabel.problems.form import Form, answer_to
from nextlabel.simulation.datasets.textsets import Labelled
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ONE_OF, Layout


@dataclass(frozen=True)
class ControlSet:
    """The `texts` that are reserved, by their draws in the order of these, each with the ids of its copies."""

    share: float
    texts: Mapping[str, Sequence[int]]

    @property
    def reserved(self) -> set[int]:
        """The ids of all of them."""
        return {number for copies in self.texts.values() for number in copies}

    def due(self, asked: Sequence[int], since: int, count: int) -> dict[int, int]:
        """Those that come among the next `count` labels, by their place there, as in the live queue; `asked` were asked
        before, and `since` labels were given after the last of them."""
        left = {draw: copies[0] for draw, copies in self.texts.items() if copies[0] not in set(asked)}
        turns = places(self.share, since, list(left), others=0)
        return {place: number for place, number in zip(turns, left.values(), strict=True) if place < count}


def drawn(train: Sequence[Labelled], share: float, seed: int) -> ControlSet:
    """The control set of a run with that seed."""
    rule, texts = Control(str(seed), share), dict[str, list[int]]()
    for example, _ in train:
        if draw := rule.drawn(example):
            texts.setdefault(draw, []).append(example.id)
    return ControlSet(share, dict(sorted(texts.items())))


def interleaved(informative: Sequence[int], control: Mapping[int, int]) -> list[int]:
    """All ids in the order in which they are asked; `control` by their places."""
    waiting, asked = list(informative), list[int]()
    while waiting or (asked and len(asked) in control):
        asked.append(control[len(asked)] if len(asked) in control else waiting.pop(0))
    return asked


def figures_of_form(
    share: float, answers: Mapping[int, str], form: Form, layout: Layout, probs_NC: Array
) -> dict[str, Any] | None:
    """The same of each question that somebody answered, by its name; `layout` has the version's thresholds."""
    found: dict[str, Any] = {}
    for part, (cut, at) in zip(form.parts, layout.parts, strict=True):
        given = {number: answer_to(part, answer) for number, answer in answers.items()}
        own = {number: answer for number, answer in given.items() if answer is not None}
        rows = [place for place, number in enumerate(answers) if number in own]
        of = figures(share, own, part.spellings.labels, probs_NC[rows][:, at], Layout((cut,)), cut.kind)
        found |= {part.name: of} if of else {}
    return {"questions": found} if found else None


def figures(
    share: float,
    answers: Mapping[int, str],
    labels: tuple[str, ...],
    probs_NK: Array,
    layout: Layout | None = None,
    kind: str = ONE_OF,
) -> dict[str, Any] | None:
    """For a round's record: accuracy and macro-F1 with their limits. `answers` by id, and what is said of each."""
    texts = [ControlText((number,), ANSWERED, answer) for number, answer in answers.items()]
    said = Said("", labels, dict(zip(answers, probs_NK, strict=True)), (), layout)
    found = judge(share, texts, max(answers, default=0), labels, said, noted=False, kind=kind).figures
    if found is None or not answers:
        return None
    accuracy, macro_f1 = found.accuracy, found.macro_f1
    return {
        "labels": accuracy.examples,
        "accuracy": accuracy.value,
        "accuracy_limits": list(accuracy.interval),
        "macro_f1": macro_f1.value,
        "macro_f1_limits": list(macro_f1.interval),
    }
