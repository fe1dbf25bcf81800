"""An order that is renewed between two fits by the version's head. Knows no Label Studio."""

from dataclasses import dataclass

import numpy as np

from nextlabel.learning.heads import PRECISION, beats_majority, probabilities, refitted
from nextlabel.learning.strategies import acquire, draws, most_informative_first
from nextlabel.problems.metrics import macro_f1
from nextlabel.values.arrays import Features, Ints
from nextlabel.values.linear import Linear

HEAD = "head"  # before the strategy, in the name of an arm
STRATEGIES = ("entropy", "margin")
EVERY = 8  # labels, after which the head is fitted again


def is_head(arm: str) -> bool:
    """Whether an arm such as `head:margin` is ordered by heads."""
    return arm.partition(":")[0] == HEAD and ":" in arm


@dataclass
class HeadOrder:
    """A version's last layer, what that reads of the training examples `ids_N` and of dev, and the labels known.

    `known` are positions of training examples: those of the version, then the chosen ones in their order.
    """

    fitted: Linear
    ids_N: Ints
    train_ND: Features
    targets_N: Ints
    known: list[int]
    dev_ND: Features
    dev_targets_N: Ints
    refused: int = 0  # how often a head was no better than the majority

    def choose(self, strategy: str, count: int, seed: int) -> list[int]:
        """The ids of the next `count` labels, or of all that are left; the first few are in the version's own order."""
        begun, layer = len(self.known), self.fitted
        open_N = np.setdiff1d(np.arange(len(self.ids_N)), self.known)
        while len(self.known) < begun + count and len(open_N):
            if len(self.known) > begun:
                layer = self._renewed()
            probs_NC = probabilities(layer, self.train_ND[open_N])
            values_N = acquire(strategy, probs_NC[:, None, :], draws(self.ids_N[open_N], seed))
            places = most_informative_first(values_N)[: min(EVERY, begun + count - len(self.known))]
            self.known += open_N[places].tolist()
            open_N = np.delete(open_N, places)
        return [int(self.ids_N[i]) for i in self.known[begun:]]

    def _renewed(self) -> Linear:
        """The head of the labels known now; the version's own layer where it is too bad to order by."""
        features_ND, targets_N = self.train_ND[self.known], self.targets_N[self.known]
        if beats_majority(features_ND, targets_N, self.fitted):
            return refitted(self.fitted, features_ND, targets_N)
        self.refused += 1
        return self.fitted

    def record(self) -> dict[str, float]:
        """For a round's record: how the head was fitted, and its macro-F1 on dev with all labels known now."""
        head = refitted(self.fitted, self.train_ND[self.known], self.targets_N[self.known])
        predictions_N = head(self.dev_ND).argmax(axis=1)
        return {
            "every": EVERY,
            "precision": PRECISION,
            "labels": len(self.known),
            "refused": self.refused,
            "dev_macro_f1": macro_f1(self.dev_targets_N, predictions_N),
        }
