"""Labels that leave the config while predictions are shown: nobody is to submit one without seeing it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.held_project import FIT_EVERY, HeldProject, held_backend, some_pairs
from helpers.live_project import kill
from helpers.waiting import wait_until
from nextlabel.lab.importing import result_of
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.simulation.datasets.corpora import LABELS

SOON_S = 20  # on cores that others use, too
NEW = {LABELS[0]: "the same", LABELS[1]: "unlike"}

Record = Callable[[str, object], None]


class ShownProject(HeldProject):
    """A project in which annotators see the predictions."""

    def choices(self) -> dict[int, str]:
        """What the predictions of ours show, by task and version."""
        return {p.prediction_id: p.choice for p in self.studio.our_predictions(self.id)}

    def rename(self, names: dict[str, str], attribute: str = "value") -> None:
        config = self.studio.project(self.id).label_config
        for old, new in names.items():
            assert f'{attribute}="{old}"' in config
            config = config.replace(f'{attribute}="{old}"', f'{attribute}="{new}"')
        self.studio.update_project(self.id, label_config=config)

    def label_as(self, label: str) -> None:
        task = self.studio.next_task(self.id)
        assert task is not None
        assert not any(prediction["result"] for prediction in task["predictions"]), "nothing is ticked"
        self.studio.annotate(task["id"], result_of(label))


@pytest.fixture(scope="module")
def backend(label_studio: LocalStudio, wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    backend = held_backend(label_studio, tmp_path_factory.mktemp("labels"), wide)
    try:
        backend.start()
        yield backend
    finally:
        backend.stop()


@pytest.fixture
def project(studio: LabelStudioClient, backend: LocalBackend) -> Iterator[ShownProject]:
    """With an active version, whose predictions are shown."""
    project = ShownProject(studio, backend, some_pairs(), 12)
    project.wait()
    wait_until(lambda: len(project.choices()) == 12 and project.is_active(), "a whole window")
    studio.update_project(project.id, show_collab_predictions=True)
    assert set(project.choices().values()) <= set(LABELS)
    yield project
    print(backend.tail(80))  # shown where a test has failed
    studio._call("DELETE", f"api/projects/{project.id}/")


def test_renamed_labels_are_shown_no_more_in_the_same_order_until_the_next_version_knows_the_new_ones(
    project: ShownProject, record_property: Record
) -> None:
    before, order, version = project.choices(), project.queue(), project.version()
    project.rename(NEW)
    start = time.monotonic()
    wait_until(lambda: project.choices() == dict.fromkeys(before, ""), "the old labels to vanish", SOON_S)
    record_property("seconds until no old label is shown", round(time.monotonic() - start, 1))
    assert project.queue() == order
    assert project.version() == version

    for label in list(NEW.values()) * FIT_EVERY:
        project.label_as(label)
        if project.version() != version:
            break
    newer = project.wait(newer_than=version)
    wait_until(lambda: project._tidy(project.version() or ""), "the old version's predictions to go")
    assert project.registry.card(project.id, newer).labels == tuple(NEW.values())
    assert set(project.choices().values()) <= set(NEW.values())
    project.check_order()


def test_a_trainer_that_is_killed_while_it_takes_labels_back_goes_on_after_the_restart(project: ShownProject) -> None:
    before, order, home = project.choices(), project.queue(), project.backend.model_dir
    (home / "hold").write_text("after LabelStudioClient.update_prediction")
    project.rename(NEW)
    wait_until((home / "held").exists, "the trainer to take labels back")
    kill(project.backend, "trainer")
    left = [choice for choice in project.choices().values() if choice]
    assert 0 < len(left) < len(before)
    project.go_on()
    wait_until(lambda: not any(project.choices().values()), "the old labels to vanish")
    assert project.queue() == order


def test_hidden_predictions_are_left_alone_until_they_are_shown(
    project: ShownProject, studio: LabelStudioClient
) -> None:
    before, version = project.choices(), project.version()
    studio.update_project(project.id, show_collab_predictions=False, model_version=version)
    project.rename(NEW)
    looks = project.board.queue(project.id).reconciles
    wait_until(lambda: project.board.queue(project.id).reconciles > looks + 2, "some looks")
    assert project.choices() == before
    studio.update_project(project.id, show_collab_predictions=True)
    wait_until(lambda: not any(project.choices().values()), "the old labels to vanish", SOON_S)


def test_an_alias_that_is_renamed_is_another_label_and_one_that_stays_is_shown_on(project: ShownProject) -> None:
    gone = LABELS[0] if LABELS[0] in project.choices().values() else LABELS[1]
    kept = {id: "" if choice == gone else choice for id, choice in project.choices().items()}
    config = project.studio.project(project.id).label_config
    config = config.replace(f'value="{gone}"', f'value="{gone}" alias="its alias"')
    project.studio.update_project(project.id, label_config=config)
    wait_until(lambda: project.choices() == kept, "the label to vanish", SOON_S)
