"""What is written at the end of a project, and what never is. The whole way is played in test_ending_live.py."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from helpers.house import HOLDOUT, POOL, PROJECT, RIGHT, TRAIN, House
from helpers.kept_studio import KeptStudio, killed_before
from nextlabel.__main__ import main
from nextlabel.errors import InUseError, NextlabelError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.tasks import as_machines, read_task, result_of
from nextlabel.loop.ending import LEAST_REST_S, Finisher, Planned, Wish, _steps
from nextlabel.loop.leaving import source_of
from nextlabel.loop.machine_labels import MachineLabels
from nextlabel.loop.sync import config_as_read
from nextlabel.settings import Settings
from nextlabel.store.files import replace_file
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import lock
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow
from nextlabel.values.layout import decoded, encoded
from nextlabel.versions.endings import ANNOTATE, CLOSE, PREDICT, WRITTEN, Ending, Endings, Step
from nextlabel.versions.registry import Registry

UNREADABLE, BEGUN, DONE = 301, 302, 303
ENDING = Ending(PROJECT, "run", "nextlabel-1", "all", 0, {"model_version": None}, "2026-11-30T00:00:00+00:00")
FORM = parse_label_config(
    '<View><Text name="t" value="$t"/><Choices name="tags" toName="t" choice="multiple"><Choice value="x"/>'
    '<Choice value="y"/></Choices><Rating name="stars" toName="t"/></View>'
)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[MachineLabels]:
    house = House(tmp_path_factory.mktemp("house"), tiny, control_share=0)
    house.label(TRAIN, RIGHT)
    house.fit()
    house.label(HOLDOUT, {}, holdout=True)
    house.pool.upsert(
        [
            TaskRow(UNREADABLE, None, False, False, False, 0, ()),
            TaskRow(BEGUN, Example(BEGUN, "yes, yes"), False, False, False, 1, ()),  # an answer that cannot be read
            TaskRow(DONE, Example(DONE, "yes, yes"), False, True, False, 0, ()),
        ]
    )
    source = source_of(house.settings, house.registry, PROJECT, None, of_audit=False)
    config = config_as_read(house.pool, house.settings, house.registry.options(PROJECT))
    yield MachineLabels(house.settings, house.registry, house.pool, config, source)
    house.pool.__exit__()


def steps(labels: MachineLabels, **wish: object) -> dict[int, Step]:
    return {step.task: step for step in _steps(labels.pool, labels, Wish(**wish))}  # type: ignore[arg-type]


def test_only_tasks_that_nobody_answered_get_a_label_and_the_others_that_are_served_are_closed(
    labels: MachineLabels,
) -> None:
    found, said = steps(labels), {label.task: label for label in labels.all()}
    written = {task for task, step in found.items() if step.what == PREDICT}
    assert written == {*POOL, *HOLDOUT}
    assert {task for task, step in found.items() if step.what == CLOSE} == {UNREADABLE, BEGUN, *TRAIN}
    assert found[BEGUN].annotations == 1
    assert all(found[task].result == result_of(labels.config, labels.single(said[task])) for task in written)
    assert all(found[task].sure == said[task].sure for task in written)
    median = sorted(said[task].sure for task in written)[len(written) // 2]
    sure = {task for task in written if said[task].sure >= median}
    some = steps(labels, at_least=median, annotations=True)
    assert {task for task, step in some.items() if step.what == ANNOTATE} == sure
    assert {task for task, step in some.items() if step.what == CLOSE} == found.keys() - sure
    assert set(steps(labels, at_least=median, close_rest=False)) == sure
    assert {step.what for step in steps(labels, certified=True).values()} == {CLOSE}, "no certificate is of it"


def test_a_label_that_the_form_has_no_more_is_not_written(labels: MachineLabels) -> None:
    label = next(iter(labels.of([POOL[0]]))).answers
    [gone] = [given for given in label.values() if given]
    other = next(choice for choice in labels.config.labels if (choice,) != gone)
    narrowed = replace(labels.config, labels=(other, "third"))
    changed = MachineLabels(labels.settings, labels.registry, labels.pool, narrowed, labels.source)
    assert steps(changed)[POOL[0]].what == CLOSE


def test_of_an_annotation_that_the_machine_gave_nothing_is_read() -> None:
    answer = encoded({"tags": ("x",), "stars": ("4",)})
    for machine in (False, True):
        result = result_of(FORM, answer)
        given = {"result": as_machines(result) if machine else result, "completed_by": 7, "lead_time": 1.0}
        row = read_task(FORM, {"id": 1, "data": {"t": "yes"}, "total_annotations": 1, "annotations": [given]})
        assert (len(row.votes), row.by_hand, row.notes, row.annotations) == (0 if machine else 1, not machine, (), 1)
    first, second = as_machines(result_of(FORM, answer))
    changed = {**second, "value": {"rating": 2}}  # as the editor leaves it, with the mark
    task = {"id": 1, "data": {"t": "yes"}, "annotations": [{"result": [first, changed], "completed_by": 7}]}
    [vote] = read_task(FORM, task).votes
    assert decoded(vote.label) == {"tags": ("x",), "stars": ("2",)}, "a person has made it theirs"


def test_label_studio_has_as_long_to_itself_as_each_request_took(tmp_path: Path) -> None:
    rests, settings = list[float](), Settings(_env_file=None, model_dir=tmp_path)
    nobody = LabelStudioClient("http://127.0.0.1:9", "token")
    finisher = Finisher(settings, Registry(tmp_path), nobody, JobQueue(tmp_path), PROJECT, rest=rests.append)
    times = iter((0.0, 3.0, 10.0, 10.001))
    with patch("nextlabel.loop.ending.time.perf_counter", lambda: next(times)):
        assert finisher._paced(lambda: True)
        assert not finisher._paced(lambda: False)
    assert rests == [3.0, LEAST_REST_S]


def test_a_dry_run_does_not_go_on_with_what_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_API_KEY": "token", "MODEL_DIR": str(tmp_path)}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "models" / str(PROJECT)).mkdir(parents=True)
    Endings(tmp_path).begin(ENDING, [Step(1, CLOSE, 0)])
    assert main(["finish", "--project", str(PROJECT), "--dry-run"]) == 0
    assert "would be gone on with" in capsys.readouterr().out
    assert Endings(tmp_path).load(PROJECT) == ENDING


def test_what_is_not_there_is_not_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_API_KEY": "token", "MODEL_DIR": str(tmp_path)}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    assert main(["finish", "--project", str(PROJECT), "--undo"]) == 1
    said = capsys.readouterr()
    assert ("nothing can be taken back" in said.err, "--yes" in said.err, said.out) == (True, False, "")


def test_what_is_not_there_or_runs_elsewhere_is_not_taken_back(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, model_dir=tmp_path)
    nobody = LabelStudioClient("http://127.0.0.1:9", "token")
    finisher = Finisher(settings, Registry(tmp_path), nobody, JobQueue(tmp_path), PROJECT)
    with pytest.raises(NextlabelError, match="nothing can be taken back"):
        finisher.undo()
    with lock(tmp_path, f"{PROJECT}.ending"), pytest.raises(InUseError, match="Another `nextlabel finish`"):
        finisher.undo()


def test_a_task_that_was_open_again_and_is_not_any_more_stays_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, again = Settings(_env_file=None, model_dir=tmp_path), list[tuple[int, bool]]()
    studio = LabelStudioClient("http://127.0.0.1:9", "token")
    finisher = Finisher(settings, Registry(tmp_path), studio, JobQueue(tmp_path), PROJECT)
    tasks = {
        1: {"overlap": 1, "annotations": []},
        2: {"overlap": 2, "annotations": [{"was_cancelled": False}]},
        3: {"overlap": 1, "annotations": [{"was_cancelled": False}]},  # put back by a disconnect
        4: {"overlap": 1, "annotations": [{"was_cancelled": True}]},
    }
    monkeypatch.setattr(studio, "task", lambda task: {**tasks[task], "is_labeled": True})
    monkeypatch.setattr(studio, "serve_task", lambda task, served: again.append((task, served)))
    for task, count in {1: 0, 2: 1, 3: 1, 4: 0}.items():
        assert finisher._take_back(ENDING, Step(task, CLOSE, count))
    assert again == [(1, True), (2, True), (4, True)]


@pytest.mark.parametrize("write", [PREDICT, ANNOTATE])
def test_killed_at_any_step_and_run_again_it_ends_and_comes_back_as_if_nothing_had_happened(
    write: str, tmp_path: Path
) -> None:
    steps = Step(1, write, 0, [{"value": 1}], 0.9), Step(2, write, 0, [{"value": 2}], 0.8), Step(3, CLOSE, 1)
    planned = Planned(replace(ENDING, account=9 if write == ANNOTATE else 0), steps, 0)

    def finisher(home: Path, tell: Callable[[], None] = lambda: None) -> Finisher:
        settings = Settings(_env_file=None, model_dir=home)
        ours, robots = (KeptStudio(home / "studio.json", who, tell) for who in (1, 9))
        return Finisher(settings, Registry(home), ours, JobQueue(home), PROJECT, robots, rest=lambda seconds: None)

    def finish(home: Path, tell: Callable[[], None] = lambda: None) -> None:
        with telling_of_files(tell):
            at_work = finisher(home, tell)
            if at_work.under_way() is None:
                at_work.begin(planned, Wish())
            at_work.go_on()

    def undo(home: Path, tell: Callable[[], None] = lambda: None) -> None:
        with telling_of_files(tell):
            at_work = finisher(home, tell)
            if at_work.under_way() is not None:
                at_work.undo()

    def scene(name: str) -> Path:
        home = tmp_path / name
        (home / "models" / str(PROJECT)).mkdir(parents=True)
        KeptStudio(home / "studio.json").begin({1: 0, 2: 0, 3: 1, 4: 0})
        return home

    def seen(home: Path) -> dict[str, object]:
        return KeptStudio(home / "studio.json").seen

    calm = scene("calm")
    before = seen(calm)
    finish(calm)
    ended = seen(calm)
    undo(calm)
    assert (seen(calm), ended != before) == (before, True)
    kills, killed, at = 0, 1, 0
    while killed:
        at += 1
        home = scene(str(at))
        killed = killed_before(at, partial(finish, home))
        if at % 2:  # back, with what was begun
            undo(home)
            assert seen(home) == before, at
        finish(home)
        assert seen(home) == ended, at
        assert Endings(home).load(PROJECT).state == WRITTEN  # type: ignore[union-attr]
        killed += killed_before(at, partial(undo, home))
        undo(home)
        assert seen(home) == before, at
        assert not Endings(home).holds(PROJECT)
        kills += killed
    assert kills >= 2 * (len(steps) + 2), "both ways, at each write and at each change on disk"


def test_of_a_project_that_was_disconnected_meanwhile_only_what_the_end_wrote_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "models" / str(PROJECT)).mkdir(parents=True)
    studio = KeptStudio(tmp_path / "studio.json")
    studio.begin({1: 0, 2: 1})
    settings = Settings(_env_file=None, model_dir=tmp_path)
    finisher = Finisher(settings, Registry(tmp_path), studio, JobQueue(tmp_path), PROJECT, rest=lambda seconds: None)
    before = {"model_version": None, "show_collab_predictions": False}
    finisher.begin(Planned(replace(ENDING, before=before), (Step(1, PREDICT, 0, [{"value": 1}], 0.9),), 0), Wish())
    finisher.go_on()
    studio.is_connected = False
    studio.update_project(PROJECT, show_collab_predictions=True)  # as it was before it was connected
    finisher.undo()
    assert studio.seen["queue"] == {"model_version": None, "show_collab_predictions": True}


@contextmanager
def telling_of_files(tell: Callable[[], None]) -> Iterator[None]:
    """Before each change of a file."""
    unlinked = Path.unlink

    def replace_it(path: Path, content: str, durable: bool) -> None:
        tell()
        replace_file(path, content, durable)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        tell()
        unlinked(path, missing_ok)

    with patch("nextlabel.versions.endings.replace_file", replace_it), patch.object(Path, "unlink", unlink):
        yield


def test_a_record_is_whole_or_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endings, step, ending = Endings(tmp_path), Step(1, CLOSE, 0), ENDING
    (tmp_path / "models" / str(PROJECT)).mkdir(parents=True)
    with monkeypatch.context() as killed:
        killed.setattr(Endings, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            endings.begin(ending, [step])
    assert (endings.holds(PROJECT), endings.load(PROJECT)) == (False, None)
    endings.begin(ending, [step, replace(step, task=2)])
    assert (endings.load(PROJECT), [one.task for one in endings.steps(PROJECT)]) == (ending, [1, 2])
    (tmp_path / "models" / str(PROJECT) / "ending.json").write_text("{")
    with pytest.raises(NextlabelError, match="Restore it from a backup"):
        endings.load(PROJECT)
    assert endings.holds(PROJECT), "the trainer still leaves it alone"
    endings.forget(PROJECT)
    assert list((tmp_path / "models" / str(PROJECT)).iterdir()) == []


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
