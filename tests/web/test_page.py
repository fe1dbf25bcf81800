"""A project's page and the document behind it, without a browser: what is said, to whom, how often it is made."""

import gzip
import json
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from flask.testing import FlaskClient

from helpers.audits import AUDIT
from helpers.pages import parse
from helpers.served import client_of
from helpers.shown_project import LABELS, as_another, fill, long_ago, texts
from helpers.versions import cut
from nextlabel.problems.helping import Helping
from nextlabel.problems.history import HOLDOUT
from nextlabel.problems.intervals import NOTHING_KNOWN, Interval
from nextlabel.problems.quality import Estimate
from nextlabel.problems.quality_words import percent
from nextlabel.store.pool import pool_path
from nextlabel.store.presses import ASKED, DONE, REFUSED, Presses
from nextlabel.store.status import BaseModelStatus, CertificateStatus, StatusBoard
from nextlabel.store.texts import texts_of
from nextlabel.values.next_tasks import NextTask
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.values.versions import PREFIX
from nextlabel.versions.audits import PLAN, Audits
from nextlabel.versions.registry import Registry
from nextlabel.web import access
from nextlabel.web.documents import KEPT_S, LONGEST_S, Documents
from nextlabel.web.pages import SECTIONS, STATIC
from nextlabel.web.panels import MOST_SUSPECTS, NEWS_S
from nextlabel.web.words import between, number, with_names

PROJECT = 7
NOTHING = "\N{EN DASH}"  # of a figure that is not known
VENDORED = {  # as npm has them in uplot 1.6.32
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    fill(tmp_path, PROJECT, long_ago())
    return client_of(tmp_path)


def said_by(client: FlaskClient, project: int = PROJECT) -> dict[str, Any]:
    answer = client.get(f"/api/projects/{project}/page")
    assert answer.status_code == 200
    return dict(answer.get_json())


# What it says


def test_a_section_is_null_and_not_on_the_page_while_there_is_nothing_to_say(tmp_path: Path) -> None:
    Registry(tmp_path).know(PROJECT)
    client = client_of(tmp_path)
    said = said_by(client)
    empty = ("quality", "classes", "helping", "audit", "history", "next", "people", "look_again")
    assert [said[name] for name in empty] == [None] * len(empty)
    shown = parse(client.get(f"/projects/{PROJECT}").text)
    assert shown.headings == ["Project #7", "Options in force"]


def test_the_page_answers_a_leads_questions_from_the_top(client: FlaskClient, tmp_path: Path) -> None:
    said, shown, board = said_by(client), parse(client.get(f"/projects/{PROJECT}").text), StatusBoard(tmp_path)
    assert shown.headings == [
        "Mails to the shop #7", "Learning curve", "How good it is", "Whether it helps, and what is certified",
        "Next tasks", "People", "Worth a second look", "Versions", "Options in force", "Timings and holdout scores",
    ]  # fmt: skip
    assert [one["version"] for one in said["history"]] != [one["version"] for one in said["versions"]]
    curve, last = shown.tables["Accuracy of each version, the newest last"], said["history"][-1]
    judged_by = f"{last['accuracy']['n']} labels control set"
    macro_f1 = parse(number(last["macro_f1"])).text if last["macro_f1"] else NOTHING
    assert curve[-1] == [
        "8", "320", in_words(last["accuracy"]), judged_by, macro_f1, percent(last["majority"]), "yes"
    ]  # fmt: skip
    classes, learnt = shown.tables["Each class, by the control set's labels"], said["queue"]["by_class"]
    assert [row[0] for row in classes[1:]] == list(LABELS)
    assert classes[1][1] == f"{learnt['Delivery']} {said['classes'][0]['rows'][0]['judging']} control"
    versions = shown.tables["Versions on disk, the newest first"]
    assert [row[0].split()[:2] for row in versions[1:4]] == [
        ["8", "active"],
        ["7", said_day(said, 1)],
        ["6", "refused"],
    ]
    assert versions[1][1:3] == ["320", f"{in_words(last['accuracy'])} n {last['accuracy']['n']}"]
    people, again = board.people(PROJECT), board.look_again(PROJECT)
    assert people.agreement is not None
    first = next(task for task in said["next"]["tasks"] if task["label"])
    for words in (
        "27 of them new", "are open again for a second person", f"Other {learnt['Other']} of 60",
        f"the machine says {first['label']} ({percent(first['probability'])})", first["why"],
        f"Today {people.today.labels} labels by 2 people",
        f"two people agree in {people.agreement.alike} of {people.agreement.of}",
        "3 of at most 3 tasks are open for a second person", "; ".join(again.tasks[0].reasons),
    ):  # fmt: skip
        assert words in " ".join(shown.text.split()), words


def in_words(figure: dict[str, Any]) -> str:
    return f"{percent(figure['value'])} {between(figure)}"


def said_day(said: dict[str, Any], place: int) -> str:
    return datetime.fromisoformat(said["versions"][place]["at"]).astimezone(timezone.utc).strftime("%d")


def test_a_title_or_label_written_from_right_to_left_leaves_our_words_as_they_are(client: FlaskClient) -> None:
    page, overview, said = client.get(f"/projects/{PROJECT}").text, client.get("/").text, said_by(client)
    first = next(task for task in said["next"]["tasks"] if task["label"])
    for isolated in (
        '<h1 id="title"><bdi>Mails to the shop</bdi> ',
        f"the machine says <strong><bdi>{first['label']}</bdi></strong> ({percent(first['probability'])})",
        f"<bdi>Other</bdi> {said['queue']['by_class']['Other']} of 60",
        "labelled <strong><bdi>",
    ):
        assert isolated in page
    assert 0 < page.count("Nearest labelled: ") <= page.count("</a> <bdi>")
    assert "<bdi>Mails to the shop</bdi>" in page + overview


def test_what_was_found_of_another_base_model_is_not_said_of_the_one_that_is_set_now(tmp_path: Path) -> None:
    client, board = client_of(tmp_path, base_model="new/one"), StatusBoard(tmp_path)
    board.put_base_model(BaseModelStatus("failed", "old/one", "old/one cannot be loaded", at=5.0))
    assert "cannot be loaded" not in client.get("/").text
    board.put_base_model(BaseModelStatus("failed", "new/one", "new/one cannot be loaded", at=6.0))
    assert "No fit is possible: new/one cannot be loaded" in client.get("/").text


def test_tasks_link_into_label_studio(client: FlaskClient, tmp_path: Path) -> None:
    loads, board = parse(client.get(f"/projects/{PROJECT}").text).loads, StatusBoard(tmp_path)
    tasks = board.next_tasks(PROJECT).tasks
    suspects = (one.task for one in board.look_again(PROJECT).tasks[:MOST_SUSPECTS])
    for task in (*(one.task for one in tasks), *(near.task for one in tasks for near in one.neighbours), *suspects):
        assert f"a href=http://localhost:8080/projects/{PROJECT}/data?task={task}" in loads


def test_sections_may_hold_the_least_and_more(client: FlaskClient, tmp_path: Path) -> None:
    board = StatusBoard(tmp_path)
    history, people, again = board.history(PROJECT), board.people(PROJECT), board.look_again(PROJECT)
    bare = replace(history.points[0], accuracy=None, macro_f1=None, majority=None, judged_by="")
    board.put_history(PROJECT, replace(history, points=(bare,)))
    board.put_helping(PROJECT, Helping())
    board.put_people(PROJECT, replace(people, agreement=None, pace_s=None))
    board.put_look_again(PROJECT, replace(again, on=False, tasks=()))
    shown = parse(client.get("/").text)
    assert shown.tables["Accuracy of each version, the newest last"][1] == ["1", "8", *[NOTHING] * 4, "yes"]
    assert "No label is listed. From 32 labels on" in shown.text
    assert "Show names and speed" in shown.text
    board.put_look_again(PROJECT, replace(again, open=0, confirmed=4, changed=2, why="all labels are one person's"))
    board.put_people(PROJECT, replace(people, agreement=None, why="no task has two answers"))
    text = " ".join(parse(client.get("/").text).text.split())
    assert "A second person confirmed 4 of these labels and changed 2." in text
    assert "None is opened again for a second person, as all labels are one person's." in text
    assert "There is no agreement to tell: no task has two answers." in text
    told = replace(again, open=1, confirmed=4, changed=2, kept=3, why="enough were")
    board.put_look_again(PROJECT, told)
    text = " ".join(parse(client.get("/").text).text.split())
    assert "confirmed 4 of these labels and changed 2; 3 more stand though the second person gave another." in text
    assert "No more of the list is opened again for a second person, as enough were." in text


def test_when_labels_are_compared_in_a_project_of_an_earlier_release_is_said(
    client: FlaskClient, tmp_path: Path
) -> None:
    board = StatusBoard(tmp_path)
    board.put_look_again(PROJECT, replace(board.look_again(PROJECT), on=False, tasks=()))
    Registry(tmp_path).put_options(PROJECT, ProjectOptions())
    text = " ".join(parse(client.get("/").text).text.split())
    assert "in a project with the defaults of an earlier release once a second person may be asked." in text


def test_a_version_judged_by_nobody_knows_how_many_has_no_interval(client: FlaskClient, tmp_path: Path) -> None:
    board = StatusBoard(tmp_path)
    history = board.history(PROJECT)
    old = replace(history.points[0], accuracy=Estimate(0.41, NOTHING_KNOWN, 0), judged_by=HOLDOUT)
    board.put_history(PROJECT, replace(history, points=(old, *history.points[1:])))
    assert parse(client.get("/").text).tables["Accuracy of each version, the newest last"][1][2] == "41 %"


def test_of_a_form_each_accuracy_says_which_question_it_is_of(client: FlaskClient, tmp_path: Path) -> None:
    board = StatusBoard(tmp_path)
    history, following = board.history(PROJECT), board.next_tasks(PROJECT)
    points = [replace(point, question="topic") for point in history.points]
    of_holdout = replace(points[-2], question="", judged_by=HOLDOUT, accuracy=Estimate(0.7, Interval(0.6, 0.8), 90))
    board.put_history(PROJECT, replace(history, points=(*points[:-2], of_holdout, points[-1])))
    board.put_next_tasks(PROJECT, replace(following, tasks=tuple(_of_topic(task) for task in following.tasks)))
    judgement = replace(board.quality(PROJECT), question="topic")
    board.put_quality(PROJECT, replace(judgement, questions=(judgement, replace(judgement, question="tone"))))
    shown = parse(client.get(f"/projects/{PROJECT}").text)
    curve = shown.tables["Accuracy on topic of each version, the newest last"]
    assert (curve[-1][3].split()[-2:], curve[-2][3]) == (
        ["control", "set"], "90 labels holdout, all questions together"
    )  # fmt: skip
    versions = shown.tables["Versions on disk, the newest first"]
    assert versions[0][2] == "Accuracy, topic"
    assert versions[2][2].endswith("n 90, all questions together")
    assert "of topic, the machine says" in " ".join(shown.text.split())
    as_another(tmp_path, PROJECT, PROJECT + 1, "Another")
    lines = parse(client.get("/").text).tables["All projects that are connected to this backend"]
    assert [line[3].split()[-1] for line in lines[1:]] == ["topic", "topic"]


def _of_topic(task: NextTask) -> NextTask:
    return replace(task, question="topic" if task.label else "")


def test_all_labels_that_are_worth_a_second_look_are_a_page_further(client: FlaskClient, tmp_path: Path) -> None:
    board = StatusBoard(tmp_path)
    found, labelled = board.look_again(PROJECT), board.look_again(PROJECT).tasks[0]
    many = tuple(replace(labelled, task=task) for task in range(1, 201))
    board.put_look_again(PROJECT, replace(found, tasks=many))
    said, page = said_by(client), parse(client.get(f"/projects/{PROJECT}").text)
    assert [one["task"] for one in said["look_again"]["tasks"]] == list(range(1, MOST_SUSPECTS + 1))
    assert (said["look_again"]["listed"], page.loads.count(f"a href=/projects/{PROJECT}/again")) == (200, 1)
    assert "All 200 labels" in page.text
    everything = parse(client.get(f"/projects/{PROJECT}/again").text)
    assert everything.text.count(", doubt 0.") == 200
    assert texts()[199] in everything.text
    with patch.object(access, "may_see_texts", return_value=False):
        assert texts()[199] not in client.get(f"/projects/{PROJECT}/again").text
    plain = client.get(f"/api/projects/{PROJECT}/again").get_json()
    assert (len(plain["tasks"]), plain["tasks"][0].get("text")) == (200, None)
    board.put_look_again(PROJECT, replace(found, tasks=many[:MOST_SUSPECTS]))
    assert "All 10 labels" not in client.get(f"/projects/{PROJECT}").text


def test_roll_back_names_what_was_active_before_and_waits_for_the_queue_to_follow(
    client: FlaskClient, tmp_path: Path
) -> None:
    registry, board = Registry(tmp_path), StatusBoard(tmp_path)
    newest, older = (registry.versions(PROJECT)[n] for n in (0, 3))
    registry.promote(PROJECT, older)
    assert "Roll back" not in client.get("/").text, "the queue still follows another one than is active"
    board.put_queue(PROJECT, 0.0, version=older)
    assert "The queue will follow version 8, the one before." in client.get("/").text
    registry.promote(PROJECT, newest)
    board.put_queue(PROJECT, 0.0, version=newest)
    assert "The queue will follow version 5, the one before." in client.get("/").text


def test_whether_it_helps_says_of_which_version_it_was_found_if_another_is_active(
    client: FlaskClient, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    words = "This is about version 8; version 5, which is active now, has not been looked at yet."
    beside = "found for version 8, not yet for the active one"
    assert words not in client.get("/").text
    assert beside not in client.get("/").text
    assert client.get(f"/api/projects/{PROJECT}").get_json()["helping"]["of_active"]
    registry.promote(PROJECT, registry.versions(PROJECT)[3])
    assert words in client.get("/").text
    assert beside in client.get("/").text
    assert not client.get(f"/api/projects/{PROJECT}").get_json()["helping"]["of_active"]


def test_no_curve_is_drawn_before_an_accuracy_is_known(client: FlaskClient, tmp_path: Path) -> None:
    board = StatusBoard(tmp_path)
    history = board.history(PROJECT)
    unknown = tuple(replace(point, accuracy=None) for point in history.points)
    board.put_history(PROJECT, replace(history, points=unknown))
    shown = parse(client.get("/").text)
    assert "plot" not in shown.ids
    assert "It is drawn once the accuracy of a version is known to within 25 points." in shown.text
    curve = shown.tables["Accuracy of each version, the newest last"]
    assert curve[-1][5] == NOTHING, "a share of labels too few to judge by says nothing either"


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("nextlabel-8.4-20261124T013000", "the order of version 8.4, which knows 3 of the 4 labels."),
        ("nextlabel-start-20261124T013000", "the start order, which knows"),
        ("nextlabel-audit-2-20261124T013000", "the order of the audit's draw, which knows"),
    ],
)
def test_an_order_is_named_as_people_know_it(order: str, said: str, client: FlaskClient, tmp_path: Path) -> None:
    StatusBoard(tmp_path).put_queue(PROJECT, time.time(), order=order, known=3, labels=4, message="4 of 8")
    shown = parse(client.get("/").text)
    assert f"The queue is in {said}" in shown.text
    StatusBoard(tmp_path).put_queue(PROJECT, time.time(), message="")
    text = parse(client.get("/").text).text
    assert (text.count("The queue is in"), "That order knows 3 of the 4 labels." in text) == (1, True)
    StatusBoard(tmp_path).put_queue(PROJECT, time.time(), known=0, labels=0)
    assert "knows" not in parse(client.get("/").text).text


def test_versions_go_by_their_numbers_in_sentences() -> None:
    name = "nextlabel-5.12-20261124T013000"
    assert with_names(f"{name}, judged by 39 of 370 texts") == "Version 5.12, judged by 39 of 370 texts"
    assert with_names(f"The head {name} and {name}.") == "The head version 5.12 and version 5.12."
    assert with_names("nextlabel-start-20261124T013000") == "nextlabel-start-20261124T013000"


def test_what_was_pressed_last_stands_beside_the_buttons_until_it_is_done(client: FlaskClient, tmp_path: Path) -> None:
    presses = Presses(tmp_path)

    def beside() -> str:
        return " ".join(parse(client.get("/").text).text.partition("as only that follows the order.")[2].split()[:20])

    waits = presses.add(PROJECT, "me", "look_again", "on", ASKED)
    assert "Ask a second person" in beside()
    assert "UTC: asked of the trainer" in beside()
    presses.answer(PROJECT, waits, REFUSED, "it is Sunday")
    assert "UTC: refused: it is Sunday" in beside()
    with patch("nextlabel.web.panels.time.time", lambda: waits.at + NEWS_S + 1):
        assert "UTC" not in beside(), "old news"
    presses.add(PROJECT, "me", "promote", f"{PREFIX}7-20261124T013000", DONE)
    assert "UTC" not in beside()
    rows = parse(client.get("/").text).tables["Buttons that were pressed last, the newest first"]
    assert [(row[0], *row[2:]) for row in rows[1:]] == [
        ("Promote 7", "me", "done"),
        ("Ask a second person", "me", "refused: it is Sunday"),
    ]


def test_while_it_is_paused_there_is_nothing_to_fit(client: FlaskClient, tmp_path: Path) -> None:
    assert {"press-fit", "press-pause"} <= set(parse(client.get("/").text).ids)
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, paused="Its certificate stands")
    ids = set(parse(client.get("/").text).ids)
    assert ("press-resume" in ids, {"press-fit", "press-pause"} & ids) == (True, set())


def test_what_is_open_again_stands_among_the_options_in_words(client: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).put_options(PROJECT, ProjectOptions(defaults=LATEST, look_again=3, reopened={17: 1, 4: 2}))
    rows = parse(client.get("/").text).tables["Options in force, and where each comes from"]
    assert ["reopened", "2 tasks open for a second person: #4, #17", "project"] in rows


def test_the_last_audit_is_told_whatever_has_become_of_it(client: FlaskClient, tmp_path: Path) -> None:
    said, audits = list[str](), Audits(tmp_path)

    def tell() -> None:
        said.append(" ".join(parse(client.get("/").text).text.split()))

    audits.begin(AUDIT, None)
    tell()
    audits.end(PROJECT, "200 labels were given")
    tell()
    audits.release(PROJECT)
    tell()
    about = "Audit 1 of version 5.12, with 3 tasks, begun 01 Jan 2026, 00:00 UTC:"
    assert f"{about} runs. nextlabel certificate status --project 7 tells" in said[0]
    assert f"{about} ended, as 200 labels were given. Nothing is fitted until nextlabel certificate stop" in said[1]
    assert about in said[2]
    assert "Nothing is fitted" not in said[2]
    board = StatusBoard(tmp_path)
    board.put_certificate(PROJECT, CertificateStatus(2, "Of the labels of another audit."))
    tell()
    assert said[3] == said[2]
    claim = "Of the labels that nextlabel-5.12-20260101T000000 gives."
    address = f"/api/projects/{PROJECT}/audit"
    assert [client.get(address).get_json()["audit"][key] for key in ("labels", "claim")] == [0, ""]
    board.put_certificate(PROJECT, CertificateStatus(1, claim, labels=40, most=200, wrong=2, skipped=1, certified=3))
    found = client.get(address).get_json()["audit"]
    told = {"claim": claim, "labels": 40, "most": 200, "wrong": 2, "skipped": 1, "certified": 3, "runs": False}
    assert found.items() >= {**told, "risk": 0.05, "delta": 0.05, "questions": []}.items()
    scraped = client.get("/metrics").text
    for name, value in (("labels", 40), ("wrong", 2), ("certified", 3)):
        assert f'nextlabel_audit_{name}{{project="{PROJECT}"}} {value}.0' in scraped
    board.put_certificate(PROJECT, CertificateStatus(1, labels=40, most=200))
    assert client.get(address).get_json()["audit"]["wrong"] is None
    assert "nextlabel_audit_labels{" in client.get("/metrics").text
    assert "nextlabel_audit_wrong{" not in client.get("/metrics").text, "while that is not told"
    board.put_certificate(PROJECT, CertificateStatus(1, claim, labels=40, most=200, wrong=2, skipped=1, certified=3))
    tell()
    assert "its certificate says: Of the labels that version 5.12 gives. nextlabel certificate issue" in said[4]
    assert "tells what it certifies" not in said[4]


def test_a_damaged_audit_is_said_to_be_one(client: FlaskClient, tmp_path: Path) -> None:
    audits = Audits(tmp_path)
    audits.begin(AUDIT, None)
    cut(audits.home(PROJECT) / "1" / PLAN)
    assert "Audit 1 of project 7 cannot be read from" in parse(client.get("/").text).text


# Who may see and press


def test_who_may_not_see_texts_gets_none_and_no_button(client: FlaskClient, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    own = ProjectOptions(defaults=LATEST, control_seed="s3cret", look_for={"Refund": ("my money",)})
    registry.put_options(PROJECT, own)
    open_page, seeing = client.get("/").text, said_by(client)
    with patch.object(access, "may_see_texts", return_value=False), patch.object(access, "may_press", bool):
        closed_page, blind = client.get("/").text, said_by(client)
    first = next(task for task in seeing["next"]["tasks"] if task["neighbours"])
    for task in (first, *first["neighbours"]):
        assert task["text"] == texts()[task["task"] - 1]
    assert {"name": "look_for", "value": "{'Refund': ['my money']}", "source": "project"} in seeing["options"]
    assert "Yes, promote" in open_page
    assert parse(open_page).tags.count("form") == 8
    for hidden in (*texts(), "my money"):
        assert hidden not in closed_page + json.dumps(blind)
    assert not {"form", "button", "input"} & set(parse(closed_page).tags)
    why = "Texts, names and buttons are for whoever presents BASIC_AUTH_USER and BASIC_AUTH_PASS"
    assert (why in closed_page, why in open_page) == (True, False)
    assert "s3cret" not in open_page + json.dumps(seeing)


def test_each_button_is_of_the_form_that_holds_its_token_and_dangerous_ones_ask_first(client: FlaskClient) -> None:
    with patch.object(access, "form_token", "{} {}".format):
        shown = client.get("/").text
    said = said_by(client)["html"]
    assert 'action="/projects/7/actions/fit"><input type="hidden" name="token" value="7 fit">' in shown
    assert "token" not in json.dumps(said), "what is kept for everybody holds nobody's tokens"
    assert '<button type="submit" form="form-fit"' in said["actions"]
    asked = said["versions"].partition('id="ask-promote-7"')[2].partition("</details>")[0]
    assert 'form="form-promote"' in asked
    assert f'name="about" value="{said_by(client)["versions"][1]["version"]}"' in asked
    assert said["versions"].count('form="form-promote"') == said["versions"].count('id="ask-promote') == 4


# Polling


def test_a_poll_costs_nothing_while_nothing_changes(client: FlaskClient, tmp_path: Path) -> None:
    address = f"/api/projects/{PROJECT}/page"
    first = client.get(address)
    same = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    StatusBoard(tmp_path).put_queue(PROJECT, long_ago().timestamp(), labels=348)
    # Of another process, which has kept none yet.
    changed = client_of(tmp_path).get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.get_json()["queue"]["labels"]) == (200, 348)
    assert changed.headers["ETag"] != first.headers["ETag"]
    assert changed.headers["Cache-Control"] == "no-store"


def test_a_look_at_the_project_that_finds_nothing_new_is_no_news(client: FlaskClient, tmp_path: Path) -> None:
    address, board, at = f"/api/projects/{PROJECT}/page", StatusBoard(tmp_path), time.time()
    board.put_queue(PROJECT, at - 60)
    etag = client.get(address).headers["ETag"]
    board.put_queue(PROJECT, at, reconciles=board.queue(PROJECT).reconciles + 1, errors=1, publish_seconds=0.7)
    board.put_start(PROJECT, at)
    board.put_people(PROJECT, replace(board.people(PROJECT), at=at))
    # Of another process, which has kept none yet.
    assert client_of(tmp_path).get(address, headers={"If-None-Match": etag}).status_code == 304


def test_a_document_is_sent_packed_to_who_takes_it_so(client: FlaskClient) -> None:
    address, takes = f"/api/projects/{PROJECT}/page", {"Accept-Encoding": "gzip, deflate"}
    plain, packed = client.get(address), client.get(address, headers=takes)
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 4
    assert (packed.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == ("gzip", False)
    assert {answer.headers["Vary"] for answer in (plain, packed)} == {"Accept-Encoding"}
    tags = [answer.headers["ETag"] for answer in (plain, packed)]
    for tag, status in zip(tags, (200, 304), strict=True):
        assert client.get(address, headers={**takes, "If-None-Match": tag}).status_code == status


def test_a_page_that_is_loaded_is_never_an_old_one(client: FlaskClient, tmp_path: Path) -> None:
    said_by(client)
    StatusBoard(tmp_path).put_queue(PROJECT, 0.0, labels=4321)
    assert "4321" in client.get("/").text


def test_a_document_is_made_once_for_all_who_ask_and_nobody_waits_for_a_slow_one() -> None:
    now, made = [0.0], list[int]()
    documents = Documents(lambda: now[0], lambda: 0.0)

    def make() -> bytes:
        made.append(len(made))
        return b"%d" % len(made)

    assert [documents.get("page", make).body for _ in range(50)] == [b"1"] * 50
    now[0] += KEPT_S
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        begun.set()
        assert go_on.wait(10)
        return b"slow"

    maker = threading.Thread(target=documents.get, args=("page", slow))
    maker.start()
    assert begun.wait(10)
    assert documents.get("page", make).body == b"1", "the one before, at once"
    go_on.set()
    maker.join(10)
    assert documents.get("page", make).body == b"slow"
    assert len(made) == 1


@pytest.mark.parametrize(("took_s", "kept_s"), [(0.001, KEPT_S), (0.03, 3.0), (5.0, LONGEST_S)])
def test_a_document_that_takes_long_to_make_is_made_less_often(took_s: float, kept_s: float) -> None:
    now, spent = [0.0], [0.0]
    documents = Documents(lambda: now[0], lambda: spent[0])

    def make() -> bytes:
        spent[0] += took_s
        return b"%.3f" % spent[0]

    first = documents.get("page", make).body
    now[0] = kept_s - 0.01
    assert documents.get("page", make).body == first
    now[0] = kept_s + 0.01
    assert documents.get("page", make).body != first


def test_a_document_that_cannot_be_made_is_tried_again() -> None:
    documents = Documents()
    with pytest.raises(ZeroDivisionError):
        documents.get("page", lambda: b"%d" % (1 // 0))
    assert documents.get("page", lambda: b"good").body == b"good"


# Twenty projects


def test_many_projects_have_a_line_each(tmp_path: Path) -> None:
    fill(tmp_path, 1, datetime.now(timezone.utc), "Part 1")
    for project in range(2, 21):
        as_another(tmp_path, 1, project, f"Part {project}")
    StatusBoard(tmp_path).put_queue(5, 0.0, first="Label Studio refuses the token.", state="failed")
    StatusBoard(tmp_path).put_queue(6, 0.0, message="Nobody can serve <this>.", state="refused")
    client = client_of(tmp_path)
    lines = parse(client.get("/").text).tables["All projects that are connected to this backend"]
    assert lines[0] == ["Project", "State", "Labels", "Accuracy"]
    [accuracy] = {str(one["accuracy"]): one["accuracy"] for one in overview_of(client)}.values()
    assert lines[1] == ["Part 1 #1", "published", "347 27 new", in_words(accuracy)]
    assert lines[5][:2] == ["Part 5 #5", "failed Label Studio refuses the token."]
    assert lines[6][:2] == ["Part 6 #6", "refused Nobody can serve <this>."]
    assert len(lines) == 21
    assert [one["id"] for one in overview_of(client)] == list(range(1, 21))
    assert "All projects" in client.get("/projects/20").text
    assert client.get("/projects/21").status_code == 404


def overview_of(client: FlaskClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/projects").get_json()["projects"]
    return found


# For everybody


def test_the_page_can_be_read_without_seeing_it(client: FlaskClient) -> None:
    html = client.get("/").text
    shown = parse(html)
    assert len(shown.ids) == len(set(shown.ids))
    assert 'lang="en"' in html
    assert shown.tags.count("h1") == shown.tags.count("main") == 1
    assert html.count("<table") == html.count("<caption"), "each table says what it is"
    assert shown.tags.count("th") == html.count('<th scope="col"') + html.count('<th scope="row"')
    assert '<div class="panel" id="panel-state" role="status" aria-live="polite">' in html
    assert html.count('<section aria-labelledby="h-') == html.count('<h2 id="h-')
    assert html.index('class="skip" href="#main"') < html.index("<header")


def test_files_are_kept_for_good_under_their_digest_alone(client: FlaskClient) -> None:
    [address] = [load.partition("=")[2] for load in parse(client.get("/").text).loads if "page.js" in load]
    assert client.get(address).headers["Cache-Control"] == "private, max-age=31536000, immutable"
    for other in ("/static/page.js", "/static/page.js?v=0"):
        assert client.get(other).headers["Cache-Control"] == "no-cache"
    assert client.get("/static/../pages.py").status_code == client.get("/static/nothing.js").status_code == 404


def test_the_drawing_library_is_the_published_one_with_its_licence_and_loads_nothing() -> None:
    directory = STATIC / "vendor" / "uPlot-1.6.32"
    assert {path.name for path in directory.iterdir()} == {*VENDORED, "LICENSE"}
    for name, digest in VENDORED.items():
        assert sha256((directory / name).read_bytes()).hexdigest() == digest
    assert "The MIT License" in (directory / "LICENSE").read_text()
    for path in (*STATIC.glob("page.*"), *directory.glob("*.css")):
        assert "://" not in path.read_text().replace("http://www.w3.org/2000/svg", "")


def test_texts_are_read_from_a_copy_that_is_not_touched(tmp_path: Path) -> None:
    assert texts_of(tmp_path, PROJECT, [1]) == {}
    assert not pool_path(tmp_path, PROJECT).exists()
    fill(tmp_path, PROJECT, long_ago())
    assert texts_of(tmp_path, PROJECT, [1, 9999]) == {1: texts()[0]}
    pool_path(tmp_path, PROJECT).write_bytes(b"no data base" * 100)
    assert texts_of(tmp_path, PROJECT, [1]) == {}


def test_every_section_has_a_place_on_the_page() -> None:
    templates = {path.stem for path in (STATIC.parent / "templates" / "sections").iterdir()}
    assert {name for _, names in SECTIONS for name in names} == templates
