"""Predictions as Label Studio stores them, and what is answered where there is none. No I/O."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.controls import results
from nextlabel.labelstudio.controls.tag import ControlTag
from nextlabel.learning.strategies import entropy_nats
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ANY_OF, Cut, Layout
from nextlabel.values.queue import to_score

UNREADABLE_SCORE = 1.0  # served last: nobody learns from a task that cannot be read
CONTROL_SCORE = 1.0  # its place in the queue comes from the trainer
UNTRAINED_SCORE = 0.0  # before the first fit every task is as uncertain as can be


def to_prediction(
    config: LabelConfig,
    labels: Sequence[str],
    probs_C: Array,
    value: float,
    version: str,
    truncated: bool = False,
    layout: Layout | None = None,
) -> dict[str, Any]:
    """A prediction as Label Studio stores it.

    Its `score` is 1 - value, in [0, 1]: Label Studio's uncertainty queue serves the lowest score first
    (label_studio/projects/functions/next_task.py), so the most informative must score lowest. The result item's own
    `score` is the probability of the shown label, of several the lowest one; the first item's `meta` keeps every
    probability and the entropy in nats, and says when the text was longer than what the version reads. A label that the
    config no longer has is shown as the one that it is mapped to, or not at all.
    """
    cut_short = {"truncated": True} if truncated else {}
    if layout is None:
        best = int(np.argmax(probs_C))
        meta = {"probabilities": _named(labels, probs_C), "entropy": float(entropy_nats(probs_C[None, :])[0])}
        shown = {control.name: ([labels[best]], float(probs_C[best])) for control in _of_single(config, labels)}
    else:
        parts = [(cut, probs_C[at]) for cut, at in config.limited(layout).parts]
        probabilities = {cut.name: _named(cut.labels, of_it_C) for cut, of_it_C in parts}
        meta = {"probabilities": probabilities, "entropy": float(sum(_entropy(*part) for part in parts))}
        shown = {cut.name: _guess(cut, of_it_C) for cut, of_it_C in parts}
    result = _items(config, shown, meta | cut_short)
    return {"result": result, "score": to_score(value), "model_version": version}


def _of_single(config: LabelConfig, labels: Sequence[str]) -> list[ControlTag]:
    """The control that a version of a single question is about: of a form, which is newer, the only one that has all
    its labels."""
    if len(config.asked) == 1:
        return list(config.asked)
    alike = [control for control in config.asked if set(labels) <= set(control.labels)]
    return alike if len(alike) == 1 else []


def _named(labels: Sequence[str], probs_C: Array) -> dict[str, float]:
    return {label: float(p) for label, p in zip(labels, probs_C, strict=True)}


def _entropy(cut: Cut, probs_C: Array) -> float:
    """Of the answer to a question, in nats; labels of which any may be given are taken for independent."""
    rows_NC = np.stack([probs_C, 1 - probs_C], axis=1) if cut.kind == ANY_OF else probs_C[None, :]
    return float(entropy_nats(rows_NC).sum())


def _guess(cut: Cut, probs_C: Array) -> tuple[list[str], float]:
    """The labels to show, and the lowest of their probabilities."""
    chosen = np.flatnonzero(cut.guessed(probs_C[None, :])[0])
    return [cut.labels[c] for c in chosen], float(probs_C[chosen].min(initial=1.0))


def _items(
    config: LabelConfig, guesses: Mapping[str, tuple[list[str], float]], meta: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The items that the editor shows: none of a question that a person with these answers would not be asked."""
    of = {
        control.name: tuple(_in_force(config, control, guesses[control.name][0]))
        for control in config.asked
        if control.name in guesses and control.guessable
    }
    seen = config.seen(of)
    answers = {name: labels for name, labels in of.items() if labels and seen[name]}
    items: list[dict[str, Any]] = []
    for control in config.asked:
        if control.name in answers:
            labels = answers[control.name]
            more = {} if items else {"meta": dict(meta)}
            items.append(control.item(labels, score=guesses[control.name][1], **more))
    return items


def _in_force(config: LabelConfig, control: ControlTag, labels: Sequence[str]) -> list[str]:
    """Labels of a version as the config has them now; none where it has not all of them, or does not take them."""
    found = dict.fromkeys(config.label_of(label, control.name) for label in labels)
    labels = [label for label in found if label is not None]
    return labels if len(labels) == len(found) and control.takes(labels) else []


def can_show(config: LabelConfig, shown: str) -> bool:
    """Whether the editor still ticks what `results.shown` says of a prediction of ours."""
    items = _read(shown)
    if items is None:
        alone = {results.CHOICES: [shown]}  # of a version of a single question
        able = (control for control in config.asked if control.guessable and control.takes([shown]))
        return any(shown in control.labels and control.item([shown])["value"] == alone for control in able)
    by_name = {control.name: control for control in config.asked}
    return all(item["from_name"] in by_name and _is_shown(by_name[item["from_name"]], item) for item in items)


def _is_shown(control: ControlTag, item: Mapping[str, Any]) -> bool:
    given = [str(label) for label in results.given_to(control, [item])]
    known = (
        bool(given or control.kind == ANY_OF)
        and control.guessable
        and control.takes(given)
        and control.item_type == item["type"]
        and set(given) <= set(control.labels)
    )
    return known and control.item(given)["value"] == item["value"]


def _read(shown: str) -> list[dict[str, Any]] | None:
    """The items of what is not the label of a single choice."""
    try:
        plain = json.loads(shown) if shown.startswith("[[") else None
    except ValueError:
        return None
    return plain and [dict(zip(("from_name", "type", "value"), item, strict=True)) for item in plain]


def no_prediction(score: float, version: str, reason: str) -> dict[str, Any]:
    """An answer that shows nothing and says why. Label Studio stores the empty result and drops `reason`."""
    return {"result": [], "score": score, "model_version": version, "reason": reason}
