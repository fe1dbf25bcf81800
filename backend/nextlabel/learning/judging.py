"""What the control set says of a version: which of its texts count, and the figures. Pure.

docs/quality.md has the definitions in words.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TypeAlias

import numpy as np

from nextlabel.problems import quality
from nextlabel.problems.intervals import clopper_pearson
from nextlabel.problems.judgement import WIDE, Figures, Judgement, OfClass, Sample
from nextlabel.problems.quality import Estimate
from nextlabel.values.arrays import Array, Bools
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, Layout, decoded, unasked

OPEN, IN_HAND, ANSWERED, SKIPPED, LEFT_OUT = "open", "in hand", "answered", "skipped", "left out"
COUNT = (ANSWERED, SKIPPED)  # states of a text that no later answer is waited for
NO_VERSION = "no version is fitted yet"
NOT_NOTED = "what the models asked for was not noted from the start: MODEL_DIR, or the copy in it, was lost"


@dataclass(frozen=True, slots=True)
class ControlText:
    """A text of the control set: the ids of its tasks, which are copies, in order, and what people made of it.

    The states: OPEN; IN_HAND, as further annotators are to answer; ANSWERED with `answer`; SKIPPED, without an answer
    and offered no more; LEFT_OUT, as its label is one of which nothing is learnt, or counts less than others.
    `marked`: a model would have asked for it by now.
    """

    task_ids: tuple[int, ...]
    state: str
    answer: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Said:
    """What a version or head, named `order`, says: `probs_of` tasks by id, in the order of `labels`. It was fitted on
    tasks that are `known`; None: that cannot be told. Of a form's version its `layout`."""

    order: str
    labels: tuple[str, ...]
    probs_of: Mapping[int, Array]
    known: Collection[int] | None
    layout: Layout | None = None


def answering(text: ControlText, answer_in: Callable[[str], str | None]) -> ControlText:
    """With what of its answer is about a question; one that says nothing of it is none to judge it by."""
    if text.state != ANSWERED:
        return text
    answer = answer_in(text.answer)
    return replace(text, state=LEFT_OUT, answer="") if answer is None else replace(text, answer=answer)


def counting(texts: Sequence[ControlText]) -> list[ControlText]:
    """The longest prefix, in the order of the draws, of texts for which no answer is waited for.

    Not all that are answered: one that lies for long is a hard one.
    """
    kept = (text for text in texts if text.state != LEFT_OUT)
    return list(takewhile(lambda text: text.state in COUNT, kept))


def until(texts: Sequence[ControlText], last_task: int) -> list[ControlText]:
    """Those that were there when the highest id of all tasks was that: the control set before a later import."""
    return [text for text in texts if text.task_ids[0] <= last_task]


def judged_to(texts: Sequence[ControlText], known: int, last: int) -> int:
    """The id of the last task that figures are about, which was `known` before, while `last` is that of all tasks.

    Tasks imported later are left out until as many texts count with them as without.
    """
    return known if len(counting(texts)) < len(counting(until(texts, known))) else last


def judge(
    share: float,
    texts: Sequence[ControlText],
    last_task: int,
    labels: tuple[str, ...],
    said: Said | None,
    noted: bool,
    kind: str = ONE_OF,
) -> Judgement:
    """What the control set's `texts`, in the order of their draws, say of a version; None: there is none yet.

    The figures are about the tasks up to `last_task`. Classes are the project's `labels`. `noted`: the marks are
    complete. `kind` as of `values.layout`: where any labels may be given, an answer is one to a form of this question
    alone, and what was `said` has a layout of it alone. What says nothing of some labels judges the others, and no text
    as a whole.
    """
    sample = counting(until(texts, last_task))
    answered = [text for text in sample if text.state == ANSWERED]
    found = _sample(texts, last_task, sample)
    why = _objection(said, texts, labels, answered) if said else NO_VERSION
    if said is None or why:
        nothing = _figures(kind, labels, _compared([], None, labels, kind), 0)
        needs = _more(nothing.accuracy, found.left), _more_for_macro_f1(nothing.macro_f1, len(labels))
        return Judgement(said.order if said else "", share, found, why, None, None, why, *needs, kind=kind)
    compared = _compared(answered, said, labels, kind)
    figures = _figures(kind, labels, compared, found.skipped)
    unmarked_N = np.array([not text.marked for text in answered], dtype=bool)
    return Judgement(
        said.order,
        share,
        found,
        "",
        figures,
        _share_of(compared.right[unmarked_N & compared.whole]) if noted else None,
        "" if noted else NOT_NOTED,
        _more(figures.accuracy, found.left),
        _more_for_macro_f1(figures.macro_f1, len(labels)),
        kind=kind,
    )


def _sample(texts: Sequence[ControlText], last_task: int, sample: Sequence[ControlText]) -> Sample:
    kept = [text for text in texts if text.state != LEFT_OUT]
    there = until(kept, last_task)
    beyond = there[len(sample) :]
    last = max((place for place, text in enumerate(beyond) if text.state in COUNT), default=-1)
    missing = [text for text in beyond[: last + 1] if text.state not in COUNT]
    return Sample(
        texts=len(kept),
        answered=sum(text.state == ANSWERED for text in sample),
        skipped=sum(text.state == SKIPPED for text in sample),
        waiting=sum(text.state in COUNT for text in beyond),
        missing=len(missing),
        in_hand=sum(text.state == IN_HAND for text in missing),
        newer=len(kept) - len(there),
    )


def _objection(
    said: Said, texts: Sequence[ControlText], labels: tuple[str, ...], answered: Sequence[ControlText]
) -> str:
    """Why a version cannot be judged, in words; empty when it can."""
    if set(said.labels) != set(labels):
        return f"{said.order} answers with other labels than the project has now"
    if said.known is None:
        return f"it is not known what {said.order} was fitted on"
    known = set(said.known)
    fitted = sum(not known.isdisjoint(text.task_ids) for text in texts)
    if fitted:
        return f"{said.order} was fitted on {fitted} of the texts of the control set, before they were drawn"
    unscored = sum(text.task_ids[0] not in said.probs_of for text in answered)
    return f"{said.order} has still to score {unscored} of them" if unscored else ""


@dataclass(frozen=True)
class _Compared:
    """Which labels (N, K) people gave to the texts, and which the machine gives, with how sure it is of that (N); about
    which labels (N, K) people were asked."""

    given_NK: Bools
    guessed_NK: Bools
    sure_N: Array
    asked_NK: Bools

    @property
    def whole(self) -> Bools:
        """(N): people were asked about all labels."""
        return np.asarray(self.asked_NK.all(axis=1))

    @property
    def right(self) -> Bools:
        """(N): all labels of the text, and no others."""
        return np.asarray((self.given_NK == self.guessed_NK).all(axis=1))


def _compared(answered: Sequence[ControlText], said: Said | None, labels: tuple[str, ...], kind: str) -> _Compared:
    given = [_labels_of(text, kind) for text in answered]
    given_NK = np.array([[label in some for label in labels] for some in given], dtype=bool)
    given_NK = given_NK.reshape(len(answered), len(labels))
    left = [_unasked_in(text, kind) for text in answered]
    asked_NK = np.array([[label not in some for label in labels] for some in left], dtype=bool).reshape(given_NK.shape)
    if said is None:
        return _Compared(given_NK, given_NK, np.ones(len(answered)), asked_NK)
    columns = [said.labels.index(label) for label in labels]
    probs = [said.probs_of[text.task_ids[0]] for text in answered]
    probs_NC: Array = np.array(probs, dtype=np.float64).reshape(len(answered), len(labels))
    if kind == ANY_OF and said.layout:
        guessed_NC = said.layout.cuts[0].guessed(probs_NC)
        return _Compared(given_NK, guessed_NC[:, columns], np.ones(len(answered)), asked_NK)
    probs_NK = probs_NC[:, columns]
    guessed_NK = np.arange(len(labels)) == probs_NK.argmax(axis=1)[:, None]
    return _Compared(given_NK, np.asarray(guessed_NK), probs_NK.max(axis=1), asked_NK)


def _labels_of(text: ControlText, kind: str) -> Collection[str]:
    return next(iter(decoded(text.answer).values()), ()) if kind == ANY_OF else (text.answer,)


def _unasked_in(text: ControlText, kind: str) -> Collection[str]:
    return next(iter(unasked(text.answer).values()), ()) if kind == ANY_OF else ()


def _figures(kind: str, labels: tuple[str, ...], compared: _Compared, skipped: int) -> Figures:
    right, examples = int(compared.right[compared.whole].sum()), int(compared.whole.sum())
    accuracy, at_worst = quality.share_of(right, examples), quality.share_of(right, examples + skipped)
    shares = list(map(quality.share_of, compared.given_NK.sum(axis=0).tolist(), compared.asked_NK.sum(axis=0).tolist()))
    of_kind = _of_any if kind == ANY_OF else _of_classes
    macro_f1, recalls, f1s, calibration, confused = of_kind(compared)
    classes = zip(labels, shares, recalls, f1s, confused, strict=True)
    return Figures(
        accuracy,
        at_worst,
        macro_f1 if macro_f1.interval.width < WIDE else Estimate(None, macro_f1.interval, macro_f1.examples),
        calibration,
        tuple(
            OfClass(label, share, recall, f1, *((labels[other[0]], other[1]) if other else ()))
            for label, share, recall, f1, other in classes
        ),
        _step_error(compared) if kind == ORDERED else None,
    )


# Macro-F1, recalls, F1s, calibration, and what each class is taken for most.
_OfKind: TypeAlias = tuple[Estimate, list[Estimate], list[Estimate], Estimate, list[tuple[int, int] | None]]


def _of_classes(compared: _Compared) -> _OfKind:
    classes = compared.given_NK.shape[1]
    table_KK = quality.confusion(compared.given_NK.argmax(axis=1), compared.guessed_NK.argmax(axis=1), classes)
    calibration = quality.calibration(compared.sure_N, compared.right.astype(np.int64))
    recalls, f1s = quality.recalls(table_KK), quality.f1s(table_KK)
    return quality.macro_f1(table_KK), recalls, f1s, calibration, quality.most_confused(table_KK)


def _of_any(compared: _Compared) -> _OfKind:
    """Of labels of which any may be given; how sure the machine is of several at once is not known."""
    columns = zip(
        compared.given_NK.T.astype(np.int64), compared.guessed_NK.T.astype(np.int64), compared.asked_NK.T, strict=True
    )
    tables = [quality.confusion(given_N[asked_N], guessed_N[asked_N], 2) for given_N, guessed_N, asked_N in columns]
    recalls, f1s = [quality.recalls(table)[1] for table in tables], [quality.f1s(table)[1] for table in tables]
    calibration = quality.calibration(np.empty(0), np.empty(0, dtype=int))
    return quality.macro_f1_of_labels(tables), recalls, f1s, calibration, [None] * len(tables)


def _step_error(compared: _Compared) -> Estimate:
    errors_N = np.abs(compared.given_NK.argmax(axis=1) - compared.guessed_NK.argmax(axis=1))
    return quality.step_error(errors_N, compared.given_NK.shape[1])


def _share_of(right_N: Bools) -> Estimate:
    return quality.share_of(int(right_N.sum()), len(right_N))


def _more(accuracy: Estimate, left: int) -> int:
    """How many labels more its interval takes to be less than `WIDE` wide, if the share stays about as it is, drawn to
    one half as the centre of its interval is; without any label, the most that it may take. No more than the texts
    that are `left`, unless these will not do whatever they show."""
    if accuracy.interval.width < WIDE:
        return 0
    share, examples = sum(accuracy.interval) / 2, accuracy.examples
    needed = examples
    while clopper_pearson(round(share * needed), needed).width >= WIDE:
        needed += 1
    right = round((accuracy.value or 0.0) * examples)
    at_best = min(clopper_pearson(most, examples + left).width for most in (right, right + left))
    return min(needed - examples, left) if at_best < WIDE else needed - examples


def _more_for_macro_f1(macro_f1: Estimate, classes: int) -> int:
    """About how many labels more that one takes, as an interval gets narrower with the root of their number; at least
    one for each class is counted as there."""
    if macro_f1.interval.width < WIDE:
        return 0
    needed = max(macro_f1.examples, classes) * (macro_f1.interval.width / WIDE) ** 2
    return max(1, math.ceil(needed) - macro_f1.examples)
