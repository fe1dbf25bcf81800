"""What the move to PostgreSQL refuses, and that it waits for nobody without end."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from helpers.queue_servers import PostgresqlServer
from nextlabel.errors import NextlabelError
from nextlabel.labelstudio import to_postgresql
from nextlabel.labelstudio.to_postgresql import move

TABLES = "CREATE TABLE django_migrations (app text, name text); CREATE TABLE project (id integer, title text);"
NOWHERE = "postgresql://me@127.0.0.1:1/nowhere"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two tables of Label Studio's, with a project in them."""
    path = tmp_path / "label_studio.sqlite3"
    with closing(sqlite3.connect(path)) as made, made:
        made.executescript(TABLES)
        made.execute("INSERT INTO project VALUES (7, 'pairs')")
    return path


@pytest.fixture
def url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The same tables, empty."""
    with psycopg.connect(postgresql_server.url(), autocommit=True) as made:
        made.execute("CREATE DATABASE few_tables")
    there = postgresql_server.url().removesuffix("/postgres") + "/few_tables"
    with psycopg.connect(there) as target:
        target.execute(TABLES)
    yield there
    with psycopg.connect(postgresql_server.url(), autocommit=True) as made:
        made.execute("DROP DATABASE few_tables")


def projects(url: str) -> list[Any]:
    with psycopg.connect(url) as target:
        return target.execute("SELECT * FROM project").fetchall()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:50%secret@127.0.0.1:1/x",
        "postgresql://me:p@secret/w@127.0.0.1:1/x",
        "postgresql://me:se/secret@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?password=one&secret=two",
        "mysql://me:secret@127.0.0.1:1/x",
    ],
)
def test_a_url_that_cannot_be_read_is_not_told_but_how_to_write_it(file: Path, url: str) -> None:
    with pytest.raises(NextlabelError, match=r"percent-encoded \(@ is %40\), or .* set PGPASSWORD") as refused:
        move(file, url)
    assert "secret" not in str(refused.value)


def test_a_password_is_told_nowhere_and_may_hold_what_is_encoded(file: Path) -> None:
    for url in ("postgresql://me:%40secret%2F@127.0.0.1:1/x", "postgresql://me@127.0.0.1:1/x?password=secret&user=me"):
        with pytest.raises(NextlabelError, match=r"PostgreSQL cannot be reached at .*\*{8}") as away:
            move(file, url)
        assert "secret" not in str(away.value)


def test_a_server_that_fails_in_the_middle_is_not_called_away(
    file: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise psycopg.errors.DiskFull("No space left on device")

    monkeypatch.setattr(to_postgresql, "_copy", full)
    with pytest.raises(NextlabelError, match=r"gave up, and nothing was copied: No space left"):
        move(file, url)


@pytest.mark.skipif(sys.platform != "linux", reason="others do not say who has a file open")
def test_a_file_that_somebody_has_open_is_refused(file: Path) -> None:
    holds = "import sys; held = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holds, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as label_studio:
        assert label_studio.stdout is not None
        label_studio.stdout.readline()
        with pytest.raises(NextlabelError, match=rf"is open in process {label_studio.pid}, .* Stop Label Studio"):
            move(file, NOWHERE)
        label_studio.kill()
    with pytest.raises(NextlabelError, match="PostgreSQL cannot be reached"):
        move(file, NOWHERE)


def test_what_was_written_while_rows_were_copied_is_not_left_behind(
    file: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = to_postgresql._copy

    def copy(*args: Any) -> int:
        os.utime(file)
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(to_postgresql, "_copy", copy)
        with pytest.raises(NextlabelError, match="was written to meanwhile, and nothing was copied"):
            move(file, url)
    assert projects(url) == []
    assert move(file, url) == {"project": 1}
    assert projects(url) == [(7, "pairs")]


def test_a_value_that_postgresql_cannot_hold_is_named_with_what_to_do(file: Path, url: str) -> None:
    with closing(sqlite3.connect(file)) as made, made:
        made.execute("INSERT INTO project VALUES (8, 'pa' || char(0) || 'irs')")
    with pytest.raises(
        NextlabelError, match=r"cannot hold a value .* nothing was copied: .* change the value in Label"
    ):
        move(file, url)
    assert projects(url) == []


def test_tables_that_somebody_else_uses_are_not_waited_for(
    file: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_postgresql, "LOCK_S", 1)
    with psycopg.connect(url) as label_studio:
        label_studio.execute("SELECT * FROM project")
        with ThreadPoolExecutor() as pool:
            moving = pool.submit(move, file, url)
            try:
                with pytest.raises(NextlabelError, match=r"Something else uses the tables at .* nothing was copied"):
                    moving.result(timeout=60)
            finally:
                label_studio.rollback()  # nobody waits any more


def test_a_server_that_does_not_answer_is_not_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_postgresql, "CONNECT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as pool:
        moving = pool.submit(move, file, f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/nothing")
        try:
            with pytest.raises(NextlabelError, match="PostgreSQL cannot be reached"):
                moving.result(timeout=60)
        finally:
            silent.close()
