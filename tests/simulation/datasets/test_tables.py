"""Tables of every writer: what they wrote comes back, and what could be read in two ways is refused."""

import csv
import io
import json
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.errors import BadCorpusError
from nextlabel.simulation.datasets.tables import read_table

laws = settings(derandomize=True, deadline=None, max_examples=200)
LONG = "a long text, " * 16_000  # 208,000 characters: more than `csv` takes by itself

Rows = list[list[str]]


def rows_of(name: str, content: str | bytes, *names: str) -> Rows:
    """The fields of the named columns (text and label), row by row."""
    names = names or ("text", "label")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [[str(row[column]) for column in names] for _, row in read_table(path, names).rows]


def refusal(name: str, content: str) -> str:
    with pytest.raises(BadCorpusError) as refused:
        rows_of(name, content)
    return str(refused.value)


def written(rows: Sequence[Sequence[str]], header: Sequence[str] = ("text", "label"), **dialect: object) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, **dialect).writerows([header, *rows])  # type: ignore[arg-type]
    return out.getvalue()


# Any row comes back

nasty = st.text(st.sampled_from('ab ",;\t\r\n\\é'), min_size=1, max_size=8).filter(lambda text: bool(text.strip()))
tables = st.lists(st.lists(nasty, min_size=2, max_size=2), min_size=1, max_size=5)


@laws
@given(rows=tables, sep=st.sampled_from(",;\t"), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_csv_writers_wrote_comes_back(rows: Rows, sep: str, quoting: int) -> None:
    assert rows_of("t.csv", written(rows, delimiter=sep, quoting=quoting)) == rows


@laws
@given(rows=tables)
def test_tsv_whose_header_is_quoted_comes_back(rows: Rows) -> None:
    assert rows_of("t.tsv", written(rows, delimiter="\t", quoting=csv.QUOTE_ALL)) == rows


@laws
@given(rows=tables)
def test_tsv_that_is_quoted_where_needed_comes_back_unless_its_lines_are_rows_anyhow(rows: Rows) -> None:
    content = written(rows, delimiter="\t", quoting=csv.QUOTE_MINIMAL)
    tabs = {line.count("\t") for line in content.split("\n") if line.strip("\r")}
    if len(tabs) == 1 and any(set("\t\n") & set(field) for row in rows for field in row):
        assert "nothing in the file tells" in refusal("t.tsv", content)
    else:
        assert rows_of("t.tsv", content) == rows


@laws
@given(rows=st.lists(st.lists(nasty.filter(lambda t: not set(t) & set("\t\r\n")), min_size=2, max_size=2), max_size=5))
def test_unquoted_tsv_with_one_lone_quote_comes_back_as_it_is_written(rows: Rows) -> None:
    rows = [*rows, ['She said "no.', "1"]]
    content = "\n".join("\t".join(row) for row in [["text", "label"], *rows])
    in_quotes = [
        all(field[0] == field[-1] == '"' and len(field) > 1 for field in column) for column in zip(*rows, strict=True)
    ]
    assert not any(in_quotes)
    assert rows_of("t.tsv", content) == rows


@laws
@given(text=st.text(st.sampled_from('a",\n'), max_size=12))
def test_csv_is_read_and_refused_as_pythons_own_strict_reader_does(text: str) -> None:
    content = f"text,label\n{text}"
    try:
        rows = list(csv.reader(io.StringIO(content, newline=""), strict=True))[1:]
        expected = [row for row in rows if row]
    except csv.Error:
        assert refusal("t.csv", content)
        return
    if any(len(row) != 2 for row in expected):
        assert "expected 2 fields as in the header" in refusal("t.csv", content)
    else:
        assert rows_of("t.csv", content) == expected


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.json"])
def test_a_field_may_be_of_any_length(name: str) -> None:
    rows = [[f'{LONG} "quoted", and\tmore', "1"], ["short", "0"]]
    content = {
        "t.csv": written(rows),
        "t.tsv": written(rows, delimiter="\t", quoting=csv.QUOTE_ALL),
        "t.jsonl": "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows),
        "t.json": json.dumps([{"text": text, "label": label} for text, label in rows]),
    }[name]
    assert rows_of(name, content) == rows


def test_the_limit_of_pythons_own_reader_is_left_alone() -> None:
    """It is the whole process's: another library may rely on it, another thread read meanwhile."""
    before = csv.field_size_limit()
    seen: list[int] = []
    reader = threading.Thread(target=lambda: rows_of("t.csv", written([[LONG, "1"]] * 20)))
    reader.start()
    while reader.is_alive():
        seen.append(csv.field_size_limit())
    assert {before, csv.field_size_limit(), *seen} == {131_072}


# Line ends and marks


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "\r\r\n", "\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\ufeff\ufeff"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_line_ends_of_every_system_and_marks_do_not_matter(name: str, mark: str, ends: str) -> None:
    lines = {
        "t.csv": ["text,label", '"one, ""two""",1', "three,0"],
        "t.tsv": ['"text"\t"label"', '"one, ""two"""\t"1"', '"three"\t"0"'],
        "t.jsonl": [r'{"text": "one, \"two\"", "label": "1"}', '{"text": "three", "label": "0"}'],
    }[name]
    for last in ("", ends):
        assert rows_of(name, mark + ends.join(lines) + last) == [['one, "two"', "1"], ["three", "0"]]


def test_an_old_line_end_may_stand_in_a_quoted_field() -> None:
    assert rows_of("t.csv", 'text,label\n"a\rb",1\n') == [["a\rb", "1"]]


# Quoted or not?


@pytest.mark.parametrize(
    "lines",
    [
        ['"text"\t"label"', '"a ""b"""\t1', "c\t0"],  # as Label Studio: numbers are bare
        ['"text"\t"label"', "a\t1"],  # the header alone
        ["text\tlabel", '"a"\t"pos"', '"b"\t"neg"'],  # every field
        ["text\tlabel", '"a"\t1', '"b"\t0'],  # a whole column, as pandas' QUOTE_NONNUMERIC
        ["text\tlabel", '"a ""b"" c"\tpos', "b\tneg"],  # only where needed, as pandas by default
        ["text\tlabel", '"a\nb"\tpos', "b\tneg"],
        ["text\tlabel", '"a\tb"\tpos', "b\tneg"],
        ["text\tlabel", '"a"\tpos', '"b ""c"""\tneg', "d\tneg"],
    ],
)
def test_quotes_of_a_quoted_table_are_taken_off(lines: list[str]) -> None:
    for _, label in (found := rows_of("t.tsv", "\n".join(lines))):
        assert label in ("1", "0", "pos", "neg")
    assert all('""' not in text and text[0] != '"' for text, _ in found)


@pytest.mark.parametrize(
    "texts",
    [
        ['He said "no.', "yes"],
        ['"No," he said.', "yes"],
        ['"Yes."', 'He said "no.', "maybe"],  # one stray quote tells of the others
        ['5" screen', '"Yes."'],
        ['"', "yes"],
    ],
)
def test_quotes_in_the_texts_of_an_unquoted_table_stay(texts: list[str]) -> None:
    lines = ["text\tlabel", *(f"{text}\t{number}" for number, text in enumerate(texts))]
    assert [text for text, _ in rows_of("t.tsv", "\n".join(lines))] == texts


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['"Yes."\t1', "no\t0"], ", line 2: the field 'Yes.' stands in quotes, and nothing in the file tells whether"),
        (["no\t1", '"Yes, sir."\t0'], ", line 3: the field 'Yes, sir.' stands in quotes"),
        (['"Never\t1', 'ever"\t0'], r", line 2: the field 'Never\t1\never' stands in quotes, and nothing"),
        (['"Yes."\t1'], ", line 2: the field 'Yes.' stands in quotes"),
        (['"a"\t"pos"', '"b \\"c\\" d"\t"neg"'], ", line 3: the table is quoted in part"),
        (['"a"\t"pos"', '"b \\"c\\" d"\t"neg"'], "a quote in it is escaped by a backslash"),
        (['"a"\t1', '"b"\t1\t"c"'], ", line 3: the table is quoted in part: all fields of a column stand in quotes"),
    ],
)
def test_what_nothing_decides_is_refused_with_a_way_out(lines: list[str], words: str) -> None:
    assert words in refusal("t.tsv", "\n".join(["text\tlabel", *lines]))


def test_the_way_out_is_one() -> None:
    rows = ['"Yes."\t1', "no\t0"]
    assert "put the names in the header in quotes too" in refusal("t.tsv", "\n".join(["text\tlabel", *rows]))
    assert rows_of("t.tsv", "\n".join(['"text"\t"label"', *rows])) == [["Yes.", "1"], ["no", "0"]]


def test_damage_in_a_quoted_tsv_is_named_by_its_line() -> None:
    content = '"text"\t"label"\n"a\nb"\t"1"\n"c"d\t"0"\n'
    assert ", line 4: the row that begins here is not quoted TSV: in the field" in refusal("t.tsv", content)


@pytest.mark.parametrize("sep", [";", "\t"])
def test_csv_with_other_separators_is_read_by_its_header(sep: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'text{sep}label\n"a, b"{sep}1\nc{sep}0\n', encoding="utf-8")
    table = read_table(path, ["text", "label"])
    assert [row for _, row in table.rows] == [{"text": "a, b", "label": "1"}, {"text": "c", "label": "0"}]
    assert table.manner == f"with {'semicolons' if sep == ';' else 'tabs'} between the fields"


# JSON


def test_an_array_is_read_and_its_items_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps([{"text": "a"}, {"text": "b", "more": None}], indent=1), encoding="utf-8-sig")
    table = read_table(path, ["text"])
    assert list(table.rows) == [(1, {"text": "a"}), (2, {"text": "b", "more": None})]
    assert table.place == f"{path}, item"
