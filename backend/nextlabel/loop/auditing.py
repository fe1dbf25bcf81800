"""An audit in the loop: what is frozen, which of its tasks come next, and when it ends.

Nothing is fitted meanwhile, neither a version nor a head, so that the audited one stays in force.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from nextlabel.errors import BadAuditError
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.predictions import no_prediction
from nextlabel.learning.audit import DELTA, Part, allowed, joint_log_odds, log_odds
from nextlabel.learning.certificate import Answer, Audit, Records, answered, claim, key_hash, passed, seed_of, text_hash
from nextlabel.learning.control import draw
from nextlabel.learning.heads import Head
from nextlabel.loop.orders import Chances
from nextlabel.loop.said import scores_of
from nextlabel.problems.form import Form, with_labels
from nextlabel.store.pool import Asked, Pool
from nextlabel.values.arrays import Array, Bools
from nextlabel.values.examples import key_of
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ANY_OF, Cut, Layout, decoded, encoded, unasked
from nextlabel.values.queue import Ranked, to_score
from nextlabel.values.versions import Card, audit_name, version_of
from nextlabel.versions import heads
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

AHEAD = 64  # tasks beyond the last that counts: nobody is told that there are none while the last answers come
SLICE = 8192  # texts at a time
Consensus = Callable[[Sequence[Vote]], str | None]
NO_ANSWER = Answer(None, 0, "")  # of a task that was skipped, edited or deleted


@dataclass(frozen=True)
class InForce:
    """What the queue follows: a version or, if there is one, its `head`, under a `name`."""

    card: Card
    name: str
    head: Head | None

    @property
    def fitted_on(self) -> int:
        """How many labels it knows."""
        return len(self.head.known) if self.head else self.card.examples


def in_force(registry: Registry, project: int, followed: str) -> InForce:
    """Of what Label Studio's queue follows. Raises `BadAuditError` when that is no active version or head of it."""
    version = registry.current(project)
    if version is None or version_of(followed) != version:
        raise BadAuditError(
            f"The queue of project {project} follows {followed or 'nothing'}, and {version or 'no version'} is active. "
            "An audit is of what the queue follows: wait until both are the same."
        )
    head = heads.named(registry.path(project, version), followed) if followed != version else None
    return InForce(heads.as_of(registry.card(project, version), head), followed, head)


def freeze_pool(
    pool: Pool,
    registry: Registry,
    config: LabelConfig,
    key: str,
    version: InForce,
    number: int,
    begun_at: str,
    most_labels: int,
    risk: float,
    asks: tuple[str, ...] = (),
) -> Audit:
    """The audit of this number: the tasks that nobody has labelled or skipped, in the order of the draw, and what the
    version says of each; of a form, to the questions that it `asks`. Raises `BadAuditError` when there is none, not all
    are scored, or the version answers other questions."""
    keys = {example.id: key_of(example) for example in pool.unanswered()}
    most_labels = min(most_labels, len(keys))  # more cannot be given, and what can be tested first depends on it
    seed = seed_of(key, number)
    order = sorted(keys, key=lambda task: draw(seed, keys[task]))
    known = _probabilities(pool, registry, version, order)
    if not order or len(known) < len(order):
        raise BadAuditError(
            f"{version.name} has scored {len(known)} of the {len(order)} tasks that nobody has labelled or skipped. "
            "Audit while tasks are left, and once all are scored."
        )
    probs_NC = np.stack([known[task] for task in order])
    said, confidences_N = _said_to_form(config, version, probs_NC, asks) if asks else _said(config, version, probs_NC)
    return Audit(
        project=version.card.project,
        number=number,
        version=version.name,
        fitted_on=version.fitted_on,
        begun_at=begun_at,
        key_hash=key_hash(key),
        labels=_labels_of(config, asks),
        risk=risk,
        delta=DELTA,
        most_labels=most_labels,
        ids_N=np.array(order, dtype=np.int64),
        texts=tuple(text_hash(keys[task]) for task in order),
        said=tuple(said),
        confidences_N=confidences_N,
        asks=asks,
    )


def _said(config: LabelConfig, version: InForce, probs_NC: Array) -> tuple[list[str], Array]:
    """The label of each task, and how sure the version is of it. Logarithms are as good as logits: what is far from 1
    is exact."""
    with np.errstate(divide="ignore"):  # ln 0 is -inf, as it should be
        logs_NC = np.log(probs_NC)
    said = [version.card.labels[best] for best in logs_NC.argmax(axis=1)]
    return [config.label_of(label) or label for label in said], log_odds(logs_NC)


def _said_to_form(
    config: LabelConfig, version: InForce, probs_NC: Array, asks: tuple[str, ...]
) -> tuple[list[str], Array]:
    """The same of the questions asked, as a person with these answers is shown them."""
    layout = _layout_of(config, version, asks)
    guessed_NC = layout.guesses(probs_NC) == 1
    doubts = {cut.name: _doubts(cut, probs_NC[:, at], guessed_NC[:, at]) for cut, at in layout.parts}
    said = []
    for row, guessed_C in enumerate(guessed_NC):
        answers = {cut.name: _guesses(config, cut, guessed_C[at]) for cut, at in layout.parts}
        shown = [name for name in asks if name not in config.hidden(answers)]
        said.append(encoded({name: answers[name] for name in shown}))
        for name in set(asks).difference(shown):
            doubts[name][row] = 0.0
    return said, joint_log_odds(np.concatenate([doubts[name] for name in asks], axis=1))


def _layout_of(config: LabelConfig, version: InForce, asks: tuple[str, ...]) -> Layout:
    layout = version.card.layout
    there = {(cut.name, cut.kind): set(_now(config, cut)) for cut in layout.cuts} if layout else {}
    now = {control.name: (control.kind, set(config.spellings[control.name].labels)) for control in config.asked}
    if layout is None or any(there.get((name, now[name][0])) != now[name][1] for name in asks):
        raise BadAuditError(
            f"{version.name} does not answer {' and '.join(asks)} with the labels that the form has now. Wait for the "
            "next version."
        )
    return config.limited(layout)


def _now(config: LabelConfig, cut: Cut) -> list[str]:
    """A version's labels as the form has them now."""
    of = config.spellings.get(cut.name)
    return [(of and of.label_of(label)) or label for label in cut.labels]


def _guesses(config: LabelConfig, cut: Cut, guessed_C: Bools) -> tuple[str, ...]:
    return tuple(label for label, is_so in zip(_now(config, cut), guessed_C, strict=True) if is_so)


def _doubts(cut: Cut, probs_NC: Array, guessed_NC: Bools) -> Array:
    """How likely each guess to a question is wrong; one of few labels is a single guess."""
    if cut.kind == ANY_OF:
        return np.where(guessed_NC, 1 - probs_NC, probs_NC)
    return np.asarray(np.where(guessed_NC, 0.0, probs_NC).sum(axis=1, keepdims=True))


def _labels_of(config: LabelConfig, asks: tuple[str, ...]) -> tuple[str, ...]:
    """The project's labels, or those of the questions asked."""
    if not isinstance(config.question, Form) or not asks:
        return config.question.labels
    return replace(config.question, parts=tuple(part for part in config.question.parts if part.name in asks)).labels


def _probabilities(pool: Pool, registry: Registry, version: InForce, task_ids: Sequence[int]) -> dict[int, Array]:
    """Of each of the tasks that are scored."""
    found: dict[int, Array] = {}
    for at in range(0, len(task_ids), SLICE):
        scores = scores_of(pool, registry, version.card, version.name, task_ids[at : at + SLICE])
        found |= dict(zip(scores.ids_N.tolist(), scores.probs_NC, strict=True))
    return found


@dataclass(frozen=True)
class Progress:
    """How far an audit is: the answers that count, and the largest part that they certify."""

    audit: Audit
    answers: Mapping[int, Answer]

    @cached_property
    def counted(self) -> list[Answer]:
        """Those of the first tasks, in their order."""
        return answered(self.audit, self.answers)

    @cached_property
    def part(self) -> Part | None:
        """The largest part that passes."""
        return passed(self.audit, self.counted)

    @property
    def skipped(self) -> int:
        """How many of them are of tasks without one."""
        return sum(answer.label is None for answer in self.counted)

    @property
    def wrong(self) -> int:
        """How many of them are others than the machine's."""
        rows = zip(self.counted, self.audit.said, strict=False)
        return sum(answer.label not in (None, said) for answer, said in rows)

    @property
    def wrong_at_most(self) -> int:
        """How many of the certified tasks that the audit did not reach may be wrong."""
        if self.part is None:
            return 0
        rows = zip(self.counted, self.audit.said, self.audit.confidences_N.tolist(), strict=False)
        known = sum(a.label not in (None, said) for a, said, sure in rows if sure >= self.part.threshold)
        return allowed(self.part.size, self.audit.risk) - known

    @property
    def over(self) -> str:
        """Why no more labels are needed; empty while they are."""
        if self.part == self.audit.plan.parts[-1]:
            return "all tasks are certified"
        if len(self.counted) >= self.audit.asked_for:
            return f"{self.audit.asked_for} tasks were asked for"
        return ""

    @property
    def message(self) -> str:
        """In words for a person."""
        sure = f"{self.part.size} of {len(self.audit.ids_N)} tasks" if self.part else "nothing"
        asks = f", {' and '.join(self.audit.asks)}" if self.audit.asks else ""
        how_far = f"{len(self.counted)} of {self.audit.asked_for} labels, certifies {sure}"
        return f"Audit {self.audit.number} of {self.audit.version}{asks}: {how_far}"


def progress(pool: Pool, config: LabelConfig, audit: Audit) -> Progress:
    """From the labels in the local copy, also those that are left out of training: who could choose afterwards which
    ones count could choose the result."""
    consensus = _consensus(config, audit)
    first = audit.ids_N[: audit.most_labels + AHEAD].tolist()
    texts = dict(zip(first, audit.texts, strict=False))
    asked = {one.example.id: one for one in pool.asked(first)}
    gone = {task for task in first if task not in asked or text_hash(key_of(asked[task].example)) != texts[task]}
    answers = {
        task: answer for task in first if (answer := NO_ANSWER if task in gone else _answer(consensus, asked[task]))
    }
    return Progress(audit, answers)


def answered_later(pool: Pool, config: LabelConfig, audit: Audit, counted: int) -> dict[int, str | None]:
    """By task what people say of those after so many that count, though others may still be asked; None of what they
    skipped."""
    consensus = _consensus(config, audit)
    asked = pool.asked(audit.ids_N[counted:].tolist())
    return {one.example.id: consensus(one.votes) if one.votes else None for one in asked if one.votes or one.skipped}


def _answer(consensus: Consensus, asked: Asked) -> Answer | None:
    """None while the task is in hand: nobody has answered or skipped it, or others are still asked."""
    if not asked.votes:
        return NO_ANSWER if asked.skipped or asked.closed else None
    if not asked.closed:
        return None
    return Answer(consensus(asked.votes), len(asked.votes), max(vote.when for vote in asked.votes))


def _consensus(config: LabelConfig, audit: Audit) -> Consensus:
    """What answers to the audit's question come to, though the form may ask more by now."""
    if not audit.asks:
        return with_labels(config.question, audit.labels).consensus

    def consensus(votes: Sequence[Vote]) -> str | None:
        answer = config.question.consensus(votes) or ""
        given = decoded(answer)
        hidden = config.hidden({**dict.fromkeys(audit.asks, ()), **given})
        shown = [name for name in audit.asks if name not in hidden]
        whole = all(name in given and not unasked(answer).get(name) for name in shown)
        return encoded({name: given[name] for name in shown}) if answer and whole else None

    return consensus


def hopeless(audit: Audit) -> str:
    """Why it cannot succeed, or leaves nothing to the machine, though no label be wrong; empty where that may be."""
    if audit.needed >= len(audit.ids_N):
        return "So few tasks are certified only by labelling them all: nothing is left to the machine."
    if audit.needed > audit.asked_for:
        return (
            f"Not possible with {audit.asked_for} labels: even if none is wrong, about {audit.needed} are needed. "
            f"Give --labels {audit.needed} or more."
        )
    return ""


def is_of_all(audit: Audit, config: LabelConfig) -> bool:
    """Whether it is about all that is asked of a task now."""
    return not audit.asks or set(audit.asks) == {control.name for control in config.asked}


def name_of(audit: Audit) -> str:
    """Under which the queue holds its tasks; no version has it."""
    return audit_name(audit.number, datetime.fromisoformat(audit.begun_at))


def speaks_for(audit: Audit | None, followed: str) -> str:
    """Whose labels they are while the queue follows that order: the audited version's while it holds an audit's."""
    return audit.version if audit and followed == name_of(audit) else followed


def certified_tasks(pool: Pool, config: LabelConfig, audit: Audit) -> list[int]:
    """Those of which its certificate is about all that is asked, by the labels of now; none without one."""
    part = progress(pool, config, audit).part if is_of_all(audit, config) else None
    rows = zip(audit.ids_N.tolist(), audit.confidences_N.tolist(), strict=True)
    return [task for task, confidence in rows if part and confidence >= part.threshold]


def claim_of(pool: Pool, config: LabelConfig, audit: Audit) -> str:
    """What its certificate says, by the labels of now; empty without one."""
    return claim(audit, progress(pool, config, audit).counted)


def said_since(pool: Pool, config: LabelConfig, audits: Audits, audit: Audit) -> Iterator[str]:
    """What later audits of the same version say, which may be less."""
    for number in range(audit.number + 1, audits.next_number(audit.project)):
        try:
            later = audits.load(audit.project, number)
        except BadAuditError:  # that one's certificates cannot be verified, and this one's can
            continue
        if later.version == audit.version:
            yield f"The same version was audited again since. {progress(pool, config, later).message}."


def certified_questions(pool: Pool, config: LabelConfig, audit: Audit) -> tuple[str, ...]:
    """What its certificate is about, where that is not all that is asked; none without one."""
    return audit.asks if not is_of_all(audit, config) and progress(pool, config, audit).part else ()


class AuditOrder:
    """The order of an audit's tasks: that of the draw. No guess is shown."""

    def __init__(self, found: Progress):
        self._audit = found.audit
        first = found.audit.ids_N[: found.audit.most_labels + AHEAD].tolist()
        self._values = {
            task: 1 - (place + 1) / (len(first) + 1) for place, task in enumerate(first) if task not in found.answers
        }

    @property
    def name(self) -> str:
        """The audit's."""
        return name_of(self._audit)

    @property
    def known(self) -> int:
        """Those that the audited version was fitted on."""
        return self._audit.fitted_on

    def ranked(self, limit: int, skipped: bool) -> list[Ranked]:
        """Of what somebody has skipped none is asked again."""
        return [] if skipped else [Ranked(task, value) for task, value in self._values.items()][:limit]

    def make_exact(self, task_ids: Sequence[int], ahead: Sequence[int] = ()) -> bool:
        """All are."""
        return False

    def values(self, task_ids: Collection[int]) -> dict[int, float]:
        """By their places, of those that are not answered."""
        return {task: self._values[task] for task in task_ids if task in self._values}

    def chances(self, label: str) -> Chances | None:
        """None: nothing stands beside an audit's tasks."""
        return None

    def prediction(self, task_id: int) -> tuple[float, dict[str, Any]] | None:
        """That shows nothing."""
        value = self._values.get(task_id)
        if value is None:
            return None
        return value, no_prediction(to_score(value), self.name, "no guess is shown in an audit")


def records_of(pool: Pool, config: LabelConfig, key: str, audit: Audit, followed: str, now: datetime) -> Records:
    """What the project knows by `now`, of which `followed` is in force; that of the audit is while it runs."""
    keys = {example.id: key_of(example) for example in pool.examples(audit.ids_N.tolist())}
    answers, name = progress(pool, config, audit).answers, speaks_for(audit, followed)
    labels = _labels_of(config, audit.asks) if audit.asks else with_labels(config.question, audit.labels).labels
    return Records(audit, key, answers, keys, labels, name, now)
