"""What a form asked and how well each question was answered, as reports tell it. Knows no statistics."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nextlabel.simulation.blocks import Table
from nextlabel.simulation.records import Record, Run
from nextlabel.values.layout import ANY_OF, MAXIMUM, ONE_OF, ORDERED, Cut, Layout

KINDS = {ONE_OF: "one of", ANY_OF: "any of", ORDERED: "one step of"}
# The head of a column, and by which of a question's measures it is filled.
COLUMNS = {
    "all right": ("accuracy", "exact_match"),
    "macro-F1": ("macro_f1",),
    "micro-F1": ("micro_f1",),
    "mean absolute error": ("mean_absolute_error",),
    "kappa": ("kappa",),
}


def layout_of(run: Run) -> Layout | None:
    """How a form's numbers are divided; None of one question with one class a text."""
    return Layout.of(run.setting["data"].get("questions"))


def classes_of(run: Run) -> int:
    """How many classes the one question has; 0 of a form, whose orders are none of theirs."""
    return 0 if layout_of(run) else len(run.setting["data"]["labels"])


def question_in_words(cut: Cut) -> str:
    """What may be answered, such as `topic: one of 4 (politics, sport, …)`."""
    return f"{cut.name}: {KINDS[cut.kind]} {len(cut.labels)} ({', '.join(cut.labels)})"


def mean_over(layout: Layout) -> str:
    """What the score of a form is the mean over, in words."""
    if len(layout.cuts) > 1:
        return f"mean of the questions {' and '.join(cut.name for cut in layout.cuts)}"
    return f"mean of {len(layout.cuts[0].labels)} labels"


def rules(layout: Layout) -> Iterator[str]:
    """Sentences on what is asked, how texts are ordered by it, and what the scores are."""
    yield f"Questions: {'; '.join(map(question_in_words, layout.cuts))}."
    if len(layout.cuts) > 1:
        ways = "the highest of its values" if layout.combine == MAXIMUM else "the mean of its values"
        weights = [f"{cut.name} {cut.weight:g}" for cut in layout.cuts if cut.weight != 1]
        yield f"A text's value is {ways} for each question{', by weights ' * bool(weights) + ', '.join(weights)}."
    yield (
        "A question's macro-F1 is the mean F1 of its classes that have examples in the part that is scored; where any "
        "labels may be given, of all its labels, and its accuracy is the share of texts with all labels right. A score "
        "of all questions is the mean of theirs. A text counts for the questions that were answered."
    )


def question_table(layout: Layout, part: str, last: Mapping[str, Sequence[Record]], labels: str) -> Table:
    """Each question's measures, for each arm: means over the seeds' records of `last`, which have so many `labels`."""
    rows = [
        [cut.name, name, *(_mean(records, part, cut, measures) for measures in COLUMNS.values())]
        for cut in layout.cuts
        for name, records in last.items()
    ]
    return Table(
        f"Each question on {part}, with {labels} labels: means over seeds. Mean absolute error is in steps, kappa is "
        "weighted by their squares.",
        ["question", "arm", *COLUMNS],
        rows,
    )


def label_table(layout: Layout, part: str, last: Mapping[str, Sequence[Record]], labels: str) -> Table:
    """F1 of each label of each question, for each arm."""
    rows = [
        [cut.name, label, *(_mean(records, part, cut, [f"f1 {label}"]) for records in last.values())]
        for cut in layout.cuts
        for label in cut.labels
    ]
    return Table(f"F1 on {part}, with {labels} labels: means over seeds.", ["question", "label", *last], rows)


def _mean(records: Sequence[Record], part: str, cut: Cut, measures: Sequence[str]) -> str:
    of_seeds = [((record.questions or {}).get(part) or {}).get(cut.name) or {} for record in records]
    found = [of[name] for of in of_seeds for name in measures if name in of]
    return f"{np.mean(found):.4f}" if found else ""
