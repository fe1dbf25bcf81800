"""What the control set says of heads while people label by their orders, against what is so: replays of whole projects.

In a replay two annotators label a pool that grows, by logistic regressions on frozen embeddings or on the features of
versions that are fitted, with the composer, the draw, the marks and the judgement of the live loop. Knows no Label
Studio.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nextlabel.errors import BadRunError
from nextlabel.model.classifier import Recipe
from nextlabel.problems.quality import Estimate
from nextlabel.simulation import baselines, records
from nextlabel.simulation.cells import setting_of
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.project import (
    EVERY,
    FIT_EVERY,
    IMPORTED,
    SHARE,
    SKIPS,
    FittedVersions,
    Look,
    Project,
    Source,
    Versions,
    source_of,
)
from nextlabel.simulation.renewals import START, START_LABELS
from nextlabel.store.files import replace_file
from nextlabel.values import markdown

KEPT = 10  # replays after which the tallies are written
ENOUGH = 0.93  # a coverage below it is marked, and so is a bias
SURE = 3  # beyond so many standard errors

NEW, LEFT, BY_ALL = "new texts", "what is left", "what is left, by all control labels"
RECALL, MACRO_F1 = "recall of each class", "macro-F1, where shown"
FIGURES = (NEW, LEFT, BY_ALL, RECALL, MACRO_F1)

ABOUT = f"""\
Replays of a project on frozen embeddings. Two thirds of a corpus, drawn anew each time, are the pool, of which a third
is imported when half of the labels are given; the last third tells what is so for new texts. The control set is
{100 * SHARE:.0f} % of the pool by the live loop's draw and turns, with a seed of its own; the queue is composed as
there. Two annotators hold a task each, so that answers come out of order, and one of them skips
{100 * SKIPS:.0f} %: the other one gets such a task of the pool, and one of the control set has no answer, is asked of
nobody any more, and counts as skipped. The first labels come in the order of `{START}`, the others by margin,
from a logistic regression (C = {baselines.C:g}) that is fitted again after every {EVERY} labels, but for those of the
control set. It is judged as the live loop judges. What is left are the pool's tasks without a label that are not of the
control set, without those of the import while the figures are not about them yet.

Truth: the mean of what is so. Bias: the mean of estimate minus truth, with its standard error. Coverage: of nominal
95 % intervals, over replays, and of recalls over classes with control labels, too. Macro-F1 is counted where it is
shown, as its interval is narrow enough. **Bold**: a coverage below {ENOUGH}, or a bias beyond {SURE} standard errors.
*{BY_ALL}* is not shown to anybody: it tells what the marks are for."""


HARD = f"""\
Here skips depend on the text: by the cube of its place, from a text that a head fitted to all others tells best to the
hardest, from none to {400 * SKIPS:.0f} %, so that {100 * SKIPS:.0f} % are skipped on average over all texts. New texts
are all there are, also such as would be skipped: the figures are about texts that people answer, and so rather too
high."""


FITTED_TRAIN, FITTED_TEST = 1_200, 300  # texts of a corpus where versions are fitted
FITTED = f"""\
Here versions are fitted: after every {FIT_EVERY} labels the checkpoint learns all labels so far, by the recipe of new
projects, and heads are fitted on what its last layer reads of a text. So the pool is smaller: the texts are the first
{FITTED_TRAIN:,} of the training part and the first {FITTED_TEST} of test."""


@dataclass(frozen=True)
class JudgingPlan:
    """Rising label counts at which the head or version in force is judged; whether hard texts are skipped rather than
    any; whether versions are fitted."""

    labels: Sequence[int]
    hard_skips: bool = False
    fits: bool = False

    @property
    def about(self) -> str:
        """How it was played, in words."""
        return "\n\n".join([ABOUT, *([HARD] if self.hard_skips else []), *([FITTED] if self.fits else [])])


@dataclass(frozen=True)
class Cell:
    """Of one figure at one label count, sums over those of the `replays` that have it: of the truth, of the error
    (estimate minus truth) and its square, and of the `intervals`, how many cover the truth and how wide they are."""

    labels: int
    figure: str
    replays: int = 0
    truth: float = 0.0
    error: float = 0.0
    square: float = 0.0
    intervals: int = 0
    covered: int = 0
    width: float = 0.0

    def plus(self, pairs: Sequence[tuple[Estimate, float | None]]) -> "Cell":
        """With the estimates of one replay, each with its truth; those without a value are left out."""
        known = [(of, truth, of.value - truth) for of, truth in pairs if of.value is not None and truth is not None]
        if not known:
            return self
        error = sum(error for _, _, error in known) / len(known)
        return Cell(
            self.labels,
            self.figure,
            self.replays + 1,
            self.truth + sum(truth for _, truth, _ in known) / len(known),
            self.error + error,
            self.square + error**2,
            self.intervals + len(known),
            self.covered + sum(of.interval.covers(truth) for of, truth, _ in known),
            self.width + sum(of.interval.width for of, _, _ in known),
        )

    @property
    def bias(self) -> float:
        """The mean error."""
        return self.error / self.replays

    @property
    def standard_error(self) -> float:
        """That of the bias; infinite with fewer than 2 replays."""
        if self.replays < 2:
            return math.inf
        return math.sqrt(max(0.0, self.square / self.replays - self.bias**2) / (self.replays - 1))

    @property
    def coverage(self) -> float:
        """The share of intervals that cover the truth."""
        return self.covered / self.intervals


@dataclass(frozen=True)
class Played:
    """A corpus: how many replays were played, and a cell for each label count and figure."""

    corpus: str
    replays: int
    cells: Sequence[Cell]


def play(directory: Path, plan: JudgingPlan, replays: int, base_model: str, out: Path) -> Played:
    """The cells of a corpus over at least so many replays. OUT/judging-CORPUS.json keeps them, from time to time: what
    is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or more labels are asked for than a pool has.
    """
    data, word_pieces = fetched.read_single(directory)
    path, setting = out / f"judging-{directory.name}.json", setting_of(plan, base_model, data)
    now = _kept(path, directory.name, plan, setting)
    if now.replays >= replays:
        return now
    base = Recipe(base_model, 0, 0.0, 1, word_pieces, 0)
    if plan.fits:
        data = replace(data, train=data.train[:FITTED_TRAIN], test=data.test[:FITTED_TEST])
    source = source_of(directory.name, data, base)
    _check(source, plan)
    versions = FittedVersions(source, base) if plan.fits else None
    kept_each = 1 if plan.fits else KEPT
    while now.replays < replays:
        now = _further(source, plan, versions, now, min(kept_each, replays - now.replays))
        kept = {"setting": setting, "replays": now.replays, "cells": [asdict(cell) for cell in now.cells]}
        replace_file(path, json.dumps(kept, indent=1) + "\n")
    return now


def _kept(path: Path, corpus: str, plan: JudgingPlan, setting: Mapping[str, Any]) -> Played:
    found = records.read_json(path)
    if found is None:
        return Played(corpus, 0, [Cell(labels, figure) for figure in FIGURES for labels in plan.labels])
    if found["setting"] != setting:
        raise BadRunError(f"{path} was played with {found['setting']}, not with {setting}. Give another --out.")
    return Played(corpus, found["replays"], [Cell(**cell) for cell in found["cells"]])


def _check(source: Source, plan: JudgingPlan) -> None:
    size = 2 * len(source.keys) // 3
    least, most = 2 * START_LABELS, int((1 - IMPORTED - SHARE) * size)
    if not least <= plan.labels[0] <= plan.labels[-1] <= most:
        raise BadRunError(
            f"--labels-at goes from {plan.labels[0]} to {plan.labels[-1]}; give at least {least}, and at most {most} "
            f"with a pool of {size} texts of {source.name}."
        )


def _further(source: Source, plan: JudgingPlan, versions: Versions | None, played: Played, replays: int) -> Played:
    cells, first = played.cells, played.replays
    for replay in range(first, first + replays):
        looks = Project(source, replay, plan.labels[-1] // 2, plan.hard_skips, versions).looks(plan.labels)
        found = {labels: _pairs(look) for labels, look in looks.items()}
        cells = [cell.plus(found[cell.labels][cell.figure]) if cell.labels in found else cell for cell in cells]
    return Played(source.name, first + replays, cells)


def _pairs(look: Look) -> Mapping[str, Sequence[tuple[Estimate, float | None]]]:
    """By figure the estimates, each with what is so; nothing of a version that is not judged."""
    figures, left = look.judgement.figures, look.judgement.left
    if figures is None or left is None:
        return dict.fromkeys(FIGURES, ())
    return {
        NEW: [(figures.accuracy, look.new.accuracy)],
        LEFT: [(left, look.left)],
        BY_ALL: [(figures.accuracy, look.left)],
        RECALL: list(zip((of.recall for of in figures.classes), look.new.recalls, strict=True)),
        MACRO_F1: [(figures.macro_f1, look.new.macro_f1)],
    }


def to_markdown(played: Sequence[Played]) -> str:
    """For each corpus a table: figures by label counts."""
    return "\n\n".join(_section(of) for of in played)


def _section(of: Played) -> str:
    rows = [_row(of, cell) for cell in of.cells]
    head = ["figure", "labels", "replays", "truth", "bias (se)", "coverage", "width"]
    return f"## {of.corpus}, {of.replays:,} replays\n\n{markdown.table(head, rows)}"


def _row(of: Played, cell: Cell) -> list[str]:
    if not cell.replays:
        return [cell.figure, str(cell.labels), "0", "", "", "", ""]
    numbers = f"{cell.bias:+.4f} ({cell.standard_error:.4f})", f"{cell.coverage:.3f}"
    bad = abs(cell.bias) > SURE * cell.standard_error, cell.coverage < ENOUGH
    shown = [f"**{number}**" if is_bad else number for number, is_bad in zip(numbers, bad, strict=True)]
    width = f"{cell.width / cell.intervals:.3f}"
    return [cell.figure, str(cell.labels), f"{cell.replays:,}", f"{cell.truth / cell.replays:.3f}", *shown, width]
