"""What is found out before a project is connected, and that finding it out changes nothing."""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextlabel.commands import connect as command
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import SEQUENTIAL, LabelStudioClient, Project
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, Plan, connect
from nextlabel.labelstudio.preview_words import on_labels
from nextlabel.learning import auto_recipe, quick_version
from nextlabel.loop import fitting, starting
from nextlabel.loop.copies import learnt_from
from nextlabel.loop.preview import BESIDE, ReadProject, counted, fits_of, is_here, order_of
from nextlabel.model.classifier import Recipe
from nextlabel.model.speed import Speed, measure
from nextlabel.settings import Settings, for_project
from nextlabel.store.pool import Pool
from nextlabel.values.counting import GUIDELINE, PERSON
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import LATEST, ProjectOptions

CHOICES = '<Choice value="pos"/><Choice value="neg"/>'
XML = f'<View><Text name="text" value="$text"/><Choices name="label" toName="text">{CHOICES}</Choices></View>'
CONFIG = parse_label_config(XML)
SPEED = Speed(
    "cpu",
    "bf16",
    load_s=2.0,
    step_s=0.5,
    texts_per_s=100.0,
    memory=2**30,
    on_gpu=0,
    weights=2**26,
    pieces=90,
    width=384,
)
Found = Callable[..., ReadProject]


@pytest.fixture
def settings(tmp_path: Path, tiny: Path) -> Settings:
    return Settings(_env_file=None, model_dir=tmp_path, base_model=str(tiny), device="cpu")


@pytest.fixture
def found(settings: Settings, tmp_path: Path) -> Iterator[Found]:
    """A project that was read in 7 s, with so many labels and tasks without one."""
    with Pool(tmp_path / "found.sqlite") as pool:

        def read(labels: Sequence[str], unlabelled: int, **own: object) -> ReadProject:
            given = [*labels, *[""] * unlabelled]
            pool.upsert(
                TaskRow(i, Example(i, f"text {i}"), False, bool(label), False, int(bool(label)), votes(label))
                for i, label in enumerate(given, start=1)
            )
            options = for_project(settings, ProjectOptions(own=own, defaults=LATEST))
            return ReadProject(pool, CONFIG, options, learnt_from(pool, CONFIG.question, options.near_copies), 7.0, 1)

        yield read


def votes(label: str) -> tuple[Vote, ...]:
    return (Vote(label, False, ""),) if label else ()


def test_a_project_that_comes_with_many_labels_has_an_order_by_its_quick_version(
    found: Found, settings: Settings
) -> None:
    read = found(["pos", "neg"] * 1000, 3000)
    fits = fits_of(settings, read, SPEED)
    assert (fits.labels, fits.quick, fits.waits_for) == (2000, quick_version.LABELS, "")
    assert fits.steps == auto_recipe.steps(2000)
    assert fits.quick_s == 2.0 + 0.5 * BESIDE * auto_recipe.steps(quick_version.LABELS)
    assert fits.seconds == 2.0 + 0.5 * BESIDE * fits.steps + 2 * 2000 / 100, (
        "its labels are read for the heads and the gate"
    )
    order = order_of(read, SPEED, fits)
    assert order is not None
    assert order.parts == {
        "to read the tasks": 7.0,
        "for the fit": fits.quick_s,
        f"to score {fitting.LEAST:,} texts": fitting.LEAST / 100,
        "to look for near-copies": 2.0 + (512 + 64) / 100,
    }
    assert counted(read).learnt == counted(read).annotated == 2000


def test_with_some_labels_the_first_version_is_the_thorough_one(found: Found, settings: Settings) -> None:
    read = found(["pos", "neg"] * 50, 200, near_copies="serve", head="off")
    fits = fits_of(settings, read, SPEED)
    assert (fits.labels, fits.quick, fits.seconds) == (100, 0, 2.0 + 0.5 * BESIDE * auto_recipe.steps(100))
    order = order_of(read, SPEED, fits)
    assert order is not None
    assert order.seconds == 7.0 + fits.seconds + 200 / 100


@pytest.mark.parametrize(
    ("labels", "waits_for"),
    [
        ([], "No usable label yet"),
        (["pos"] * 20, "All 20 labels so far are 'pos'"),
        (["pos", "neg"], "It comes with 8 labels or, from 5 on, after 10 min with fewer."),
    ],
)
def test_before_a_fit_is_due_the_order_is_the_start_order(
    labels: list[str], waits_for: str, found: Found, settings: Settings
) -> None:
    read = found(labels, 2000)
    fits = fits_of(settings, read, SPEED)
    assert waits_for in fits.waits_for
    assert fits.steps == auto_recipe.steps(fits.labels)
    order = order_of(read, SPEED, fits)
    assert order is not None
    assert order.seconds == 7.0 + 2.0 + starting.FIRST / 100
    off = found(labels, 2000, start_order="off")
    assert order_of(off, SPEED, fits) is None


def test_without_a_speed_it_is_still_known_what_a_fit_waits_for(found: Found, settings: Settings) -> None:
    fits = fits_of(settings, found(["pos", "neg"], 5), None)
    assert (fits.seconds, fits.waits_for) == (0.0, "It comes with 8 labels or, from 5 on, after 10 min with fewer.")


def test_where_few_labels_make_a_fit_due_none_comes_with_fewer(found: Found, settings: Settings) -> None:
    waits_for = fits_of(settings, found(["pos", "neg"], 5, fit_every=5), None).waits_for
    assert waits_for == "It comes with 5 labels."


def test_labels_that_are_left_out_are_told_by_this_reason(found: Found) -> None:
    read = found(["pos", "neg"] * 4, 3)
    for task, why in enumerate((PERSON, PERSON, GUIDELINE), start=101):
        left_out = Vote("pos", False, "2026-11-01", account="7", weight=0, why=why)
        read.pool.upsert([TaskRow(task, Example(task, f"text {task}"), False, True, False, 1, (left_out,))])
    assert on_labels(counted(read), read.pool.survey(), CONFIG, read.pool.counted_less()) == (
        "labels: of 11 labelled tasks 8 are learnt from; the others are 3 that do not count, as their account is left "
        "out (2), they are from before the guideline (1)."
    )


def test_a_trial_tells_how_long_steps_and_passes_take(tiny: Path) -> None:
    texts = [Example(i, "word " * (5 + i % 30)) for i in range(40)]
    recipe = Recipe(str(tiny), 1000, 1e-4, 16, 32, 0, "cpu", "fp32", stop_loss=9.0)
    speed = measure(recipe, ("a", "b"), texts, np.arange(40) % 2, texts)
    assert speed.device == "cpu"
    assert 0 < speed.step_s < speed.load_s + 60
    assert speed.texts_per_s > 1
    assert speed.width == 32
    assert speed.weights > 4 * 32 * 30_000, "at least the word table"
    assert speed.memory > speed.weights


@pytest.mark.parametrize(
    ("url", "here"), [("http://localhost:9090", True), ("http://127.0.0.1:1", True), ("http://192.0.2.1:9090", False)]
)
def test_a_backend_on_another_machine_is_known_by_its_address(url: str, here: bool) -> None:
    assert is_here(url) == here


# With a real Label Studio


def all_rows(data_dir: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of Label Studio's data base, without when an account was last active, and when Label Studio last asked
    an ML backend how it is, as it does whenever somebody visits the project."""
    [path] = data_dir.glob("*.sqlite3")
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: rows_of(db.execute(f"SELECT * FROM {name}")) for name in tables}
    for row in rows["htx_user"]:
        del row["last_activity"]
    for row in rows["ml_mlbackend"]:
        del row["updated_at"]
    return rows


def rows_of(found: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def all_files(directory: Path) -> dict[str, str]:
    """Digests of all that is kept: in SQLite's shared memory even readers leave marks."""
    kept = (path for path in directory.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def half_labelled(studio: LabelStudioClient) -> int:
    """A project that follows somebody's predictions, with labels of which some cannot be learnt from."""
    project = studio.create_project("half labelled", XML)

    def task(number: int, label: str) -> dict[str, Any]:
        said = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]
        guess = [{"model_version": "somebody-3", "score": 0.5, "result": said}]
        annotations = [{"result": said}] if number % 2 else []
        data = {"text": f"text number {number}", "split": "test" if number in (1, 3) else "train"}
        return {"data": data, "annotations": annotations, "predictions": guess if number <= 10 else []}

    words = {0: "pos", 1: "neg", 2: "negg"}
    studio.import_tasks(project, [task(n, words[2 if n in (5, 7, 9) else n // 2 % 2]) for n in range(1, 41)])
    return project


def preview(project: int, url: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    command.main(["--project", str(project), "--backend-url", url, "--preview"])
    return capsys.readouterr().out.splitlines()


def test_a_preview_says_what_connecting_does_and_changes_nothing(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: Callable[..., LocalBackend],
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    web, project = start_backend("web"), half_labelled(studio)
    given = {"MODEL_DIR": web.model_dir, "BASE_MODEL": tiny, "CONTROL_SHARE": 0, "FIT_EVERY": 4, "DEVICE": "cpu"}
    for name, value in {
        **given, "LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)

    rows, files = all_rows(label_studio.data_dir), all_files(web.model_dir)
    said = preview(project, web.url, capsys)
    assert all_rows(label_studio.data_dir) == rows
    assert all_files(web.model_dir) == files
    assert 10 <= len(said) <= 11
    assert all(line.startswith(f"project {project}: ") for line in said)
    text = "\n".join(said)
    assert "sampling 'Sequential sampling' becomes 'Uncertainty sampling'; show_collab_predictions True becomes" in text
    assert f"the ML backend {web.url} is registered; its webhook is created" in text
    assert "those of 'somebody-3' (10 predictions) vanish for annotators" in text
    assert "the text is text; the labels are pos, neg" in text
    assert "of 20 labelled tasks 15 are learnt from; the others are 2 held out by `split`; 3 that do not count" in text
    assert "'negg' is no label of the config (3)" in text
    assert "first order, that of the first version: about " in text
    assert "on 15 labels (100 steps at most)" in text
    assert "measured on this machine just now" in text
    assert f"in MODEL_DIR={web.model_dir}: 6 versions of " in text
    assert "3 annotations carry labels that the labelling config does not have" in text

    connect(studio, project, web.url, Credentials())
    after = studio.project(project)
    assert (after.sampling, after.show_predictions, after.model_version) == ("Uncertainty sampling", False, "")
    rows, files = all_rows(label_studio.data_dir), all_files(web.model_dir)
    monkeypatch.setenv("BASE_MODEL", "nobody/has-this")
    said = preview(project, web.url, capsys)
    assert f"project {project}: settings: nothing changes." in said
    [unknown] = [line for line in said if "cannot be known" in line]
    assert "BASE_MODEL=nobody/has-this is not on this machine. A trainer that starts fetches it: ask again" in unknown
    assert all_rows(label_studio.data_dir) == rows
    assert all_files(web.model_dir) == files


def test_label_studio_shows_predictions_without_a_version_while_the_project_follows_none(
    studio: LabelStudioClient,
) -> None:
    project = studio.create_project("predictions of nobody", XML)
    studio.import_tasks(project, [{"data": {"text": "one"}}])
    task = studio.next_task(project)
    assert task is not None
    said = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["pos"]}}]
    studio._call("POST", "api/predictions/", json={"task": task["id"], "result": said})
    found = studio.project(project)
    assert (found.model_version, found.show_predictions, studio.model_versions(project)) == ("", True, {"": 1})
    again = studio.next_task(project)
    assert again is not None
    assert len(again["predictions"]) == 1


def test_it_is_tried_out_with_the_cores_of_one_trainer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[str]()
    monkeypatch.setenv("OMP_NUM_THREADS", "to be put back")
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("nextlabel.processes.os.sched_getaffinity", lambda process: range(8))

    def tried(*given: object) -> list[str]:
        seen.append(os.environ["OMP_NUM_THREADS"])
        return []

    monkeypatch.setattr("nextlabel.loop.preview.preview", tried)
    project = Project(7, "", XML, SEQUENTIAL, "", True, 0, 0, False, False)
    planned = Plan(project, "http://localhost:9090", (), None, ProjectOptions(), CONFIG, False, False)
    two = settings.model_copy(update={"workers": 2})
    command._preview(two, LabelStudioClient("http://127.0.0.1:9", "token"), Credentials(), planned)
    assert seen == ["4"]
