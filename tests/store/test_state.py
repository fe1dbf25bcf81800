"""What is remembered of a project from one job to the next: typed rows of its local copy."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import AgainState, FitState, ProjectState, QueueState, Record, SyncState
from nextlabel.values.survey import UnknownWords

RECORDS = (
    SyncState(
        reading="abc",
        complete=True,
        label_config="<View/>",
        watermark="2026-01-01T00:00:00.123456Z",
        watermark_seen_at=1780000000.1234567,
        overlap_s=8.1,
        settled="2025",
        synced_at=0.1 + 0.2,
        annotators={"1": "2026", "é": "2027"},
        difference=(0, -1, 2),
        accepted=(3, 0, 0),
        verified_to=2**40,
        parts_owed=2,
    ),
    FitState(1.5, "nextlabel-1", 2.5, "1780000000.25", 3, 4.5),
    QueueState("somebody's own model", "nextlabel-2"),
    ProjectState(True, "Nextlabel", "bert 3", UnknownWords(256, 7, 12)),
    AgainState({7: "pos"}, 120, {7: "2"}, 0.03, (7, 12)),
)
by_kind = pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return pool_path(tmp_path, 1)


@pytest.fixture
def pool(path: Path) -> Iterator[Pool]:
    with Pool(path) as opened:
        yield opened


@by_kind
def test_a_record_comes_back_as_it_was_put(record: Record, pool: Pool, path: Path) -> None:
    assert pool.state(type(record)) == type(record)()
    assert pool.update(type(record), lambda _: record) == record
    with Pool(path) as later:
        assert later.state(type(record)) == record
        others: dict[type, object] = {
            kind: later.state(kind) for kind in map(type, RECORDS) if kind is not type(record)
        }
    assert others == {kind: kind() for kind in others}


@by_kind
@pytest.mark.parametrize(
    "row", ["", "no JSON", "[]", "null", '{"watermark": 1', '{"complete": [], "due_at": [], "after": 1, "sample": 2}']
)
def test_a_damaged_row_is_as_good_as_none(record: Record, row: str, pool: Pool, path: Path) -> None:
    pool.update(type(record), lambda _: record)
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("UPDATE meta SET value = ? WHERE key = ?", (row, type(record).__name__)).rowcount == 1
    assert pool.state(type(record)) == type(record)()


@by_kind
def test_of_a_row_of_another_release_is_kept_what_is_known(record: Record, pool: Pool, path: Path) -> None:
    pool.update(type(record), lambda _: record)
    with closing(sqlite3.connect(path)) as db, db:
        later = "UPDATE meta SET value = json_set(value, '$.of_the_future', 1) WHERE key = ?"
        assert db.execute(later, (type(record).__name__,)).rowcount == 1
    assert pool.state(type(record)) == record


def test_what_was_asked_again_before_draws_were_kept_is_still_known(pool: Pool, path: Path) -> None:
    pool.update(AgainState, lambda _: AgainState({7: "pos"}, 120, {7: "2"}, 0.03))
    with closing(sqlite3.connect(path)) as db, db:
        before = "UPDATE meta SET value = json_remove(value, '$.drawn') WHERE key = 'AgainState'"
        assert db.execute(before).rowcount == 1
    assert pool.state(AgainState) == AgainState({7: "pos"}, 120, {7: "2"}, 0.03, ())


def test_two_threads_that_change_a_record_lose_nothing(path: Path) -> None:
    def fail(times: int) -> None:
        with Pool(path) as pool:
            for _ in range(times):
                pool.update(FitState, lambda state: replace(state, failures_in_a_row=state.failures_in_a_row + 1))

    threads = [threading.Thread(target=fail, args=(50,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Pool(path) as pool:
        assert pool.state(FitState).failures_in_a_row == 200
