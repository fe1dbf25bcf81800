"""`nextlabel look-again`: what the trainer found, in words and as JSON."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nextlabel.commands import look_again
from nextlabel.problems.look_again import OPEN, LookAgain, Suspect
from nextlabel.store.status import StatusBoard

FOUND = LookAgain(
    7.0,
    True,
    1,
    3,
    (Suspect(17, "refund", 0.93, ("a model …", "9 of the 10 …"), OPEN), Suspect(4, "weather", 0.61, ("a model …",))),
    confirmed=2,
    changed=5,
    kept=3,
)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatusBoard:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://studio.example:8080")
    return StatusBoard(tmp_path)


def test_it_lists_tasks_with_reasons_and_links(board: StatusBoard, capsys: pytest.CaptureFixture[str]) -> None:
    look_again.main(["--project", "7"])
    assert capsys.readouterr().out == "Labels have not been looked at yet\n"
    board.put_look_again(7, FOUND)
    look_again.main(["--project", "7"])
    link = "http://studio.example:8080/projects/7/data?task="
    assert capsys.readouterr().out.splitlines() == [
        f"task 17, labelled 'refund', doubt 0.93, open again  {link}17",
        "  a model …",
        "  9 of the 10 …",
        f"task 4, labelled 'weather', doubt 0.61  {link}4",
        "  a model …",
        "open again for a second person: 1 of at most 3",
        "answered by a second person: 2 confirmed, 5 changed, 3 kept against their answer",
    ]
    board.put_look_again(7, LookAgain(7.0, why="all labels are one person's"))
    look_again.main(["--project", "7"])
    said = "No label is worth a second look\nnothing is opened: all labels are one person's\n"
    assert capsys.readouterr().out == said
    board.put_look_again(7, replace(FOUND, why="enough were"))
    look_again.main(["--project", "7"])
    assert capsys.readouterr().out.endswith("nothing more of the list is opened: enough were\n")


def test_as_json_it_is_what_is_on_the_board_and_a_damaged_board_is_as_good_as_none(
    board: StatusBoard, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    board.put_look_again(7, FOUND)
    look_again.main(["--project", "7", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["id"] == 7
    assert said["tasks"][0] == {
        "task": 17, "label": "refund", "doubt": 0.93, "reasons": ["a model …", "9 of the 10 …"], "state": "open",
    }  # fmt: skip
    assert (said["open"], said["most_open"], said["on"]) == (1, 3, True)
    (tmp_path / "status" / "7.again.json").write_text('{"tasks": [1]}')
    assert board.look_again(7) == LookAgain()
