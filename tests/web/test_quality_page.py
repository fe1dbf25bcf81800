"""What the page, the JSON and the metrics tell of the control set, with few and many classes and labels."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from helpers.pages import parse
from helpers.served import client_of
from helpers.versions import make_card
from nextlabel.learning.judging import ANSWERED, ControlText, Said, judge
from nextlabel.problems.helping import Forecast, Helping, Measured, NextLabels
from nextlabel.problems.judgement import Figures, Judgement
from nextlabel.problems.quality_words import percent
from nextlabel.store.status import StatusBoard
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.versions.registry import Registry
from nextlabel.web.panels import MOST_CLASSES

PROJECT = 7
NOTHING = "\N{EN DASH}"  # of a figure that is not known
WITH_SET = ProjectOptions(defaults=LATEST, control_seed="a seed")


def judged(classes: int, labels: int) -> Judgement:
    """Every class as often as any other, nine in ten right."""
    names = tuple(f"<class {k}>" for k in range(classes))
    right_N = np.arange(labels) % classes
    said_N = np.where(np.arange(labels) % 10 == 9, (right_N + 1) % classes, right_N)
    probs_NK = np.full((labels, classes), 0.2 / classes)
    probs_NK[np.arange(labels), said_N] += 0.8
    texts = [ControlText((n + 1,), ANSWERED, names[k]) for n, k in enumerate(right_N)]
    texts += [ControlText((1000 + n,), "open") for n in range(500)]
    said = Said("nextlabel-3.1", names, dict(enumerate(probs_NK, 1)), ())
    return judge(0.1, texts, 10**6, names, said, noted=True)


def put(model_dir: Path, judgement: Judgement) -> None:
    registry = Registry(model_dir)
    registry.know(PROJECT)
    registry.put_options(PROJECT, WITH_SET)
    StatusBoard(model_dir).put_quality(PROJECT, judgement)


def figures_of(judgement: Judgement) -> Figures:
    assert judgement.figures is not None
    return judgement.figures


@pytest.mark.parametrize("classes", [2, 52])
@pytest.mark.parametrize("labels", [0, 1, 9, 39])
def test_the_page_says_what_is_known_and_what_it_takes(classes: int, labels: int, tmp_path: Path) -> None:
    judgement = judged(classes, labels)
    put(tmp_path, judgement)
    page = parse(client_of(tmp_path).get("/").get_data(as_text=True))
    assert f"nextlabel-3.1, judged by {labels or 'none'} of {labels + 500} texts drawn at random" in page.text
    cannot_tell = labels < 39 or classes == 52
    assert ("Macro-F1: cannot tell yet; " in page.text) == cannot_tell
    assert ("New texts like these: cannot tell yet" in page.text) == (labels < 39)
    rows = page.tables.get("Each class, by the control set's labels", [])[1:]
    folded = page.tables.get("Classes of which less is known", [])[1:]
    assert len(rows) == (min(classes, MOST_CLASSES) if labels else 0)
    assert len(folded) == (max(0, classes - MOST_CLASSES) if labels else 0)
    assert [row[3] for row in rows + folded].count(NOTHING) == (max(0, classes - labels) if labels else 0)
    assert "more classes: nextlabel" not in page.text
    assert ("Nothing is known about '<class" in page.text) == (0 < labels < classes)


def test_of_very_many_classes_the_page_has_those_of_which_most_is_known(tmp_path: Path) -> None:
    put(tmp_path, judged(130, 39))
    page = parse(client_of(tmp_path).get("/").text)
    assert f"18 more classes: nextlabel quality --project {PROJECT}" in page.text
    rows = [row for rows in page.tables.values() for row in rows if row[0].startswith("<class")]
    assert [row[3] != NOTHING for row in rows] == [True] * 39 + [False] * (130 - 18 - 39)


@pytest.mark.parametrize("set_is", ["none", "not answered"])
def test_labels_of_each_class_are_shown_before_anything_judges(set_is: str, tmp_path: Path) -> None:
    put(tmp_path, judged(2, 0) if set_is == "not answered" else Judgement())
    client, board = client_of(tmp_path), StatusBoard(tmp_path)
    assert "Classes" not in parse(client.get("/").text).headings
    board.put_queue(PROJECT, 0.0, by_class={"<class 0>": 0, "<class 1>": 0})
    assert "Labels of each class" not in client.get("/").text, "nobody has labelled anything"
    board.put_queue(PROJECT, 0.0, by_class={"<class 0>": 40, "<class 1>": 2})
    page = parse(client.get("/").text)
    assert page.tables["Labels of each class"] == [["Class", "Labels"], ["<class 0>", "40"], ["<class 1>", "2"]]
    assert ("How good it is" in page.headings, "Classes" in page.headings) == (set_is != "none", set_is == "none")
    [table] = client.get(f"/api/projects/{PROJECT}/page").get_json()["classes"]
    assert [(row["label"], row["learnt"], row["recall"]) for row in table["rows"]] == [
        ("<class 0>", 40, None), ("<class 1>", 2, None)
    ]  # fmt: skip


def test_a_class_without_a_control_label_has_its_labels_beside_the_others(tmp_path: Path) -> None:
    put(tmp_path, judged(3, 2))
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, by_class={f"<class {k}>": 10 - k for k in range(3)})
    rows = parse(client_of(tmp_path).get("/").text).tables["Each class, by the control set's labels"]
    assert [row[1] for row in rows[1:]] == ["10 1 control", "9 1 control", "8 0 control"]
    assert rows[3][2:5] == ["0 % 0 to 84 %", NOTHING, NOTHING]


def test_without_a_control_set_the_holdout_says_how_good_each_class_is(tmp_path: Path) -> None:
    card = make_card(1, project=PROJECT, held_out=((18, 2), (1, 4)), label_counts={"pos": 70, "neg": 9})
    registry = Registry(tmp_path)
    registry.save(card, {1: "pos"}, lambda directory: None)
    registry.promote(PROJECT, card.version)
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, version=card.version)
    page = parse(client_of(tmp_path).get("/").text)
    assert page.tables["Each class, by the holdout's labels"][1:] == [
        ["pos", "70 20 holdout", "80 % 59 to 93 %", "90 % 68 to 99 %", "0.92 0.78 to 0.98", "neg (2 of 20)"],
        ["neg", "9 5 holdout", "20 % 7 to 41 %", "80 % 28 to 99 %", "0.73 0.31 to 0.95", NOTHING],
    ]
    assert "How good it is" in page.headings


def test_of_a_form_labels_are_told_of_the_questions_that_are_judged_and_of_those_that_are_not(tmp_path: Path) -> None:
    topic = replace(judged(2, 9), question="topic")
    untold = replace(topic, question="stars", figures=None, why="it is new")
    put(tmp_path, replace(topic, questions=(topic, untold)))
    counts = {"topic: <class 0>": 7, "topic: <class 1>": 5, "stars: one": 3, "stars: two": 0}
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, by_class=counts)
    tables = parse(client_of(tmp_path).get("/").text).tables
    assert [row[1].split()[0] for row in tables["Each class of topic, by the control set's labels"][1:]] == ["7", "5"]
    assert tables["Labels of each class that is not judged"][1:] == [["stars: one", "3"], ["stars: two", "0"]]


def test_before_there_is_a_figure_page_overview_and_json_count_down_to_a_range_and_then_to_the_figure(
    tmp_path: Path,
) -> None:
    Registry(tmp_path).know(PROJECT + 1)

    def told(labels: int) -> tuple[str, str, dict[str, Any]]:
        put(tmp_path, judged(2, labels))
        client = client_of(tmp_path)
        shown = parse(client.get(f"/projects/{PROJECT}").text).text
        all_projects = parse(client.get("/").text).text
        return " ".join(shown.split()), all_projects, client.get(f"/api/projects/{PROJECT}/page").get_json()["quality"]

    shown, all_projects, quality = told(7)
    assert "Accuracy, new textscannot tell yet a range after about 30 more labels" in shown
    assert "cannot tell yet" in all_projects
    assert quality["early"] == {"accuracy": None, "left": None}
    assert quality["needed"]["range"] == {"control": 3, "in_all": 30}
    shown, all_projects, quality = told(20)
    low, high = figures_of(judged(2, 20)).accuracy.interval
    said = f"{percent(low).removesuffix(' %')} to {percent(high)}"
    in_all = quality["needed"]["accuracy"]["in_all"]
    assert f"Accuracy, new texts{said} 18 of 20 right one figure after about {in_all} more labels" in shown
    assert said in all_projects
    assert quality["accuracy"] is None
    assert quality["early"]["accuracy"] == {"value": 0.9, "low": low, "high": high, "n": 20, "right": 18}
    assert quality["needed"]["range"] is None
    shown, all_projects, quality = told(60)
    assert quality["early"] == {"accuracy": None, "left": None}
    assert quality["needed"]["accuracy"] is None
    assert "one figure after" not in shown


def test_without_a_control_set_the_page_says_how_to_get_one(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.know(PROJECT)
    registry.put_options(PROJECT, ProjectOptions(defaults=LATEST, control_seed="a seed", own={"control_share": 0}))
    shown = client_of(tmp_path).get("/").get_data(as_text=True)
    assert f"<code>nextlabel options --project {PROJECT} control_share=0.1</code> draws one" in shown
    registry.put_options(PROJECT, WITH_SET)
    assert "draws one" not in client_of(tmp_path).get("/").text


def test_the_page_and_the_json_say_whether_the_order_helps_once_somebody_has_asked(tmp_path: Path) -> None:
    put(tmp_path, judged(2, 9))
    client = client_of(tmp_path)
    assert "Whether it helps" not in client.get("/").text
    found = Helping("nextlabel-3.1", 7.0, Measured(more=184), Forecast(why="it is new"), NextLabels(64, 0.024, 900))
    StatusBoard(tmp_path).put_helping(PROJECT, found)
    page = parse(client.get("/").text).text
    assert "cannot tell yet whether the order helps: about 184 more control labels may settle it." in page
    assert "There is no forecast: it is new." in page
    assert "The next 64 labels will hardly change the accuracy by more than 1.2 points" in page
    assert "About nextlabel-3.1, " in page
    assert client.get(f"/api/projects/{PROJECT}").get_json()["helping"]["next_labels"]["changed"] == 0.024
    assert StatusBoard(tmp_path).helping(PROJECT) == found, "what was written is read as it was"


def test_the_json_is_what_the_trainer_found(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    missing = client.get(f"/api/projects/{PROJECT}/quality")
    assert (missing.status_code, f"nextlabel connect --project {PROJECT}" in missing.get_json()["error"]) == (404, True)
    judgement = judged(3, 40)
    put(tmp_path, judgement)
    said = client.get(f"/api/projects/{PROJECT}/quality").get_json()
    assert said["id"] == PROJECT
    assert said["figures"]["accuracy"] == {"value": 0.9, "interval": list(figures_of(judgement).accuracy.interval)} | {
        "examples": 40
    }
    assert [one["label"] for one in said["figures"]["classes"]] == ["<class 0>", "<class 1>", "<class 2>"]
    assert said["sample"] == asdict(judgement.sample)
    assert StatusBoard(tmp_path).quality(PROJECT) == judgement, "what was written is read as it was"


def test_metrics_have_the_accuracy_with_its_limits_once_there_is_one(tmp_path: Path) -> None:
    client = client_of(tmp_path)

    def scraped() -> dict[str, float]:
        families = text_string_to_metric_families(client.get("/metrics").get_data(as_text=True))
        samples = [sample for family in families for sample in family.samples if "control" in sample.name]
        assert all(sample.labels == {"project": str(PROJECT)} for sample in samples)
        return {sample.name.removeprefix("nextlabel_"): sample.value for sample in samples}

    put(tmp_path, judged(52, 0))
    assert scraped() == {"control": 0}
    judgement = judged(52, 40)
    put(tmp_path, judgement)
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, control=41)
    low, high = figures_of(judgement).accuracy.interval
    assert scraped() == {
        "control": 41, "control_accuracy": 0.9, "control_accuracy_low": low, "control_accuracy_high": high
    }  # fmt: skip


@pytest.mark.parametrize("labels", [0, 1, 9, 20, 39, 60, 200])
def test_metrics_have_a_figure_where_the_page_has_one(labels: int, tmp_path: Path) -> None:
    put(tmp_path, judged(2, labels))
    client = client_of(tmp_path)
    quality = client.get(f"/api/projects/{PROJECT}/page").get_json()["quality"]
    families = text_string_to_metric_families(client.get("/metrics").get_data(as_text=True))
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    shown = {name: quality[name] for name in ("accuracy", "left", "macro_f1")}
    shown["calibration"] = quality["calibration"] if quality["accuracy"] else None
    named = zip(("control_accuracy", "left_accuracy", "macro_f1", "overconfidence"), shown.values(), strict=True)
    for name, figure in named:
        told = samples.get(f"nextlabel_{name}")
        assert told == (figure["value"] if figure else None), name
        assert (f"nextlabel_{name}_low" in samples) == (f"nextlabel_{name}_high" in samples) == (labels > 0)
        if figure:
            limits = [samples[f"nextlabel_{name}_{limit}"] for limit in ("low", "high")]
            assert limits == [figure["low"], figure["high"]]


def test_of_a_form_each_question_is_on_the_page_in_the_json_and_in_the_metrics(tmp_path: Path) -> None:
    topic, tones = replace(judged(3, 60), question="topic"), replace(judged(2, 40), question="tones", kind="any_of")
    untold = replace(topic, question="stars", figures=None, why="it is new")
    put(tmp_path, replace(topic, questions=(topic, tones, untold)))
    client = client_of(tmp_path)
    page = parse(client.get("/").text)
    assert "nextlabel-3.1 on 'topic', judged by 60 of 560 texts" in page.text
    assert "New texts like these, all labels of each: 90 % right (36 of 40" in page.text
    captions = [f"Each class of {name}, by the control set's labels" for name in ("topic", "tones", "stars")]
    assert [caption in page.text for caption in captions] == [True, True, False], "a table of what is known"
    said = client.get(f"/api/projects/{PROJECT}/quality").get_json()
    assert [(one["question"], one["kind"]) for one in said["questions"]] == [
        ("topic", "one_of"), ("tones", "any_of"), ("stars", "one_of"),
    ]  # fmt: skip
    assert StatusBoard(tmp_path).quality(PROJECT).questions == (topic, tones, untold), "read as it was written"
    families = text_string_to_metric_families(client.get("/metrics").get_data(as_text=True))
    samples = {(s.name, s.labels["question"]): s.value for f in families for s in f.samples if "question" in s.labels}
    known = figures_of(tones).accuracy
    assert samples["nextlabel_question_accuracy", "tones"] == known.value == 0.9
    assert samples["nextlabel_question_accuracy_low", "tones"] == known.interval.low
    assert samples["nextlabel_question_accuracy_high", "tones"] == known.interval.high
    assert {question for _, question in samples} == {"topic", "tones"}
