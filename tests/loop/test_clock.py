"""The backend's clock jumps in the middle of a round, forth or back, as after a sleep or a correction of the time."""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from helpers.held_project import FIT_EVERY, HeldProject, held_backend, some_pairs
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient

DAY = 86400


@pytest.fixture
def backend(label_studio: LocalStudio, wide: Path, tmp_path: Path) -> Iterator[LocalBackend]:
    backend = held_backend(label_studio, tmp_path / "backend", wide)
    backend.start()
    yield backend
    backend.stop()


@pytest.mark.parametrize(("stage", "jump"), [("fitting", -DAY), ("publishing", DAY)])
def test_the_loop_goes_on_when_the_clock_jumps(
    studio: LabelStudioClient, backend: LocalBackend, stage: str, jump: int
) -> None:
    project = HeldProject(studio, backend, some_pairs(), 12)
    before = project.label_and_hold(stage)
    (backend.model_dir / "clock").write_text(str(jump))
    project.go_on()
    version = project.check_right(before)
    project.label(FIT_EVERY)
    version = project.check_right(version)
    made = datetime.fromisoformat(project.registry.card(project.id, version).created_at)
    off_s = (made - datetime.now(timezone.utc)).total_seconds()
    assert abs(off_s - jump) < DAY / 2, "the clock did not jump"
