"""Labelling configs: which texts and labels are classified, and what is refused with which advice."""

from dataclasses import replace

import pytest

from helpers.labelling_configs import HTML, PAIR, SINGLE, choices, text, view
from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.config import MAX_CONFIG, LabelConfig, pair_config, parse_label_config
from nextlabel.labelstudio.objects.fields import TextField
from nextlabel.labelstudio.tasks import result_of, to_vote
from nextlabel.learning.control import HoldOut
from nextlabel.values.counting import HeldOut
from nextlabel.values.labels import Vote
from nextlabel.values.options import ProjectOptions

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
    assert [[shown.tag for shown in config.texts] for config in (HTML, pair)] == [["HyperText"], ["HyperText", "Text"]]


BOMB = f"""<!DOCTYPE lolz [<!ENTITY a "lol">{"".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))}]>
<View>&i;{text("text")}{choices()}</View>"""  # noqa: E501

REFUSED = {
    "an unknown choice": (view(text("text"), choices('toName="text" choice="any"')), "Set one of them"),
    "per region": (view(text("text"), choices('toName="text" perRegion="true"')), "add a control without perRegion"),
    "per item": (view(text("text"), choices('toName="text" perItem="true"')), "add a control without perItem"),
    "labels from the task": (
        view(text("text"), choices('toName="text" value="$opts"', "")),
        "List the labels as <Choice>",
    ),
    "toName with two texts": (view(text("s1"), text("s2"), choices('toName="s1,s2"')), 'Set toName="s1"'),
    "toName elsewhere": (view(text("text"), choices('toName="img"')), "Set toName to one of them"),
    "addresses": (view(text("text", 'valueType="url"'), choices()), 'set valueType="text"'),
    "taxonomy only": (view(text("text"), '<Taxonomy name="t" toName="text"/>'), "has 0 labels that can be given"),
    "no control": (view(text("text")), "asks nothing. A control that asks about a whole text is needed"),
    "two controls of one name": (view(text("text"), choices(), choices()), "give each its own name"),
    "nine texts": (
        view(*map(text, "abcdefghi"), choices('toName="a"')),
        "Choose with `nextlabel connect --project ID --fields a,b,c,d,e,f,g,h`, or others",
    ),
    "no text": (view('<Image name="text" value="$image"/>', choices()), "<Image> is not classified"),
    "no label": (view(text("text"), choices(labels="")), "at least two different"),
    "one label": (
        view(text("text"), choices('toName="text" choice="single-radio"', '<Choice value="pos"/>')),
        "at least two different",
    ),
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
    "repeated controls": (
        view(text("text"), f"<Repeater on='$x'>{choices()}</Repeater>"),
        'add one, such as <Choices name="label" toName="text">',
    ),
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
    days = ("2026-11-20", "2026-11-21")
    readings |= {replace(SINGLE, hold_out=HoldOut("seed", HeldOut(0.2, day))).reading for day in days}
    assert len(readings) == 5 + len(days)
    held_out = ProjectOptions(control_seed="seed", hold_out=HeldOut(0.2, days[1]))
    of_guideline = [replace(held_out, guideline_since=day) for day in ("", *days)]
    assert len({parse_label_config(view(text("text"), choices()), options).reading for options in of_guideline}) == 3


def test_an_endless_config_is_refused_before_it_is_read() -> None:
    with pytest.raises(RefusedConfigError, match=f"has {MAX_CONFIG + 1} characters, {MAX_CONFIG} at most"):
        parse_label_config("<" * (MAX_CONFIG + 1))


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


def test_a_text_is_not_hidden_by_its_own_condition_which_the_editor_does_not_regard() -> None:
    more = text("more", 'visibleWhen="choice-selected"')
    assert parse_label_config(view(text("text"), more, choices())).fields == ("text", "more")


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


@pytest.mark.parametrize("fields", [("body",), ("text", "text"), ("title", "ticket_id", "text", "body")])
def test_fields_that_cannot_be_the_text_are_refused_with_those_there_are(fields: tuple[str, ...]) -> None:
    xml = view(text("title"), text("ticket_id"), text("text"), choices())
    with pytest.raises(RefusedConfigError, match=r"of title, ticket_id, text\. Choose with"):
        parse_label_config(xml, ProjectOptions(fields=fields))


def test_up_to_eight_texts_are_read_in_the_order_of_the_config_or_of_a_person() -> None:
    config = parse_label_config(view(*map(text, "abcdefgh"), choices('toName="a"')))
    assert (config.fields, config.left_out) == (tuple("abcdefgh"), ())
    xml = view(*map(text, "abcdefghi"), choices('toName="i"'))
    chosen = parse_label_config(xml, ProjectOptions(fields=tuple("ihgfedcb")))
    assert (chosen.fields, chosen.to_name, chosen.left_out) == (tuple("ihgfedcb"), "i", ("'a' was not chosen",))
    with pytest.raises(RefusedConfigError, match="one field or up to 8 different ones are needed, of a, b, c"):
        parse_label_config(xml, ProjectOptions(fields=tuple("abcdefghi")))


OBJECTS = {
    "a picture": ('<Image name="text" value="$pic"/>', "<Image> is not classified"),
    "a dialogue that is always the same": ('<Paragraphs name="text" value="talk"/>', 'write value="\\$talk"'),
    "words alone": (
        '<Text name="text" value="text"/>',
        'shows the same words for every task: .* write value="\\$text"',
    ),
}


@pytest.mark.parametrize(("tag", "said"), OBJECTS.values(), ids=OBJECTS)
def test_a_config_without_a_text_is_refused_by_the_name_of_what_it_shows(tag: str, said: str) -> None:
    with pytest.raises(RefusedConfigError, match=said):
        parse_label_config(view(tag, choices()))


def test_a_config_that_is_made_for_pairs_is_read_as_one() -> None:
    config = parse_label_config(pair_config('Do they say the "same"?', ("s1", "s2"), ("pos", "neg")))
    assert (config.fields, config.labels, config.to_name) == (("s1", "s2"), ("pos", "neg"), "s1")
    vote = to_vote(config, {"result": result_of(config, "neg"), "created_at": "2026"})
    assert vote == Vote("neg", False, "2026", first="2026")


def test_ignored_labels_are_no_classes_and_two_others_must_be_left() -> None:
    labels = '<Choice value="pos"/><Choice value="neg"/><Choice value="Unsure"/>'
    xml = view(text("text"), f'<Choices name="label" toName="text">{labels}</Choices>')
    config = parse_label_config(xml, ProjectOptions(ignored_labels=("Unsure", "gone")))
    assert config.labels == ("pos", "neg")
    assert [config.ignores(label) for label in ("Unsure", "gone", "pos")] == [True, True, False]
    with pytest.raises(RefusedConfigError, match=r"all but \['pos'\] are ignored; at least two are needed"):
        parse_label_config(xml, ProjectOptions(ignored_labels=("Unsure", "neg")))
