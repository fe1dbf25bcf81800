"""Every kind of control that asks about a whole text: how it is read, answered, and shown in a prediction."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from helpers.controls import CONTROLS, NESTED, NEW, TREE, annotation, config_of, predicted, tags
from helpers.labelling_configs import text, view
from helpers.paths import ROOT
from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.config import (
    MOST_LABELS,
    NONE_UNCLEAR,
    TOO_MANY,
    UNCLEAR,
    LabelConfig,
    added_questions,
    changed_labels,
    parse_label_config,
)
from nextlabel.labelstudio.connection import said_of
from nextlabel.labelstudio.controls import results
from nextlabel.labelstudio.controls.conditions import CHOSEN, NOT_CHOSEN
from nextlabel.labelstudio.predictions import can_show, to_prediction
from nextlabel.labelstudio.tasks import result_of, to_vote, why_no_vote
from nextlabel.problems.form import Form
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.simulation.datasets.exports import HELD_IN
from nextlabel.simulation.datasets.forms import STEPS
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, Layout, decoded, encoded, unasked
from nextlabel.values.options import LATEST, ProjectOptions


def answers_of(config: LabelConfig, **values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    vote = to_vote(config, annotation(config, **values))
    return {} if vote is None else dict(decoded(config.question.consensus([vote]) or "{}"))


@pytest.mark.parametrize(("xml", "kind", "labels", "value"), CONTROLS.values(), ids=CONTROLS)
def test_a_control_is_a_question_of_its_kind(
    xml: str, kind: str, labels: tuple[str, ...], value: dict[str, Any]
) -> None:
    config = config_of(xml)
    assert [(control.kind, control.labels) for control in config.asked] == [(kind, labels)]
    assert isinstance(config.question, SingleChoice if kind == ONE_OF else Form)
    # Exports are replayed by the same entry.
    [control] = config.asked
    assert (HELD_IN[control.item_type], control.item_type in STEPS) == (control.key, kind == ORDERED)


@pytest.mark.parametrize(("xml", "kind", "labels", "value"), CONTROLS.values(), ids=CONTROLS)
def test_what_is_predicted_is_stored_as_the_editor_stores_it_and_read_again(
    xml: str, kind: str, labels: tuple[str, ...], value: dict[str, Any]
) -> None:
    config = config_of(xml)
    [control] = config.asked
    vote = to_vote(config, annotation(config, **{control.name: value}))
    assert vote is not None
    answer = config.question.consensus([vote])
    assert answer is not None
    prediction = predicted(config, answer)
    [item] = prediction["result"]
    assert (item["value"], item["type"]) == (value, control.item_type)
    assert to_vote(config, {**prediction, "created_at": "2026"}) == Vote(vote.label, False, "2026", first="2026")
    assert [shown["value"] for shown in result_of(config, answer)] == [value]
    assert can_show(config, results.shown(prediction["result"]))
    assert can_show(config, results.shown([{**item, "value": {}}])) is False, "whoever wrote that"
    assert not can_show(config_of(tags("Choices", 'name="other"', "k", "l")), results.shown(prediction["result"]))


def test_which_of_two_texts_is_one_of_two_answers() -> None:
    xml = view(text("s1"), text("s2"), '<Pairwise name="better" toName="s1,s2"/>')
    config = parse_label_config(xml, NEW)
    assert (config.labels, config.fields) == (("left", "right"), ("s1", "s2"))
    [item] = to_prediction(config, config.labels, np.array([0.2, 0.8]), 0.5, "v")["result"]
    assert (item["to_name"], item["value"]) == ("s1", {"selected": "right"})
    # The editor names the control itself.
    stored = {"from_name": "better", "to_name": "better", "type": "pairwise", "value": {"selected": "left"}}
    assert to_vote(config, {"result": [stored], "created_at": "2026"}) == Vote("left", False, "2026", first="2026")


TOPIC = tags("Choices", 'name="topic"', "news", "sport")
TONES = tags("Choices", 'name="tones" choice="multiple"', "rude", "loud")


def test_several_controls_are_one_form_and_each_answer_is_its_own_item() -> None:
    config = config_of(TOPIC, TONES, tags("Rating", 'name="stars" maxRating="3"'))
    assert config.labels == (
        "topic: news",
        "topic: sport",
        "tones: rude",
        "tones: loud",
        "stars: 1",
        "stars: 2",
        "stars: 3",
    )
    probs_C = np.array([0.3, 0.7, 0.6, 0.2, 0.1, 0.1, 0.8])
    prediction = to_prediction(config, config.labels, probs_C, 0.5, "v", layout=config.question.layout)
    values = [(item["from_name"], item["value"], item["score"]) for item in prediction["result"]]
    assert values == [
        ("topic", {"choices": ["sport"]}, 0.7),
        ("tones", {"choices": ["rude"]}, 0.6),
        ("stars", {"rating": 3}, 0.8),
    ]
    assert prediction["result"][0]["meta"]["probabilities"] == {
        "topic": {"news": 0.3, "sport": 0.7},
        "tones": {"rude": 0.6, "loud": 0.2},
        "stars": {"1": 0.1, "2": 0.1, "3": 0.8},
    }
    assert not any("meta" in item for item in prediction["result"][1:])


def test_nothing_is_shown_of_a_question_whose_labels_are_all_unlikely() -> None:
    config = config_of(TOPIC, TONES)
    prediction = to_prediction(
        config, config.labels, np.array([0.3, 0.7, 0.4, 0.2]), 0.5, "v", layout=config.question.layout
    )
    assert [item["from_name"] for item in prediction["result"]] == ["topic"]


def test_nothing_ticked_is_an_answer_and_nothing_chosen_of_one_is_none() -> None:
    config = config_of(TOPIC, TONES)
    assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",), "tones": ()}
    assert answers_of(config, tones={"choices": ["rude"]}) == {"tones": ("rude",)}
    assert answers_of(config) == {"tones": ()}
    assert to_vote(config, {"result": [], "was_cancelled": True}) is None


IMPORTED = {"lead_time": None}
MOVED = {"lead_time": 3.2, "import_id": 17}  # as of what Label Studio has exported from another project


def test_what_an_import_does_not_hold_says_nothing_and_an_empty_list_is_none() -> None:
    config = config_of(TOPIC, TONES, TREE.format(""))
    none: dict[str, dict[str, Any]] = {"tones": {"choices": []}, "tree": {"taxonomy": []}}
    topic = annotation(config, topic={"choices": ["news"]})
    told = annotation(config, topic={"choices": ["news"]}, **none)
    said, alone = {"topic": ("news",), "tones": (), "tree": ()}, {"topic": ("news",)}
    imported = ((given | how, what) for how in (IMPORTED, MOVED) for given, what in ((topic, alone), (told, said)))
    for given, expected in (*imported, (topic, said), (topic | {"import_id": None}, said)):
        vote = to_vote(config, given)
        assert vote is not None
        assert decoded(vote.label) == expected
        assert why_no_vote(config, given) == ""
    nothing = annotation(config) | IMPORTED
    assert (to_vote(config, nothing), why_no_vote(config, nothing)) == (None, "nothing is chosen")
    # Where nothing else is asked, who hands in nothing says none.
    tones = config_of(TONES)
    for given in (annotation(tones), annotation(tones, tones={"choices": []})):
        vote = to_vote(tones, given | IMPORTED)
        assert vote is not None
        assert decoded(vote.label) == {"tones": ()}
    one = config_of(TOPIC)
    assert to_vote(one, annotation(one, topic={"choices": []})) is None


def test_who_must_tick_something_has_not_said_none() -> None:
    for required in (TONES.replace("choice=", 'required="true" choice='), TREE.format('required="true"')):
        config = config_of(TOPIC, required)
        assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",)}
        assert config.reading != config_of(TOPIC, required.replace('required="true"', "")).reading
    assert answers_of(config_of(TOPIC, TONES), topic={"choices": ["news"]}) == {"topic": ("news",), "tones": ()}


def test_who_answered_before_a_question_was_added_was_not_asked() -> None:
    options = ProjectOptions(defaults=LATEST, asked_since={"tones": "2026-05-01T00:00:00Z"})
    config = parse_label_config(view(text("text"), TOPIC, TONES), options)
    given = annotation(config, topic={"choices": ["news"]})
    found = [
        to_vote(config, {**given, "created_at": when}) for when in ("2026-04-30T23:59:59Z", "2026-05-01T00:00:01Z")
    ]
    assert [dict(decoded(vote.label)) for vote in found if vote] == [
        {"topic": ("news",)},
        {"topic": ("news",), "tones": ()},
    ]
    assert config.reading != config_of(TOPIC, TONES).reading
    assert added_questions(view(text("text"), TOPIC), view(text("text"), TOPIC, TONES), NEW) == ["tones"]
    assert added_questions(view(text("text"), TONES), view(text("text"), TOPIC, TONES), NEW) == []
    # The field that was chosen since is none that the form had before.
    chosen = ProjectOptions(defaults=LATEST, fields=("body",))
    assert added_questions(view(text("text"), TONES), view(text("body"), TONES.replace("text", "body")), chosen) == []


def test_who_answered_before_a_question_was_shown_to_more_people_was_not_asked() -> None:
    def added(before: str, after: str) -> list[str]:
        was, is_now = (view(text("text"), TOPIC, TONES, of) for of in (before, after))
        return added_questions(was, is_now, NEW)

    always, other = FOLLOW_UP.replace(WHEN, ""), FOLLOW_UP.replace("sport,chess", "news,sport")
    region = FOLLOW_UP.replace(WHEN, REGION)
    for before, after in ((FOLLOW_UP, always), (FOLLOW_UP, other), (region, always), (always, FOLLOW_UP)):
        assert added(before, after) == ["which"]
    moved = f"<View {WHEN.replace('sport,chess', 'chess,sport')}>{always}</View>"
    assert added(FOLLOW_UP, moved) == added(always, always) == []
    chained = FOLLOW_UP.replace("which", "rest").replace(WHEN, WHEN.replace("topic", "which").replace("sport", "run"))
    assert added(FOLLOW_UP + chained, always + chained) == ["which", "rest"], "what follows it is seen by others, too"
    options = ProjectOptions(defaults=LATEST, asked_since={"which": "2026-05-01T00:00:00Z"})
    config = parse_label_config(view(text("text"), TOPIC, always), options)
    given = annotation(config, topic={"choices": ["news"]})
    answers = [to_vote(config, given | {"created_at": f"2026-0{month}-09T00:00:00Z"}) for month in (4, 5)]
    assert [vote and dict(decoded(vote.label)) for vote in answers] == [
        {"topic": ("news",)},
        {"topic": ("news",), "which": ()},
    ]


def test_who_was_asked_is_told_by_conditions_as_they_are_written() -> None:
    def added(before: str, after: str, follow_up: str, now: str = "") -> list[str]:
        options = replace(NEW, label_map={"x": "y"})
        was, is_now = view(text("text"), before, follow_up), view(text("text"), after, now or follow_up)
        return added_questions(was, is_now, options)

    aliased = TOPIC.replace('"sport"', '"sport" alias="x"')
    by_alias = FOLLOW_UP.replace("sport,chess", "x")
    renamed = aliased.replace('"x"', '"y"')
    assert added(aliased, renamed, FOLLOW_UP) == []
    assert added(aliased, renamed, by_alias, by_alias.replace('"x"', '"y"')) == [], "and so it is called by --map-label"
    assert added(aliased, renamed, by_alias, by_alias.replace('"x"', '"z"')) == ["which"]
    nested = NESTED.format("").replace('"q"', '"topic"')
    below = FOLLOW_UP.replace("sport,chess", "A")
    assert added(nested.replace('<Choice value="A2"/>', ""), nested, below) == []


def test_a_question_that_has_too_many_labels_for_a_time_was_asked_all_the_same() -> None:
    def many(count: int) -> str:
        tags_of = tags("Choices", 'name="many" choice="multiple"', *(f"label {i}" for i in range(count)))
        return view(text("text"), TOPIC, tags_of)

    most, since = MOST_LABELS - 2, "2026-05-01T00:00:00Z"
    assert added_questions(many(most + 1), many(most), NEW) == []
    assert added_questions(view(text("text"), TOPIC), many(most + 1), NEW) == ["many"]
    assert changed_labels(many(most), many(most + 1), NEW, since) == {"many": {f"label {most}": [since]}}


def test_when_labels_came_and_went_is_noted_once_and_changes_nothing_of_how_tasks_are_read() -> None:
    first, second = "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"
    more = TONES.replace('"rude"', '"crude"').replace("</Choices>", '<Choice value="odd"/></Choices>')
    before, after = view(text("text"), TOPIC, TONES), view(text("text"), TOPIC, more)
    changes = changed_labels(before, after, NEW, first)
    assert changes == {"tones": {"rude": ["", first], "crude": [first], "odd": [first]}}
    noted = replace(NEW, label_changes=changes)
    assert changed_labels(before, after, noted, second) == changes, "killed before the next look was kept"
    back = changed_labels(after, before, noted, second)
    assert back["tones"] == {"rude": ["", first, second], "crude": [first, second], "odd": [first, second]}
    assert changed_labels("<View/>", after, noted, second) == changes
    topics = TOPIC.replace("news", "views")
    assert changed_labels(view(text("text"), TOPIC), view(text("text"), topics), NEW, first) == {}
    assert parse_label_config(after, noted).reading == parse_label_config(after, NEW).reading
    config = parse_label_config(after, replace(noted, label_map={"rude": "crude"}))
    ticked, nothing = annotation(config, tones={"choices": ["rude"]}), annotation(config)
    found = [
        to_vote(config, {**given, "created_at": f"2026-0{month}-09T00:00:00Z"})
        for given, month in ((ticked, 4), (nothing, 4), (nothing, 5))
    ]
    answers = [config.question.consensus([vote]) or "" for vote in found if vote]
    assert [dict(decoded(answer)) for answer in answers] == [{"tones": ("crude",)}, {"tones": ()}, {"tones": ()}]
    assert [unasked(answer).get("tones") for answer in answers] == [("odd",), ("odd",), None]


SEVERAL = 'name="topic" choice="multiple"'


def test_who_chose_one_label_was_not_asked_about_those_that_may_be_given_beside_it_since() -> None:
    first, second, third = (f"2026-0{month}-01T00:00:00Z" for month in (5, 6, 7))
    single, several = view(text("text"), TOPIC), view(text("text"), TOPIC.replace('name="topic"', SEVERAL))
    changes = changed_labels(single, several, NEW, first)
    assert changes == {"topic": {label: [first] for label in parse_label_config(single).labels}}
    noted = replace(NEW, label_changes=changes)
    assert changed_labels(single, several, noted, second) == changes
    config = parse_label_config(several, noted)
    chosen, nothing = annotation(config, topic={"choices": ["news"]}), annotation(config)

    def said(given: dict[str, Any], when: str) -> str | None:
        vote = to_vote(config, {**given, "created_at": when})
        return config.question.consensus([vote]) if vote else None

    others = tuple(sorted({*parse_label_config(single).labels} - {"news"}))
    assert said(chosen, "2026-04-09T00:00:00Z") == encoded({"topic": ("news",)}, {"topic": others})
    assert said(chosen, "2026-05-09T00:00:00Z") == encoded({"topic": ("news",)})
    assert said(nothing, "2026-04-09T00:00:00Z") is None, "then it was no answer"
    assert said(nothing, "2026-05-09T00:00:00Z") == encoded({"topic": ()})
    back = changed_labels(several, single, noted, second)
    assert set(map(tuple, back["topic"].values())) == {(first, second)}
    again = changed_labels(single, several, replace(noted, label_changes=back), third)
    assert set(map(tuple, again["topic"].values())) == {(first, second, third)}


def test_of_answers_with_any_labels_those_with_one_answer_a_question_that_asks_for_one_since() -> None:
    config = config_of(TOPIC)
    labels = config.labels[:2]
    votes = [to_vote(config, annotation(config, topic={"choices": [*given]})) for given in (labels[:1], labels)]
    assert [vote and vote.label for vote in votes] == [labels[0], None]
    assert to_vote(config, annotation(config)) is None


WHEN = 'visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="sport,chess"'
FOLLOW_UP = tags("Choices", f'name="which" choice="multiple" {WHEN}', "ball", "run")


def test_what_was_not_shown_was_not_answered() -> None:
    for follow_up in (FOLLOW_UP, f"<View {WHEN}>{FOLLOW_UP.replace(WHEN, '')}</View>"):
        config = config_of(TOPIC, follow_up)
        assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",)}
        assert answers_of(config, topic={"choices": ["sport"]}) == {"topic": ("sport",), "which": ()}
        assert answers_of(config, which={"choices": ["run"]}) == {}


SEEN_LATER = (
    f'<View {WHEN}><Rating name="how" toName="text"/><Number name="many" toName="text" min="0" max="9"/></View>'
)


def test_what_the_editor_stores_of_a_control_that_nobody_saw_is_no_answer() -> None:
    config = config_of(TOPIC, TONES, SEEN_LATER)
    kept: dict[str, dict[str, Any]] = {
        "tones": {"choices": ["rude"]},
        "how": {"rating": 4},
        "many": {"number": 0},
    }
    seen = {"tones": ("rude",), "how": ("4",), "many": ("0",)}
    assert answers_of(config, topic={"choices": ["sport"]}, **kept) == {"topic": ("sport",), **seen}
    assert answers_of(config, topic={"choices": ["news"]}, **kept) == {"topic": ("news",), "tones": ("rude",)}
    assert answers_of(config, **kept) == {"tones": ("rude",)}
    assert why_no_vote(config, annotation(config, topic={"choices": ["news"]}, **kept)) == ""
    # Of what cannot be read, or is called otherwise by now, it is not known what it showed.
    for topic in (["other"], ["news", "sport"]):
        assert answers_of(config, topic={"choices": topic}, **kept) == seen


def test_a_control_that_does_not_hide_by_its_own_condition_is_always_shown() -> None:
    config = config_of(TOPIC, tags("Rating", f'name="how" {WHEN}'))
    assert answers_of(config, topic={"choices": ["news"]}, how={"rating": 4}) == {"topic": ("news",), "how": ("4",)}
    probs_C = np.array([0.9, 0.1, 0.0, 0.0, 0.0, 1.0, 0.0])
    result = to_prediction(config, config.labels, probs_C, 0.5, "v", layout=config.question.layout)["result"]
    assert [item["value"] for item in result] == [{"choices": ["news"]}, {"rating": 4}]


def test_a_value_of_a_condition_is_taken_to_the_letter() -> None:
    config = config_of(TOPIC, FOLLOW_UP.replace("sport,chess", "chess, sport"))
    assert answers_of(config, topic={"choices": ["sport"]}) == {"topic": ("sport",)}, "a label with a blank before it"


def test_what_a_condition_without_a_kind_hides_cannot_be_told() -> None:
    follow_up = FOLLOW_UP.replace('visibleWhen="choice-selected" ', "")
    config = config_of(TOPIC, follow_up)
    for topic in ("news", "sport"):
        assert answers_of(config, topic={"choices": [topic]}) == {"topic": (topic,)}
    assert answers_of(config, topic={"choices": ["news"]}, which={"choices": ["run"]})["which"] == ("run",)


def test_what_depends_on_a_control_that_is_not_served_is_not_taken_for_hidden() -> None:
    config = config_of(TOPIC, FOLLOW_UP.replace('whenTagName="topic"', 'whenTagName="region"'))
    answers = {"topic": ("news",), "which": ("run",)}
    assert answers_of(config, topic={"choices": ["news"]}, which={"choices": ["run"]}) == answers
    assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",)}
    assert config.hidden(answers) == set()


DEEP = """<Choices name="q" toName="text" allowNested="true" {}>
  <View><Choice value="A"><Choice value="B" alias="b"><Choice value="C"/></Choice></Choice></View>
  <Choice value="D"><Choice value="E"/><Choice value="F"/></Choice>
</Choices>"""


def test_a_parent_of_nested_choices_is_ticked_with_all_below_it_and_says_no_more_than_they_do() -> None:
    one, several = config_of(DEEP.format("")), config_of(DEEP.format('choice="multiple"'))
    assert one.labels == ("A", "D", "D > E", "D > F"), "with one leaf a parent is as good as that"
    assert several.labels == ("A > b > C", "D > E", "D > F")
    ticked = [["A"], ["A", "b"], ["A", "b", "C"]]
    for given, said in ((ticked, "A"), (ticked[2:], "A"), ([["D", "F"]], "D > F"), ([["D"]], "D")):
        vote = to_vote(one, annotation(one, q={"choices": given}))
        assert (vote and vote.label) == said
    assert result_of(one, "A")[0]["value"] == {"choices": ticked}
    below = [["D"], ["D", "E"], ["D", "F"]]
    assert answers_of(several, q={"choices": [*ticked, ["D", "E"]]}) == {"q": ("A > b > C", "D > E")}
    assert answers_of(several, q={"choices": below}) == {"q": ("D > E", "D > F")}
    assert answers_of(several, q={"choices": [["D"]]}) == {}, "the editor ticked nothing, and nobody knows which"
    probs_C = np.array([0.9, 0.9, 0.9])
    result = to_prediction(several, several.labels, probs_C, 0.5, "v", layout=several.question.layout)["result"]
    assert result[0]["value"] == {"choices": [*ticked, *below]}
    half = [{**result[0], "value": {"choices": [["D"]]}}]
    assert can_show(several, results.shown(result))
    assert not can_show(one, results.shown(half)), "the editor ticks nothing"


def test_a_follow_up_of_nested_choices_is_shown_where_all_below_a_label_is_ticked() -> None:
    when = 'visibleWhen="choice-selected" whenTagName="q" whenChoiceValue="{}"'
    for kind, label, given, asked in (
        ("", "E", [["D"], ["D", "E"], ["D", "F"]], True),
        ("", "B", [["A"], ["A", "b"], ["A", "b", "C"]], True),
        ("", "D", [["D", "E"]], False),
        ('choice="multiple"', "B", [["A"], ["A", "b"], ["A", "b", "C"]], True),
        ('choice="multiple"', "D", [["D"], ["D", "E"], ["D", "F"]], None),
    ):
        config = config_of(DEEP.format(kind), tags("Choices", f'name="why" {when.format(label)}', "x", "y"))
        vote = to_vote(config, annotation(config, q={"choices": given}))
        assert vote is not None
        assert config.seen(decoded(vote.label))["why"] is asked


def test_a_prediction_in_a_shape_that_the_editor_does_not_tick_is_not_shown() -> None:
    config = config_of(tags("Choices", 'name="q" allowNested="true"', "a", "b"))
    old = [{"from_name": "q", "to_name": "text", "type": "choices", "value": {"choices": ["a"]}}]
    assert not can_show(config, results.shown(old))
    assert can_show(config, results.shown(result_of(config, "a")))
    vote = to_vote(config, {"result": old, "created_at": "2026"})
    assert vote is not None
    assert vote.label == "a", "what was stored of it is read"


def test_a_parent_that_was_clicked_before_more_came_below_it_is_still_that_parent() -> None:
    before, after = (
        config_of(NESTED.format("").replace('"A2"/>', f'"A2"/>{more}')) for more in ("", '<Choice value="A3"/>')
    )
    given = annotation(before, q={"choices": [["A"], ["A", "A1"], ["A", "A2"]]})
    assert before.reading != after.reading, "it is read again, and comes to the same"
    for config in (before, after):
        vote = to_vote(config, given)
        assert vote is not None
        assert vote.label == "A"


def test_a_parent_that_nobody_ticked_is_no_answer_and_a_leaf_may_stand_with_what_it_stands_in() -> None:
    inner = "".join(f'<Choice value="{a}"><Choice value="{a}1"/><Choice value="{a}2"/></Choice>' for a in "AB")
    nested = f'<Choices name="q" toName="text" allowNested="true"><Choice value="R">{inner}</Choice></Choices>'
    config = config_of(nested.replace("</Choices>", '<Choice value="S"/></Choices>'))
    for given, said in (
        ([["R", "A"], ["R", "B"]], None),
        ([["R"], ["R", "A"], ["R", "A", "A1"]], "R > A > A1"),
        ([["R"], ["R", "A"]], "R > A"),
        ([["R", "A", "A1"], ["R", "A", "A2"]], "R > A"),
        ([["R", "A"], ["R", "A", "A1"], ["R", "A", "A2"]], "R > A"),
        ([["R"], ["R", "A"], ["R", "B"]], "R"),
        ([["R", "A"], ["R", "A", "A3"]], None),
        ([["R", "A", "A1"], ["S"]], None),
    ):
        vote = to_vote(config, annotation(config, q={"choices": given}))
        assert (vote and vote.label) == said, given


def test_a_follow_up_of_nested_choices_goes_by_the_first_of_several_with_its_name_and_of_a_tree_by_all() -> None:
    twice = """<{} toName="text"><Choice value="A"><Choice value="A1"/><Choice value="Other"/></Choice>
      <Choice value="B"><Choice value="B1"/><Choice value="Other"/></Choice></{}>"""
    choices = twice.format('Choices name="topic" allowNested="true"', "Choices")
    tree = twice.format('Taxonomy name="topic"', "Taxonomy")
    which = FOLLOW_UP.replace("sport,chess", "Other")
    for control, key, seen in ((choices, "choices", {"A"}), (tree, "taxonomy", {"A", "B"})):
        config = config_of(control, which)
        asked = {of for of in "AB" if "which" in answers_of(config, topic={key: [[of, "Other"]]})}
        assert asked == seen


def test_labels_of_each_task_are_no_fixed_set_unless_an_alias_is_stored_for_them() -> None:
    shown = '<Choices name="q" toName="text"><Choice value="$first" {}/><Choice value="none"/></Choices>'
    with pytest.raises(RefusedConfigError, match=r"words of each task in the place of \$first.* alias"):
        config_of(shown.format(""))
    assert config_of(shown.format('alias="first"')).labels == ("first", "none")
    assert config_of(tags("Choices", 'name="q"', "$$$", "$")).labels == ("$$$", "$"), "as in prices"


def test_what_follows_a_label_is_read_though_people_spelt_that_otherwise_or_it_had_another_name() -> None:
    which = FOLLOW_UP.replace("sport,chess", "big sport")
    xml = view(text("text"), TOPIC.replace("sport", "big sport"), which)
    config = parse_label_config(xml, ProjectOptions(defaults=LATEST, label_map={"game": "big sport"}))
    for topic in ("game", "big sport", "big\u00a0sport", "big  sport"):
        asked = {"topic": ("big sport",), "which": ("run",)}
        assert answers_of(config, topic={"choices": [topic]}, which={"choices": ["run"]}) == asked
        assert answers_of(config, topic={"choices": [topic]}) == asked | {"which": ()}
    # What was read before the label was mapped is read again, where something follows a label.
    assert config.reading != parse_label_config(xml, NEW).reading
    alone = ProjectOptions(defaults=LATEST, label_map={"game": "news"})
    assert parse_label_config(view(text("text"), TOPIC, TONES), alone).reading == config_of(TOPIC, TONES).reading
    # A label more, after which nothing follows, is no reason to.
    more = parse_label_config(xml.replace("</Choices>", '<Choice value="art"/></Choices>', 1), NEW)
    assert more.spellings["topic"].answer_of("art") == "art"
    assert more.reading == parse_label_config(xml, NEW).reading


def test_what_is_shown_unless_something_is_chosen_is_hidden_with_that_alone() -> None:
    unless = 'visibleWhen="choice-unselected" whenTagName="topic" whenChoiceValue="news"'
    kind = tags("Choices", f'name="kind" {unless}', "own", "other")
    for inner in (FOLLOW_UP.replace(WHEN, unless), f"<View {unless}>{FOLLOW_UP.replace(WHEN, '')}</View>"):
        config = config_of(TOPIC, inner, kind)
        assert answers_of(config, topic={"choices": ["sport"]}) == {"topic": ("sport",), "which": ()}
        assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",)}
        assert answers_of(config) == {"which": ()}
        stale = {"which": {"choices": ["run"]}, "kind": {"choices": ["own"]}}
        assert answers_of(config, topic={"choices": ["news"]}, **stale) == {"topic": ("news",)}
        assert answers_of(config, topic={"choices": ["odd"]}, **stale) == {"which": ("run",), "kind": ("own",)}
        for topic, shown in (([0.9, 0.1], ["topic"]), ([0.1, 0.9], ["topic", "which", "kind"])):
            probs_C = np.array([*topic, 0.8, 0.1, 0.9, 0.1])
            prediction = to_prediction(config, config.labels, probs_C, 0.5, "v", layout=config.question.layout)
            assert [item["from_name"] for item in prediction["result"]] == shown


def test_an_answer_to_what_is_hidden_itself_hides_and_shows_nothing() -> None:
    unless = 'visibleWhen="choice-unselected" whenTagName="which" whenChoiceValue="run"'
    config = config_of(TOPIC, FOLLOW_UP, tags("Choices", f'name="rest" choice="multiple" {unless}', "x"))
    which = {"choices": ["run"]}
    assert answers_of(config, topic={"choices": ["sport"]}, which=which).keys() == {"topic", "which"}
    assert answers_of(config, topic={"choices": ["news"]}, which=which) == {"topic": ("news",), "rest": ()}
    assert config.seen({"topic": ("news",)}) == {"topic": True, "which": False, "rest": True}
    of_itself = config_of(FOLLOW_UP.replace('whenTagName="topic"', 'whenTagName="which"'))
    assert of_itself.seen({}) == {"which": False}


REGION = 'visibleWhen="region-selected"'


def test_a_choice_alone_is_not_guessed_where_it_cannot_be_told_who_sees_it() -> None:
    marks = tags("Labels", 'name="ner"')
    plain = config_of(TOPIC, marks)
    for hidden in (TOPIC.replace("<Choices", f"<Choices {REGION}"), f"<View {REGION}>{TOPIC}</View>"):
        config = config_of(hidden, marks)
        assert config.odd == (UNCLEAR.format("topic", ""),), "of one answer nothing ticked never says anything"
        assert config.question == plain.question
        assert to_prediction(config, config.labels, np.array([0.9, 0.1]), 0.5, "v")["result"] == []
        assert can_show(plain, "news")
        assert not can_show(config, "news"), "what was written before is taken back"
        vote = to_vote(config, annotation(config, topic={"choices": ["news"]}))
        assert vote is not None
        assert vote.label == "news"


def test_to_mark_an_answer_as_ground_truth_asks_nobody_anything() -> None:
    since, later = "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"
    options = ProjectOptions(defaults=LATEST, asked_since={"tones": since}, label_changes={"which": {"ball": [since]}})
    xml = view(text("text"), TOPIC, TONES, FOLLOW_UP.replace(WHEN, ""))
    config = parse_label_config(xml, options)
    given = annotation(config, topic={"choices": ["news"]}, which={"choices": ["run"]})
    given |= {"created_at": "2026-05-01T00:00:00Z", "updated_at": later}
    starred, edited = (to_vote(config, given | {"ground_truth": is_so}) for is_so in (True, False))
    assert starred is not None
    assert edited is not None
    of_starred, of_edited = (config.question.consensus([vote]) or "" for vote in (starred, edited))
    assert (dict(decoded(of_starred)), unasked(of_starred)) == (
        {"topic": ("news",), "which": ("run",)},
        {"which": ("ball",)},
    )
    assert dict(decoded(of_edited)) == {"topic": ("news",), "tones": (), "which": ("run",)}
    assert unasked(of_edited) == {}
    assert starred.when == later


def test_what_ties_regions_or_is_of_a_text_itself_does_not_make_an_answer_doubtful() -> None:
    config = config_of(TONES, tags("Labels", 'name="ner"'), "<Relations><Relation value='of'/></Relations>")
    assert config.unlearned[1] == '<Relations name=""> ties regions together: it is not learnt.'
    beside = [
        {"id": "a", "from_name": "ner", "to_name": "text", "type": "labels", "value": {"start": 0, "end": 1}},
        {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right"},
        {"from_name": "text", "to_name": "text", "type": "chatmessage", "value": {}},
    ]
    vote = to_vote(config, {"result": beside, "created_at": "2026", "lead_time": 1.0})
    assert vote is not None
    assert dict(decoded(vote.label)) == {"tones": ()}
    assert why_no_vote(config, {"result": beside, "lead_time": 1.0}) == ""
    assert why_no_vote(config_of(TOPIC), {"result": beside[:2]}) == "only other questions are answered: ner"


def test_no_more_paths_are_guessed_than_may_be_submitted() -> None:
    three = tags("Taxonomy", 'name="q" maxUsages="{}"', "A", "B", "C")
    config, free = config_of(three.format(2)), config_of(three.format("any"))
    assert config.asked[0].kind == free.asked[0].kind == ANY_OF
    for of, shown in ((config, [["A"], ["C"]]), (free, [["A"], ["B"], ["C"]])):
        layout = of.question.layout
        assert layout is not None
        result = to_prediction(of, of.labels, np.array([0.8, 0.7, 0.9]), 0.5, "v", layout=layout)["result"]
        assert [item["value"]["taxonomy"] for item in result] == [shown]
        assert Layout.of(layout.as_dict()) == layout
    assert config_of(three.format("9" * 5_000)).question == free.question
    # Of a version from before the limit, or with another one, no more is shown either.
    for of in (free, config_of(three.format(3))):
        layout = of.question.layout
        result = to_prediction(config, config.labels, np.array([0.8, 0.7, 0.9]), 0.5, "v", layout=layout)["result"]
        assert [item["value"]["taxonomy"] for item in result] == [[["A"], ["C"]]]
    assert not can_show(config, results.shown(result_of(free, encoded({"q": ("A", "B", "C")}))))


def test_a_label_that_is_listed_twice_where_one_may_be_ticked_is_not_guessed() -> None:
    for choice, shown in (("single", []), ("single-radio", []), ("multiple", [["a"]])):
        config = config_of(tags("Choices", f'name="q" choice="{choice}"', "a", "b", "a"))
        layout = config.question.layout
        result = to_prediction(config, config.labels, np.array([0.9, 0.1]), 0.5, "v", layout=layout)["result"]
        assert [item["value"]["choices"] for item in result] == shown
        assert any("lists 'a' twice" in said for said in config.odd) == (not shown)
        assert can_show(config, results.shown(result_of(config, encoded({"q": ("a",)}) if layout else "a"))) == bool(
            shown
        )
    once = config_of(tags("Choices", 'name="q"', "a", "b", "a"))
    assert to_prediction(once, once.labels, np.array([0.1, 0.9]), 0.5, "v")["result"] != []


def test_what_follows_stars_is_never_shown_and_nobody_says_none_of_it() -> None:
    stars, which = tags("Rating", 'name="topic"'), FOLLOW_UP.replace("sport,chess", "4")
    for follow_up in (which, which.replace('whenChoiceValue="4"', "")):
        config = config_of(stars, follow_up)
        assert answers_of(config, topic={"rating": 4}) == {"topic": ("4",)}
        [said] = config.odd
        assert " is never shown: something may follow" in said
        assert said.endswith("Let it follow one, or take the condition out.")
        probs_C = np.array([0, 0, 0, 1, 0, 0.9, 0.9])
        [item] = to_prediction(config, config.labels, probs_C, 0.5, "v", layout=config.question.layout)["result"]
        assert item["value"] == {"rating": 4}


def test_what_waits_for_nothing_to_be_chosen_of_stars_is_always_shown() -> None:
    unless = WHEN.replace(CHOSEN, NOT_CHOSEN).replace(' whenChoiceValue="sport,chess"', "")
    for of, name in ((tags("Rating", 'name="topic"'), "topic"), (TOPIC, "nowhere")):
        follow_up = FOLLOW_UP.replace(WHEN, unless.replace('"topic"', f'"{name}"'))
        config = config_of(of, follow_up)
        assert config.seen({})["which"] is True
        assert answers_of(config) == {"which": ()}
        assert [f'whenTagName="{name}"> is always shown: something may follow' in said for said in config.odd] == [True]
    # With a value, and of choices that are not learnt, nobody can tell.
    for follow_up in (FOLLOW_UP.replace(CHOSEN, NOT_CHOSEN), FOLLOW_UP.replace(WHEN, unless)):
        first = tags("Rating", 'name="topic"') if "whenChoiceValue" in follow_up else DYNAMIC
        assert config_of(first, follow_up, TONES).seen({})["which"] is None


DYNAMIC = '<Choices name="topic" toName="text" value="$options"/>'


def test_a_condition_without_the_name_of_what_it_follows_is_said() -> None:
    config = config_of(TOPIC, FOLLOW_UP.replace('whenTagName="topic"', ""))
    assert config.odd == (
        f'<Choices visibleWhen="{CHOSEN}"> has no whenTagName: it goes by whatever is chosen in any <Choices>.',
        UNCLEAR.format("which", NONE_UNCLEAR),
    )
    assert UNCLEAR.format("which", NONE_UNCLEAR).removesuffix(".") in said_of(config)
    assert ".;" not in said_of(config)


def test_an_alias_against_a_sign_in_a_label_does_not_turn_older_answers_into_another_label() -> None:
    tree = """<Taxonomy name="t" toName="text"><Choice value="A"><Choice value="B"/></Choice>
      <Choice value="A > B" alias="ab"/></Taxonomy>"""
    config = config_of(tree)
    assert answers_of(config, t={"taxonomy": [["A", "B"]]}) == {"t": ("A > B",)}
    assert answers_of(config, t={"taxonomy": [["ab"]]}) == {"t": ("ab",)}
    assert answers_of(config, t={"taxonomy": [["A > B"]]}) == {}, "which of them that was is not known"


def test_a_label_that_becomes_a_path_is_read_again() -> None:
    tree = '<Taxonomy name="q" toName="text" leafsOnly="true"><Choice value="B"/>{}</Taxonomy>'
    label, path = (
        config_of(tree.format(inside))
        for inside in ('<Choice value="A &gt; C"/>', '<Choice value="A"><Choice value="C"/></Choice>')
    )
    assert label.labels == path.labels == ("B", "A > C")
    assert label.reading != path.reading


def test_what_stands_inside_of_a_choice_in_the_place_of_its_value_is_said() -> None:
    inside = TOPIC.replace('<Choice value="news"/>', '<Choice value="news" {}>News</Choice>')
    [said] = config_of(inside.format("")).odd
    assert said.startswith('<Choices name="topic"> has <Choice value="news">News</Choice>: Label Studio')
    assert (
        config_of(inside.format('alias="n"')).odd == config_of(inside.replace(">News<", ">news<").format("")).odd == ()
    )


def test_what_the_editor_cannot_give_is_no_label() -> None:
    twin = '<Choice value="Dog"/><Choice value="Dog" alias="hound"><Choice value="Small"/></Choice>'
    assert config_of(TREE.format("").replace('<Choice value="Dog"/>', twin)).labels == config_of(TREE.format("")).labels
    views = '<View><Choice value="Up"/></View><View><Choice value="Down"/></View>'
    beside = config_of(TREE.format("").replace('<Choice value="Dog"/>', views))
    assert beside.labels == ("an", "an > Up", "an > Down", "an > ca", "Rock")
    for control in (TOPIC, TREE.format("")):
        with pytest.raises(RefusedConfigError, match=r'(empty|with names).* Take out alias="".'):
            config_of(control.replace("<Choice ", '<Choice alias="" ', 1).replace('alias="an"', ""))


def test_a_sign_between_the_parts_of_a_path_may_stand_in_a_label() -> None:
    flat = tags("Choices", 'name="topic"', "50k", "Income > 50k")
    for value, asked in (("50k", "50k"), ("Income > 50k", "Income > 50k")):
        config = config_of(flat, FOLLOW_UP.replace("sport,chess", value))
        for topic in ("50k", "Income > 50k"):
            assert ("which" in answers_of(config, topic={"choices": [topic]})) == (topic == asked)
    tree = '<Taxonomy name="topic" toName="text"><Choice value="Age"><Choice value="Age > 65"/></Choice></Taxonomy>'
    config = config_of(tree, FOLLOW_UP.replace("sport,chess", "Age > 65"))
    assert answers_of(config, topic={"taxonomy": [["Age", "Age > 65"]]})["which"] == ()
    for control in (TREE.format(""), NESTED.format("")):
        alike = control.replace("<Choice ", '<Choice value="A > A1"/><Choice ', 1)
        alike = alike.replace('value="Animal" alias="an"', 'value="A"').replace('"Dog"', '"A1"')
        with pytest.raises(RefusedConfigError, match="two labels that are both 'A > A1'"):
            config_of(alike)


def test_a_condition_names_the_first_label_that_has_it_as_its_alias_or_its_value() -> None:
    turned = " ".join(f'<Choice value="{value}" alias="{alias}"/>' for value, alias in ("12", "23", "31"))
    config = config_of(f'<Choices name="topic" toName="text">{turned}</Choices>', FOLLOW_UP.replace("sport,chess", "2"))
    assert [alias for alias in "123" if "which" in answers_of(config, topic={"choices": [alias]})] == ["2"]


def test_a_condition_of_no_kind_that_the_editor_knows_hides_nothing() -> None:
    config = config_of(TOPIC, FOLLOW_UP.replace("choice-selected", "choice_selected"))
    assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",), "which": ()}
    assert config.odd == (
        '<Choices visibleWhen="choice_selected"> is always shown, as Label Studio knows choice-selected, '
        "choice-unselected, region-selected, no-region-selected alone.",
    )
    shown = parse_label_config(view(f'<View visibleWhen="always">{text("text")}</View>', text("more"), TOPIC), NEW)
    assert shown.fields == ("text", "more")


def test_a_condition_that_waits_for_what_is_not_there_is_said() -> None:
    for value in ("News", " news", "chess"):
        said = config_of(TOPIC, FOLLOW_UP.replace("sport,chess", f"sport,{value}")).odd
        assert [f"topic has no label {value!r}, to the letter." in one for one in said] == [True]
        unless = FOLLOW_UP.replace("sport,chess", value).replace(CHOSEN, NOT_CHOSEN)
        [hidden] = config_of(TOPIC, unless).odd
        assert f'whenChoiceValue="{value}"> is hidden by what nobody can choose' in hidden
    assert "and nowhere is none" in config_of(TOPIC, FOLLOW_UP.replace('"topic"', '"nowhere"')).odd[0]
    assert config_of(TOPIC, FOLLOW_UP.replace(",chess", "")).odd == ()
    dynamic = '<Choices name="topic" toName="text" value="$options"/>'
    assert config_of(dynamic, FOLLOW_UP, TONES).odd == (UNCLEAR.format("which", NONE_UNCLEAR),)
    repeated = f'<Repeater on="$x">{FOLLOW_UP}</Repeater>'
    assert config_of(TOPIC, repeated).odd == ()


def test_a_tick_that_the_editor_sets_itself_is_said_to_go_where_guesses_are_shown() -> None:
    ticked = TOPIC.replace('<Choice value="news"', '<Choice value="news" selected="true"')
    config = config_of(ticked, TONES)
    assert [said.split(",")[0] for said in config.odd] == ['<Choices name="topic"> has a <Choice selected="true">']
    assert "--show-predictions nobody finds it ticked" in said_of(config)


def test_a_check_box_alone_is_ticked_or_not() -> None:
    for choice in ("", 'choice="single"'):
        config = config_of(tags("Choices", f'name="flag" {choice}', "spam"))
        assert answers_of(config, flag={"choices": ["spam"]}) == {"flag": ("spam",)}
        assert answers_of(config) == {"flag": ()}
    with pytest.raises(RefusedConfigError, match='For one that is given or not, set choice="multiple"'):
        config_of(tags("Choices", 'name="flag" choice="single-radio"', "spam"))


def test_what_is_answered_is_written_in_the_order_of_the_form() -> None:
    config = config_of(tags("Choices", 'name="q" choice="multiple"', "tie", "both bad", "a"))
    [item] = result_of(config, encoded({"q": ("a", "both bad", "tie")}))
    assert item["value"] == {"choices": ["tie", "both bad", "a"]}
    tree = config_of(tags("Taxonomy", 'name="q"', "z", "b"))
    assert result_of(tree, encoded({"q": ("b", "z")}))[0]["value"] == {"taxonomy": [["z"], ["b"]]}


def test_a_config_that_nobody_wrote_is_refused_or_read() -> None:
    deep = '<Choice value="a">' * 3000 + "</Choice>" * 3000
    with pytest.raises(RefusedConfigError, match="tags in tags, more than 100 deep"):
        config_of(f'<Taxonomy name="t" toName="text">{deep}</Taxonomy>')
    nameless = view('<Text value="$text"/>', TOPIC.replace('toName="text"', 'toName="a,b"'))
    with pytest.raises(RefusedConfigError, match="Give one a name, and set toName to it"):
        parse_label_config(nameless, NEW)


def test_a_condition_names_a_label_as_people_read_it() -> None:
    aliases = '<Choices name="topic" toName="text"><Choice value="sport" alias="s"/><Choice value="news"/></Choices>'
    config = config_of(aliases, FOLLOW_UP)
    assert answers_of(config, topic={"choices": ["s"]}) == {"topic": ("s",), "which": ()}


def test_whether_a_control_was_shown_for_a_region_cannot_be_told_so_that_nothing_ticked_says_nothing() -> None:
    config = config_of(TOPIC, tags("Choices", 'name="which" choice="multiple" visibleWhen="region-selected"', "a", "b"))
    assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",)}


def test_a_guess_is_shown_only_where_a_person_with_these_answers_is_asked() -> None:
    config = config_of(TOPIC, FOLLOW_UP)
    for topic, shown in (([0.9, 0.1], ["topic"]), ([0.1, 0.9], ["topic", "which"])):
        probs_C = np.array([*topic, 0.8, 0.1])
        prediction = to_prediction(config, config.labels, probs_C, 0.5, "v", layout=config.question.layout)
        assert [item["from_name"] for item in prediction["result"]] == shown


def test_a_label_that_was_renamed_is_shown_by_its_new_name_and_one_that_is_gone_not_at_all() -> None:
    before = config_of(TOPIC, TONES)
    after = parse_label_config(
        view(text("text"), TOPIC.replace("sport", "sports"), TONES.replace("loud", "noisy")),
        ProjectOptions(defaults=LATEST, label_map={"sport": "sports"}),
    )
    probs_C = np.array([0.1, 0.9, 0.9, 0.9])
    prediction = to_prediction(after, before.labels, probs_C, 0.5, "v", layout=before.question.layout)
    assert [item["value"] for item in prediction["result"]] == [{"choices": ["sports"]}]


def test_what_is_listed_twice_is_one_label_and_words_inside_a_tag_are_none() -> None:
    config = config_of(tags("Choices", 'name="q"', "a", "b", "b"))
    assert config.labels == ("a", "b")
    vote = to_vote(config, annotation(config, q={"choices": ["b", "b"]}))
    assert vote is not None
    assert vote.label == "b"
    with pytest.raises(
        RefusedConfigError, match=r'Write <Choice value="label"/> in the place of <Choice>label</Choice>'
    ):
        config_of('<Choices name="q" toName="text"><Choice>a</Choice><Choice>b</Choice></Choices>')
    with pytest.raises(RefusedConfigError, match=r"has the labels \['a'\]; at least two different"):
        config_of(tags("Choices", 'name="q"', "a", "a"))


def test_other_controls_beside_are_named_as_not_learnt() -> None:
    config = config_of(TOPIC, tags("Labels", 'name="ner"'), tags("Choices", 'name="k" perRegion="true"', "x", "y"))
    assert config.labels == ("news", "sport")
    assert len(config.unlearned) == 2
    assert "marks regions" in config.unlearned[0]
    assert "labels parts of a task: it is not learnt" in config.unlearned[1]


def test_what_a_style_hides_is_no_question_as_nobody_answers_it() -> None:
    config = config_of(TOPIC, f'<View style="display:none"><View>{TONES}</View></View>')
    assert config.labels == ("news", "sport")
    assert config.unlearned == (
        '<Choices name="tones"> is hidden by a style: nobody answers it, and it is not learnt. To have it learnt, take '
        "the style away.",
    )


@pytest.mark.parametrize(
    ("rules", "around"),
    [
        (".hide { display: none }", 'className="box hide"'),
        ("/* {} */ .other, .hide{display:none !important;} .shown{display:flex}", 'className="hide"'),
        ("#gone{color:red; visibility : hidden}", 'idAttr="gone"'),
    ],
)
def test_what_a_rule_of_a_style_hides_is_no_question_either(rules: str, around: str) -> None:
    hidden = view(text("text"), f"<Style>{rules}</Style>", TOPIC, f"<View {around}>{TONES}</View>")
    config = parse_label_config(hidden, NEW)
    assert (config.labels, config.odd) == (("news", "sport"), ())
    assert "is hidden by a style" in config.unlearned[0]
    shown = hidden.replace(around, 'className="shown"')
    assert len(parse_label_config(shown, NEW).asked) == 2
    assert added_questions(hidden, shown, NEW) == ["tones"], "who saw it before cannot be told"


@pytest.mark.parametrize(
    "rule", ["View .hide{display:none}", "@media print{.hide{display:none}}", ".a.hide{display:none}"]
)
def test_what_a_rule_may_hide_that_cannot_be_judged_is_said(rule: str) -> None:
    xml = view(
        text("text"), f"<Style>{rule} .hide{{color:red}}</Style>", TOPIC, f'<View className="hide">{TONES}</View>'
    )
    config = parse_label_config(xml, NEW)
    [said] = config.odd
    assert said.startswith("<Style> hides ")
    assert "hide'" in said
    assert len(config.asked) == 2
    assert parse_label_config(xml.replace("display:none", "display:block"), NEW).odd == ()


def test_of_two_rules_for_one_class_the_last_one_counts() -> None:
    rules = "<Style>.hide{display:none} .hide{display:block}</Style>"
    assert len(config_of(TOPIC, f'{rules}<View className="hide">{TONES}</View>').asked) == 2


LEADS = 'visibleWhen="choice-selected" whenTagName="{}"'
LED = tags("Choices", f'name="led" {LEADS}', "x", "y")


def test_a_project_of_the_first_release_asks_what_it_asked_until_it_is_connected_again() -> None:
    xml = view(text("text"), TOPIC, tags("Rating", 'name="stars"'))
    assert parse_label_config(xml).labels == ("news", "sport")
    assert len(parse_label_config(xml, NEW).asked) == 2


@pytest.mark.parametrize("leading", [TOPIC.replace("<Choices", '<Choices choice="multiple"'), TREE.format("")])
def test_what_a_project_of_the_first_release_asks_may_depend_on_what_it_does_not_ask(leading: str) -> None:
    config = parse_label_config(view(text("text"), leading, LED.format(config_of(leading).from_name)))
    assert config.reading
    assert config.seen({}) == {"led": None}, "as of what depends on a control that is not served"
    vote = to_vote(config, annotation(config, led={"choices": ["x"]}))
    assert vote is not None
    assert vote.label == "x"


def test_a_chain_of_follow_ups_may_be_long() -> None:
    chain = [tags("Choices", f'name="n{n}" choice="multiple" {LEADS.format(f"n{n - 1}")}', "a") for n in range(1, 400)]
    config = config_of(*reversed(chain), tags("Choices", 'name="n0" choice="multiple"', "a"))
    answers = {f"n{n}": ("a",) for n in range(400)}
    assert set(config.seen(answers).values()) == {True}
    shown = [name for name, seen in config.seen({**answers, "n200": ()}).items() if seen]
    assert len(shown) == 201


REFUSED = {
    "numbers without bounds": (tags("Number", 'name="n"'), "Add a <Rating> or a <Choices> with few steps beside it"),
    "too many numbers": (
        tags("Number", 'name="n" min="0" max="100"'),
        "goes from 0 to 100 in steps of 1, 101 in all; a classifier learns from 2 to 21. Add a <Rating> or a <Choices>",
    ),
    "no numbers": (tags("Number", 'name="n" min="zero" max="1"'), 'min="zero"> is no number'),
    "any step": (tags("Number", 'name="n" min="0" max="1" step="any"'), "Add a <Rating> or a <Choices> with few steps"),
    "stars of each task": (tags("Rating", 'name="r" maxRating="$max"'), "beside it to have it learnt"),
    "one star": (tags("Rating", 'name="r" maxRating="1"'), "goes from 1 to 1 in steps of 1, 1 in all"),
    "nested choices that may not be": (
        NESTED.format("").replace('allowNested="true"', ""),
        "give each <Choice> a value of its own, list the labels flat, or use <Taxonomy>",
    ),
    "endless numbers": (tags("Number", 'name="n" min="0" max="Infinity"'), 'max="Infinity"> is no number'),
    "numbers too fine": (tags("Number", 'name="n" min="0" max="1" step="1e-99"'), 'step="1e-99"> is no number'),
    "a tree from elsewhere": (
        '<Taxonomy name="t" toName="text" apiUrl="https://x"/>',
        "or add a control with such tags",
    ),
    "a tree with too many labels": (
        tags("Taxonomy", 'name="t"', *map(str, range(1001))),
        "Add a <Choices> or a <Taxonomy> with the upper levels beside it to have these learnt; it can stay as it is.",
    ),
    "a tree that marks regions": (TREE.format('labeling="true"'), "labels parts of a task"),
    "what nobody sees": (f'<View style="Display : none">{TOPIC}</View>', "take the style away"),
    "two texts to compare, with a blank": (
        '<Text name="b" value="$b"/><Pairwise name="p" toName="text, b"/>',
        "a blank",
    ),
    "a text to compare with itself": ('<Text name="b" value="$b"/><Pairwise name="p" toName="b,b"/>', "Name two"),
    "one text to compare": ('<Pairwise name="p" toName="text"/>', "compares no two texts"),
    "pictures to compare": (
        '<Image name="a" value="$a"/><Image name="b" value="$b"/><Pairwise name="p" toName="a,b"/>',
        'in two more <Text> tags and name these, or add a <Choices toName="text"> with the labels left and right',
    ),
    "regions alone": (tags("Labels", 'name="ner"'), '<Labels name="ner"> marks regions'),
    "other regions alone": (tags("RectangleLabels", 'name="box"'), '<RectangleLabels name="box"> marks regions'),
    "items of a list alone": (f"<Repeater on='$x'>{TOPIC}</Repeater>", "add one, such as <Choices"),
    "words alone": (tags("TextArea", 'name="why"'), "asks for words"),
}


@pytest.mark.parametrize(("xml", "remedy"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_learnt_is_refused_with_the_remedy(xml: str, remedy: str) -> None:
    with pytest.raises(RefusedConfigError) as refusal:
        config_of(xml)
    assert remedy in str(refusal.value)


def test_why_an_annotation_gives_no_answer_is_said_of_the_question_that_it_is_about() -> None:
    config = config_of(tags("Rating", 'name="stars"'))
    wrong = {"from_name": "stars", "to_name": "text", "type": "choices", "value": {"choices": ["5"]}}
    assert why_no_vote(config, {"result": [wrong]}) == (
        'to the question stars, the type is choices in the place of "rating"'
    )
    odd = {"from_name": "stars", "to_name": "text", "type": "rating", "value": {}}
    assert why_no_vote(config, {"result": [odd]}) == 'to the question stars, the value has no "rating"'


def test_what_cannot_be_read_is_no_answer_and_is_said() -> None:
    config = config_of(TONES)
    [item] = annotation(config, tones={"choices": ["rude"]})["result"]
    odd = [{**item, "type": "Choices"}, {**item, "value": {"choices": {"a": 1}}}, {**item, "from_name": "labels"}]
    for one in odd:
        assert to_vote(config, {"result": [one], "created_at": "2026"}) is None
    said = [why_no_vote(config, {"result": [one]}) for one in odd]
    assert said[0] == 'to the question tones, the type is Choices in the place of "choices"'
    assert said[1] == 'to the question tones, the "choices" are not a plain list of labels'
    assert said[2] == "the labelling config has no question labels"
    assert why_no_vote(config, {"result": [item]}) == why_no_vote(config, {"result": []}) == ""


def test_what_is_not_learnt_beside_does_not_make_an_answer_doubtful() -> None:
    config = config_of(TONES, tags("TextArea", 'name="why"'))
    words = {"from_name": "why", "to_name": "text", "type": "textarea", "value": {"text": ["so"]}}
    vote = to_vote(config, {"result": [words], "created_at": "2026", "lead_time": 1.0})
    assert vote is not None
    assert dict(decoded(vote.label)) == {"tones": ()}


@pytest.mark.parametrize(("other", "shown"), [(("news", "else"), ["topic"]), (("sport", "news"), [])])
def test_a_version_of_one_question_is_shown_at_that_question_of_a_newer_form_or_not_at_all(
    other: tuple[str, ...], shown: list[str]
) -> None:
    config = config_of(tags("Choices", 'name="other"', *other), TOPIC)
    result = to_prediction(config, ("news", "sport"), np.array([0.2, 0.8]), 0.5, "v")["result"]
    assert [item["from_name"] for item in result] == shown


def test_several_labels_are_not_shown_where_one_is_asked_for_by_now() -> None:
    several, one = config_of(TONES), config_of(TONES.replace("multiple", "single"))
    layout = several.question.layout
    shown = to_prediction(several, several.labels, np.array([0.9, 0.9]), 0.5, "v", layout=layout)["result"]
    assert can_show(several, results.shown(shown))
    assert not can_show(one, results.shown(shown))
    assert to_prediction(one, several.labels, np.array([0.9, 0.9]), 0.5, "v", layout=layout)["result"] == []
    [item] = to_prediction(one, several.labels, np.array([0.9, 0.1]), 0.5, "v", layout=layout)["result"]
    assert item["value"] == {"choices": ["rude"]}


def test_of_a_chain_of_follow_ups_none_is_shown_after_one_that_is_not() -> None:
    def follow_up(name: str, after: str, label: str) -> str:
        when = f'visibleWhen="choice-selected" whenTagName="{after}" whenChoiceValue="{label}"'
        return tags("Choices", f'name="{name}" {when}', "1", "2")

    config = config_of(tags("Choices", 'name="a"', "1", "2"), follow_up("b", "a", "1"), follow_up("c", "b", "1"))
    layout = config.question.layout
    for a, shown in (([0.9, 0.1], ["a", "b", "c"]), ([0.1, 0.9], ["a"])):
        probs_C = np.array([*a, 0.9, 0.1, 0.9, 0.1])
        result = to_prediction(config, config.labels, probs_C, 0.5, "v", layout=layout)["result"]
        assert [item["from_name"] for item in result] == shown


def test_a_label_that_one_question_lost_is_taken_back_although_another_still_has_it() -> None:
    before = config_of(tags("Choices", 'name="p"', "yes", "no"), tags("Choices", 'name="q"', "yes", "no") + TONES)
    after = config_of(tags("Choices", 'name="p"', "y", "n"), tags("Choices", 'name="q"', "yes", "no"))
    [item, *_] = to_prediction(before, before.labels, np.full(6, 0.6), 0.5, "v", layout=before.question.layout)[
        "result"
    ]
    assert item["from_name"] == "p"
    assert not can_show(after, results.shown([item]))
    assert can_show(before, results.shown([item]))


def test_what_is_repeated_is_not_learnt_and_a_control_beside_is() -> None:
    of_items = (
        '<Repeater on="$turns"><Header value="$turns[{{idx}}].who"/>'
        '<Text name="turn_{{idx}}" value="$turns[{{idx}}].text"/><Choices name="q_{{idx}}.a" '
        'toName="turn_{{idx}}"><Choice value="a"/><Choice value="b"/></Choices></Repeater>'
    )
    config = config_of(TONES, of_items)
    assert (config.fields, [control.name for control in config.asked]) == (("text",), ["tones"])
    assert config.left_out == ("'$turns[{{idx}}].text' is of items in a <Repeater>",)
    assert config.unlearned == ("<Repeater> asks about each item of a list: it is not learnt.",)
    item = {"from_name": "q_0.a", "to_name": "turn_0", "type": "choices", "value": {"choices": ["a"]}}
    several = [{**item, "from_name": f"q_{number}.a"} for number in (0, 11)]
    submitted = {"result": several, "created_at": "2026", "lead_time": 1.0}
    vote = to_vote(config, submitted)
    assert vote is not None
    assert decoded(vote.label) == {"tones": ()}, "nothing is ticked, and that is an answer"
    assert why_no_vote(config, submitted) == ""
    for name in ("q_0_a", "q_x.a", "q_0.ab"):
        other = {"result": [{**item, "from_name": name}], "created_at": "2026"}
        assert why_no_vote(config, other) == f"the labelling config has no question {name}"
    with pytest.raises(RefusedConfigError, match="outside of it, and add a control about that; all else can stay"):
        parse_label_config(view(of_items), NEW)


LOOKS = {
    "Choices": (
        'requiredMessage="!" hint="h" showInline="true" layout="select" readonly="true" '
        'whenTagName="tones" style="color: red"'
    ),
    "Choice": 'hint="h" hotkey="1" html="&lt;b&gt;x&lt;/b&gt;" color="red" background="red" style="color: red"',
    "Taxonomy": ('placeholder="p" minWidth="1px" maxWidth="9px" showFullPath="true" pathSeparator=" > " legacy="true"'),
    "Rating": 'required="true" defaultValue="2" size="small" icon="heart" hotkey="r"',
    "Number": 'required="true" slider="true" hotkey="n"',
    "Text": (
        'saveTextResult="no" granularity="word" highlightColor="red" selectionEnabled="false" showLabels="false" '
        'inline="true" clickableLinks="true"'
    ),
}


def test_what_changes_the_look_alone_changes_nothing_that_is_read() -> None:
    number = tags("Number", 'name="n" min="0" max="4"')
    plain = view(text("text"), TOPIC, TONES, TREE.format(""), tags("Rating", 'name="r"'), number)
    config = parse_label_config(plain, NEW)
    for tag, attributes in LOOKS.items():
        changed = re.sub(f"<{tag} ", f"<{tag} {attributes} ", plain)
        assert changed != plain
        found = parse_label_config(changed, NEW)
        assert (found, found.unlearned, found.too_many, found.odd) == (config, (), (), ())
    around = (
        f"<Style>.a {{color: red}}</Style><Collapse><Panel value='Read'>{plain}</Panel></Collapse>"
        '<Filter name="f" toName="topic" minlength="0"/><Shortcut alias="s" value="so"/>'
    )
    shown = parse_label_config(view(around), NEW)
    assert shown == config
    assert (shown.unlearned, shown.odd) == ((), ())


def test_a_default_value_of_a_number_is_stored_untouched_which_is_said() -> None:
    config = config_of(tags("Number", 'name="n" min="0" max="4" defaultValue="2"'))
    assert config.labels == ("0", "1", "2", "3", "4")
    [said] = config.odd
    assert said.startswith('<Number name="n" defaultValue="2">: Label Studio\'s editor stores that as the answer')


@pytest.mark.parametrize(
    ("tag", "asks"),
    {
        "Relations": "ties regions together",
        "TextArea": "asks for words",
        "DateTime": "asks for a date",
        "Ranker": "asks for an order",
        "ReactCode": "asks what its own code asks",
        "Labels": "marks regions",
        "Brush": "marks regions",
        "CustomInterface": "is not known here",
    }.items(),
)
def test_what_asks_for_something_else_is_named_for_what_it_asks(tag: str, asks: str) -> None:
    assert config_of(TOPIC, f'<{tag} name="o" toName="text"/>').unlearned == (
        f'<{tag} name="o"> {asks}: it is not learnt.',
    )
    with pytest.raises(RefusedConfigError, match=f'<{tag} name="o"> {asks}: it is not learnt. A control that asks'):
        config_of(f'<{tag} name="o" toName="text"/>')


def test_what_narrows_a_region_down_tells_no_more_of_who_saw_a_control() -> None:
    for kind in ("region-selected", "no-region-selected"):
        for narrowed in ("", 'whenLabelValue="P"', 'whenRole="user"', 'whenTagName="ner"'):
            follow_up = tags("Choices", f'name="which" choice="multiple" visibleWhen="{kind}" {narrowed}', "a", "b")
            config = config_of(TOPIC, tags("Labels", 'name="ner"'), follow_up)
            assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",)}
            assert answers_of(config, which={"choices": ["a"]}) == {"which": ("a",)}
            assert (config.asked[1].guessable, config.odd) == (False, (UNCLEAR.format("which", NONE_UNCLEAR),))


def test_what_marks_regions_is_named_whatever_it_marks() -> None:
    others = ("PolygonLabels", "TimeSeriesLabels", "VideoRectangle", "Brush")
    config = config_of(TOPIC, *(tags(tag, f'name="{tag}"') for tag in others), tags("Filter", 'name="f"'))
    assert config.unlearned == tuple(f'<{tag} name="{tag}"> marks regions: it is not learnt.' for tag in others)


def test_decimal_steps_are_read_as_people_write_them_and_as_the_editor_adds_them_up() -> None:
    config = config_of(tags("Number", 'name="n" min="0" max="1" step="0.1"'))
    assert config.labels == ("0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1")
    for stored, label in ((0.3, "0.3"), (0.1 + 0.2, "0.3"), (1, "1"), (1.0, "1")):
        assert answers_of(config, n={"number": stored}) == {"n": (label,)}
    values = [result_of(config, encoded({"n": (label,)}))[0]["value"]["number"] for label in config.labels]
    assert values == [round(0.1 * step, 1) for step in range(11)]
    assert config_of(tags("Number", 'name="n" min="-1" max="1" step="0.50"')).labels == ("-1", "-0.5", "0", "0.5", "1")


def test_names_of_attributes_are_read_in_any_case() -> None:
    lower = f'<Choices name="which" toname="text" choice="multiple" {WHEN.lower()}><Choice Value="run"/></Choices>'
    config = config_of(TOPIC, lower)
    assert [control.name for control in config.asked] == ["topic", "which"]
    assert answers_of(config, topic={"choices": ["news"]}) == {"topic": ("news",)}
    assert config_of(TOPIC, tags("Choices", 'name="k" perregion="true"', "x", "y")).labels == ("news", "sport")


def test_a_follow_up_of_a_tree_goes_by_the_last_part_of_a_path_as_people_read_it() -> None:
    follow_up = tags(
        "Choices",
        'name="why" choice="multiple" visibleWhen="choice-selected" whenTagName="tree" whenChoiceValue="Cat"',
        "x",
    )
    config = config_of(TREE.format(""), follow_up)
    assert answers_of(config, tree={"taxonomy": [["an", "ca"]]}) == {"tree": ("an > ca",), "why": ()}
    assert answers_of(config, tree={"taxonomy": [["an", "Dog"]]}) == {"tree": ("an > Dog",)}


def test_of_too_many_labels_the_largest_question_is_named_as_not_learnt_and_the_others_are_served() -> None:
    leaves = "".join(f'<Choice value="leaf {i}"/>' for i in range(MOST_LABELS))
    for most in ("", 'maxUsages="1"'):
        tree = f'<Taxonomy name="tree" toName="text" {most}>{leaves}</Taxonomy>'
        after = 'visibleWhen="choice-selected" whenTagName="tree"'
        config = config_of(TOPIC, tree, TONES, FOLLOW_UP.replace(WHEN, after))
        assert [control.name for control in config.asked] == ["topic", "tones", "which"]
        assert config.unlearned == (TOO_MANY.format("tree", MOST_LABELS, MOST_LABELS),)
        assert config.odd == (UNCLEAR.format("which", NONE_UNCLEAR),), (
            "nobody can tell what a tree that is not learnt shows"
        )
    assert len(config_of(tree).labels) == MOST_LABELS
    few = parse_label_config(view(text("text"), TOPIC, tree), replace(NEW, ignored_labels=("leaf 1", "leaf 2")))
    assert len(few.labels) == MOST_LABELS
    many = tags("Choices", 'name="many" choice="multiple"', *(f"label {i}" for i in range(MOST_LABELS + 1)))
    with pytest.raises(RefusedConfigError, match=f"have {MOST_LABELS + 1} labels, {MOST_LABELS} at most") as refusal:
        config_of(many)
    assert "add a <Choices> or a <Taxonomy> with the upper levels" in str(refusal.value)
    assert config_of(many, TOPIC).labels == ("news", "sport"), "as is said"


def test_options_weigh_questions_and_change_nothing_of_how_tasks_are_read() -> None:
    xml = view(text("text"), TOPIC, TONES)
    options = ProjectOptions.of(
        {
            "nextlabel": {
                "defaults": 1,
                "question_weights": {"tones": 0},
                "combine_questions": "maximum",
                "combine_labels": "mean",
            }
        }
    )
    weighted = parse_label_config(xml, options)
    assert weighted.question.layout is not None
    assert [cut.weight for cut in weighted.question.layout.cuts] == [1, 0]
    assert (weighted.question.layout.combine, weighted.question.layout.combine_labels) == ("maximum", "mean")
    assert Layout.of(weighted.question.layout.as_dict()) == weighted.question.layout
    assert weighted.reading == parse_label_config(xml, NEW).reading
    assert ProjectOptions.of(options.put_into(None)) == options
    for spoilt in (
        {"question_weights": {"tones": -1}},
        {"question_weights": 3},
        {"combine_questions": "sum"},
        {"combine_labels": 1},
    ):
        with pytest.raises(RefusedConfigError, match=next(iter(spoilt))):
            ProjectOptions.of({"nextlabel": spoilt})


def test_each_row_of_the_guide_names_a_test_that_is_there() -> None:
    guide = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    table = guide.partition("## Controls")[2].partition("\n### ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")][2:]
    named = [words for row in rows for words in row[-1].strip().rpartition(": ")[2].split(", ")]
    tests = [name.replace("_", " ") for name in globals() if name.startswith("test_")]
    told = {words: [words] if words in CONTROLS else [name for name in tests if words in name] for words in named}
    assert {words: found for words, found in told.items() if len(found) != 1} == {}, "exactly one test each"
    assert len(rows) >= 30
    # The JSON of a row is that of the first test that it names.
    shown = [(re.findall(r"`(\{.*?\})`", row[-2]), row[-1].strip().rpartition(": ")[2].split(", ")[0]) for row in rows]
    values = {name: json.loads(found[0]) for found, name in shown if found and name in CONTROLS}
    assert values == {name: CONTROLS[name][-1] for name in values}
    assert len(values) >= 8
