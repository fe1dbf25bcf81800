"""Object tags as a person reads them: what headless Chromium showed of each value in Label Studio 1.23.2's editor."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.labelling_configs import choices, view
from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.tasks import read_task, to_example
from nextlabel.values.examples import Example, Unreadable
from nextlabel.values.survey import HALF, Note

KEYS = ["author", "text", "role", "content", "id", "title", "body", "html", "x"]


def shows(tag: str, attributes: str = "") -> LabelConfig:
    """A config with one such tag over the field `d`."""
    return parse_label_config(view(f'<{tag} name="text" value="$d" {attributes}/>', choices()))


TALK = [{"author": "Al", "text": "Hi <b>x</b>"}, {"text": "no author"}, {"author": "Bo", "text": None}]
TALK += [{"author": None, "text": 7}]
ROLES = [{"role": "user", "content": "Hello"}, {"role": "bot", "content": "Hi"}]
PLACES = [{"id": 3, "title": "three", "body": "body 3"}, {"id": "b", "title": "bee", "html": "<b>bold</b> x"}]
PLACES += [{"id": 1, "body": "only body"}]
SHOWN = {
    "a dialogue": ("Paragraphs", 'layout="dialogue"', TALK, "Al: Hi <b>x</b>\nno author\n7"),
    "keys of its own": ("Paragraphs", 'nameKey="role" textKey="content"', ROLES, "user: Hello\nbot: Hi"),
    "keys in small letters": ("Paragraphs", 'namekey="role" textkey="content"', ROLES, "user: Hello\nbot: Hi"),
    "a chat": ("Chat", "", ROLES, "user: Hello\nbot: Hi"),
    "names and values": (
        "Table",
        "",
        {"Zeta": 1, "alpha": "x", "Beta": None, "flag": True, "nest": {"a": [1, "é"]}},
        'alpha: x\nBeta: null\nflag: \nnest: {"a":[1,"é"]}\nZeta: 1',
    ),
    "a table of words": ("Table", "", ["apple", "pear"], "0: apple\n1: pear"),
    "rows": ("Table", "", [{"a": 1, "b": "x"}, {"a": None, "c": [1, "z"]}], "a | b | c\n1 | x | \n |  | 1,z"),
    "a table in JSON": ("Table", "", '{"k": "v"}', "k: v"),
    "a table in CSV": ("Table", 'valueType="csv"', 'a;b\n1;"x;y"\n2;z', "a | b\n1 | x;y\n2 | z"),
    "CSV without a header": ("Table", 'valueType="csv|headless"', "1,x\n2,z", "0 | 1\n1 | x\n2 | z"),
    "CSV with a separator": ("Table", 'valueType="csv|separator=:"', "a:b,c\n1:2", "a | b,c\n1 | 2"),
    "items, whole numbers first": ("List", "", PLACES, "only body\nthree\nbody 3\nbee\nbold x"),
    "items without ids, of which the last is shown": ("List", "", [{"title": "a"}, {"title": "b"}], "b"),
    "items that are words": ("List", "", ["apple", "pear"], "apple\npear"),
    "words in a text": ("Text", "", ["a", "b"], "a,b"),
}


@pytest.mark.parametrize(("tag", "attributes", "value", "read"), SHOWN.values(), ids=SHOWN)
def test_a_value_is_read_as_its_tag_shows_it(tag: str, attributes: str, value: object, read: str) -> None:
    assert to_example(shows(tag, attributes), {"id": 1, "data": {"d": value}}) == Example(1, read)


UNREAD = {
    "no paragraphs": ("Paragraphs", "Hello", "the field 'd' holds a text, not a list of paragraphs"),
    "an object": ("Paragraphs", {"author": "a"}, "the field 'd' holds an object, not a list of paragraphs"),
    "other keys": (
        "Paragraphs",
        ROLES,
        "the field 'd' has no 'author' in its first paragraph, so that Label Studio shows none of them (set nameKey)",
    ),
    "no texts": (
        "Paragraphs",
        [{"author": "a", "said": "b"}],
        "the field 'd' has no 'text' in its first paragraph, so that Label Studio shows none of them (set textKey)",
    ),
    "words for paragraphs": (
        "Paragraphs",
        ["a"],
        "the field 'd' has no 'author' in its first paragraph, so that Label Studio shows none of them (set nameKey)",
    ),
    "nobody says anything": ("Paragraphs", [{"author": "a", "text": ""}], "the field 'd' is empty"),
    "an empty chat": ("Chat", [], "the field 'd' is empty"),
    "a number": ("Chat", 7, "the field 'd' holds a number, not a list of messages"),
    "words for a table": ("Table", "a, b", "the field 'd' holds a text, not a table"),
    "an empty table": ("Table", {}, "the field 'd' is empty"),
    "null": ("List", None, "the field 'd' is empty"),
    "ids alone": ("List", [{"id": "a"}], "the field 'd' is empty"),
    "an object for a list": ("List", {"a": 1}, "the field 'd' holds an object, not a list of items"),
}


@pytest.mark.parametrize(("tag", "value", "why"), UNREAD.values(), ids=UNREAD)
def test_a_value_that_its_tag_cannot_show_is_named(tag: str, value: object, why: str) -> None:
    assert to_example(shows(tag), {"id": 1, "data": {"d": value}}) == Unreadable(1, why)
    assert to_example(shows(tag), {"id": 1, "data": {}}) == Unreadable(1, "the field 'd' is missing")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(tag=st.sampled_from(["Paragraphs", "Chat", "Table", "List"]), value=json_values, csv=st.booleans())
def test_any_value_is_either_read_or_says_why(tag: str, value: object, csv: bool) -> None:
    answer = to_example(
        shows(tag, 'valueType="csv"' if tag == "Table" and csv else ""), {"id": 1, "data": {"d": value}}
    )
    if isinstance(answer, Example):
        assert answer.text.strip()
        assert answer.text.encode().decode() == answer.text
    else:
        assert answer.reason.startswith("the field 'd' ")


@pytest.mark.parametrize("tag", ["Text", "Paragraphs", "Chat", "Table", "List"])
def test_what_is_nested_too_deep_or_has_an_endless_number_does_no_harm(tag: str) -> None:
    deep = json.loads("[" * 900 + "]" * 900)
    for value in (deep, {"a": deep}, [{"author": "a", "text": deep, "role": "b", "content": deep, "id": deep}]):
        assert isinstance(to_example(shows(tag), {"id": 1, "data": {"d": value}}), Unreadable | Example)
    ids = [{"id": "9" * 5000, "body": "a"}, {"id": "007", "body": "b"}, {"id": 7, "body": "c"}]
    assert to_example(shows("List"), {"id": 1, "data": {"d": ids}}) == Example(1, "c\na\nb")


def test_several_texts_are_read_in_the_order_of_the_config_and_a_missing_one_is_noted() -> None:
    tags = (
        '<Table name="t" value="$facts"/>',
        '<Paragraphs name="text" value="$talk"/>',
        '<Text name="x" value="$x"/>',
    )
    config = parse_label_config(view(*tags, choices()))
    data = {"x": "words", "talk": [{"author": "Al", "text": "Hi"}], "facts": {"price": 7}}
    assert to_example(config, {"id": 1, "data": data}) == Example(1, "price: 7", "Al: Hi", ("words",))
    assert [text.name for text in config.texts] == ["t", "text", "x"]
    row = read_task(config, {"id": 2, "data": {**data, "talk": []}})
    assert row.example == Example(2, "price: 7", "", ("words",)), "the others keep their places"
    assert row.notes == (Note(HALF, "the field 'talk' is empty"),)
    assert to_example(config, {"id": 3, "data": {"x": "words"}}) == Example(3, "", "", ("words",))
    assert isinstance(to_example(config, {"id": 4, "data": {"talk": [], "facts": {}, "x": " "}}), Unreadable)


ADDRESSES = "holds addresses, not texts"
WITHOUT_WORDS = {
    "an image": ('<Image name="text" value="$d"/>', "<Image> is not classified", "the <Image> 'text' is not read"),
    "a sound": ('<Audio name="text" value="$d"/>', "Add a transcript as a field", "the <Audio> 'text' is not read"),
    "a video": ('<Video name="text" value="$d"/>', "Add a transcript as a field", "the <Video> 'text' is not read"),
    "a series": ('<TimeSeries name="text" value="$d"/>', "Add a description", "the <TimeSeries> 'text' is not read"),
    "a PDF": ('<Pdf name="text" value="$d"/>', "Add the words in it", "the <Pdf> 'text' is not read"),
    "addresses": ('<Text name="text" value="$d" valueType="url"/>', 'set valueType="text"', f"'d' {ADDRESSES}"),
    "addresses of pages": (
        '<HyperText name="text" value="$d" valueType="url"/>',
        'set valueType="text"',
        f"'d' {ADDRESSES}",
    ),
    "a resolver": ('<Text name="text" value="$d" resolver="csv"/>', 'set valueType="text"', f"'d' {ADDRESSES}"),
    "addresses of dialogues": (
        '<Paragraphs name="text" value="$d" valueType="url"/>',
        'set valueType="json"',
        f"'d' {ADDRESSES}",
    ),
    "addresses of tables": (
        '<Table name="text" value="$d" valueType="csv|url"/>',
        'set valueType="json"',
        f"'d' {ADDRESSES}",
    ),
    "an encoding that nobody knows": (
        '<Text name="text" value="$d" encoding="rot13"/>',
        "knows the encodings none, base64 and base64unicode",
        "'d' has encoding=\"rot13\"",
    ),
}


@pytest.mark.parametrize(("tag", "remedy", "left_out"), WITHOUT_WORDS.values(), ids=WITHOUT_WORDS)
def test_what_holds_no_words_is_refused_alone_and_left_out_beside_a_text(tag: str, remedy: str, left_out: str) -> None:
    with pytest.raises(RefusedConfigError) as refusal:
        parse_label_config(view(tag, choices()))
    assert remedy in str(refusal.value)
    beside = parse_label_config(view(tag, '<Text name="words" value="$words"/>', choices()))
    assert (beside.fields, beside.to_name, beside.left_out) == (("words",), "text", (left_out,))


def test_what_is_compared_must_be_texts() -> None:
    text, images = '<Text name="t" value="$t"/>', '<Image name="a" value="$a"/><Image name="b" value="$b"/>'
    with pytest.raises(RefusedConfigError, match=r"compares no two texts; the texts are \['t'\]"):
        parse_label_config(view(text, images, '<Pairwise name="pw" toName="a,b"/>'))


def test_a_list_is_shown_with_a_ranker_alone() -> None:
    tags = '<List name="l" value="$items"/><Text name="text" value="$text"/>'
    alone = parse_label_config(view(tags, choices()))
    assert (alone.fields, alone.left_out) == (("text",), ("'items' is not always shown",))
    ranked = parse_label_config(view(tags, '<Ranker name="r" toName="l"/>', choices()))
    assert (ranked.fields, ranked.left_out) == (("items", "text"), ())
