"""Values of the pool in mapped files: their order, and what is left of them after a kill, a loss, or a full disk."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextlabel.errors import PoolError
from nextlabel.store.arrays import RecordFiles, Records, record
from nextlabel.store.pool import Pool, pool_path
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow
from nextlabel.values.queue import Ranked

V1, V2 = "nextlabel-1", "nextlabel-2"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return pool_path(tmp_path, 1)


@pytest.fixture
def pool(path: Path) -> Iterator[Pool]:
    with Pool(path) as opened:
        yield opened


def example(task_id: int) -> Example:
    return Example(task_id, f"text {task_id}")


def task(task_id: int) -> TaskRow:
    return TaskRow(task_id, example(task_id), False, False, False, 0, ())


def score(pool: Pool, version: str, values: dict[int, float], exact: bool = True) -> None:
    values_N = np.array(list(values.values()))
    pool.put_scores(version, [example(i) for i in values], values_N, np.stack([1 - values_N, values_N], 1), exact)


def scored(pool: Pool, version: str) -> dict[int, float]:
    return {task.task_id: task.value for task in pool.ranked(version, 10**6, skipped=False)}


def file_of(path: Path, version: str) -> Path:
    [directory] = path.with_suffix(".values").iterdir()
    return directory / version


@pytest.mark.parametrize("limit", [1, 5, 20, 40, 400])
@pytest.mark.parametrize("kinds", [1, 7, 10**9], ids=["all equal", "many equal", "all different"])
def test_the_order_is_that_of_all_values_and_of_ids_among_equal_ones(pool: Pool, limit: int, kinds: int) -> None:
    rng = np.random.default_rng(limit)
    ids = rng.choice(10**6, 300, replace=False).tolist()
    rows = [replace(task(i), skipped=bool(rng.random() < 0.2), closed=bool(rng.random() < 0.3)) for i in ids]
    pool.upsert(rows)
    values: dict[int, float] = {}
    for _ in range(3):  # some are scored more than once
        some = {int(i): float(rng.integers(kinds)) / kinds for i in rng.choice(ids, 150, replace=False)}
        score(pool, V1, some)
        values |= some
    best = sorted(values, key=lambda i: -values[i])[:60]
    pool.upsert(replace(row, example=Example(row.id, "another text")) for row in rows if row.id in best)
    pool.upsert(row for row in rows if row.id in best[:30])
    score(pool, V1, dict.fromkeys(best[:30], 0.0))
    values = {i: value for i, value in values.items() if i not in best} | dict.fromkeys(best[:30], 0.0)
    for skipped in (False, True):
        here = [row.id for row in rows if row.open and row.skipped == skipped and row.id in values]
        expected = sorted((Ranked(i, values[i]) for i in here), key=lambda ranked: (-ranked.value, ranked.task_id))
        assert pool.ranked(V1, limit, skipped) == expected[:limit]


@pytest.mark.parametrize("at_a_time", [1, 7, 10**6])
def test_however_many_are_looked_at_at_a_time_the_same_are_unscored(
    pool: Pool, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextlabel.store.arrays.AT_A_TIME", at_a_time)
    monkeypatch.setattr("nextlabel.store.pool.AT_A_TIME", at_a_time)
    pool.upsert(map(task, range(1, 61)))
    score(pool, V1, dict.fromkeys(range(60, 20, -1), 0.5))
    score(pool, V1, dict.fromkeys([3, 25, 40], 0.25))  # some again
    left = [*range(1, 3), *range(4, 21)]
    assert [example.id for example in pool.unscored(V1)] == left
    assert (pool.unscored_size(V1), pool.has_unscored(V1)) == (len(left), True)
    assert pool.unscored_parts(V1, 10) == [(0, 9), (10, 19), (20, 29)]
    score(pool, V1, dict.fromkeys(left, 0.75))
    assert (pool.unscored_size(V1), pool.has_unscored(V1), pool.unscored_parts(V1, 10)) == (0, False, [])
    assert [scored(pool, V1)[i] for i in (3, 21, 40, 1)] == [0.25, 0.5, 0.25, 0.75]


def test_values_and_probabilities_come_back_to_the_last_digit(pool: Pool, path: Path) -> None:
    rng = np.random.default_rng(0)
    pool.upsert([task(1), task(2)])
    values_N, probs_NC = rng.random(2), rng.random((2, 7))
    pool.put_scores(V1, [example(2), example(1)], values_N, probs_NC, True)
    with Pool(path) as another:
        for place, task_id in enumerate((2, 1)):
            found = another.candidate(V1, task_id)
            assert found is not None
            assert found.value == values_N[place]
            assert found.probs_C.tolist() == probs_NC[place].tolist()


def test_what_a_killed_process_had_written_and_not_counted_is_unscored(pool: Pool, path: Path) -> None:
    pool.upsert([task(1), task(2), task(3)])
    score(pool, V1, {1: 0.5})
    killed = multiprocessing.get_context("spawn").Process(target=die_in_the_middle, args=(path,))
    killed.start()
    killed.join()
    assert killed.exitcode == 9
    assert file_of(path, V1).stat().st_size == 2 * record(2).itemsize
    assert scored(pool, V1) == {1: 0.5}
    assert pool.unscored(V1) == [example(2), example(3)]
    score(pool, V1, {3: 0.25})
    assert scored(pool, V1) == {1: 0.5, 3: 0.25}
    assert pool.unscored(V1) == [example(2)]


def die_in_the_middle(path: Path) -> None:
    """Of writing two scores, before they count, with half of the second one lost."""
    real = RecordFiles.append

    def append(self: RecordFiles, name: str, counted: int, records_N: Any) -> int:
        real(self, name, counted, records_N)
        os._exit(9)

    RecordFiles.append = append  # type: ignore[method-assign]
    with Pool(path) as pool:
        score(pool, V1, {2: 0.75})


@pytest.mark.parametrize("left", [0, 1, 1.5, None], ids=["none", "one", "one and a half", "no file"])
def test_what_was_lost_of_a_file_is_unscored_and_scored_again(pool: Pool, path: Path, left: float | None) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.5, 2: 0.75})
    assert pool.unscored_size(V1) == 0
    if left is None:
        file_of(path, V1).unlink()
    else:
        os.truncate(file_of(path, V1), int(left * record(2).itemsize))
    with Pool(path) as later:
        kept = {1: 0.5} if left else {}
        assert scored(later, V1) == kept
        assert (later.has_unscored(V1), later.unscored_size(V1)) == (True, 2 - len(kept))
        score(later, V1, {2: 0.125})
        assert scored(later, V1) == {**kept, 2: 0.125}


@pytest.mark.parametrize("lost", [slice(0, 30), slice(30, None), slice(0, None)], ids=["head", "end", "all"])
def test_a_record_of_which_a_page_was_lost_does_not_count(pool: Pool, path: Path, lost: slice) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.5, 2: 0.75})
    assert pool.unscored_size(V1) == 0
    raw = bytearray(file_of(path, V1).read_bytes())
    second = raw[record(2).itemsize :]
    second[lost] = bytes(len(second[lost]))
    file_of(path, V1).write_bytes(raw[: record(2).itemsize] + second)
    with Pool(path) as later:
        assert scored(later, V1) == {1: 0.5}
        assert (later.unscored(V1), later.unscored_size(V1)) == ([example(2)], 1)


def test_no_scores_are_no_file(pool: Pool, path: Path) -> None:
    pool.upsert([task(1)])
    score(pool, V1, {1: 0.5})
    pool.put_scores(V2, [], np.zeros(0), np.zeros((0, 2)), exact=False)
    assert (scored(pool, V1), scored(pool, V2)) == ({1: 0.5}, {})
    assert not file_of(path, V2).exists()


def test_threads_that_write_take_turns_and_one_that_reads_sees_whole_scores(path: Path) -> None:
    ids = range(1, 401)
    with Pool(path) as pool:
        pool.upsert(task(i) for i in ids)
    wrong: list[object] = []

    def write(part: range) -> None:
        with Pool(path) as pool:
            for i in part:
                score(pool, V1, {i: i / 512})

    def read() -> None:
        with Pool(path) as pool:
            while len(found := scored(pool, V1)) < len(ids):
                wrong.extend((i, value) for i, value in found.items() if value != i / 512)

    threads = [threading.Thread(target=write, args=(ids[start::4],)) for start in range(4)]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    with Pool(path) as pool:
        assert scored(pool, V1) == {i: i / 512 for i in ids}


def test_of_what_two_score_at_once_the_first_is_kept_and_only_exact_values_take_its_place(path: Path) -> None:
    with Pool(path) as one, Pool(path) as other:
        one.upsert(map(task, range(1, 5)))
        for pool, ids, value in (
            (one, (1, 2), 0.5),
            (other, (2, 3), 0.25),
            (one, (1, 3, 4), 0.125),
            (other, (4,), 0.0),
        ):
            score(pool, V1, dict.fromkeys(ids, value), exact=False)
        assert scored(one, V1) == scored(other, V1) == {1: 0.5, 2: 0.5, 3: 0.25, 4: 0.125}
        assert file_of(path, V1).stat().st_size == 4 * record(2).itemsize
        score(other, V1, {2: 0.75})
        score(one, V1, {2: 0.5}, exact=False)
        assert scored(one, V1)[2] == 0.75


def test_what_was_not_written_after_all_is_not_known(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.upsert([task(1), task(2)])
    score(pool, V1, {1: 0.5})
    assert pool.unscored(V1) == [example(2)]
    real = pool._append

    def fails_late(version: str, records_N: Records) -> None:
        real(version, records_N)
        raise InterruptedError

    with monkeypatch.context() as failing:
        failing.setattr(pool, "_append", fails_late)
        with pytest.raises(InterruptedError):
            score(pool, V1, {2: 0.5})
    assert pool.unscored(V1) == [example(2)]
    score(pool, V1, {1: 0.25})
    assert pool.unscored(V1) == [example(2)]


def test_files_go_with_the_versions_and_with_the_copy(path: Path) -> None:
    with Pool(path) as pool:
        pool.upsert([task(1)])
        score(pool, V1, {1: 0.5})
        score(pool, V2, {1: 0.25})
        pool.keep_scores_of(V2)
        assert [file.name for file in file_of(path, V2).parent.iterdir()] == [V2]
        assert (scored(pool, V1), scored(pool, V2)) == ({}, {1: 0.25})
        score(pool, V1, {1: 0.125})
        assert scored(pool, V1) == {1: 0.125}
    path.unlink()
    with Pool(path) as anew:
        assert not path.with_suffix(".values").exists()
        anew.upsert([task(1)])
        assert scored(anew, V1) == {}


def test_who_still_has_a_copy_open_that_was_deleted_writes_nothing_into_the_next_one(path: Path) -> None:
    with Pool(path) as old:
        old.upsert([task(1), task(2)])
        score(old, V1, {1: 0.5})
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        with Pool(path) as anew:
            anew.upsert([task(2), task(1)])
            score(anew, V1, {1: 0.25, 2: 0.75})
            score(old, V1, {2: 0.5})
            assert scored(anew, V1) == {1: 0.25, 2: 0.75}


def test_values_that_cannot_be_written_are_said_to_be_so(pool: Pool, path: Path) -> None:
    pool.upsert([task(1)])
    score(pool, V2, {1: 0.5})
    file_of(path, V1).mkdir()
    with pytest.raises(PoolError, match=r"cannot be used \(.*\): stop what has locked it, or make room there"):
        score(pool, V1, {1: 0.5})
    assert pool.unscored(V1) == [example(1)]
