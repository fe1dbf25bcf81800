"""What tests have computed on the nodes of a cluster, which find it by name."""

import os
import time
from pathlib import Path

from nextlabel.compute.tasks import Tell
from nextlabel.errors import DivergedError


def double(tell: Tell, number: int) -> int:
    """Twice the number."""
    return 2 * number


def added(tell: Tell, shared: bytes, number: int) -> int:
    """The number and the length of what is shared."""
    return number + len(shared)


def count(tell: Tell, path: str, steps: int, pause_s: float = 0.1) -> str:
    """Tells its steps one by one, and in `path` that it began; gives what is there at the end."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} ")
    for step in range(steps):
        tell("count", step + 1, steps)
        time.sleep(pause_s)
    return Path(path).read_text(encoding="utf-8")


def die(tell: Tell, path: str) -> None:
    """Ends its process, and tells in `path` that it began."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write("begun ")
    os._exit(1)


def die_first(tell: Tell, path: str) -> str:
    """Ends its process the first time."""
    if not Path(path).exists():
        Path(path).touch()
        os._exit(1)
    return "second"


def fail(tell: Tell, kind: str) -> None:
    """In a way of its own."""
    raise {"on purpose": DivergedError("a reason"), "memory": MemoryError(), "unforeseen": ZeroDivisionError("why")}[
        kind
    ]


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return int, ("no number",)  # type: ignore[return-value]


def unreadable(tell: Tell, number: int) -> Unreadable:
    """A result that fails where it is read."""
    return Unreadable()


def three_bytes() -> bytes:
    """A shared object."""
    return bytes(3)


def vanished() -> bytes:
    """A shared object that cannot be made."""
    raise FileNotFoundError("the checkpoint is gone")


def threads(tell: Tell) -> int:
    """How many threads torch has."""
    import torch

    return torch.get_num_threads()


def exists(tell: Tell, path: str) -> bool:
    """Whether a path is there, seen from a node."""
    return Path(path).exists()
