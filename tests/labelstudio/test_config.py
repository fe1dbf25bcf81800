"""The edge to Label Studio: configs, tasks, annotations and predictions as it really sends and stores them."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.errors import BadRequestError, RefusedConfigError
from nextlabel.labelstudio.config import (
    MAX_CONFIG,
    MAX_TEXT,
    LabelConfig,
    TextField,
    is_holdout,
    no_prediction,
    parse_label_config,
    project_id_of,
    read_task,
    shown_choice,
    to_example,
    to_prediction,
    to_score,
    to_vote,
)
from nextlabel.learning.strategies import acquire
from nextlabel.values.examples import Example, Unreadable
from nextlabel.values.labels import Vote, consensus
from nextlabel.values.options import ProjectOptions
from nextlabel.values.survey import (
    HALF,
    HELD_OUT,
    NOT_COUNTED,
    NOT_WORDS,
    SPLIT,
    UNREADABLE,
    Note,
)

laws = settings(derandomize=True, deadline=None, max_examples=100)


def view(*tags: str) -> str:
    return f"<View>{''.join(tags)}</View>"


def text(name: str, attributes: str = "", tag: str = "Text") -> str:
    return f'<{tag} name="{name}" value="${name}" {attributes}/>'


def choices(attributes: str = 'toName="text"', labels: str = '<Choice value="pos"/><Choice value="neg"/>') -> str:
    return f'<Choices name="label" {attributes}>{labels}</Choices>'


PAIR_XML = view(text("s1"), text("s2"), choices('toName="s1"'))
SINGLE = parse_label_config(view(text("text"), choices()))
PAIR = parse_label_config(PAIR_XML)
HTML = parse_label_config(view(text("text", tag="HyperText"), choices()))


# Configs


def test_a_single_text_config_is_read() -> None:
    assert LabelConfig("label", "text", (TextField("$text", "text"),), ("pos", "neg")) == SINGLE


def test_a_pair_keeps_the_order_of_the_config_whichever_text_the_control_points_to() -> None:
    assert PAIR.fields == ("s1", "s2")
    assert PAIR.to_name == "s1"
    assert parse_label_config(view(text("s1"), text("s2"), choices('toName="s2"'))).fields == ("s1", "s2")


def test_the_field_is_the_variable_and_not_the_name_of_the_tag() -> None:
    config = parse_label_config(view('<Text name="text" value="$review_body"/>', choices()))
    assert (config.fields, config.to_name) == (("review_body",), "text")


def test_an_alias_is_the_label() -> None:
    labels = '<Choice value="Positive" alias="pos"/><Choice value="Negative"/>'
    assert parse_label_config(view(text("text"), choices(labels=labels))).labels == ("pos", "Negative")


@pytest.mark.parametrize("choice", ["single", "single-radio"])
def test_both_ways_to_show_a_single_choice_are_served(choice: str) -> None:
    assert parse_label_config(view(text("text"), choices(f'toName="text" choice="{choice}"'))) == SINGLE


def test_headings_and_nested_views_do_not_disturb() -> None:
    xml = view(
        "<Style>.a {color: red}</Style><Header value='$title'/><Text name='hint' value='Read slowly.'/>",
        f'<View className="a">{text("text")}</View>',
        view(choices(labels='<View><Choice value="pos"/></View><Choice value="neg"/>')),
        '<TextArea name="why" toName="text"/>',
    )
    assert parse_label_config(xml) == SINGLE


def test_hypertext_is_marked_as_html() -> None:
    pair = parse_label_config(view(text("s1", tag="HyperText"), text("s2"), choices('toName="s1"')))
    assert [[shown.html for shown in config.texts] for config in (HTML, pair)] == [[True], [True, False]]


BOMB = f"""<!DOCTYPE lolz [<!ENTITY a "lol">{"".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))}]>
<View>&i;{text("text")}{choices()}</View>"""  # noqa: E501

REFUSED = {
    "multiple choice": (view(text("text"), choices('toName="text" choice="multiple"')), 'Set choice="single"'),
    "per region": (view(text("text"), choices('toName="text" perRegion="true"')), "Remove perRegion"),
    "per item": (view(text("text"), choices('toName="text" perItem="true"')), "Remove perItem"),
    "labels from the task": (
        view(text("text"), choices('toName="text" value="$opts"', "")),
        "List the labels as <Choice>",
    ),
    "toName with two texts": (view(text("s1"), text("s2"), choices('toName="s1,s2"')), 'Set toName="s1"'),
    "toName elsewhere": (view(text("text"), choices('toName="img"')), "Set toName to one of them"),
    "addresses": (view(text("text", 'valueType="url"'), choices()), 'set valueType="text"'),
    "taxonomy only": (view(text("text"), '<Taxonomy name="t" toName="text"/>'), "0 Choices and Taxonomy; exactly one"),
    "no control": (view(text("text")), "exactly one <Choices> is needed"),
    "two controls": (view(text("text"), choices(), choices()), "Keep one, or use separate projects"),
    "three texts": (
        view(text("a"), text("b"), text("c"), choices('toName="a"')),
        "Choose with nextlabel connect --fields a,b",
    ),
    "no text": (view('<Image name="text" value="$image"/>', choices()), "<Image> is not classified"),
    "no label": (view(text("text"), choices(labels="")), "at least two different"),
    "one label": (view(text("text"), choices(labels='<Choice value="pos"/>')), "at least two different"),
    "the same label twice": (view(text("text"), choices(labels='<Choice value="a"/>' * 2)), "at least two different"),
    "the same alias twice": (
        view(text("text"), choices(labels='<Choice value="a" alias="x"/><Choice value="b" alias="x"/>')),
        "at least two different",
    ),
    "an empty label": (view(text("text"), choices(labels='<Choice value=""/><Choice value="b"/>')), "non-empty"),
    "a tree of labels": (
        view(text("text"), choices(labels='<Choice value="a"><Choice value="b"/></Choice><Choice value="c"/>')),
        "list the labels flat",
    ),
    "repeated controls": (view(text("text"), f"<Repeater on='$x'>{choices()}</Repeater>"), "labels whole tasks"),
    "nothing": ("", "not well-formed XML"),
    "half a config": ("<View><Text", "not well-formed XML"),
    "a lone surrogate": (view("\ud800"), "not well-formed XML"),
    "an entity bomb": (BOMB, "has a DTD or entities of its own"),
    "an external entity": (
        '<!DOCTYPE View [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + view("&x;", text("text"), choices()),
        "has a DTD or entities of its own",
    ),
    "a document type": (
        '<!DOCTYPE View SYSTEM "file:///nowhere.dtd">' + view(text("text"), choices()),
        "has a DTD or entities of its own",
    ),
}


@pytest.mark.parametrize(("xml", "remedy"), REFUSED.values(), ids=REFUSED)
def test_a_config_that_cannot_be_served_is_refused_with_the_remedy(xml: str, remedy: str) -> None:
    with pytest.raises(RefusedConfigError) as refusal:
        parse_label_config(xml)
    assert remedy in str(refusal.value)


def test_only_what_decides_how_a_task_is_read_changes_the_reading() -> None:
    more_labels = parse_label_config(view(text("text"), choices(labels='<Choice value="a"/><Choice value="b"/>')))
    assert more_labels.reading == SINGLE.reading
    renamed = view(text("text"), choices()).replace('name="label"', 'name="other"')
    other_field = view('<Text name="text" value="$txt"/>', choices())
    readings = {SINGLE.reading, PAIR.reading, HTML.reading}
    readings |= {parse_label_config(xml).reading for xml in (renamed, other_field)}
    assert len(readings) == 5


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


def test_an_endless_config_is_refused_before_it_is_read() -> None:
    with pytest.raises(RefusedConfigError, match=f"has {MAX_CONFIG + 1} characters, {MAX_CONFIG} at most"):
        parse_label_config("<" * (MAX_CONFIG + 1))


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


PICKED = {
    "an identifier beside the text": ((text("ticket_id"), text("text")), ("text",), "'ticket_id' is an identifier"),
    "camel case": ((text("text"), text("userId")), ("text",), "'userId' is an identifier"),
    "the same text twice": ((text("text"), '<Text name="again" value="$text"/>'), ("text",), "'text' is shown twice"),
    "hidden by style": (
        (text("text"), f'<View style="display: none">{text("more")}</View>'),
        ("text",),
        "'more' is not always shown",
    ),
    "shown after a choice": (
        (text("text"), f'<View visibleWhen="choice-selected">{text("more")}</View>'),
        ("text",),
        "'more' is not always shown",
    ),
    "three, of which one is an identifier": (
        (text("doc.id"), text("text"), text("paid")),
        ("text", "paid"),
        "'doc.id' is an identifier",
    ),
}


@pytest.mark.parametrize(("texts", "fields", "said"), PICKED.values(), ids=PICKED)
def test_what_is_no_text_to_judge_is_left_out_and_said(
    texts: tuple[str, ...], fields: tuple[str, ...], said: str
) -> None:
    config = parse_label_config(view(*texts, choices()))
    assert config.fields == fields
    assert [reason for reason in config.left_out if said in reason]


def test_a_text_that_is_shown_once_more_at_times_is_nothing_to_say() -> None:
    again = '<View visibleWhen="region-selected"><Text name="again" value="$text"/></View>'
    for texts in ((text("text"), again), (again, text("text"))):
        config = parse_label_config(view(*texts, choices()))
        assert (config.fields, config.left_out) == (("text",), ())


def test_an_identifier_alone_is_the_text() -> None:
    config = parse_label_config(view(text("text_id"), choices('toName="text_id"')))
    assert (config.fields, config.left_out) == (("text_id",), ())
    two = parse_label_config(view(text("text_id"), text("uuid"), choices('toName="uuid"')))
    assert (two.fields, two.to_name) == (("text_id",), "uuid")


def test_a_person_chooses_the_fields_and_their_order() -> None:
    xml = view(text("title"), text("ticket_id"), text("text"), choices())
    config = parse_label_config(xml, ProjectOptions(fields=("text", "title")))
    assert (config.fields, config.to_name, config.chosen) == (("text", "title"), "text", True)
    assert config.left_out == ("'ticket_id' was not chosen",)
    assert parse_label_config(xml, ProjectOptions(fields=("ticket_id",))).fields == ("ticket_id",)


@pytest.mark.parametrize("fields", [("body",), ("text", "text"), ("title", "ticket_id", "text")])
def test_fields_that_cannot_be_the_text_are_refused_with_those_there_are(fields: tuple[str, ...]) -> None:
    xml = view(text("title"), text("ticket_id"), text("text"), choices())
    with pytest.raises(RefusedConfigError, match=r"of title, ticket_id, text\. Choose with"):
        parse_label_config(xml, ProjectOptions(fields=fields))


OBJECTS = {
    "dialogue": ('<Paragraphs name="text" value="$talk"/>', "<Paragraphs> is not classified"),
    "chat": ('<Chat name="text" value="$talk"/>', "<Chat> is not classified"),
    "words alone": (
        '<Text name="text" value="text"/>',
        'shows the same words for every task: .* write value="\\$text"',
    ),
}


@pytest.mark.parametrize(("tag", "said"), OBJECTS.values(), ids=OBJECTS)
def test_a_config_without_a_text_is_refused_by_the_name_of_what_it_shows(tag: str, said: str) -> None:
    with pytest.raises(RefusedConfigError, match=said):
        parse_label_config(view(tag, choices()))


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
    assert to_vote(SINGLE, annotation("pos")) == Vote("pos", False, "2026-11-23T14:39:15.847800Z")


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


def vote(label: str, when: int, truth: bool = False) -> Vote:
    return Vote(label, truth, f"2026-11-23T14:39:{when:02}.000000Z")


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ([], None),
        ([vote("pos", 1), vote("pos", 2), vote("neg", 3)], "pos"),
        ([vote("pos", 1), vote("neg", 2)], "neg"),
        ([vote("neg", 2), vote("pos", 1)], "neg"),
        ([vote("pos", 1), vote("neg", 2), vote("neg", 3), vote("pos", 4), vote("gone", 5)], "pos"),
        ([vote("neg", 1, truth=True), vote("pos", 2), vote("pos", 3)], "neg"),
        ([vote("neg", 1, truth=True), vote("pos", 2, truth=True)], "pos"),
        ([vote("gone", 1, truth=True), vote("pos", 2)], "pos"),
    ],
    ids=[
        "no vote", "majority", "the latest breaks a tie", "whatever the order", "a tie beside a lost label",
        "ground truth wins", "the latest ground truth", "ground truth of a lost label",
    ],
)  # fmt: skip
def test_a_task_gets_one_label_from_its_votes(votes: list[Vote], label: str | None) -> None:
    assert consensus(votes, SINGLE.label_of) == label


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


# Predictions


def test_an_entropy_prediction_scores_one_minus_the_normalised_entropy() -> None:
    probs_NC = np.array([[0.9, 0.1], [0.5, 0.5], [1.0, 0.0]])
    values_N = acquire("entropy", probs_NC[:, None], np.zeros(3))
    scores = [to_prediction(SINGLE, SINGLE.labels, p, v, "v")["score"] for p, v in zip(probs_NC, values_N, strict=True)]
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert scores == pytest.approx([1 - entropy / np.log(2), 0.0, 1.0], abs=1e-12)


def test_a_prediction_keeps_what_the_score_hides() -> None:
    prediction = to_prediction(SINGLE, ("pos", "neg"), np.array([0.25, 0.75]), 0.4, "nextlabel-1")
    assert prediction["model_version"] == "nextlabel-1"
    (item,) = prediction["result"]
    assert (item["from_name"], item["to_name"], item["type"]) == ("label", "text", "choices")
    assert (item["value"], item["score"]) == ({"choices": ["neg"]}, 0.75)
    assert item["meta"]["probabilities"] == {"pos": 0.25, "neg": 0.75}
    assert item["meta"]["entropy"] == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))


@laws
@given(
    weights=st.lists(st.integers(0, 10**9), min_size=2, max_size=5).filter(any),
    value=st.floats(allow_nan=True, allow_infinity=True),
)
def test_every_prediction_is_one_that_label_studio_can_store(weights: list[int], value: float) -> None:
    labels = tuple("abcde"[: len(weights)])
    config = LabelConfig("label", "text", (TextField("$text", "text"),), labels)
    prediction = to_prediction(config, labels, np.array(weights) / sum(weights), value, "v")
    json.dumps(prediction, allow_nan=False)
    (item,) = prediction["result"]
    assert 0 <= prediction["score"] <= 1
    assert 0 <= item["score"] <= 1
    assert sum(item["meta"]["probabilities"].values()) == pytest.approx(1)
    assert item["meta"]["probabilities"][item["value"]["choices"][0]] == item["score"]


def test_the_more_informative_scores_lower() -> None:
    assert [to_score(value) for value in (1.0, 0.75, 0.0)] == [0.0, 0.25, 1.0]


def test_a_choice_that_the_config_lost_is_not_shown() -> None:
    prediction = to_prediction(SINGLE, ("pos", "gone"), np.array([0.2, 0.8]), 0.5, "v")
    assert prediction == {"result": [], "score": 0.5, "model_version": "v"}


def test_a_choice_that_is_mapped_is_shown_as_what_it_is_mapped_to() -> None:
    config = parse_label_config(view(text("text"), choices()), ProjectOptions(label_map={"gone": "neg"}))
    prediction = to_prediction(config, ("pos", "gone"), np.array([0.2, 0.8]), 0.5, "v")
    assert prediction["result"][0]["value"] == {"choices": ["neg"]}


def test_a_prediction_says_when_the_text_was_not_read_to_its_end() -> None:
    probs_C = np.array([0.2, 0.8])
    whole, part = (to_prediction(SINGLE, ("pos", "neg"), probs_C, 0.5, "v", truncated=t) for t in (False, True))
    assert part["result"][0]["meta"] == {**whole["result"][0]["meta"], "truncated": True}


def test_no_prediction_shows_nothing_and_says_why() -> None:
    assert no_prediction(1.0, "v", "empty") == {"result": [], "score": 1.0, "model_version": "v", "reason": "empty"}


# Project ids


@pytest.mark.parametrize("value", ["17.1795444751", 17, "17"])
def test_a_project_id_is_read_in_all_its_forms(value: object) -> None:
    assert project_id_of(value) == 17


NO_IDS = [None, True, "x", "", -1, "-1", [1], {"id": 1}, ".17", " 17", "17\n", "٣", "²", float("nan"), 17.5, 1.7e18]
NO_IDS += ["17.", "17.x", "17./..", "17.1.2", 10**18, "0" * 19]


@pytest.mark.parametrize("value", NO_IDS)
def test_anything_else_is_no_project_id(value: object) -> None:
    with pytest.raises(BadRequestError, match="is not a Label Studio project id"):
        project_id_of(value)


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


STRANGE: list[object] = [None, {}, "pos", [None], [{}], [{"value": "pos"}], [{"value": {"choices": "pos"}}]]
STRANGE += [[{"value": {"choices": [1, None]}}]]


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (to_prediction(SINGLE, ("pos", "neg"), np.array([0.25, 0.75]), 0.5, "v")["result"], "neg"),
        (to_prediction(SINGLE, ("pos", "gone"), np.array([0.2, 0.8]), 0.5, "v")["result"], ""),
        ([{"type": "rating", "value": {"rating": 3}}, {"type": "choices", "value": {"choices": ["pos"]}}], "pos"),
        *((strange, "") for strange in STRANGE),
    ],
)
def test_what_a_prediction_shows_is_read_from_it(result: object, shown: str) -> None:
    assert shown_choice(result) == shown
