"""Forms as people post them, answered in the JSON that Label Studio's editor makes: what is asked, and what is read."""

from typing import Any

import pytest

from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.tasks import to_vote
from nextlabel.values.layout import decoded
from nextlabel.values.options import LATEST, ProjectOptions

TEXT = '<Text name="text" value="$text"/>'
Answer = dict[str, set[str]]


def item(name: str, kind: str, value: object, key: str = "") -> dict[str, Any]:
    held = {key or kind: value}
    return {"id": "aB3xY9kLm0", "from_name": name, "to_name": "text", "type": kind, "value": held, "origin": "manual"}


def chosen(name: str, *labels: object) -> dict[str, Any]:
    return item(name, "choices", [*labels])


# A form, the questions with the labels of each, how many controls are not learnt, and results with what they answer.
Posted = tuple[str, dict[str, tuple[str, ...]], int, list[tuple[list[dict[str, Any]], Answer]]]
POSTED: dict[str, Posted] = {
    "intent and sentiment": (
        f"""<View style="box-shadow: 2px"><Header value="Intent?"/>{TEXT}
        <Choices name="intent" toName="text" choice="single-radio" showInline="true" required="true">
          <Choice value="Book a flight" alias="book" hotkey="1"/><Choice value="Cancel" hint="or refund"/></Choices>
        <Choices name="sentiment" toName="text" layout="select"><Choice value="+"/><Choice value="-"/></Choices>
        </View>""",
        {"intent": ("book", "Cancel"), "sentiment": ("+", "-")},
        0,
        [
            ([chosen("intent", "book"), chosen("sentiment", "-")], {"intent": {"book"}, "sentiment": {"-"}}),
            ([chosen("intent", "Cancel")], {"intent": {"Cancel"}}),
        ],
    ),
    "toxicity": (
        f"""<View>{TEXT}<Choices name="toxic" toName="text" choice="multiple"><View style="display: flex">
          <Choice value="Toxic"/><Choice value="Severe" alias="severe"/></View>
          <Choice value="Threat" html="!"/></Choices>
        </View>""",
        {"toxic": ("Toxic", "severe", "Threat")},
        0,
        [([chosen("toxic", "Toxic", "severe")], {"toxic": {"Toxic", "severe"}}), ([], {"toxic": set()})],
    ),
    "topics of three levels": (
        f"""<View>{TEXT}<Taxonomy name="topics" toName="text" leafsOnly="true" showFullPath="true" pathSeparator="/">
          <Choice value="Science"><Choice value="Physics"><Choice value="Quanta" alias="q"/>
          <Choice value="Heat"/></Choice></Choice><Choice value="Art"/></Taxonomy></View>""",
        {"topics": ("Science > Physics > q", "Science > Physics > Heat", "Art")},
        0,
        [
            (
                [item("topics", "taxonomy", [["Science", "Physics", "q"], ["Art"]])],
                {"topics": {"Science > Physics > q", "Art"}},
            )
        ],
    ),
    "inference of a pair, and how sure": (
        """<View><Text name="text" value="$premise"/><Text name="claim" value="$hypothesis"/>
        <Choices name="follows" toName="claim"><Choice value="yes"/><Choice value="no"/><Choice value="open"/></Choices>
        <Rating name="sure" toName="claim" maxRating="3" defaultValue="2" icon="star"/></View>""",
        {"follows": ("yes", "no", "open"), "sure": ("1", "2", "3")},
        0,
        [([chosen("follows", "open"), item("sure", "rating", 2)], {"follows": {"open"}, "sure": {"2"}})],
    ),
    "a support dialogue with follow-ups": (
        """<View><Paragraphs name="text" value="$dialogue" layout="dialogue" nameKey="role" textKey="content"/>
        <Choices name="solved" toName="text"><Choice value="Yes"/><Choice value="No"/></Choices>
        <View visibleWhen="choice-selected" whenTagName="solved" whenChoiceValue="No">
          <Choices name="why" toName="text" choice="multiple"><Choice value="slow"/><Choice value="rude"/></Choices>
          <View visibleWhen="choice-selected" whenTagName="why" whenChoiceValue="rude">
            <Rating name="how" toName="text" maxRating="3"/></View></View>
        <Choices name="else" toName="text" choice="multiple" visibleWhen="choice-unselected" whenTagName="solved">
          <Choice value="left"/></Choices></View>""",
        {"solved": ("Yes", "No"), "why": ("slow", "rude"), "how": ("1", "2", "3"), "else": ("left",)},
        0,
        [
            ([chosen("solved", "Yes")], {"solved": {"Yes"}}),
            ([chosen("solved", "No")], {"solved": {"No"}, "why": set()}),
            (
                [chosen("solved", "No"), chosen("why", "rude"), item("how", "rating", 3)],
                {"solved": {"No"}, "why": {"rude"}, "how": {"3"}},
            ),
            ([chosen("else", "left")], {"else": {"left"}}),
        ],
    ),
    "which answer is better, and why": (
        """<View><Text name="text" value="$prompt"/><Pairwise name="better" toName="a,b" selectionStyle="border: 1px"/>
        <Text name="a" value="$a"/><Text name="b" value="$b"/><Choices name="why" toName="text" choice="multiple">
          <Choice value="helpful"/><Choice value="honest"/></Choices>
        <TextArea name="words" toName="text" rows="3" required="true"/></View>""",
        {"better": ("left", "right"), "why": ("helpful", "honest")},
        1,
        [
            (
                [
                    item("better", "pairwise", "left", "selected"),
                    chosen("why", "honest"),
                    item("words", "text", ["so"]),
                ],
                {"better": {"left"}, "why": {"honest"}},
            )
        ],
    ),
    "an application with numbers": (
        """<View><HyperText name="text" value="$html"/><Number name="years" toName="text" min="0" max="20"/>
        <Number name="share" toName="text" min="0" max="1" step="0.25"/><Number name="age" toName="text"/>
        <Choices name="invite" toName="text"><Choice value="yes" selected="true"/><Choice value="no"/></Choices>
        </View>""",
        {"years": tuple(map(str, range(21))), "share": ("0", "0.25", "0.5", "0.75", "1"), "invite": ("yes", "no")},
        1,
        [
            ([item("years", "number", 7), chosen("invite", "yes")], {"years": {"7"}, "invite": {"yes"}}),
            ([item("years", "number", 25)], {}),
        ],
    ),
    "hidden controls with a default": (
        f"""<View>{TEXT}<Choices name="mood" toName="text"><Choice value="x"/><Choice value="y"/></Choices>
        <View style="display:none"><Choices name="batch" toName="text"><Choice value="v1" selected="true"/>
          <Choice value="v2"/></Choices>
        <Choices name="marks" toName="text" choice="multiple"><Choice value="m"/></Choices></View></View>""",
        {"mood": ("x", "y")},
        2,
        [([chosen("mood", "x"), chosen("batch", "v1")], {"mood": {"x"}})],
    ),
    "labels in other scripts and with special characters": (
        f"""<View>{TEXT}<Choices name="тема" toName="text" choice="multiple"><Choice value="да"/>
          <Choice value="C++ &amp; &lt;b&gt;"/><Choice value="a, b"/><Choice value="x &gt; y"/>
          <Choice value="😀"/></Choices>
        <Rating name="r" toName="text" maxRating="2"/></View>""",
        {"тема": ("да", "C++ & <b>", "a, b", "x > y", "😀"), "r": ("1", "2")},
        0,
        [
            ([chosen("тема", "да", "a, b", "x > y", "😀")], {"тема": {"да", "a, b", "x > y", "😀"}}),
            ([chosen("тема", "C++ & <b>"), item("r", "rating", 1)], {"тема": {"C++ & <b>"}, "r": {"1"}}),
        ],
    ),
    "nested choices": (
        f"""<View>{TEXT}<Choices name="what" toName="text" choice="multiple" allowNested="true">
          <Choice value="Food"><Choice value="Soup"/><Choice value="Bread" alias="br"/></Choice><Choice value="Other"/>
        </Choices></View>""",
        {"what": ("Food > Soup", "Food > br", "Other")},
        0,
        [
            ([chosen("what", ["Food"], ["Food", "Soup"], ["Food", "br"])], {"what": {"Food > Soup", "Food > br"}}),
            ([chosen("what", ["Food", "Soup"])], {"what": {"Food > Soup"}}),
        ],
    ),
    "a reason after one of two labels with the same name": (
        f"""<View>{TEXT}<Choices name="what" toName="text" allowNested="true">
          <Choice value="Bill"><Choice value="Late"/><Choice value="Other"/></Choice>
          <Choice value="Login"><Choice value="Code"/><Choice value="Other"/></Choice></Choices>
        <Choices name="words" toName="text" choice="multiple" visibleWhen="choice-selected" whenTagName="what"
          whenChoiceValue="Other"><Choice value="odd"/></Choices></View>""",
        {
            "what": ("Bill", "Bill > Late", "Bill > Other", "Login", "Login > Code", "Login > Other"),
            "words": ("odd",),
        },
        0,
        [  # the editor looks at the first label of that name alone
            ([chosen("what", ["Bill", "Other"])], {"what": {"Bill > Other"}, "words": set()}),
            ([chosen("what", ["Login", "Other"])], {"what": {"Login > Other"}}),
        ],
    ),
    "a flat list that may be nested, and a follow-up in boxes": (
        f"""<View>{TEXT}<View style="padding: 1em"><Header value="Which team?"/>
        <Choices name="team" toName="text" choice="single" showInLine="true" allowNested="true">
          <Choice value="Sales"/><Choice value="Support"/></Choices>
        <Choices name="of sales" toName="text" choice="single" allowNested="true" visibleWhen="choice-selected"
          whenTagName="team" whenChoiceValue="Sales"><View><Header value="Which one?"/></View>
          <View><Choice value="Prices"/></View><Choice value="Orders"/></Choices></View></View>""",
        {"team": ("Sales", "Support"), "of sales": ("Prices", "Orders")},
        0,
        [
            ([chosen("team", ["Support"])], {"team": {"Support"}}),
            ([chosen("team", ["Sales"]), chosen("of sales", ["Orders"])], {"team": {"Sales"}, "of sales": {"Orders"}}),
        ],
    ),
    "choices of each task, and a fixed question": (
        f"""<View>{TEXT}<Choices name="own" toName="text" value="$options"/>
        <Choices name="each" toName="text" perItem="true"><Choice value="a"/><Choice value="b"/></Choices>
        <Choices name="tags" toName="text" choice="multiple"><Choice value="good"/></Choices></View>""",
        {"tags": ("good",)},
        2,
        [([chosen("own", "third")], {"tags": set()}), ([chosen("tags", "good")], {"tags": {"good"}})],
    ),
}


@pytest.mark.parametrize("form", POSTED.values(), ids=POSTED)
def test_what_a_posted_form_asks_and_what_its_answers_say(form: Posted) -> None:
    xml, asked, unlearned, results = form
    config = parse_label_config(xml, ProjectOptions(defaults=LATEST))
    assert {control.name: control.labels for control in config.asked} == asked
    assert len(config.unlearned) == unlearned
    for result, expected in results:
        vote = to_vote(config, {"result": result, "created_at": "2026-05-01T00:00:00Z", "lead_time": 1.0})
        answer = config.question.consensus([vote]) if vote else None
        said = decoded(answer or "") or ({config.asked[0].name: (answer,)} if answer else {})
        assert {name: set(labels) for name, labels in said.items()} == expected
