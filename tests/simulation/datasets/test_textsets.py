"""Text sets from files of every kind and from the hub's library, whole and damaged; classes; leaks; fingerprints."""

import contextlib
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.paths import ROOT
from nextlabel.errors import BadCorpusError
from nextlabel.simulation.datasets.corpora import (
    LABELS,
    Corpus,
    Pair,
    own_pairs,
)
from nextlabel.simulation.datasets.textsets import (
    TextSet,
    alike,
    doubtful,
    download,
    of_pairs,
    read_files,
)
from nextlabel.values.examples import Example

laws = settings(derandomize=True, deadline=None, max_examples=40)
HEADER = ("sentence1", "sentence2", "label")
Row = tuple[str, str, str]
ROWS: list[Row] = [("Cats purr.", "A cat purrs.", "1"), ('She said "no.', "Rain, again", "0"), ("Ärger", "日本", "1")]


def write_tsv(path: Path, rows: Sequence[Sequence[object]], ends: str = "\n", encoding: str = "utf-8") -> None:
    lines = ["\t".join(str(field) for field in row) for row in (HEADER, *rows)]
    path.write_text(ends.join([*lines, ""]), encoding=encoding, newline="")


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


def write_jsonl(path: Path, rows: Sequence[Sequence[object]]) -> None:
    lines = [json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) for row in rows]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="")


WRITERS: dict[str, Callable[[Path, Sequence[Sequence[object]]], None]] = {
    ".tsv": write_tsv,
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".json": write_jsonl,
}


def read_pairs(train: Path, dev: Path, test: Path | None = None, positive: str | None = None) -> TextSet:
    return read_files(train, dev, test, "sentence1", "sentence2", "label", positive=positive)


def written(directory: Path, name: str, rows: Sequence[Sequence[object]]) -> Path:
    path = directory / name
    WRITERS[path.suffix](path, rows)
    return path


def plain(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def complaint(read: Callable[[], object]) -> str:
    with pytest.raises(BadCorpusError) as refused:
        read()
    return str(refused.value)


def refusal_of_train(directory: Path, name: str, content: str | bytes) -> str:
    """What is said about this training file, beside a good validation file; columns `text` and `label`."""
    dev = plain(directory, "dev.tsv", "text\tlabel\nfine\t1\n")
    path = plain(directory, name, content)
    message = complaint(lambda: read_files(path, dev, None, "text", None, "label"))
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def contents(part: Sequence[tuple[Example, str]]) -> list[tuple[str, str | None, str]]:
    return [(example.text, example.pair, label) for example, label in part]


# Whole files


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl", ".json"])
def test_every_kind_of_file_is_read(tmp_path: Path, suffix: str) -> None:
    paths = [written(tmp_path, name + suffix, ROWS[:size]) for name, size in (("a", 3), ("b", 2), ("c", 1))]
    data = read_pairs(paths[0], paths[1], paths[2])
    assert [contents(part) for part in (data.train, data.dev, data.test)] == [ROWS, ROWS[:2], ROWS[:1]]
    assert data.labels == ("1", "0")
    assert all(str(path) in data.source for path in paths)


@pytest.mark.parametrize(("ends", "encoding"), [("\r\n", "utf-8-sig"), ("\n\n", "utf-8"), ("\r\n\r\n", "utf-8")])
def test_bom_windows_line_ends_and_empty_lines_do_not_matter(tmp_path: Path, ends: str, encoding: str) -> None:
    for suffix in (".tsv", ".csv"):
        path = tmp_path / f"train{suffix}"
        lines = ["text,label", "one,1", "two,0"] if suffix == ".csv" else ["text\tlabel", "one\t1", "two\t0"]
        path.write_text(ends.join(["", *lines, ""] if encoding == "utf-8" else lines), encoding, newline="")
        data = read_files(path, path, None, "text", None, "label")
        assert contents(data.train) == [("one", None, "1"), ("two", None, "0")]


def test_json_lines_with_bom_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    lines = '\ufeff{"text": "one", "label": 1}\r\n\r\n{"text": "two", "label": 0}\r\n'
    path = plain(tmp_path, "train.jsonl", lines)
    assert contents(read_files(path, path, None, "text", None, "label").train) == [
        ("one", None, "1"),
        ("two", None, "0"),
    ]


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)
texts = words.filter(lambda text: bool(text.strip()))
lines_of_text = texts.map(lambda text: "".join(text.split("\t"))).map(
    lambda text: text.replace("\n", " ").replace("\r", " ")
)
labels = st.sampled_from(["0", "1", "neither nor", "ja"])


def tables(text: st.SearchStrategy[str]) -> st.SearchStrategy[list[Row]]:
    rows = st.lists(st.tuples(text, text, labels), min_size=2, max_size=8)
    return rows.filter(lambda found: len({label for _, _, label in found}) > 1)


def read_back(suffix: str, rows: list[Row]) -> TextSet:
    with tempfile.TemporaryDirectory() as directory:
        path = written(Path(directory), f"texts{suffix}", rows)
        return read_pairs(path, path)


@laws
@given(rows=tables(lines_of_text.filter(lambda text: bool(text.strip()))))
def test_any_row_comes_back_from_tsv(rows: list[Row]) -> None:
    assert contents(read_back(".tsv", rows).train) == rows


@laws
@given(rows=tables(texts), suffix=st.sampled_from([".csv", ".jsonl"]))
def test_any_row_comes_back_from_csv_and_json(rows: list[Row], suffix: str) -> None:
    data = read_back(suffix, rows)
    assert contents(data.train) == contents(data.dev) == rows
    assert set(data.labels) == {label for _, _, label in rows}
    assert len({example.id for example, _ in (*data.train, *data.dev)}) == 2 * len(rows)
    assert data.leaks()["dev examples are also in train"] == len(rows)


def test_further_texts_go_with_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [{"a": f"a{n}", "b": f"b{n}", "c": f"c{n}", "d": f"d{n}", "label": n} for n in range(2)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = read_files(path, path, None, "a", "b", "label", more=["c", "d"])
    assert [example.texts for example, _ in data.train] == [(f"a{n}", f"b{n}", f"c{n}", f"d{n}") for n in range(2)]
    fewer = read_files(path, path, None, "a", "b", "label", more=["c"])
    assert data.fingerprint != fewer.fingerprint
    assert data.leaks() == {"dev examples are also in train": 2}
    assert "'a' is asked for twice" in complaint(lambda: read_files(path, path, None, "a", "b", "label", more=["a"]))


# Ids


def test_an_id_is_the_line_and_counted_on_through_the_files(tmp_path: Path) -> None:
    train = plain(tmp_path, "train.csv", 'text,label\n"two\nlines",1\n\nthree,0\n')
    dev = plain(tmp_path, "dev.jsonl", '{"text": "a", "label": 1}\n')
    test = plain(tmp_path, "test.tsv", "text\tlabel\nb\t1\n")
    data = read_files(train, dev, test, "text", None, "label")
    assert [example.id for example, _ in (*data.train, *data.dev, *data.test)] == [2, 5, 6, 8]


def test_ids_of_the_training_file_may_be_given(tmp_path: Path) -> None:
    train = plain(tmp_path, "train.tsv", "index\ttext\tlabel\n70\ta\t1\n3\tb\t0\n")
    dev = plain(tmp_path, "dev.tsv", "text\tlabel\nc\t1\n")
    data = read_files(train, dev, None, "text", None, "label", id="index")
    assert [example.id for example, _ in (*data.train, *data.dev)] == [70, 3, 72]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('{"id": 7, "text": "a", "label": 1}\n{"id": 7, "text": "b", "label": 0}', "line 2: the id 7 was given before"),
        ('{"id": 7, "text": "a", "label": 1}\n\n{"id": "7", "text": "b", "label": 0}', "line 3: the id 7 was given"),
        (
            '{"id": 7.5, "text": "a", "label": 1}',
            "line 1: expected a whole number from 0 on, of at most 18 digits, as id",
        ),
        ('{"id": true, "text": "a", "label": 1}', "in column 'id', found True"),
        ('{"id": "1_0", "text": "a", "label": 1}', "in column 'id', found '1_0'"),
        ('{"id": 1000000000000000000, "text": "a", "label": 1}', "found 1000000000000000000"),
        ('{"text": "a", "label": 1}', "line 1: expected a value named 'id', found 'text', 'label'"),
    ],
)
def test_ids_that_identify_nothing_are_refused(tmp_path: Path, lines: str, words: str) -> None:
    path = plain(tmp_path, "train.jsonl", lines)
    assert words in complaint(lambda: read_files(path, path, None, "text", None, "label", id="id"))


def test_the_lines_of_a_doubled_id_are_both_named(tmp_path: Path) -> None:
    path = plain(tmp_path, "train.tsv", "id\ttext\tlabel\n5\ta\t1\n6\tb\t0\n5\tc\t0\n")
    message = complaint(lambda: read_files(path, path, None, "text", None, "label", id="id"))
    assert f"{path}, line 4: the id 5 was given before, by line 2" in message


# Damaged files


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.tsv", "text\tlabel\na\t1\nb\n", ", line 3: expected 2 fields as in the header, found 1: 'b'"),
        ("t.tsv", "text\tlabel\na\t1\n\nb\t0\t\n", ", line 4: expected 2 fields as in the header, found 3"),
        ("t.csv", "text,label\na,1\nb,b,0\n", ", line 3: expected 2 fields as in the header, found 3: 'b', 'b', '0'"),
        ("t.csv", 'text,label\na,1\n"b,0\nc,1\n', ", line 3: the row that begins here is not CSV"),
        ("t.csv", 'text,label\na,1\n"b"c,0\n', ", line 3: the row that begins here is not CSV"),
        (
            "t.csv",
            "text,label\na,1\n" + "b" * 200_000 + ",0,\n",
            ", line 3: expected 2 fields as in the header, found 3",
        ),
        (
            "t.csv",
            'text,label\na,1\n"b \\"c\\" d",0\n',
            "a quote in it is escaped by a backslash. Double the quotes within a quoted",
        ),
        ("t.csv", 'text,label\na,1\n"b,0\nc,1\n', "its quote is never closed"),
        ("t.csv", 'text,label\na,1\n"b"c,0\n', "text follows its closing quote"),
        ("t.csv", "text,label\na,1\nb\rc,0\n", ", line 3: the row that begins here is not CSV: a carriage return"),
        ("t.csv", "text,label\na,1\nb\rc,0\n", "stands alone in the row. End lines with newlines, and"),
        (
            "t.tsv",
            "text\tlabel\na\t1\n \t0\n",
            "found 1 examples of 1: '1'. Not used: 1 without a text (the first: line 3)",
        ),
        ("t.tsv", "text\tlabel\na\t \n", " holds no examples: of 1 rows, 1 without a label (the first: line 2)"),
        ("t.csv", 'text,label\n"two\nlines",\n', "1 without a label (the first: line 2)"),
        ("t.tsv", "sentence\tlabel\na\t1\n", ", line 1: expected a header with one column 'text', found the columns"),
        ("t.tsv", "sentence\tlabel\na\t1\n", "'sentence', 'label'. The first line is taken as the header"),
        ("t.tsv", "text\ttext\tlabel\na\ta\t1\n", "expected a header with one column 'text', found 2 of that name"),
        ("t.csv", "text,label,label\na,1,1\n", "expected a header with one column 'label', found 2 of that name"),
        ("t.tsv", "text,label\na,1\n", "If commas or semicolons separate the fields, name the file .csv"),
        ("t.csv", "", "'text', found the columns none. The file is empty, or begins with an empty line: give one with"),
        ("t.csv", "Text,Label\na,1\n", "found the columns 'Text', 'Label'. Capitals count: give the name as it is"),
        ("t.csv", "text|label\na|1\n", "Fields between | are not read: save them with commas, as .csv."),
        ("t.csv", "sep=;\ntext;label\na;1\n", "The first line is for spreadsheets: take it out."),
        ("t.tsv", b"text\tlabel\na\t1\ncaf\xe9\t0\n", ", line 3: the bytes e9 are not UTF-8"),
        ("t.csv", b"text,label\na,1\ncaf\xe9,0\n", ", line 3: the bytes e9 are not UTF-8"),
        ("t.jsonl", b'{"text": "caf\xe9", "label": 1}\n', ", line 1: the bytes e9 are not UTF-8"),
        (
            "t.csv",
            "text,label\na,1\nsaid “no” € café,0\n".encode("cp1252"),
            "cp1252), in which the place reads 'text,label a,1 said",
        ),
        (
            "t.csv",
            "text,label\na,1\nsaid “no” € café,0\n".encode("cp1252"),
            "said “no” € café,0'. If that is right, save",
        ),
        ("t.csv", b"text,label\na,1\n\x81\x8d,0\n", "It is not likely to be Windows-1252 (cp1252) either"),
        (
            "t.csv",
            b"text,label\n\xcf\xf0\xe8\xe2\xe5\xf2 \xe2\xf1\xe5\xec,1\n",
            "an encoding of another script than the Latin: save",
        ),
        (
            "t.csv",
            "text,label\n良い商品です,1\n".encode("shift_jis"),
            "an encoding of another script than the Latin: save",
        ),
        (
            "t.csv",
            "text,label\nÄrger über Öl,1\n".encode() + b"\xff,0\n",
            ", line 3: the bytes ff are not UTF-8. The rest",
        ),
        ("t.tsv", "text\tlabel\n".encode("utf-16"), ", line 1: the file is in UTF-16, not in UTF-8: save it as UTF-8"),
        ("t.jsonl", b"\xfe\xff" + "{}".encode("utf-16-be"), ", line 1: the file is in UTF-16, not in UTF-8"),
        ("t.csv", "text,label\na,1\n".encode("utf-16-le"), ", line 1: the file is in UTF-16LE, not in UTF-8"),
        ("t.csv", "text,label\na,1\n".encode("utf-16-be"), ", line 1: the file is in UTF-16BE, not in UTF-8"),
        ("t.csv", "text,label\n".encode("utf-32"), ", line 1: the file is in UTF-32, not in UTF-8"),
        ("t.tsv", "text\tlabel\na\t1\nb\x00\t0\n", ", line 3: there is a NUL byte, which no text holds"),
        ("t.csv", b"PK\x03\x04\x14\x00", " is a zip archive or an Excel workbook, no text"),
        ("t.jsonl", b"\x1f\x8b\x08\x00", " is compressed with gzip, no text"),
        ("t.jsonl", '{"text": "a", "label": 1}\n{"text": \n', ", line 2: expected one JSON object on each line, found"),
        (
            "t.json",
            '[{"text": "a", "label": 1}',
            ": expected one JSON array of objects, or one JSON object on each line (",
        ),
        ("t.json", '[{"text": "a", "label": 1}]', ": expected examples of at least two classes to learn from, found 1"),
        ("t.json", '[{"text": "a", "label": 1}, 7]', ", item 2: expected JSON objects, found 7 (int)"),
        ("t.json", "[]", " holds no examples"),
        ("t.jsonl", "", " holds no examples"),
        ("t.jsonl", '{"text": "a", "text": "b", "label": 1}', ", line 1: expected one JSON object on each line, found"),
        ("t.jsonl", '{"text": "a", "text": "b", "label": 1}', "the name 'text' stands twice in an object"),
        ("t.json", '{\n"text": "a"\n}', ", line 1: expected one JSON object on each line, found '{'"),
        (
            "t.jsonl",
            "[" * 100_000,
            ": expected one JSON array of objects, or one JSON object on each line (maximum recursion",
        ),
        ("t.jsonl", '{"text": ' + "[" * 100_000, ", line 1: expected one JSON object on each line"),
        ("t.jsonl", "7", ", line 1: expected one JSON object on each line, found 7 (int)"),
        ("t.jsonl", '{"text": "a"}', ", line 1: expected a value named 'label', found 'text'"),
        ("t.jsonl", '{"text": 5, "label": 1}', ", line 1: expected a text in column 'text', found 5"),
        ("t.jsonl", '{"text": null, "label": 1}', "of 1 rows, 1 without a text (the first: line 1)"),
        ("t.jsonl", '{"text": ["a"], "label": 1}', "expected a text in column 'text', found ['a']"),
        ("t.jsonl", r'{"text": "a\ud83d", "label": 1}', ", line 1: the text in column 'text' holds half a character"),
        ("t.jsonl", '{"text": "a", "label": 0.5}', ", line 1: expected a label"),
        ("t.jsonl", r'{"text": "a", "label": "\ud83d"}', ", line 1: the text in column 'label' holds half a character"),
        ("t.jsonl", '{"text": "a", "label": null}', "of 1 rows, 1 without a label (the first: line 1)"),
        ("t.jsonl", '{"text": "a", "label": NaN}', "of 1 rows, 1 without a label (the first: line 1)"),
        ("t.jsonl", '{"text": "a", "label": ["x", "y"]}', "of 1 rows, 1 with several labels (the first: line 1)"),
        (
            "t.jsonl",
            '{"text": "a", "label": [[0, 1, "x"]]}',
            ", line 1: expected a label (a word, a whole number, true or",
        ),
        ("t.jsonl", '{"text": "a", "label": {"x": 1}}', ", line 1: expected a label"),
        ("t.txt", "text\tlabel\na\t1\n", ": expected a file named .tsv, .csv, .jsonl, .json, found '.txt'"),
        ("t.tsv", "text\tlabel\na\t1\n", ": expected examples of at least two classes to learn from, found 1 examples"),
        ("t.tsv", "text\tlabel\na\t1\nb\t1\n", "found 2 examples of 1: '1'"),
        ("t.tsv", "text\tlabel\n", " holds no examples. Give a file with some"),
    ],
)
def test_damage_is_named_by_file_line_and_value(tmp_path: Path, name: str, content: str | bytes, words: str) -> None:
    assert words in refusal_of_train(tmp_path, name, content)


def read_or_refused(name: str, content: bytes) -> None:
    """Nothing but examples or a sentence may come of a file."""
    with tempfile.TemporaryDirectory() as directory:
        path = plain(Path(directory), name, content)
        with contextlib.suppress(BadCorpusError):
            data = read_files(path, path, None, "text", None, "label")
            assert len(data.train) == len(data.dev) > 1
            assert all(example.text.strip() for example, _ in data.train)
            assert str(len(data.train)) in data.notes[0]


suffixes = st.sampled_from([".tsv", ".csv", ".jsonl", ".json"])
starts = st.sampled_from(
    [b"", b"text,label\n", b"text\tlabel\n", b'"text"\t"label"\n', b"[", b'{"text": "a", "label": 1}\n']
)
pieces = st.sampled_from(
    [b"a", b'"', b'""', b",", b"\t", b"\n", b"\r\n", b"\r", b"\\", b"\x00", b"\xe9", b"1", b"{", b"[", b"]", b"}"]
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(suffix=suffixes, start=starts, more=st.lists(pieces, max_size=20))
def test_whatever_bytes_a_file_holds_it_is_read_or_refused(suffix: str, start: bytes, more: list[bytes]) -> None:
    read_or_refused(f"file{suffix}", start + b"".join(more))


keys = st.sampled_from(["text", "label", "data", "annotations", "answer", "id", "annotation_id", "annotator", "result"])
keys |= st.sampled_from(["from_name", "type", "value", "choices", "was_cancelled", "updated_at", "ground_truth"])
values: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 1, 1.5, float("nan"), "", "a", "label", "choices", "accept", "reject", '["a"]', "{}", [], {}]
)
objects: st.SearchStrategy[Any] = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6)
)
good: st.SearchStrategy[Any] = st.just({"text": "a", "label": "b"}) | st.just(
    {"data": {"text": "a"}, "annotations": []}
)
good |= st.fixed_dictionaries(dict.fromkeys(("annotation_id", "annotator", "id", "text", "label"), objects))
choice = st.fixed_dictionaries({"from_name": st.just("label"), "type": values, "value": objects})
answer = st.fixed_dictionaries(
    {"result": st.lists(choice | objects, max_size=2), "ground_truth": values, "updated_at": values}
)
good |= st.fixed_dictionaries({"data": st.just({"text": "a"}), "annotations": st.lists(answer | objects, max_size=3)})


@settings(derandomize=True, deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(good | st.dictionaries(keys, objects, max_size=6), max_size=4),
    suffix=st.sampled_from([".json", ".jsonl"]),
)
def test_whatever_objects_a_file_holds_it_is_read_or_refused(rows: list[object], suffix: str) -> None:
    content = json.dumps(rows) if suffix == ".json" else "\n".join(json.dumps(row) for row in rows)
    read_or_refused(f"file{suffix}", content.encode())


def test_the_text_of_a_pair_must_be_there_too(tmp_path: Path) -> None:
    path = written(tmp_path, "train.tsv", [*ROWS, ("alone", " ", "1")])
    data = read_pairs(path, path)
    assert contents(data.train) == contents(data.dev) == ROWS
    assert data.notes == (f"{path}: 3 of 4 rows used; not used: 1 without a text (the first: line 5).",) * 2


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "train.tsv", ROWS)
    assert read_pairs(path, path).notes == (f"{path}: 3 of 3 rows used.",) * 2
    (tmp_path / "dir.csv").mkdir()
    assert f"{tmp_path / 'no.tsv'} cannot be read (No such file" in complaint(
        lambda: read_pairs(path, tmp_path / "no.tsv")
    )
    assert f"{tmp_path / 'dir.csv'} cannot be read" in complaint(lambda: read_pairs(path, tmp_path / "dir.csv"))


@pytest.mark.parametrize("part", ["dev", "test"])
def test_a_file_to_judge_by_must_hold_examples(tmp_path: Path, part: str) -> None:
    full, empty = written(tmp_path, "train.csv", ROWS), written(tmp_path, f"{part}.csv", [])
    files = (empty, None) if part == "dev" else (full, empty)
    assert f"{empty} holds no examples" in complaint(lambda: read_pairs(full, *files))


def test_a_label_that_training_lacks_is_named(tmp_path: Path) -> None:
    train, dev = written(tmp_path, "train.tsv", ROWS), written(tmp_path, "dev.tsv", [*ROWS, ("a", "b", "-1")])
    for files in ((dev, None), (train, dev)):
        message = complaint(lambda files=files: read_pairs(train, *files))  # type: ignore[misc]
        assert f"{dev}, line 5: the label '-1' in column 'label' is not among those of the training set" in message
        assert "('1', '0'); 1 of 4 rows has it. If it stands for 'no label', leave these rows out" in message


def test_one_column_cannot_be_text_and_label(tmp_path: Path) -> None:
    path = written(tmp_path, "train.tsv", ROWS)
    assert "'label' is asked for twice" in complaint(lambda: read_files(path, path, None, "label", None, "label"))


# Classes


def classes(directory: Path, found: Sequence[object], positive: str | None = None) -> tuple[str, ...]:
    path = written(directory, "train.jsonl", [("a", "b", label) for label in found])
    return read_pairs(path, path, positive=positive).labels


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["0", "1"], ("1", "0")),
        (["1", "-1"], ("1", "-1")),
        ([0, 1.0], ("1", "0")),
        ([False, True], ("true", "false")),
        (["NO", "Yes"], ("Yes", "NO")),
        (["different", "paraphrase"], ("paraphrase", "different")),
        (["equivalent", "not_equivalent"], ("equivalent", "not_equivalent")),
        (["duplicate", "not_duplicate"], ("duplicate", "not_duplicate")),
        (["entailment", "not_entailment"], ("entailment", "not_entailment")),
        (["acceptable", "unacceptable"], ("acceptable", "unacceptable")),
        (["negative", "positive"], ("positive", "negative")),
        (["ham", "spam"], ("spam", "ham")),
        (["apples", "pears"], ("pears", "apples")),
        (["9", "10"], ("10", "9")),
        (["10", "9", "1"], ("1", "9", "10")),
        ([" pears ", "apples", "pears", "plums"], ("apples", "pears", "plums")),
    ],
)
def test_of_two_classes_the_positive_one_comes_first(
    tmp_path: Path, found: list[object], expected: tuple[str, ...]
) -> None:
    assert classes(tmp_path, found) == classes(tmp_path, found[::-1]) == expected


def test_the_positive_class_may_be_given(tmp_path: Path) -> None:
    assert classes(tmp_path, ["0", "1"], positive="0") == ("0", "1")
    assert "'2' cannot be the positive class, for the classes are ['0', '1']" in complaint(
        lambda: classes(tmp_path, ["0", "1"], positive="2")
    )
    assert "'b' cannot be the positive class of 3 classes" in complaint(
        lambda: classes(tmp_path, ["a", "b", "c"], positive="b")
    )


# Labels of train, dev and test


def labelled(directory: Path, name: str, labels: Sequence[object]) -> Path:
    """A file with a text for each label, as its kind writes it."""
    path = directory / name
    rows = [(f"text {number}", label) for number, label in enumerate(labels)]
    if path.suffix == ".jsonl":
        return plain(directory, name, "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows))
    sep = "," if path.suffix == ".csv" else "\t"
    return plain(directory, name, "\n".join([f"text{sep}label", *(f"{text}{sep}{label}" for text, label in rows)]))


def read_labelled(train: Path, dev: Path, positive: str | None = None) -> TextSet:
    return read_files(train, dev, None, "text", None, "label", positive=positive)


ONES: list[list[object]] = [["1", "0"], ["1.0", "0.0"], ["1.00", "0"], [1, 0], [1.0, 0.0]]
TRUES: list[list[object]] = [["true", "false"], ["True", "False"], ["TRUE", "FALSE"], [True, False]]


@pytest.mark.parametrize("ways", [ONES, TRUES])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_numbers_and_truths_are_the_same_labels_in_every_file(
    tmp_path: Path, suffix: str, ways: list[list[object]]
) -> None:
    usual = tuple(ways[0])
    for first in ways:
        for second in ways:
            train = labelled(tmp_path, f"train{suffix}", first)
            dev = labelled(tmp_path, "dev.jsonl" if suffix == ".csv" else "dev.csv", second)
            data = read_labelled(train, dev)
            assert data.labels == usual
            assert [label for _, label in (*data.train, *data.dev)] == [*usual, *usual]


def test_a_label_that_is_read_in_another_form_is_named(tmp_path: Path) -> None:
    path = labelled(tmp_path, "train.csv", ["1.0", "-2.0", "-0.0", "3"])
    assert f"{path}: labels are read in their usual form, '-0.0' as '0', '-2.0' as '-2', '1.0' as '1'." in (
        read_labelled(path, path).notes
    )


@pytest.mark.parametrize(
    ("written", "usual"), [(["1", "1.0", "0"], ("0", "1", "1.0")), (["True", "no", "true"], ("True", "no", "true"))]
)
def test_two_ways_of_writing_in_one_file_stay_two_classes(
    tmp_path: Path, written: list[object], usual: tuple[str, ...]
) -> None:
    train = labelled(tmp_path, "train.csv", written)
    data = read_labelled(train, train)
    assert data.labels == usual
    assert [label for _, label in data.dev] == written
    assert len(alike(data.labels)) == 1


def test_two_ways_of_writing_in_a_file_to_judge_by_are_refused(tmp_path: Path) -> None:
    train, dev = labelled(tmp_path, "train.csv", ["1", "0"]), labelled(tmp_path, "dev.csv", ["1", "1.0", "0.0", "1.0"])
    message = complaint(lambda: read_labelled(train, dev))
    assert f"{dev}, line 3: the label '1.0' in column 'label' is not among those of the training set" in message
    assert "2 of 4 rows have it. It seems to be '1' written in another way: write it as there." in message


@pytest.mark.parametrize("label", ["01", "1.", "1.5", "+1", "1e0", "v1.0", "1.0.0"])
def test_what_only_resembles_a_number_is_a_name(tmp_path: Path, label: str) -> None:
    path = labelled(tmp_path, "train.csv", ["0", label])
    assert read_labelled(path, path).labels == (label, "0") or read_labelled(path, path).labels == ("0", label)
    one = labelled(tmp_path, "one.csv", ["0", "1"])
    assert f"the label '{label}' in column" in complaint(lambda: read_labelled(one, path))


def test_the_positive_class_may_be_given_in_any_form(tmp_path: Path) -> None:
    path = labelled(tmp_path, "train.csv", ["1", "0"])
    assert read_labelled(path, path, positive="0.0").labels == ("0", "1")


def test_classes_that_may_be_one_are_found() -> None:
    assert alike(["pos", "POS", "neg", "so so", "So  so", "neutral"]) == [("pos", "POS"), ("so so", "So  so")]
    assert alike(["1", "1.0", "2"]) == [("1", "1.0")]
    assert alike(["1", "true", "false"]) == [("1", "true")]
    assert alike(["a", "b"]) == []


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["NA", "nan", "neg", "pos"], "'NA', 'nan' is taken as a class; if that stands for 'no label', leave these"),
        (["0.143", "0.286", "2"], "numbers such as 0.143 are taken as names of classes; is --label the right column?"),
        (["x;y", "x;z", "z"], "most labels hold ';', as 'x;y' does, and are taken as classes of their own; where any"),
        (["x;y", "x", "y"], "'x;y' is taken as a class of its own, beside those that it consists of; where any labels"),
        (["a and b", "a", "b", "1.0", "c/d"], ""),
    ],
)
def test_classes_that_may_be_none_are_doubted(classes: Sequence[str], said: str) -> None:
    found = list(doubtful(dict.fromkeys(classes, 2)))
    assert [line[: len(said)] for line in found] == [said] * bool(said)


def test_classes_of_one_example_each_are_doubted(tmp_path: Path) -> None:
    ids = labelled(tmp_path, "ids.csv", [str(i) for i in range(30)])
    assert list(doubtful(read_labelled(ids, ids).counts()["train"])) == [
        "30 of 30 classes have one example to learn from, such as '0'; is --label the right column?"
    ]


def test_a_class_that_is_only_judged_by_is_named_and_counted(tmp_path: Path) -> None:
    train, dev = labelled(tmp_path, "train.csv", ["a", "b"]), labelled(tmp_path, "dev.csv", ["a", "c", "b", "d", "c"])
    message = complaint(lambda: read_labelled(train, dev))
    assert (
        f"{dev}, line 3: the label 'c' in column 'label' is not among those of the training set ('b', 'a')" in message
    )
    assert "2 of 5 rows have it. Nor is 'd'. A class is learnt from examples alone: put some of it into" in message
    assert "no label" not in message
    other = labelled(tmp_path, "other.csv", ["A"])
    assert "1 of 1 rows has it. It seems to be 'a' written in another way" in complaint(
        lambda: read_labelled(train, other)
    )
    wrong = labelled(tmp_path, "wrong.csv", ["x", "y"])
    assert "If the column is the right one, a class is learnt from" in complaint(lambda: read_labelled(train, wrong))


# What a text set says about itself


def small_set() -> TextSet:
    train, dev = Pair(2, "a", "b", LABELS[0]), Pair(3, "c", "d", LABELS[1])
    return of_pairs(Corpus("two pairs", (train,), (dev,)))


def test_pairs_become_examples() -> None:
    corpus = own_pairs()
    data = of_pairs(replace(corpus, test=corpus.holdout[:3]))
    assert (data.source, data.labels) == (corpus.source, LABELS)
    assert [len(part) for part in (data.train, data.dev, data.test)] == [480, 160, 3]
    first = corpus.holdout[0]
    assert data.dev[0] == (Example(first.row, first.sentence1, first.sentence2), first.label)


def test_texts_of_the_training_set_are_noticed_among_those_to_judge_by() -> None:
    data = small_set()
    leaked = (Example(9, "a", "b"), LABELS[1])
    assert data.leaks() == {}
    both = replace(data, dev=(*data.dev, leaked), test=(leaked, leaked))
    assert both.leaks() == {"dev examples are also in train": 1, "test examples are also in train": 2}
    assert both.repeats() == {"test examples are also in dev": 2}
    twice = replace(data, train=(*data.train, leaked))
    assert (twice.leaks(), twice.repeats()) == ({}, {"train examples repeat an earlier one": 1})
    assert replace(data, dev=((Example(9, "a"), LABELS[0]),)).leaks() == {}, "one text is not a pair"


def test_a_fingerprint_stays_for_the_same_examples() -> None:
    data = small_set()
    assert data.fingerprint == replace(data, source="from elsewhere").fingerprint == "192e25a2462432da"


def test_a_fingerprint_changes_with_all_that_matters() -> None:
    data = small_set()
    (train,), (dev,) = data.train, data.dev
    others = [
        replace(data, labels=data.labels[::-1]),
        replace(data, train=(train, dev), dev=()),
        replace(data, train=(dev,), dev=(train,)),
        replace(data, dev=(), test=(dev,)),
        replace(data, train=((replace(train[0], id=5), train[1]),)),
        replace(data, train=((replace(train[0], text="A"), train[1]),)),
        replace(data, train=((replace(train[0], pair=None), train[1]),)),
        replace(data, train=((train[0], LABELS[1]),)),
    ]
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 1 + len(others)


# The hub's library, on local data


@pytest.fixture
def hub_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set as the hub serves them: one file a split, here without any network."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    directory = tmp_path / "data"
    directory.mkdir()
    for split, rows in (("train", ROWS), ("validation", ROWS[:2]), ("test", ROWS[2:])):
        write_jsonl(directory / f"{split}.jsonl", [(*texts, int(label)) for *texts, label in rows])
    return directory


def load(directory: Path, splits: Sequence[str] = ("train", "validation", "test")) -> TextSet:
    return download(str(directory), None, *HEADER, splits=splits)


def name_the_classes(directory: Path) -> None:
    """The card by which the hub's library makes numbered classes of the label column."""
    feature = "{name: label, dtype: {class_label: {names: {'0': different, '1': paraphrase}}}}"
    features = f"[{{name: sentence1, dtype: string}}, {{name: sentence2, dtype: string}}, {feature}]"
    (directory / "README.md").write_text(f"---\ndataset_info:\n  features: {features}\n---\n", encoding="utf-8")


def test_the_hubs_splits_become_the_parts(hub_copy: Path) -> None:
    data = load(hub_copy)
    assert [contents(part) for part in (data.train, data.dev, data.test)] == [ROWS, ROWS[:2], ROWS[2:]]
    assert [example.id for example, _ in (*data.train, *data.dev, *data.test)] == [0, 1, 2, 3, 4, 5]
    assert data.labels == ("1", "0")
    assert data.source == f"{hub_copy}, a local copy: train, validation, test"
    assert load(hub_copy, ("train", "test")).dev == tuple((replace(e, id=3), label) for e, label in data.test)


def test_numbered_classes_get_their_names(hub_copy: Path) -> None:
    name_the_classes(hub_copy)
    data = load(hub_copy)
    assert data.labels == LABELS
    assert [label for _, label in data.train] == ["paraphrase", "different", "paraphrase"]


@pytest.mark.parametrize("named", [True, False])
def test_a_test_split_without_labels_is_left_out(hub_copy: Path, named: bool) -> None:
    write_jsonl(hub_copy / "test.jsonl", [("a", "b", -1), ("c", "d", -1)])
    if named:
        name_the_classes(hub_copy)
    data = load(hub_copy)
    assert (len(data.train), len(data.dev), data.test) == (3, 2, ())
    assert data.source.endswith("(test is left out: it has no labels)")


def test_a_number_for_no_label_is_refused_elsewhere_and_left_out_where_classes_are_named(hub_copy: Path) -> None:
    write_jsonl(hub_copy / "validation.jsonl", [("a", "b", 1), ("c", "d", -1)])
    write_jsonl(hub_copy / "test.jsonl", [("e", "f", 0), ("g", "h", -1)])
    assert f"{hub_copy}, split validation, row 1: the label '-1'" in complaint(lambda: load(hub_copy))
    name_the_classes(hub_copy)
    data = load(hub_copy)
    assert (contents(data.dev), contents(data.test)) == ([("a", "b", "paraphrase")], [("e", "f", "different")])
    assert [example.id for example, _ in (*data.dev, *data.test)] == [3, 5]
    assert data.notes[1:] == tuple(
        f"{hub_copy}, split {split}: 1 of 2 rows used; not used: 1 without a label (the first: row 1)."
        for split in ("validation", "test")
    )


def test_unknown_splits_and_columns_are_answered_with_the_known(hub_copy: Path) -> None:
    assert "no split 'dev', only 'train', 'validation', 'test'" in complaint(lambda: load(hub_copy, ("train", "dev")))
    assert "expected two or three splits" in complaint(lambda: load(hub_copy, ("train",)))
    message = complaint(lambda: download(str(hub_copy), None, "text", None, "label"))
    assert "split train: expected a column 'text', found 'sentence1', 'sentence2', 'label'" in message


def test_an_unknown_config_is_refused(hub_copy: Path) -> None:
    message = complaint(lambda: download(str(hub_copy), "sst2", *HEADER))
    assert f"{hub_copy} (sst2) cannot be loaded (ValueError: BuilderConfig 'sst2' not found" in message


def test_damaged_data_are_refused(hub_copy: Path) -> None:
    (hub_copy / "train.jsonl").write_text('{"sentence1": ', encoding="utf-8")
    assert f"{hub_copy} cannot be loaded" in complaint(lambda: load(hub_copy))


def test_without_a_network_files_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextlabel.model.hub.hub_answers", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    message = complaint(lambda: download("nyu-mll/glue", "sst2", "sentence", None, "label"))
    assert message.startswith(
        "nyu-mll/glue (sst2) cannot be loaded: the Hugging Face hub cannot be reached. Give files"
    )


@pytest.mark.usefixtures("patience")
def test_text_sets_need_neither_the_hubs_library_nor_a_web_client() -> None:
    heavy = "{'datasets', 'httpx', 'huggingface_hub'}"
    code = f"import nextlabel.simulation.datasets.textsets, sys; print({heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
