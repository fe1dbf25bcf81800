"""Predictions as Label Studio stores them, and what is answered where there is none. No I/O."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.controls import choices
from nextlabel.learning.strategies import entropy_nats
from nextlabel.values.arrays import Array
from nextlabel.values.queue import to_score

UNREADABLE_SCORE = 1.0  # served last: nobody learns from a task that cannot be read
CONTROL_SCORE = 1.0  # its place in the queue comes from the trainer
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
    result = []
    if choice is not None:
        result = [choices.item(config.from_name, config.to_name, choice, score=float(probs_C[best]), meta=meta)]
    return {"result": result, "score": to_score(value), "model_version": version}


def no_prediction(score: float, version: str, reason: str) -> dict[str, Any]:
    """An answer that shows nothing and says why. Label Studio stores the empty result and drops `reason`."""
    return {"result": [], "score": score, "model_version": version, "reason": reason}
