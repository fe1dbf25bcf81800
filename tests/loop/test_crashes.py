"""SIGKILL for the trainer and the web process at each stage of a round, held there so that it is surely in it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.held_project import STAGES, HeldProject, held_backend, some_pairs
from helpers.live_project import healthy, kill
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient

Record = Callable[[str, object], None]
WEB_TOO = ("reading", "fitting", "saving", "promoted", "publishing", "retiring")


@pytest.fixture(scope="module")
def project(
    label_studio: LocalStudio, studio: LabelStudioClient, wide: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HeldProject]:
    backend = held_backend(label_studio, tmp_path_factory.mktemp("held"), wide)
    try:
        backend.start()
        yield HeldProject(studio, backend, some_pairs(), 12)
    finally:
        backend.stop()


@pytest.mark.parametrize("stage", STAGES)
def test_a_trainer_that_is_killed_loses_nothing(project: HeldProject, stage: str, record_property: Record) -> None:
    before = project.label_and_hold(stage)
    project.check_order()
    kill(project.backend, "trainer")
    killed = time.monotonic()
    project.go_on()
    project.check_right(before)
    record_property("seconds to a right queue", round(time.monotonic() - killed, 1))


@pytest.mark.parametrize("stage", WEB_TOO)
def test_a_web_process_that_is_killed_loses_nothing(
    project: HeldProject, studio: LabelStudioClient, stage: str, record_property: Record
) -> None:
    before = project.label_and_hold(stage)
    kill(project.backend, "web")
    killed = time.monotonic()
    [unheard] = project.label(1)  # nobody hears its webhook, and the annotator does not feel it
    wait_until(lambda: healthy(project.backend), "the web process to come back")
    project.go_on()
    version = project.wait(newer_than=before)
    record_property("seconds to a right queue", round(time.monotonic() - killed, 1))
    assert unheard not in project.queue()
    studio.start_training(project.id)
    project.check_right(version)
