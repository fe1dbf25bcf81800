"""What predictions score, whatever the question: the numbers of a record. Knows no models."""

from collections.abc import Mapping

import numpy as np

from nextlabel.problems.form import Form
from nextlabel.problems.metrics import macro_f1
from nextlabel.problems.question import Question
from nextlabel.values.arrays import Targets

ByQuestion = Mapping[str, Mapping[str, float]]  # measures of `Form.measures`, by question


def scores(question: Question, targets: Targets, predictions: Targets) -> dict[str, float]:
    """Accuracy, F1 and their mean, as the question evaluates them, the number of examples, and macro-F1: of a form the
    mean over its questions. Raises `ValueError` on no examples."""
    found = question.evaluate(targets, predictions).as_dict()
    return {**found, "macro_f1": _macro_f1(question, targets, predictions)}


def _macro_f1(question: Question, targets: Targets, predictions: Targets) -> float:
    if not isinstance(question, Form):
        return macro_f1(targets, predictions)
    return float(np.mean([of["macro_f1"] for of in question.measures(targets, predictions).values()]))


def by_question(question: Question, targets: Targets, predictions: Targets) -> ByQuestion | None:
    """All measures of each question of a form; None where there is one with one answer."""
    return question.measures(targets, predictions) if isinstance(question, Form) else None
