"""The same load on a Label Studio on SQLite and on one on PostgreSQL, in turns; goes on with what is missing."""

import itertools
import json
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nextlabel.errors import NextlabelError, of_extra, without_password
from nextlabel.lab.load import LoadPlan, measure
from nextlabel.store.files import replace_file

SIDES = ("SQLite", "PostgreSQL")
SHOWN = ("p50", "p95", "p99")

Runs = dict[str, dict[str, Any]]  # by side and turn


def measure_beside(
    plan: LoadPlan,
    server: str,
    turns: int,
    out: Path | None,
    measured: Callable[[LoadPlan], dict[str, Any]] = measure,
) -> Runs:
    """All numbers of each side and turn. The data bases are made on the PostgreSQL `server` at an address such as
    postgresql://USER:PASSWORD@HOST/postgres, and dropped.

    What is done is in `out` at once: killed and given again, it goes on with the rest. Raises `NextlabelError` for a
    file of another plan, and where no data base can be made.
    """
    asked = {name: str(value) for name, value in asdict(plan).items()}
    runs = _done(out, asked)
    for turn in range(turns):
        for side in SIDES[:: 1 if turn % 2 == 0 else -1]:  # neither is always the first, or the one on a warm machine
            key = f"{side}, turn {turn + 1}"
            if key in runs:
                continue
            with _data_base(side, server) as url:
                runs[key] = measured(replace(plan, postgresql=url))
            if out is not None:
                replace_file(out, json.dumps({"plan": asked, "runs": runs}, indent=1) + "\n")
    return runs


def _done(out: Path | None, asked: Mapping[str, str]) -> Runs:
    if out is None or not out.exists():
        return {}
    held = json.loads(out.read_text(encoding="utf-8"))
    other = [name for name, value in asked.items() if held["plan"].get(name) != value]
    if other:
        raise NextlabelError(f"{out} holds runs with other {', '.join(other)}. Name another file with --out.")
    runs: Runs = held["runs"]
    return runs


@contextmanager
def _data_base(side: str, server: str) -> Iterator[str]:
    """The address of an empty one; none for SQLite."""
    if side == "SQLite":
        yield ""
        return
    with of_extra("postgresql", "nextlabel load --beside"):
        import psycopg

    name = f"nextlabel_load_{os.getpid()}"
    try:
        with psycopg.connect(server, autocommit=True) as made:
            made.execute(f"CREATE DATABASE {name}".encode())
            try:
                yield urlsplit(server)._replace(path=f"/{name}").geturl()
            finally:
                made.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    except psycopg.Error as error:
        raise NextlabelError(
            f"No data base can be made at {without_password(server)}: {error}. Name a running server and a user that "
            "may make some: postgresql://USER:PASSWORD@HOST:PORT/postgres."
        ) from error


def report(runs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A table: milliseconds of each kind of request, the medians of the turns."""
    yield f"| requests | {' | '.join(f'{side} {shown}' for side, shown in itertools.product(SIDES, SHOWN))} |"
    yield "|---" * (1 + len(SIDES) * len(SHOWN)) + "|"
    sides = [[result for key, result in runs.items() if key.startswith(side)] for side in SIDES]
    for kind in next(iter(runs.values()))["requests"]:
        cells = [_median(kind, shown, of_side) for of_side in sides for shown in SHOWN]
        yield f"| {kind} | {' | '.join(cells)} |"


def _median(kind: str, shown: str, results: Sequence[Mapping[str, Any]]) -> str:
    found = [result["requests"].get(kind, {"ms": {}})["ms"].get(shown) for result in results]
    known = [ms for ms in found if ms is not None]
    return f"{statistics.median(known):,.0f} ms" if known else ""
