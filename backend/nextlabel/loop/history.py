"""Keeps what was fitted and what it says of the control set, and judges all of it by the labels of today.

A version says something of every text of the set, labelled or not, when it has scored the pool. That is kept, so that
a version which has long been deleted is judged by the same labels as the newest one. Asks nobody anything.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.judging import ANSWERED, ControlText, counting, until
from nextlabel.loop.controlling import control_texts
from nextlabel.loop.judging import judged_to
from nextlabel.loop.said import NONE, Scores, scores_of
from nextlabel.problems import quality
from nextlabel.problems.form import OneQuestion, measured
from nextlabel.problems.history import CONTROL_SET, HOLDOUT, History, Point
from nextlabel.problems.intervals import NOTHING_KNOWN
from nextlabel.problems.judgement import WIDE
from nextlabel.problems.quality import Estimate
from nextlabel.store.pool import Pool
from nextlabel.store.status import StatusBoard
from nextlabel.values.arrays import Ints
from nextlabel.values.versions import Card, short_name, version_of
from nextlabel.versions import history
from nextlabel.versions.history import DRAW, Fit, Lines, Said
from nextlabel.versions.judging import card_of, known_to
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

KEPT_OF = 1_000  # texts of the control set, the first by draw: they come first, and more hardly narrow an interval
STEP, GROWTH = 8, 1.1  # labels more, and times as many, after which what a head says is worth keeping


@dataclass(frozen=True)
class InForce:
    """The order of that name, of the version of the `card`, and how many labels are `known` to it."""

    order: str
    card: Card
    known: int


@dataclass(frozen=True)
class _Kept:
    """Of which state of the file; versions whose fits are kept, and orders of which it is kept what they say, with the
    labels that they know. A file may hold some megabytes."""

    file: tuple[int, int]
    fits: frozenset[str]
    said: Mapping[str, int]


class Historian:
    """Keeps and judges; judges anew whenever there is more, or labels of the control set are others."""

    def __init__(self, registry: Registry, board: StatusBoard, now: Callable[[], float] = time.time):
        self._registry, self._board, self._now = registry, board, now
        self._kept: dict[int, _Kept] = {}
        self._judged: dict[int, tuple[object, ...]] = {}  # what the last history of a project was made of

    def look(self, pool: Pool, project: int, config: LabelConfig, in_force: InForce | None, anew: bool) -> None:
        """Keep what the order in force says, if it is worth it, and judge. `anew`: control labels may be others."""
        unfinished, known = self._registry.unfinished(project), self._kept_of(project).fits
        if not known >= {*self._registry.versions(project)} - {unfinished}:
            history.note_fits(self._registry, project)
        if in_force and config.control.share:
            self._note_said(pool, config, in_force, self._kept_of(project).said)
        made_of = (history.changed(self._registry, project), config.labels, config.control)
        if anew or self._judged.get(project) != made_of:
            self._judge(pool, project, config)
            self._judged[project] = made_of

    def _kept_of(self, project: int) -> "_Kept":
        """What is kept, read again when there is more."""
        changed = history.changed(self._registry, project)
        if project not in self._kept or self._kept[project].file != changed:
            lines = history.read(self._registry, project)
            labels = {said.order: said.labels for said in lines.said.values()}
            self._kept[project] = _Kept(changed, frozenset(lines.fits), labels)
        return self._kept[project]

    def _note_said(self, pool: Pool, config: LabelConfig, in_force: InForce, kept: Mapping[str, int]) -> None:
        """The version's own before its heads'."""
        card = in_force.card
        if card.version not in kept:
            self._note(pool, config, InForce(card.version, card, card.examples))
        elif in_force.order not in kept:
            last = max(labels for order, labels in kept.items() if version_of(order) == card.version)
            if in_force.known >= max(last + STEP, GROWTH * last):
                self._note(pool, config, in_force)

    def _note(self, pool: Pool, config: LabelConfig, in_force: InForce) -> None:
        """Unless it has still to score some of the texts, or was fitted on one, before it was drawn."""
        card, draws = in_force.card, pool.control_draws(KEPT_OF)
        known = known_to(self._registry, card.project, card.version, in_force.order)
        if not draws or known is None or not known.isdisjoint(draws):
            return
        scores = scores_of(pool, self._registry, card, in_force.order, list(draws))
        in_force = replace(in_force, card=card_of(self._registry, card, in_force.order))
        if len(scores.ids_N) == len(draws):
            history.note_said(self._registry, card.project, said_of(config, in_force, self._now(), draws, scores))

    def unsaid(self, pool: Pool, project: int, config: LabelConfig) -> list[Card]:
        """Versions that can be asked and of which nothing is kept, beside the active one: refused ones, those of an
        earlier release, and those that gave way before they had scored the set."""
        if not pool.control_draws(1):
            return []
        known = {self._registry.current(project), self._registry.unfinished(project), *self._kept_of(project).said}
        others = [card for card in self._registry.cards(project) if card.version not in known]
        return [
            card for card in others if card.labels == config.labels and not self._registry.damage(project, card.version)
        ]

    def ask(self, pool: Pool, config: LabelConfig, card: Card, resident: LoadedVersions) -> None:
        """Ask such a version, of which it takes seconds. One that was fitted on a text of the set has said nothing, for
        good. Raises `NoModelError` when it cannot be loaded."""
        draws = pool.control_draws(KEPT_OF)
        known = known_to(self._registry, card.project, card.version, card.version)
        if known is None or not known.isdisjoint(draws):
            draws = {}
        examples = pool.examples(list(draws))
        scored = resident.score(card, examples, exact=False) if examples else None
        ids_N = np.array([example.id for example in examples], dtype=np.int64)
        scores = Scores(ids_N, scored.values_N, scored.probs_NC) if scored else NONE
        in_force = InForce(card.version, card, card.examples)
        history.note_said(self._registry, card.project, said_of(config, in_force, self._now(), draws, scores))

    def _judge(self, pool: Pool, project: int, config: LabelConfig) -> None:
        question = measured(config.question)
        texts = control_texts(pool, question) if config.control.share else []
        answers = _answers(texts, judged_to(pool, texts), pool.control_draws(len(texts)))
        name = question.name if isinstance(question, OneQuestion) else ""
        points = points_of(history.read(self._registry, project), answers, question.labels, name)
        if points != self._board.history(project).points:
            self._board.put_history(project, History(self._now(), points))


def said_of(config: LabelConfig, in_force: InForce, at: float, draws: Mapping[int, str], scores: Scores) -> Said:
    """What is kept of the scores of such texts, by draw; of a form's version it is about one question."""
    about, classes, probs_NC = measured(config.question), in_force.card.labels, scores.probs_NC
    if isinstance(about, OneQuestion):
        layout = in_force.card.layout
        classes, probs_NC = about.labels_of(layout), about.narrowed(layout, probs_NC)
    places_N = probs_NC.argmax(axis=1) if len(probs_NC) and len(classes) else np.empty(0, dtype=np.int64)
    of = {draws[task][-DRAW:]: place for task, place in zip(scores.ids_N.tolist(), places_N.tolist(), strict=False)}
    return Said(in_force.order, in_force.known, at, classes, of)


def _answers(texts: Sequence[ControlText], last_task: int, draws: Mapping[int, str]) -> dict[str, str]:
    """The labels that count, by the last digits of the draws."""
    counted = counting(until(texts, last_task))
    return {draws[text.task_ids[0]][-DRAW:]: text.answer for text in counted if text.state == ANSWERED}


def points_of(
    lines: Lines, answers: Mapping[str, str], labels: tuple[str, ...], question: str = ""
) -> tuple[Point, ...]:
    """A point for each fit and each head that is kept, judged by the `answers` to texts that it has said something of:
    also those who have no answer yet were drawn at random, so that those there were then are a random sample. Of a form
    they answer the `question` of that name."""
    fits = [_of_fit(fit, lines.said.get(fit.version), answers, labels) for fit in lines.fits.values()]
    others = [
        _of_said(_head(said), said, answers, labels) for said in lines.said.values() if said.order not in lines.fits
    ]
    points = (replace(point, question=question if point.judged_by == CONTROL_SET else "") for point in (*fits, *others))
    return tuple(sorted(points, key=lambda point: (point.at, point.labels)))


def _head(said: Said) -> Point:
    return Point(version_of(said.order), short_name(said.order), said.labels, said.at)


def _of_fit(fit: Fit, said: Said | None, answers: Mapping[str, str], labels: tuple[str, ...]) -> Point:
    bare = Point(fit.version, short_name(fit.version), fit.labels, fit.at, not fit.refused, fit.refused)
    judged = _of_said(bare, said, answers, labels) if said else bare
    return judged if judged.judged_by else _by_holdout(bare, fit)


def _of_said(point: Point, said: Said, answers: Mapping[str, str], labels: tuple[str, ...]) -> Point:
    known = [draw for draw in answers if draw in said.of]
    if not known or set(said.classes) != set(labels):
        return point
    right_N = np.array([labels.index(answers[draw]) for draw in known], dtype=np.int64)
    said_N = np.array([labels.index(said.classes[said.of[draw]]) for draw in known], dtype=np.int64)
    return replace(point, judged_by=CONTROL_SET, **_figures(quality.confusion(right_N, said_N, len(labels))))


def _figures(table_KK: Ints) -> dict[str, Any]:
    accuracy, macro_f1 = quality.accuracy(table_KK), quality.macro_f1(table_KK)
    return {
        "accuracy": accuracy if accuracy.interval.width < WIDE else None,
        "macro_f1": macro_f1 if macro_f1.interval.width < WIDE else None,
        "majority": float(table_KK.sum(axis=1).max() / table_KK.sum()),
    }


def _by_holdout(point: Point, fit: Fit) -> Point:
    """By its confusion table, or the bare score of an earlier release."""
    if fit.held_out:
        return replace(point, judged_by=HOLDOUT, **_figures(np.array(fit.held_out, dtype=np.int64)))
    if not fit.scores:
        return point
    accuracy = Estimate(fit.scores["accuracy"], NOTHING_KNOWN, 0)
    return replace(point, judged_by=HOLDOUT, accuracy=accuracy)
