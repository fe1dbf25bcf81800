"""Tasks and their annotations, as Label Studio tells and stores them: texts, splits, votes, and what is odd. No I/O."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nextlabel.labelstudio.config import PLAIN, VARIABLE, LabelConfig, TextField, variables
from nextlabel.labelstudio.controls import results
from nextlabel.labelstudio.controls.tag import ControlTag
from nextlabel.labelstudio.html_text import text_of_html
from nextlabel.labelstudio.oddities import not_words
from nextlabel.problems.form import Form
from nextlabel.values.examples import Example, Unreadable
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import ANY_OF, Answers, decoded, encoded
from nextlabel.values.survey import HALF, HELD_OUT, NOT_COUNTED, NOT_WORDS, SPLIT, UNREADABLE, Note

MAX_TEXT = 2**18  # characters of a text that are looked at: more than there are in all the word pieces that are read
OTHER_QUESTION = "only other questions are answered:"


def to_example(config: LabelConfig, task: Mapping[str, Any]) -> Example | Unreadable:
    """The text or pair that a task holds, read as Label Studio's editor shows it.

    Numbers, truth values and lists of such count as text; a missing, null, empty or nested value does not. Of a pair
    of which one half is missing, the other one is read alone.
    """
    return _example(task, _read(config, task))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was found in the place of one of the texts: the text, or why there is none."""

    text: str
    why: str = ""


def _read(config: LabelConfig, task: Mapping[str, Any]) -> list[_Reading]:
    data = task.get("data")
    if not isinstance(data, Mapping):
        return [_Reading("", "the task has no data")]
    return [_read_text(text, data) for text in config.texts]


def _example(task: Mapping[str, Any], found: Sequence[_Reading]) -> Example | Unreadable:
    task_id = task.get("id")
    task_id = task_id if isinstance(task_id, int) and 0 <= task_id < 2**63 else 0
    texts = [reading.text for reading in found if reading.text]
    if not texts:
        return Unreadable(task_id, " and ".join(dict.fromkeys(reading.why for reading in found)))
    return Example(task_id, *texts)


def _read_text(text: TextField, data: Mapping[str, Any]) -> _Reading:
    values = {path: _at(data, path) for path in variables(text.value)}
    words = {path: _shown(value) or "" for path, value in values.items()}
    if not any(words.values()):
        return _Reading("", _why_empty(text, values))
    if PLAIN.fullmatch(text.value):
        [whole] = words.values()
    else:
        whole = VARIABLE.sub(lambda found: words[found[0][1:]], text.value)
    try:
        whole = _encodable(_decoded(whole, text.encoding))
    except (binascii.Error, UnicodeError):
        return _Reading("", f"the field {text.field!r} is not {text.encoding}, as the labelling config says")
    shown = text_of_html(whole) if text.html else whole
    if shown.strip():
        return _Reading(shown[:MAX_TEXT])
    tags = ", apart from its HTML tags" if whole.strip() else ""
    return _Reading("", f"the field {text.field!r} is empty{tags}")


NOWHERE = object()


def _at(data: Mapping[str, Any], path: str) -> object:
    """What lies at `a.b` or `a[0]`; a key that is written like a path goes first, as in the editor (lodash's `get`)."""
    if path in data:
        return data[path]
    value: object = data
    for step in re.findall(r"[^.\[\]]+", path):
        key = step.strip("\"'")
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return NOWHERE
    return value


def _shown(value: object) -> str | None:
    """A value of the data as the editor shows it; None when it shows nothing that a person could read."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list):
        parts = [_shown(part) for part in value]
        return ",".join(part or "" for part in parts) if value and None not in parts else None
    return None


MISSING = "is missing"


def _why_empty(text: TextField, values: Mapping[str, object]) -> str:
    odd = next((value for value in values.values() if isinstance(value, Mapping | list) and value), None)
    if odd is not None:
        return f"the field {text.field!r} holds {'a list' if isinstance(odd, list) else 'an object'}, not a text"
    missing = all(value is NOWHERE for value in values.values())
    return f"the field {text.field!r} {MISSING if missing else 'is empty'}"


def _decoded(text: str, encoding: str) -> str:
    if encoding == "none":
        return text
    raw = base64.b64decode("".join(text.split()), validate=True)
    return raw.decode("utf-8" if encoding == "base64unicode" else "latin-1")


def _encodable(text: str) -> str:
    # A lone surrogate is legal in JSON but not in UTF-8, and the tokenizer and SQLite speak UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")


HOLDOUT_WORDS = frozenset(("holdout", "heldout", "validation", "valid", "val", "dev", "devel", "development", "test"))
HOLDOUT_WORDS |= frozenset(("testing", "eval", "evaluation"))
LEARNT_WORDS = frozenset(("", "train", "training", "learn", "pool", "labeled", "labelled", "unlabeled", "unlabelled"))
LEARNT_WORDS |= frozenset(("unsup", "unsupervised", "none", "null", "nan", "na", "n/a"))


def _split_of(task: Mapping[str, Any]) -> str:
    """The word in `data.split` in small letters, without blanks, hyphens and underscores."""
    data = task.get("data")
    split = data.get("split") if isinstance(data, Mapping) else None
    return "" if split is None else str(split).strip().lower().replace("-", "").replace("_", "").replace(" ", "")


def is_holdout(task: Mapping[str, Any]) -> bool:
    """Whether `data.split` keeps the task out of the pool and out of training."""
    return _split_of(task) in HOLDOUT_WORDS


def to_vote(config: LabelConfig, annotation: Mapping[str, Any]) -> Vote | None:
    """The label that an annotation gives, or None when it does not count: `why_no_vote` says why."""
    if annotation.get("was_cancelled"):
        return None
    when = str(annotation.get("updated_at") or annotation.get("created_at") or "")
    given = _given(config, annotation, when)
    if given is None:
        return None
    ours = (item for control in config.asked for item in _items(control, annotation))
    accepted = any(item.get("origin") == "prediction" for item in ours)
    return Vote(given, bool(annotation.get("ground_truth")), when, accepted)


def _given(config: LabelConfig, annotation: Mapping[str, Any], when: str) -> str | None:
    """The answer in an annotation as somebody spelt it; None when there is none."""
    if not isinstance(config.question, Form):
        labels = _labels_in(config, config.asked[0], _items(config.asked[0], annotation))
        return labels[0] if len(labels) == 1 else None
    answers = _answers(config, annotation, when)
    return encoded(answers) if answers else None


def _answers(config: LabelConfig, annotation: Mapping[str, Any], when: str) -> Answers:
    """What is answered to each question of a form. One of which any labels may be given, and that the person saw then,
    is answered with none where there is nothing: Label Studio stores no item for that."""
    answers: dict[str, tuple[str, ...]] = {}
    for control in config.asked:
        labels = tuple(_labels_in(config, control, _items(control, annotation)))
        if labels and (control.kind == ANY_OF or len(labels) == 1):
            answers[control.name] = labels
    unmarked = [control for control in config.asked if control.kind == ANY_OF and control.name not in answers]
    seen = (control for control in unmarked if control.asked(answers) and when >= config.since.get(control.name, ""))
    return {**answers, **{control.name: () for control in seen}}


def why_no_vote(config: LabelConfig, annotation: Mapping[str, Any]) -> str:
    """Why an annotation that was not skipped gives no label, in words; empty when it gives one."""
    if annotation.get("was_cancelled") or to_vote(config, annotation) is not None:
        return ""
    items = results.items_of(annotation.get("result"))
    if not items:
        return results.NOTHING_CHOSEN
    names = [control.name for control in config.asked]
    if not any(item.get("from_name") in names for item in items):
        others = ", ".join(sorted({str(item.get("from_name")) for item in items}))
        alike = [control for control in config.asked if any(item.get("type") == control.item_type for item in items)]
        renamed = len(alike) == 1  # for there is one of that type
        name = f"the name of the question is {others}, in the labelling config it is {alike[0].name if renamed else ''}"
        return name if renamed else f"{OTHER_QUESTION} {others}"
    control = next(control for control in config.asked if any(i.get("from_name") == control.name for i in items))
    ours = [item for item in items if item.get("from_name") == control.name]
    if len(_labels_in(config, control, _items(control, annotation))) > 1:
        return "several labels are given"
    kinds, expected = (
        sorted({str(item.get("type", "missing")) for item in ours} - {control.item_type}),
        control.item_type,
    )
    return (
        f'the type is {", ".join(kinds)} in the place of "{expected}"'
        if kinds
        else results.why_no_label(ours, control.key)
    )


def _items(control: ControlTag, annotation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = results.items_of(annotation.get("result"))
    return [i for i in items if i.get("from_name") == control.name and i.get("type") == control.item_type]


def _labels_in(config: LabelConfig, control: ControlTag, items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The different labels of these items. One alone may stand without a list; what is given twice counts once."""
    labels = [_label_text(one) for one in results.given_to(control, items)]
    spellings = config.spellings[control.name]
    stand_for = {spellings.answer_of(label) or label: label for label in labels if label.strip()}
    return list(stand_for.values())


def _label_text(value: object) -> str:
    return (_shown(value) or "") if isinstance(value, str | int | float) else ""


# All that is looked at of a task. Label Studio narrows annotations by the same list, so their fields stand in it too.
TASK_FIELDS = (
    "id",
    "data",
    "is_labeled",
    "cancelled_annotations",
    "total_annotations",
    "updated_at",
    "annotations",
    "result",
    "was_cancelled",
    "ground_truth",
    "created_at",
    "completed_by",
)


def read_task(config: LabelConfig, task: Mapping[str, Any]) -> TaskRow:
    """A task of Label Studio's data manager API (`fields=all`), with its annotations; `TASK_FIELDS` are enough."""
    found = _read(config, task)
    example = _example(task, found)
    annotations = [a for a in task.get("annotations") or [] if isinstance(a, Mapping)]
    votes = (to_vote(config, annotation) for annotation in annotations)
    notes = [*_notes_on_texts(config, found), *_notes_on_split(task), *_notes_on_annotations(config, annotations)]
    holdout = is_holdout(task)
    return TaskRow(
        id=int(task["id"]),
        example=example if isinstance(example, Example) else None,
        holdout=holdout,
        closed=bool(task.get("is_labeled")),
        skipped=bool(task.get("cancelled_annotations")),
        annotations=int(task.get("total_annotations") or 0),
        votes=tuple(vote for vote in votes if vote is not None),
        notes=tuple(notes),
        draw=config.control.drawn(example) if isinstance(example, Example) and not holdout else "",
    )


LONGEST_DETAIL = 200  # characters


def _notes_on_texts(config: LabelConfig, found: Sequence[_Reading]) -> Iterator[Note]:
    if not any(reading.text for reading in found):
        yield Note(UNREADABLE, " and ".join(dict.fromkeys(reading.why for reading in found)))
        return
    for text, reading in zip(config.texts, found, strict=True):
        if reading.why:
            yield Note(HALF, reading.why)
        elif not config.chosen and (kind := not_words(reading.text)):
            yield Note(NOT_WORDS, f"{text.field}: {kind}")


def _notes_on_split(task: Mapping[str, Any]) -> Iterator[Note]:
    split = _split_of(task)
    if split in HOLDOUT_WORDS:
        yield Note(HELD_OUT, split)
    elif split not in LEARNT_WORDS:
        yield Note(SPLIT, str(task["data"]["split"]).strip()[:LONGEST_DETAIL])


def _notes_on_annotations(config: LabelConfig, annotations: Sequence[Mapping[str, Any]]) -> Iterator[Note]:
    for annotation in annotations:
        if why := why_no_vote(config, annotation):
            yield Note(NOT_COUNTED, why[:LONGEST_DETAIL])


def annotators_of(task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Who made the task's annotations, skips included, and when."""
    for annotation in task.get("annotations") or []:
        yield str(annotation.get("completed_by")), str(annotation.get("created_at") or "")


def result_of(config: LabelConfig, answer: str) -> list[dict[str, Any]]:
    """The annotation result that Label Studio's editor would submit for this answer."""
    if not isinstance(config.question, Form):
        return [config.asked[0].item([answer])]
    answers = decoded(answer)
    return [control.item(answers[control.name]) for control in config.asked if answers.get(control.name)]


def choices_in(annotation: Mapping[str, Any]) -> list[object]:
    """All that was chosen in an annotation, of whatever control."""
    return results.given(results.items_of(annotation.get("result")))
