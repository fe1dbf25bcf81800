"""Lets a test hold a real trainer at a stage of its work and do something to it there, and set the backend's clock.

Python imports this file by itself in every process whose PYTHONPATH names its directory. A test writes the name of a
stage, such as "before Registry.promote", to MODEL_DIR/hold. The trainer that comes there next renames the file to
`held`, and goes on when that is gone. Only one call is held; a trainer that is started again is not.

The number in MODEL_DIR/clock is added to the time of day, in seconds.
"""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("MODEL_DIR", "."))


def hold(stage: str) -> None:
    """Wait here, if a test wants it."""
    wish, held = HOME / "hold", HOME / "held"
    with contextlib.suppress(FileNotFoundError):
        if wish.read_text() != stage:
            return
        wish.rename(held)  # of two threads one fails here, and is not held
        while held.exists():
            time.sleep(0.02)


def staged(owner: type, name: str) -> None:
    """Hold before and after each call of a method."""
    real: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        hold(f"before {owner.__name__}.{name}")
        result = real(*args, **kwargs)
        hold(f"after {owner.__name__}.{name}")
        return result

    setattr(owner, name, call)


def staged_save(registry: type) -> None:
    """Hold when the weights are written, and the version has no name yet."""
    real: Callable[..., Any] = registry.save  # type: ignore[attr-defined]

    def save(self: Any, card: Any, labels: Any, write_model: Callable[[Path], None]) -> Path:
        def write(directory: Path) -> None:
            write_model(directory)
            hold("in Registry.save")

        path: Path = real(self, card, labels, write)
        hold("after Registry.save")
        return path

    registry.save = save  # type: ignore[attr-defined]


def staged_progress(board: type) -> None:
    """Hold in the middle of a round's stages: "in fit", "in score"."""
    real: Callable[..., Any] = board.put_fit  # type: ignore[attr-defined]

    def put_fit(self: Any, project: int, now: float, **changes: Any) -> None:
        real(self, project, now, **changes)
        if changes.get("done"):
            hold(f"in {changes['stage']}")

    board.put_fit = put_fit  # type: ignore[attr-defined]


class SetClock:
    """`time.time`, as the file says, which is looked at twice a second."""

    def __init__(self) -> None:
        self._real, self._offset_s, self._look_at = time.time, 0.0, 0.0

    def __call__(self) -> float:
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + 0.5
            with contextlib.suppress(FileNotFoundError, ValueError):
                self._offset_s = float((HOME / "clock").read_text())
        return self._real() + self._offset_s


time.time = SetClock()

if "trainer" in sys.orig_argv:
    # None of these imports torch, which the trainer has to find as it sets it up.
    from nextlabel.labelstudio.client import LabelStudioClient
    from nextlabel.loop.heading import HeadMaker
    from nextlabel.store.pool import Pool
    from nextlabel.store.status import StatusBoard
    from nextlabel.versions.registry import Registry

    for method in (
        "tasks_changed_since", "create_prediction", "update_prediction", "replace_prediction", "set_model_version",
        "delete_prediction", "delete_model_version",
    ):  # fmt: skip
        staged(LabelStudioClient, method)
    staged(HeadMaker, "renewed")
    for method in ("promote", "add_seconds", "prune"):
        staged(Registry, method)
    for method in ("upsert", "put_scores", "put_vectors", "note_published", "note_withdrawn", "keep_scores_of"):
        staged(Pool, method)
    staged_save(Registry)
    staged_progress(StatusBoard)
