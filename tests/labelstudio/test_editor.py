"""Label Studio's own editor in a real browser: what it shows of our guesses, what it stores of them and of clicks."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from helpers.browser import browsing, context_of
from helpers.controls import CONTROLS, NEW, annotation, predicted, tags
from helpers.labelling_configs import text, view
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.tasks import to_vote
from nextlabel.values.layout import decoded

# What a person sees of an answer: names of ticked boxes, paths, stars, numbers, and the text that is the better one.
SEEN = """() => {
    const seen = (css) => [...document.querySelectorAll(css)].filter((one) => one.checkVisibility());
    return JSON.stringify([
        ...seen(".lsf-choices input:checked").map((one) => one.name),
        ...seen(".htx-taxonomy .ant-select-selection-item").map((one) => one.title),
        ...seen(".ant-rate").map((one) => `${one.querySelectorAll(".ant-rate-star-full").length} stars`),
        ...seen(".lsf-number input").map((one) => one.value),
        ...seen(".border-primary-border-subtle > .lsf-richtext__container").map((one) => one.textContent),
    ]);
}"""
SUBMIT = "button:has-text('Submit') >> nth=0"
DATA: Mapping[str, Any] = {
    **{name: f"The words of {name}" for name in ("text", "left", "right")},
    "docs": [{"id": "1", "title": "The words of an item"}],
}
Values = Mapping[str, Mapping[str, Any]]

TOPIC = tags("Choices", 'name="topic"', "news", "sport")
TONES = tags("Choices", 'name="tones" choice="multiple"', "rude", "loud")
WHEN = 'visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="sport"'
FORM = view(
    text("text"),
    TOPIC,
    TONES,
    tags("Choices", f'name="which" choice="multiple" {WHEN}', "ball", "run"),
    f'<View {WHEN}><Rating name="how" toName="text"/></View>',
    tags("Number", 'name="share" min="0" max="1" step="0.1"'),
    tags("Rating", f'name="always" maxRating="3" {WHEN}'),
)
PAIR = view(text("text"), text("left"), text("right"), '<Pairwise name="better" toName="left,right"/>')
OF_PAIR = {"better": {"selected": "right"}}
ASKED: Values = {
    "topic": {"choices": ["sport"]},
    "tones": {"choices": ["rude", "loud"]},
    "which": {"choices": ["run"]},
    "how": {"rating": 4},
    "share": {"number": 0.3},
    "always": {"rating": 2},
}
NOT_ASKED: Values = {**{name: ASKED[name] for name in ("tones", "share", "always")}, "topic": {"choices": ["news"]}}
SHOWN: Mapping[str, list[str]] = {
    "one choice": ["b"],
    "several choices": ["a", "b"],
    "one choice that may be given": ["spam"],
    "a tree": ["Animal", "Cat"],
    "leaves of a tree": ["Dog"],
    "one leaf of a tree": ["Cat"],
    "flat choices that may be nested": ["b"],
    "several flat choices that may be nested": ["a", "c"],
    "nested choices": ["A1"],
    "a parent of nested choices": ["A", "A1", "A2"],
    "several nested choices": ["A2", "B"],
    "all below a parent of nested choices": ["A", "A1", "A2"],
    "stars": ["4 stars"],
    "ten stars": ["10 stars"],
    "a number": ["5"],
}


def _alone(name: str) -> tuple[str, Values, list[str]]:
    control, _, _, value = CONTROLS[name]
    config = view(text("text"), control)
    return config, {parse_label_config(config, NEW).asked[0].name: value}, SHOWN[name]


# A form, what is predicted of each question, and what is to be seen.
FORMS: Mapping[str, tuple[str, Values, list[str]]] = {
    **{name: _alone(name) for name in CONTROLS},
    "which of two texts": (PAIR, OF_PAIR, [DATA["right"]]),
    "a form with follow-ups": (FORM, ASKED, ["sport", "rude", "loud", "run", "4 stars", "2 stars", "0.3"]),
    "a form without its follow-ups": (FORM, NOT_ASKED, ["news", "rude", "loud", "2 stars", "0.3"]),
}


class Editor:
    """Label Studio in a browser, where somebody has logged in."""

    def __init__(self, page: Any, server: LocalStudio, studio: LabelStudioClient):
        self.page, self.server, self.studio = page, server, studio
        page.goto(f"{server.url}/user/login/")
        page.fill("input[name=email]", server.login.user)
        page.fill("input[name=password]", server.login.password)
        with page.expect_navigation(url=lambda address: "login" not in address):
            page.click("button[type=submit]")

    def open(self, label_config: str, prediction: Mapping[str, Any] | None = None) -> int:
        """The task of a new project with such a form, and what is predicted of it."""
        project = self.studio.create_project("editor", label_config)
        self.studio.import_tasks(project, [{"data": DATA}])
        [task] = self.studio.task_ids(project)
        if prediction is not None:
            self.studio.create_prediction(task, prediction)
            self.studio.update_project(project, show_collab_predictions=True, model_version="v")
        self.page.goto(f"{self.server.url}/projects/{project}/data?labeling=1")
        self.page.wait_for_selector(SUBMIT)
        return task

    def wait_to_see(self, answers: list[str]) -> None:
        shown = json.dumps(answers, separators=(",", ":"))
        self.page.wait_for_function(f"(shown) => ({SEEN})() === shown", arg=shown)

    def submit(self, task: int) -> dict[str, Any]:
        """The annotation that is stored."""
        with self.page.expect_response(lambda answer: answer.url.partition("?")[0].endswith(f"/{task}/annotations")):
            self.page.click(SUBMIT)
        [annotation] = self.studio.task(task)["annotations"]
        return dict(annotation)


@pytest.fixture(scope="module")
def editor(label_studio: LocalStudio, studio: LabelStudioClient) -> Iterator[Editor]:
    with browsing() as browser:
        yield Editor(context_of(browser).new_page(), label_studio, studio)


def items(result: list[dict[str, Any]]) -> dict[str, Any]:
    return {item["from_name"]: (item["to_name"], item["type"], item["value"]) for item in result}


@pytest.mark.parametrize(("xml", "values", "shown"), FORMS.values(), ids=FORMS)
def test_a_guess_is_shown_and_submit_without_a_click_stores_it(
    editor: Editor, xml: str, values: Values, shown: list[str]
) -> None:
    config = parse_label_config(xml, NEW)
    vote = to_vote(config, annotation(config, **values))
    assert vote is not None
    prediction = predicted(config, config.question.consensus([vote]) or "")
    assert {item["from_name"]: item["value"] for item in prediction["result"]} == values
    task = editor.open(xml, prediction)
    editor.wait_to_see(shown)
    stored = editor.submit(task)
    assert items(stored["result"]) == items(prediction["result"])
    read = to_vote(config, stored)
    assert read is not None
    assert (read.label, read.accepted) == (vote.label, True)


NESTED = CONTROLS["nested choices"][0].replace('<Choice value="B"/>', '<Choice value="B"><Choice value="B1"/></Choice>')
# A form, what people click, what is seen then, and what that answers.
CLICKED = {
    "a flat list that may be nested": (CONTROLS["flat choices that may be nested"][0], "a", ["a"], "a"),
    "a parent": (NESTED, "A", ["A", "A1", "A2"], "A"),
    "the only one below a parent": (NESTED, "B1", ["B", "B1"], "B"),
}


@pytest.mark.parametrize(("control", "click", "shown", "label"), CLICKED.values(), ids=CLICKED)
def test_what_a_click_stores_is_read(editor: Editor, control: str, click: str, shown: list[str], label: str) -> None:
    xml = view(text("text"), control)
    task = editor.open(xml)
    editor.page.click(f"input[name='{click}']")
    editor.wait_to_see(shown)
    vote = to_vote(parse_label_config(xml, NEW), editor.submit(task))
    assert vote is not None
    assert vote.label == label


def test_a_guess_that_nobody_sees_any_more_is_stored_and_no_answer(editor: Editor) -> None:
    config = parse_label_config(FORM, NEW)
    vote = to_vote(config, annotation(config, **ASKED))
    assert vote is not None
    task = editor.open(FORM, predicted(config, vote.label))
    editor.wait_to_see(FORMS["a form with follow-ups"][2])
    editor.page.click("input[name='news']")
    editor.wait_to_see(FORMS["a form without its follow-ups"][2])
    stored = editor.submit(task)
    assert items(stored["result"]).keys() == {"topic", "tones", "how", "share", "always"}
    read = to_vote(config, stored)
    assert read is not None
    assert decoded(read.label).keys() == {"topic", "tones", "share", "always"}


LEADING = view(
    text("text"),
    tags("Choices", 'name="rel"', "fits", "fits not"),
    tags("Rating", 'name="stars"'),
    tags("Choices", 'name="followed" visibleWhen="choice-selected" whenTagName="stars"', "never", "seen"),
    tags(
        "Choices",
        'name="kind" choice="multiple" visibleWhen="choice-unselected" whenTagName="rel" whenChoiceValue="fits not"',
        "own",
    ),
    tags("Choices", 'name="misspelt" choice="multiple" visibleWhen="choice_selected" whenTagName="nothing"', "always"),
    tags("Choices", 'name="unled" choice="multiple" visibleWhen="choice-unselected" whenTagName="stars"', "rest"),
)


def test_what_is_shown_goes_by_the_answers_that_are_read(editor: Editor) -> None:
    config = parse_label_config(LEADING, NEW)
    task = editor.open(LEADING)
    boxes = "() => [...document.querySelectorAll('.lsf-choices input')].filter((one) => one.checkVisibility())"
    there = f"(names) => JSON.stringify(({boxes})().map((one) => one.name)) === names"

    def wait_for_boxes(*names: str) -> None:
        editor.page.wait_for_function(there, arg=json.dumps(names, separators=(",", ":")))

    wait_for_boxes("fits", "fits not", "own", "always", "rest")
    editor.page.click("li.ant-rate-star >> nth=3")
    editor.page.click("input[name='own']")
    editor.page.click("input[name='fits not']")
    wait_for_boxes("fits", "fits not", "always", "rest")
    stored = editor.submit(task)
    assert items(stored["result"]).keys() == {"rel", "stars"}
    vote = to_vote(config, stored)
    assert vote is not None
    assert decoded(vote.label) == {"rel": ("fits not",), "stars": ("4",), "misspelt": (), "unled": ()}
    seen = {"rel": True, "stars": True, "followed": None, "kind": False, "misspelt": True, "unled": True}
    assert config.seen(decoded(vote.label)) == seen


TWINS = view(
    text("text"),
    """<Choices name="q" toName="text" allowNested="true">
      <Choice value="A"><Choice value="A1"/><Choice value="Other"/></Choice>
      <Choice value="B"><Choice value="B1"/><Choice value="Other"/></Choice></Choices>""",
    tags(
        "Choices",
        'name="w" choice="multiple" visibleWhen="choice-selected" whenTagName="q" whenChoiceValue="Other"',
        "odd",
    ),
)


@pytest.mark.parametrize(("which", "answer"), [(0, {"q": ("A > Other",), "w": ()}), (1, {"q": ("B > Other",)})])
def test_of_two_labels_with_one_name_a_follow_up_goes_by_the_first(
    editor: Editor, which: int, answer: dict[str, tuple[str, ...]]
) -> None:
    task = editor.open(TWINS)
    editor.page.click(f"input[name='Other'] >> nth={which}")
    editor.page.wait_for_function(
        "seen => [...document.querySelectorAll(\"input[name='odd']\")].some(one => one.checkVisibility()) === seen",
        arg="w" in answer,
    )
    vote = to_vote(parse_label_config(TWINS, NEW), editor.submit(task))
    assert vote is not None
    assert decoded(vote.label) == answer


def test_a_guess_of_what_is_listed_twice_would_stop_submit(editor: Editor) -> None:
    xml = view(text("text"), tags("Choices", 'name="q"', "a", "b", "a"))
    item = parse_label_config(xml, NEW).asked[0].item(["a"])
    editor.open(xml, {"result": [item], "score": 0.5, "model_version": "v"})
    editor.wait_to_see(["a", "a"])
    editor.page.click(SUBMIT)
    editor.page.wait_for_selector("text=exceed the maximum allowed (1)")


def test_a_tick_of_the_editor_is_set_only_where_it_shows_no_guess(editor: Editor) -> None:
    ticked = '<Choices name="d" toName="text"><Choice value="z" selected="true"/><Choice value="y"/></Choices>'
    xml = view(text("text"), tags("Choices", 'name="q"', "a", "b"), ticked)
    editor.open(xml)
    editor.wait_to_see(["z"])
    item = parse_label_config(xml, NEW).asked[0].item(["a"])
    task = editor.open(xml, {"result": [item], "score": 0.5, "model_version": "v"})
    editor.wait_to_see(["a"])
    assert items(editor.submit(task)["result"]).keys() == {"q"}


def test_no_more_paths_are_submitted_than_there_may_be(editor: Editor) -> None:
    xml = view(text("text"), tags("Taxonomy", 'name="q" maxUsages="2"', "A", "B", "C"))
    item = parse_label_config(xml, NEW).asked[0].item(["A", "B", "C"])
    editor.open(xml, {"result": [item], "score": 0.5, "model_version": "v"})
    editor.wait_to_see(["A", "B", "C"])
    editor.page.click(SUBMIT)
    editor.page.wait_for_selector("text=exceed the maximum allowed (2)")


def test_a_list_is_seen_with_a_ranker_alone(editor: Editor) -> None:
    shown = text("text"), '<List name="docs" value="$docs"/>', tags("Choices", 'name="q"', "a", "b")
    ranked = view(*shown, '<Ranker name="r" toName="docs"/>')
    editor.open(ranked)
    editor.page.wait_for_selector("text=The words of an item")
    assert parse_label_config(ranked, NEW).fields == ("text", "docs")
    editor.open(view(*shown))
    editor.page.wait_for_selector("text=The words of text")
    assert not editor.page.is_visible("text=The words of an item")
    assert parse_label_config(view(*shown), NEW).fields == ("text",)


def test_what_a_rule_of_a_class_or_an_id_hides_nobody_sees(editor: Editor) -> None:
    question = tags("Choices", 'name="q"', "a", "b")

    def around(attribute: str, name: str) -> str:
        hidden = tags("Choices", f'name="{name}" choice="multiple"', f"tick {name}", "x")
        return f"<View {attribute}>{hidden}</View>"

    hidden = around('className="box gone"', "one") + around('idAttr="away"', "two")
    rules = "<Style>.other, .gone { display: none } #away{visibility:hidden}</Style>"
    xml = view(text("text"), rules, question, hidden, around('className="box"', "three"))
    editor.open(xml)
    editor.page.wait_for_selector("text=tick three")
    for name in ("one", "two"):
        editor.page.wait_for_selector(f"text=tick {name}", state="hidden")
    assert [control.name for control in parse_label_config(xml, NEW).asked] == ["q", "three"]


def test_a_default_value_of_a_number_is_submitted_untouched_and_of_stars_there_is_none(editor: Editor) -> None:
    number = tags("Number", 'name="n" min="0" max="4" defaultValue="2"')
    xml = view(text("text"), number, tags("Rating", 'name="r" defaultValue="2"'))
    task = editor.open(xml)
    editor.page.wait_for_selector("text=The words of text")
    assert items(editor.submit(task)["result"]) == {"n": ("text", "number", {"number": 2})}
    assert len(parse_label_config(xml, NEW).odd) == 1
