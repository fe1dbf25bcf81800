"""Tasks and their annotations, as Label Studio tells and stores them: texts, splits, votes, and what is odd. No I/O."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.controls import results
from nextlabel.labelstudio.controls.tag import ControlTag
from nextlabel.labelstudio.objects.fields import Reading, shown
from nextlabel.labelstudio.objects.kinds import KINDS
from nextlabel.labelstudio.oddities import not_words
from nextlabel.problems.form import Form
from nextlabel.values.counting import DELETED
from nextlabel.values.examples import Example, Unreadable, of_texts
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import ANY_OF, Answers, decoded, encoded
from nextlabel.values.survey import HALF, HELD_OUT, NOT_COUNTED, NOT_WORDS, OF_LABELS, SPLIT, UNREADABLE, Note

PAIR = 2  # texts of which one may stand alone; of more, each keeps its place, as it does on the screen
MARK = "nextlabel_machine"  # in the `meta` of an item of a result, the value that the machine gave
OTHER_QUESTION = "only other questions are answered:"


def to_example(config: LabelConfig, task: Mapping[str, Any]) -> Example | Unreadable:
    """The texts that a task holds, read as Label Studio's editor shows them.

    Of a pair of which one half is missing, the other one is read alone; of more texts a missing one is empty.
    """
    return _example(task, _read(config, task))


def _read(config: LabelConfig, task: Mapping[str, Any]) -> list[Reading]:
    data = task.get("data")
    if not isinstance(data, Mapping):
        return [Reading("", "the task has no data")]
    return [KINDS[text.tag].read(text, data) for text in config.texts]


def _example(task: Mapping[str, Any], found: Sequence[Reading]) -> Example | Unreadable:
    task_id = task.get("id")
    task_id = task_id if isinstance(task_id, int) and 0 <= task_id < 2**63 else 0
    texts = [reading.text for reading in found]
    if not any(texts):
        return Unreadable(task_id, " and ".join(dict.fromkeys(reading.why for reading in found)))
    return of_texts(task_id, texts if len(texts) > PAIR else list(filter(None, texts)))


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
    first = str(annotation.get("created_at") or "")
    ours = (item for control in config.asked for item in _items(control, annotation))
    accepted = any(item.get("origin") == "prediction" for item in ours)
    when = str(annotation.get("updated_at") or first)
    vote = Vote("", bool(annotation.get("ground_truth")), when, accepted, first=first)
    given = _given(config, annotation, vote.asked_at)
    return None if given is None else replace(vote, label=given)


def _given(config: LabelConfig, annotation: Mapping[str, Any], when: str) -> str | None:
    """The answer in an annotation as somebody spelt it; None when there is none."""
    if not isinstance(config.question, Form):
        labels = _labels_in(config, config.asked[0], _items(config.asked[0], annotation))
        return labels[0] if len(labels) == 1 else None
    answers = _answers(config, annotation, when)
    return encoded(answers) if answers else None


def _answers(config: LabelConfig, annotation: Mapping[str, Any], when: str) -> Answers:
    """What is answered to each question of a form. One of which any labels may be given, and that the person saw then,
    is answered with none where there is nothing: Label Studio's editor stores no item for that, and submits nothing
    where something is required. But where there is something that cannot be read, or that answers another form, nothing
    ticked says nothing. In what a script or an import has answered to other questions it says nothing either: an empty
    list does. What the person did not see is not answered: of some controls Label Studio stores a guess or a default
    value even then."""
    given, found = _given_to(config, annotation), results.names_of(annotation.get("result"))
    unclear = {name for name in config.spellings if name in found and not _is_known(config, name, given.get(name))}
    seen = config.seen({name: _meant(config, name, labels) for name, labels in given.items()}, unclear)
    answers = {name: labels for name, labels in given.items() if seen[name] is not False}
    if config.strange(found) or not (_saw_the_form(annotation) or (len(config.asked) == 1 and not found)):
        return answers
    may_be_none = (control.name for control in config.asked if control.kind == ANY_OF and not control.required)
    unmarked = (name for name in may_be_none if name not in found)
    return {**answers, **{name: () for name in unmarked if seen[name] and when >= config.since.get(name, "")}}


def _saw_the_form(annotation: Mapping[str, Any]) -> bool:
    """Whether a person submitted it in this project's editor. An import keeps how long that took elsewhere, and by what
    id it was known there: what was asked there nobody knows."""
    return is_by_hand(annotation) and annotation.get("import_id") is None


def _meant(config: LabelConfig, question: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Labels in anybody's spelling as the form has them now, as far as it has."""
    return tuple(config.spellings[question].answer_of(label) or label for label in labels)


def _given_to(config: LabelConfig, annotation: Mapping[str, Any]) -> Answers:
    """What is given to each question, seen or not, where it is as many labels as may be given."""
    given = {control.name: tuple(_labels_in(config, control, _items(control, annotation))) for control in config.asked}
    any_of = {control.name: control for control in config.asked if control.kind == ANY_OF}
    none = {name for name, of in any_of.items() if results.say_none(_items(of, annotation), of.key)}
    read = {name for name, labels in given.items() if len(labels) == 1 or (labels and name in any_of)}
    return {name: labels for name, labels in given.items() if name in read | none}


def _is_known(config: LabelConfig, question: str, labels: Sequence[str] | None) -> bool:
    """Whether there is an answer, in labels that the form has."""
    return labels is not None and None not in map(config.spellings[question].answer_of, labels)


def why_no_vote(config: LabelConfig, annotation: Mapping[str, Any]) -> str:
    """Why an annotation that was not skipped gives no label, or none to a question that it answers, in words; empty
    when it gives one."""
    if annotation.get("was_cancelled"):
        return ""
    if isinstance(config.question, Form):
        return _why_unread(config, annotation)
    if to_vote(config, annotation) is not None:
        return ""
    items = results.items_of(annotation.get("result"))
    if not items:
        return results.NOTHING_CHOSEN
    [control] = config.asked
    ours = [item for item in items if item.get("from_name") == control.name]
    if ours:
        return _why_no_label(config, control, annotation, ours)
    others = ", ".join(sorted(results.names_of(items)))
    renamed = any(item.get("type") == control.item_type for item in items)  # for there is one of that type
    name = f"the name of the question is {others}, in the labelling config it is {control.name}"
    return name if renamed else f"{OTHER_QUESTION} {others}"


def _why_unread(config: LabelConfig, annotation: Mapping[str, Any]) -> str:
    """What of an answer to a form cannot be read."""
    items = results.items_of(annotation.get("result"))
    given = _given_to(config, annotation)
    for control in config.asked:
        ours = [item for item in items if item.get("from_name") == control.name]
        if ours and control.name not in given:
            return f"to the question {control.name}, {_why_no_label(config, control, annotation, ours)}"
    others = sorted(config.strange(results.names_of(items)))
    if others:
        return f"the labelling config has no question {', '.join(others)}"
    return "" if _answers(config, annotation, "") else results.NOTHING_CHOSEN


def _why_no_label(
    config: LabelConfig, control: ControlTag, annotation: Mapping[str, Any], ours: Sequence[Mapping[str, Any]]
) -> str:
    """Why the items of a control give no label."""
    if control.kind != ANY_OF and len(_labels_in(config, control, _items(control, annotation))) > 1:
        return "several labels are given"
    kinds = sorted({str(item.get("type", "missing")) for item in ours} - {control.item_type})
    if kinds:
        return f'the type is {", ".join(kinds)} in the place of "{control.item_type}"'
    return results.why_no_label(ours, control.key)


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
    return (shown(value) or "") if isinstance(value, str | int | float) else ""


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
    "lead_time",
    "import_id",
)


def read_task(config: LabelConfig, task: Mapping[str, Any]) -> TaskRow:
    """A task of Label Studio's data manager API (`fields=all`), with its annotations; `TASK_FIELDS` are enough."""
    found = _read(config, task)
    read = _example(task, found)
    example = read if isinstance(read, Example) else None
    annotations = [a for a in task.get("annotations") or [] if isinstance(a, Mapping) and not is_machines(a)]
    votes = tuple(vote for vote in (_counted(config, annotation) for annotation in annotations) if vote is not None)
    notes = [*_notes_on_texts(config, found), *_notes_on_split(task), *_notes_on_annotations(config, annotations)]
    of_split = is_holdout(task)
    place = config.control.drawn(example) if example and not of_split else ""
    held_out = example is not None and not (of_split or place) and config.hold_out.takes(example, votes)
    if held_out:
        notes.append(Note(OF_LABELS, config.hold_out.of.before))
    return TaskRow(
        id=int(task["id"]),
        example=example,
        holdout=of_split or held_out,
        closed=bool(task.get("is_labeled")),
        skipped=bool(task.get("cancelled_annotations")),
        annotations=int(task.get("total_annotations") or 0),
        votes=votes,
        notes=tuple(notes),
        draw=place,
        by_hand=any(is_by_hand(annotation) for annotation in annotations),
    )


def as_machines(result: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The result of an annotation that says itself that no person gave it, whatever becomes of our records."""
    return [{**item, "meta": {MARK: item["value"]}} for item in result]


def is_machines(annotation: Mapping[str, Any]) -> bool:
    """Whether `as_machines` made it, and no person has changed it since: nothing is learnt from it or judged by it."""
    items = results.items_of(annotation.get("result"))
    return bool(items) and all(_is_marked(item.get("meta"), item.get("value")) for item in items)


def _is_marked(meta: object, value: object) -> bool:
    return isinstance(meta, Mapping) and MARK in meta and meta[MARK] == value


def is_by_hand(annotation: Mapping[str, Any]) -> bool:
    """Whether it was submitted in Label Studio's editor, which says how long that took; imports and scripts do not."""
    return annotation.get("lead_time") is not None and not annotation.get("was_cancelled")


def _counted(config: LabelConfig, annotation: Mapping[str, Any]) -> Vote | None:
    """The label that an annotation gives, and how much it counts."""
    vote = to_vote(config, annotation)
    if vote is None:
        return None
    account, counting = account_of(annotation), config.counting
    weight, why = counting.weight(account, vote.when), counting.why(account, vote.when)
    return replace(vote, account=account, weight=weight, why=why, seconds=_seconds(annotation))


def _seconds(annotation: Mapping[str, Any]) -> float | None:
    """How long the editor was open for it, all its edits together; None where it was not given there."""
    took = annotation.get("lead_time")
    if isinstance(took, bool) or not isinstance(took, int | float) or not 0 <= took < math.inf:
        return None
    return float(took)


def account_of(annotation: Mapping[str, Any]) -> str:
    """The id of the account whose annotation it is. Label Studio forgets whose it was once the account is deleted."""
    who = annotation.get("completed_by")
    who = who.get("id") if isinstance(who, Mapping) else who
    return DELETED if who is None else str(who)


LONGEST_DETAIL = 200  # characters


def _notes_on_texts(config: LabelConfig, found: Sequence[Reading]) -> Iterator[Note]:
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
    for annotation in (one for one in task.get("annotations") or [] if not is_machines(one)):
        yield account_of(annotation), str(annotation.get("created_at") or "")


def result_of(config: LabelConfig, answer: str) -> list[dict[str, Any]]:
    """The annotation result that Label Studio's editor would submit for this answer."""
    if not isinstance(config.question, Form):
        return [config.asked[0].item([answer])]
    answers = decoded(answer)
    return [control.item(answers[control.name]) for control in config.asked if answers.get(control.name)]


def choices_in(annotation: Mapping[str, Any]) -> list[object]:
    """All that was chosen in an annotation, of whatever control."""
    return results.given(results.items_of(annotation.get("result")))
