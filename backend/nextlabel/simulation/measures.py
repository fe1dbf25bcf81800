"""Measures of quality from what a run's versions said of dev and test, and whether its records agree with that.

Of a part with N examples and C classes:

Accuracy, the F1 of each class (0 where it is neither there nor guessed) and macro-F1 (the mean over the classes that
have examples) are of the stored classes.

Calibration error (ECE). 15 bins of equal width, each with its upper and without its lower end, 0 in the first. An
example's confidence is the stored probability of its stored class. The sum over the bins of |number right - sum of
confidences|, divided by N. Stored probabilities are v / 255, and 255 = 15 x 17: bin b, from 0, holds v from 17 b + 1 to
17 b + 17.

Brier score. The mean over the examples of the sum over all C classes of (stored probability - 1 or 0)^2, in [0, 2].

Stored probabilities are rounded to 1/255, and no row is scaled to make its sum 1 again.

Of a form accuracy, macro-F1, calibration error and Brier score are the means over the questions that somebody answered,
each over the examples of which it was. Where any labels may be given, accuracy is that of all labels together, macro-F1
the mean over all labels, and for the other two each label of each example counts as an example of two classes: given,
with its probability v / 255, and not given, with the rest.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.problems.form import Form
from nextlabel.problems.metrics import f1_of_class, macro_f1
from nextlabel.problems.question import Question
from nextlabel.simulation import probabilities
from nextlabel.simulation.probabilities import LEVELS, Said, Targets
from nextlabel.simulation.records import Record, Run
from nextlabel.simulation.scores import ByQuestion, by_question, scores
from nextlabel.values import arrays
from nextlabel.values.arrays import Ints
from nextlabel.values.layout import ANY_OF, Layout

BINS = 15
SAME = 1e-12  # what the order of a sum may change


@dataclass(frozen=True)
class Measures:
    """Of one version on one part: all in [0, 1] but `brier`, in [0, 2]. `f1` of each class, in the classes' order. Of a
    form `questions` has what each one is measured by."""

    accuracy: float
    macro_f1: float
    f1: tuple[float, ...]
    ece: float
    brier: float
    questions: ByQuestion | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def measure(said: Said, targets_N: Ints) -> Measures:
    """All measures of what was said of N examples whose right classes are `targets_N`. Raises `ValueError` on none."""
    return Measures(
        accuracy=float(np.mean(said.classes_N == targets_N)),
        macro_f1=macro_f1(targets_N, said.classes_N),
        f1=tuple(f1_of_class(targets_N, said.classes_N, c) for c in range(said.probs_NC.shape[1])),
        ece=calibration_error(said, targets_N),
        brier=brier(said, targets_N),
    )


def measure_form(form: Form, said: Said, targets_NC: arrays.Targets) -> Measures:
    """The same of a form, whose targets are those of `Layout.targets`. Raises `ValueError` where nobody answered."""
    found, measured = scores(form, targets_NC, said.classes_N), form.measures(targets_NC, said.classes_N)
    questions = list(unfolded(form.layout, said, targets_NC))
    return Measures(
        accuracy=found["accuracy"],
        macro_f1=found["macro_f1"],
        f1=tuple(
            measured.get(cut.name, {}).get(f"f1 {label}", 0.0) for cut in form.layout.cuts for label in cut.labels
        ),
        ece=float(np.mean([calibration_error(*one) for one in questions])),
        brier=float(np.mean([brier(*one) for one in questions])),
        questions=measured,
    )


def unfolded(layout: Layout | None, said: Said, targets: arrays.Targets) -> Iterator[tuple[Said, Ints]]:
    """What was said of each question that somebody answered, as if nothing else were asked, with the right classes. A
    question of which any labels may be given becomes one of two classes, of as many examples as there are labels."""
    if layout is None:
        yield said, targets
        return
    for cut, at in layout.parts:
        asked_NC = ~np.isnan(targets[:, at])
        asked_N = asked_NC.any(axis=1)
        if not asked_N.any():
            continue
        if cut.kind == ANY_OF:
            probs_L, given_L, right_L = (of[:, at][asked_NC] for of in (said.probs_NC, said.classes_N, targets))
            yield Said(1 - given_L, np.stack([probs_L, 1 - probs_L], axis=1)), 1 - right_L.astype(np.int64)
        else:
            given_M, right_M = (of[asked_N, at].argmax(axis=1) for of in (said.classes_N, targets))
            yield Said(given_M, said.probs_NC[asked_N, at]), right_M


def calibration_error(said: Said, targets_N: Ints) -> float:
    """The expected calibration error over 15 bins of equal width, in [0, 1]."""
    levels_N = confidence_levels(said)
    bins_N = bin_of(levels_N)
    gaps_N = (said.classes_N == targets_N) * LEVELS - levels_N
    gaps = [abs(int(gaps_N[bins_N == b].sum())) for b in range(BINS)]
    return sum(gaps) / (LEVELS * len(targets_N))


def confidence_levels(said: Said) -> Ints:
    """The stored probability of each example's stored class, in steps of 1/255: whole numbers, whose sums are exact."""
    levels_N: Ints = np.rint(said.probs_NC[np.arange(len(said.classes_N)), said.classes_N] * LEVELS).astype(np.int64)
    return levels_N


def bin_of(levels_N: Ints) -> Ints:
    """In which bin of the calibration error each confidence lies, from 0."""
    return np.maximum(levels_N - 1, 0) // (LEVELS // BINS)


def brier(said: Said, targets_N: Ints) -> float:
    """The mean squared distance between the probabilities and the right answer, in [0, 2]."""
    right_NC = targets_N[:, None] == np.arange(said.probs_NC.shape[1])
    squares_NC = (np.rint(said.probs_NC * LEVELS).astype(np.int64) - right_NC * LEVELS) ** 2
    return int(squares_NC.sum()) / (LEVELS**2 * len(targets_N))


def measured(out: Path, record: Record, targets: Mapping[str, Targets]) -> dict[str, Measures]:
    """The measures of a round by part. Raises `BadRunError` when what it said is missing or damaged."""
    said, question = _said(out, record, targets), probabilities.read_question(out)
    if isinstance(question, Form):
        return {part: measure_form(question, said[part], targets[part].classes_N) for part in targets}
    return {part: measure(said[part], targets[part].classes_N) for part in targets}


def check(out: Path, run: Run) -> None:
    """Raises `BadRunError` at the first score of the records that is not the one of the stored classes."""
    targets, question = probabilities.read_targets(out), probabilities.read_question(out)
    for record in run.rounds:
        said = _said(out, record, targets)
        for part, name, noted, found in _scores(question, record, said, targets):
            if not math.isclose(noted, found, rel_tol=0, abs_tol=SAME):
                raise BadRunError(
                    f"Seed {record.seed}, {record.strategy}, round {record.round}: {name} on {part} is {noted!r} in "
                    f"{out}/rounds.jsonl, and {found!r} by the stored classes. Restore both, or play this seed again."
                )


def _scores(
    question: Question, record: Record, said: Mapping[str, Said], targets: Mapping[str, Targets]
) -> Iterator[tuple[str, str, float, float]]:
    """Part, name, what the record has, and what the stored classes give."""
    for part, right in targets.items():
        noted = (record.dev if part == "dev" else record.test) or {}
        classes_N, wanted_N = said[part].classes_N, right.classes_N
        for name, value in scores(question, wanted_N, classes_N).items():
            yield part, name, noted.get(name, math.nan), value
        noted_of = (record.questions or {}).get(part, {})
        for asked, measured in (by_question(question, wanted_N, classes_N) or {}).items():
            for name, value in measured.items():
                yield part, f"{name} of {asked}", noted_of.get(asked, {}).get(name, math.nan), value


def _said(out: Path, record: Record, targets: Mapping[str, Targets]) -> dict[str, Said]:
    said = probabilities.read(out, record.seed, record.strategy, record.round)
    for part, right in targets.items():
        there = len(said[part].classes_N) if part in said else 0
        if there != len(right.classes_N):
            raise BadRunError(
                f"Seed {record.seed}, {record.strategy}, round {record.round}: {there} examples of {part} are stored, "
                f"and targets.json has {len(right.classes_N)}. Restore both, or play this seed again."
            )
    return said
