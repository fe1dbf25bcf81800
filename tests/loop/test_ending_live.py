"""The end of a project in a real Label Studio, by command line: as predictions, as a robot's annotations, killed in
between, taken back."""

import io
import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSequenceClassification

from helpers.fits import QUICK
from helpers.live_project import LiveProject
from helpers.waiting import wait_until
from nextlabel.__main__ import main
from nextlabel.lab.annotators import sign_up
from nextlabel.lab.importing import result_of
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.loop import ending
from nextlabel.problems.look_again import LookAgain
from nextlabel.simulation.datasets.corpora import LABELS, Corpus
from nextlabel.store.pool import Pool, pool_path
from nextlabel.versions import archive
from nextlabel.versions.endings import Endings

StartBackend = Callable[..., LocalBackend]
Finish = Callable[..., tuple[int, str]]


@pytest.fixture
def project(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: StartBackend,
    few_pairs: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> LiveProject:
    """With a version, and a queue in which nothing is left to do."""
    pairs = Corpus("some of our own pairs", few_pairs.train[:36], few_pairs.holdout[:2])
    backend = start_backend(**{**QUICK, "fit_every": 1000, "fit_max_wait_s": 3600, "fit_schedule": "off"})
    found = LiveProject(studio, backend, pairs, 12)
    for name, value in {
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.login.token,
        "LABEL_STUDIO_ROBOT_API_KEY": "",
        "MODEL_DIR": str(backend.model_dir),
        "CONTROL_SHARE": "0",
    }.items():
        monkeypatch.setenv(name, value)
    studio.start_training(found.id)
    found.wait()
    found.label(2)
    wait_until(lambda: found.board.queue(found.id).labels == 14 and found.is_active(), "the labels to be read")
    return found


@pytest.fixture
def finish(project: LiveProject, capsys: pytest.CaptureFixture[str]) -> Finish:
    """The command: its exit code, and what it says."""

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["finish", "--project", str(project.id), *map(str, arguments)])
        return code, "".join(capsys.readouterr())

    return call


def rows(project: LiveProject) -> dict[object, Any]:
    """All that the API tells of the project that a person may see, but for times."""
    call = project.studio._call
    found: dict[object, Any] = {}
    for page in project.studio._pages(project.id, include="id,is_labeled,overlap,annotations,result,completed_by"):
        for task in page:
            kept = [(a["id"], a["completed_by"], json.dumps(a["result"])) for a in task["annotations"]]
            found[task["id"]] = (task["is_labeled"], kept)
    for prediction in call("GET", "api/predictions", params={"project": project.id}):
        found["prediction", prediction["id"]] = [
            prediction[key] for key in ("task", "model_version", "score", "result")
        ]
    plain = call("GET", f"api/projects/{project.id}")
    told = ("model_version", "show_collab_predictions", "sampling", "finished_task_number", "total_annotations_number")
    return found | {name: plain[name] for name in told}


def killed_after(count: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """Does so many, and then the process is gone."""
    made: list[int] = []

    def instead(*arguments: Any, **named: Any) -> Any:
        if len(made) == count:
            raise KeyboardInterrupt
        made.append(1)
        return real(*arguments, **named)

    return instead


def interrupt(monkeypatch: pytest.MonkeyPatch, method: str, after: int, finish: Finish, *arguments: object) -> None:
    with monkeypatch.context() as cut:
        cut.setattr(LabelStudioClient, method, killed_after(after, getattr(LabelStudioClient, method)))
        assert finish(*arguments)[0] == 130


def is_left_alone(project: LiveProject) -> bool:
    status = project.board.queue(project.id)
    nothing_open = project.board.look_again(project.id) == LookAgain()
    return status.state == "ended" and "the project has ended" in status.message and nothing_open


def test_a_project_ends_and_all_of_it_is_taken_back(
    project: LiveProject, label_studio: LocalStudio, finish: Finish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything_is_taken_away(project, tmp_path)
    monkeypatch.setattr(ending, "LEAST_REST_S", 0)  # how long it rests, test_ending.py says
    monkeypatch.setattr(ending, "RESTS", 0)
    sure = predictions_for_review_are_written_once(project, finish, monkeypatch)
    half = sorted(sure)[len(sure) // 2]
    a_robots_annotations_are_asked_for_twice_and_taught_to_nobody(project, label_studio, finish, half, monkeypatch)


def everything_is_taken_away(project: LiveProject, tmp_path: Path) -> None:
    out = tmp_path / "all of it"
    arguments = ["--project", str(project.id), "--everything", str(out), "--id-field", "row", "--license", "mit"]
    assert main(["export", *arguments, "--language", "en"]) == 0
    labels = [json.loads(line) for line in (out / "labels" / "jsonl" / "labels.jsonl").read_text().splitlines()]
    rows_of = {
        task["id"]: str(task["data"]["row"]) for page in project.studio.tasks_after(project.id, 0) for task in page
    }
    assert {row["task"]: row["task.row"] for row in labels} == rows_of
    assert {row["task"] for row in labels if row["by"] == "person"} >= project.labelled()
    assert 'license: "mit"' in (out / "model" / "README.md").read_text()
    AutoModelForSequenceClassification.from_pretrained(out / "model")
    answers = (out / "archive" / "answers.jsonl").read_text().splitlines()
    assert {json.loads(line)["task"] for line in answers} >= project.labelled()
    assert stat.S_IMODE((out / "archive").stat().st_mode) == 0o700
    contents = archive.read(out / "archive" / "records.zip")
    assert (contents.projects, list(contents.options)) == ([project.id], [project.id])
    page = (out / "summary" / "summary.html").read_text()
    assert "1 person gave 2 answers" in page
    texts = {project.corpus.train[0].sentence1[:40], "admin@example.com"}
    assert not [text for text in texts if text in page]
    assert main(["export", *arguments]) == 1, "nothing is written over"


def predictions_for_review_are_written_once(
    project: LiveProject, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """How sure the machine is."""
    before = rows(project)
    code, said = finish("--yes")
    assert (code, "at work on project" in said) == (1, True)
    code, said = finish("--anyway", "--dry-run", "--at-least", 0.5)
    assert (code, "become predictions in project" in said, rows(project) == before) == (0, True, True)
    assert "Nothing is known of how good these labels are: the project has no control set." in said
    assert (finish("--undo", "--yes")[0], Endings(project.backend.model_dir).holds(project.id)) == (1, False)

    interrupt(monkeypatch, "create_prediction", 5, finish, "--anyway", "--yes")
    code, said = finish()
    assert (code, "Going on with what was begun" in said) == (0, True), said
    after, ended = rows(project), Endings(project.backend.model_dir).load(project.id)
    assert ended is not None
    assert ended.state == "written"
    written = project.studio.predictions_of(project.id, ended.model_version)
    unfinished = {task for task, row in before.items() if isinstance(task, int) and not row[0]}
    assert sorted(p.task_id for p in written) == sorted(unfinished), "one for each task that is open"
    assert all(p.choice in LABELS and 0.5 <= p.score <= 1 for p in written)
    assert {task: row for task, row in after.items() if isinstance(task, int)} == {
        task: row for task, row in before.items() if isinstance(task, int)
    }, "of all labels a prediction is made, so that nothing is left to close"
    project.board.put_look_again(project.id, LookAgain(1.0, on=True, open=1, most_open=3))
    served = project.studio.next_task(project.id)
    assert served is not None
    assert served["predictions"][0]["model_version"] == ended.model_version
    assert served["id"] == min(written, key=lambda p: p.score).task_id, "the least sure one is reviewed first"
    project.studio._call("PATCH", f"api/projects/{project.id}", json={"title": "loop, ended"})  # an event
    wait_until(lambda: is_left_alone(project), "the trainer to leave it alone")
    assert finish("--yes")[1].count("has ended already")

    interrupt(monkeypatch, "delete_prediction", 3, finish, "--undo", "--yes")
    assert finish("--yes")[0] == 1, "not gone on with while it is being taken back"
    code, said = finish("--undo", "--yes")
    assert (code, "is as it was;" in said) == (0, True), said
    assert rows(project) == before
    wait_until(project.is_active, "the trainer to go on with it")
    assert rows(project) == before
    return [p.score for p in written]


def a_robots_annotations_are_asked_for_twice_and_taught_to_nobody(
    project: LiveProject, label_studio: LocalStudio, finish: Finish, at_least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(project)
    really = ("--as-annotations", "--yes-really", "--anyway", "--at-least", at_least)
    with pytest.raises(SystemExit):
        finish("--as-annotations")
    assert "LABEL_STUDIO_ROBOT_API_KEY is not set" in finish(*really)[1]
    monkeypatch.setenv("LABEL_STUDIO_ROBOT_API_KEY", label_studio.login.token)
    assert "Make an account for the machine alone" in finish(*really)[1]
    robot = sign_up(label_studio, "machine@example.com")
    monkeypatch.setenv("LABEL_STUDIO_ROBOT_API_KEY", robot)
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert "That is not the title" in finish(*really)[1]
    assert rows(project) == before

    monkeypatch.setattr(sys, "stdin", io.StringIO("loop, ended\n"))
    interrupt(monkeypatch, "annotate_once", 2, finish, *really)
    taken = project.label(1)[0]  # by a person, before the rest is written
    code, said = finish()
    assert (code, "has ended" in said) == (0, True), said
    account = label_studio.connect(robot).account()
    tasks = [task for page in project.studio.tasks_after(project.id, 0) for task in page]
    assert all(task["is_labeled"] for task in tasks)
    by_robot = {t["id"] for t in tasks if [a["completed_by"] for a in t["annotations"]] == [account]}
    assert by_robot
    assert taken not in by_robot
    assert project.studio.next_task(project.id) is None
    for task, row in before.items():
        if isinstance(task, int) and row[1]:
            assert rows(project)[task] == row, "what people gave"

    changed = min(by_robot)
    [annotation] = project.studio.task(changed)["annotations"]
    other = next(label for label in LABELS if label not in str(annotation["result"]))
    project.studio._call("PATCH", f"api/annotations/{annotation['id']}/", json={"result": result_of(other)})
    interrupt(monkeypatch, "delete_annotation", 2, finish, "--undo", "--yes")
    code, said = finish("--undo", "--yes")
    assert (code, "2 tasks that people have answered or changed" in said) == (0, True), said
    now = rows(project)
    kept = {"finished_task_number", "total_annotations_number", changed, taken}
    assert {key: value for key, value in now.items() if key not in kept} == {
        key: value for key, value in before.items() if key not in kept
    }
    wait_until(lambda: project.board.queue(project.id).state == "published", "the trainer to go on with it")
    with Pool(pool_path(project.backend.model_dir, project.id)) as pool:
        accounts = {vote.account for task in pool.asked(pool.annotated()) for vote in task.votes}
    assert str(account) in accounts, "a person has made it theirs"
    assert taken in project.labelled()
