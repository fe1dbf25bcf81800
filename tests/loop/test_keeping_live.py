"""Backup, restore and forgetting as commands, with a trainer at work and a real Label Studio."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from helpers.live_project import LiveProject
from helpers.scripts import run
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect, disconnect
from nextlabel.labelstudio.project_options import change, note_audits
from nextlabel.settings import Settings
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.store.jobs import JobQueue
from nextlabel.versions import archive

NOT_OF_A_PROJECT = (
    "queue.sqlite",
    "locks/clock.lock",
    "locks/helping.lock",  # of all projects, one of which is asked about at a time
    "locks/traffic.",
    "status/base_model.json",
    "status/traffic.",
    "serve.",
    "models",
)


@pytest.fixture
def project(
    studio: LabelStudioClient, start_backend: Callable[..., LocalBackend], few_pairs: Corpus, tiny: Path
) -> LiveProject:
    found = LiveProject(studio, start_backend(base_model=tiny, control_share=0.1), few_pairs)
    found.wait()
    return found


@pytest.fixture
def command(label_studio: LocalStudio, project: LiveProject) -> Callable[..., CompletedProcess[str]]:
    """One of the commands, with the backend's environment and nobody at the terminal."""
    keys = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token}

    def ask(name: str, *arguments: object) -> CompletedProcess[str]:
        done = run(f"{name}.py", *arguments, **keys, MODEL_DIR=str(project.backend.model_dir))
        assert "Traceback" not in done.stderr
        return done

    return ask


def extra_of(project: LiveProject) -> dict[str, object]:
    [backend] = project.studio.ml_backends(project.id)
    return dict(backend.extra_params)


def files_of_projects(model_dir: Path) -> list[str]:
    names = sorted(path.relative_to(model_dir).as_posix() for path in model_dir.rglob("*") if path.is_file())
    return [name for name in names if not name.startswith(NOT_OF_A_PROJECT[:-1])]


def test_what_is_backed_up_comes_back_and_a_project_that_is_forgotten_leaves_nothing(
    project: LiveProject, command: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    studio, home, out = project.studio, project.backend.model_dir, tmp_path / "b.zip"
    settings = Settings(_env_file=None, model_dir=home)
    kept = extra_of(project)
    made = command("backup", "--out", out)
    assert f"project {project.id}: its options, 1 cards with their lists of labels, 0 audits" in made.stdout, (
        made.stderr
    )
    assert archive.read(out).options == {project.id: kept}

    # Over something that is there: only after a yes, and what an audit has spent stays spent.
    change(studio, settings, project.id, {"window": "64"})
    note_audits(studio, settings, project.id, 2)
    changed = extra_of(project)
    asked = command("restore", out)
    assert (asked.returncode, extra_of(project)) == (1, changed)
    assert f"project {project.id}: changes in Label Studio nextlabel.window" in asked.stdout
    assert "run it again with --yes" in asked.stderr
    assert command("restore", out, "--yes").returncode == 0
    ours = kept["nextlabel"]
    assert isinstance(ours, dict)
    assert extra_of(project) == {"nextlabel": {**ours, "audits": 2}}

    refused = command("forget", "--project", project.id, "--yes")
    assert (refused.returncode, "is still connected with" in refused.stderr) == (1, True)
    disconnect(studio, project.id)
    unasked = command("forget", "--project", project.id)
    assert (unasked.returncode, "This deletes 1 versions and 0 audits" in unasked.stderr) == (1, True)
    assert project.version()
    forgotten = command("forget", "--project", project.id, "--yes")
    assert forgotten.returncode == 0, forgotten.stderr
    JobQueue(home).hint(project.id)  # one that comes late, while the trainer goes on
    wait_until(lambda: not JobQueue(home).waiting() and not files_of_projects(home), "nothing to be left")
    assert "holds nothing of project" in command("forget", "--project", project.id, "--yes").stderr

    # Where all was lost: the files at once, the options as soon as the project is connected.
    first = command("restore", out)
    assert (first.returncode, first.stderr) == (1, "")
    assert f"as it is not connected; run `nextlabel connect --project {project.id}`, and then this" in first.stdout
    [card] = project.registry.cards(project.id)
    assert project.registry.current(project.id) is None
    connect(studio, project.id, project.backend.url, Credentials())
    again = command("restore", out, "--yes")
    assert again.returncode == 0, again.stderr
    assert extra_of(project) == kept
    project.wait()
    second = project.registry.cards(project.id)[0]
    assert second.number == card.number + 1, "numbers go on"
