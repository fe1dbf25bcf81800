"""Locks among all threads and processes of this machine. They die with their holder."""

from pathlib import Path

from filelock import FileLock, Timeout

LockHeld = Timeout  # what entering a held lock raises


def lock(model_dir: Path, name: str) -> FileLock:
    """The lock `name` of one MODEL_DIR. Entering it raises `LockHeld` when somebody else has it."""
    directory = model_dir / "locks"
    directory.mkdir(parents=True, exist_ok=True)
    return FileLock(directory / f"{name}.lock", timeout=0, thread_local=False)
