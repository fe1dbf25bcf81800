"""Tables of labels as files that other programs read: CSV, JSON Lines and Parquet, a row for each task.

Every column has one type and no cell is empty of it, so that no reader has to guess; what it would guess all the same,
a card beside the file tells it. Parquet alone is taken for what it is by everybody: pandas, and so `datasets`, reads
"007" in CSV as 7, and a column of dates in JSON Lines as times. Written slice by slice, so that a table may be longer
than memory.
"""

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nextlabel.errors import BadSettingError, NextlabelError, of_extra
from nextlabel.values.yaml_text import quoted

INTEGER, TEXT, YES_NO, NUMBER = "int64", "string", "bool", "float64"  # types, as Parquet and `datasets` call them
FORMATS = ("csv", "jsonl", "parquet")
# What a spreadsheet takes for a formula; a number with a sign it may have.
FORMULA = re.compile(r"[=@\t\r\n]|[+\-](?!\d+([.,]\d+)?$)")
BREAKS = {char: f"\\u{char:04x}" for char in (0x85, 0x2028, 0x2029)}  # some readers would begin a new line there

Slice = Mapping[str, Sequence[Any]]  # values by the name of the column, equally many in each


class Column(NamedTuple):
    """A name, and one of the types above."""

    name: str
    type: str


class _Writer(Protocol):
    def write(self, rows: Slice) -> None: ...


def formats() -> tuple[str, ...]:
    """Those that can be written here: Parquet only where pyarrow is installed."""
    return tuple(kind for kind in FORMATS if kind != "parquet" or find_spec("pyarrow"))


def format_of(path: Path) -> str:
    """By the end of a file's name. Raises `BadSettingError` for another one."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise BadSettingError(
            f"{path} ends in none of .csv, .jsonl and .parquet, which say how labels are written. Name such a file, or "
            "a directory, which gets all three."
        )
    return kind


def write(files: Mapping[str, Path], columns: Sequence[Column], slices: Iterable[Slice]) -> int:
    """Write a table in several formats, each to a file; returns how many rows it has. Each file gets its name once it
    is complete; one of that name is replaced.

    Raises `NextlabelError` when one cannot be written, `MissingPackageError` for Parquet without pyarrow.
    """
    rows = 0
    with ExitStack() as opened:
        writers = [opened.enter_context(_opened(kind, path, columns)) for kind, path in files.items()]
        for part in slices:
            for writer in writers:
                writer.write(part)
            rows += len(part[columns[0].name])
    return rows


@contextmanager
def _opened(kind: str, path: Path, columns: Sequence[Column]) -> Iterator[_Writer]:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with WRITERS[kind](beside, columns) as writer:
            yield writer
        beside.replace(path)
    except OSError as error:
        raise NextlabelError(
            f"{path} cannot be written ({error}). Name a place with room in a directory that is there."
        ) from None
    finally:
        beside.unlink(missing_ok=True)


class _Csv:
    """For spreadsheets: a text that these would take for a formula gets an apostrophe in front."""

    def __init__(self, path: Path, columns: Sequence[Column]):
        self._file = path.open("w", encoding="utf-8", newline="")
        self._columns = columns
        self._rows = csv.writer(self._file)
        self._rows.writerow([_harmless(column.name) for column in columns])

    def __enter__(self) -> "_Csv":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: Slice) -> None:
        columns = [map(_harmless, rows[name]) if kind == TEXT else map(str, rows[name]) for name, kind in self._columns]
        self._rows.writerows(zip(*columns, strict=True))


def _harmless(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) else text


class _JsonLines:
    def __init__(self, path: Path, columns: Sequence[Column]):
        self._file = path.open("w", encoding="utf-8")
        self._names = [column.name for column in columns]

    def __enter__(self) -> "_JsonLines":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: Slice) -> None:
        for cells in zip(*(rows[name] for name in self._names), strict=True):
            row = dict(zip(self._names, cells, strict=True))
            self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).translate(BREAKS) + "\n")


class _Parquet:
    def __init__(self, path: Path, columns: Sequence[Column]):
        with of_extra("export", "Parquet"):
            import pyarrow
            from pyarrow.parquet import ParquetWriter
        types = {INTEGER: pyarrow.int64(), TEXT: pyarrow.string(), YES_NO: pyarrow.bool_(), NUMBER: pyarrow.float64()}
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in columns])
        self._batch = pyarrow.RecordBatch
        self._writer = ParquetWriter(path, self._schema)

    def __enter__(self) -> "_Parquet":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, rows: Slice) -> None:
        named = {name: list(rows[name]) for name in self._schema.names}
        self._writer.write_batch(self._batch.from_pydict(named, schema=self._schema))


WRITERS: Mapping[str, Any] = {"csv": _Csv, "jsonl": _JsonLines, "parquet": _Parquet}


def dataset_card(file: str, columns: Sequence[Column], about: str) -> str:
    """A README.md with which `datasets.load_dataset` reads a directory, in which the file is alone, by these types."""
    head = ["---", "configs:", '- config_name: "default"', f"  data_files: {quoted(file)}"]
    head += ["  keep_default_na: false"] if file.endswith(".csv") else []  # "null" is a label like any other
    head += ["dataset_info:", "  features:"]
    head += [f"  - name: {quoted(name)}\n    dtype: {quoted(type_)}" for name, type_ in columns]
    return "\n".join([*head, "---", "", about, ""])
