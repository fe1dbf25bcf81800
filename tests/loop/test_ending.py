"""What is written at the end of a project, and what never is. The whole way is played in test_ending_live.py."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from helpers.house import HOLDOUT, POOL, PROJECT, RIGHT, TRAIN, House
from nextlabel.errors import InUseError, NextlabelError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.tasks import as_machines, read_task, result_of
from nextlabel.loop.ending import LEAST_REST_S, Finisher, Wish, _steps
from nextlabel.loop.leaving import source_of
from nextlabel.loop.machine_labels import MachineLabels
from nextlabel.loop.sync import config_as_read
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import lock
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow
from nextlabel.values.layout import decoded, encoded
from nextlabel.versions.endings import ANNOTATE, CLOSE, PREDICT, Ending, Endings, Step
from nextlabel.versions.registry import Registry

UNREADABLE, BEGUN, DONE = 301, 302, 303
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


def test_what_is_not_there_or_runs_elsewhere_is_not_taken_back(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, model_dir=tmp_path)
    nobody = LabelStudioClient("http://127.0.0.1:9", "token")
    finisher = Finisher(settings, Registry(tmp_path), nobody, JobQueue(tmp_path), PROJECT)
    with pytest.raises(NextlabelError, match="nothing can be taken back"):
        finisher.undo()
    with lock(tmp_path, f"{PROJECT}.ending"), pytest.raises(InUseError, match="Another nextlabel finish"):
        finisher.undo()


def test_a_record_is_whole_or_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endings, step = Endings(tmp_path), Step(1, CLOSE, 0)
    ending = Ending(PROJECT, "run", "nextlabel-1", "all", 0, {"model_version": None}, "2026-11-30T00:00:00+00:00")
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
