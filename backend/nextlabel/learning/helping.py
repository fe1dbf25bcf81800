"""Whether the loop's choice of labels helps, measured on the control set. Pure.

At a fixed small budget of b = 64 labels. The first m control labels make J = m // 64 blocks, on each of which a head is
fitted: what 64 random labels are worth. Another is fitted on the loop's own first 64 labels. Each random head is judged
on the control labels of the other blocks, the loop's head on all m. Then, over the control tasks i,

    d_i = loop's head right at i - mean over the random heads that do not know i of their being right at i
    gain = mean d,   error^2 = max(var d, 1 / m) / m + (variance of the random heads' accuracies) x (1 / J + 1)

The floor 1 / m is for samples in which nearly nothing differs. The last 1 is for the loop's own 64 labels, which are one
draw of what the order could have asked for: it keeps luck with them from counting as help.

"Helps" is said when gain / error passes the one-sided 1 % point at a planned look, and at no other number of labels:
five looks, so in 5 % of the projects at most where nothing is gained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nextlabel.learning.fresh_heads import Known, fresh_head
from nextlabel.values.arrays import Array, Bools

BUDGET = 64  # b
LOOKS = (128, 192, 256, 320, 448)  # control labels
CERTAIN = NormalDist().inv_cdf(0.99)


@dataclass(frozen=True)
class Look:
    """What the first `labels` control labels say: the gain in accuracy at 64 labels, in [-1, 1], and its standard error,
    above 0."""

    labels: int
    gain: float
    error: float

    @property
    def helps(self) -> bool:
        """Whether the gain is above 0 beyond chance."""
        return self.gain >= CERTAIN * self.error


@dataclass(frozen=True)
class Answer:
    """The planned looks so far, of which the last is the one that found it helps, if any did.

    `more` control labels lead to the next look at which it would be found if gain and error go on as they are, an even
    chance; before the first look, to that. None: no planned look is likely to find it, or it is found already.
    """

    looks: tuple[Look, ...]
    more: int | None

    @property
    def helps(self) -> bool:
        """Whether a look found that it helps; else it cannot be told yet."""
        return bool(self.looks) and self.looks[-1].helps


def answer(control: Known, own: Known) -> Answer:
    """From the control labels so far and the loop's own first ones, both in the order in which they came.

    Raises as `looks` does.
    """
    looked = looks(control, own)
    found = next((place for place, look in enumerate(looked) if look.helps), None)
    if found is not None:
        return Answer(looked[: found + 1], None)
    return Answer(looked, _more(looked, len(control)))


def looks(control: Known, own: Known) -> tuple[Look, ...]:
    """All planned looks at so many control labels, from the first on.

    Features must be the same at every look, hence of the base encoder: a version's change with each version, and know
    the loop's labels. Raises `ValueError` when the loop has fewer than 64 labels of its own.
    """
    if len(own) < BUDGET:
        raise ValueError(f"the loop has {len(own)} labels of its own; ask once it has {BUDGET}")
    planned = [labels for labels in LOOKS if labels <= len(control)]
    own_N = _right(own.of(slice(BUDGET)), control)
    starts = range(0, max(planned, default=0), BUDGET)
    random_JN = np.array([_right(control.of(slice(start, start + BUDGET)), control) for start in starts])
    return tuple(_look(own_N[:labels], random_JN[: labels // BUDGET, :labels]) for labels in planned)


def _right(known: Known, control: Known) -> Array:
    """Whether the head of these labels is right, by control task: 1 or 0."""
    right_N: Bools = fresh_head(known).predictions(control.features_ND) == control.targets_N
    return right_N.astype(np.float64)


def _look(own_N: Array, random_JN: Array) -> Look:
    heads, labels = random_JN.shape
    judges_JN = (np.arange(labels) // BUDGET != np.arange(heads)[:, None]).astype(np.float64)
    by_task_N = np.average(random_JN, axis=0, weights=judges_JN)
    by_head_J = np.average(random_JN, axis=1, weights=judges_JN)
    differences_N = own_N - by_task_N
    of_tasks = max(float(np.var(differences_N, ddof=1)), 1 / labels) / labels
    of_heads = float(np.var(by_head_J, ddof=1))
    return Look(labels, float(differences_N.mean()), (of_tasks + of_heads * (1 / heads + 1)) ** 0.5)


def _more(looked: Sequence[Look], labels: int) -> int | None:
    """From so many control labels to the look at which the last gain, as sure as it gets with their number, would do."""
    later = [planned for planned in LOOKS if planned > labels]
    if not looked:
        return later[0] - labels
    last = looked[-1]
    enough = (look for look in later if last.gain * look**0.5 >= CERTAIN * last.error * last.labels**0.5)
    return next((look - labels for look in enough), None)
