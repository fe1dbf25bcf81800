"""Whether a new version may take the place of the active one, by what both answer to the same labelled texts.

Knows no versions and no fits: who asks chooses the texts, and knows what either has seen of them.
"""

import math
from dataclasses import dataclass

import numpy as np

from nextlabel.problems.question import Question
from nextlabel.values.arrays import Targets

CHANCE = 2.0  # standard errors that a difference must exceed


@dataclass(frozen=True)
class Verdict:
    """`loss`: by how much the combined score fell, 0 if chance explains it; beyond the margin the version is `refused`.

    `tells`: had the version answered the most frequent label to every text, it would have been refused.
    """

    loss: float
    refused: bool
    tells: bool


def judge(question: Question, targets: Targets, before: Targets, after: Targets, margin: float) -> Verdict:
    """The verdict on a version that answers `after` where the active one answers `before` and people `targets`.

    `margin`, from 0 to 1, is how much the combined score may fall anyway.
    """
    constant = question.most_frequent(targets)
    loss = score_drop(question, targets, before, after)
    return Verdict(loss, loss > margin, score_drop(question, targets, before, constant) > margin)


def score_drop(question: Question, targets: Targets, before: Targets, after: Targets) -> float:
    """By how much the combined score of the guesses `after` is below that of `before` on the same examples; 0 when no
    more right guesses have become wrong than chance explains.

    The bound is two standard errors of the paired difference (McNemar): with few labels much may be chance.
    """
    right_before, right_after = question.right(targets, before), question.right(targets, after)
    lost, won = int(np.sum(right_before & ~right_after)), int(np.sum(~right_before & right_after))
    if lost - won <= CHANCE * math.sqrt(lost + won):
        return 0.0
    return question.evaluate(targets, before).combined - question.evaluate(targets, after).combined
