"""Whether a new version may take the place of the active one, by what both answer to the same labelled texts.

Knows no versions and no fits: who asks chooses the texts, and knows what either has seen of them.
"""

import math
from dataclasses import dataclass

import numpy as np

from nextlabel.problems.question import Question
from nextlabel.values.arrays import Ints

CHANCE = 2.0  # standard errors that a difference must exceed


@dataclass(frozen=True)
class Verdict:
    """`loss`: by how much the combined score fell, 0 if chance explains it; beyond the margin the version is `refused`.

    `tells`: had the version answered the most frequent label to every text, it would have been refused.
    """

    loss: float
    refused: bool
    tells: bool


def judge(question: Question, targets_N: Ints, before_N: Ints, after_N: Ints, margin: float) -> Verdict:
    """The verdict on a version that answers `after_N` where the active one answers `before_N` and people `targets_N`.

    `margin`, from 0 to 1, is how much the combined score may fall anyway.
    """
    constant_N = np.full_like(targets_N, np.bincount(targets_N, minlength=1).argmax())
    loss = score_drop(question, targets_N, before_N, after_N)
    return Verdict(loss, loss > margin, score_drop(question, targets_N, before_N, constant_N) > margin)


def score_drop(question: Question, targets_N: Ints, before_N: Ints, after_N: Ints) -> float:
    """By how much the combined score of the guesses `after_N` is below that of `before_N` on the same examples; 0 when
    no more right guesses have become wrong than chance explains.

    The bound is two standard errors of the paired difference (McNemar): with few labels much may be chance.
    """
    lost = int(np.sum((before_N == targets_N) & (after_N != targets_N)))
    won = int(np.sum((before_N != targets_N) & (after_N == targets_N)))
    if lost - won <= CHANCE * math.sqrt(lost + won):
        return 0.0
    before, after = (question.evaluate(targets_N, predictions_N) for predictions_N in (before_N, after_N))
    return before.combined - after.combined
