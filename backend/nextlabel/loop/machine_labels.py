"""The label of every task of a project, people's or the machine's, with probabilities, read from the local copy.

In slices, so that memory does not grow with the project. What the version has said of a text is taken from the copy;
what it has not is asked of the weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from nextlabel.errors import BadAuditError
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.certificate import Audit, certified_labels, text_hash
from nextlabel.loop.auditing import is_of_all, progress
from nextlabel.loop.said import scores_of
from nextlabel.problems.form import Form
from nextlabel.settings import Settings
from nextlabel.store.pool import Asked, Pool
from nextlabel.values.arrays import Array
from nextlabel.values.examples import key_of
from nextlabel.values.layout import ANY_OF, ONE_OF, Answers, Cut, decoded, encoded, unasked
from nextlabel.versions.audits import Audits
from nextlabel.versions.exporting import Source, classifier_of
from nextlabel.versions.label_files import INTEGER, NUMBER, TEXT, YES_NO, Column, Slice
from nextlabel.versions.registry import Registry

if TYPE_CHECKING:
    from nextlabel.model.classifier import Classifier

SLICE = 4096  # tasks at a time
PERSON, MACHINE, NOT_ASKED = "person", "machine", "not asked"  # whose an answer is
BOTH = "person, machine"  # of labels that the person was not asked about the machine's, else the person's


@dataclass(frozen=True)
class Label:
    """What a task is labelled with: the labels by question, whose each is, the likeliest other reading left out.

    `answers` are the machine's where no person gave one; `sure` is the lowest probability of what the machine says,
    `probs_C` all in the order of the version. So many `votes` of people count; `certified`: a certificate of this
    version is about this label.
    """

    task: int
    answers: Answers
    by: Mapping[str, str]
    sure: float
    probs_C: Array
    votes: int
    certified: bool

    @property
    def machines(self) -> bool:
        """Whether no person has answered any of it."""
        return {PERSON, BOTH}.isdisjoint(self.by.values())

    @property
    def answer(self) -> str:
        """As an answer to a form is written down."""
        return encoded({name: labels for name, labels in self.answers.items() if self.by[name] != NOT_ASKED})


@dataclass
class MachineLabels:
    """Those of one project by one version or head. Raises `NoModelError` when texts are to be scored and it cannot be
    loaded."""

    settings: Settings
    registry: Registry
    pool: Pool
    config: LabelConfig
    source: Source
    _classifier: "list[Classifier]" = field(default_factory=list)

    @cached_property
    def questions(self) -> tuple[Cut, ...]:
        """What the version was fitted to answer, with as many labels as the form takes now."""
        if self.source.layout is not None:
            return self.config.limited(self.source.layout).cuts
        labels, asked = self.source.card.labels, self.config.asked
        control = next((one for one in asked if set(labels) <= set(one.labels)), asked[0])
        return (Cut(control.name, ONE_OF, labels),)

    @cached_property
    def certified(self) -> Mapping[int, tuple[str, str]]:
        """By task the label or the answers that a certificate in force is about, and the hash of the text; none unless
        it is of this very version or head, and of all that is asked."""
        audit = self._audit()
        if audit is None or not is_of_all(audit, self.config):
            return {}
        counted = progress(self.pool, self.config, audit).counted
        texts = dict(zip(audit.ids_N.tolist(), audit.texts, strict=True))
        return {one.task: (one.label, texts[one.task]) for one in certified_labels(audit, counted)}

    def _audit(self) -> Audit | None:
        try:
            audit = Audits(self.settings.model_dir).last(self.source.card.project)
        except BadAuditError:  # damaged: nothing can be said to be certified
            return None
        return audit if audit is not None and audit.version == self.source.name else None

    def all(self) -> Iterator[Label]:
        """Every task that can be read, by id."""
        ids = sorted(self.pool.task_ids())
        for at in range(0, len(ids), SLICE):
            yield from self.of(ids[at : at + SLICE])

    def of(self, task_ids: Sequence[int]) -> Iterator[Label]:
        """Those of the tasks that can be read, by id."""
        asked = self.pool.asked(task_ids)
        probs_of = self._probabilities([one.example.id for one in asked])
        for one in asked:
            if one.example.id in probs_of:  # else it was deleted meanwhile
                yield self._label(one, probs_of[one.example.id])

    def _probabilities(self, task_ids: Sequence[int]) -> Mapping[int, Array]:
        known = scores_of(self.pool, self.registry, self.source.card, self.source.name, task_ids)
        found = dict(zip(known.ids_N.tolist(), known.probs_NC, strict=True))
        missing = self.pool.examples([task for task in task_ids if task not in found])
        if missing:
            if not self._classifier:
                self._classifier.append(classifier_of(self.settings, self.registry, self.source))
            probs_NC = self._classifier[0].predict_proba(missing, exact=False)
            found |= {example.id: probs_C for example, probs_C in zip(missing, probs_NC, strict=True)}
        return found

    def _label(self, one: Asked, probs_C: Array) -> Label:
        said, sure = self._said(probs_C)
        votes = [vote for vote in one.votes if vote.weight]
        answer = (self.config.question.consensus(votes) if votes else None) or ""
        given, left = self._given(answer), unasked(answer)
        added = {name: tuple(one for one in said.get(name, ()) if one in left.get(name, ())) for name in given}
        answers = {**said, **{name: (*labels, *added[name]) for name, labels in given.items()}}
        by = {cut.name: PERSON if cut.name in given else MACHINE for cut in self.questions}
        by |= {name: BOTH for name in given if left.get(name)}
        for name in self.config.hidden(answers):
            answers[name], by[name] = (), NOT_ASKED
        label = Label(one.example.id, answers, by, sure, probs_C, len(votes), False)
        whole = self.single(label) if self.source.layout is None else label.answer
        certified = self.certified.get(label.task)
        is_so = certified == (whole, text_hash(key_of(one.example))) if certified else False
        return Label(label.task, answers, by, sure, probs_C, len(votes), is_so)

    def single(self, label: Label) -> str:
        """The label of the first question; of a single choice the only one."""
        return next(iter(label.answers[self.questions[0].name]), "")

    def named(self, label: Label) -> list[str]:
        """Its labels, after their questions where there are several."""
        if len(self.questions) == 1:
            return list(label.answers[self.questions[0].name])
        return [f"{name}: {one}" for name, labels in label.answers.items() for one in labels]

    def _said(self, probs_C: Array) -> tuple[dict[str, tuple[str, ...]], float]:
        """What the probabilities come to, in the labels that the config has now, and the lowest of those of it."""
        said, sure, at = {}, 1.0, 0
        for cut in self.questions:
            of_cut_C = probs_C[at : at + len(cut.labels)]
            at += len(cut.labels)
            chosen_C = cut.guessed(of_cut_C[None])[0]
            said[cut.name] = tuple(
                self._now(label, cut.name) for label, is_so in zip(cut.labels, chosen_C, strict=True) if is_so
            )
            right_C = np.where(chosen_C, of_cut_C, 1 - of_cut_C) if cut.kind == ANY_OF else of_cut_C[chosen_C]
            sure = min(sure, float(right_C.min(initial=1.0)))
        return said, sure

    def _now(self, label: str, question: str) -> str:
        return (self.config.label_of(label, question) if question in self.config.spellings else None) or label

    def _given(self, answer: str) -> dict[str, tuple[str, ...]]:
        if not answer:
            return {}
        names = {cut.name for cut in self.questions}
        form = isinstance(self.config.question, Form)
        answers = decoded(answer) if form else {self.config.asked[0].name: (answer,)}
        return {name: labels for name, labels in answers.items() if name in names}

    # As a table

    def _column(self, what: str, cut: Cut) -> str:
        """Where several questions may be asked, its name says of which one it is."""
        return what if self.source.layout is None else f"{what}: {cut.name}"

    def columns(self, id_fields: Sequence[str] = ()) -> list[Column]:
        """Of a table of them, with fields of the tasks by which others know them."""
        found = [Column("task", INTEGER), *(Column(f"task.{name}", TEXT) for name in id_fields)]
        for cut in self.questions:
            if cut.kind == ANY_OF:
                found += [Column(f"label: {cut.name}: {label}", YES_NO) for label in self._labels(cut)]
            else:
                found.append(Column(self._column("label", cut), TEXT))
            found.append(Column(self._column("by", cut), TEXT))
        found += [Column("certified", YES_NO), Column("votes", INTEGER), Column("version", TEXT)]
        return [*found, Column("probability", NUMBER), *(Column(name, NUMBER) for name in self._chances)]

    def _labels(self, cut: Cut) -> list[str]:
        """Of a question with any number of labels: the version's and those that the form has had since."""
        asked = [control.labels for control in self.config.asked if control.name == cut.name]
        ours = [self._now(label, cut.name) for label in cut.labels]
        return list(dict.fromkeys([*ours, *chain.from_iterable(asked)]))

    @cached_property
    def _chances(self) -> list[str]:
        layout = self.source.layout
        return [f"probability: {name}" for name in (layout.labels if layout else self.source.card.labels)]

    def slices(
        self,
        ids_of: Callable[[Sequence[int]], Mapping[int, Sequence[str]]] | None = None,
        id_fields: Sequence[str] = (),
    ) -> Iterator[Slice]:
        """The table of all. `ids_of` gives the `id_fields` of tasks, as texts."""
        ids = sorted(self.pool.task_ids())
        for at in range(0, len(ids), SLICE):
            labels = list(self.of(ids[at : at + SLICE]))
            names = ids_of([label.task for label in labels]) if ids_of else {}
            yield self._slice(labels, [names.get(label.task, [""] * len(id_fields)) for label in labels], id_fields)

    def _slice(self, labels: Sequence[Label], ids: Sequence[Sequence[str]], id_fields: Sequence[str]) -> Slice:
        found: dict[str, list[Any]] = {"task": [label.task for label in labels]}
        for place, name in enumerate(id_fields):
            found[f"task.{name}"] = [of_task[place] for of_task in ids]
        for cut in self.questions:
            if cut.kind == ANY_OF:
                for one in self._labels(cut):
                    found[f"label: {cut.name}: {one}"] = [one in label.answers[cut.name] for label in labels]
            else:
                found[self._column("label", cut)] = [next(iter(label.answers[cut.name]), "") for label in labels]
            found[self._column("by", cut)] = [label.by[cut.name] for label in labels]
        found["certified"] = [label.certified for label in labels]
        found["votes"] = [label.votes for label in labels]
        found["version"] = [self.source.name] * len(labels)
        found["probability"] = [label.sure for label in labels]
        probs_NC = np.stack([label.probs_C for label in labels]) if labels else np.empty((0, len(self._chances)))
        return found | {name: probs_NC[:, at].tolist() for at, name in enumerate(self._chances)}
