"""The only room that knows Label Studio's JSON: config to fields and labels, task to example, and back. No I/O."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import lxml.html
import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from lxml import etree
from lxml.etree import LxmlError

from backend.acquisition import Array, entropy_nats
from backend.errors import BadRequestError, RefusedConfigError
from backend.examples import Example, Unreadable
from backend.votes import Vote

TEXT_TAGS = ("Text", "HyperText")
MAX_TEXT = 2**18  # characters of a text that are looked at: more than there are in all the word pieces that are read
MAX_CONFIG = 2**20  # characters of a labelling config
HOLDOUT_SPLITS = frozenset({"holdout", "validation", "dev", "test"})
OTHER_CONTROLS = ("Taxonomy", "Pairwise", "Labels", "HyperTextLabels", "TextArea", "Rating", "Ranker", "Number")


@dataclass(frozen=True)
class LabelConfig:
    """What a project's labelling config says about text classification.

    `fields` are the one or two keys of `task.data` that hold the text or the pair, in the order of the config.
    `labels` are the aliases where there are any, for that is what Label Studio stores.
    """

    from_name: str
    to_name: str
    fields: tuple[str, ...]
    html: tuple[bool, ...]
    labels: tuple[str, ...]

    @property
    def reading(self) -> str:
        """Digest of all that decides how a task is read. While it stands, a local copy of the tasks stands too."""
        return hashlib.sha256(repr((self.from_name, self.fields, self.html)).encode()).hexdigest()[:16]


def parse_label_config(xml: str) -> LabelConfig:
    """Read a labelling config.

    Raises `RefusedConfigError`, with what to change, for a config without exactly one single-choice `Choices` over
    one text or a pair of texts.
    """
    root = _parse_xml(xml)
    control = _only_choices(root)
    texts = _texts(root)
    to_name = _target(control, texts)
    return LabelConfig(
        from_name=control.get("name", ""),
        to_name=to_name,
        fields=tuple(text.get("value", "").removeprefix("$") for text in texts),
        html=tuple(text.tag == "HyperText" for text in texts),
        labels=_labels(control),
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
    texts = [e for e in root.iter() if e.tag in TEXT_TAGS and e.get("value", "").startswith("$")]
    if len(texts) not in (1, 2):
        names = [text.get("name") for text in texts]
        raise RefusedConfigError(
            f"The labelling config shows {len(texts)} texts {names}; one <Text> or a pair of them is needed."
        )
    for text in texts:
        if text.get("valueType", "text").lower() == "url":
            raise RefusedConfigError(
                f'<{text.tag} name="{text.get("name")}" valueType="url"> holds addresses, not texts. Import the texts '
                'themselves and set valueType="text".'
            )
    return texts


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
    """The text or pair that a task holds. Numbers count as text; a missing, null, empty or nested value does not."""
    task_id = task.get("id")
    task_id = task_id if isinstance(task_id, int) and 0 <= task_id < 2**63 else 0
    data = task.get("data")
    if not isinstance(data, Mapping):
        return Unreadable(task_id, "the task has no data")
    texts = []
    for field, is_html in zip(config.fields, config.html, strict=True):
        value = data.get(field)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            kind = "missing" if field not in data else f"of type {type(value).__name__}, not a text"
            return Unreadable(task_id, f"the field {field!r} is {kind}")
        text = _without_tags(value) if is_html else value
        if not text.strip():
            return Unreadable(task_id, f"the field {field!r} is empty")
        texts.append(_encodable(text[:MAX_TEXT]))
    return Example(task_id, *texts)


def _encodable(text: str) -> str:
    # A lone surrogate is legal in JSON but not in UTF-8, and the tokenizer and SQLite speak UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")


BLOCKS = ("p", "div", "br", "li", "tr", "td", "th", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6")


def _without_tags(html: str) -> str:
    """What a person reads of an HTML text: no scripts, no styles; blocks apart, inline tags without a gap."""
    try:
        root = lxml.html.fromstring(f"<div>{html}</div>")
    except (LxmlError, ValueError):  # control characters, nothing but a comment
        return ""
    etree.strip_elements(root, "script", "style", etree.Comment, with_tail=False)
    for block in root.iter(*BLOCKS):
        block.tail = f" {block.tail or ''}"
        if block is not root:
            block.text = f" {block.text or ''}"
    return " ".join(str(root.text_content()).split())


def is_holdout(task: Mapping[str, Any]) -> bool:
    """Whether `data.split` keeps the task out of the pool and out of training."""
    data = task.get("data")
    return isinstance(data, Mapping) and str(data.get("split", "")).strip().lower() in HOLDOUT_SPLITS


def to_vote(config: LabelConfig, annotation: Mapping[str, Any]) -> Vote | None:
    """The label that an annotation gives, or None for a skipped, empty, several-choice or foreign-control one."""
    result = annotation.get("result")
    if annotation.get("was_cancelled") or not isinstance(result, list):
        return None
    labels = [label for item in result for label in _choices(config, item)]
    if len(labels) != 1:
        return None
    when = str(annotation.get("updated_at") or annotation.get("created_at") or "")
    return Vote(labels[0], bool(annotation.get("ground_truth")), when)


def _choices(config: LabelConfig, item: object) -> list[str]:
    if not isinstance(item, Mapping) or item.get("from_name") != config.from_name or item.get("type") != "choices":
        return []
    value = item.get("value")
    choices = value.get("choices") if isinstance(value, Mapping) else None
    return [c for c in choices if isinstance(c, str)] if isinstance(choices, list) else []


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as Label Studio tells it. `example` is None when the task cannot be read.

    `closed`: Label Studio no longer serves it. `skipped`: at least one annotator passed it over.
    """

    id: int
    example: Example | None
    holdout: bool
    closed: bool
    skipped: bool
    annotations: int
    votes: tuple[Vote, ...]

    @property
    def open(self) -> bool:
        """Whether the task is in the pool."""
        return self.example is not None and not (self.holdout or self.closed or self.votes)


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
    example = to_example(config, task)
    votes = (to_vote(config, annotation) for annotation in task.get("annotations") or [])
    return TaskRow(
        id=int(task["id"]),
        example=example if isinstance(example, Example) else None,
        holdout=is_holdout(task),
        closed=bool(task.get("is_labeled")),
        skipped=bool(task.get("cancelled_annotations")),
        annotations=int(task.get("total_annotations") or 0),
        votes=tuple(vote for vote in votes if vote is not None),
    )


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
    says when the text was longer than what the version reads. A choice that the config no longer has is not shown.
    """
    best = int(np.argmax(probs_C))
    meta: dict[str, Any] = {
        "probabilities": {label: float(p) for label, p in zip(labels, probs_C, strict=True)},
        "entropy": float(entropy_nats(probs_C[None, :])[0]),
        **({"truncated": True} if truncated else {}),
    }
    item = {
        "from_name": config.from_name,
        "to_name": config.to_name,
        "type": "choices",
        "value": {"choices": [labels[best]]},
        "score": float(probs_C[best]),
        "meta": meta,
    }
    shown = [item] if labels[best] in config.labels else []
    return {"result": shown, "score": to_score(value), "model_version": version}


def to_score(value: float) -> float:
    """Label Studio's score of an acquisition value: turned around, because it sorts ascending."""
    return min(1.0, max(0.0, 1.0 - float(value)))


def no_prediction(score: float, version: str, reason: str) -> dict[str, Any]:
    """An answer that shows nothing and says why. Label Studio stores the empty result and drops `reason`."""
    return {"result": [], "score": score, "model_version": version, "reason": reason}
