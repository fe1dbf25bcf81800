"""What an audit found, as a plain document that a project's records give again. Pure.

`issue` makes it. `verdict` tells, in a sentence each, which of its fields the records contradict: it is of another
project, or forged, or outdated, when it was right and something has changed since.

The pool's hash is the SHA-256 of the JSON list of its rows [task id, hash of the text, label, confidence], in the order
of the draw, the confidence as `float.hex` writes it; the hash of a text is that of the JSON list of its `key_of`.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from hashlib import sha256
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from nextlabel.errors import BadAuditError
from nextlabel.learning.audit import (
    BETS,
    Frozen,
    Part,
    allowed,
    certified,
    freeze,
    labels_without_error,
    log_e,
    many_skipped,
)
from nextlabel.learning.control import draw
from nextlabel.values.arrays import Array, Bools, Ints
from nextlabel.values.examples import Key
from nextlabel.values.layout import decoded

FORMAT = 2
WHOSE = ("project", "key_hash", "audit", "pool")  # fields that tell one project's audit from all others
METHOD = "a bet after each label against the claim that more are wrong (Waudby-Smith and Ramdas, arXiv 2006.04347)"
NOT_NOTED = (
    "Its audit was begun by an earlier build, which did not note what it issued, so only the content was verified: "
    "whoever can read the records could have written the same."
)
CLOCKS = timedelta(minutes=1)  # by which Label Studio's clock and ours may differ
NOTHING_LATER: Mapping[int, str | None] = {}
CLOSE = 1e-9  # of ln E, which another machine's logarithms give a last digit of their own; all else is exact


@dataclass(frozen=True)
class Audit:
    """All that is fixed before the first label. Rows are the tasks that were frozen, in the order of the draw.

    `version` is the version or head, fitted on `fitted_on` labels, that `said` so; `labels` are the project's; `texts`
    the `text_hash` of each task; `key_hash` that of the control key. Of a form it `asks` one question or all, by their
    names, of which the labels are; what is said, and what people say, are answers of `values.layout`, in which a
    question is missing that a person with these answers is not shown.
    """

    project: int
    number: int
    version: str
    fitted_on: int
    begun_at: str
    key_hash: str
    labels: tuple[str, ...]
    risk: float
    delta: float
    most_labels: int
    ids_N: Ints
    texts: tuple[str, ...]
    said: tuple[str, ...]
    confidences_N: Array
    asks: tuple[str, ...] = ()

    @cached_property
    def plan(self) -> Frozen:
        """The parts to be tested, and how."""
        return freeze(self.confidences_N, self.number, self.most_labels, self.risk, self.delta)

    @property
    def asked_for(self) -> int:
        """How many tasks it asks for at most."""
        return min(self.most_labels, len(self.ids_N))

    @cached_property
    def needed(self) -> int:
        """About how many labels certify its first part if none is wrong. Not of this order: that stays unknown."""
        size = self.plan.parts[0].size
        return math.ceil(labels_without_error(size, self.plan.level, self.risk) * len(self.ids_N) / size)

    @cached_property
    def pool_hash(self) -> str:
        """As the module says."""
        rows = zip(self.ids_N.tolist(), self.texts, self.said, map(float.hex, self.confidences_N.tolist()), strict=True)
        return sha256(json.dumps(list(rows)).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What people say of a task: their label or answer, None when they skipped it. `given` is the ISO time of the last
    answer, empty without one."""

    label: str | None
    annotators: int
    given: str


@dataclass(frozen=True)
class Records:
    """What the project knows `now`: the control key, answers and texts of the audit's tasks by id, the labels of its
    config, and the name of the version or head that is in force.

    `issued` are digests of its certificates: of all that there are, if it is `recorded`; earlier builds noted none.
    """

    audit: Audit
    key: str
    answers: Mapping[int, Answer]
    keys: Mapping[int, Key]
    labels: tuple[str, ...]
    in_force: str
    now: datetime
    issued: Collection[str] = ()
    recorded: bool = False

    @cached_property
    def kept(self) -> dict[int, Key]:
        """Of the audit's tasks, in their order, those whose text is as it was frozen."""
        texts = zip(self.audit.ids_N.tolist(), self.audit.texts, strict=True)
        return {
            task: self.keys[task] for task, text in texts if task in self.keys and text_hash(self.keys[task]) == text
        }


def key_hash(key: str) -> str:
    """What a certificate tells of the control key."""
    return sha256(key.encode()).hexdigest()


def seed_of(key: str, number: int) -> str:
    """What draws the order of a project's audit of this number: another one than the control set's, for of that what
    a model would have asked for is left over, so that it is no random part of what is left."""
    return f"{key}, audit {number}"


def text_hash(key: Key) -> str:
    """What tells whether a text was edited; the same for copies."""
    return sha256(json.dumps(list(key)).encode()).hexdigest()


def answered(audit: Audit, answers: Mapping[int, Answer]) -> list[Answer]:
    """Those that count: of the first tasks in the order of the draw up to one without, `most_labels` at most. A task
    that lies long is a hard one, so none is passed over."""
    found: list[Answer] = []
    for task in audit.ids_N[: audit.most_labels].tolist():
        if task not in answers:
            break
        found.append(answers[task])
    return found


def passed(audit: Audit, answers: Sequence[Answer]) -> Part | None:
    """The largest part that the answers certify; None when there is none."""
    right = [None if a.label is None else a.label == said for a, said in zip(answers, audit.said, strict=False)]
    return certified(audit.plan, audit.confidences_N[: len(right)], right)


def issue(audit: Audit, answers: Sequence[Answer], issued_at: str) -> dict[str, Any]:
    """The certificate, ready for JSON; `answers` are those of the first tasks. Raises `BadAuditError` when they certify
    nothing."""
    made = _document(audit, answers, issued_at)
    if made["result"] is None:
        wrong = sum(row["label"] not in (None, row["said"]) for row in made["labels"])
        raise BadAuditError(
            f"Audit {audit.number} of project {audit.project} certifies nothing: of {len(answers)} tasks {wrong} are "
            "wrong. Give more labels if it still runs, or begin another audit, of a better version."
        )
    return made


def claim(audit: Audit, answers: Sequence[Answer]) -> str:
    """What a certificate of these answers says; empty where they certify nothing."""
    part = passed(audit, answers)
    return _claim(audit, _result(audit, part, answers)) if part else ""


def digest(certificate: object) -> str:
    """The SHA-256 of a certificate, however its file is spaced and sorted."""
    return sha256(json.dumps(certificate, sort_keys=True).encode()).hexdigest()


class Certified(NamedTuple):
    """The label of a task, or the answers as JSON, and whether `people` or the `machine` gave it."""

    task: int
    label: str
    by: str


def certified_labels(
    audit: Audit, answers: Sequence[Answer], later: Mapping[int, str | None] = NOTHING_LATER
) -> list[Certified]:
    """Those that a certificate is about, by task: people's where they gave one, also `later` than the answers that
    count; not of what they skipped, which is None there. None without a certificate."""
    part = passed(audit, answers)
    rows = zip_longest(audit.ids_N.tolist(), audit.said, audit.confidences_N.tolist(), answers)
    found = [
        Certified(task, label, "people" if answer or task in later else "machine")
        for task, said, confidence, answer in rows
        if part
        and confidence >= part.threshold
        and (label := answer.label if answer else later.get(task, said)) is not None
    ]
    return sorted(found)


def _document(audit: Audit, answers: Sequence[Answer], issued_at: str) -> dict[str, Any]:
    rows = zip(audit.ids_N.tolist(), audit.said, audit.confidences_N.tolist(), answers, strict=False)
    part = passed(audit, answers)
    result = None if part is None else _result(audit, part, answers)
    labels = [
        {"task": task, "said": said, "confidence": _number(confidence), **vars(answer)}
        for task, said, confidence, answer in rows
    ]
    return {
        "format": FORMAT,
        "claim": _claim(audit, result),
        **({"questions": list(audit.asks)} if audit.asks else {}),
        "project": audit.project,
        "version": audit.version,
        "fitted_on": audit.fitted_on,
        "begun_at": audit.begun_at,
        "issued_at": issued_at,
        "audit": audit.number,
        "risk": audit.risk,
        "delta": audit.delta,
        "level": audit.plan.level,
        "most_labels": audit.most_labels,
        "method": METHOD,
        "bets": [list(bet) for bet in BETS],
        "key_hash": audit.key_hash,
        "pool": {"tasks": len(audit.ids_N), "hash": audit.pool_hash},
        "parts": [_part(part) for part in audit.plan.parts],
        "labels": labels,
        "log_e": _evidence(audit, answers),
        "result": result,
    }


def _claim(audit: Audit, result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "Nothing is certified."
    size, whole, skipped = result["size"], len(audit.ids_N), ""
    which = f"all {whole} tasks" if size == whole else f"the {size} tasks that it is surest of, of {whole}"
    if result["skipped"]:
        counted = "count as wrong" if result["skipped_count_as_wrong"] else "are left out"
        skipped = f" {result['skipped']} of {result['labels'] + result['skipped']} were skipped or have no label that "
        skipped += f"counts, and {counted}."
    given, meaning = "labels", ""
    if audit.asks:
        given = f"answers to {' and '.join(audit.asks)}"
        meaning = " An answer is right if all its labels are, to every one of these questions; a question that people "
        meaning += "with these answers are not shown has none."
    return (
        f"Of the {given} that {audit.version} gives to {which} that had none when the audit began, at least "
        f"{100 * (1 - audit.risk):g} % are right: at most {allowed(size, audit.risk)} are others than this project's "
        f"people would give{_untouched(result)}.{meaning}{skipped} Copies of a text are one task. With a probability "
        f"of at least {100 * (1 - audit.delta):g} % no certificate of the project is ever wrong. Nothing is said of "
        "other tasks, of any one class, or of another version."
    )


def _untouched(result: Mapping[str, Any]) -> str:
    """How many of the tasks without an answer may be wrong, which is a larger share than of all."""
    left = result["size"] - result["labels"] - result["skipped"]
    most = round(result["untouched_wrong_at_most"] * left)
    share = f"{100 * result['untouched_wrong_at_most']:.1f} %"
    return f", and of the {left} that the audit did not reach at most {most} ({share})" if left else ""


def _part(part: Part) -> dict[str, Any]:
    return {"threshold": _number(part.threshold), "size": part.size}


def _evidence(audit: Audit, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Of each part ln E after each label, with skipped tasks left out and, if there are any, counted as wrong."""
    confidences_n = audit.confidences_N[: len(answers)]
    skipped_n = np.array([answer.label is None for answer in answers], dtype=bool)
    other_n = [answer.label != said for answer, said in zip(answers, audit.said, strict=False)]
    wrong_n = np.array(other_n, dtype=bool) & ~skipped_n

    def series(size: int, wrong_n: Bools, inside_n: Bools) -> list[float | str]:
        return [_number(x) for x in log_e(wrong_n[None], size, audit.risk, inside_n[None])[0].tolist()]

    found = []
    for part in audit.plan.parts:
        inside_n = confidences_n >= part.threshold
        told = {"left_out": series(part.size, wrong_n, inside_n & ~skipped_n)}
        if skipped_n.any():
            told["counted_as_wrong"] = series(part.size, wrong_n | skipped_n, inside_n)
        found.append(told)
    return found


def _result(audit: Audit, part: Part, answers: Sequence[Answer]) -> dict[str, Any]:
    """What is certified, and what its labels say of each class."""
    inside = [
        (answer.label, said)
        for answer, said, confidence in zip(answers, audit.said, audit.confidences_N.tolist(), strict=False)
        if confidence >= part.threshold
    ]
    skipped = sum(label is None for label, _ in inside)
    counts = Counter(name for label, _ in inside for name in _named(audit, label))
    errors = Counter(name for label, said in inside for name in _named(audit, label) if name not in _named(audit, said))
    unseen = [label for label in audit.labels if not counts[label]]
    left = part.size - len(inside)
    wrong = sum(label not in (None, said) for label, said in inside)
    return {
        **_part(part),
        "share": part.size / len(audit.ids_N),
        "labels": len(inside) - skipped,
        "errors": wrong,
        "untouched_wrong_at_most": (allowed(part.size, audit.risk) - wrong) / left if left else 0.0,
        "skipped": skipped,
        "skipped_count_as_wrong": bool(many_skipped(audit.risk, np.array(skipped), np.array(len(inside)))),
        "classes": [
            {"label": label, "labels": counts[label], "errors": errors[label]}
            for label in dict.fromkeys((*audit.labels, *counts))
        ],
        "unknown": f"nothing is known about: {', '.join(unseen)}" if unseen else "",
    }


def _named(audit: Audit, answer: str | None) -> tuple[str, ...]:
    """The labels in what people or the machine say, as the audit names them."""
    if answer is None or not audit.asks:
        return () if answer is None else (answer,)
    several = len(audit.asks) > 1
    return tuple(f"{name}: {one}" if several else one for name, labels in decoded(answer).items() for one in labels)


def _number(value: float) -> float | str:
    """As JSON may hold it: it knows no infinite numbers."""
    return value if math.isfinite(value) else str(value)


# Verifying


class Verdict(NamedTuple):
    """Sentences: what of a certificate is `wrong` by the records, each with the field, and what else is `to_know`."""

    wrong: list[str]
    to_know: list[str]


def verdict(found: object, records: Records) -> Verdict:
    """Whether the records say what a certificate says, field by field. One that was not issued is forged, even if they
    have nothing else against it; in one that was, an answer that is another by now was taken back since."""
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return Verdict([f"The file is no certificate of format {FORMAT}: field format is missing or another."], [])
    audit = records.audit
    made = _document(audit, [], "")
    other = [
        f"Of another project or audit: {field} is {_short(found.get(field))}, and the records have {made[field]}."
        for field in WHOSE
        if found.get(field) != made[field]
    ]
    answers = _answers(found.get("labels"))
    if other or answers is None:
        return Verdict(other or ["Forged: labels is no list of entries with task, label, annotators and given."], [])
    is_issued = digest(found) in records.issued
    since, still = _since(audit, answers[: audit.asked_for], records.answers)
    wrong = [
        *(_not_issued(records) if records.recorded and not is_issued else ()),
        *_forged(found, audit, answers),
        *([] if is_issued else _issued_when(found, answers, records)),
        *_relabelled(found["labels"], answers, records, is_issued),
        *([f"Outdated: {since}."] if since and not still else ()),
        *_outdated(records),
    ]
    to_know = [
        *([f"It stays so with {since}."] if since and still else ()),
        *([] if is_issued or records.recorded else [NOT_NOTED]),
    ]
    return Verdict(wrong, to_know)


def _not_issued(records: Records) -> Iterator[str]:
    audit = records.audit
    yield (
        f"Forged: the file is none of the {len(records.issued)} that were issued of audit {audit.number} of project "
        f"{audit.project}; or the records were restored from a backup that was made before it was issued."
    )


def _since(audit: Audit, answers: Sequence[Answer], now: Mapping[int, Answer]) -> tuple[str, bool]:
    """What has been answered since, in words, and whether all answers certify as much; empty if nothing has."""
    known = answered(audit, now)
    added = list(zip(known, audit.said, strict=False))[len(answers) :]
    if not added:
        return "", True
    before, part = passed(audit, answers), passed(audit, known)
    wrong = sum(answer.label not in (None, said) for answer, said in added)
    certified = f"{part.size} tasks are certified" if part else "nothing is certified"
    words = f"{len(added)} more labels since, of which {wrong} are wrong: by all of them {certified}"
    return words, part is not None and (before is None or part.size >= before.size)


def _answers(rows: object) -> list[Answer] | None:
    """The answers in a certificate; None when they are not of the form."""
    found = [_answer(row) for row in rows] if isinstance(rows, list) else [None]
    return None if None in found else [answer for answer in found if answer]


def _answer(row: object) -> Answer | None:
    match row:
        case {"task": int(), "label": str() | None as label, "annotators": int() as people, "given": str() as given}:
            return None if isinstance(people, bool) else Answer(label, people, given)
    return None


def _forged(found: Mapping[str, Any], audit: Audit, answers: Sequence[Answer]) -> Iterator[str]:
    """What does not follow from the audit and the certificate's own labels."""
    made = _document(audit, answers[: audit.asked_for], str(found.get("issued_at")))
    for field in {**made, **found}:
        if field not in made:
            yield f"Forged: {field} is no field of a certificate."
        elif difference := _difference(field, made[field], found.get(field), CLOSE if field == "log_e" else 0.0):
            where, is_so, is_said = difference
            yield f"Forged: {where} is {_short(is_said)}, and the records give {_short(is_so)}."


def _difference(where: str, made: Any, found: Any, close: float) -> tuple[str, Any, Any] | None:
    """The first place at which the two differ, and what they have there."""
    if isinstance(made, dict) and isinstance(found, dict) and made.keys() == found.keys():
        steps = ((f"{where}.{name}", made[name], found[name]) for name in made)
    elif isinstance(made, list) and isinstance(found, list) and len(made) == len(found):
        steps = ((f"{where}[{i}]", *both) for i, both in enumerate(zip(made, found, strict=True)))
    elif (
        isinstance(made, float) and isinstance(found, float) and math.isclose(made, found, rel_tol=close, abs_tol=close)
    ):
        return None
    else:
        return None if type(made) is type(found) and made == found else (where, made, found)
    return next((told for step in steps if (told := _difference(*step, close))), None)


def _short(value: object) -> str:
    """A list by its length, and the beginning of what else may be long."""
    return f"a list of {len(value)}" if isinstance(value, list) else f"{value!r:.120}"


def _issued_when(found: Mapping[str, Any], answers: Sequence[Answer], records: Records) -> Iterator[str]:
    """Times at which nothing can have been issued. Clocks may differ, so this is left to the digest where there is
    one."""
    issued_at = _time(found.get("issued_at"))
    given = [at for answer in answers if (at := _time(answer.given))]
    last = max([datetime.fromisoformat(records.audit.begun_at), *given])
    if issued_at is None or not last - CLOCKS <= issued_at <= records.now + CLOCKS:
        told = f"issued_at is {found.get('issued_at')!r}, and the last label is of {last.isoformat()}"
        yield f"Forged: {told}: it is no time from then to now."


def _time(text: object) -> datetime | None:
    """None for what is no ISO time."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _relabelled(
    rows: Sequence[Mapping[str, Any]], answers: Sequence[Answer], records: Records, is_issued: bool
) -> Iterator[str]:
    """Answers that are others by now or, of a file that was not issued, cannot have been the task's."""
    for place, (row, then) in enumerate(zip(rows, answers, strict=True)):
        task, now = row["task"], records.answers.get(row["task"])
        label = f"labels[{place}].label"
        if now is None:
            yield f"Outdated: {label} is {then.label!r}, and task {task} has no final answer any more."
        elif now != then and not is_issued and (why := _impossible(then, now, records.audit)):
            yield f"Forged: labels[{place}].{why} of task {task}."
        elif now.label != then.label:
            yield f"Outdated: {label} is {then.label!r}, and task {task} was answered {now.label!r} since."


def _impossible(then: Answer, now: Answer, audit: Audit) -> str:
    """The field of an answer, and why it cannot have been the one to a task that is answered otherwise `now`; empty if
    it can."""
    if then.given == now.given:
        return f"label is {then.label!r} of {then.annotators}, and {now.label!r} of {now.annotators} is the answer"
    if not then.given:
        return "" if then == Answer(None, 0, "") else "given is empty, and there is an answer"
    given, last = _time(then.given), _time(now.given)
    if given is None or given < datetime.fromisoformat(audit.begun_at) - CLOCKS:
        return f"given is {then.given!r}, which is no time after {audit.begun_at}, when the audit began, for an answer"
    if last and given > last:
        return f"given is {then.given!r}, and {now.given!r} is the time of the last answer"
    return f"annotators is {then.annotators}, which is none for an answer" if then.annotators < 1 else ""


def _outdated(records: Records) -> Iterator[str]:
    """What is another by now."""
    audit = records.audit
    if records.in_force != audit.version:
        yield f"Outdated: version is {audit.version}, and {records.in_force or 'none'} is in force."
    if records.labels != audit.labels:
        yield f"Outdated: result.classes are of {list(audit.labels)}, and the labels are {list(records.labels)} now."
    if key_hash(records.key) != audit.key_hash:
        yield "Outdated: key_hash is that of another control key than the project has now."
    if changed := [task for task in audit.ids_N.tolist() if task not in records.kept]:
        tasks = "1 task that was" if len(changed) == 1 else f"{len(changed)} tasks that were"
        yield f"Outdated: pool has {tasks} edited or deleted since, task {changed[0]} first."
    seed = seed_of(records.key, audit.number)
    draws = [draw(seed, key) for key in records.kept.values()]
    if key_hash(records.key) == audit.key_hash and draws != sorted(draws):
        yield "Forged: pool is not in the order of the draw."
