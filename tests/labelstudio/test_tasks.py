"""Tasks and annotations as Label Studio really sends them: texts, splits, votes, and what is odd about them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.labelling_configs import HTML, PAIR, SINGLE, choices, text, view
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.objects.fields import MAX_TEXT
from nextlabel.labelstudio.tasks import is_holdout, read_task, to_example, to_vote
from nextlabel.learning.control import Control
from nextlabel.problems.single_choice import consensus
from nextlabel.values.counting import HeldOut
from nextlabel.values.examples import Example, Unreadable
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import ProjectOptions
from nextlabel.values.survey import (
    HALF,
    HELD_OUT,
    NOT_COUNTED,
    NOT_WORDS,
    OF_LABELS,
    SPLIT,
    UNREADABLE,
    Note,
)

laws = settings(derandomize=True, deadline=None, max_examples=100)


# Tasks


@pytest.mark.parametrize(
    "value",
    ["A plain text.", " spaces stay ", "🙂👩‍👩‍👧", "Ελληνικά עברית 漢字 ไทย", "e\u0301", "a\0b", "x" * 100_000],
    ids=["plain", "spaces", "emoji", "scripts", "combining", "nul", "long"],
)
def test_a_text_is_taken_as_it_is(value: str) -> None:
    assert to_example(SINGLE, {"id": 7, "data": {"text": value, "split": "train"}}) == Example(7, value)


@pytest.mark.parametrize(("value", "read"), [(7, "7"), (0, "0"), (2.5, "2.5"), (-1, "-1")])
def test_a_number_counts_as_text(value: float, read: str) -> None:
    assert to_example(SINGLE, {"id": 1, "data": {"text": value}}) == Example(1, read)


def test_both_texts_of_a_pair_are_taken_in_order() -> None:
    assert to_example(PAIR, {"id": 1, "data": {"s2": "second", "s1": "first"}}) == Example(1, "first", "second")


def test_of_an_endless_text_only_the_beginning_is_looked_at() -> None:
    read = to_example(SINGLE, {"id": 1, "data": {"text": "ab" * MAX_TEXT}})
    assert read == Example(1, "ab" * (MAX_TEXT // 2))


def test_a_lone_surrogate_becomes_encodable() -> None:
    example = to_example(SINGLE, {"id": 1, "data": json.loads(r'{"text": "a\ud800b \ud83d\ude42"}')})
    assert example == Example(1, "a?b 🙂")


@pytest.mark.parametrize(
    ("html", "read"),
    [
        ("<p>A &amp; B</p>\n<p class='x'>next &lt;line&gt;</p>", "A & B next <line>"),
        ("one<br/>two <!-- not this --> three", "one two three"),
        ("no tags at all", "no tags at all"),
    ],
)
def test_html_is_read_as_a_person_sees_it(html: str, read: str) -> None:
    assert to_example(HTML, {"id": 1, "data": {"text": html}}) == Example(1, read)


def test_what_stands_inside_of_a_text_goes_before_its_value_as_in_the_editor() -> None:
    mail = '<HyperText name="mail" value="$other"><h1>$title</h1><p>It says: <b>$body</b></p></HyperText>'
    plain = '<Text name="note" value="$other">$note</Text>'
    config = parse_label_config(view(mail, plain, choices('toName="mail"')))
    data = {"title": "Offer", "body": "Buy!", "note": "<b>", "other": "never"}
    assert to_example(config, {"id": 1, "data": data}) == Example(1, "Offer It says: Buy!", "<b>")
    spread = parse_label_config(view('<HyperText name="mail" value="$body">\n</HyperText>', choices('toName="mail"')))
    assert spread.fields == ("body",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "'s1' is missing"),
        ({"s1": ""}, "the field 's1' is empty and the field 's2' is missing"),
        ({"s1": None, "s2": None}, "the field 's1' is empty and the field 's2' is empty"),
        ({"s1": " \t\n\u00a0\u3000", "s2": " "}, "'s1' is empty"),
        ({"s1": [], "s2": [{"author": "a", "text": "b"}]}, "'s2' holds a list, not a text"),
        ({"s1": {"a": 1}}, "'s1' holds an object, not a text"),
        (None, "no data"),
        ("first", "no data"),
    ],
)
def test_an_unreadable_task_says_why(data: object, reason: str) -> None:
    answer = to_example(PAIR, {"id": 9, "data": data})
    assert isinstance(answer, Unreadable)
    assert answer.id == 9
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("data", "read"),
    [
        ({"s1": "first"}, Example(1, "first")),
        ({"s1": "", "s2": "second"}, Example(1, "second")),
        ({"s1": None, "s2": "second"}, Example(1, "second")),
        ({"s1": {"a": 1}, "s2": "second"}, Example(1, "second")),
        ({"s1": True, "s2": 2.0}, Example(1, "true", "2")),
        ({"s1": ["a", 2], "s2": "second"}, Example(1, "a,2", "second")),
    ],
)
def test_of_a_pair_the_half_that_exists_is_read(data: object, read: Example) -> None:
    assert to_example(PAIR, {"id": 1, "data": data}) == read


def shows(value: str, attributes: str = "") -> LabelConfig:
    """A config with this value in its text."""
    return parse_label_config(view(f'<Text name="text" value="{value}" {attributes}/>', choices()))


DATA = {
    "review": {"body": "nested", "parts": [{"text": "deep"}]},
    "texts": ["first", "second"],
    "a.b": "a key with a dot",
    "body": "body",
    "title": "title",
    "内容": "内容",
    "my-field": "hyphen",
}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("$review.body", "nested"),
        ("$review.parts[0].text", "deep"),
        ("$texts[1]", "second"),
        ("$texts", "first,second"),
        ("$a.b", "a key with a dot"),
        ("$内容", "内容"),
        ("$my-field", "hyphen"),
        ("Ticket: $body", "Ticket: body"),
        ("$title: $body", "title: body"),
        ("$title $nothing", "title "),
    ],
)
def test_a_value_is_read_as_the_editor_reads_it(value: str, read: str) -> None:
    assert to_example(shows(value), {"id": 1, "data": DATA}) == Example(1, read)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("$review.title", "the field 'review.title' is missing"),
        ("$texts[2]", "the field 'texts[2]' is missing"),
        ("$body.text", "the field 'body.text' is missing"),
        ("Ticket: $number", "the field 'Ticket: $number' is missing"),
        ("$review", "the field 'review' holds an object, not a text"),
        ("$review.parts", "the field 'review.parts' holds a list, not a text"),
    ],
)
def test_a_value_that_leads_nowhere_is_named(value: str, reason: str) -> None:
    assert to_example(shows(value), {"id": 1, "data": DATA}) == Unreadable(1, reason)


@pytest.mark.parametrize(
    ("encoding", "value", "read"),
    [
        ("base64", "SSBsb3ZlIGl0", "I love it"),
        ("base64", "SSBs\nb3Zl\nIGl0\n", "I love it"),
        ("base64", "Y2Fm6Q==", "caf\u00e9"),  # the editor's atob: a byte, a character
        ("base64unicode", "Y2Fmw6k=", "caf\u00e9"),
        ("none", "SSBsb3ZlIGl0", "SSBsb3ZlIGl0"),
    ],
)
def test_an_encoded_text_is_decoded_as_the_editor_does(encoding: str, value: str, read: str) -> None:
    config = shows("$text", f'encoding="{encoding}"')
    assert to_example(config, {"id": 1, "data": {"text": value}}) == Example(1, read)


@pytest.mark.parametrize("value", ["I love it!", "SSBsb3ZlIGl", "Y2Fm6Q=="])
def test_a_text_that_is_not_encoded_as_the_config_says_is_unreadable(value: str) -> None:
    answer = to_example(shows("$text", 'encoding="base64unicode"'), {"id": 1, "data": {"text": value}})
    assert answer == Unreadable(1, "the field 'text' is not base64unicode, as the labelling config says")


def test_html_without_text_is_empty() -> None:
    answer = to_example(HTML, {"id": 1, "data": {"text": "<p> <br/>&nbsp;</p>"}})
    assert answer == Unreadable(1, "the field 'text' is empty, apart from its HTML tags")


def test_a_task_without_anything_is_unreadable() -> None:
    assert to_example(SINGLE, {}) == Unreadable(0, "the task has no data")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "id", "x"]), inner),
    max_leaves=6,
)


@laws
@given(task=st.dictionaries(st.sampled_from(["id", "data", "annotations"]), json_values))
def test_any_task_is_either_readable_or_says_why(task: Mapping[str, Any]) -> None:
    answer = to_example(SINGLE, task)
    if isinstance(answer, Example):
        assert answer.text.strip()
        assert answer.text.encode().decode() == answer.text
    else:
        assert answer.reason


WORDS = ["holdout", "validation", "dev", "test", " Test ", "val", "valid", "Eval", "evaluation", "held-out", "TESTING"]


@pytest.mark.parametrize("split", WORDS)
def test_held_out_splits_are_known(split: str) -> None:
    assert is_holdout({"data": {"split": split}})


@pytest.mark.parametrize("task", [{"data": {"split": "train"}}, {"data": {"text": "test"}}, {"data": None}, {}])
def test_everything_else_is_for_training(task: dict[str, Any]) -> None:
    assert not is_holdout(task)


def test_of_labels_before_a_day_a_share_is_held_out_copies_together_and_none_of_the_control_set() -> None:
    options = ProjectOptions(control_seed="a seed", hold_out=HeldOut(0.3, "2026-11-24"))
    config = replace(parse_label_config(view(text("text"), choices()), options), control=Control("a seed", 0.1))
    labels = [[annotation("pos")], [annotation("pos", updated_at="2026-11-24T00:00:00Z")], []]

    def read(annotations: object) -> list[TaskRow]:
        texts = [f"{word} {i}" for i in range(1000) for word in ("Text", "TEXT")]
        tasks = [{"id": i, "data": {"text": one}, "annotations": annotations} for i, one in enumerate(texts)]
        return [read_task(config, task) for task in tasks]

    before, later, without = map(read, labels)
    held_out = [row for row in before if row.holdout]
    assert 440 < len(held_out) < 640, "0.3 of the nine tenths that are not of the control set, two copies each"
    assert {row.id // 2 for row in held_out if row.id % 2} == {row.id // 2 for row in held_out if not row.id % 2}
    assert not any(row.draw or row.open for row in held_out)
    assert {note for row in held_out for note in row.notes} == {Note(OF_LABELS, "2026-11-24")}
    assert not any(row.holdout for row in (*later, *without))
    assert [row.draw for row in before] == [row.draw for row in without]
    config = replace(config, hold_out=replace(config.hold_out, since="2026-11-24"))
    assert not any(row.holdout for row in read(labels[0])), "a guideline came later, so that they would judge nothing"


# Annotations


def annotation(*labels: str, **changes: object) -> dict[str, Any]:
    """An annotation with the fields of Label Studio's webhook and export."""
    item = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}
    return {
        "id": 1,
        "result": [item],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-11-23T14:39:15.847765Z",
        "updated_at": "2026-11-23T14:39:15.847800Z",
        **changes,
    }


def result(from_name: str = "label", kind: str = "choices", value: object = None) -> dict[str, object]:
    return {"from_name": from_name, "to_name": "text", "type": kind, "value": value or {"choices": ["pos"]}}


def test_an_annotation_is_a_vote_of_the_time_of_its_last_change() -> None:
    assert to_vote(SINGLE, annotation("pos")) == Vote(
        "pos", False, "2026-11-23T14:39:15.847800Z", first="2026-11-23T14:39:15.847765Z"
    )


def test_a_skipped_annotation_is_no_label_though_it_carries_one() -> None:
    assert to_vote(SINGLE, annotation("pos", was_cancelled=True)) is None


@pytest.mark.parametrize(
    "result_items",
    [
        None,
        [],
        "pos",
        [None],
        [result(from_name="other")],
        [result(kind="taxonomy", value={"taxonomy": [["pos"]]})],
        [result(kind="labels")],
        [result(value={"choices": []})],
        [result(value={"choices": ""})],
        [result(value={"choices": [{"pos": 1}]})],
        [result(value="pos")],
        [result(value={"choices": ["pos", "neg"]})],
        [result(), result(value={"choices": ["neg"]})],
    ],
    ids=json.dumps,
)
def test_an_annotation_without_exactly_one_choice_of_our_control_is_no_label(result_items: object) -> None:
    assert to_vote(SINGLE, annotation("pos", result=result_items)) is None


@pytest.mark.parametrize(
    "value",
    [
        {"choices": "pos"},
        {"choices": ["pos", "pos"]},
        {"choices": [" pos "]},
        {"choices": ["pos", ""]},
        {"choices": ["pos", "pos "]},
    ],
    ids=json.dumps,
)
def test_what_can_only_mean_one_label_is_a_vote_for_it(value: object) -> None:
    vote = to_vote(SINGLE, annotation(result=[result(value=value)]))
    assert vote is not None
    assert consensus([vote], SINGLE.label_of) == "pos"


def test_the_same_label_in_two_items_is_one_vote() -> None:
    vote = to_vote(SINGLE, annotation(result=[result(), result()]))
    assert vote is not None
    assert vote.label == "pos"


@pytest.mark.parametrize(("given", "label"), [(1, "1"), (1.0, "1"), (2.5, "2.5"), (True, "true")])
def test_a_label_may_be_a_number(given: object, label: str) -> None:
    vote = to_vote(SINGLE, annotation(result=[result(value={"choices": [given]})]))
    assert vote is not None
    assert vote.label == label


def test_a_label_of_the_config_may_have_blanks_around_it() -> None:
    config = parse_label_config(view(text("text"), choices(labels='<Choice value=" pos "/><Choice value="neg"/>')))
    assert [config.label_of(given) for given in (" pos ", "pos", "neg ", "Pos", "")] == [
        " pos ",
        " pos ",
        "neg",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("label", "given"),
    [
        ("Größe", "Gro\u0308ße"),
        ("Gro\u0308ße", "Größe"),
        ("very good", "very\u00a0good"),
        ("very good", "very  good\n"),
        ("pos", "\ufeffpos\u200b"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_labels_that_look_the_same_are_the_same(label: str, given: str) -> None:
    config = parse_label_config(view(text("text"), choices(labels=f'<Choice value="{label}"/><Choice value="neg"/>')))
    assert config.label_of(given) == label


def test_labels_of_the_config_that_look_the_same_are_told_apart_by_their_letters_alone() -> None:
    config = parse_label_config(view(text("text"), choices(labels='<Choice value="a b"/><Choice value="a\u00a0b"/>')))
    assert [config.label_of(given) for given in ("a b", "a\u00a0b")] == ["a b", "a\u00a0b"]


def test_a_map_that_was_pasted_without_its_odd_blank_works() -> None:
    options = ProjectOptions(label_map={"very nice": "pos"})
    config = parse_label_config(view(text("text"), choices()), options)
    assert config.label_of("very\u00a0nice") == "pos"


def test_a_mapped_label_counts_as_the_one_it_is_mapped_to() -> None:
    config = parse_label_config(view(text("text"), choices()), ProjectOptions(label_map={"good": "pos", "bad": "gone"}))
    assert [config.label_of(given) for given in ("good", " good ", "bad", "pos")] == ["pos", "pos", None, "pos"]


WHY = {
    "nothing": ([], "nothing is chosen"),
    "an empty choice": ([result(value={"choices": []})], "nothing is chosen"),
    "another question": ([result(from_name="ner", kind="labels")], "only other questions are answered: ner"),
    "a question of another name": (
        [result(from_name="sentiment")],
        "the name of the question is sentiment, in the labelling config it is label",
    ),
    "no type": (
        [{"from_name": "label", "to_name": "text", "value": {"choices": ["pos"]}}],
        'the type is missing in the place of "choices"',
    ),
    "another type": ([result(kind="labels")], 'the type is labels in the place of "choices"'),
    "two labels": ([result(value={"choices": ["pos", "neg"]})], "several labels are given"),
    "one label": ([result()], ""),
}


@pytest.mark.parametrize(("items", "why"), WHY.values(), ids=WHY)
def test_why_an_annotation_gives_no_label_is_noted(items: list[object], why: str) -> None:
    row = read_task(SINGLE, task_body(annotations=[annotation(result=items)]))
    assert [note.detail for note in row.notes if note.kind == NOT_COUNTED] == ([why] if why else [])
    assert bool(row.votes) == (not why)


def test_a_skip_is_nothing_to_note() -> None:
    row = read_task(SINGLE, task_body(data={"text": "A text."}, annotations=[annotation(was_cancelled=True)]))
    assert row.notes == ()


def test_a_vote_knows_whether_a_prediction_had_filled_it_in() -> None:
    votes = [to_vote(SINGLE, annotation(result=[{**result(), "origin": o}])) for o in ("prediction", "manual")]
    assert [vote.accepted for vote in votes if vote] == [True, False]


NOTED = {
    "a plain text": ({"text": "A plain text."}, []),
    "no text": ({}, [Note(UNREADABLE, "the field 'text' is missing")]),
    "an address": ({"text": "https://example.com/a.txt"}, [Note(NOT_WORDS, "text: an address")]),
    "held out": ({"text": "A text.", "split": "Valid"}, [Note(HELD_OUT, "valid")]),
    "an unknown split": ({"text": "A text.", "split": "Test A"}, [Note(SPLIT, "Test A")]),
    "to learn from": ({"text": "A text.", "split": "Train"}, []),
    "no split": ({"text": "A text.", "split": None}, []),
}


@pytest.mark.parametrize(("data", "notes"), NOTED.values(), ids=NOTED)
def test_what_is_odd_about_a_task_is_noted(data: dict[str, object], notes: list[Note]) -> None:
    assert list(read_task(SINGLE, task_body(data=data)).notes) == notes


def test_a_missing_half_is_noted() -> None:
    assert read_task(PAIR, task_body(data={"s1": "One.", "s2": ""})).notes == (Note(HALF, "the field 's2' is empty"),)


def test_our_choice_is_found_among_items_of_other_controls() -> None:
    why = {"from_name": "why", "to_name": "text", "type": "textarea", "value": {"text": ["because"]}}
    vote = to_vote(SINGLE, annotation("pos", result=[why, result(from_name="other"), result()]))
    assert vote is not None
    assert vote.label == "pos"


def test_an_unknown_label_is_kept_as_a_vote_and_left_out_of_the_consensus() -> None:
    vote = to_vote(SINGLE, annotation("a label of an older config"))
    assert vote is not None
    assert consensus([vote], SINGLE.label_of) is None
    assert consensus([vote, Vote("neg", False, "2020")], SINGLE.label_of) == "neg"


def task_body(**changes: object) -> dict[str, Any]:
    """A task as the data manager API tells it."""
    return {
        "id": 3,
        "data": {"text": "t0"},
        "meta": {},
        "is_labeled": False,
        "overlap": 1,
        "total_annotations": 0,
        "cancelled_annotations": 0,
        "annotations": [],
        "predictions": [],
        **changes,
    }


def test_a_fresh_task_is_in_the_pool() -> None:
    row = read_task(SINGLE, task_body())
    assert row.open
    assert (row.id, row.example, row.votes, row.annotations) == (3, Example(3, "t0"), (), 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"is_labeled": True},
        {"annotations": [annotation("pos")], "total_annotations": 1},
        {"data": {"text": "t0", "split": "holdout"}},
        {"data": {"txt": "t0"}},
    ],
    ids=["served enough", "labelled once of twice", "held out", "unreadable"],
)
def test_a_task_outside_the_pool_is_told_apart(changes: dict[str, object]) -> None:
    assert not read_task(SINGLE, task_body(**changes)).open


def test_a_task_that_was_only_skipped_stays_in_the_pool() -> None:
    row = read_task(SINGLE, task_body(annotations=[annotation("pos", was_cancelled=True)], cancelled_annotations=1))
    assert row.open
    assert row.skipped
    assert row.votes == ()


@pytest.mark.parametrize(
    ("html", "read"),
    [
        ("<p>one</p><p>two</p>a<br>b", "one two a b"),
        ("<b>H</b>ello &amp; more", "Hello & more"),
        ("<style>b{color:red}</style>Hello<script>alert(1)</script>", "Hello"),
        ("<![foo[x]]>hello", "hello"),
        ("no tags at all", "no tags at all"),
    ],
)
def test_of_an_html_text_only_what_a_person_reads_is_classified(html: str, read: str) -> None:
    config = parse_label_config(
        '<View><HyperText name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/>'
        "</Choices></View>"
    )
    assert to_example(config, {"id": 1, "data": {"t": html}}) == Example(1, read)


def test_broken_html_is_read_in_no_time() -> None:
    config = parse_label_config(
        '<View><HyperText name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/>'
        "</Choices></View>"
    )
    for html in ("<a " * 30000, "<!--" * 30000, "<a='" * 30000):
        assert isinstance(to_example(config, {"id": 1, "data": {"t": html}}), Unreadable)
