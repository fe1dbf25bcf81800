"""Locks among all threads and processes of this machine. They die with their holder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LockHeld = Timeout  # what entering a held lock raises


def lock(model_dir: Path, name: str) -> FileLock:
    """The lock `name` of one MODEL_DIR. Entering it raises `LockHeld` when somebody else has it."""
    return FileLock(_path(model_dir, name), timeout=0, thread_local=False)


@contextmanager
def shared(model_dir: Path, name: str) -> Iterator[None]:
    """The same lock, held by any number at once who share it. Raises `LockHeld` when somebody has it alone."""
    path = _path(model_dir, name)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(str(path)) from None
        yield


def _path(model_dir: Path, name: str) -> Path:
    directory = model_dir / "locks"
    directory.mkdir(parents=True, exist_ok=True)
    return directory / f"{name}.lock"
