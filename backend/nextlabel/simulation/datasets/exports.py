"""What the rows of a file say, also of files that annotation tools export: one label each, or why there is none."""

import ast
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nextlabel.errors import BadCorpusError
from nextlabel.labelstudio.controls.kinds import KINDS
from nextlabel.labelstudio.controls.results import given
from nextlabel.labelstudio.controls.tag import DIGITS, PATH
from nextlabel.problems.single_choice import consensus
from nextlabel.simulation.datasets.tables import (
    Row,
    Table,
    listed,
    shown,
)
from nextlabel.values.labels import Vote

Values = Mapping[str, object]
Labels = Mapping[str, tuple[str, ...]]  # by question; one that is absent was not answered
Said = Callable[[Values], Labels]  # what an annotation says, as the live loop reads it

# Columns of Label Studio's JSON_MIN, CSV and TSV, which have a row for each annotation and one for each open task.
ANNOTATION, ANNOTATOR, TASK, CHANGED = "annotation_id", "annotator", "id", "updated_at"
COLUMNS = (ANNOTATION, ANNOTATOR, TASK, CHANGED)
# Types of Label Studio's results that say something about a whole text, and where in their values it stands.
HELD_IN = {kind.item_type: kind.key for kind in KINDS.values()}

OPEN, SKIPPED, SEVERAL = "open", "skipped", "with several labels"
NO_LABEL, NO_TEXT, NO_ANSWER = "without a label", "without a text", "without an answer in {!r}"
ANNOTATIONS, TASKS, PRODIGYS = "Label Studio's annotations", "Label Studio's tasks", "Prodigy's answers"
PRODIGY = {"accept": "", "reject": "rejected", "ignore": "ignored"}


@dataclass(frozen=True)
class Answer:
    """A row's or task's `values` by column, and its `label`, or `why_not` there is none."""

    number: int
    values: Values
    label: str = ""
    why_not: str = ""


class Answers(NamedTuple):
    """All that a file says. `kind` is the export's name, empty for a plain table; `remarks` are whole sentences."""

    kind: str
    unit: str
    found: Sequence[Answer]
    remarks: tuple[str, ...] = ()


class NoLabelError(ValueError):
    """A value that cannot be a label."""


def read_answers(table: Table, text: str, label: str, said: Said | None = None) -> Answers:
    """One answer for each row, or for each task where several people answered one.

    `label` names a column, or the control (`from_name`) in Label Studio's JSON. People's answers to one task are
    joined by `consensus`. `text` names the column that tells tasks with the same id apart. `said` is what an annotation
    in Label Studio's JSON says, where its labelling config is at hand.

    Raises `BadCorpusError` for a value that is no label, for a control that nobody answered, or one that labels parts.
    """
    kind = kind_of(table, label)
    if kind == TASKS:
        return _of_tasks(table, label, said)
    require_no_config(table, said)
    if kind == ANNOTATIONS:
        return _of_annotations(table, text, label)
    read = _of_prodigy if kind == PRODIGYS else _of_row
    return Answers(kind, "row", [read(table, *row, label) for row in table.rows])


def require_no_config(table: Table, said: Said | None) -> None:
    """Raises `BadCorpusError` for a labelling config beside what is no export in JSON."""
    if said is not None:
        raise BadCorpusError(
            f"{table.place.rpartition(',')[0]}: a labelling config goes with Label Studio's JSON export alone. Export "
            "as JSON, or leave the config out."
        )


def kind_of(table: Table, label: str) -> str:
    """The export that a table is, by its rows; empty for a plain one. Raises `BadCorpusError` for one of before Label
    Studio 1.0."""
    for number, row in table.rows:
        if isinstance(row.get("data"), Mapping) and "completions" in row and "annotations" not in row:
            raise BadCorpusError(
                f"{table.place} {number}: this is a task of Label Studio from before 1.0. Rename completions to "
                "annotations in all of them, or import the file there and export it again."
            )
    if any(_is_task(row) for _, row in table.rows):
        return TASKS
    if table.rows and all(set(COLUMNS[:3]) <= set(row) for _, row in table.rows):
        return ANNOTATIONS
    if table.rows and label != "answer" and all(row.get("answer") in [*PRODIGY] for _, row in table.rows):
        return PRODIGYS
    return ""


def labels_in(value: object) -> list[str]:
    """The different labels that a value holds, as text: none (null, empty, NaN), one, or several.

    A whole number is written without a fraction, JSON's `true` as `true`. Lists, also as text in a table's cell, and
    Label Studio's `{"choices": ["a", "b"]}` and `[{"rating": 4}]` hold what is in them. Raises `NoLabelError` for
    anything else.
    """
    if isinstance(value, str):
        value = _unpacked(value.strip())
    items = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(name for item in items for name in _labels_of(item)))


def _labels_of(item: object) -> list[str]:
    [key] = item if isinstance(item, Mapping) and len(item) == 1 else [None]
    if key not in HELD_IN.values():
        return _label_of(item)
    return [label for one in given([{"value": item}], str(key)) for label in _held(one)]


def _held(value: object) -> list[str]:
    """What an item of a result holds as the live loop writes it: decimal steps, and each path through a tree in one."""
    if isinstance(value, list) and value and all(isinstance(part, str | int) for part in value):
        return [PATH.join(map(str, value))]
    if isinstance(value, float) and math.isfinite(value) and not value.is_integer():
        return [str(round(value, DIGITS))]
    return _label_of(value)


def _unpacked(text: str) -> object:
    """The list or object that a cell holds, as JSON or as Python writes it; else the text itself."""
    for read in (json.loads, ast.literal_eval) if text[:1] in ("[", "{") else ():
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list | dict):
            return value
    return text


def _label_of(value: object) -> list[str]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, float) and value.is_integer():  # what pandas makes of 1
        return [str(int(value))]
    if not isinstance(value, int | str):
        raise NoLabelError
    return [str(value).strip()] if str(value).strip() else []


def labels_at(table: Table, number: int, value: object, label: str) -> list[str]:
    """The labels of a value. Raises `BadCorpusError` that names its place when it holds anything else."""
    try:
        return labels_in(value)
    except NoLabelError:
        raise BadCorpusError(
            f"{table.place} {number}: expected a label (a word, a whole number, true or false) in column {label!r}, "
            f"found {shown(value)}. Correct or remove the row."
        ) from None


def _of_row(table: Table, number: int, row: Values, label: str) -> Answer:
    labels = labels_at(table, number, row.get(label), label)
    if len(labels) != 1:
        return Answer(number, row, why_not=SEVERAL if labels else NO_LABEL)
    return Answer(number, row, labels[0])


def _of_prodigy(table: Table, number: int, row: Values, label: str) -> Answer:
    """That a text does not have a label is not learnt from."""
    why_not = PRODIGY[str(row["answer"])]
    return Answer(number, row, why_not=why_not) if why_not else _of_row(table, number, row, label)


# Label Studio: several people's answers to one task


def _joined(number: int, values: Values, answers: Sequence[tuple[Sequence[str], Vote]], no_votes: str) -> Answer:
    """One answer of each annotation's labels; only an annotation with a single label votes."""
    label = consensus(_counted(answers), str)
    if label is not None:
        return Answer(number, values, label)
    several = any(len(labels) > 1 for labels, _ in answers)
    return Answer(number, values, why_not=SEVERAL if several else no_votes)


def _vote(labels: Sequence[str], ground_truth: object, when: object) -> tuple[Sequence[str], Vote]:
    return labels, Vote(labels[0] if labels else "", bool(ground_truth), str(when or ""))


def _counted(answers: Sequence[tuple[Sequence[str], Vote]]) -> list[Vote]:
    return [vote for labels, vote in answers if len(labels) == 1]


def disputes(table: Table, votes: Mapping[int, Sequence[Vote]], rule: str) -> tuple[str, ...]:
    """A sentence on the tasks, by their numbers, whose votes differ, and on what decides then; none without any."""
    differing = [number for number, given in votes.items() if len({vote.label for vote in given}) > 1]
    if not differing:
        return ()
    count = "1 task has" if len(differing) == 1 else f"{len(differing)} tasks have"
    return (f"{count} answers that differ (the first: {table.place.rpartition(' ')[2]} {differing[0]}); {rule}",)


def _of_annotations(table: Table, text: str, label: str) -> Answers:
    """JSON_MIN, CSV, TSV: rows with one task's id and text are several people's answers to it."""
    votes, found = {}, []
    for rows in by_task(table, text, [label]):
        number, first = rows[0]
        votes[number] = [_vote(labels_at(table, n, row.get(label), label), False, row.get(CHANGED)) for n, row in rows]
        annotated = any(row[ANNOTATION] not in (None, "") for _, row in rows)
        no_votes = NO_ANSWER.format(label) if annotated else OPEN
        found.append(_joined(number, numbers_as_text(first), votes[number], no_votes))
    rule = "the majority decides, else the latest. Ground truth is told by Label Studio's JSON export alone."
    return Answers(
        ANNOTATIONS, "task", found, disputes(table, {n: _counted(answers) for n, answers in votes.items()}, rule)
    )


def by_task(table: Table, text: str, labels: Sequence[str]) -> Iterable[Sequence[Row]]:
    """The rows of such an export, those of a task together. Raises `BadCorpusError` for answers that are none."""
    tasks: dict[tuple[str, str], list[Row]] = {}
    for number, row in table.rows:
        for label in labels:
            _require_answer(table, number, row, label)
        tasks.setdefault((str(row[TASK]), str(row.get(text))), []).append((number, row))
    return tasks.values()


def _require_answer(table: Table, number: int, row: Values, label: str) -> None:
    """A data field of the control's name stands in JSON_MIN in the answer's place; in CSV it is called `_data_…`."""
    if row[ANNOTATION] is None and row.get(label) not in (None, ""):
        raise BadCorpusError(
            f"{table.place} {number}: nobody has answered this task, and yet it has {shown(row[label])} in {label!r}: "
            "the tasks' own data have a field of that name, and JSON_MIN does not tell it from an answer. Export as "
            "JSON or CSV."
        )


def _is_task(row: Values) -> bool:
    return isinstance(row.get("data"), Mapping) and isinstance(row.get("annotations"), list)


def _of_tasks(table: Table, label: str, said: Said | None) -> Answers:
    """Label Studio's JSON."""
    controls: Counter[str] = Counter()
    votes, found = {}, []
    for number, task in table.rows:
        annotations = annotations_of(table, number, task)
        kept = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
        for annotation in kept:
            controls.update({control_of(item) for item in items_of(annotation)})
        votes[number] = [_annotators_vote(table, number, annotation, label, said) for annotation in kept]
        no_votes = NO_ANSWER.format(label) if kept else SKIPPED if annotations else OPEN
        found.append(_joined(number, data_of(task), votes[number], no_votes))
    if controls and label not in controls:
        raise BadCorpusError(_unknown_control(table, label, controls, found))
    rule = "ground truth decides, else the majority, else the latest."
    return Answers(TASKS, "task", found, disputes(table, {n: _counted(answers) for n, answers in votes.items()}, rule))


def annotations_of(table: Table, number: int, task: Values) -> list[Values]:
    """Those of a task. Raises `BadCorpusError` for what is no task."""
    annotations = task.get("annotations")
    if not _is_task(task) or not isinstance(annotations, list):
        raise BadCorpusError(
            f"{table.place} {number}: expected a task with data and annotations, as others in the file are, found "
            f"{listed(task) or 'nothing'}. Correct or remove it."
        )
    return [annotation for annotation in annotations if isinstance(annotation, Mapping)]


def _annotators_vote(
    table: Table, number: int, annotation: Values, label: str, said: Said | None
) -> tuple[Sequence[str], Vote]:
    of_control = labels_of_control(table, number, items_of(annotation), label)
    labels = of_control if said is None else said(annotation).get(label, ())
    return _vote(labels, annotation.get("ground_truth"), when(annotation))


def when(annotation: Values) -> str:
    """When somebody gave it its last form."""
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def data_of(task: Values) -> Values:
    """The data of a task, and its id."""
    data = task["data"]
    assert isinstance(data, Mapping)
    return numbers_as_text({**data, TASK: task.get(TASK)})


def numbers_as_text(row: Values) -> Values:
    """As the live loop reads tasks, and as they stand in CSV."""
    is_number = {name: isinstance(value, int | float) and not isinstance(value, bool) for name, value in row.items()}
    return {name: str(value) if is_number[name] else value for name, value in row.items()}


def items_of(annotation: Values) -> list[Values]:
    """The items of an annotation's result."""
    result = annotation.get("result")
    return [item for item in result if isinstance(item, Mapping)] if isinstance(result, list) else []


def control_of(item: Values) -> str:
    """The name of the control that an item answers."""
    return str(item.get("from_name"))


def labels_of_control(table: Table, number: int, items: Sequence[Values], label: str) -> list[str]:
    """The different labels in the items of a control. Raises `BadCorpusError` for one that labels parts."""
    found: dict[str, None] = {}
    for item in items:
        if control_of(item) != label:
            continue
        kind, value = str(item.get("type")), item.get("value")
        if kind not in HELD_IN:
            raise BadCorpusError(
                f"{table.place} {number}: the control {label!r} gives {kind!r}, which is no label of a whole text; "
                f"{', '.join(HELD_IN)} are. Give another control to --label."
            )
        if isinstance(value, Mapping):
            held = {HELD_IN[kind]: value.get(HELD_IN[kind])}
            found |= dict.fromkeys(labels_at(table, number, held, label))
    return list(found)


def _unknown_control(table: Table, label: str, controls: Counter[str], found: Sequence[Answer]) -> str:
    known = ", ".join(f"{name!r} ({count} annotations)" for name, count in controls.most_common())
    is_data = any(label in answer.values for answer in found)
    also = f" {label!r} is a field of the tasks' data, which nobody answered." if is_data else ""
    file = table.place.rpartition(",")[0]
    return f"{file}: no annotation answers a control named {label!r}; they answer {known}.{also} Name one of these."
