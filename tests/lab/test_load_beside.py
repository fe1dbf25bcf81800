"""The same load on SQLite and on PostgreSQL: in turns, each on an empty data base, and on again after a kill."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from helpers.queue_servers import PostgresqlServer
from nextlabel.errors import NextlabelError
from nextlabel.lab.load import LoadPlan
from nextlabel.lab.load_beside import measure_beside, report

PLAN = LoadPlan(5, 1.0, 0.2, 5.0, 30, None, None, 64, 60, 128)


def names(server: str) -> set[str]:
    with psycopg.connect(server) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


def test_both_sides_take_turns_and_what_is_done_is_not_done_again(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    out, server, before = tmp_path / "load.json", postgresql_server.url(), names(postgresql_server.url())
    seen: list[str] = []

    def measured(plan: LoadPlan) -> dict[str, Any]:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append("PostgreSQL" if plan.postgresql else "SQLite")
        if plan.postgresql:
            with psycopg.connect(plan.postgresql) as empty:
                assert empty.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
                empty.execute("CREATE TABLE task ()")
        ms = {"p50": 10.0 * len(seen), "p95": 50.0}
        return {"requests": {"next, with us": {"ms": ms}}, "problems": []}

    with pytest.raises(KeyboardInterrupt):
        measure_beside(PLAN, server, 2, out, measured)
    assert seen == ["SQLite", "PostgreSQL", "PostgreSQL"], "the other one is the first in the second turn"
    seen.clear()
    runs = measure_beside(PLAN, server, 2, out, measured)
    assert seen == ["SQLite"]
    assert json.loads(out.read_text())["runs"] == runs
    assert list(report(runs))[2] == "| next, with us | 10 ms | 50 ms |  | 25 ms | 50 ms |  |"
    assert names(server) == before
    with pytest.raises(NextlabelError, match="holds runs with other annotators"):
        measure_beside(LoadPlan(50, *list(vars(PLAN).values())[1:]), server, 2, out, measured)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(NextlabelError, match=r"No data base can be made at postgresql://.*127.0.0.1:1") as raised:
        measure_beside(PLAN, "postgresql://me:sesame@127.0.0.1:1/postgres", 1, None, lambda plan: {})
    assert "sesame" not in str(raised.value)
