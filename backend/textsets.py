"""Labelled texts to learn from and to be judged by, from files or the hub, for simulations. No Label Studio."""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from backend.corpora import LABELS, Corpus, Pair, require_hub
from backend.errors import BadCorpusError
from backend.examples import Example

Labelled: TypeAlias = tuple[Example, str]

# With two classes, the name that says which one F1 is about; the first of these that is a class, in any case.
POSITIVE = (
    *("1", "true", "yes", "positive", "pos", "paraphrase", "equivalent", "duplicate", "entailment", "acceptable"),
    *("spam", "toxic"),
)
SHOWN = 60  # characters of a wrong value that a message quotes
INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
ID = re.compile(r"[0-9]{1,18}", re.ASCII)  # within int64, also after ids of two more files


@dataclass(frozen=True)
class TextSet:
    """Labelled examples in three parts; `test` may be empty. Ids are unique over all parts.

    With two `labels`, the first is the positive class of F1. `source` says in words where the texts come from.
    """

    source: str
    labels: tuple[str, ...]
    train: tuple[Labelled, ...]
    dev: tuple[Labelled, ...]
    test: tuple[Labelled, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of all labels and examples in their order, so that results on other data are never mixed."""
        digest = hashlib.sha256(json.dumps(self.labels).encode())
        for name, part in self.parts().items():
            digest.update(f"\n{name}\n".encode())
            for example, label in part:
                digest.update(json.dumps([example.id, example.text, example.pair, label]).encode() + b"\n")
        return digest.hexdigest()[:16]

    def leaks(self) -> dict[str, int]:
        """How many examples are where they should not be, word for word, in words; only what there is."""
        seen = {name: [(e.text, e.pair) for e, _ in part] for name, part in self.parts().items()}
        known = {name: set(texts) for name, texts in seen.items()}
        found = {
            f"{name} examples are also in {other}": len([text for text in seen[name] if text in known[other]])
            for name, other in (("dev", "train"), ("test", "train"), ("test", "dev"))
        }
        found["train examples repeat an earlier one"] = len(seen["train"]) - len(known["train"])
        return {words: count for words, count in found.items() if count}

    def counts(self) -> dict[str, dict[str, int]]:
        """How many examples of each class each part has."""
        return {
            name: {label: sum(label == other for _, other in part) for label in self.labels}
            for name, part in self.parts().items()
            if part
        }

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
    label: str,
    id: str | None = None,
    positive: str | None = None,
) -> TextSet:
    """A text set from files: `.tsv` (GLUE's kind: no quoting), `.csv` (standard quoting), `.jsonl` or `.json` (lines).

    UTF-8, with or without BOM; TSV and CSV begin with a header. `text`, `pair`, `label` and `id` name columns.
    An example's id is the line it begins on, counted from 1 as an editor does, or the integer in the column `id`,
    which only the training file needs; lines of `dev` are counted on from the highest id of `train`, those of `test`
    from that of `dev`. The classes are the labels of `train`, sorted; of two, `positive` comes first, or else the one
    that `POSITIVE` knows, or else the last.

    Raises `BadCorpusError` that names the file, the line, the value and the remedy.
    """
    columns = _Columns(text, pair, label)
    examples = _examples(_file(train, columns, id), columns, id)
    labels = _classes(str(train), examples, positive)
    judged: list[list[Labelled]] = []
    for path in (dev, test):
        last = max(example.id for part in (examples, *judged) for example, _ in part)
        judged.append(_examples(_file(path, columns), columns, after=last, labels=labels) if path else [])
        if path and not judged[-1]:
            raise BadCorpusError(f"{path} holds no examples. Give a file with some, or no test file at all.")
    names = ", ".join(str(path) for path in (train, dev, test) if path)
    return TextSet(f"the files {names}", labels, tuple(examples), tuple(judged[0]), tuple(judged[1]))


# Rows, wherever they come from


class _Columns(NamedTuple):
    text: str
    pair: str | None
    label: str

    def names(self, id: str | None = None) -> tuple[str, ...]:
        """The columns to read; one asked for twice is a mistake, such as a label that is the text itself."""
        names = tuple(name for name in (self.text, self.pair, self.label, id) if name is not None)
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise BadCorpusError(f"The column {twice[0]!r} is asked for twice. Text, pair, label and id are different.")
        return names


class _Table(NamedTuple):
    """Rows of the columns asked for. `place` names a row in messages, once its number follows."""

    place: str
    rows: Iterable[tuple[int, dict[str, object]]]


def _examples(
    table: _Table, columns: _Columns, id: str | None = None, after: int = 0, labels: Collection[str] | None = None
) -> list[Labelled]:
    """The rows, checked. Ids are those of the column `id`, or `after` plus the row's number."""
    found: list[Labelled] = []
    lines_of_ids: dict[int, int] = {}
    for number, row in table.rows:
        try:
            words = _words(row, columns.text)
            pair = _words(row, columns.pair) if columns.pair is not None else None
            label = _label(row, columns.label, labels)
            key = after + number if id is None else _id(row, id)
            if key in lines_of_ids:
                raise _BadValueError(f"the id {key} was given before, by line {lines_of_ids[key]}. Ids must be unique.")
        except _BadValueError as error:
            raise BadCorpusError(f"{table.place} {number}: {error}") from None
        lines_of_ids[key] = number
        found.append((Example(key, words, pair), label))
    return found


class _BadValueError(Exception):
    """What is wrong with a row; whoever knows its place says where."""


def _shown(value: object) -> str:
    return repr(value)[:SHOWN]


def _words(row: dict[str, object], column: str) -> str:
    value = row[column]
    if not isinstance(value, str) or not value.strip():
        raise _BadValueError(f"expected a text in column {column!r}, found {_shown(value)}. Mend or remove the row.")
    _require_whole(value, column)
    return value


def _require_whole(text: str, column: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can escape half a character, which no tokenizer and no file takes
        raise _BadValueError(f"the text in column {column!r} holds half a character: {_shown(text)}.") from None


def _label(row: dict[str, object], column: str, known: Collection[str] | None) -> str:
    label = _label_text(row[column])
    if label is None:
        raise _BadValueError(
            f"expected a label (a word, a whole number, true or false) in column {column!r}, found "
            f"{_shown(row[column])}. Mend or remove the row."
        )
    _require_whole(label, column)
    if known is not None and label not in known:
        raise _BadValueError(
            f"the label {_shown(label)} in column {column!r} is not among those of the training set "
            f"({_listed(known)}). If it stands for 'no label', leave these rows or the file out."
        )
    return label


def _label_text(value: object) -> str | None:
    """A label as text: JSON's `true` and 1.0 (what pandas makes of 1) are `true` and `1`. None if it is no label."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or None if isinstance(value, int | str) else None


def _id(row: dict[str, object], column: str) -> int:
    value = row[column]
    if isinstance(value, bool) or not isinstance(value, int | str) or not ID.fullmatch(str(value).strip()):
        raise _BadValueError(
            f"expected a whole number from 0 on, of at most 18 digits, as id in column {column!r}, found "
            f"{_shown(value)}. Without an id column, line numbers are the ids."
        )
    return int(value)


def _listed(names: Iterable[object], most: int = 20) -> str:
    shown = [_shown(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


# Classes


def _classes(place: str, examples: Sequence[Labelled], positive: str | None) -> tuple[str, ...]:
    """The classes of a training set in the order of `TextSet.labels`."""
    labels = sorted({label for _, label in examples})
    if len(labels) < 2:
        raise BadCorpusError(
            f"{place}: expected examples of at least two classes to learn from, found {len(examples)} examples of "
            f"{len(labels)}: {_listed(labels) or 'none'}."
        )
    if all(INTEGER.fullmatch(label) for label in labels):
        labels.sort(key=int)
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


# Files


def _file(path: Path, columns: _Columns, id: str | None = None) -> _Table:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise BadCorpusError(f"{path}: expected a file named {', '.join(READERS)}, found {path.suffix!r}.")
    return _Table(f"{path}, line", reader(path, columns.names(id)))


def _lines(path: Path) -> Iterator[str]:
    """Lines with their ends. Only a newline ends one: texts hold other separators, such as U+2028."""
    number = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                yield raw.decode("utf-8" if number > 1 else "utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = error.object[error.start : error.end].hex(" ")
        raise BadCorpusError(
            f"{path}, line {number}: the bytes {wrong} are not UTF-8. Save the file as UTF-8, or get it again."
        ) from None
    except OSError as error:
        raise BadCorpusError(f"{path} cannot be read ({error.strerror}). Give a file that is there.") from None


def _read_tsv(path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, object]]]:
    lines = (line.removesuffix("\n").removesuffix("\r") for line in _lines(path))
    return _read_rows(path, names, ((number, line.split("\t")) for number, line in enumerate(lines, 1) if line))


def _read_csv(path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, object]]]:
    return _read_rows(path, names, _csv_rows(path))


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows, numbered by the line they begin on: a quoted text may go on for lines."""
    reader = csv.reader(_lines(path), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadCorpusError(
                f"{path}, line {number}: the row that begins here is not CSV ({error}). Quote a field with commas, "
                'quotes or newlines in it, and double the quotes: "He said ""yes"", twice". For a file without '
                "quoting, use .tsv; for texts without end, .jsonl."
            ) from None
        if fields:
            yield number, fields


def _read_rows(
    path: Path, names: Sequence[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, dict[str, object]]]:
    first, header = next(rows, (1, []))
    header = [name.strip() for name in header]
    for name in names:
        if header.count(name) != 1:
            raise BadCorpusError(
                f"{path}, line {first}: expected a header with one column {name!r}, found the columns "
                f"{_listed(header) or 'none'}. The first line is taken as the header: if it is an example already, "
                "put a line with the columns' names before it."
            )
    places = [(name, header.index(name)) for name in names]
    for number, fields in rows:
        if len(fields) != len(header):
            raise BadCorpusError(
                f"{path}, line {number}: expected {len(header)} fields as in the header, found {len(fields)}: "
                f"{_listed(fields, most=5)}. Mend or remove the row."
            )
        yield number, {name: fields[place] for name, place in places}


def _read_json_lines(path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(_lines(path), start=1):
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadCorpusError(
                f"{path}, line {number}: expected one JSON object on each line, found {_shown(line.strip())} ({error})."
            ) from None
        if not isinstance(row, dict):
            raise BadCorpusError(
                f"{path}, line {number}: expected one JSON object on each line, found {_shown(row)} "
                f"({type(row).__name__})."
            )
        for name in names:
            if name not in row:
                raise BadCorpusError(
                    f"{path}, line {number}: expected a value named {name!r}, found {_listed(row) or 'none'}."
                )
        yield number, row


READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[tuple[int, dict[str, object]]]]] = {
    ".tsv": _read_tsv,
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".json": _read_json_lines,
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
) -> TextSet:
    """A text set from the Hugging Face hub, such as `nyu-mll/glue` with config `sst2`, or from a local copy of one.

    `splits` name what becomes `train`, `dev` and, if there is a third, `test`. An example's id is its row, counted
    from 0 on through the splits. Numbered classes get their names. A test split whose labels are withheld (-1 or
    null) is left out, and `source` says so. `positive` and the order of the classes: see `read_files`.

    Raises `BadCorpusError` that names the data set, the split, the row, the value and the remedy.
    """
    columns = _Columns(text, pair, label)
    title = name if config is None else f"{name} ({config})"
    if not 2 <= len(splits) <= 3:
        raise BadCorpusError(f"{title}: expected two or three splits (train, dev, test), found {_listed(splits)}.")
    data = _load(name, config, title)
    tables = [_hub_table(data, split, columns, title) for split in splits]
    train = _examples(tables[0], columns)
    labels = _classes(f"{title}, split {splits[0]}", train, positive)
    dev = _examples(tables[1], columns, after=len(train), labels=labels)
    if not dev:
        raise BadCorpusError(f"{title}, split {splits[1]} holds no examples. Name another split to judge by.")
    source = f"{title}, {'a local copy' if Path(name).is_dir() else 'from the Hugging Face hub'}: {', '.join(splits)}"
    test: list[Labelled] = []
    if len(splits) > 2 and any(_is_withheld(row[label], labels) for _, row in tables[2].rows):
        source += f" ({splits[2]} is left out: it has no labels)"
    elif len(splits) > 2:
        test = _examples(tables[2], columns, after=len(train) + len(dev), labels=labels)
    return TextSet(source, labels, tuple(train), tuple(dev), tuple(test))


def _load(name: str, config: str | None, title: str) -> Any:
    """The data set, split by split. Asks first whether the hub answers, for its own client tries for half a minute."""
    if not Path(name).is_dir():
        require_hub(title)
    try:
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
    except ImportError:
        raise BadCorpusError(f"{title} needs the package 'datasets': pip install datasets, or give files.") from None
    try:
        return load_dataset(name, config)
    except ConnectionError as error:
        raise BadCorpusError(f"{title} cannot be loaded: the hub cannot be reached ({error}). Give files.") from None
    except (DatasetsError, OSError, ValueError, KeyError, RuntimeError) as error:
        why = error.__cause__ or error  # "an error occurred", because of what says more
        raise BadCorpusError(
            f"{title} cannot be loaded ({type(why).__name__}: {str(why)[:300]}). Check the name, or give files."
        ) from None


def _hub_table(data: Any, split: str, columns: _Columns, title: str) -> _Table:
    if split not in data:
        raise BadCorpusError(f"{title} has no split {split!r}, only {_listed(data)}. Name two or three of these.")
    names = columns.names()
    for name in names:
        if name not in data[split].column_names:
            raise BadCorpusError(
                f"{title}, split {split}: expected a column {name!r}, found {_listed(data[split].column_names)}."
            )
    values = data[split].select_columns(list(names))[:]
    classes = getattr(data[split].features[columns.label], "names", None)
    if classes is not None:  # the label is a number; -1 stands for no label
        numbers = values[columns.label]
        values[columns.label] = [None if number in (None, -1) else classes[number] for number in numbers]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(values[name] for name in names), strict=True)]
    return _Table(f"{title}, split {split}, row", list(enumerate(rows)))


def _is_withheld(value: object, labels: Collection[str]) -> bool:
    return value is None or (value == -1 and "-1" not in labels)
