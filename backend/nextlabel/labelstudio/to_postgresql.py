"""Copies Label Studio's data base from SQLite to PostgreSQL, row by row and to the last digit.

Its own exports lose ids, predictions, accounts and settings; its Django's `dumpdata` cuts times to milliseconds, and
`loaddata` stumbles over rows that Label Studio makes by itself (1.23.2).
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from os.path import samestat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextlabel.errors import BadSettingError, NextlabelError, of_extra, without_password

if TYPE_CHECKING:
    from psycopg import Connection

MIGRATIONS = "django_migrations"
MADE_HERE = {MIGRATIONS, "sqlite_sequence"}  # by each data base for itself
ROWS = 1000  # read at a time
CONNECT_S = 10  # for the server to let us in
LOCK_S = 10  # for the tables to be ours alone
PROCESSES = Path("/proc")  # where Linux says who has a file open
URL = re.compile(r"postgres(ql)?://([^/@]*@)?[^@]*")  # one "@" at most, and no "/" before it
IN_USE = (
    "{} {}, and nothing was copied: what Label Studio writes from now on would be lost. Stop Label Studio, and "
    "whatever else reads the file, and move it then."
)


def move(sqlite: Path, postgresql: str) -> dict[str, int]:
    """Copy all rows of the file into the data base at the URL, in which Label Studio has made its tables and which
    holds no project yet. Returns the number of rows by table. The file is only read; the data base changes as a whole
    or, when anything fails, not at all.

    Raises `NextlabelError` when one of them is not as it must be.
    """
    with of_extra("postgresql", "PostgreSQL"):
        import psycopg
    _require_url(postgresql)
    try:
        before = _state(sqlite)
        with closing(_opened(sqlite)) as source, _connected(postgresql) as target:
            counts = _copied(source, target)
            if _state(sqlite) != before:
                raise NextlabelError(IN_USE.format(sqlite, "was written to meanwhile"))
            return counts
    except psycopg.errors.LockNotAvailable:
        raise NextlabelError(
            f"Something else uses the tables at {without_password(postgresql)}, and nothing was copied. Stop every "
            "Label Studio that runs on them."
        ) from None
    except psycopg.DataError as error:
        raise NextlabelError(
            f"PostgreSQL cannot hold a value that SQLite holds, and nothing was copied: {error} Such are the character "
            r"\u0000, and a text longer than its column. The line is the row's place in that table, in the order of "
            "SQLite's rowid; change the value in Label Studio while it still runs on the file, and move it then."
        ) from None
    except psycopg.Error as error:
        raise NextlabelError(
            f"PostgreSQL gave up, and nothing was copied: {error}. Try again when that is mended."
        ) from None
    except sqlite3.Error as error:
        raise NextlabelError(f"{sqlite} cannot be read as an SQLite data base ({error}); nothing was copied.") from None


def _require_url(url: str) -> None:
    """Says nothing of what is in it: where it cannot be read, anything may be the password."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        if URL.fullmatch(url):
            conninfo_to_dict(url)
            return
    except ProgrammingError:
        pass
    raise BadSettingError(
        "What names the data base is not of the form postgresql://USER:PASSWORD@HOST:PORT/NAME. Write @ / : ? # % & in "
        "the password percent-encoded (@ is %40), or leave the password out and set PGPASSWORD to it as it is."
    )


def _connected(url: str) -> "Connection[Any]":
    import psycopg

    try:
        return psycopg.connect(url, connect_timeout=CONNECT_S)
    except psycopg.OperationalError as error:
        raise NextlabelError(
            f"PostgreSQL cannot be reached at {without_password(url)} ({error}). Check the URL, "
            "postgresql://USER:PASSWORD@HOST:PORT/NAME, and whether the server runs."
        ) from None


def _opened(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise NextlabelError(f"There is no file {path}. Label Studio's is called label_studio.sqlite3.")
    if users := _who_has_open(path):
        raise NextlabelError(IN_USE.format(path, f"is open in process {', '.join(map(str, users))}"))
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _who_has_open(path: Path) -> list[int]:
    """Processes of this machine, as far as we may look into them; whoever is in another container is not seen."""
    found, ours = set[int](), path.stat()
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            for file in (process / "fd").iterdir():
                with suppress(OSError):
                    if samestat(file.stat(), ours):
                        found.add(int(process.name))
    return sorted(found)


def _state(path: Path) -> list[tuple[int, int]]:
    """When the file, and what SQLite keeps beside it, were written, and how long they are. (It makes an empty one.)"""
    beside = (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal"))
    there = (one.stat() for one in beside if one.exists())
    return [(found.st_mtime_ns, found.st_size) for found in there if found.st_size]


def _copied(source: sqlite3.Connection, target: "Connection[Any]") -> dict[str, int]:
    source.execute("BEGIN")  # one state, even if somebody writes after all
    target.execute("SET TIME ZONE 'UTC'")  # times in the file are, and do not say so
    tables = _tables(source)
    _require_alike(source, target, tables)
    kinds = {table: _columns(target, table) for table in tables}
    target.execute(f"SET LOCAL lock_timeout = '{LOCK_S}s'")
    target.execute(f"TRUNCATE {', '.join(map(_quoted, tables))}")
    counts = {table: _copy(source, target, table, kinds[table]) for table in tables}
    for table in tables:
        _go_on_counting(target, table, kinds[table])
    return counts


def _tables(source: sqlite3.Connection) -> list[str]:
    named = source.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in named if name not in MADE_HERE]


def _require_alike(source: sqlite3.Connection, target: "Connection[Any]", tables: Sequence[str]) -> None:
    made = {name for (name,) in target.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    if not {MIGRATIONS, *tables} <= made:
        missing = sorted({MIGRATIONS, *tables} - made)
        raise NextlabelError(
            f"The PostgreSQL data base lacks {len(missing)} of Label Studio's tables, such as {missing[0]}. Start this "
            "Label Studio with it once, so that it makes them, and stop it again."
        )
    done = f"SELECT app, name FROM {MIGRATIONS}"
    odd = set(source.execute(done)) ^ set(target.execute(done))
    if odd:
        raise NextlabelError(
            f"The two data bases are of different Label Studio releases: {min(odd)} and {len(odd) - 1} more migrations "
            "are in one of them only. Start the same Label Studio with each once, and stop it again."
        )
    [(projects,)] = target.execute("SELECT count(*) FROM project")
    if projects:
        raise NextlabelError(
            f"The PostgreSQL data base holds {projects} projects already, which would be lost. Name an empty one."
        )


def _columns(target: "Connection[Any]", table: str) -> dict[str, str]:
    written = "table_name = %s AND table_schema = 'public' AND is_generated = 'NEVER'"  # others are computed there
    asked = f"SELECT column_name, data_type FROM information_schema.columns WHERE {written} ORDER BY 1"
    return dict(target.execute(asked, [table]).fetchall())


def _copy(source: sqlite3.Connection, target: "Connection[Any]", table: str, kinds: dict[str, str]) -> int:
    _require_place(source, table, kinds)
    listed, truths = ", ".join(map(_quoted, kinds)), [kind == "boolean" for kind in kinds.values()]
    count = 0
    with target.cursor().copy(f"COPY {_quoted(table)} ({listed}) FROM STDIN") as copy:
        for row in _rows(source, f"SELECT {listed} FROM {_quoted(table)}"):
            # A truth is a number there; all else is text or a number that PostgreSQL reads as it stands.
            told = zip(row, truths, strict=True)
            copy.write_row([bool(value) if truth and value is not None else value for value, truth in told])
            count += 1
    return count


def _require_place(source: sqlite3.Connection, table: str, kinds: dict[str, str]) -> None:
    """Of columns that only one side has, none may hold anything. (SQLite takes an unknown "name" for a text.)"""
    names = {name for (_, name, *_) in source.execute(f"PRAGMA table_info({_quoted(table)})")}
    full = [
        name
        for name in sorted(names - kinds.keys())
        if source.execute(f"SELECT 1 FROM {_quoted(table)} WHERE {_quoted(name)} IS NOT NULL LIMIT 1").fetchone()
    ]
    odd = [*full, *sorted(kinds.keys() - names)]
    if odd:
        raise NextlabelError(
            f"The table {table} has the columns {', '.join(odd)} in one of the two data bases only. Use one and the "
            "same Label Studio, 1.23, with both."
        )


def _rows(source: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    asked = source.execute(query)
    while some := asked.fetchmany(ROWS):
        yield from some


def _go_on_counting(target: "Connection[Any]", table: str, kinds: dict[str, str]) -> None:
    """Have the next row get the number after the last."""
    for column in kinds:
        [(sequence,)] = target.execute("SELECT pg_get_serial_sequence(%s, %s)", [_quoted(table), column])
        if sequence:
            last = f"SELECT setval(%s, coalesce(max({_quoted(column)}), 0) + 1, false) FROM {_quoted(table)}"
            target.execute(last, [sequence])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
