"""Several questions about one text, or one with any number of answers: what votes come to, and how good guesses are.

An answer is a text as `values.layout.encoded` writes it. What a person was not asked, or did not answer, is not in it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nextlabel.problems import metrics
from nextlabel.problems.metrics import Scores
from nextlabel.problems.question import Measured, Question
from nextlabel.problems.single_choice import SingleChoice, weighed
from nextlabel.values.arrays import Array, Bools, Ints, Targets
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ANY_OF, MAXIMUM, MEAN, ORDERED, Cut, Layout, decoded, encoded, unasked

NOW = "~"  # as a time, after all others
# Labels that an answer to a question gives, and those that it says nothing of.
Given = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Part:
    """One question of a form: its name, its kind, and which spellings its labels have. `weight` as of `Cut`. `changes`
    are the ISO times at which labels came and went, in turn; `most` as of `Cut`."""

    name: str
    kind: str
    spellings: SingleChoice
    weight: float = 1.0
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    most: int = 0

    def understood(self, labels: Sequence[str], left: Collection[str], when: str) -> Given | None:
        """What an answer of that time gives, and what it says nothing of, besides what is `left`.

        None where it says nothing at all: a label is unknown or ignored, and what else was meant? Of one that the form
        once had it is known that it means none of those that are left.
        """
        there = [label for label in labels if label not in self.changes or self.spellings.answer_of(label) is not None]
        known = dict.fromkeys(map(self.spellings.label_of, there))
        given, left = tuple(label for label in known if label is not None), {*left, *self.missing(when)}
        apart = tuple(label for label in self.spellings.labels if label in left and label not in known)
        says_nothing = bool(apart) and len(apart) == len(self.spellings.labels)
        return None if None in known or says_nothing else (given, apart)

    @cached_property
    def _last_change(self) -> str:
        return max((when for times in self.changes.values() for when in times), default="")

    def missing(self, when: str) -> set[str]:
        """Labels that the form had not then, neither as they are called now nor as what is learnt as them."""
        if when >= self._last_change:
            return set()
        gone = {label for label, times in self.changes.items() if not is_there(times, when)}
        return gone - {self.spellings.label_of(label) for label in self.changes.keys() - gone}


@dataclass(frozen=True)
class Form:
    """The questions, at least one, with different names. `combine` and `combine_labels` as of `Layout`."""

    parts: tuple[Part, ...]
    combine: str = MEAN
    combine_labels: str = MAXIMUM

    @classmethod
    def of_layout(cls, layout: Layout) -> "Form":
        """The questions that a layout divides numbers among, each label in one spelling."""
        parts = (Part(cut.name, cut.kind, SingleChoice(cut.labels), cut.weight, most=cut.most) for cut in layout.cuts)
        return cls(tuple(parts), layout.combine, layout.combine_labels)

    @cached_property
    def layout(self) -> Layout:
        """A number for each label of each question."""
        cuts = (Cut(one.name, one.kind, one.spellings.labels, one.weight, most=one.most) for one in self.parts)
        return Layout(tuple(cuts), self.combine, self.combine_labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """As the layout names them."""
        return self.layout.labels

    @cached_property
    def measured(self) -> "OneQuestion":
        """What the control set's figures are about: the first question that has exactly one answer, else the first."""
        return OneQuestion(self, next((part for part in self.parts if part.kind != ANY_OF), self.parts[0]))

    def answer_of(self, given: str) -> str | None:
        """What an answer of now in anybody's spelling comes to; None when it answers nothing that is asked."""
        return _written(self._understood(given, NOW))

    def _understood(self, answer: str, when: str) -> dict[str, Given]:
        given, left = decoded(answer), unasked(answer)
        found = {
            part.name: part.understood(given[part.name], left.get(part.name, ()), when)
            for part in self.parts
            if part.name in given
        }
        return {name: said for name, said in found.items() if said is not None}

    def consensus(self, votes: Sequence[Vote]) -> str | None:
        """Of each question what most of those come to who answered it; None when nobody answered any.

        Answers count by their weights. Ground truth goes before all others, and the casting answer, else the latest,
        breaks a tie. Of labels of which any may be given each is decided for itself, by those who were asked about it;
        of steps it is the one in the middle.
        """
        if len(votes) == 1:
            return _written(self._understood(votes[0].label, votes[0].asked_at))
        in_time = sorted(votes, key=lambda vote: (vote.casting, vote.when))
        understood = [(vote, self._understood(vote.label, vote.asked_at)) for vote in in_time]
        agreed: dict[str, Given] = {}
        for part in self.parts:
            given = [(vote, answers[part.name]) for vote, answers in understood if part.name in answers]
            given = [(vote, labels) for vote, labels in given if vote.ground_truth] or given
            if given:
                agreed[part.name] = _agreed(part, [(said, vote.weight) for vote, said in given])
        return _written(agreed)

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
        for targets_N in self.class_numbers(answers).T:
            asked_M = targets_N[~np.isnan(targets_N)]
            if len(asked_M) and (asked_M != asked_M[0]).any():
                return ""
        if not answers:
            return "No usable label yet; at least one question needs two different answers."
        return f"All {len(answers)} labelled tasks so far are answered alike; label at least one task otherwise."

    def class_numbers(self, answers: Sequence[str]) -> Array:
        """As `Layout.targets`. Raises `KeyError` on an unknown label."""
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
        """Of each answer to each question whether it was predicted as a whole, as far as it was asked for."""
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
            asked_N = ~np.isnan(targets_NC[:, at]).all(axis=1)
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
        cut, at = self._in(layout)
        if cut is None or self.part.kind != ANY_OF:
            return probs_NC[:, at]
        probs_N = probs_NC[:, at.start + cut.labels.index(self.labels[0])]
        return np.stack([probs_N, 1 - probs_N], axis=1)

    def labels_of(self, layout: Layout | None) -> tuple[str, ...]:
        """The names of what `narrowed` gives."""
        cut, _ = self._in(layout)
        return () if cut is None else self.labels if self.part.kind == ANY_OF else cut.labels

    def _in(self, layout: Layout | None) -> tuple[Cut | None, slice]:
        """Its part of a layout, where that has what it is about."""
        for cut, at in layout.parts if layout else ():
            if cut.name == self.part.name and (self.part.kind != ANY_OF or self.labels[0] in cut.labels):
                return cut, at
        return None, slice(0)

    def consensus(self, votes: Sequence[Vote]) -> str | None:
        """The label in what the answers to the form come to; None when nobody answered the question."""
        answer = self.form.consensus(votes)
        return None if answer is None else self.label_in(answer)

    def label_in(self, answer: str) -> str | None:
        """The label in an answer to the whole form; None where the question is not answered."""
        given = decoded(answer).get(self.part.name)
        if given is None or self.labels[0] in unasked(answer).get(self.part.name, ()):
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
    left = unasked(answer).get(part.name, ())
    return encoded({part.name: given}, {part.name: left}) if part.kind == ANY_OF else given[0]


def with_labels(question: Question, labels: tuple[str, ...]) -> Measured:
    """The question of a form that has exactly these labels; where there is none, or no form, the question itself."""
    parts = question.parts if isinstance(question, Form) else ()
    part = next((part for part in parts if part.kind != ANY_OF and part.spellings.labels == labels), None)
    return OneQuestion(question, part) if isinstance(question, Form) and part else question


def is_there(times: Sequence[str], when: str) -> bool:
    """Whether what came and went at these ISO times, in turn, was there at that one."""
    return sum(time <= when for time in times) % 2 == 1


def _written(found: Mapping[str, Given]) -> str | None:
    """As one text; None where nothing is answered."""
    given, left = ({name: said[which] for name, said in found.items()} for which in (0, 1))
    return encoded(given, left) if given else None


def _agreed(part: Part, answers: Sequence[tuple[Given, float]]) -> Given:
    """What answers to one question, the latest one last, come to by their weights."""
    if part.kind == ANY_OF:
        decided = {label: _is_given(label, answers) for label in part.spellings.labels}
        apart = tuple(label for label, is_given in decided.items() if is_given is None)
        return tuple(label for label, is_given in decided.items() if is_given), apart
    given = [(labels, weight) for (labels, _), weight in answers]
    latest_first = [labels for labels, _ in reversed(given)]
    if part.kind == ORDERED:
        middle = _middle(part.spellings.labels, given)
        return (max((label for labels in latest_first for label in labels), key=middle.__contains__),), ()
    votes = weighed(given)
    most = max(votes.values())
    return next(labels for labels in latest_first if votes[labels] == most), ()


def _is_given(label: str, answers: Sequence[tuple[Given, float]]) -> bool | None:
    """Whether the answers that give a label outweigh those that do not, the latest one in doubt; None where nobody was
    asked about it."""
    said = [(label in labels, weight) for (labels, left), weight in answers if label not in left]
    lead = round(sum(weight if is_given else -weight for is_given, weight in said), 9)
    return (lead > 0 or (lead == 0 and said[-1][0])) if said else None


def _middle(steps: Sequence[str], given: Sequence[tuple[tuple[str, ...], float]]) -> set[str]:
    """The lower and the upper weighted median: two steps, where half of the weight is on each side."""
    weights_S = np.array([sum(weight for labels, weight in given if step in labels) for step in steps])
    leads_S = np.round(2 * np.cumsum(weights_S) - weights_S.sum(), 9)
    return {steps[int((leads_S >= 0).argmax())], steps[int((leads_S > 0).argmax())]}


def _right(targets_MC: Array, predictions_MC: Array) -> Bools:
    return np.asarray(((targets_MC == predictions_MC) | np.isnan(targets_MC)).all(axis=1))


def _scores(cut: Cut, targets_MC: Array, predictions_MC: Array) -> Scores:
    if cut.kind == ANY_OF:
        accuracy, f1 = (
            float(_right(targets_MC, predictions_MC).mean()),
            _mean(_f1s(targets_MC, predictions_MC)),
        )
        return Scores(accuracy, f1, (accuracy + f1) / 2, len(targets_MC))
    return metrics.evaluate(_classes(targets_MC), _classes(predictions_MC), len(cut.labels))


def _measures(cut: Cut, targets_MC: Array, predictions_MC: Array) -> dict[str, float]:
    examples = {"examples": float(len(targets_MC))}
    if cut.kind == ANY_OF:
        right = float(np.nansum(targets_MC * predictions_MC))
        wrong = float(((targets_MC != predictions_MC) & ~np.isnan(targets_MC)).sum())
        f1s = _f1s(targets_MC, predictions_MC)
        by_label = {f"f1 {label}": f1 for label, f1 in zip(cut.labels, f1s, strict=True) if f1 is not None}
        exact = float(_right(targets_MC, predictions_MC).mean())
        micro = 2 * right / (2 * right + wrong) if right else 0.0
        return {"exact_match": exact, "macro_f1": _mean(f1s), "micro_f1": micro, **by_label, **examples}
    targets_M, said_M = _classes(targets_MC), _classes(predictions_MC)
    accuracy, f1 = float((targets_M == said_M).mean()), metrics.macro_f1(targets_M, said_M)
    by_label = {f"f1 {label}": metrics.f1_of_class(targets_M, said_M, c) for c, label in enumerate(cut.labels)}
    found = {"accuracy": accuracy, "macro_f1": f1, **by_label, **examples}
    if cut.kind == ORDERED:
        steps = len(cut.labels)
        found |= {"mean_absolute_error": float(np.abs(targets_M - said_M).mean())}
        found |= {"kappa": metrics.weighted_kappa(targets_M, said_M, steps)}
    return found


def _f1s(targets_MC: Array, predictions_MC: Array) -> list[float | None]:
    """Of each label, given to a text or not; None where nobody was asked about it."""
    return list(map(_f1, targets_MC.T, predictions_MC.T))


def _f1(targets_M: Array, predictions_M: Array) -> float | None:
    asked_M = ~np.isnan(targets_M)
    return metrics.f1_of_class(targets_M[asked_M], predictions_M[asked_M], 1) if asked_M.any() else None


def _mean(f1s: Sequence[float | None]) -> float:
    return float(np.mean([f1 for f1 in f1s if f1 is not None]))


def _classes(hot_MC: Array) -> Ints:
    classes_M: Ints = hot_MC.argmax(axis=1)
    return classes_M
