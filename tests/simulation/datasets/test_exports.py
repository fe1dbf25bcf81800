"""Exports of a real Label Studio in each of its formats, rows of doccano and Prodigy: one label each, or why none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from nextlabel.errors import BadCorpusError
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.simulation.datasets.exports import NoLabelError, labels_in, read_answers
from nextlabel.simulation.datasets.forms import Columns
from nextlabel.simulation.datasets.tables import read_table
from nextlabel.simulation.datasets.textsets import TextSet, read_files
from nextlabel.values.layout import decoded

CONFIG = """<View>
  <Text name="text" value="$text"/>
  <Choices name="mood" toName="text"><Choice value="good"/><Choice value="bad" alias="b"/></Choices>
  <Choices name="topic" toName="text" choice="multiple"><Choice value="food"/><Choice value="price"/></Choices>
  <Rating name="stars" toName="text"/>
  <Number name="age" toName="text"/>
</View>"""
SUFFIXES = {"JSON": "json", "JSON_MIN": "json", "CSV": "csv", "TSV": "tsv"}
FORMATS = tuple(SUFFIXES)
TEXTS = [f'Text {number} says "hello",\tand\nmore' for number in range(9)]


def chosen(control: str, *labels: str) -> dict[str, object]:
    return {"from_name": control, "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}


def stars(rating: int) -> dict[str, object]:
    return {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": rating}}


def age(years: float) -> dict[str, object]:
    return {"from_name": "age", "to_name": "text", "type": "number", "value": {"number": years}}


def annotation(*items: dict[str, object], **more: object) -> dict[str, object]:
    return {"result": list(items), **more}


TASKS: list[list[dict[str, object]]] = [
    [annotation(chosen("mood", "good"), chosen("topic", "food"), stars(4))],
    [annotation(chosen("mood", "b"), chosen("topic", "food", "price"), stars(2), age(20))],
    [annotation(chosen("mood", "b"), was_cancelled=True)],  # skipped
    [],  # open
    [annotation()],  # submitted with nothing ticked
    [annotation(chosen("topic", "price"))],  # the other control alone
    [annotation(chosen("mood", "good", "b"))],  # both
    [annotation(chosen("mood", "b")), annotation(chosen("mood", "good")), annotation(chosen("mood", "b"))],
    [annotation(chosen("mood", "good"), stars(4), age(30))],
]
USED = {0: "good", 1: "b", 7: "b", 8: "good"}


@pytest.fixture(scope="module")
def export(
    studio: LabelStudioClient, label_studio: LocalStudio, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Makes a project of the tasks' data and annotations, once, and exports it."""
    directory = tmp_path_factory.mktemp("exports")
    projects: dict[str, int] = {}

    def make(format: str, only_labelled: bool = False, name: str = "", **data: Any) -> Path:
        key = json.dumps(data)
        if key not in projects:
            projects[key] = studio.create_project("Exports", CONFIG)
            tasks: list[dict[str, Any]] = [
                {"data": {"text": TEXTS[n], **data}, "annotations": found} for n, found in enumerate(TASKS)
            ]
            assert studio.import_tasks(projects[key], tasks).tasks == len(TASKS)
        params = {"exportType": format, "download_all_tasks": str(not only_labelled).lower()}
        token = {"Authorization": f"Token {label_studio.login.token}"}
        url = f"{label_studio.url}/api/projects/{projects[key]}/export"
        answer = httpx.get(url, params=params, headers=token, timeout=60).raise_for_status()
        path = directory / (name or f"{format.lower()}{len(projects)}{only_labelled}.{SUFFIXES[format]}")
        path.write_bytes(answer.content)
        return path

    return make


def read(path: Path, label: str = "mood", id: str | None = None) -> TextSet:
    return read_files(path, path, None, "text", None, label, id=id)


def labels_of(data: TextSet) -> dict[int, str]:
    return {TEXTS.index(example.text): label for example, label in data.train}


@pytest.mark.parametrize("only_labelled", [False, True])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_examples(export: Callable[..., Path], format: str, only_labelled: bool) -> None:
    data = read(export(format, only_labelled))
    assert labels_of(data) == USED
    assert data.labels == ("good", "b")
    assert len({example.id for example, _ in (*data.train, *data.dev)}) == 2 * len(USED)


def test_a_tsv_export_is_read_under_the_name_that_label_studio_gives_it(export: Callable[..., Path]) -> None:
    data = read(export("TSV", name="project-1-at-2026-11-29.csv"))
    assert labels_of(data) == USED
    assert "with tabs between the fields" in data.notes[0]


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_left_out_is_counted_with_the_reason(export: Callable[..., Path], format: str) -> None:
    path = export(format)
    note, remark = read(path).notes[:2]
    total, skipped = (9, ", 1 skipped") if format == "JSON" else (8, "")  # the others do not have what was skipped
    assert f": 4 of {total} tasks used; not used: 2 without an answer in 'mood' (the first: " in note
    assert f"task {json.loads(export('JSON').read_text())[4]['id']})" in note
    assert "1 with several labels (the first: " in note
    assert "1 open (the first: " in note
    assert skipped in note
    assert remark.startswith(f"{path}: 1 task has answers that differ (the first: ")


@pytest.mark.parametrize("format", FORMATS)
def test_a_rating_is_a_label_and_a_multiple_choice_with_one_ticked_too(
    export: Callable[..., Path], format: str
) -> None:
    assert labels_of(read(export(format), "stars")) == {0: "4", 1: "2", 8: "4"}
    assert labels_of(read(export(format), "age")) == {1: "20", 8: "30"}
    assert labels_of(read(export(format), "topic")) == {0: "food", 5: "price"}
    assert "1 with several labels" in read(export(format), "topic").notes[0]


@pytest.mark.parametrize("format", FORMATS)
def test_several_controls_are_as_many_questions(export: Callable[..., Path], format: str) -> None:
    path, asked = export(format), Columns(("mood", "topic", "stars"), ordered=("stars",))
    data = read_files(path, path, None, "text", None, asked)
    assert data.labels == ("mood: b", "mood: good", "topic: food", "topic: price", "stars: 2", "stars: 4")
    assert {number: dict(decoded(answer)) for number, answer in labels_of(data).items()} == {
        0: {"mood": ("good",), "topic": ("food",), "stars": ("4",)},
        1: {"mood": ("b",), "topic": ("food", "price"), "stars": ("2",)},
        4: {"mood": (), "topic": ()},
        5: {"mood": (), "topic": ("price",)},
        6: {"mood": ("b", "good"), "topic": ()},
        7: {"mood": ("b",), "topic": ()},
        8: {"mood": ("good",), "topic": (), "stars": ("4",)},
    }


def test_the_task_id_can_be_the_id(export: Callable[..., Path]) -> None:
    ids = [task["id"] for task in json.loads(export("JSON").read_text())]
    for format in FORMATS:
        data = read(export(format), id="id")
        assert {example.id for example, _ in data.train} == {ids[number] for number in USED}


@pytest.mark.parametrize("format", FORMATS)
def test_a_control_that_is_not_there_is_answered_with_those_that_are(export: Callable[..., Path], format: str) -> None:
    with pytest.raises(BadCorpusError) as refused:
        read(export(format), "sentiment")
    assert "'sentiment'" in str(refused.value)
    assert all(name in str(refused.value) for name in ("'mood'", "'topic'", "'stars'"))


def test_a_field_of_the_controls_name_is_not_taken_for_an_answer(export: Callable[..., Path]) -> None:
    """JSON_MIN shows it where there is no answer."""
    for format in ("JSON", "CSV", "TSV"):
        assert labels_of(read(export(format, mood="from elsewhere"))) == USED
    with pytest.raises(
        BadCorpusError, match="nobody has answered this task, and yet it has 'from elsewhere' in 'mood'"
    ):
        read(export("JSON_MIN", mood="from elsewhere"))
    with pytest.raises(BadCorpusError, match="'gold' is a field of the tasks' data, which nobody answered"):
        read(export("JSON", gold="good"), "gold")


def tasks_file(directory: Path, *tasks: object) -> Path:
    path = directory / "tasks.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def task(number: int, *annotations: dict[str, object], **data: object) -> dict[str, object]:
    return {"id": 100 + number, "data": {"text": TEXTS[number], **data}, "annotations": list(annotations)}


def voted(label: str, when: int, truth: bool = False) -> dict[str, object]:
    return annotation(chosen("mood", label), ground_truth=truth, updated_at=f"2026-11-2{when}T00:00:00.000000Z")


def test_answers_are_joined_as_in_the_live_loop(tmp_path: Path) -> None:
    path = tasks_file(
        tmp_path,
        task(0, voted("b", 1, truth=True), voted("good", 2), voted("good", 3)),  # ground truth
        task(1, voted("good", 1), voted("good", 2), voted("b", 3)),  # the majority
        task(2, voted("good", 3), voted("b", 1)),  # the latest
        task(3, voted("good", 3), annotation(chosen("mood", "good", "b")), annotation(was_cancelled=True)),
        task(4, annotation(chosen("mood", "b"), chosen("mood", "b"))),  # twice the same
    )
    data = read(path)
    assert labels_of(data) == {0: "b", 1: "good", 2: "good", 3: "good", 4: "b"}
    assert data.notes[:2] == (
        f"{path} (Label Studio's tasks): 5 of 5 tasks used.",
        f"{path}: 3 tasks have answers that differ (the first: item 1); ground truth decides, else the majority, else "
        "the latest.",
    )


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (
            [task(0), task(1, annotation(was_cancelled=True))],
            "of 2 tasks, 1 open (the first: item 1, task 100), 1 skipped",
        ),
        (
            [{"id": 5, "data": {"text": "a"}, "completions": [voted("b", 1)]}],
            "item 1: this is a task of Label Studio from before 1.0. Rename completions to annotations",
        ),
        (
            [task(0, voted("b", 1)), {"id": 5}],
            "item 2: expected a task with data and annotations, as others in the file",
        ),
        (
            [{"data": {"body": "a"}, "annotations": [voted("b", 1)]}],
            "item 1: expected a value named 'text', found 'body'",
        ),
        (
            [task(0, annotation({"from_name": "mood", "type": "labels", "value": {}}))],
            "'mood' gives 'labels', which is no",
        ),
        (
            [task(0, voted("b", 1)), task(1, voted("b", 1), text=" ")],
            "Not used: 1 without a text (the first: item 2, task",
        ),
        ([task(0, voted("b", 1), text=["a"])], "item 1: expected a text in column 'text', found ['a']"),
    ],
)
def test_tasks_without_a_way_to_read_them_are_named(tmp_path: Path, tasks: list[object], words: str) -> None:
    with pytest.raises(BadCorpusError) as refused:
        read(tasks_file(tmp_path, *tasks))
    assert words in str(refused.value)


def given(kind: str, value: object, key: str = "") -> dict[str, object]:
    return annotation({"from_name": "mood", "to_name": "text", "type": kind, "value": {key or kind: value}})


@pytest.mark.parametrize(
    ("answers", "labels"),
    [
        ([given("number", 0.5), given("number", 1)], ["0.5", "1"]),
        ([given("pairwise", "left", "selected"), given("pairwise", "right", "selected")], ["left", "right"]),
        ([given("taxonomy", [["A", "A1"]]), given("taxonomy", [["B"]])], ["A > A1", "B"]),
        ([given("choices", [["A", "A1"]]), given("choices", [["B"]])], ["A > A1", "B"]),
    ],
)
def test_one_control_of_any_kind_gives_labels(
    answers: list[dict[str, object]], labels: list[str], tmp_path: Path
) -> None:
    data = read(tasks_file(tmp_path, *(task(number, answer) for number, answer in enumerate(answers))))
    assert [label for _, label in data.train] == labels


def test_a_number_counts_as_a_text_of_a_task(tmp_path: Path) -> None:
    data = read(tasks_file(tmp_path, task(0, voted("b", 1), text=5), task(1, voted("good", 1), text=0.5)))
    assert [example.text for example, _ in data.train] == ["5", "0.5"]


STRUCTURED = {
    "a dialogue": ([{"author": "Al", "text": "Hi"}, {"author": "Bo", "text": "Yes"}], "Al: Hi\nBo: Yes"),
    "a chat": ([{"role": "user", "content": "Hi"}], "user: Hi"),
    "items": ([{"id": 2, "title": "Two"}, {"id": 1, "html": "<b>One</b>"}], "One\nTwo"),
    "names and values": ({"b": 1, "a": "x"}, "a: x\nb: 1"),
    "rows": ([{"a": 1, "b": 2}], "a | b\n1 | 2"),
}


@pytest.mark.parametrize(("value", "read_as"), STRUCTURED.values(), ids=STRUCTURED)
def test_dialogues_tables_and_lists_are_read_as_in_the_live_loop(value: object, read_as: str, tmp_path: Path) -> None:
    data = read(tasks_file(tmp_path, task(0, voted("b", 1), text=value), task(1, voted("good", 1))))
    assert data.train[0][0].text == read_as


# Other tools


def answers_of(directory: Path, *rows: object, label: str = "label") -> list[tuple[str, str]]:
    """Label and reason of each row."""
    path = directory / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    answers = read_answers(read_table(path, ["text", label]), "text", label)
    return [(answer.label, answer.why_not) for answer in answers.found]


def test_doccanos_lists_hold_one_label_or_are_left_out(tmp_path: Path) -> None:
    rows = [{"id": n, "text": "a", "label": label} for n, label in enumerate([["x"], [], ["x", "y"], ["x", "x"], [1]])]
    several, none = ("", "with several labels"), ("", "without a label")
    assert answers_of(tmp_path, *rows) == [("x", ""), none, several, ("x", ""), ("1", "")]


def test_prodigys_accepted_rows_are_used(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x", "answer": answer} for answer in ("accept", "reject", "ignore")]
    assert answers_of(tmp_path, *rows) == [("x", ""), ("", "rejected"), ("", "ignored")]
    choices = [{"text": "a", "accept": ["x"], "answer": "accept"}, {"text": "a", "accept": [], "answer": "reject"}]
    assert answers_of(tmp_path, *choices, label="accept") == [("x", ""), ("", "rejected")]


def test_an_answer_of_another_kind_is_a_column_like_others(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x", "answer": "reject"}, {"text": "b", "label": "y", "answer": "42"}]
    assert answers_of(tmp_path, *rows) == [("x", ""), ("y", "")]
    assert answers_of(tmp_path, *rows[:1], label="answer") == [("reject", "")]


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        ("pos", ["pos"]),
        (" pos ", ["pos"]),
        (1, ["1"]),
        (1.0, ["1"]),
        (True, ["true"]),
        (None, []),
        ("  ", []),
        (float("nan"), []),
        (["pos"], ["pos"]),
        ('["pos"]', ["pos"]),
        ("['pos']", ["pos"]),
        ('{"choices":["pos","neg"]}', ["pos", "neg"]),
        ({"choices": ["pos"]}, ["pos"]),
        ('[{"rating":4}]', ["4"]),
        ([{"number": 4.0}], ["4"]),
        ({"number": 0.1 + 0.2}, ["0.3"]),
        ([{"taxonomy": [["A"], ["A", "A1"]]}], ["A", "A > A1"]),
        ('[{"taxonomy": [["A"]]}]', ["A"]),
        ({"choices": [["B", "B1"]]}, ["B > B1"]),
        ([{"selected": "left"}], ["left"]),
        ("[unknown]", ["[unknown]"]),
        ("{x}", ["{x}"]),
        ("[", ["["]),
    ],
)
def test_labels_are_found_in_what_tools_write(value: object, labels: list[str]) -> None:
    assert labels_in(value) == labels


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        float("inf"),
        {"x": 1},
        {"taxonomy": [[]]},
        {"number": float("inf")},
        [["P", "L"]],
        [[0, 3, "pos"]],
        '[["P"]]',
    ],
)
def test_what_is_no_label_is_none(value: object) -> None:
    with pytest.raises(NoLabelError):
        labels_in(value)
