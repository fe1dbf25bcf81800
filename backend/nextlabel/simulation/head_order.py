"""An order that is renewed between two fits by the version's head. Knows no Label Studio."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel.learning.heads import PRECISION, acquisition_values, beats_majority, refitted, refitted_form
from nextlabel.learning.strategies import most_informative_first
from nextlabel.problems.form import Form
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation.scores import scores
from nextlabel.values.arrays import Features, Ints, Targets
from nextlabel.values.layout import Layout
from nextlabel.values.linear import Linear

HEAD = "head"  # before the strategy, in the name of an arm
STRATEGIES = ("entropy", "margin")
EVERY = 8  # labels, after which the head is fitted again

# (ids best first, ids labelled since the version's fit, count) -> `count` of them that may be asked for, or all
Free = Callable[[Ints, Sequence[int], int], list[int]]


def all_free(best_first: Ints, since: Sequence[int], count: int) -> list[int]:
    """The first ones."""
    return [int(number) for number in best_first[:count]]


def is_head(arm: str) -> bool:
    """Whether an arm such as `head:margin` is ordered by heads."""
    return arm.partition(":")[0] == HEAD and ":" in arm


@dataclass
class HeadOrder:
    """A version's last layer, what that reads of the training examples `ids_N` and of dev, and the labels known.

    `known` are positions of training examples: those of the version, then the chosen ones in their order. Where a
    `form` is asked, targets are those of its layout; that of the version has its thresholds. The head is renewed
    after so many labels as `every` says, and asks for what is `free`.
    """

    fitted: Linear
    ids_N: Ints
    train_ND: Features
    targets_N: Targets
    known: list[int]
    dev_ND: Features
    dev_targets_N: Targets
    form: Form | None = None
    every: int = EVERY
    free: Free = all_free
    layout: Layout | None = None
    refused: int = 0  # how often a head was no better than the majority

    def choose(self, strategy: str, count: int, seed: int) -> list[int]:
        """The ids of the next `count` labels, or of all that are left; the first few are in the version's own order."""
        begun, layer = len(self.known), self.fitted
        open_N = np.setdiff1d(np.arange(len(self.ids_N)), self.known)
        while len(self.known) < begun + count and len(open_N):
            if len(self.known) > begun:
                layer = self._renewed()
            ids_N, layout = self.ids_N[open_N], self.form.layout if self.form else None
            values_N = acquisition_values(layer, self.train_ND[open_N], ids_N, strategy, seed, layout)
            wanted = min(self.every, begun + count - len(self.known))
            asked = self.free(ids_N[most_informative_first(values_N)], self._ids(self.known[begun:]), wanted)
            place_of = {number: place for place, number in enumerate(ids_N.tolist())}
            places = [place_of[number] for number in asked]
            self.known += open_N[places].tolist()
            open_N = np.delete(open_N, places)
        return self._ids(self.known[begun:])

    def _ids(self, positions: Sequence[int]) -> list[int]:
        return [int(self.ids_N[i]) for i in positions]

    def _renewed(self) -> Linear:
        """The head of the labels known now; the version's own layer where it is too bad to order by, which of a form is
        not asked, as it is not in the live loop."""
        if self.form or beats_majority(self.train_ND[self.known], self.targets_N[self.known], self.fitted):
            return self._refitted()
        self.refused += 1
        return self.fitted

    def _refitted(self) -> Linear:
        features_ND, targets = self.train_ND[self.known], self.targets_N[self.known]
        if self.form:
            return refitted_form(self.fitted, features_ND, targets, self.form.layout)
        return refitted(self.fitted, features_ND, targets)

    def record(self) -> dict[str, float]:
        """For a round's record: how the head was fitted, and its macro-F1 on dev with all labels known now."""
        return {
            "every": self.every,
            "precision": PRECISION,
            "labels": len(self.known),
            "refused": self.refused,
            "dev_macro_f1": self._dev_macro_f1(),
        }

    def _dev_macro_f1(self) -> float:
        logits_NC = self._refitted()(self.dev_ND)
        if self.form is None:
            return macro_f1(self.dev_targets_N, logits_NC.argmax(axis=1))
        layout = self.layout or self.form.layout
        predictions_NC = layout.guesses(layout.probabilities(logits_NC))
        return scores(self.form, self.dev_targets_N, predictions_NC)["macro_f1"]
