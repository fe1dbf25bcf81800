"""Locks among threads and processes."""

import threading
from pathlib import Path

import pytest

from nextlabel.store.locks import LockHeld, lock, shared


def enters(model_dir: Path, name: str) -> bool:
    """Whether another thread gets the lock now."""
    entered: list[bool] = []

    def attempt() -> None:
        try:
            with lock(model_dir, name):
                entered.append(True)
        except LockHeld:
            entered.append(False)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return entered[0]


def test_a_lock_excludes_other_threads_until_it_is_left(tmp_path: Path) -> None:
    with lock(tmp_path, "project-17"):
        assert not enters(tmp_path, "project-17")
        assert enters(tmp_path, "project-18")
    assert enters(tmp_path, "project-17")


def test_a_lock_is_shared_by_many_or_held_by_one(tmp_path: Path) -> None:
    with shared(tmp_path, "project-17"), shared(tmp_path, "project-17"):
        assert not enters(tmp_path, "project-17")
    assert enters(tmp_path, "project-17")
    with lock(tmp_path, "project-17"), pytest.raises(LockHeld), shared(tmp_path, "project-17"):
        pass
