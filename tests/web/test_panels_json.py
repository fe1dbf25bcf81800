"""What the JSON and the metrics tell of versions, tasks to come, whether the order helps, and what to do next."""

from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from helpers.served import client_of
from nextlabel.problems.advice import KEYS, TOO_EARLY, Advice
from nextlabel.problems.helping import FORECAST, MEASURED, Forecast, Helping, Measured, NextLabels, RandomPoint
from nextlabel.problems.history import CONTROL_SET, History, Point
from nextlabel.problems.intervals import Interval
from nextlabel.problems.quality import Estimate
from nextlabel.store.status import StatusBoard
from nextlabel.values.next_tasks import Neighbour, NextTask, NextTasks
from nextlabel.versions.registry import Registry

PROJECT = 7
FIRST = Point("nextlabel-1-20261129T000000", "1", 16, 5.0, refused="it was worse", promoted=False)
SECOND = Point(
    "nextlabel-2-20261129T010000", "2.3", 105, 9.0, judged_by=CONTROL_SET, majority=0.6,
    accuracy=Estimate(0.8, Interval(0.74, 0.85), 200),
)  # fmt: skip
TORN = NextTask(12, "informative", 1, "it is torn", 0.9, "pos", 0.51, (Neighbour(3, "neg", 0.97),))
HIDDEN = NextTask(13, "control", 2, "drawn at random")
HELPING = Helping(
    "nextlabel-2.3-20261129T010000", 8.0,
    Measured(192, 0.04, 0.02, True, None, (RandomPoint(64, 0.7, 0.6, 0.8, MEASURED),)),
    Forecast(100, 0.05, 0.0, 0.1), NextLabels(50, 0.03, 900), 100, 192,
)  # fmt: skip


def board_of(model_dir: Path) -> StatusBoard:
    Registry(model_dir).know(PROJECT)
    return StatusBoard(model_dir)


def test_the_history_has_a_point_of_each_version_and_the_line_of_random_sampling(tmp_path: Path) -> None:
    client, address = client_of(tmp_path), f"/api/projects/{PROJECT}/history"
    assert client.get(address).status_code == 404
    board = board_of(tmp_path)
    assert client.get(address).get_json() == {"id": PROJECT, "at": 0.0, "points": [], "random": []}
    board.put_history(PROJECT, History(10.0, (FIRST, SECOND)))
    board.put_helping(PROJECT, HELPING)
    assert board.history(PROJECT) == History(10.0, (FIRST, SECOND)), "what was written is read as it was"
    said = client.get(address).get_json()
    first, second = said["points"]
    assert (first["accuracy"], first["judged_by"], first["refused"]) == (None, "", "it was worse")
    assert second["accuracy"] == {"value": 0.8, "low": 0.74, "high": 0.85, "n": 200}
    assert [(point["labels"], point["kind"]) for point in said["random"]] == [(64, MEASURED), (100, FORECAST)]
    assert abs(said["random"][1]["value"] - 0.75) < 1e-9


def test_what_comes_next_is_told_without_texts(tmp_path: Path) -> None:
    client, address = client_of(tmp_path), f"/api/projects/{PROJECT}/next"
    assert client.get(address).status_code == 404
    board = board_of(tmp_path)
    board.put_next_tasks(PROJECT, NextTasks(8.0, "nextlabel-2-20261129T010000", (TORN, HIDDEN)))
    torn, hidden = client.get(address).get_json()["tasks"]
    assert torn == {
        "task": 12, "kind": "informative", "rank": 1, "why": "it is torn", "value": 0.9, "label": "pos",
        "probability": 0.51, "neighbours": [{"task": 3, "label": "neg", "similarity": 0.97}], "question": "",
    }  # fmt: skip
    assert [hidden[key] for key in ("value", "label", "probability", "neighbours")] == [None, None, None, []]


def test_whoever_may_not_see_texts_cannot_tell_a_task_that_judges_from_others(tmp_path: Path) -> None:
    client, board = client_of(tmp_path), board_of(tmp_path)
    board.put_next_tasks(PROJECT, NextTasks(8.0, "nextlabel-2-20261129T010000", (TORN, HIDDEN)))
    elsewhere = {"REMOTE_ADDR": "10.0.0.9"}
    found = client.get(f"/api/projects/{PROJECT}/next", environ_base=elsewhere).get_json()["tasks"]
    assert [(one.pop("task"), one.pop("rank")) for one in found] == [(12, 1), (13, 2)]
    assert found[0] == found[1]
    document = client.get(f"/api/projects/{PROJECT}", environ_base=elsewhere).get_data(as_text=True)
    page = client.get(f"/projects/{PROJECT}", environ_base=elsewhere).get_data(as_text=True)
    for told in (document, page):
        assert not any(word in told for word in ("it is torn", "drawn at random", 'class="kind"', '"kind":"control"'))
    assert "Only those who may see texts are told why each comes" in page
    assert "it is torn" in client.get(f"/projects/{PROJECT}").get_data(as_text=True)


def test_whether_it_helps_and_what_to_do_next_are_metrics_and_part_of_the_status(tmp_path: Path) -> None:
    client, board = client_of(tmp_path), board_of(tmp_path)

    def scraped(name: str) -> dict[str, float]:
        families = text_string_to_metric_families(client.get("/metrics").get_data(as_text=True))
        samples = [sample for family in families for sample in family.samples if name in sample.name]
        return {sample.labels.get("key", sample.name.removeprefix("nextlabel_")): sample.value for sample in samples}

    told = ("helping_", "forecast_", "next_labels_", "_advice")
    assert {name: scraped(name) for name in told} == {name: {} for name in told}
    board.put_helping(PROJECT, HELPING)
    board.put_advice(PROJECT, Advice(TOO_EARLY, "It is too early to tell.", 6.0))
    assert scraped("helping_") == {
        "helping_gain": 0.04, "helping_error": 0.02, "helping_found": 1.0, "helping_timestamp_seconds": 8.0
    }  # fmt: skip
    assert scraped("forecast_") == {"forecast_gain": 0.05}
    assert scraped("next_labels_") == {"next_labels_change": 0.015}
    board.put_helping(PROJECT, replace(HELPING, next_labels=NextLabels(64, 0.0, 900)))
    assert scraped("next_labels_") == {"next_labels_change": 0.001}, "as the page says it"
    assert scraped("_advice") == {key: float(key == TOO_EARLY) for key in KEYS}
    board.put_helping(PROJECT, replace(HELPING, measured=Measured(), next_labels=NextLabels(why="it is new")))
    assert scraped("helping_").keys() == {"helping_found", "helping_timestamp_seconds"}
    assert scraped("next_labels_") == {}
    status = client.get(f"/api/projects/{PROJECT}").get_json()
    assert status["advice"] == {"key": TOO_EARLY, "sentence": "It is too early to tell.", "since": 6.0}
