"""How much the next labels can change at most, by how much the last ones did. Pure.

When D is the share of the pool whose predicted class changed over a step, the step changed accuracy by D at most, with
no label to judge by (Bloodgood and Vijay-Shanker 2009, arXiv 1409.5165). That the next step of as many labels changes
it by no more either, and hardly ever by more than D / 2, is a rule of thumb, replayed on steps of `STEP` labels
(reports/helping); a step of a few labels changes little whatever the model.
"""

import numpy as np

from nextlabel.values.arrays import Targets

STEP = 64


def changed_share(before: Targets, now: Targets) -> float:
    """D, in [0, 1], of what was predicted for the same N tasks before and after a step: class numbers (N), or answers
    to a form (N, C), of which each counts as a whole.

    Raises `ValueError` without tasks, or when the two are not as many.
    """
    if not 0 < len(before) == len(now):
        raise ValueError(f"{len(before)} and {len(now)} predictions; give those of the same tasks, one or more")
    return float(np.mean((before != now).reshape(len(now), -1).any(axis=1)))
