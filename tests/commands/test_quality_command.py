"""`nextlabel quality` on the active version, on an older one, and where there is nothing to judge by."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.house import PROJECT, RIGHT, TRAIN, WRONG, House
from nextlabel.__main__ import main
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.loop.judging import Judge
from nextlabel.loop.marks import begin
from nextlabel.loop.orders import keep
from nextlabel.settings import control_of
from nextlabel.store.state import SyncState
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import LATEST, ProjectOptions

WITH_SET = ProjectOptions(defaults=LATEST, control_seed="a seed")
CONTROL = range(301, 321)


def reading(house: House) -> LabelConfig:
    config = parse_label_config(house.pool.state(SyncState).label_config)
    return replace(config, control=control_of(house.settings, WITH_SET))


def row(task_id: int) -> TaskRow:
    word = ("yes", "no")[task_id % 2]
    votes, example = (Vote(RIGHT[word], False, ""),), Example(task_id, f"{word}, {word}, text {task_id}")
    return TaskRow(task_id, example, False, True, False, 1, votes, draw=f"{task_id:064x}")


@pytest.fixture
def house(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """With a version that was fitted on wrong labels, and one on right ones after it, which is active."""
    found = House(tmp_path, tiny, head="off")
    found.registry.know(PROJECT)
    found.registry.put_options(PROJECT, WITH_SET)
    begin(found.pool, reading(found), asked_before=False)
    for labels in (WRONG, RIGHT):
        found.label(TRAIN, labels)
        found.fit_on_demand()
    found.pool.upsert(map(row, CONTROL))
    for name, value in {"MODEL_DIR": str(tmp_path), "DEVICE": "cpu", "PRECISION": "fp32"}.items():
        monkeypatch.setenv(name, value)
    yield found
    found.pool.__exit__()


def judged(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["quality", "--project", str(PROJECT), "--json", *arguments]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def test_every_kept_version_is_judged_from_its_weights_and_the_active_one_as_on_the_board(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    newer, older = house.registry.versions(PROJECT)
    right, wrong = judged(capsys), judged(capsys, "--version", "1")
    assert (right["order"], wrong["order"]) == (newer, older)
    assert judged(capsys, "--version", newer) == right
    assert right["figures"]["accuracy"]["value"] > 0.8
    assert wrong["figures"]["accuracy"]["value"] < 0.2
    card = house.registry.card(PROJECT, newer)
    keep(house.pool, newer, house.resident.score(card, house.pool.unscored(newer), exact=False))
    Judge(house.registry, house.board).look(house.pool, PROJECT, reading(house), newer, card)
    figures = house.board.quality(PROJECT).figures
    assert figures is not None
    assert figures.accuracy.value == right["figures"]["accuracy"]["value"]


def test_in_words_each_class_has_a_line(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["quality", "--project", str(PROJECT)]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"{house.active_version}, judged by 20 of 20 texts drawn at random and never learnt from:"
    assert [line.split()[:2] for line in others[-3:]] == [["Class", "Labels"], ["pos", "10"], ["neg", "10"]]


def test_what_cannot_be_judged_is_said_with_the_remedy(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.registry.put_options(PROJECT, replace(WITH_SET, own={"control_share": 0}))
    assert main(["quality", "--project", str(PROJECT)]) == 0
    assert f"`nextlabel options --project {PROJECT} control_share=0.1` draws one." in capsys.readouterr().out
    assert main(["quality", "--project", "9"]) == 1
    assert f"holds no copy of project 9, but projects [{PROJECT}]. Set MODEL_DIR" in capsys.readouterr().err
    assert main(["quality", "--project", str(PROJECT), "--version", "7"]) == 1
    assert "has 0 versions that '7' names" in capsys.readouterr().err
