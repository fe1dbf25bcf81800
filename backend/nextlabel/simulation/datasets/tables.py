"""Rows of text files: TSV, CSV, JSON and JSON lines, as they were written. Refuses what can be read in two ways."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from nextlabel.errors import BadCorpusError

Row = tuple[int, dict[str, object]]  # its number, its values by column

SHOWN = 60  # characters of a wrong value that a message quotes


class Table(NamedTuple):
    """Rows with their numbers. `place` names a row in messages, once its number follows.

    `manner` says how the file was read where its name alone does not, in words that follow "read"; else it is empty.
    `bare`: quotes are part of the fields.
    """

    place: str
    rows: Sequence[Row]
    manner: str = ""
    bare: bool = False


def read_table(path: Path, names: Sequence[str], also: Sequence[str] = ()) -> Table:
    """The columns `names` of a file, and those of `also` that it has. What stands in a JSON row besides comes along.

    `.tsv`: fields are taken as they are, quotes included, as in GLUE's files; or, where the whole table is quoted,
    without their quotes, see `_is_quoted`. `.csv`: standard quoting; fields separated by commas, or else by the
    semicolons or tabs that the header has. `.jsonl`, `.json`: an object on each line, or one array of objects.
    UTF-8, with or without BOM. Fields may be of any length. Rows are numbered by the line they begin on, counted from
    1 as an editor does, those of an array by their position.

    Raises `BadCorpusError` that names the file, the line, the value and the remedy.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise BadCorpusError(f"{path}: expected a file named {', '.join(READERS)}, found {path.suffix!r}.")
    return read(path, _decoded(path), names, also)


def shown(value: object) -> str:
    """The value as a message quotes it."""
    return repr(value)[:SHOWN]


def listed(names: Iterable[object], most: int = 20) -> str:
    """The values, separated by commas; of many the first."""
    all_of_them = [shown(name) for name in names]
    more = f" and {len(all_of_them) - most} more" if len(all_of_them) > most else ""
    return ", ".join(all_of_them[:most]) + more


# Bytes to text

FORMATS = (  # what is taken for text by its name, and how it begins
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF file"),
    (b"SQLite format 3", "an SQLite data base"),
)
WIDE = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def _decoded(path: Path) -> str:
    """The text of a file. Only a newline ends a line, but where there is none, a carriage return does."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadCorpusError(f"{path} cannot be read ({error.strerror}). Give a file that is there.") from None
    for start, name in FORMATS:
        if content.startswith(start):
            raise BadCorpusError(f"{path} is {name}, no text. Save what is in it as CSV in UTF-8, and give that file.")
    for start, name in WIDE:
        if content.startswith(start):
            raise BadCorpusError(f"{path}, line 1: the file is in {name}, not in UTF-8: {_save_as_utf8(name)}")
    _refuse_nul(path, content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadCorpusError(_not_utf8(path, content.removeprefix(b"\xef\xbb\xbf"), error)) from None
    text = text.lstrip("\ufeff")  # some programs write a mark before the one that is there
    return text if "\n" in text else text.replace("\r", "\n")


def _save_as_utf8(encoding: str) -> str:
    return f"save it as UTF-8 (iconv -f {encoding} -t UTF-8 OLD > NEW), or get it again."


def _refuse_nul(path: Path, content: bytes) -> None:
    place = content.find(b"\x00")
    if place < 0:
        return
    line = content[:place].count(b"\n") + 1
    if content.count(b"\x00") > len(content) / 3:  # every other byte of Western text
        name = "UTF-16BE" if place % 2 == 0 else "UTF-16LE"
        raise BadCorpusError(f"{path}, line {line}: the file is in {name}, not in UTF-8: {_save_as_utf8(name)}")
    raise BadCorpusError(
        f"{path}, line {line}: there is a NUL byte, which no text holds. The file is damaged or no text file: take "
        "these bytes out, or get it again."
    )


def _not_utf8(path: Path, content: bytes, error: UnicodeDecodeError) -> str:
    line = content[: error.start].count(b"\n") + 1
    wrong = error.object[error.start : error.end].hex(" ")
    return f"{path}, line {line}: the bytes {wrong} are not UTF-8. {_guess(content, error.start)}"


def _guess(content: bytes, place: int) -> str:
    """Which encoding it is likely to be, with the words at `place` read so, for a person to judge."""
    others = [char for char in content.decode("utf-8", "replace") if ord(char) > 127]
    if others.count("\ufffd") < len(others) / 2:
        return "The rest of the file is UTF-8: correct this place, or get the file again."
    letters = [byte for byte in content if byte > 127 or chr(byte).isalpha()]
    western = sum(byte > 127 for byte in letters) < len(letters) / 3
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        western = False
    if not western:
        return (
            "It is not likely to be Windows-1252 (cp1252) either, but an encoding of another script than the Latin: "
            "save it as UTF-8 with the program that wrote it, or get it again."
        )
    near = content[max(0, place - 20) : place + 20].decode("cp1252").split("\n")
    return (
        f"It is likely Windows-1252 (cp1252), in which the place reads {shown(' '.join(near).strip())}. If that is "
        f"right, {_save_as_utf8('CP1252')}"
    )


# TSV and CSV


DOUBLED = 'Double the quotes within a quoted field: "He said ""yes"", twice"'


class _BadRowError(Exception):
    """Why the row that begins on `line` is not one of a quoted table."""

    def __init__(self, line: int, why: str, remedy: str = DOUBLED):
        super().__init__(why)
        self.line, self.remedy = line, remedy


class _Field(NamedTuple):
    text: str
    quoted: bool


QUOTED = r'"(?P<quoted>[^"]*(?:""[^"]*)*)"'
FIELDS = {
    sep: re.compile(rf'(?:{QUOTED}|(?P<bare>(?:[^"{sep}\r\n][^{sep}\r\n]*)?))(?P<end>{sep}|\r*\n|\r*\Z)')
    for sep in ",;\t"
}
ONE_QUOTE = re.compile(r'"[^"]*(?:""[^"]*)*')
FAULTS = (  # what stands where a field should, what is wrong with it, and the remedy
    (re.compile(rf"{ONE_QUOTE.pattern}\Z"), "its quote is never closed", f"Close it. {DOUBLED}"),
    (re.compile(r'"[^"\n]*\\"'), "a quote in it is escaped by a backslash", DOUBLED),
    (re.compile(rf'{ONE_QUOTE.pattern}"[^"]'), "text follows its closing quote", f"Quote whole fields. {DOUBLED}"),
)
STRAY_RETURN = "a carriage return (an old line end) stands alone in the row"


def _fields(text: str, sep: str) -> Iterator[tuple[int, list[_Field]]]:
    """Rows of a quoted table, numbered by the line they begin on; empty lines are none.

    Not by `csv`: it limits fields to 131,072 characters, for the whole process, and does not tell which were quoted.
    """
    match = FIELDS[sep].match
    place, line = 0, 1
    while place < len(text):
        start, row = place, []
        while True:
            found = match(text, place)
            if found is None:
                raise _fault(line, text, place)
            quoted = found["quoted"] is not None
            row.append(_Field(found["quoted"].replace('""', '"') if quoted else found["bare"], quoted))
            place = found.end()
            if found["end"] != sep:
                break
        if row != [_Field("", False)]:
            yield line, row
        line += text.count("\n", start, place)


def _fault(line: int, text: str, place: int) -> _BadRowError:
    field = shown(text[place : place + SHOWN])
    for pattern, why, remedy in FAULTS:
        if pattern.match(text, place):
            return _BadRowError(line, f"in the field {field}: {why}", remedy)
    return _BadRowError(line, STRAY_RETURN, "End lines with newlines, and quote a field that holds such a character")


def _read_tsv(path: Path, text: str, names: Sequence[str], also: Sequence[str]) -> Table:
    if _is_quoted(path, text):
        return _quoted_table(path, text, "\t", names, also, "as a quoted table")
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    rows = ((number, line.split("\t")) for number, line in enumerate(lines, 1) if line)
    return Table(f"{path}, line", _of_columns(path, rows, names, also), bare=True)


def _read_csv(path: Path, text: str, names: Sequence[str], also: Sequence[str]) -> Table:
    sep = next((sep for sep in FIELDS if set(names) <= set(_header(text, sep))), ",")
    manner = {",": "", ";": "with semicolons between the fields", "\t": "with tabs between the fields"}[sep]
    return _quoted_table(path, text, sep, names, also, manner)


def _header(text: str, sep: str) -> list[str]:
    try:
        return [field.text.strip() for field in next(_fields(text, sep), (1, []))[1]]
    except _BadRowError:
        return []


def _quoted_table(path: Path, text: str, sep: str, names: Sequence[str], also: Sequence[str], manner: str) -> Table:
    rows = ((number, [field.text for field in row]) for number, row in _fields(text, sep))
    try:
        return Table(f"{path}, line", _of_columns(path, rows, names, also), manner)
    except _BadRowError as error:
        kind = "quoted TSV" if sep == "\t" else "CSV"
        raise BadCorpusError(
            f"{path}, line {error.line}: the row that begins here is not {kind}: {error}. {error.remedy}; or give the "
            "file as .jsonl."
        ) from None


def _of_columns(
    path: Path, rows: Iterator[tuple[int, list[str]]], names: Sequence[str], also: Sequence[str]
) -> list[Row]:
    first, header = next(rows, (1, []))
    header = [name.strip() for name in header]
    for name in names:
        if header.count(name) != 1:
            raise BadCorpusError(f"{path}, line {first}: {_wrong_header(header, name)}")
    places = [(name, header.index(name)) for name in dict.fromkeys([*names, *also]) if name in header]
    found: list[Row] = []
    for number, fields in rows:
        if len(fields) != len(header):
            raise BadCorpusError(
                f"{path}, line {number}: expected {len(header)} fields as in the header, found {len(fields)}: "
                f"{listed(fields, most=5)}. Correct or remove the row."
            )
        found.append((number, {name: fields[place] for name, place in places}))
    return found


def _wrong_header(header: Sequence[str], name: str) -> str:
    expected = f"expected a header with one column {name!r}, found "
    if name in header:
        return f"{expected}{header.count(name)} of that name: {listed(header)}. Rename the others."
    if len(header) == 1 and any(name in header[0].split(sep) for sep in ",;"):
        return f"{expected}{listed(header)}. If commas or semicolons separate the fields, name the file .csv."
    found = f"{expected}the columns {listed(header) or 'none'}."
    return f"{found} {_header_remedy(header, name)}"


def _header_remedy(header: Sequence[str], name: str) -> str:
    if not any(header):
        return "The file is empty, or begins with an empty line: give one with a header and rows."
    if header[0].startswith("sep="):
        return "The first line is for spreadsheets: take it out."
    if len(header) == 1 and name in header[0].split("|"):
        return "Fields between | are not read: save them with commas, as .csv."
    if any(column.casefold() == name.casefold() for column in header):
        return "Capitals count: give the name as it is written there."
    return (
        "The first line is taken as the header: if it is an example already, put a line with the columns' names before "
        "it."
    )


# Is a TSV file quoted?


def _is_quoted(path: Path, text: str) -> bool:
    """Whether quotes around the fields of a TSV file belong to the table, as in Label Studio's and pandas' files.

    They do when a name in the header stands in quotes. Else, a table that was written with quoting has no quotes but
    around whole fields, where others are doubled: a single other one, as GLUE's texts have them, and all quotes belong
    to the texts. In what is left, the table is quoted when its lines are no rows without that (for newlines or tabs in
    quotes), when all fields of a column stand in quotes, or when a field needs them for a quote in it. Raises
    `BadCorpusError` where nothing tells, or one thing tells against another.
    """
    if '"' not in text:
        return False
    lines = [line.removesuffix("\r").split("\t") for line in text.split("\n") if line.strip("\r")]
    if any(_in_quotes(name.strip()) for name in lines[0]):
        return True
    try:
        rows = _as_quoted(text)
    except _BadRowError as error:
        if not _has_column(lines[1:], _in_quotes):
            return False
        raise BadCorpusError(
            f"{path}, line {error.line}: the table is quoted in part: all fields of a column stand in quotes, but here "
            f"is a row that is not: {error}. {error.remedy}; or give the file as .jsonl."
        ) from None
    quoted = [(number, field) for number, row in rows for field in row if field.quoted]
    if len({len(line) for line in lines}) > 1:
        return True
    over_lines = next((place for place in quoted if set("\t\n") & set(place[1].text)), None)
    in_column = _has_column([row for _, row in rows[1:]], lambda field: field.quoted)
    if over_lines is None and (in_column or any(set('"\r') & set(field.text) for _, field in quoted)):
        return True
    number, field = over_lines or quoted[0]
    raise BadCorpusError(
        f"{path}, line {number}: the field {shown(field.text)} stands in quotes, and nothing in the file tells whether "
        "they belong to it. If the table is quoted, put the names in the header in quotes too, and all are taken off; "
        "if they are part of the text, give the file as .jsonl."
    )


Cell = TypeVar("Cell")


def _has_column(rows: Sequence[Sequence[Cell]], holds: Callable[[Cell], bool]) -> bool:
    """Whether it holds for all of a column; one row alone says too little."""
    return len(rows) > 1 and any(all(holds(cell) for cell in column) for column in zip(*rows, strict=False))


def _as_quoted(text: str) -> list[tuple[int, list[_Field]]]:
    """The rows as those of a table that was written with quoting. Raises `_BadRowError` when it cannot have been."""
    rows: list[tuple[int, list[_Field]]] = []
    for number, row in _fields(text, "\t"):
        rows.append((number, row))
        stray = next((field.text for field in row if '"' in field.text and not field.quoted), None)
        if stray is not None:
            raise _BadRowError(number, f"there is a quote in {shown(stray)}, which stands in none")
        if len(row) != len(rows[0][1]):
            raise _BadRowError(number, f"there are {len(row)} fields, where the header has {len(rows[0][1])}")
    return rows


def _in_quotes(field: str) -> bool:
    return len(field) > 1 and field[0] == field[-1] == '"'


# JSON


def _read_json(path: Path, text: str, names: Sequence[str], also: Sequence[str]) -> Table:
    if text.lstrip()[:1] == "[":
        return Table(f"{path}, item", _of_array(path, text))
    return Table(f"{path}, line", _of_lines(path, text))


def _of_array(path: Path, text: str) -> list[Row]:
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise BadCorpusError(
            f"{path}: expected one JSON array of objects, or one JSON object on each line ({error}). Correct the file, "
            "or get it again."
        ) from None
    for number, row in enumerate(found, start=1):
        if not isinstance(row, dict):
            raise BadCorpusError(
                f"{path}, item {number}: expected JSON objects, found {shown(row)} ({type(row).__name__})."
            )
    return list(enumerate(found, start=1))


def _of_lines(path: Path, text: str) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError) as error:
            raise BadCorpusError(
                f"{path}, line {number}: expected one JSON object on each line, found {shown(line.strip())} ({error}). "
                "An array of objects may go over lines."
            ) from None
        if not isinstance(row, dict):
            raise BadCorpusError(
                f"{path}, line {number}: expected one JSON object on each line, found {shown(row)} "
                f"({type(row).__name__})."
            )
        rows.append((number, row))
    return rows


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, unless a name stands in it twice: Python would take the last, other programs the first."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands twice in an object")
    return found


READERS: dict[str, Callable[[Path, str, Sequence[str], Sequence[str]], Table]] = {
    ".tsv": _read_tsv,
    ".csv": _read_csv,
    ".jsonl": _read_json,
    ".json": _read_json,
}
