"""Files with several questions, or with any number of labels: what is read, what an empty cell says, what is not."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nextlabel.errors import BadCorpusError
from nextlabel.simulation.datasets.forms import Columns
from nextlabel.simulation.datasets.textsets import TextSet, by_question, doubtful, read_files
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, decoded

Row = Mapping[str, object]
BOTH = Columns(("topic", "tags"))


def file_of(directory: Path, *rows: Row, name: str = "rows.jsonl") -> Path:
    """The rows as JSON lines, or as a table where the name says so."""
    path = directory / name
    if name.endswith(".csv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def read(path: Path, asked: str | Columns, dev: Path | None = None, **options: Any) -> TextSet:
    return read_files(path, dev or path, None, "text", None, asked, **options)


def answers_of(data: TextSet) -> list[dict[str, tuple[str, ...]]]:
    return [dict(decoded(answer)) for _, answer in data.train]


def kinds_of(data: TextSet) -> list[tuple[str, str, tuple[str, ...]]]:
    assert data.form is not None
    assert data.labels == data.form.labels
    return [(cut.name, cut.kind, cut.labels) for cut in data.form.layout.cuts]


def complaint(path: Path, asked: str | Columns, dev: Path | None = None, **options: Any) -> str:
    with pytest.raises(BadCorpusError) as refused:
        read(path, asked, dev, **options)
    return str(refused.value)


def labelled(*labels: object) -> list[Row]:
    return [{"text": f"text {n}", "label": label} for n, label in enumerate(labels)]


def test_a_list_is_any_number_of_labels_and_an_empty_one_says_none(tmp_path: Path) -> None:
    data = read(file_of(tmp_path, *labelled(["b", "a"], [], ["a"], None, ["a", "a"])), "label")
    assert kinds_of(data) == [("label", ANY_OF, ("a", "b"))]
    assert answers_of(data) == [{"label": ("a", "b")}, {"label": ()}, {"label": ("a",)}, {"label": ("a",)}]
    assert "4 of 5 rows used; not used: 1 without a label (the first: line 4)" in data.notes[0]
    assert data.counts()["train"] == {"a": 3, "b": 1}


def test_labels_of_each_question_are_doubted(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "topic": "ab"[n % 2], "tags": ("?", "1.5", "k")[n % 3]} for n in range(6)]
    topic, tags = by_question(read(file_of(tmp_path, *rows), BOTH))
    assert (topic, tags) == ({"a": 3, "b": 3}, {"1.5": 2, "?": 2, "k": 2})
    assert list(doubtful(topic)) == []
    withheld, decimal = doubtful(tags)
    assert withheld.startswith("'?' is taken as a class")
    assert decimal.startswith("numbers such as 1.5 are taken as names of classes")


def test_lists_of_one_label_each_are_one_class_as_before(tmp_path: Path) -> None:
    data = read(file_of(tmp_path, *labelled(["b"], ["a"], [])), "label")
    assert data.form is None
    assert [label for _, label in data.train] == ["b", "a"]
    asked = read(file_of(tmp_path, *labelled(["b"], ["a"], [])), Columns(("label",), any_of=("label",)))
    assert answers_of(asked) == [{"label": ("b",)}, {"label": ("a",)}, {"label": ()}]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_separator_stands_between_labels_of_which_any_may_be_given(tmp_path: Path, name: str) -> None:
    rows = labelled("b; a", "", "a;", "c")
    data = read(file_of(tmp_path, *rows, name=name), Columns(("label",), ";"))
    assert kinds_of(data) == [("label", ANY_OF, ("a", "b", "c"))]
    assert [answer["label"] for answer in answers_of(data)] == [("a", "b"), (), ("a",), ("c",)]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_each_column_is_a_question_and_an_empty_cell_of_one_class_is_no_answer(tmp_path: Path, name: str) -> None:
    rows: list[Row] = [
        {"text": "a", "topic": "sport", "tags": "x|y", "stars": 2},
        {"text": "b", "topic": "", "tags": "", "stars": 10},
        {"text": "c", "topic": "news", "tags": "y", "stars": ""},
    ]
    asked = Columns(("topic", "tags", "stars"), "|", ordered=("stars",))
    data = read(file_of(tmp_path, *rows, name=name), asked)
    steps = ("stars", ORDERED, ("2", "10"))
    assert kinds_of(data) == [("topic", ONE_OF, ("news", "sport")), ("tags", ANY_OF, ("x", "y")), steps]
    assert answers_of(data) == [
        {"topic": ("sport",), "tags": ("x", "y"), "stars": ("2",)},
        {"tags": (), "stars": ("10",)},
        {"topic": ("news",), "tags": ("y",)},
    ]
    assert data.counts()["train"]["tags: y"] == 2


def test_labels_are_read_in_their_usual_form_and_as_in_training(tmp_path: Path) -> None:
    rows: list[Row] = [{"text": "a", "topic": 1.0, "tags": ["True", "x"]}, {"text": "b", "topic": "2", "tags": ["x"]}]
    data = read(file_of(tmp_path, *rows), BOTH)
    assert kinds_of(data) == [("topic", ONE_OF, ("1", "2")), ("tags", ANY_OF, ("true", "x"))]
    assert answers_of(data)[0] == {"topic": ("1",), "tags": ("true", "x")}
    dev = file_of(tmp_path, {"text": "c", "topic": "1", "tags": ["X"]}, name="dev.jsonl")
    message = complaint(file_of(tmp_path, *rows), BOTH, dev)
    assert "line 1: the label 'X' in column 'tags' is not among those of the training set ('true', 'x')" in message
    assert "It seems to be 'x' written in another way" in message


def test_a_form_has_a_fingerprint_of_its_own(tmp_path: Path) -> None:
    path = file_of(tmp_path, *labelled("1", "2", "3"))
    kinds = [Columns(("label",)), Columns(("label",), any_of=("label",)), Columns(("label",), ordered=("label",))]
    assert len({read(path, asked).fingerprint for asked in kinds}) == 3


@pytest.mark.parametrize(
    ("rows", "asked", "words"),
    [
        (labelled("a", "b"), Columns(("label",), ordered=("label",)), "line 1: 'label' holds 'a', and steps are"),
        (labelled(["1", "2"], ["1"]), Columns(("label",), ordered=("label",)), "line 1: 'label' has one label a text"),
        (labelled("a", "a"), Columns(("label",), any_of=("tone",)), "'tone' is not among the labels 'label'"),
        (labelled("1"), Columns(("label",), any_of=("label",), ordered=("label",)), "or they are steps. Give one of"),
        (labelled(1, 1), Columns(("label",), ordered=("label",)), "expected at least 2 labels in 'label' to learn fro"),
        (labelled("", ""), Columns(("label",), ";"), "expected at least 1 label in 'label' to learn from, found none"),
        (labelled("a;b"), Columns(("label", "tone"), ";"), "line 1: expected a value named 'tone', found 'text', 'lab"),
        (labelled("a"), Columns(("label", "label")), "The column 'label' is asked for twice"),
        (labelled({"x": 1}, ["a", "b"]), Columns(("label",), ";"), "line 1: expected a label (a word, a whole number"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named(tmp_path: Path, rows: Sequence[Row], asked: Columns, words: str) -> None:
    assert words in complaint(file_of(tmp_path, *rows), asked)


def test_one_label_of_training_is_not_several_of_dev(tmp_path: Path) -> None:
    train = file_of(tmp_path, {"text": "a", "topic": "x", "tags": ["p", "q"]}, {"text": "b", "topic": "y", "tags": []})
    dev = file_of(tmp_path, {"text": "c", "topic": ["x", "y"], "tags": []}, name="dev.jsonl")
    assert "line 1: 'topic' has one label a text, and here 'x', 'y'. Give --any-of topic" in complaint(train, BOTH, dev)
    assert "cannot be the positive class of several questions" in complaint(train, BOTH, positive="x")


# Label Studio's exports


def item(name: str, kind: str, value: object) -> dict[str, object]:
    return {
        "from_name": name,
        "to_name": "text",
        "type": kind,
        "value": {"selected" if kind == "pairwise" else kind: value},
    }


def task(number: int, *results: Sequence[Mapping[str, object]], **more: object) -> dict[str, object]:
    annotations = [
        {"result": list(result), "updated_at": f"2026-11-0{n + 1}T00:00:00Z", **more}
        for n, result in enumerate(results)
    ]
    return {"id": number, "data": {"text": f"text {number}"}, "annotations": annotations}


CONTROLS = Columns(("topic", "tags", "tree", "stars", "side"), any_of=("tree",))


def export(directory: Path, *tasks: object) -> Path:
    path = directory / "tasks.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def test_an_export_has_every_kind_of_control_and_who_ticked_nothing_said_none(tmp_path: Path) -> None:
    whole = [
        item("topic", "choices", ["sport"]), item("tags", "choices", [["p"], ["p", "q"]]), item("stars", "rating", 4),
        item("tree", "taxonomy", [["A", "A1"], ["B"]]), item("side", "pairwise", "left"),
    ]  # fmt: skip
    rest = [item("topic", "choices", ["news"]), item("stars", "rating", 1), item("side", "pairwise", "right")]
    path = export(tmp_path, task(1, whole), task(2, rest), task(3), task(4, rest, was_cancelled=True))
    data = read(path, CONTROLS)
    assert kinds_of(data) == [
        ("topic", ONE_OF, ("news", "sport")),
        ("tags", ANY_OF, ("p", "p > q")),
        ("tree", ANY_OF, ("A > A1", "B")),
        ("stars", ORDERED, ("1", "4")),
        ("side", ONE_OF, ("left", "right")),
    ]
    assert answers_of(data) == [
        {"topic": ("sport",), "tags": ("p", "p > q"), "tree": ("A > A1", "B"), "stars": ("4",), "side": ("left",)},
        {"topic": ("news",), "tags": (), "tree": (), "stars": ("1",), "side": ("right",)},
    ]
    assert "2 of 4 tasks used; not used: 1 open (the first: item 3, task 3), 1 skipped" in data.notes[0]


def test_votes_are_counted_for_each_question(tmp_path: Path) -> None:
    votes = [
        [item("topic", "choices", ["x"]), item("tags", "choices", ["p", "q"])],
        [item("topic", "choices", ["y"]), item("tags", "choices", ["q"])],
        [item("topic", "choices", ["y"]), item("tags", "choices", ["r"])],
    ]
    data = read(export(tmp_path, task(1, *votes), task(2, votes[0])), BOTH)
    assert answers_of(data)[0] == {"topic": ("y",), "tags": ("q",)}
    assert "1 task has answers that differ (the first: item 1); of each question ground truth decides" in data.notes[1]


def test_tables_of_annotations_are_joined_by_task(tmp_path: Path) -> None:
    made = {"annotator": 1, "updated_at": "2026-11-01"}
    rows: list[Row] = [
        {"id": 1, "text": "a", "topic": "x", "tags": '{"choices":["p","q"]}', "annotation_id": 1, **made},
        {"id": 1, "text": "a", "topic": "y", "tags": "p", "annotation_id": 2, **made, "updated_at": "2026-11-02"},
        {"id": 2, "text": "b", "topic": "x", "tags": "", "annotation_id": 3, **made},
        {"id": 3, "text": "c", "topic": "", "tags": "", "annotation_id": "", **made},
    ]
    data = read(file_of(tmp_path, *rows, name="export.csv"), BOTH)
    assert answers_of(data) == [{"topic": ("y",), "tags": ("p",)}, {"topic": ("x",), "tags": ()}]
    assert "2 of 3 tasks used; not used: 1 open" in data.notes[0]


def test_controls_that_are_not_there_or_label_parts_are_named(tmp_path: Path) -> None:
    path = export(tmp_path, task(1, [item("topic", "choices", ["x"])]))
    assert "no annotation answers a control named 'tags'; they answer 'topic'" in complaint(path, BOTH)
    path = export(tmp_path, task(1, [item("topic", "labels", ["x"]), item("tags", "choices", ["x"])]))
    assert "item 1: the control 'topic' gives 'labels', which is no label of a whole text" in complaint(path, BOTH)


def test_prodigys_rejected_rows_say_nothing(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"text": "a", "accept": ["x", "y"], "answer": "accept"},
        {"text": "b", "accept": [], "answer": "accept"},
        {"text": "c", "accept": ["x"], "answer": "reject"},
    ]
    data = read(file_of(tmp_path, *rows), Columns(("accept",), any_of=("accept",)))
    assert answers_of(data) == [{"accept": ("x", "y")}, {"accept": ()}]
    assert "1 rejected" in data.notes[0]
