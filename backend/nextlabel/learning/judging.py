"""What the control set says of a version: which of its texts count, and the figures. Pure.

docs/quality.md has the definitions in words.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from nextlabel.problems import quality
from nextlabel.problems.intervals import wilson
from nextlabel.problems.judgement import WIDE, Figures, Judgement, OfClass, Sample
from nextlabel.problems.quality import Estimate
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.layout import Layout

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
) -> Judgement:
    """What the control set's `texts`, in the order of their draws, say of a version; None: there is none yet.

    The figures are about the tasks up to `last_task`. Classes are the project's `labels`. `noted`: the marks are
    complete.
    """
    sample = counting(until(texts, last_task))
    answered = [text for text in sample if text.state == ANSWERED]
    found = _sample(texts, last_task, sample)
    why = _objection(said, texts, labels, answered) if said else NO_VERSION
    if said is None or why:
        empty_KK: Ints = np.zeros((len(labels), len(labels)), dtype=np.int64)
        needs = _more(quality.accuracy(empty_KK)), _more_for_macro_f1(quality.macro_f1(empty_KK), len(labels))
        return Judgement(said.order if said else "", share, found, why, None, None, why, *needs)
    right_N, probs_NK = _aligned(answered, said, labels)
    table_KK = quality.confusion(right_N, probs_NK.argmax(axis=1), len(labels))
    figures = _figures(table_KK, right_N, probs_NK, labels, found.skipped)
    unmarked_N = np.array([not text.marked for text in answered], dtype=bool)
    left = quality.accuracy(quality.confusion(right_N[unmarked_N], probs_NK[unmarked_N].argmax(axis=1), len(labels)))
    return Judgement(
        said.order,
        share,
        found,
        "",
        figures,
        left if noted else None,
        "" if noted else NOT_NOTED,
        _more(figures.accuracy),
        _more_for_macro_f1(figures.macro_f1, len(labels)),
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


def _aligned(answered: Sequence[ControlText], said: Said, labels: tuple[str, ...]) -> tuple[Ints, Array]:
    """The right class of each text, and the probabilities in the order of `labels`."""
    columns = [said.labels.index(label) for label in labels]
    right_N = np.array([labels.index(text.answer) for text in answered], dtype=np.int64)
    probs = [said.probs_of[text.task_ids[0]] for text in answered]
    probs_NK = np.array(probs, dtype=np.float64).reshape(len(answered), len(labels))
    return right_N, probs_NK[:, columns]


def _figures(table_KK: Ints, right_N: Ints, probs_NK: Array, labels: tuple[str, ...], skipped: int) -> Figures:
    accuracy, macro_f1 = quality.accuracy(table_KK), quality.macro_f1(table_KK)
    right, everybody = int(np.trace(table_KK)), accuracy.examples + skipped
    at_worst = Estimate(right / everybody if everybody else None, wilson(right, everybody), everybody)
    sizes, recalls, f1s = table_KK.sum(axis=1).tolist(), quality.recalls(table_KK), quality.f1s(table_KK)
    shares = [_share(size, accuracy.examples) for size in sizes]
    confused = [(labels[one[0]], one[1]) if one else ("", 0) for one in quality.most_confused(table_KK)]
    classes = zip(labels, shares, recalls, f1s, confused, strict=True)
    hits_N = (probs_NK.argmax(axis=1) == right_N).astype(np.int64)
    return Figures(
        accuracy,
        at_worst,
        macro_f1 if macro_f1.interval.width < WIDE else Estimate(None, macro_f1.interval, macro_f1.examples),
        quality.calibration(probs_NK.max(axis=1), hits_N),
        tuple(OfClass(label, share, recall, f1, *other) for label, share, recall, f1, other in classes),
    )


def _share(successes: int, trials: int) -> Estimate:
    return Estimate(successes / trials if trials else None, wilson(successes, trials), trials)


def _more(accuracy: Estimate) -> int:
    """How many labels more Wilson's interval takes to be less than `WIDE`, if the share stays about as it is, drawn to
    one half as Wilson's centre is; without any label, the most that it may take."""
    share = sum(accuracy.interval) / 2
    needed = accuracy.examples
    while wilson(share * needed, needed).width >= WIDE:
        needed += 1
    return needed - accuracy.examples if accuracy.interval.width >= WIDE else 0


def _more_for_macro_f1(macro_f1: Estimate, classes: int) -> int:
    """About how many labels more that one takes, as an interval gets narrower with the root of their number; at least
    one for each class is counted as there."""
    if macro_f1.interval.width < WIDE:
        return 0
    needed = max(macro_f1.examples, classes) * (macro_f1.interval.width / WIDE) ** 2
    return max(1, math.ceil(needed) - macro_f1.examples)
