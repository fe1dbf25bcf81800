"""Which tasks are the control set, and in which order they come: a rule of a seed and a task's text, not a list. Pure.

So it can be made again from the tasks alone, grows with the pool, and nobody can tune it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate

from nextlabel.values.arrays import Array, Ints
from nextlabel.values.counting import NOTHING_HELD_OUT, HeldOut
from nextlabel.values.examples import Example, Key, key_of
from nextlabel.values.labels import Vote

SERVED_SHARE = 0.1  # of a new project
DRAWS = 2**256  # how many draws there are
STEPS = 2**64  # so many numbers 16 hexadecimal digits write
RULE = "spaced by the draw: half to one and a half of 1/share labels apart"  # changed with `places`, as it is frozen


def draw(seed: str, key: Key) -> int:
    """A task's place in the order, in [0, DRAWS): SHA-256 of the JSON list of seed, text, pair and more, as a number.

    It depends on no other task and not on Label Studio's ids. `u = draw / DRAWS` is uniform for whoever does not know
    the seed. Copies have one key, hence one draw.
    """
    return int.from_bytes(sha256(json.dumps([seed, *key]).encode()).digest(), "big")


def control_set(seed: str, keys: Iterable[Key], share: float) -> list[Key]:
    """Those of the tasks that are reserved, u < `share`, by rising u: the order in which they are served. Each once.

    `share` lies in [0, 1]: 0 reserves none, 1 all.
    """
    draws = {key: draw(seed, key) for key in keys}
    below = share * DRAWS  # exact, as DRAWS is a power of two; and Python compares whole numbers with floats exactly
    return sorted((key for key, drawn in draws.items() if drawn < below), key=draws.__getitem__)


@dataclass(frozen=True)
class Control:
    """The rule of one project: its secret seed and the share of tasks that are reserved. Without a seed none are."""

    seed: str = ""
    share: float = 0.0

    def drawn(self, example: Example) -> str:
        """The place of a reserved task in the order, as 64 hexadecimal digits, which sort as the draws do; empty for a
        task that is not reserved."""
        return self.drawn_key(key_of(example))

    def drawn_key(self, key: Key) -> str:
        """The same of a text."""
        if not self.seed or not self.share:
            return ""
        place = draw(self.seed, key)
        return f"{place:064x}" if place < self.share * DRAWS else ""


NO_CONTROL = Control()


@dataclass(frozen=True)
class HoldOut:
    """The rule by which labels that a project has are drawn to judge versions: its secret seed and which. The draw is
    another one than that of the control set, whose tasks are none of these. Labels from before the day `since`, that of
    a guideline, would judge nothing, so they are not drawn."""

    seed: str = ""
    of: HeldOut = NOTHING_HELD_OUT
    since: str = ""

    def takes(self, example: Example, votes: Iterable[Vote]) -> bool:
        """Whether a task with these votes is one of them. By the times of their last change: a label that is changed
        after the day is one like any other again."""
        first = min((vote.when for vote in votes if vote.when >= self.since), default="")
        return "" < first < self.of.before and draw(f"{self.seed} held out", key_of(example)) < self.of.share * DRAWS


NO_HOLD_OUT = HoldOut()


def places(share: float, since: int, draws: Sequence[str], others: int, first: int = 0) -> list[int]:
    """The places of the queue's head, counted from 0, in which the next tasks of the control set stand, by their draws
    as `Control.drawn` writes them.

    One label in so many as `share` says is of the set, on average; `since` labels have been given after the last such
    one. What is overdue comes first, but only as many as there are annotators, of whom each may have one in hand: a
    project that has many labels when its set begins does not make up for them all. The `first` ones fill the head.
    """
    steps = [_step(share, drawn) for drawn in draws]
    made_up = accumulate([0] * (others + 1) + steps[others + 1 :])
    due = [max(place - 1 - since, late) for place, late in zip(accumulate(steps), made_up, strict=False)]
    return [k if k < first else max(place, k) for k, place in enumerate(due)]


def _step(share: float, draw: str) -> int:
    """How many labels after the one before it a task of the set comes: from half of 1/`share` to half as much again, at
    least 1.

    On average it is 1/`share` up to a share of one half; of a larger one less is kept, nine in ten where all tasks are
    of the set, as no step is shorter than 1.

    By the last digits of its draw, which say nothing of its place in the order: were each step as long, whoever counts
    could tell these tasks, and of two people at one pace always the same one would get them.
    """
    length, rounding = (int(digits, 16) / STEPS for digits in (draw[-16:], draw[-32:-16]))
    return max(1, int((0.5 + length) / share + rounding))  # 1/share on average, whole or not


def asked_for(ids_N: Ints, values_N: Array, lowest: float) -> list[int]:
    """Those of the tasks, with their values in an order, that would have been asked for by now, had they been of the
    pool, which was labelled from the highest value down to the `lowest`."""
    asked: list[int] = ids_N[values_N >= lowest].tolist()
    return asked
