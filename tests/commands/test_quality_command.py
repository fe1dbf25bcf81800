"""`nextlabel quality` on the active version, on an older one, and where there is nothing to judge by."""

import json
from collections.abc import Iterator, Mapping
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
from nextlabel.values.layout import Answers, encoded
from nextlabel.values.options import LATEST, ProjectOptions

WITH_SET = ProjectOptions(defaults=LATEST, control_seed="a seed")
CONTROL = range(301, 321)


def reading(house: House) -> LabelConfig:
    config = parse_label_config(house.pool.state(SyncState).label_config, WITH_SET)
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


FORM = """<View><Text name="text" value="$text"/>
<Choices name="says" toName="text"><Choice value="pos"/><Choice value="neg"/></Choices>
<Choices name="tones" toName="text" choice="multiple"><Choice value="glad"/><Choice value="cross"/></Choices>
<Rating name="stars" toName="text" maxRating="3"/></View>"""
ANSWERS: Mapping[str, Answers] = {
    "yes": {"says": ("pos",), "tones": ("glad",), "stars": ("3",)},
    "no": {"says": ("neg",), "tones": (), "stars": ("1",)},
}


@pytest.fixture
def asking_much(house: House) -> House:
    """The house with a form of three questions, of whose control texts every fourth has no stars."""
    house.configure(FORM)
    house.label(TRAIN, {word: encoded(answers) for word, answers in ANSWERS.items()})
    house.fit_on_demand()
    rows = []
    for task in CONTROL:
        word = ("yes", "no")[task % 2]
        given = {name: labels for name, labels in ANSWERS[word].items() if name != "stars" or task % 4}
        rows.append(replace(row(task), votes=(Vote(encoded(given), False, ""),)))
    house.pool.upsert(rows)
    return house


def test_each_question_of_a_form_is_judged_by_the_texts_on_which_it_was_answered(
    asking_much: House, capsys: pytest.CaptureFixture[str]
) -> None:
    said = judged(capsys)
    questions = {one["question"]: one for one in said["questions"]}
    assert list(questions) == ["says", "tones", "stars"]
    assert [one["kind"] for one in said["questions"]] == ["one_of", "any_of", "ordered"]
    assert [one["sample"]["answered"] for one in said["questions"]] == [20, 20, 15]
    assert all(one["figures"]["accuracy"]["value"] > 0.8 for one in said["questions"])
    assert [one["label"] for one in questions["tones"]["figures"]["classes"]] == ["glad", "cross"]
    assert questions["tones"]["figures"]["classes"][1]["recall"]["value"] is None, "nobody was cross"
    assert questions["stars"]["figures"]["error"]["examples"] == 15
    assert said["figures"] == questions["says"]["figures"], "the first question with one answer speaks for all"

    version = asking_much.active_version
    card, board = asking_much.registry.card(PROJECT, version), asking_much.board
    keep(asking_much.pool, version, asking_much.resident.score(card, asking_much.pool.unscored(version), exact=False))
    Judge(asking_much.registry, board).look(asking_much.pool, PROJECT, reading(asking_much), version, card)
    assert [one.figures and one.figures.accuracy.value for one in board.quality(PROJECT).questions] == [
        one["figures"]["accuracy"]["value"] for one in said["questions"]
    ]

    capsys.readouterr()
    assert main(["quality", "--project", str(PROJECT)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.rstrip(":") for line in printed if line in ("says:", "tones:", "stars:")] == list(questions)
    assert f"{version} on 'stars', judged by 15 of 15 texts drawn at random and never learnt from:" in printed
