"""What people read of a judgement: sentences, and a table of the classes. docs/quality.md explains each."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from shlex import quote

from nextlabel.problems.intervals import Interval
from nextlabel.problems.judgement import WIDE, Figures, Judgement, NextAudit, OfClass, Sample, tells
from nextlabel.problems.quality import Estimate
from nextlabel.values.layout import ANY_OF

NAMED = 5  # classes in one sentence
PATTERN = 2  # times a class is taken for another, from which on that is told
JUST_SHOWN = 0.2  # the width of an interval from which on a figure has hardly come to be shown
EARLY = 10  # labels of the control set, from which on a range is told, however wide
PAYS = 0.97  # with less on what is left an audit for 95 % takes thousands of labels
SKIPPED = 2.5  # percent of an audit's labels, half of its risk
SAVES_HALF = 261  # tasks left, from which on a first audit without a wrong label asks people for half of them at most
JUDGED_BY = 30  # labels that tell about how much is right of what is left
HEADER = ("Class", "Labels", "Share of the texts", "Recall", "F1")


def sentences(judgement: Judgement, first: int = 0, *, project: int) -> list[str]:
    """What the control set of a project says of a version, the most important first; nothing without a control set. So
    many `first` texts of the set are labelled before all else."""
    if not judgement.control_share:
        return []
    asked = each(judgement)
    # Why there is none is said once.
    paragraphs = dict.fromkeys(tuple(_of_version(one, first)) for one in asked)
    return [*chain.from_iterable(paragraphs), *_of_sample(judgement.sample), *_of_holdout(judgement, first, project)]


def how_good(judgement: Judgement) -> list[str]:
    """What is known of how many of the machine's labels are right, before they are taken for good."""
    return [_how_good(one) for one in each(judgement)]


def _how_good(judgement: Judgement) -> str:
    about = f" on {judgement.question!r}" if judgement.question else ""
    accuracy = judgement.figures.accuracy if judgement.figures else None
    for what, share in (("The machine's labels", judgement.left), ("New texts like these", accuracy)):
        if share is not None and (tells(share) or early(share)):
            return f"{what}{about}: {_right(share, '')}."
    return f"Nothing is known of how good these labels are{about}: {_why_unknown(judgement)}."


def _why_unknown(judgement: Judgement) -> str:
    if not judgement.control_share:
        return "the project has no control set"
    if judgement.figures is None:
        return judgement.why
    sample = judgement.sample
    has = "have" if sample.answered > 1 else "has"
    return f"{sample.answered or 'none'} of {_texts(sample.texts)} of the control set {has} a label"


@dataclass(frozen=True)
class Needed:
    """So many more labels of the control set, and about how many in all that means; None: it has fewer left."""

    control: int
    in_all: int | None


def needed(labels: int, judgement: Judgement, first: int = 0) -> Needed:
    """What so many more labels of the control set take, of which the `first` ones come before all others."""
    sample = judgement.sample
    done = sample.answered + sample.skipped
    at_once = min(labels, max(0, first - done))
    in_all = at_once + (labels - at_once) / judgement.control_share
    return Needed(labels, int(_about(in_all)) if labels <= sample.left else None)


def for_range(judgement: Judgement) -> int:
    """How many more labels of the control set it takes for a range of the accuracy."""
    return max(0, EARLY - judgement.sample.answered)


def early(estimate: Estimate | None) -> bool:
    """Whether a range can be told of a share, and no figure yet."""
    return estimate is not None and estimate.examples >= EARLY and not tells(estimate)


def sooner(judgement: Judgement, first: int = 0) -> int:
    """How many texts of the control set to have labelled before all others, so that a figure of the accuracy comes
    soon; 0 where there is one, where as many come first anyway, and where the set has too few."""
    sample = judgement.sample
    wanted = 10 * math.ceil((sample.answered + sample.skipped + judgement.more) / 10)
    comes = judgement.figures is None or not judgement.more or first >= wanted
    return 0 if comes or wanted > sample.texts else wanted


def each(judgement: Judgement) -> tuple[Judgement, ...]:
    """That of each question of a form; the judgement itself where there is but one question."""
    return judgement.questions or (judgement,)


def _of_version(judgement: Judgement, first: int) -> Iterator[str]:
    figures, sample = judgement.figures, judgement.sample
    if figures is None:
        yield f"Nothing can be said of a version yet: {judgement.why}."
        return
    drawn = f"{_texts(sample.texts)} drawn at random and never learnt from"
    about = f" on {judgement.question!r}" if judgement.question else ""
    all_at_once = ", all labels of each" if judgement.kind == ANY_OF else ""
    yield f"{judgement.order}{about}, judged by {sample.answered or 'none'} of {drawn}:"
    yield f"New texts like these{all_at_once}: {_right(figures.accuracy, _more(judgement.more, judgement, first))}."
    yield f"The machine's labels on what is left: {_left(judgement)}."
    yield f"Macro-F1: {_macro_f1(figures.macro_f1, judgement, first)}."
    if figures.error:
        yield f"Mean error: {_error(figures.error, len(figures.classes))}."
    if figures.accuracy.examples and figures.calibration.interval.width < WIDE:
        yield f"Calibration: {calibration_of(figures.calibration)}."
    if mistakes := confusions(figures, 1):
        yield f"Most often confused: {mistakes[0]}."
    unknown = [repr(of_class.label) for of_class in figures.classes if of_class.recall.value is None]
    if unknown and sample.answered:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        yield f"Nothing is known about {', '.join(unknown[:NAMED])}{more}: no control task has that label."
    if sample.skipped:
        everybody, worst = sample.answered + sample.skipped, figures.at_worst
        has, all_of = ("has", "it") if sample.skipped == 1 else ("have", "all of them")
        yield (
            f"{sample.skipped} of {_texts(everybody)} {has} no answer that counts; had the machine been wrong on "
            f"{all_of}, {percent(worst.value or 0)} would be right ({_between(worst.interval)})."
        )


def _of_sample(sample: Sample) -> Iterator[str]:
    if sample.waiting:
        in_hand = f", {sample.in_hand} of them for that of further annotators" if sample.in_hand else ""
        are, wait = ("is" if sample.waiting == 1 else "are"), ("waits" if sample.missing == 1 else "wait")
        missing = f"{_texts(sample.missing)} before still {wait} for an answer{in_hand}"
        yield f"{sample.waiting} more {are} labelled and not counted yet, as {missing}."
    if sample.newer:
        yield (
            f"{_texts(sample.newer)} of the control set came with a later import. Those that are due are served first; "
            "until they are labelled, the figures are about the tasks that were there before."
        )


def _of_holdout(judgement: Judgement, first: int, project: int) -> Iterator[str]:
    if wanted := sooner(judgement, first):
        command = f"`nextlabel connect --project {project} --holdout {wanted}`"
        yield f"{command} has as many texts of the control set labelled before all others."


def _right(accuracy: Estimate, more: str) -> str:
    if accuracy.value is None:
        return f"cannot tell yet{more}"
    share = f"{round(accuracy.value * accuracy.examples)} of {accuracy.examples}"
    if early(accuracy):
        return f"{_between(accuracy.interval)} right ({share}), too wide a range for one figure{more}"
    if not tells(accuracy):
        return f"cannot tell yet; {share} right may mean {_between(accuracy.interval)}{more}"
    return f"{percent(accuracy.value)} right ({share}; {_between(accuracy.interval)}){_just_shown(accuracy)}"


def _just_shown(estimate: Estimate) -> str:
    """An interval gets narrow first where the sample looks good: what is hardly shown yet is too high on average."""
    just = estimate.interval.width >= JUST_SHOWN
    return "; a figure that has just come to be shown is rather too high" if just else ""


def _left(judgement: Judgement) -> str:
    if judgement.left is None:
        return f"cannot tell, as {judgement.why_left}"
    return _right(judgement.left, "")


def worth_an_audit(
    judgement: Judgement, project: int, audit: NextAudit, least: float = PAYS, done: Collection[str] = ()
) -> str:
    """What an audit takes, and the command that says it whole; of a form of the first question that is worth it: the
    `least` share or more is right of what is left, and it is none of those `done`. Empty where there is none, or where
    so few tasks are left that people might label more than half of them though no label were wrong."""
    saves_half = audit.tasks >= max(SAVES_HALF, 2 * audit.without_error)
    for one in each(judgement) if saves_half else ():
        right = None if one.question in done else one.left
        if right is not None and right.value is not None and right.value >= least and right.examples >= JUDGED_BY:
            question = f" --question {quote(one.question)}" if one.question else ""
            command = f"`nextlabel certificate start --project {project} --dry-run{question}`"
            takes = (
                f"about {audit.without_error} if none that it tests is wrong, and more if any is; what is skipped or "
            )
            takes += f"given an ignored label counts as wrong where that is more than {SKIPPED} % of them"
            return f"{command} says how many labels it takes: {takes}"
    return ""


def _macro_f1(macro_f1: Estimate, judgement: Judgement, first: int) -> str:
    if macro_f1.value is None:
        return f"cannot tell yet{_more(judgement.more_for_macro_f1, judgement, first)}"
    return f"{_number(macro_f1)}{_just_shown(macro_f1)}"


def _error(error: Estimate, steps: int) -> str:
    low, high = error.interval
    if error.value is None or error.interval.width >= WIDE * (steps - 1):
        return f"cannot tell yet; {low:.2f} to {high:.2f} steps"
    return f"{error.value:.2f} steps ({low:.2f} to {high:.2f})"


def confusions(figures: Figures, most: int) -> list[str]:
    """The most frequent mistakes, one of a class, the most frequent first; a single one is no pattern."""
    found = [one for one in figures.classes if one.times >= PATTERN]
    return [
        f"{one.times} of {one.recall.examples} {one.label!r} were called {one.taken_for!r}"
        for one in sorted(found, key=lambda one: -one.times)[:most]
    ]


def calibration_of(calibration: Estimate) -> str:
    """How sure it is beside how often it is right, in words."""
    points = 100 * (calibration.value or 0.0)
    low, high = (100 * limit for limit in calibration.interval)
    word = "surer" if points >= 0 else "less sure"
    return f"on average it is {abs(points):.0f} points {word} than it is right ({low:+.0f} to {high:+.0f} points)"


def _more(labels: int, judgement: Judgement, first: int) -> str:
    """How many labels are wanted, and how many in all that means, if the control set has as many."""
    if not labels:
        return ""
    found, about = needed(labels, judgement, first), _about(labels)
    if found.in_all is None:
        return f"; {not_possible(about, judgement.sample.left)}"
    may_not_do = all_left(labels, judgement.sample.left)
    return f"; about {about} more labels of the control set are needed, about {found.in_all} in all{may_not_do}"


def all_left(labels: int, left: int) -> str:
    """That it may take more than these labels, where they are all that the control set has left."""
    return ", and as it has no more left, these may not be enough" if labels == left else ""


def not_possible(labels: str, left: int) -> str:
    """That the control set has too few texts left for so many more labels, and what adds to it."""
    return (
        f"not possible with the tasks left: about {labels} more labels of the control set are needed, and it has "
        f"{left or 'none'} left; more texts or a larger control_share add to it"
    )


def _about(count: float) -> str:
    """Two digits of it."""
    return f"{float(f'{count:.2g}'):.0f}"


def rows(figures: Figures) -> list[tuple[str, ...]]:
    """A row for each class that has a label in the control set, as of `HEADER`."""
    return [_row(of_class) for of_class in figures.classes if of_class.recall.examples]


def _row(of_class: OfClass) -> tuple[str, ...]:
    share, recall = of_class.share, of_class.recall
    return (
        of_class.label,
        str(recall.examples),
        f"{percent(share.value or 0.0)} ({_between(share.interval)})",
        f"{percent(recall.value or 0.0)} ({_between(recall.interval)})",
        _number(of_class.f1),
    )


def percent(share: float) -> str:
    """Nearly all is not all, and nearly nothing is not nothing."""
    text = f"{100 * share:.0f}"
    return f"{100 * share:.1f} %" if text in ("0", "100") and 0 < share < 1 else f"{text} %"


def _between(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"


def _number(estimate: Estimate) -> str:
    return f"{estimate.value or 0.0:.2f} ({estimate.interval.low:.2f} to {estimate.interval.high:.2f})"


def _texts(count: int) -> str:
    return "1 text" if count == 1 else f"{count} texts"
