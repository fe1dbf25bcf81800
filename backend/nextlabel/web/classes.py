"""What is known of each class of a project's form, for its page and its metrics. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel.problems.history import CONTROL_SET, HOLDOUT
from nextlabel.problems.intervals import NOTHING_KNOWN
from nextlabel.problems.judgement import Judgement, OfClass, of_table
from nextlabel.problems.quality import Estimate
from nextlabel.problems.quality_words import each
from nextlabel.store.status import QueueStatus
from nextlabel.values.versions import Card

UNKNOWN = Estimate(None, NOTHING_KNOWN, 0)


@dataclass(frozen=True)
class Row:
    """A class, and how many labels of it are learnt; None: that is not known."""

    of_class: OfClass
    learnt: int | None


@dataclass(frozen=True)
class Table:
    """All classes of one `question`, without a name where there is but one, or where nothing judges it. They are
    `judged_by` the labels of the control set or the holdout; empty: nothing is known but how many labels there are."""

    question: str
    judged_by: str
    rows: tuple[Row, ...]


def tables(judgement: Judgement, cards: Sequence[Card], queue: QueueStatus) -> list[Table]:
    """A table for each question that is judged, and one of all other classes; none before there is any label."""
    active = next((card for card in cards if card.version == queue.version), None)
    learnt = queue.by_class or (active.label_counts if active else {})
    found = [_judged(one, learnt) for one in each(judgement) if one.figures and one.sample.answered]
    if not found and active and active.held_out:
        classes = of_table(active.labels, np.array(active.held_out, dtype=np.int64))
        found = [Table("", HOLDOUT, tuple(Row(one, learnt.get(one.label)) for one in classes))]
    known = {name for table in found for row in table.rows for name in _names(table.question, row.of_class.label)}
    rest = tuple(Row(OfClass(label, UNKNOWN, UNKNOWN, UNKNOWN), n) for label, n in learnt.items() if label not in known)
    return [*found, Table("", "", rest)] if rest and any(learnt.values()) else found


def _judged(judgement: Judgement, learnt: Mapping[str, int]) -> Table:
    classes = judgement.figures.classes if judgement.figures else ()
    return Table(judgement.question, CONTROL_SET, tuple(_row(judgement.question, one, learnt) for one in classes))


def _row(question: str, of_class: OfClass, learnt: Mapping[str, int]) -> Row:
    return Row(of_class, next((learnt[name] for name in _names(question, of_class.label) if name in learnt), None))


def _names(question: str, label: str) -> tuple[str, str]:
    """What a label may be called where several questions are asked, and where there is one."""
    return f"{question}: {label}", label
