"""What the trainer puts on the board for the page, and who may see it there."""

import time
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from helpers.pages import parse
from helpers.served import client_of
from helpers.shown_project import LABELS, fill, long_ago
from nextlabel.learning.composer import INFORMATIVE
from nextlabel.problems.advice import GO_ON, Advice
from nextlabel.problems.helping import Helping, NextLabels
from nextlabel.problems.history import CONTROL_SET, History, Point
from nextlabel.problems.intervals import Interval
from nextlabel.problems.people import Agreement, People, Person, Today
from nextlabel.problems.quality import Estimate
from nextlabel.store.status import StatusBoard
from nextlabel.values.next_tasks import Neighbour, NextTask, NextTasks
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.versions.registry import Registry

PROJECT = 7
POINTS = tuple(
    Point(
        f"nextlabel-{n}-T", str(n), 8 * n, 1.0, True, "", CONTROL_SET, Estimate(0.5, Interval(0.4, 0.6), 40), None, 0.3
    )
    for n in (1, 2)
)
NEXT = NextTask(1, INFORMATIVE, 1, "the model is torn", 0.9, "Refund", 0.41, (Neighbour(31, "Other", 0.8),))
PEOPLE = People(
    1.0, True, Today(5, 2), 9.0, Agreement(9, 10, 0.5, 0.99), "", (Person("ada@shop.example", 3, 9, 8.0, 9, 10, ""),)
)


def put(model_dir: Path) -> None:
    fill(model_dir, PROJECT, long_ago())
    board = StatusBoard(model_dir)
    board.put_history(PROJECT, History(1.0, POINTS))
    board.put_next_tasks(PROJECT, NextTasks(1.0, "nextlabel-8.4-T", (NEXT,)))
    board.put_people(PROJECT, PEOPLE)
    board.put_advice(PROJECT, Advice(GO_ON, "Go on: it may change.", 1.0))
    judged = board.quality(PROJECT)
    assert judged.figures is not None
    first, *others = judged.figures.classes
    clear = (replace(one, taken_for="", times=0) for one in others)
    confused = replace(judged.figures, classes=(replace(first, taken_for="Refund", times=3), *clear))
    board.put_quality(PROJECT, replace(judged, figures=confused))
    board.put_queue(PROJECT, time.time(), by_class={"Refund": 52})


def test_all_that_is_on_the_board_is_on_the_page(tmp_path: Path) -> None:
    put(tmp_path)
    registry = Registry(tmp_path)
    registry.put_options(PROJECT, replace(registry.options(PROJECT), show_people=True, pause=True))
    shown = parse(client_of(tmp_path).get("/").text)
    assert [row[:3] for row in shown.tables["Accuracy of each version, the newest last"][1:]] == [
        ["1", "8", "50 % 40 to 60 %"], ["2", "16", "50 % 40 to 60 %"]
    ]  # fmt: skip
    classes = shown.tables["Each class, by the control set's labels"]
    assert classes[0][-1] == "Most taken for"
    figures = StatusBoard(tmp_path).quality(PROJECT).figures
    assert figures is not None
    judging = [one.recall.examples for one in figures.classes]
    assert [row[-1] for row in classes[1:]] == [
        f"Refund (3 of {judging[0]})", *["\N{EN DASH}"] * (len(LABELS) - 1)
    ]  # fmt: skip
    assert classes[2][1] == f"52 {judging[1]} control"
    text = " ".join(shown.text.split())
    for words in (
        "Go on: it may change.",
        "the model is torn",
        "#31 Other (0.80",
        "On tasks that were drawn at random two people agree in 9 of 10 (50 % to 99 %).",
    ):
        assert words in text
    assert shown.tables["By name, without a ranking"][1][:4] == ["ada@shop.example", "3", "9", "8 s"]
    assert ("Resume" in text, "Pause" in text) == (True, False)


def test_the_pace_is_told_of_three_people_or_where_each_ones_is_shown_and_kappa_where_it_is_known(
    tmp_path: Path,
) -> None:
    put(tmp_path)
    board, registry, address = StatusBoard(tmp_path), Registry(tmp_path), f"/api/projects/{PROJECT}/people"

    def pace(paced: int, names: bool, **headers: str) -> tuple[float | None, bool]:
        board.put_people(PROJECT, replace(PEOPLE, paced=paced))
        registry.put_options(PROJECT, ProjectOptions(defaults=LATEST, show_people=names))
        client = client_of(tmp_path)
        shown = " ".join(parse(client.get("/", headers=headers).text).text.split())
        return client.get(address, headers=headers).get_json()["pace_s"], "9 s a label (median)" in shown

    assert pace(2, names=False) == (None, False)
    assert pace(3, names=False) == pace(2, names=True) == (9.0, True)
    assert pace(2, names=True, **{"X-Forwarded-For": "192.0.2.7"}) == (None, False)
    assert "kappa" not in client_of(tmp_path).get("/").text
    board.put_people(PROJECT, replace(PEOPLE, agreement=Agreement(54, 60, 0.79, 0.96, 0.7912)))
    assert "kappa, which takes off what chance alone would do, is 0.79." in client_of(tmp_path).get("/").text


def test_the_hours_of_the_next_labels_are_told_of_three_people_or_where_each_ones_speed_is_shown(
    tmp_path: Path,
) -> None:
    put(tmp_path)
    board, registry = StatusBoard(tmp_path), Registry(tmp_path)

    def told(people: int, names: bool, **headers: str) -> tuple[float, bool]:
        board.put_helping(PROJECT, Helping("", 7.0, next_labels=NextLabels(64, 0.02, 900, 9.0, people=people)))
        registry.put_options(PROJECT, ProjectOptions(defaults=LATEST, show_people=names))
        client = client_of(tmp_path)
        shown = client.get(f"/api/projects/{PROJECT}/page", headers=headers).text
        said = client.get(f"/api/projects/{PROJECT}", headers=headers).get_json()["helping"]["next_labels"]
        return said["seconds"], "about 10 minutes of people" in shown

    assert told(2, names=False) == (0.0, False)
    assert told(3, names=False) == told(2, names=True) == (9.0, True)
    assert told(2, names=True, **{"X-Forwarded-For": "192.0.2.7"}) == (0.0, False)


def test_names_are_for_those_who_may_see_them_and_only_if_a_lead_wants_that(tmp_path: Path) -> None:
    put(tmp_path)
    address = f"/api/projects/{PROJECT}/page"
    assert "ada@shop.example" not in client_of(tmp_path).get(address).text
    own = ProjectOptions(defaults=LATEST, show_people=True)
    Registry(tmp_path).put_options(PROJECT, own)
    client = client_of(tmp_path)
    assert client.get(address).get_json()["people"]["people"][0]["name"] == "ada@shop.example"
    from_elsewhere = client.get(address, headers={"X-Forwarded-For": "192.0.2.7"})
    assert from_elsewhere.get_json()["people"]["people"] == []
    assert from_elsewhere.get_json()["next"]["tasks"][0]["text"] == ""
    assert "press-fit" not in from_elsewhere.text
    guarded = client_of(tmp_path, basic_auth_user="u", basic_auth_pass=SecretStr("p"))
    assert "ada@shop.example" in guarded.get(address, auth=("u", "p"), headers={"X-Forwarded-For": "192.0.2.7"}).text
    assert guarded.get(address).status_code == 401
