"""The only room that knows Label Studio's JSON: config to fields and labels, task to example, and back. No I/O."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from nextlabel.errors import BadRequestError, RefusedConfigError
from nextlabel.labelstudio.html_text import text_of_html
from nextlabel.labelstudio.oddities import not_words
from nextlabel.learning.strategies import entropy_nats
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example, Unreadable
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import NO_OPTIONS, ProjectOptions
from nextlabel.values.survey import (
    HALF,
    HELD_OUT,
    NOT_COUNTED,
    NOT_WORDS,
    SPLIT,
    UNREADABLE,
    Note,
)

TEXT_TAGS = ("Text", "HyperText")
MAX_TEXT = 2**18  # characters of a text that are looked at: more than there are in all the word pieces that are read
MAX_CONFIG = 2**20  # characters of a labelling config
OTHER_CONTROLS = ("Taxonomy", "Pairwise", "Labels", "HyperTextLabels", "TextArea", "Rating", "Ranker", "Number")
OTHER_OBJECTS = ("Paragraphs", "Chat", "Image", "Audio", "Video", "TimeSeries", "Table", "List", "Pdf")
VARIABLE = re.compile(r"\$[\w\[\].{}]+", re.ASCII)  # as Label Studio's editor finds them in a tag's value
PLAIN = re.compile(r"\$[^\s$]+")  # a value that is one variable and nothing else, in any script
READING = 2  # raised when tasks are read in another way than by the release before


@dataclass(frozen=True)
class TextField:
    """A text that the config shows. `value` as it stands there: `$body`, `$review.body`, `$texts[0]`, `From: $name`.

    `name` of the tag; `encoding`: none, base64 or base64unicode.
    """

    value: str
    name: str = ""
    html: bool = False
    encoding: str = "none"

    @property
    def field(self) -> str:
        """What people call it: the variable without its dollar sign, or the value with its words."""
        return self.value[1:] if PLAIN.fullmatch(self.value) else self.value


@dataclass(frozen=True)
class LabelConfig:
    """What a project's labelling config says about text classification.

    `texts` are the text or the pair, in the order of the config unless options say another. `left_out` are texts that
    the config shows and nothing is learnt from, each with the reason. `labels` are the aliases where there are any,
    for that is what Label Studio stores; `label_map` says as what other labels are learnt, `shown_as` what people read
    in the place of an alias. `chosen`: a person chose the texts.
    """

    from_name: str
    to_name: str
    texts: tuple[TextField, ...]
    labels: tuple[str, ...]
    label_map: Mapping[str, str] = field(default_factory=dict)
    shown_as: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    chosen: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `task.data` that are read, as people call them."""
        return tuple(text.field for text in self.texts)

    @property
    def reading(self) -> str:
        """Digest of all that decides how a task is read. While it stands, a local copy of the tasks stands too."""
        return hashlib.sha256(repr((READING, self.from_name, self.texts, self.chosen)).encode()).hexdigest()[:16]

    @cached_property
    def question(self) -> SingleChoice:
        """What the project asks: one label for each task."""
        return SingleChoice(self.labels, self.label_map)

    def label_of(self, given: str) -> str | None:
        """The config's label that an annotation's text stands for; None when there is none."""
        return self.question.label_of(given)


def parse_label_config(xml: str, options: ProjectOptions = NO_OPTIONS) -> LabelConfig:
    """Read a labelling config.

    Raises `RefusedConfigError`, with what to change, for a config without exactly one single-choice `Choices` over
    one text or a pair of texts.
    """
    root = _parse_xml(xml)
    control = _only_choices(root)
    shown = _texts(root)
    texts, left_out = _chosen(shown, options.fields) if options.fields else _read_by_itself(root, shown)
    return LabelConfig(
        from_name=control.get("name", ""),
        to_name=_target(control, shown),
        texts=texts,
        labels=_labels(control),
        label_map=options.label_map,
        shown_as={c.get("alias", ""): c.get("value", "") for c in control.iter("Choice") if c.get("alias")},
        left_out=left_out,
        chosen=bool(options.fields),
    )


def _parse_xml(xml: str) -> Element:
    if len(xml) > MAX_CONFIG:
        raise RefusedConfigError(f"The labelling config has {len(xml)} characters, {MAX_CONFIG} at most. Shorten it.")
    try:
        root: Element = fromstring(xml, forbid_dtd=True)
    except (ParseError, UnicodeEncodeError) as error:
        raise RefusedConfigError(f"The labelling config is not well-formed XML ({error}). Correct it.") from None
    except DefusedXmlException:
        raise RefusedConfigError("The labelling config has a DTD or entities of its own. Remove them.") from None
    return root


def _only_choices(root: Element) -> Element:
    found = list(root.iter("Choices"))
    if len(found) != 1:
        others = sorted({tag for tag in OTHER_CONTROLS if root.find(f".//{tag}") is not None})
        seen = f"{len(found)} Choices" + (f" and {', '.join(others)}" if others else "")
        raise RefusedConfigError(
            f"The labelling config has {seen}; exactly one <Choices> is needed. Keep one, or use separate projects."
        )
    control = found[0]
    name = control.get("name", "")
    choice = control.get("choice", "single")
    if choice not in ("single", "single-radio"):
        raise RefusedConfigError(
            f'<Choices name="{name}" choice="{choice}"> lets annotators pick several labels; this backend learns one '
            'label per task. Set choice="single".'
        )
    for attribute in ("perRegion", "perItem"):
        if control.get(attribute, "false").lower() == "true":
            raise RefusedConfigError(
                f'<Choices name="{name}" {attribute}="true"> labels parts of a task; this backend labels whole tasks. '
                f"Remove {attribute}."
            )
    if control.get("value") is not None:
        raise RefusedConfigError(
            f'<Choices name="{name}" value="{control.get("value")}"> takes its labels from each task; a classifier '
            "needs one fixed set. List the labels as <Choice> tags."
        )
    if root.find(".//Repeater") is not None:
        raise RefusedConfigError("<Repeater> makes a control per list item; this backend labels whole tasks.")
    return control


def _labels(control: Element) -> tuple[str, ...]:
    choices = list(control.iter("Choice"))
    if any(choice.find("Choice") is not None for choice in choices):
        raise RefusedConfigError("Nested <Choice> tags make a tree of labels; list the labels flat.")
    labels = tuple(choice.get("alias") or choice.get("value") or "" for choice in choices)
    if len(labels) < 2 or not all(label.strip() for label in labels) or len(set(labels)) < len(labels):
        raise RefusedConfigError(
            f'<Choices name="{control.get("name")}"> has the labels {list(labels)}; at least two different, '
            "non-empty ones are needed."
        )
    return labels


def _texts(root: Element) -> list[Element]:
    """Every text that is made of the task's data."""
    texts = [e for e in root.iter() if e.tag in TEXT_TAGS and _variables(e.get("value", ""))]
    if not texts:
        raise RefusedConfigError(f"The labelling config shows no text of the task's data. {_instead(root)}")
    for text in texts:
        if text.get("valueType", "text").lower() == "url":
            raise RefusedConfigError(
                f'<{text.tag} name="{text.get("name")}" valueType="url"> holds addresses, not texts. Import the texts '
                'themselves and set valueType="text".'
            )
        if text.get("encoding", "none") not in ("none", "base64", "base64unicode"):
            raise RefusedConfigError(
                f'<{text.tag} name="{text.get("name")}" encoding="{text.get("encoding")}">: Label Studio knows the '
                "encodings none, base64 and base64unicode. Set one of them."
            )
    return texts


def _variables(value: str) -> list[str]:
    """The paths into `task.data` that a tag's value names."""
    return [value[1:]] if PLAIN.fullmatch(value) else [found[1:] for found in VARIABLE.findall(value)]


def _instead(root: Element) -> str:
    fixed = next((e for e in root.iter() if e.tag in TEXT_TAGS), None)
    if fixed is not None:
        value = fixed.get("value", "")
        return (
            f'<{fixed.tag} name="{fixed.get("name")}" value="{value}"> shows the same words for every task: to show '
            f'the field of that name, write value="${value or "text"}".'
        )
    other = next((e for e in root.iter() if e.tag in OTHER_OBJECTS), None)
    if other is not None:
        return f"<{other.tag}> is not classified by this backend; one <Text> or <HyperText>, or a pair, is needed."
    return 'One <Text name="text" value="$text"/> or a pair of them is needed.'


def _field_of(text: Element) -> TextField:
    is_html = text.tag == "HyperText"
    return TextField(text.get("value", ""), text.get("name", ""), is_html, text.get("encoding", "none"))


def _chosen(shown: Sequence[Element], fields: Sequence[str]) -> tuple[tuple[TextField, ...], tuple[str, ...]]:
    """The texts that a person named, by field or by tag."""
    known = [_field_of(text) for text in shown]
    named = [next((text for text in known if name in (text.field, text.value, text.name)), None) for name in fields]
    texts = tuple(text for text in named if text is not None)
    if len(texts) < len(named) or not 1 <= len(texts) <= 2 or len(set(texts)) < len(texts):
        raise RefusedConfigError(
            f"The fields {', '.join(fields)} cannot be the text: one field or two different ones are needed, of "
            f"{', '.join(text.field for text in known)}. Choose with nextlabel connect --fields."
        )
    others = dict.fromkeys(text.field for text in known if text.value not in {chosen.value for chosen in texts})
    return texts, tuple(f"{name!r} was not chosen" for name in others)


def _read_by_itself(root: Element, shown: Sequence[Element]) -> tuple[tuple[TextField, ...], tuple[str, ...]]:
    """The texts that a person reads and a class may depend on: neither hidden, nor a repetition, nor an identifier."""
    hidden = _hidden(root)
    always = {element.get("value", "") for element in shown if element not in hidden}
    texts: list[TextField] = []
    left_out: list[str] = []
    for element in shown:
        text = _field_of(element)
        if element in hidden and always:
            if text.value not in always:
                left_out.append(f"{text.field!r} is not always shown")
        elif any(text.value == other.value for other in texts):
            left_out.append(f"{text.field!r} is shown twice")
        elif IDENTIFIER.search(text.field) and len(shown) > 1:
            left_out.append(f"{text.field!r} is an identifier by its name")
        else:
            texts.append(text)
    if not texts:  # nothing but identifiers
        return (_field_of(shown[0]),), ()
    if len(texts) > 2:
        raise RefusedConfigError(
            f"The labelling config shows {len(texts)} texts ({', '.join(text.field for text in texts)}); one or a "
            f"pair of them is classified. Choose with nextlabel connect --fields {texts[0].field},"
            f"{texts[1].field}, or show fewer."
        )
    return tuple(texts), tuple(left_out)


# ticket_id, doc.id, ID, userId, uuid; but not paid.
IDENTIFIER = re.compile(r"(^|[^A-Za-z])([iI][dD]|[uUgG][uU][iI][dD])$|[a-z](Id|ID|Uuid|UUID|Guid|GUID)$")


def _hidden(root: Element) -> set[Element]:
    """Texts inside of what is shown only sometimes, or never."""
    found: set[Element] = set()
    for view in root.iter():
        style = view.get("style", "").replace(" ", "").lower()
        if view.get("visibleWhen") or "display:none" in style or "visibility:hidden" in style:
            found |= {element for element in view.iter() if element.tag in TEXT_TAGS}
    return found


def _target(control: Element, texts: Sequence[Element]) -> str:
    to_name = control.get("toName", "")
    names = [text.get("name", "") for text in texts]
    if "," in to_name:
        raise RefusedConfigError(
            f'<Choices toName="{to_name}"> names two texts: Label Studio\'s editor then submits empty results and the '
            f'labels are lost. Set toName="{names[0]}"; both texts are still classified as a pair.'
        )
    if to_name not in names:
        raise RefusedConfigError(
            f'<Choices toName="{to_name}"> does not point to a text; the texts are {names}. Set toName to one of them.'
        )
    return to_name


def project_id_of(value: object) -> int:
    """The numeric id in `17`, `"17"` or Label Studio's `"17.1795444751"` (id and creation time).

    Raises `BadRequestError` for anything else, a number with a fraction among it: 1.2e16 would begin like project 1.
    """
    known = isinstance(value, (int, str)) and not isinstance(value, bool)
    found = re.fullmatch(r"([0-9]{1,18})(\.[0-9]+)?", str(value)) if known else None  # a 64-bit database key
    if found is None:
        raise BadRequestError(f"project={str(value)[:40]!r} is not a Label Studio project id such as '17.1795444751'.")
    return int(found[1])


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
    values = {path: _at(data, path) for path in _variables(text.value)}
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
    items = _items(config, annotation)
    labels = _labels_in(config, items)
    if len(labels) != 1:
        return None
    when = str(annotation.get("updated_at") or annotation.get("created_at") or "")
    accepted = any(item.get("origin") == "prediction" for item in items)
    return Vote(labels[0], bool(annotation.get("ground_truth")), when, accepted)


def why_no_vote(config: LabelConfig, annotation: Mapping[str, Any]) -> str:
    """Why an annotation that was not skipped gives no label, in words; empty when it gives one."""
    if annotation.get("was_cancelled") or to_vote(config, annotation) is not None:
        return ""
    result = annotation.get("result")
    items = [item for item in result if isinstance(item, Mapping)] if isinstance(result, list) else []
    if not items:
        return NOTHING_CHOSEN
    ours = [item for item in items if item.get("from_name") == config.from_name]
    if not ours:
        others = ", ".join(sorted({str(item.get("from_name")) for item in items}))
        renamed = any(item.get("type") == "choices" for item in items)  # for there is one Choices
        name = f"the name of the question is {others}, in the labelling config it is {config.from_name}"
        return name if renamed else f"{OTHER_QUESTION} {others}"
    if len(_labels_in(config, _items(config, annotation))) > 1:
        return "several labels are given"
    kinds = sorted({str(item.get("type", "missing")) for item in ours} - {"choices"})
    return f'the type is {", ".join(kinds)} in the place of "choices"' if kinds else _why_no_label(ours)


NOTHING_CHOSEN, OTHER_QUESTION = "nothing is chosen", "only other questions are answered:"


def _items(config: LabelConfig, annotation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    result = annotation.get("result")
    items = [item for item in result if isinstance(item, Mapping)] if isinstance(result, list) else []
    return [i for i in items if i.get("from_name") == config.from_name and i.get("type") == "choices"]


def _labels_in(config: LabelConfig, items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The different labels of these items. One alone may stand without a list; what is given twice counts once."""
    labels = [_label_text(one) for one in _given(items)]
    stand_for = {config.label_of(label) or label: label for label in labels if label.strip()}
    return list(stand_for.values())


def _given(items: Sequence[Mapping[str, Any]]) -> list[object]:
    """Each choice of these items, whatever it is."""
    values = [item.get("value") for item in items]
    given = [value.get("choices") for value in values if isinstance(value, Mapping)]
    return [one for some in given for one in (some if isinstance(some, list) else [some])]


def _why_no_label(items: Sequence[Mapping[str, Any]]) -> str:
    values = [item.get("value") for item in items]
    if not all(isinstance(value, Mapping) and "choices" in value for value in values):
        return 'the value has no "choices"'
    odd = any(isinstance(one, Mapping | list) and one for one in _given(items))
    return 'the "choices" are not a plain list of labels' if odd else NOTHING_CHOSEN


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
    return TaskRow(
        id=int(task["id"]),
        example=example if isinstance(example, Example) else None,
        holdout=is_holdout(task),
        closed=bool(task.get("is_labeled")),
        skipped=bool(task.get("cancelled_annotations")),
        annotations=int(task.get("total_annotations") or 0),
        votes=tuple(vote for vote in votes if vote is not None),
        notes=tuple(notes),
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


# Label Studio's names of the events that a backend must hear of (label_studio/webhooks/models.py).
WEBHOOK_ACTIONS = (
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_DELETED",
    "TASKS_CREATED",
    "TASKS_DELETED",
    "PROJECT_UPDATED",
)

UNREADABLE_SCORE = 1.0  # served last: nobody learns from a task that cannot be read
UNTRAINED_SCORE = 0.0  # before the first fit every task is as uncertain as can be


def to_prediction(
    config: LabelConfig, labels: Sequence[str], probs_C: Array, value: float, version: str, truncated: bool = False
) -> dict[str, Any]:
    """A prediction as Label Studio stores it.

    Its `score` is 1 - value, in [0, 1]: Label Studio's uncertainty queue serves the lowest score first
    (label_studio/projects/functions/next_task.py), so the most informative must score lowest. The result item's own
    `score` is the probability of the shown choice; `meta` keeps every class probability and the entropy in nats, and
    says when the text was longer than what the version reads. A choice that the config no longer has is shown as the
    one that it is mapped to, or not at all.
    """
    best = int(np.argmax(probs_C))
    choice = config.label_of(labels[best])
    meta: dict[str, Any] = {
        "probabilities": {label: float(p) for label, p in zip(labels, probs_C, strict=True)},
        "entropy": float(entropy_nats(probs_C[None, :])[0]),
        **({"truncated": True} if truncated else {}),
    }
    item = {
        "from_name": config.from_name,
        "to_name": config.to_name,
        "type": "choices",
        "value": {"choices": [choice]},
        "score": float(probs_C[best]),
        "meta": meta,
    }
    return {"result": [item] if choice is not None else [], "score": to_score(value), "model_version": version}


def shown_choice(result: object) -> str:
    """The choice that a prediction of ours shows; empty when it shows none. Of anybody's result nothing is expected."""
    items = result if isinstance(result, list) else []
    values = (item.get("value") for item in items if isinstance(item, Mapping))
    found = (value.get("choices") for value in values if isinstance(value, Mapping))
    return next((c for choices in found if isinstance(choices, list) for c in choices if isinstance(c, str)), "")


def to_score(value: float) -> float:
    """Label Studio's score of an acquisition value: turned around, because it sorts ascending."""
    return min(1.0, max(0.0, 1.0 - float(value)))


def no_prediction(score: float, version: str, reason: str) -> dict[str, Any]:
    """An answer that shows nothing and says why. Label Studio stores the empty result and drops `reason`."""
    return {"result": [], "score": score, "model_version": version, "reason": reason}
