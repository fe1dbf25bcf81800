"""What the rows of a file say to several questions, or to one with any number of labels: an answer each, or why none.

A question is a column, or a control of Label Studio. Where one label is to be given, an empty cell says that it was not
answered; where any may be given it says: none of them. There JSON tells both apart: an empty list is none, null or no
value at all is no answer. Label Studio's exports do not: whoever annotated a task without a label of such a question
counts as having said none, also where the question was not shown, unless the labelling config is at hand to tell.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nextlabel.errors import BadCorpusError
from nextlabel.labelstudio.controls.kinds import KINDS
from nextlabel.problems.form import Form
from nextlabel.simulation.datasets import exports
from nextlabel.simulation.datasets.exports import NO_LABEL, Answer, Answers, Labels, Values
from nextlabel.simulation.datasets.tables import Table, listed, shown
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, Cut, Layout, encoded

NUMBER = re.compile(r"-?[0-9]+([.][0-9]+)?", re.ASCII)
STEPS = {kind.item_type for kind in KINDS.values() if kind.steps}  # types of Label Studio's results that are steps
MANY_VOTES = "of each question ground truth decides, else the majority, else the latest."


@dataclass(frozen=True)
class Columns:
    """The questions, by the columns or controls that hold their labels. Cells are split at the `separator`, but not of
    those that are `ordered`: their labels are numbers, in whose order they are steps. Of `any_of` any number may be
    given. `said` reads an annotation in Label Studio's JSON as the live loop does; without it each question is answered
    that has a label, and each of which any may be given."""

    names: tuple[str, ...]
    separator: str | None = None
    any_of: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    said: exports.Said | None = None

    @property
    def ask_form(self) -> bool:
        """Whether this is more than one question with one class, whatever the file holds."""
        return len(self.names) > 1 or bool(self.separator or self.any_of or self.ordered)

    def check(self) -> None:
        """Raises `BadCorpusError` for what cannot be meant."""
        for name in (*self.any_of, *self.ordered):
            if name not in self.names:
                raise BadCorpusError(f"{name!r} is not among the labels {listed(self.names)}. Give it to --label too.")
        for name in self.any_of:
            if name in self.ordered:
                raise BadCorpusError(f"Of {name!r} any labels may be given, or they are steps. Give one of the two.")


class Given(NamedTuple):
    """What one person says, whether it is the ground truth, and when it was said."""

    labels: Labels
    truth: bool = False
    when: str = ""


class Said(NamedTuple):
    """A row or task: what each of those who answered it says, or why nobody did."""

    number: int
    values: Values
    given: Sequence[Given] = ()
    why_not: str = NO_LABEL


@dataclass(frozen=True)
class Read:
    """A file as it was read. `steps` are the questions that Label Studio's ratings and numbers answer."""

    table: Table
    kind: str
    unit: str
    found: Sequence[Said]
    steps: frozenset[str] = field(default=frozenset())


def has_lists(table: Table, label: str) -> bool:
    """Whether a plain table has a column of lists, some with several labels; one row alone says too little."""
    values = [row.get(label) for _, row in table.rows if row.get(label) is not None]
    plain = exports.kind_of(table, label) == ""
    lists = len(values) > 1 and all(isinstance(value, list) for value in values)
    return plain and lists and any(len(set(map(str, value))) > 1 for value in values if isinstance(value, list))


def read(table: Table, text: str, columns: Columns) -> Read:
    """All that is said. `text` names the column that tells tasks with the same id apart.

    Raises `BadCorpusError` for a value that is no label, or a control that nobody answered or that labels parts.
    """
    kind = exports.kind_of(table, columns.names[0])
    if kind == exports.TASKS:
        return _of_tasks(table, columns)
    exports.require_no_config(table, columns.said)
    if kind == exports.ANNOTATIONS:
        return Read(table, kind, "task", list(_of_annotations(table, text, columns)))
    return Read(table, kind, "row", [_of_row(table, number, row, columns) for number, row in table.rows])


def kinds_of(found: Read, columns: Columns) -> dict[str, str]:
    """What kind each question is, by what a training file says."""
    several = {name for _, labels in _all_labels(found) for name, given in labels.items() if len(given) > 1}
    split = set(columns.names) if columns.separator and len(columns.names) == 1 else set()
    any_of = {*columns.any_of, *split, *several} - set(columns.ordered)
    ordered = {*columns.ordered, *found.steps}
    return {name: ANY_OF if name in any_of else ORDERED if name in ordered else ONE_OF for name in columns.names}


def answers(found: Read, kinds: Mapping[str, str]) -> Answers:
    """The answer of each row or task, of several people's what they come to in the live loop.

    Raises `BadCorpusError` for several labels where the kind of the question has one, and for steps without a number.
    """
    _require(found, kinds)
    form = Form.of_layout(Layout(tuple(Cut(name, kind, _labels(found, name, kind)) for name, kind in kinds.items())))
    votes = {said.number: [_vote(given, kinds) for given in said.given] for said in found.found}
    joined = [_answer(said, form.consensus(votes[said.number])) for said in found.found]
    return Answers(found.kind, found.unit, joined, exports.disputes(found.table, votes, MANY_VOTES))


def in_order(labels: Sequence[str], kind: str) -> list[str]:
    """Labels as a question has them: by number where all are numbers, else by the alphabet."""
    if kind == ORDERED or all(NUMBER.fullmatch(label) for label in labels):
        return sorted(labels, key=float)
    return sorted(labels)


def _answer(said: Said, answer: str | None) -> Answer:
    return Answer(said.number, said.values, why_not=said.why_not) if answer is None else Answer(*said[:2], answer)


def _vote(given: Given, kinds: Mapping[str, str]) -> Vote:
    """Nothing is an answer where any labels may be given, and none where one is."""
    answered = {name: labels for name, labels in given.labels.items() if labels or kinds[name] == ANY_OF}
    return Vote(encoded(answered), given.truth, given.when)


def _all_labels(found: Read) -> Iterator[tuple[Said, Labels]]:
    return ((said, given.labels) for said in found.found for given in said.given)


def _labels(found: Read, name: str, kind: str) -> tuple[str, ...]:
    given = {label for _, labels in _all_labels(found) for label in labels.get(name, ())}
    return tuple(in_order(list(given), kind))


def _require(found: Read, kinds: Mapping[str, str]) -> None:
    """That labels are as many, and such, as the kinds of the questions have them."""
    for said, labels in _all_labels(found):
        for name, given in labels.items():
            wrong = _why_wrong(name, kinds[name], given)
            if wrong:
                raise BadCorpusError(f"{found.table.place} {said.number}: {wrong}")


def _why_wrong(name: str, kind: str, given: Sequence[str]) -> str:
    """What is wrong with labels, and what to do; empty when nothing is."""
    if len(given) > 1 and kind != ANY_OF:
        remedy = "Leave out --ordered" if kind == ORDERED else f"Give --any-of {name}"
        return f"{name!r} has one label a text, and here {listed(given)}. {remedy}, or correct the row."
    odd = [label for label in given if kind == ORDERED and not NUMBER.fullmatch(label)]
    if odd:
        return (
            f"{name!r} holds {shown(odd[0])}, and steps are ordered by their numbers. Write them as numbers (1 for the "
            "lowest), or leave out --ordered."
        )
    return ""


# Rows


def _of_row(table: Table, number: int, row: Values, columns: Columns) -> Said:
    """A row is one vote; what a text does not have, as in Prodigy's rejected rows, is not learnt from."""
    why_not = exports.PRODIGY.get(str(row.get("answer"))) if exports.kind_of(table, columns.names[0]) else ""
    if why_not:
        return Said(number, row, why_not=why_not)
    labels = {name: _in_cell(table, number, row[name], name, columns) for name in columns.names if _is_there(row, name)}
    return Said(number, row, [Given(labels)])


def _is_there(row: Values, name: str) -> bool:
    value = row.get(name)
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _in_cell(table: Table, number: int, value: object, name: str, columns: Columns) -> tuple[str, ...]:
    if isinstance(value, str) and columns.separator and name not in columns.ordered:
        value = [part for part in value.split(columns.separator) if part.strip()]
    return tuple(exports.labels_at(table, number, value, name))


# Label Studio


def _of_annotations(table: Table, text: str, columns: Columns) -> Iterator[Said]:
    for rows in exports.by_task(table, text, columns.names):
        number, first = rows[0]
        annotated = [(n, row) for n, row in rows if row[exports.ANNOTATION] not in (None, "")]
        cells = [
            {name: _in_cell(table, n, row.get(name), name, columns) for name in columns.names} for n, row in annotated
        ]
        times = [str(row.get(exports.CHANGED) or "") for _, row in annotated]
        given = [Given(labels, when=when) for labels, when in zip(cells, times, strict=True)]
        yield Said(number, exports.numbers_as_text(first), given, NO_LABEL if given else exports.OPEN)


def _of_tasks(table: Table, columns: Columns) -> Read:
    found, types = [], dict.fromkeys(columns.names, frozenset[str]())
    for number, task in table.rows:
        annotations = exports.annotations_of(table, number, task)
        kept = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
        for item in (item for annotation in kept for item in exports.items_of(annotation)):
            name = exports.control_of(item)
            types[name] = types.get(name, frozenset()) | {str(item.get("type"))}
        given = [_annotator(table, number, annotation, columns) for annotation in kept]
        no_votes = NO_LABEL if kept else exports.SKIPPED if annotations else exports.OPEN
        found.append(Said(number, exports.data_of(task), given, no_votes))
    _require_controls(table, types, columns)
    steps = frozenset(name for name, of in types.items() if of and of <= STEPS)
    return Read(table, exports.TASKS, "task", found, steps)


def _annotator(table: Table, number: int, annotation: Values, columns: Columns) -> Given:
    items = exports.items_of(annotation)
    labels = {name: tuple(exports.labels_of_control(table, number, items, name)) for name in columns.names}
    if columns.said is not None:
        labels = {name: given for name, given in columns.said(annotation).items() if name in columns.names}
    return Given(labels, bool(annotation.get("ground_truth")), exports.when(annotation))


def _require_controls(table: Table, types: Mapping[str, frozenset[str]], columns: Columns) -> None:
    for name in columns.names:
        answered = [other for other, of in types.items() if of]
        if answered and not types[name]:
            file = table.place.rpartition(",")[0]
            raise BadCorpusError(
                f"{file}: no annotation answers a control named {name!r}; they answer {listed(answered)}. Name one of "
                "these."
            )
