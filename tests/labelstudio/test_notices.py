"""Each sentence on a project names the thing, the count, a task and the remedy; a healthy project hears none."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import ROOT
from nextlabel.labelstudio import notices
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.notices import (
    Notice,
    on_copies,
    on_tasks,
    on_too_many,
    on_unknown_words,
    on_wanted,
    proposals,
    told,
)
from nextlabel.labelstudio.tasks import read_task
from nextlabel.store.pool import Pool
from nextlabel.store.state import SyncState
from nextlabel.values.counting import HeldOut
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED
from nextlabel.values.options import LATEST, NO_OPTIONS, ProjectOptions
from nextlabel.values.survey import Copies, Survey, UnknownWords

TEXT = '<Text name="text" value="$text"/>'
PAIR = '<Text name="text" value="$title"/><Text name="body" value="$body"/>'
POS_NEG = ('value="pos"', 'value="neg"')
Task = dict[str, Any]


def config(texts: str = TEXT, labels: Sequence[str] = POS_NEG, options: ProjectOptions = NO_OPTIONS) -> LabelConfig:
    choices = "".join(f"<Choice {label}/>" for label in labels)
    return parse_label_config(f'<View>{texts}<Choices name="label" toName="text">{choices}</Choices></View>', options)


def task(number: int, label: object = None, result: object = None, origin: str = "manual", **data: object) -> Task:
    """A task as Label Studio tells it, labelled if a label or a whole result is given."""
    item = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}, "origin": origin}
    given = [item] if label is not None else result
    annotations = [] if given is None else [{"result": given, "created_at": "2026-11-29T10:00:00Z"}]
    return {"id": number, "data": data or {"text": f"A plain sentence, number {number}."}, "annotations": annotations}


Look = Callable[..., Survey]
Say = Callable[..., list[Notice]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """The survey of tasks that are read with a config."""

    def of(read_with: LabelConfig, *tasks: Task) -> Survey:
        with Pool(tmp_path / "pool.sqlite") as pool:
            pool.clear(SyncState())
            pool.upsert(read_task(read_with, one) for one in tasks)
            return pool.survey()

    return of


@pytest.fixture
def say(look: Look) -> Say:
    """The notices on tasks that are read with a config."""
    return lambda read_with, *tasks: list(on_tasks(look(read_with, *tasks), read_with, 7))


def labelled(count: int, start: int = 1, labels: Sequence[str] = ("pos", "neg")) -> list[Task]:
    return [task(start + i, labels[i % len(labels)]) for i in range(count)]


def plain(count: int, start: int) -> list[Task]:
    return [task(start + i) for i in range(count)]


# Nothing to say


def test_a_healthy_project_hears_nothing(say: Say) -> None:
    skipped = {**task(30), "annotations": [{"result": [], "was_cancelled": True}]}
    held = [task(31, "pos", text="A text.", split="test"), task(32, text="A text.", split="train")]
    assert say(config(), *labelled(10), *plain(10, 11), skipped, *held) == []
    assert say(config()) == []


def test_some_odd_texts_among_many_are_nothing_to_say(say: Say) -> None:
    odd = [task(100, text="https://example.com"), task(101, text="5")]
    assert say(config(), *plain(30, 1), *odd) == []


# Each kind


def only(found: Sequence[Notice]) -> Notice:
    [notice] = found
    return notice


def test_tasks_of_another_field_are_named_first(say: Say) -> None:
    tasks = [task(3, "pos", body="A"), task(4, "neg", body="B"), task(5, body="C")]
    notice = only([n for n in say(config(), *tasks) if n.first])
    assert notice.text == (
        "All 3 tasks cannot be read, though 2 labels stand on them: the field 'text' is missing (3, for example "
        "task 3). Correct the value of the text in the labelling config, or the data of the tasks."
    )
    assert not notice.harmless


def test_a_few_unreadable_tasks_are_a_warning_and_blank_ones_a_remark(say: Say) -> None:
    some = only(say(config(), *labelled(6), task(9, body="A")))
    assert (some.first, some.harmless) == (False, False)
    assert "1 of 7 tasks cannot be read: the field 'text' is missing (1, for example task 9)." in some.text
    blank = only(say(config(), *labelled(6), task(9, text=" ")))
    assert (blank.first, blank.harmless) == (False, True)


def test_a_label_on_a_blank_task_is_no_small_thing(say: Say) -> None:
    notice = only(say(config(), *labelled(6), task(9, "pos", text="")))
    assert not notice.harmless
    assert "though 1 label stands on them" in notice.text


def test_when_all_or_most_is_held_out_that_is_said_first(say: Say) -> None:
    every = only(say(config(), *(task(i, "pos", text="A text.", split="Test") for i in range(4, 8))))
    assert every.text.startswith(
        "All 4 tasks are held out by the word in `split`: test (4, for example task 4); nothing is "
    )
    assert (every.first, every.harmless) == (True, False)
    most = only(say(config(), *(task(i, text="A text.", split="val") for i in range(4, 8)), *plain(2, 20)))
    assert (
        "4 of 6 tasks are held out by the word in `split`: val (4, for example task 4); 2 are left to learn"
        in most.text
    )
    assert (most.first, most.harmless) == (True, True)
    but_one = only(say(config(), *(task(i, text="A text.", split="val") for i in range(4, 8)), *plain(1, 20)))
    assert "; 1 is left to learn from. Tasks" in but_one.text


def test_of_labels_that_are_held_out_it_is_said_what_they_are_a_sample_of(say: Say) -> None:
    options = ProjectOptions(control_seed="a seed", hold_out=HeldOut(0.5, "2026-11-30"))
    notice = only(say(config(options=options), *labelled(40)))
    said = re.fullmatch(r"(\d+) tasks labelled before 2026-11-30 are held out, as hold_out says: .*", notice.text)
    assert said is not None
    assert 10 <= int(said[1]) <= 30
    assert "a random part of what was labelled, not of all texts" in notice.text
    assert notice.harmless


@pytest.mark.parametrize(("word", "harmless"), [("Validation matched", False), ("test2015", False), ("A", True)])
def test_an_unknown_split_is_said_once(say: Say, word: str, harmless: bool) -> None:
    notice = only(say(config(), *(task(i, text="A text.", split=word) for i in range(1, 4)), *plain(9, 20)))
    assert (
        f"3 tasks with a word in `split` that is not known are learnt from: {word} (3, for example task 1)"
        in notice.text
    )
    assert "If they should be held out, use one of these words: dev, " in notice.text
    assert notice.harmless == harmless


def test_labels_that_the_config_does_not_have_are_counted_by_name_and_their_meaning_proposed(say: Say) -> None:
    notice = only(say(config(), *labelled(10, 1, ("Pos", "Neg ")), *labelled(20, 30)))
    assert notice.text == (
        "10 annotations carry labels that the labelling config does not have and are not learnt from: 'Pos' 5, "
        "'Neg ' 5 (for example task 1). If they mean the same, have them learnt as labels of the config, with nothing "
        "changed in Label Studio: `nextlabel connect --project 7 --map-label Pos=pos --map-label 'Neg =neg'`."
    )
    assert not notice.first
    assert only([n for n in say(config(), *labelled(10, 1, ("Pos", "Neg"))) if n.first]).topic == notice.topic


def test_a_label_that_was_submitted_as_an_old_prediction_said_is_told_so(say: Say) -> None:
    notice = only(say(config(), *labelled(9), task(20, "old", origin="prediction"), task(21, "old")))
    assert (
        "'old' 2 (for example task 20). 1 of them were submitted as an old prediction had filled them in."
        in notice.text
    )
    assert "--map-label OLD=NEW" in notice.text


MEANT = {
    "another case": (POS_NEG, ("Pos", "NEG"), {"Pos": "pos", "NEG": "neg"}),
    "punctuation": (('value="not spam"', 'value="spam"'), ("not_spam", "spam"), {"not_spam": "not spam"}),
    "the words for an alias": (
        ('value="Positive" alias="p"', 'value="Negative" alias="n"'),
        ("Positive",),
        {"Positive": "p"},
    ),
    "a new name": (('value="good"', 'value="neg"'), ("pos", "neg"), {"pos": "good"}),
    "two new names": (
        ('value="positive"', 'value="negative"', 'value="mixed"'),
        ("pos", "neg", "mixed"),
        {"pos": "positive", "neg": "negative"},
    ),
    "a removed label": (POS_NEG, ("pos", "neg", "unsure"), {}),
    "two removed ones": (POS_NEG, ("pos", "neg", "unsure", "other"), {}),
    "accents": (('value="très bien"', 'value="mal"'), ("Tres-bien", "mal"), {"Tres-bien": "très bien"}),
    "HTML": (('value="R&amp;D"', 'value="Q&amp;A"'), ("R&amp;D", "Q&amp;A"), {"R&amp;D": "R&D", "Q&amp;A": "Q&A"}),
    "another sign": (('value="+1"', 'value="0"', 'value="x"', 'value="y"'), ("-1", "0"), {}),
    "another symbol": (('value="C++"', 'value="C#"'), ("c++", "c#", "C"), {"c++": "C++", "c#": "C#"}),
    "another number": (('value="topic 13"', 'value="0"', 'value="x"'), ("topic 12", "0"), {}),
    "the opposite": (('value="relevant"', 'value="0"', 'value="x"'), ("irrelevant", "0"), {}),
    "an equals sign, which the command does not take": (('value="x=0"', 'value="0"'), ("X=0", "0"), {}),
    "a slip of the pen": (
        ('value="negative"', 'value="positive"', 'value="x"'),
        ("negativ", "positive"),
        {"negativ": "negative"},
    ),
}


@pytest.mark.parametrize(("labels", "given", "meant"), MEANT.values(), ids=MEANT)
def test_what_labels_may_mean(look: Look, labels: Sequence[str], given: Sequence[str], meant: dict[str, str]) -> None:
    read_with = config(labels=labels)
    assert proposals(look(read_with, *labelled(12, labels=given)), read_with) == meant


@pytest.mark.parametrize(
    ("old", "new", "option"),
    [
        ("Don't know", "don't know", """--map-label 'Don'"'"'t know=don'"'"'t know'"""),
        ("- 1", "-1", "--map-label='- 1=-1'"),
        ("Low$", "low$", "--map-label 'Low$=low$'"),
    ],
)
def test_a_proposal_can_be_pasted_into_a_shell(say: Say, old: str, new: str, option: str) -> None:
    read_with = config(labels=(f'value="{new}"', 'value="0"', 'value="x"'))
    notice = only([n for n in say(read_with, *labelled(9, labels=(old, "0", "x"))) if not n.harmless])
    assert notice.text.endswith(f"`nextlabel connect --project 7 {option}`.")


def test_labels_without_a_proposal_are_named_beside_those_with_one(say: Say) -> None:
    notice = only([n for n in say(config(), *labelled(9, labels=("Pos", "neg", "unsure"))) if not n.harmless])
    assert notice.text.endswith(" --map-label Pos=pos`; of 'unsure', nothing is proposed.")


def test_mapped_labels_are_labels_and_a_map_to_nowhere_is_said(say: Say) -> None:
    mapped = config(options=ProjectOptions(label_map={"Pos": "pos", "Neg": "neg"}))
    assert say(mapped, *labelled(10, 1, ("Pos", "Neg"))) == []
    nowhere = only(say(config(options=ProjectOptions(label_map={"old": "gone"})), *labelled(10)))
    assert "'old' as 'gone'" in nowhere.text
    assert nowhere.text.endswith("or end that: `nextlabel connect --project 7 --map-label old=`.")
    needless = config(options=ProjectOptions(label_map={"pos": "positive"}))
    assert say(needless, *labelled(10)) == [], "pos is a label again"


def test_classes_without_a_label_are_named(say: Say) -> None:
    labels = [f'value="{name}"' for name in ("pos", "neg", "mixed", "abbreviation")]
    notice = only(say(config(labels=labels), *labelled(6)))
    assert "2 of 4 classes without a label yet: 'mixed', 'abbreviation'" in notice.text
    assert notice.harmless
    assert say(config(labels=labels), *plain(6, 1)) == [], "before the first label this is nothing to say"


def test_of_several_questions_it_is_said_which_one_is_meant(say: Say) -> None:
    asked = parse_label_config(
        f'<View>{TEXT}<Choices name="tone" toName="text"><Choice value="pos"/><Choice value="neg"/></Choices>'
        '<Rating name="stars" toName="text" maxRating="5"/></View>',
        ProjectOptions(defaults=LATEST),
    )

    def answered(number: int, tone: str, stars: int) -> Task:
        result = [
            {"from_name": "tone", "to_name": "text", "type": "choices", "value": {"choices": [tone]}},
            {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": stars}},
        ]
        return task(number, result=result)

    rare = only(say(asked, answered(1, "pos", 1), answered(2, "neg", 3), answered(3, "pos", 5)))
    assert rare.text.startswith("Question 'stars': 2 of 5 classes without a label yet: '2', '4'.")


def test_annotations_that_give_no_label_are_counted_by_reason(say: Say) -> None:
    no_type = [{"from_name": "label", "to_name": "text", "value": {"choices": ["pos"]}}]
    several = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["pos", "neg"]}}]
    found = say(config(), *labelled(10), task(20, result=no_type), task(21, result=no_type), task(22, result=several))
    assert only(found).text.startswith(
        "3 annotations of which no label can be read are not learnt from: the type is missing in the place of "
        '"choices" (2, for example task 20); several labels are given (1, for example task 22).'
    )
    assert only([n for n in say(config(), task(20, result=no_type), task(21, result=several)) if n.first])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"choices": [["pos"]]}, 'the "choices" are not a plain list of labels'),
        ({"choices": {"pos": True}}, 'the "choices" are not a plain list of labels'),
        ({"labels": ["pos"]}, 'the value has no "choices"'),
        ("pos", 'the value has no "choices"'),
    ],
)
def test_a_choice_in_another_form_is_not_called_none(say: Say, value: object, why: str) -> None:
    result = [{"from_name": "label", "to_name": "text", "type": "choices", "value": value}]
    notice = only(say(config(), *labelled(6), task(20, result=result)))
    assert f"is not learnt from: {why} (1, for example task 20). Label" in notice.text
    assert not notice.harmless


def test_answers_to_other_questions_and_none_at_all_are_a_remark(say: Say) -> None:
    ner = [{"from_name": "ner", "to_name": "text", "type": "labels", "value": {"labels": ["PER"]}}]
    notice = only(say(config(), *labelled(10), task(20, result=ner), task(21, result=[])))
    assert notice.harmless
    assert "only other questions are answered: ner (1, for example task 20)" in notice.text
    assert "nothing is chosen (1, for example task 21)" in notice.text


def test_what_is_left_out_of_the_text_is_a_remark_until_a_person_has_chosen(say: Say) -> None:
    texts = '<Text name="ticket" value="$ticket_id"/>' + TEXT
    notice = only(say(config(texts), *labelled(4)))
    assert "The text is made of 'text'; 'ticket_id' is an identifier by its name." in notice.text
    assert notice.harmless
    assert say(config(texts, options=ProjectOptions(fields=("text",))), *labelled(4)) == []


def test_a_half_that_is_often_missing_is_a_remark_and_one_that_always_is_a_warning(say: Say) -> None:
    whole = [task(i, title="A title.", body="A body.") for i in range(1, 9)]
    half = [task(i, title="", body="A body.") for i in range(20, 36)]
    often = only(say(config(PAIR), *whole, *half))
    assert (
        "In 16 of 24 tasks the field 'title' is empty (for example task 20), so that the other text is read"
        in often.text
    )
    assert often.harmless
    always = only(say(config(PAIR), *(task(i, title=" ", body="A body.") for i in range(1, 9))))
    assert always.text.startswith("In all 8 tasks the field 'title' is empty (for example task 1), so that the other")
    assert (always.first, always.harmless) == (False, False)
    assert "or choose the fields with `nextlabel connect --project 7 --fields A,B`." in always.text


def test_of_several_texts_a_missing_one_is_said_and_one_of_identifiers_is_left_out_alone(say: Say) -> None:
    several = config(PAIR + '<Text name="more" value="$more"/>')
    tasks = [task(i, title=f"T-{i}", more="More words.") for i in range(1, 5)]
    tasks += [task(i, title=f"T-{i}", body="A body.", more="More words.") for i in range(5, 7)]
    missing, identifiers = say(several, *tasks)
    assert missing.topic == "Tasks of which a text is missing"
    assert missing.text == (
        "In 4 of 6 tasks the field 'body' is missing (for example task 1), so that the other texts are read without it."
    )
    assert "Leave it out with `nextlabel connect --project 7 --fields body,more`;" in identifiers.text


def test_a_half_that_no_task_has_comes_first_and_only_until_one_has_it(say: Say) -> None:
    tasks = [task(i, body="A body.") for i in range(1, 9)]
    nowhere = only(say(config(PAIR), *tasks))
    assert nowhere.text.startswith("In all 8 tasks the field 'title' is missing. Nothing is fitted on the other half")
    assert (nowhere.first, nowhere.harmless) == (True, False)
    assert nowhere.text.endswith("or choose the fields with `nextlabel connect --project 7 --fields A,B`.")
    assert not only(say(config(PAIR), *tasks, task(9, title="A title.", body="A body."))).first


ADDRESSES = [task(i, text=f"/data/local-files/?d=texts/{i}.txt") for i in range(1, 9)]


def test_texts_that_are_addresses_are_said_first_until_a_person_has_said_that_they_are_meant(say: Say) -> None:
    notice = only(say(config(), *ADDRESSES))
    assert "the field 'text' holds no words: an address (8, for example task 1)." in notice.text
    assert (notice.first, notice.harmless) == (True, False)
    assert say(config(options=ProjectOptions(fields=("text",))), *ADDRESSES) == []
    assert only(say(config(), *ADDRESSES, *plain(20, 50))).harmless


def test_base64_has_its_own_remedy_and_so_has_a_half_of_identifiers(say: Say) -> None:
    encoded = only(say(config(), *(task(i, text="VGhpcyBpcyBhIHRleHQsIHJlYWxseS4=") for i in range(1, 5))))
    assert 'Set encoding="base64"' in encoded.text
    half = only(say(config(PAIR), *(task(i, title=f"T-{i}", body="A body.") for i in range(1, 5))))
    assert "the field 'title' holds no words: an identifier (4, for example task 1)" in half.text
    assert "Leave it out with `nextlabel connect --project 7 --fields body`;" in half.text


def test_a_script_that_the_tokenizer_does_not_know_is_said(look: Look) -> None:
    words = look(config(), *plain(24, 1))
    notice = only(list(on_unknown_words(UnknownWords(24, 24, 5), "some-model", words)))
    assert (
        "All 24 texts that were looked at consist mostly of what the tokenizer of some-model does not kn" in notice.text
    )
    assert (notice.first, notice.harmless) == (True, False)
    assert only(list(on_unknown_words(UnknownWords(100, 20, 5), "m", words))).harmless
    assert list(on_unknown_words(UnknownWords(100, 2, 5), "m", words)) == []
    assert list(on_unknown_words(UnknownWords(0, 0, 0), "m", look(config()))) == []


def test_another_model_is_no_remedy_for_texts_that_are_no_words(look: Look) -> None:
    encoded = look(config(), *(task(i, text="VGhpcyBpcyBhIHRleHQsIHJlYWxseS4=") for i in range(1, 5)))
    assert list(on_unknown_words(UnknownWords(4, 4, 1), "m", encoded)) == []


# Together


def test_at_most_one_sentence_comes_first_and_none_is_lost() -> None:
    found = [
        Notice("a", "remark", harmless=True),
        Notice("b", "harmless but first", harmless=True, first=True),
        Notice("c", "warning"),
        Notice("d", "first", first=True),
        Notice("e", "also first", first=True),
    ]
    words = told(found)
    assert words.first == "first"
    assert words.warnings == ("also first", "warning")
    assert words.remarks == ("harmless but first", "remark")
    assert told([]) == notices.Told("", (), ())


def test_each_topic_has_a_heading_in_the_guide_and_each_heading_a_sentence() -> None:
    source = Path(notices.__file__).read_text(encoding="utf-8")
    topics = re.findall(r'Notice\(\s*"([^"]+)"', source)
    guide = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    page = guide.partition("## What the page and the doctor say")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == topics


def test_of_a_form_that_has_changed_it_is_said_what_is_known_and_how_earlier_answers_count() -> None:
    of = "The form asks for other labels than nextlabel-2-x was fitted on; a new version is fitted on all answers that "
    of += "still count. Until it is there the order goes "
    said = notices.form_changed("nextlabel-2-x", ("a", "b"), ("c",), ("d", "e"), {})
    assert said.harmless
    assert said.text == (
        f"{of}by what nextlabel-2-x knows of 2 of the 5 labels and by the answers at hand to 'c'. Nothing is known yet "
        "of 'd', 'e'."
    )
    said = notices.form_changed("nextlabel-2-x", ("a",), (), (), {"q": ONE_OF, "r": ANY_OF})
    assert said.text == (
        f"{of}by what nextlabel-2-x knows of all labels. An earlier answer to 'q' says yes to its label and "
        "nothing of the others, as only one could be chosen. Earlier answers to 'r' with one label count; those with "
        "several, or none, do not."
    )
    said = notices.form_changed("nextlabel-2-x", ("a",), (), (), {"stars": ORDERED})
    assert "The scale of 'stars' has other ends now: an earlier answer counts as the same number" in said.text
    said = notices.form_changed("nextlabel-2-x", (), (), ("a",), {})
    assert said.text == f"{of}as nextlabel-2-x has it, which knows no label of the form."


def test_a_version_that_nothing_has_judged_is_a_remark_with_the_way_back() -> None:
    said = notices.not_judged("nextlabel-2-x", "8 labels are too few", 7)
    assert said.harmless
    assert said.text == (
        "nextlabel-2-x was promoted without a comparison: 8 labels are too few. Tasks that are held out and labelled "
        "tell sooner; `nextlabel versions --project 7 rollback` goes back to the version before."
    )


def test_of_a_quick_version_it_is_said_that_the_thorough_one_is_next() -> None:
    said = notices.quick_version("nextlabel-1-x", 1600, 9100)
    assert said.harmless
    assert said.text == (
        "nextlabel-1-x is a quick first version, fitted on 1600 of 9100 labels so that the queue has an order soon. A "
        "thorough one, on all labels, is fitted next."
    )


THREE = ('value="pos"', 'value="neg"', 'value="unsure"')


def test_ignored_labels_are_counted_and_are_no_mistake(say: Say) -> None:
    ignoring = config(labels=THREE, options=ProjectOptions(ignored_labels=("unsure",)))
    assert ignoring.labels == ("pos", "neg")
    [notice] = say(ignoring, *labelled(10), task(11, "unsure"), task(12, "unsure"))
    assert notice.harmless
    assert notice.text == (
        "2 annotations with labels that are ignored in this project: 'unsure' 2. Nothing is learnt of tasks on which "
        "these prevail, and no model asks for them again."
    )
    assert say(ignoring, *labelled(10)) == []


def test_a_label_that_came_later_is_said_unless_it_takes_the_place_of_an_older_one(say: Say) -> None:
    choices = "".join(f'<Choice value="{label}"/>' for label in "ab")
    many = f'<View>{{}}<Choices name="label" toName="text" choice="multiple">{choices}</Choices></View>'
    changes = {"label": {"b": ["2026-11-01T00:00:00Z"], "old": ["", "2026-11-01T00:00:00Z"]}}
    noted = ProjectOptions(defaults=LATEST, label_changes=changes)
    given = (task(1, "a"), task(2, "b"))
    [notice] = say(parse_label_config(many.format(TEXT), noted), *given)
    assert notice.harmless
    assert notice.text.startswith("'b' came to the question label when it was in use.")
    assert "--project 7 --map-label OLD=NEW" in notice.text
    assert say(parse_label_config(many.format(TEXT), replace(noted, label_map={"old": "b"})), *given) == []
    strange, gone, _ = say(
        parse_label_config(many.format(TEXT), noted), *given, *(task(i, "old") for i in (3, 4, 5)), task(6, "odd")
    )
    assert strange.text.startswith("1 annotation carries labels that the labelling config does not have and is not")
    assert "'odd' 1 (for example task 6)" in strange.text
    assert not strange.first
    assert gone.harmless
    assert gone.text == (
        "3 annotations carry labels that the labelling config has no more: 'old' 3 (for example task 3). What was said "
        "of its other labels there is learnt."
    )


def test_of_a_project_without_a_control_set_it_is_said_how_to_get_one() -> None:
    seedless, switched_off = notices.no_control_set(7, has_seed=False), notices.no_control_set(7, has_seed=True)
    assert seedless.harmless
    assert "`nextlabel connect --project 7` draws one." in seedless.text
    assert "`nextlabel options --project 7 control_share=0.1` draws one." in switched_off.text


def test_annotators_who_can_tell_control_tasks_are_a_warning() -> None:
    notice = notices.control_tasks_show(7)
    assert not notice.harmless
    assert "`nextlabel connect --project 7 --no-show-predictions`" in notice.text


def test_of_copies_it_is_said_how_they_count_and_how_to_close_what_nobody_needs_to_label() -> None:
    assert list(on_copies(Copies(), 7)) == []
    [said] = on_copies(Copies(again=12, contradicting=1, held_out=2, open=40), 7)
    assert said.text == (
        "12 labels are of copies of other labelled texts, which count once with them; in 1 text the copies have "
        "different labels, of which the majority counts; 2 labels are of copies of held out texts and not learnt from. "
        "40 tasks without a label are copies of labelled texts and not published, because their labels would teach "
        "nothing. `nextlabel close-copies --project 7` closes them in Label Studio."
    )
    assert said.harmless
    [alone] = on_copies(Copies(open=1), 7)
    assert alone.text.startswith("1 task without a label is a copy of labelled texts and not published")


def test_a_question_that_is_left_out_for_its_many_labels_is_a_remark() -> None:
    many = "".join(f'<Choice value="label {i}"/>' for i in range(499))
    for choices, said in ((many, 0), (many + '<Choice value="one more"/>', 1)):
        both = "".join(
            f'<Choices name="{name}" toName="text">{inside}</Choices>'
            for name, inside in (("few", '<Choice value="a"/><Choice value="b"/>'), ("topics", choices))
        )
        options = ProjectOptions(defaults=LATEST, ignored_labels=("label 0",))
        found = list(on_too_many(parse_label_config(f"<View>{TEXT}{both}</View>", options)))
        assert [(notice.harmless, "The question topics has 499 labels" in notice.text) for notice in found] == [
            (True, True)
        ] * said


def test_wanted_labels_that_are_no_classes_any_more_are_named() -> None:
    wanted = ProjectOptions(look_for={"": ("money",), "pos": ("fine",), "gone": ("a",)}, class_targets={"unsure": 3})
    reading = config(labels=THREE, options=ProjectOptions(ignored_labels=("unsure",)))
    notice = only(list(on_wanted(wanted, reading, 7)))
    assert "that are ignored: look_for 'gone'; class_targets 'unsure'. Nothing comes" in notice.text
    assert "`nextlabel options --project 7 NAME=VALUE`" in notice.text
    assert list(on_wanted(ProjectOptions(look_for={"": ("money",), "pos": ("fine",)}), reading, 7)) == []


@pytest.mark.parametrize(
    ("control", "contains"),
    [
        ('<Choices name="c" toName="t"><Choice value="pos"/><Choice value="x"/></Choices>', '`"choices": ["pos"]`;'),
        (
            '<Choices name="c" toName="t"><Choice value="Gr\u00fcn" alias="gr\u00fcn"/><Choice value="x"/></Choices>',
            '`"choices": ["gr\\u00fcn"]` (on PostgreSQL `"choices": ["gr\u00fcn"]`);',
        ),
        ('<Choices name="c" toName="t" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices>', ""),
    ],
)
def test_how_to_find_tasks_by_their_prediction(control: str, contains: str) -> None:
    found = parse_label_config(f'<View><Text name="t" value="$text"/>{control}</View>')
    said = notices.how_to_find(found.asked[0])
    assert contains in said
    assert bool(said) == bool(contains)


def test_where_connecting_again_also_changes_the_defaults_that_is_said_beforehand() -> None:
    kept, latest = ProjectOptions(), ProjectOptions(defaults=LATEST)
    for notice in (notices.sampling_changed, notices.follows_another):
        assert notice("another", 7, kept).text.endswith(
            " To connect it again also takes over today's defaults, which `nextlabel connect --project 7 --preview` "
            "lists beforehand."
        )
        assert "defaults" not in notice("another", 7, latest).text
