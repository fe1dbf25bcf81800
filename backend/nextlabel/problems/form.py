"""Several questions about one text, or one with any number of answers: what votes come to, and how good guesses are.

An answer is a text as `values.layout.encoded` writes it. What a person was not asked, or did not answer, is not in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nextlabel.problems import metrics
from nextlabel.problems.metrics import Scores
from nextlabel.problems.question import Measured, Question
from nextlabel.problems.single_choice import SingleChoice, weighed
from nextlabel.values.arrays import Array, Bools, Ints, Targets
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ANY_OF, ORDERED, Answers, Cut, Layout, decoded, encoded


@dataclass(frozen=True)
class Part:
    """One question of a form: its name, its kind, and which spellings its labels have. `weight` as of `Cut`."""

    name: str
    kind: str
    spellings: SingleChoice
    weight: float = 1.0


@dataclass(frozen=True)
class Form:
    """The questions, at least one, with different names. `combine` as of `Layout`."""

    parts: tuple[Part, ...]
    combine: str = field(default="mean")

    @classmethod
    def of_layout(cls, layout: Layout) -> "Form":
        """The questions that a layout divides numbers among, each label in one spelling."""
        parts = (Part(cut.name, cut.kind, SingleChoice(cut.labels), cut.weight) for cut in layout.cuts)
        return cls(tuple(parts), layout.combine)

    @cached_property
    def layout(self) -> Layout:
        """A number for each label of each question."""
        cuts = (Cut(part.name, part.kind, part.spellings.labels, part.weight) for part in self.parts)
        return Layout(tuple(cuts), self.combine)

    @property
    def labels(self) -> tuple[str, ...]:
        """As the layout names them."""
        return self.layout.labels

    @cached_property
    def measured(self) -> "OneQuestion":
        """What the control set's figures are about: the first question that has exactly one answer, else the first."""
        return OneQuestion(self, next((part for part in self.parts if part.kind != ANY_OF), self.parts[0]))

    def answer_of(self, given: str) -> str | None:
        """What an answer in anybody's spelling comes to; None when it answers nothing that is asked."""
        found = self._understood(decoded(given))
        return encoded(found) if found else None

    def _understood(self, given: Answers) -> dict[str, tuple[str, ...]]:
        """A question of which a given label is unknown or ignored counts as not answered: what else was meant?"""
        found = {}
        for part in self.parts:
            labels = [part.spellings.label_of(label) for label in given.get(part.name, ())]
            if part.name in given and None not in labels:
                found[part.name] = tuple(dict.fromkeys(label for label in labels if label is not None))
        return found

    def consensus(self, votes: Sequence[Vote]) -> str | None:
        """Of each question what most of those come to who answered it; None when nobody answered any.

        Answers count by their weights. Ground truth goes before all others, and the casting answer, else the latest,
        breaks a tie. Of labels of which any may be given each is decided for itself; of steps it is the one in the
        middle.
        """
        if len(votes) == 1:
            return self.answer_of(votes[0].label)
        understood = [
            (vote, self._understood(decoded(vote.label))) for vote in sorted(votes, key=lambda v: (v.casting, v.when))
        ]
        agreed: dict[str, tuple[str, ...]] = {}
        for part in self.parts:
            given = [(vote, answers[part.name]) for vote, answers in understood if part.name in answers]
            given = [(vote, labels) for vote, labels in given if vote.ground_truth] or given
            if given:
                agreed[part.name] = _agreed(part, [(labels, vote.weight) for vote, labels in given])
        return encoded(agreed) if agreed else None

    def leaves_out(self, votes: Sequence[Vote]) -> bool:
        """Whether ignored labels are all that there is."""
        given = [(part, label) for vote in votes for part, label in self._given(vote)]
        ignored = [part.spellings.answer_of(label) in part.spellings.ignored for part, label in given]
        return bool(ignored) and all(ignored) and self.consensus(votes) is None

    def _given(self, vote: Vote) -> Iterable[tuple[Part, str]]:
        answers = decoded(vote.label)
        return ((part, label) for part in self.parts for label in answers.get(part.name, ()))

    def missing_labels(self, answers: Sequence[str]) -> str:
        """What is missing before a fit makes sense, in words for a person; empty when nothing is."""
        targets_NC = self.class_numbers(answers)
        for _, at in self.layout.parts:
            asked_MC = targets_NC[:, at][~np.isnan(targets_NC[:, at]).any(axis=1)]
            if len(asked_MC) and (asked_MC != asked_MC[0]).any():
                return ""
        if not answers:
            return "No usable label yet; at least one question needs two different answers."
        return f"All {len(answers)} labelled tasks so far are answered alike; label at least one task otherwise."

    def class_numbers(self, answers: Sequence[str]) -> Array:
        """(N, C) of 0 and 1, NaN where a question was not answered. Raises `KeyError` on an unknown label."""
        return self.layout.targets(answers)

    def predicted(self, probs_NC: Array) -> Array:
        """(N, C) of 0 and 1: the likeliest label of each question, or all that are likelier than not."""
        return self.layout.guesses(probs_NC)

    def most_frequent(self, targets_NC: Array) -> Array:
        """As many predictions: of each question its likeliest labels, as far as they were given."""
        asked_NC = ~np.isnan(targets_NC)
        shares_C = np.where(asked_NC, targets_NC, 0).sum(axis=0) / np.maximum(asked_NC.sum(axis=0), 1)
        return np.repeat(self.predicted(shares_C[None, :]), len(targets_NC), axis=0)

    def right(self, targets_NC: Array, predictions_NC: Array) -> Bools:
        """Of each answer to each question whether it was predicted as a whole."""
        found = (_right(targets_MC, said_MC) for _, targets_MC, said_MC in self._answered(targets_NC, predictions_NC))
        return np.concatenate([np.empty(0, dtype=bool), *found])

    def evaluate(self, targets_NC: Array, predictions_NC: Array) -> Scores:
        """The means over the questions that somebody answered of accuracy (all labels right) and of F1, the macro mean
        where any labels may be given. Raises `ValueError` on no examples."""
        found = [
            _scores(cut, targets_MC, said_MC) for cut, targets_MC, said_MC in self._answered(targets_NC, predictions_NC)
        ]
        if not found:
            raise ValueError("cannot evaluate on 0 examples")
        accuracy, f1 = np.mean([(scores.accuracy, scores.f1) for scores in found], axis=0).tolist()
        return Scores(accuracy, f1, (accuracy + f1) / 2, len(targets_NC))

    def measures(self, targets_NC: Targets, predictions_NC: Targets) -> dict[str, dict[str, float]]:
        """Of each question that somebody answered its measures by name, each in [0, 1] but for `mean_absolute_error`,
        which is in steps, `kappa`, from -1 to 1, and `examples`, which is a count."""
        return {
            cut.name: _measures(cut, targets_MC, said_MC)
            for cut, targets_MC, said_MC in self._answered(targets_NC, predictions_NC)
        }

    def _answered(self, targets_NC: Array, predictions_NC: Array) -> Iterable[tuple[Cut, Array, Array]]:
        for cut, at in self.layout.parts:
            asked_N = ~np.isnan(targets_NC[:, at]).any(axis=1)
            if asked_N.any():
                yield cut, targets_NC[asked_N, at], predictions_NC[asked_N, at]


@dataclass(frozen=True)
class AnyQuestion:
    """A form, as far as somebody answered something: each answer is still one to the whole form."""

    form: Form

    @property
    def labels(self) -> tuple[str, ...]:
        """The form's."""
        return self.form.labels

    def consensus(self, votes: Sequence[Vote]) -> str | None:
        """What the answers to the form come to; None when nobody answered any question."""
        return self.form.consensus(votes)

    def leaves_out(self, votes: Sequence[Vote]) -> bool:
        """Whether nobody answered anything who answered."""
        return bool(votes) and self.consensus(votes) is None


@dataclass(frozen=True)
class OneQuestion:
    """One question of a form as if nothing else were asked; where any labels may be given, whether the first one is."""

    form: Form
    part: Part

    @property
    def name(self) -> str:
        """In words for a person."""
        return f"{self.part.name}: {self.labels[0]}" if self.part.kind == ANY_OF else self.part.name

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Its own."""
        labels = self.part.spellings.labels
        return (labels[0], f"not {labels[0]}") if self.part.kind == ANY_OF else labels

    def narrowed(self, layout: Layout | None, probs_NC: Array) -> Array:
        """Of probabilities (N, C) those of its labels; of a layout without it none, (N, 0)."""
        at = next((at for cut, at in layout.parts if cut.name == self.part.name), None) if layout else None
        if at is None:
            return probs_NC[:, :0]
        if self.part.kind != ANY_OF:
            return probs_NC[:, at]
        return np.stack([probs_NC[:, at.start], 1 - probs_NC[:, at.start]], axis=1)

    def labels_of(self, layout: Layout | None) -> tuple[str, ...]:
        """The names of what `narrowed` gives."""
        cut = next((cut for cut in layout.cuts if cut.name == self.part.name), None) if layout else None
        return () if cut is None else self.labels if self.part.kind == ANY_OF else cut.labels

    def consensus(self, votes: Sequence[Vote]) -> str | None:
        """The label in what the answers to the form come to; None when nobody answered the question."""
        answer = self.form.consensus(votes)
        return None if answer is None else self.label_in(answer)

    def label_in(self, answer: str) -> str | None:
        """The label in an answer to the whole form; None where the question is not answered."""
        given = decoded(answer).get(self.part.name)
        if given is None:
            return None
        return self.labels[int(self.labels[0] not in given)] if self.part.kind == ANY_OF else given[0]

    def leaves_out(self, votes: Sequence[Vote]) -> bool:
        """Whether nobody answered it who answered."""
        return bool(votes) and self.consensus(votes) is None


def measured(question: Question) -> Measured:
    """What the control set's figures are about: of a form one of its questions."""
    return question.measured if isinstance(question, Form) else question


def answered(question: Question) -> Measured:
    """What control texts have answers to: of a form any of its questions."""
    return AnyQuestion(question) if isinstance(question, Form) else question


def answer_to(part: Part, answer: str) -> str | None:
    """The answer to one question in one to the whole form: the label or, where any may be given, an answer to a form of
    this question alone; None where it is not answered."""
    given = decoded(answer).get(part.name)
    if given is None:
        return None
    return encoded({part.name: given}) if part.kind == ANY_OF else given[0]


def with_labels(question: Question, labels: tuple[str, ...]) -> Measured:
    """The question of a form that has exactly these labels; where there is none, or no form, the question itself."""
    parts = question.parts if isinstance(question, Form) else ()
    part = next((part for part in parts if part.kind != ANY_OF and part.spellings.labels == labels), None)
    return OneQuestion(question, part) if isinstance(question, Form) and part else question


def _agreed(part: Part, given: Sequence[tuple[tuple[str, ...], float]]) -> tuple[str, ...]:
    """What answers to one question, the latest one last, come to by their weights."""
    latest_first = [labels for labels, _ in reversed(given)]
    if part.kind == ANY_OF:
        leads = {label: _lead(label, given) for label in part.spellings.labels}
        halves = (label for label, lead in leads.items() if lead == 0 and label in latest_first[0])
        return (*(label for label, lead in leads.items() if lead > 0), *halves)
    if part.kind == ORDERED:
        middle = _middle(part.spellings.labels, given)
        return (max((label for labels in latest_first for label in labels), key=middle.__contains__),)
    votes = weighed(given)
    most = max(votes.values())
    return next(labels for labels in latest_first if votes[labels] == most)


def _lead(label: str, given: Sequence[tuple[tuple[str, ...], float]]) -> float:
    """How much more the answers weigh that give a label than those that do not."""
    return round(sum(weight if label in labels else -weight for labels, weight in given), 9)


def _middle(steps: Sequence[str], given: Sequence[tuple[tuple[str, ...], float]]) -> set[str]:
    """The lower and the upper weighted median: two steps, where half of the weight is on each side."""
    weights_S = np.array([sum(weight for labels, weight in given if step in labels) for step in steps])
    leads_S = np.round(2 * np.cumsum(weights_S) - weights_S.sum(), 9)
    return {steps[int((leads_S >= 0).argmax())], steps[int((leads_S > 0).argmax())]}


def _right(targets_MC: Array, predictions_MC: Array) -> Bools:
    return np.asarray((targets_MC == predictions_MC).all(axis=1))


def _scores(cut: Cut, targets_MC: Array, predictions_MC: Array) -> Scores:
    if cut.kind == ANY_OF:
        accuracy, f1 = (
            float(_right(targets_MC, predictions_MC).mean()),
            float(np.mean(_f1s(targets_MC, predictions_MC))),
        )
        return Scores(accuracy, f1, (accuracy + f1) / 2, len(targets_MC))
    return metrics.evaluate(_classes(targets_MC), _classes(predictions_MC), len(cut.labels))


def _measures(cut: Cut, targets_MC: Array, predictions_MC: Array) -> dict[str, float]:
    examples = {"examples": float(len(targets_MC))}
    if cut.kind == ANY_OF:
        right = float((targets_MC * predictions_MC).sum())
        wrong = float((targets_MC != predictions_MC).sum())
        f1s = _f1s(targets_MC, predictions_MC)
        by_label = {f"f1 {label}": f1 for label, f1 in zip(cut.labels, f1s, strict=True)}
        exact = float(_right(targets_MC, predictions_MC).mean())
        micro = 2 * right / (2 * right + wrong) if right else 0.0
        return {"exact_match": exact, "macro_f1": float(np.mean(f1s)), "micro_f1": micro, **by_label, **examples}
    targets_M, said_M = _classes(targets_MC), _classes(predictions_MC)
    accuracy, f1 = float((targets_M == said_M).mean()), metrics.macro_f1(targets_M, said_M)
    by_label = {f"f1 {label}": metrics.f1_of_class(targets_M, said_M, c) for c, label in enumerate(cut.labels)}
    found = {"accuracy": accuracy, "macro_f1": f1, **by_label, **examples}
    if cut.kind == ORDERED:
        steps = len(cut.labels)
        found |= {"mean_absolute_error": float(np.abs(targets_M - said_M).mean())}
        found |= {"kappa": metrics.weighted_kappa(targets_M, said_M, steps)}
    return found


def _f1s(targets_MC: Array, predictions_MC: Array) -> list[float]:
    """Of each label, given to a text or not."""
    pairs = zip(targets_MC.T.astype(np.int64), predictions_MC.T.astype(np.int64), strict=True)
    return [metrics.f1_of_class(targets_M, said_M, 1) for targets_M, said_M in pairs]


def _classes(hot_MC: Array) -> Ints:
    classes_M: Ints = hot_MC.argmax(axis=1)
    return classes_M
