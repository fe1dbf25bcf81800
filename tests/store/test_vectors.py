"""Vectors of the pool's texts in mapped files: whose they are, and what is left after edits, kills and losses."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextlabel.store.arrays import RecordFiles, vector_record
from nextlabel.store.pool import EMBEDDINGS, FEATURES, Pool, pool_path
from nextlabel.store.state import SyncState
from nextlabel.values.arrays import Features
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow

ENCODER, ANOTHER = "encoder", "another"
WIDTH = 1024  # so that a record lies on more than one page


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return pool_path(tmp_path, 1)


@pytest.fixture
def pool(path: Path) -> Iterator[Pool]:
    with Pool(path) as opened:
        opened.upsert([task(1), task(2), task(3)])
        yield opened


def example(task_id: int, text: str = "text") -> Example:
    return Example(task_id, f"{text} {task_id}")


def task(task_id: int, text: str = "text") -> TaskRow:
    return TaskRow(task_id, example(task_id, text), False, False, False, 0, ())


def vectors_of(task_ids: Sequence[int]) -> Features:
    return np.stack([np.random.default_rng(i).normal(size=WIDTH) for i in task_ids]).astype(np.float16)


def put(pool: Pool, task_ids: Sequence[int], name: str = ENCODER) -> None:
    pool.put_vectors(EMBEDDINGS, name, [example(i) for i in task_ids], vectors_of(task_ids))


def known(pool: Pool, name: str = ENCODER) -> list[int]:
    """The tasks that have a vector, after a look at whether it is the right one, and at who has none."""
    ids_N, vectors_ND = pool.vectors(EMBEDDINGS, name, [3, 2, 1])
    ids: list[int] = ids_N.tolist()
    assert not ids or vectors_ND.tobytes() == vectors_of(ids).tobytes()
    assert [e.id for e in pool.without_vector(EMBEDDINGS, name, [3, 2, 1])] == [i for i in (1, 2, 3) if i not in ids]
    return ids


def file_of(path: Path) -> Path:
    [directory] = path.with_suffix(".embeddings").iterdir()
    return directory / ENCODER


def test_vectors_come_back_to_the_last_bit_by_task_and_only_those_asked_for(pool: Pool, path: Path) -> None:
    put(pool, [3, 1])
    assert known(pool) == [1, 3]
    put(pool, [2])
    with Pool(path) as another:
        assert known(another) == [1, 2, 3]
        assert another.vectors(EMBEDDINGS, ENCODER, [2, 17])[0].tolist() == [2]


def test_an_edited_text_has_none_and_a_labelled_one_keeps_its_own(pool: Pool) -> None:
    put(pool, [1, 2, 3])
    pool.upsert([task(2, "another text"), TaskRow(3, example(3), True, False, False, 1, ())])
    assert pool.vectors(EMBEDDINGS, ENCODER, [1, 2, 3])[0].tolist() == [1, 3]
    pool.put_vectors(EMBEDDINGS, ENCODER, [example(2)], vectors_of([2]))  # of the text as it was
    assert pool.without_vector(EMBEDDINGS, ENCODER, [1, 2, 3]) == [example(2, "another text")]


def test_of_features_that_two_have_computed_the_first_are_kept(pool: Pool, path: Path) -> None:
    for task_ids in ([1, 2], [2, 3]):
        pool.put_vectors(FEATURES, ENCODER, [example(i) for i in task_ids], vectors_of(task_ids))
    ids_N, vectors_ND = pool.vectors(FEATURES, ENCODER, [1, 2, 3])
    assert (ids_N.tolist(), vectors_ND.tolist()) == ([1, 2, 3], vectors_of([1, 2, 3]).tolist())
    [file] = path.with_suffix(".features").glob(f"*/{ENCODER}")
    assert file.stat().st_size == 3 * vector_record(WIDTH, np.dtype(np.float16)).itemsize
    pool.put_vectors(FEATURES, ENCODER, [example(1)], np.ones((1, WIDTH), dtype=np.float32))
    assert pool.vectors(FEATURES, ENCODER, [1, 2, 3])[0].tolist() == [1], "in another precision"


def test_each_encoder_has_its_own_and_what_others_made_can_be_dropped(pool: Pool) -> None:
    put(pool, [1, 2])
    put(pool, [3], ANOTHER)
    assert (known(pool), known(pool, ANOTHER)) == ([1, 2], [3])
    pool.keep_vectors_of(EMBEDDINGS, [ANOTHER])
    assert (known(pool), known(pool, ANOTHER)) == ([], [3])


def test_another_way_of_reading_the_tasks_leaves_those_of_texts_that_are_read_alike(pool: Pool) -> None:
    put(pool, [1, 2])
    pool.clear(SyncState())
    assert not len(pool.vectors(EMBEDDINGS, ENCODER, [1, 2])[0]), "no task is known"
    pool.upsert([task(1), task(3)])
    pool.clear(SyncState())  # once more, before all were read
    pool.upsert([task(1), task(2, "another text"), task(3)])
    assert known(pool) == [1]
    pool.all_read_again()
    pool.forget([1])
    pool.upsert([task(1)])
    assert known(pool) == [], "a new task"


def test_a_single_precision_vector_takes_the_place_of_all_in_half(pool: Pool) -> None:
    put(pool, [1, 2])
    narrow_ND = np.eye(2, dtype=np.float32)
    pool.put_vectors(EMBEDDINGS, ENCODER, [example(2), example(3)], narrow_ND)
    ids_N, vectors_ND = pool.vectors(EMBEDDINGS, ENCODER, [1, 2, 3])
    assert (ids_N.tolist(), vectors_ND.tolist()) == ([2, 3], narrow_ND.tolist())
    assert vectors_ND.dtype.itemsize == 4


def test_what_a_killed_process_had_written_and_not_counted_is_missing(pool: Pool, path: Path) -> None:
    put(pool, [1])
    killed = multiprocessing.get_context("spawn").Process(target=die_in_the_middle, args=(path,))
    killed.start()
    killed.join()
    assert killed.exitcode == 9
    assert file_of(path).stat().st_size == 2 * vector_record(WIDTH, np.float16).itemsize
    assert known(pool) == [1]
    put(pool, [3])
    assert known(pool) == [1, 3]


def die_in_the_middle(path: Path) -> None:
    """Of writing a vector, before it counts."""
    real = RecordFiles.append

    def append(self: RecordFiles, name: str, counted: int, records_N: Any) -> int:
        real(self, name, counted, records_N)
        os._exit(9)

    RecordFiles.append = append  # type: ignore[method-assign]
    with Pool(path) as pool:
        put(pool, [2])


@pytest.mark.parametrize("lost", [slice(0, 900), slice(900, None), slice(0, None)], ids=["head", "end", "all"])
def test_a_vector_of_which_a_page_was_lost_does_not_count(pool: Pool, path: Path, lost: slice) -> None:
    put(pool, [1, 2])
    raw, size = bytearray(file_of(path).read_bytes()), vector_record(WIDTH, np.float16).itemsize
    second = raw[size:]
    second[lost] = bytes(len(second[lost]))
    file_of(path).write_bytes(raw[:size] + second)
    with Pool(path) as later:
        assert known(later) == [1]
        put(later, [2])
        assert known(later) == [1, 2]
