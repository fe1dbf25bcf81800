"""Labelled texts to learn from and to be judged by, from files or the hub, for simulations. No Label Studio."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from nextlabel.errors import BadCorpusError, of_extra
from nextlabel.labelstudio.objects.shapes import words_of
from nextlabel.model.hub import require_hub
from nextlabel.problems.form import Form
from nextlabel.problems.question import Question
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.simulation.datasets import exports, forms, overlaps
from nextlabel.simulation.datasets.corpora import LABELS, Corpus, Pair
from nextlabel.simulation.datasets.exports import Answer, Answers
from nextlabel.simulation.datasets.forms import Columns
from nextlabel.simulation.datasets.tables import (
    Table,
    listed,
    read_table,
    shown,
)
from nextlabel.values.examples import Example, of_texts
from nextlabel.values.layout import ANY_OF, Cut, Layout, asks, decoded, encoded, labels_in

Labelled: TypeAlias = tuple[Example, str]

# With two classes, the name that says which one F1 is about; the first of these that is a class, in any case.
POSITIVE = (
    *("1", "true", "yes", "positive", "pos", "paraphrase", "equivalent", "duplicate", "entailment", "acceptable"),
    *("spam", "toxic"),
)
INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
WHOLE_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]{0,17})\.0+", re.ASCII)  # as tables write the number 1 among others: 1.0
ID = re.compile(r"[0-9]{1,18}", re.ASCII)  # within int64, also after ids of two more files
DECIMAL = re.compile(r"-?[0-9]*[.,][0-9]+", re.ASCII)
SEPARATORS = (";", "|", ",", "/")  # of several labels in one field
WITHHELD = ("-1", "?", "none", "null", "nan", "n/a", "na", "unknown", "unlabeled", "unlabelled")


@dataclass(frozen=True)
class TextSet:
    """Labelled examples in three parts; `test` may be empty. Ids are unique over all parts.

    With two `labels`, the first is the positive class of F1. `source` says in words where the texts come from, `notes`
    say in sentences what became of the rows of each file. Where a `form` is asked of each example, its labels are
    `labels`, and what an example is labelled with is an answer as `values.layout` writes it.
    """

    source: str
    labels: tuple[str, ...]
    train: tuple[Labelled, ...]
    dev: tuple[Labelled, ...]
    test: tuple[Labelled, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    form: Form | None = None

    @property
    def question(self) -> Question:
        """What is asked of each example: one of `labels`, or the form."""
        return self.form or SingleChoice(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of all labels and examples in their order, so that results on other data are never mixed."""
        asked = asks(self.form.layout) if self.form else self.labels
        digest = hashlib.sha256(json.dumps(asked).encode())
        for name, part in self.parts().items():
            digest.update(f"\n{name}\n".encode())
            for example, label in part:
                digest.update(
                    json.dumps([example.id, example.text, example.pair, *example.more, label]).encode() + b"\n"
                )
        return digest.hexdigest()[:16]

    def leaks(self) -> dict[str, int]:
        """How many examples to judge by are also examples to learn from, see `overlaps.leaks`."""
        return overlaps.leaks(self.parts())

    def repeats(self) -> dict[str, int]:
        """How many examples are there more than once without being leaks, see `overlaps.repeats`."""
        return overlaps.repeats(self.parts())

    def counts(self) -> dict[str, dict[str, int]]:
        """How many examples of each class, or of a form with each label, each part has."""
        return {name: self._counts(part) for name, part in self.parts().items() if part}

    def _counts(self, part: Sequence[Labelled]) -> dict[str, int]:
        counts = Counter(label for _, answer in part for label in labels_in(answer, self.question.layout))
        return {label: counts[label] for label in self.labels}

    def parts(self) -> dict[str, tuple[Labelled, ...]]:
        """The parts by name."""
        return {"train": self.train, "dev": self.dev, "test": self.test}


def of_pairs(corpus: Corpus) -> TextSet:
    """MRPC or our own pairs; an example's id is its pair's `row`."""

    def examples(pairs: Sequence[Pair]) -> tuple[Labelled, ...]:
        return tuple((Example(p.row, p.sentence1, p.sentence2), p.label) for p in pairs)

    return TextSet(corpus.source, LABELS, examples(corpus.train), examples(corpus.holdout), examples(corpus.test))


def read_files(
    train: Path,
    dev: Path,
    test: Path | None,
    text: str,
    pair: str | None,
    label: str | Columns,
    id: str | None = None,
    positive: str | None = None,
    more: Sequence[str] = (),
) -> TextSet:
    """A text set from files, see `tables.read_table`, or from what an annotation tool exported.

    `text`, `pair`, `more`, `label` and `id` name columns; `more` go with a pair. In Label Studio's JSON they are keys
    of the tasks' data, but for `label`, which is the control's name (`from_name`), and `id`, which is the task's.
    Exports are Label Studio's JSON, JSON_MIN, CSV and TSV, doccano's and Prodigy's JSON lines; several people's answers
    to a task are joined as in the live loop, see `exports`, and dialogues, tables and lists are read as there. Rows
    without a text or without one label are left out; `notes` say of each file how many and why.

    An example's id is the number of its row (see `read_table`), or the integer in the column `id`, which only the
    training file needs; rows of `dev` are counted on from the highest id of `train`, those of `test` from that of
    `dev`. The classes are the labels of `train`, sorted; of two, `positive` comes first, or else the one that
    `POSITIVE` knows, or else the last. A label 1.0 is the class 1, and True is true, in whatever file; a file that has
    both ways of writing has two classes.

    `label` may be several columns, each a question, see `forms`. Of a column of lists of which some hold several labels
    any may be given.

    Raises `BadCorpusError` that names the file, the line, the value and the remedy.
    """
    asked, files = label if isinstance(label, Columns) else Columns((label,)), [p for p in (train, dev, test) if p]
    asked.check()
    columns = _Columns(text, pair, asked.names, tuple(more), asked.said)
    table = read_table(train, columns.names(id), exports.COLUMNS)
    if asked.ask_form or forms.has_lists(table, asked.names[0]):
        if positive is not None:
            raise BadCorpusError(f"{positive!r} cannot be the positive class of several questions or labels.")
        return _of_forms(files, columns, asked, id)
    first = _of_file(train, table, columns)
    names = _names(Counter(answer.label for answer in first.usable()))
    examples = _examples(first, names, columns, id)
    labels = _classes(first, examples, positive)
    judged: list[list[Labelled]] = []
    notes = [*first.notes(), *_renamed(first.title, names)]
    for path in (dev, test):
        last = max(example.id for part in (examples, *judged) for example, _ in part)
        judged.append([])
        if path:
            source = _file(path, columns)
            judged[-1] = _examples(source, _known(source, labels, asked.names[0]), columns, after=last)
            notes += source.notes()
    return TextSet(_titled(files), labels, tuple(examples), tuple(judged[0]), tuple(judged[1]), tuple(notes))


def _titled(files: Sequence[Path]) -> str:
    return f"the files {', '.join(map(str, files))}"


# Rows, wherever they come from


class _Columns(NamedTuple):
    text: str
    pair: str | None
    labels: tuple[str, ...]
    more: tuple[str, ...] = ()
    said: exports.Said | None = None

    def names(self, id: str | None = None) -> tuple[str, ...]:
        """The columns to read; one asked for twice is a mistake, such as a label that is the text itself."""
        names = tuple(name for name in (*self.texts(), *self.labels, id) if name is not None)
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise BadCorpusError(f"The column {twice[0]!r} is asked for twice. Texts, label and id are different.")
        return names

    def texts(self) -> tuple[str, ...]:
        """The columns with texts."""
        return (self.text,) if self.pair is None else (self.text, self.pair, *self.more)


class _Source(NamedTuple):
    """A file or split, its rows answered. `place` names a row in messages, once its number follows."""

    title: str
    place: str
    answers: Answers
    manner: str = ""

    def usable(self) -> list[Answer]:
        """The rows with a text and a label."""
        return [answer for answer in self.answers.found if not answer.why_not]

    def left_out(self) -> str:
        """Why rows are not used: how many for each reason, and the first of them."""
        why = Counter(answer.why_not for answer in self.answers.found if answer.why_not)
        first = {answer.why_not: answer for answer in reversed(self.answers.found)}
        return ", ".join(f"{n} {reason} (the first: {self.where(first[reason])})" for reason, n in why.most_common())

    def where(self, answer: Answer) -> str:
        """The place of a row in its file, with Label Studio's id where it is a task."""
        task = f", task {answer.values[exports.TASK]}" if self.answers.unit == "task" else ""
        return f"{self.place.rpartition(' ')[2]} {answer.number}{task}"

    def notes(self) -> list[str]:
        """How many rows are used and why others are not, in sentences."""
        manner = f", read {self.manner}" if self.manner else ""
        kind = f" ({self.answers.kind}{manner})" if self.answers.kind else f" ({manner[2:]})" if manner else ""
        total, used, left_out = len(self.answers.found), len(self.usable()), self.left_out()
        count = f"{used} of {total} {self.answers.unit}s used" + (f"; not used: {left_out}" if left_out else "")
        return [f"{self.title}{kind}: {count}.", *(f"{self.title}: {remark}" for remark in self.answers.remarks)]


def _file(path: Path, columns: _Columns) -> _Source:
    return _of_file(path, read_table(path, columns.names(), exports.COLUMNS), columns)


def _of_file(path: Path, table: Table, columns: _Columns) -> _Source:
    answers = exports.read_answers(table, columns.text, columns.labels[0], columns.said)
    return _checked(_Source(str(path), table.place, answers, table.manner), columns, table.bare)


def _checked(source: _Source, columns: _Columns, bare: bool = False) -> _Source:
    """With rows that lack a text counted as such. Raises `BadCorpusError` when no row is left, or one is wrong."""
    answers = source.answers
    keys = columns.texts() if answers.kind == exports.TASKS else (*columns.texts(), *columns.labels)
    for name in keys if answers.found else ():
        if not any(name in answer.values for answer in answers.found):
            raise BadCorpusError(
                f"{source.place} {answers.found[0].number}: expected a value named {name!r}, found "
                f"{listed(answers.found[0].values) or 'none'}."
            )
    found = [_with_texts(source.place, answer, columns, bare) for answer in answers.found]
    source = source._replace(answers=answers._replace(found=found))
    if not source.usable():
        why = f": of {len(found)} {answers.unit}s, {source.left_out()}" if found else ""
        raise BadCorpusError(
            f"{source.title} holds no examples{why}. Give a file with some; only --test may also be left out."
        )
    return source


def _with_texts(place: str, answer: Answer, columns: _Columns, bare: bool) -> Answer:
    """The answer, unless a text is missing or no text, or the label is not whole."""
    if answer.why_not:
        return answer
    for name in columns.texts():
        value = answer.values.get(name)
        if words := words_of(value):
            value = words.text
            answer = replace(answer, values={**answer.values, name: value})
        if value is None or (isinstance(value, str) and not value.strip()):
            return Answer(answer.number, answer.values, why_not=exports.NO_TEXT)
        if not isinstance(value, str):
            raise BadCorpusError(
                f"{place} {answer.number}: expected a text in column {name!r}, found {shown(value)}. Correct or remove "
                "the row."
            )
        _require_whole(place, answer.number, value, name)
    _require_whole(place, answer.number, answer.label, ", ".join(columns.labels))
    if bare and answer.label[0] == answer.label[-1] == '"':
        raise BadCorpusError(
            f"{place} {answer.number}: the label {shown(answer.label)} stands in quotes, but the table as a whole is "
            "not quoted, for other quotes in it are not doubled or stand around parts of a field. Quote all fields or "
            "none, or give the file as .jsonl."
        )
    return answer


def _require_whole(place: str, number: int, text: str, column: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can escape half a character, which no tokenizer and no file takes
        raise BadCorpusError(
            f"{place} {number}: the text in column {column!r} holds half a character: {shown(text)}. Correct or remove "
            "the row."
        ) from None


def _examples(
    source: _Source, names: Mapping[str, str], columns: _Columns, id: str | None = None, after: int = 0
) -> list[Labelled]:
    """The usable rows, with labels by their `names`. Ids are those of the column `id`, or `after` plus the number."""
    found: list[Labelled] = []
    numbers_of_ids: dict[int, int] = {}
    for answer in source.usable():
        key = after + answer.number if id is None else _id(source.place, answer, id)
        if key in numbers_of_ids:
            raise BadCorpusError(
                f"{source.place} {answer.number}: the id {key} was given before, by {source.place.rpartition(' ')[2]} "
                f"{numbers_of_ids[key]}. Ids must be unique."
            )
        numbers_of_ids[key] = answer.number
        texts = [str(answer.values[name]) for name in columns.texts()]
        found.append((of_texts(key, texts), names[answer.label]))
    return found


def _id(place: str, answer: Answer, column: str) -> int:
    if column not in answer.values:
        raise BadCorpusError(
            f"{place} {answer.number}: expected a value named {column!r}, found {listed(answer.values) or 'none'}."
        )
    value = answer.values[column]
    if isinstance(value, bool) or not isinstance(value, int | str) or not ID.fullmatch(str(value).strip()):
        raise BadCorpusError(
            f"{place} {answer.number}: expected a whole number from 0 on, of at most 18 digits, as id in column "
            f"{column!r}, found {shown(value)}. Without an id column, line numbers are the ids."
        )
    return int(value)


# Classes


def _usual(label: str) -> str:
    """The label as JSON would have it: `1` for 1.0, `true` for True."""
    number = WHOLE_NUMBER.fullmatch(label)
    if number:
        return number[2] if number[2] == "0" else number[1] + number[2]
    return label.lower() if label.lower() in ("true", "false") else label


def _names(written: Collection[str]) -> dict[str, str]:
    """The class of each label of a training set: its usual form, unless the set has that in two forms."""
    forms = Counter(_usual(label) for label in written)
    return {label: label if forms[_usual(label)] > 1 else _usual(label) for label in written}


def _renamed(title: str, names: Mapping[str, str]) -> list[str]:
    changed = [f"{label!r} as {name!r}" for label, name in sorted(names.items()) if label != name]
    return [f"{title}: labels are read in their usual form, {', '.join(changed)}."] if changed else []


def alike(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Classes that may be one by mistake: they differ in case, in blanks, or as 1, 1.0 and true do."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        name = " ".join(_usual(label).casefold().split())
        groups.setdefault({"true": "1", "false": "0"}.get(name, name), []).append(label)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def by_question(data: TextSet) -> list[dict[str, int]]:
    """How many examples to learn from each label of each question has."""
    counts = data.counts()["train"]
    if not data.form:
        return [counts]
    in_order = iter(counts.values())
    return [{label: next(in_order) for label in cut.labels} for cut in data.form.layout.cuts]


def doubtful(examples: Mapping[str, int]) -> Iterator[str]:
    """What speaks against the classes of a training set being classes, by how many examples each has."""
    withheld = [label for label in examples if label.casefold() in WITHHELD]
    if withheld:
        yield f"{listed(withheld)} is taken as a class; if that stands for 'no label', leave these rows out"
    decimals = [label for label in examples if DECIMAL.fullmatch(label) and label == _usual(label)]
    if decimals:
        yield f"numbers such as {decimals[0]} are taken as names of classes; is --label the right column?"
    single = [label for label, count in examples.items() if count == 1]
    if 2 * len(single) > len(examples):
        yield (
            f"{len(single)} of {len(examples)} classes have one example to learn from, such as {single[0]!r}; is "
            "--label the right column?"
        )
    held = next((sep for sep in SEPARATORS if 2 * sum(sep in label for label in examples) > len(examples) > 1), None)
    if held:
        first = next(label for label in examples if held in label)
        yield (
            f"most labels hold {held!r}, as {first!r} does, and are taken as classes of their own; where any labels "
            f"may be given, say --label-separator {held!r}"
        )
        return
    for label in examples:
        separator = next((sep for sep in SEPARATORS if _consists_of(label.split(sep), examples)), None)
        if separator:
            yield (
                f"{label!r} is taken as a class of its own, beside those that it consists of; where any labels may be "
                f"given, say --label-separator {separator!r}"
            )


def _consists_of(parts: Sequence[str], labels: Collection[str]) -> bool:
    return len(parts) > 1 and all(part.strip() in labels for part in parts)


def _known(source: _Source, labels: Collection[str], column: str) -> dict[str, str]:
    """The class of each label of a set to judge by. Raises `BadCorpusError` for what the training set does not have."""
    counts = Counter(answer.label for answer in source.usable())
    names = {label: label if label in labels else _usual(label) for label in counts}
    forms = Counter(names.values())
    unknown = [label for label, name in names.items() if name not in labels or (name != label and forms[name] > 1)]
    if unknown:
        raise BadCorpusError(_unknown(source, unknown, counts, labels, column))
    return names


def _unknown(
    source: _Source, unknown: Sequence[str], counts: Mapping[str, int], labels: Collection[str], column: str
) -> str:
    """What is wrong with labels that the training set does not have, the first of them with its place."""
    label = unknown[0]
    place = next(answer.number for answer in source.usable() if answer.label == label)
    total, many = sum(counts.values()), sum(counts[label] for label in unknown)
    others = f" Nor {'is' if len(unknown) == 2 else 'are'} {listed(unknown[1:], most=5)}." if unknown[1:] else ""
    count = f"{counts[label]} of {total} {source.answers.unit}s {'has' if counts[label] == 1 else 'have'} it"
    return (
        f"{source.place} {place}: the label {shown(label)} in column {column!r} is not among those of the training set "
        f"({listed(labels)}); {count}.{others} {_remedy(label, labels, everything=many == total)}"
    )


def _remedy(label: str, labels: Collection[str], everything: bool) -> str:
    near = [name for name in labels if alike([name, label])]
    if near:
        return f"It seems to be {near[0]!r} written in another way: write it as there."
    if label.casefold() in WITHHELD:
        return "If it stands for 'no label', leave these rows out, or the whole file if it is the one for --test."
    start = "If the column is the right one, a" if everything else "A"
    return (
        f"{start} class is learnt from examples alone: put some of it into the training set too, or correct the label "
        "if it is wrong, or leave these rows out."
    )


def _classes(source: _Source, examples: Sequence[Labelled], positive: str | None) -> tuple[str, ...]:
    """The classes of a training set in the order of `TextSet.labels`."""
    place = source.title
    labels = sorted({label for _, label in examples})
    if len(labels) < 2:
        left_out = f" Not used: {source.left_out()}." if source.left_out() else ""
        raise BadCorpusError(
            f"{place}: expected examples of at least two classes to learn from, found {len(examples)} examples of "
            f"{len(labels)}: {listed(labels)}.{left_out}"
        )
    if all(INTEGER.fullmatch(label) for label in labels):
        labels.sort(key=int)
    positive = positive if positive is None or positive in labels else _usual(positive)
    if positive is not None and positive not in labels:
        raise BadCorpusError(f"{place}: {positive!r} cannot be the positive class, for the classes are {labels}.")
    if len(labels) == 2:
        first = positive if positive is not None else _conventional(labels)
        labels.sort(key=lambda label: label != first)
    elif positive is not None:
        raise BadCorpusError(
            f"{place}: {positive!r} cannot be the positive class of {len(labels)} classes, whose F1 is the mean over "
            "all of them. Give a positive class with two classes only."
        )
    return tuple(labels)


def _conventional(labels: Sequence[str]) -> str:
    """The positive class by its name, else the last, as 1 of 0 and 1."""
    for name in POSITIVE:
        for label in labels:
            if label.casefold() == name:
                return label
    return labels[-1]


# Forms


def _of_forms(files: Sequence[Path], columns: _Columns, asked: Columns, id: str | None) -> TextSet:
    """Several questions, or one with any number of labels; what `read_files` says of classes goes for each of them."""
    first = forms.read(read_table(files[0], columns.names(id), exports.COLUMNS), columns.text, asked)
    kinds = forms.kinds_of(first, asked)
    source = _answered(files[0], first, kinds, columns)
    names = {name: _names(Counter(_given(source, name))) for name in kinds}
    layout = Layout(tuple(Cut(name, kind, _labels_of(source, name, kind, names)) for name, kind in kinds.items()))
    parts = [_examples(source, _answers_of(source, names), columns, id)]
    notes = [*source.notes(), *(line for of in names.values() for line in _renamed(source.title, of))]
    for path in files[1:]:
        table = read_table(path, columns.names(), exports.COLUMNS)
        source = _answered(path, forms.read(table, columns.text, asked), kinds, columns)
        known = {cut.name: _known(_of_question(source, cut.name), cut.labels, cut.name) for cut in layout.cuts}
        last = max(example.id for part in parts for example, _ in part)
        parts.append(_examples(source, _answers_of(source, known), columns, after=last))
        notes += source.notes()
    train, dev, test = (tuple(part) for part in [*parts, []][:3])
    return TextSet(_titled(files), layout.labels, train, dev, test, tuple(notes), Form.of_layout(layout))


def _answered(path: Path, found: forms.Read, kinds: Mapping[str, str], columns: _Columns) -> _Source:
    table = found.table
    return _checked(_Source(str(path), table.place, forms.answers(found, kinds), table.manner), columns)


def _of_question(source: _Source, name: str) -> _Source:
    """The labels given to one question, each as if a row had it alone."""
    found = [
        Answer(answer.number, answer.values, label)
        for answer in source.usable()
        for label in decoded(answer.label).get(name, ())
    ]
    return source._replace(answers=source.answers._replace(found=found))


def _given(source: _Source, name: str) -> list[str]:
    return [answer.label for answer in _of_question(source, name).usable()]


def _labels_of(source: _Source, name: str, kind: str, names: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    labels = forms.in_order(list(set(names[name].values())), kind)
    least = 1 if kind == ANY_OF else 2
    if len(labels) < least:
        raise BadCorpusError(
            f"{source.title}: expected at least {least} label{'s'[: least > 1]} in {name!r} to learn from, found "
            f"{listed(labels) or 'none'}. Give a file with more, or leave out --label {name}."
        )
    return tuple(labels)


def _answers_of(source: _Source, names: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Each answer of a file, with labels by the `names` of their question."""
    return {
        answer.label: encoded(
            {name: tuple(names[name][label] for label in labels) for name, labels in decoded(answer.label).items()}
        )
        for answer in source.usable()
    }


# The hub


def download(
    name: str,
    config: str | None,
    text: str,
    pair: str | None,
    label: str,
    splits: Sequence[str] = ("train", "validation", "test"),
    positive: str | None = None,
    more: Sequence[str] = (),
) -> TextSet:
    """A text set from the Hugging Face hub, such as `nyu-mll/glue` with config `sst2`, or from a local copy of one.

    `splits` name what becomes `train`, `dev` and, if there is a third, `test`. An example's id is its row, counted
    from 0 on through the splits. Numbered classes get their names. A test split whose labels are withheld (-1 or
    null) is left out, and `source` says so. `positive` and the order of the classes: see `read_files`.

    Raises `BadCorpusError` that names the data set, the split, the row, the value and the remedy.
    """
    columns = _Columns(text, pair, (label,), tuple(more))
    title = name if config is None else f"{name} ({config})"
    if not 2 <= len(splits) <= 3:
        raise BadCorpusError(f"{title}: expected two or three splits (train, dev, test), found {listed(splits)}.")
    data = _load(name, config, title)
    tables = [_hub_table(data, split, columns, title) for split in splits]
    first = _split(tables[0], columns)
    names = _names({answer.label for answer in first.usable()})
    train = _examples(first, names, columns)
    labels = _classes(first, train, positive)
    sizes = [len(table.rows) for table in tables]
    second = _split(tables[1], columns)
    dev = _examples(second, _known(second, labels, label), columns, after=sizes[0])
    notes = [*first.notes(), *_renamed(first.title, names), *second.notes()]
    source = f"{title}, {'a local copy' if Path(name).is_dir() else 'from the Hugging Face hub'}: {', '.join(splits)}"
    test: list[Labelled] = []
    if len(splits) > 2 and all(_is_withheld(row[label], labels) for _, row in tables[2].rows):
        source += f" ({splits[2]} is left out: it has no labels)"
    elif len(splits) > 2:
        third = _split(tables[2], columns)
        test = _examples(third, _known(third, labels, label), columns, after=sum(sizes[:2]))
        notes += third.notes()
    return TextSet(source, labels, tuple(train), tuple(dev), tuple(test), tuple(notes))


def _split(table: Table, columns: _Columns) -> _Source:
    answers = exports.read_answers(table, columns.text, columns.labels[0])
    return _checked(_Source(table.place.rpartition(",")[0], table.place, answers), columns)


def _load(name: str, config: str | None, title: str) -> Any:
    """The data set, split by split. Asks first whether the hub answers, for its own client tries for half a minute."""
    if not Path(name).is_dir():
        require_hub(title)
    with of_extra("hub", title):
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
    try:
        return load_dataset(name, config)
    except ConnectionError as error:
        raise BadCorpusError(f"{title} cannot be loaded: the hub cannot be reached ({error}). Give files.") from None
    except (DatasetsError, OSError, ValueError, KeyError, RuntimeError) as error:
        why = error.__cause__ or error  # "an error occurred", because of what says more
        raise BadCorpusError(
            f"{title} cannot be loaded ({type(why).__name__}: {str(why)[:300]}). Check the name, or give files."
        ) from None


def _hub_table(data: Any, split: str, columns: _Columns, title: str) -> Table:
    if split not in data:
        raise BadCorpusError(f"{title} has no split {split!r}, only {listed(data)}. Name two or three of these.")
    names = columns.names()
    for name in names:
        if name not in data[split].column_names:
            raise BadCorpusError(
                f"{title}, split {split}: expected a column {name!r}, found {listed(data[split].column_names)}."
            )
    values = data[split].select_columns(list(names))[:]
    classes = getattr(data[split].features[columns.labels[0]], "names", None)
    if classes is not None:  # the label is a number; -1 stands for no label
        numbers = values[columns.labels[0]]
        values[columns.labels[0]] = [None if number in (None, -1) else classes[number] for number in numbers]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(values[name] for name in names), strict=True)]
    return Table(f"{title}, split {split}, row", list(enumerate(rows)))


def _is_withheld(value: object, labels: Collection[str]) -> bool:
    return value is None or (value == -1 and "-1" not in labels)
