"""The layer that makes a classifier's logits, as plain numbers."""

from dataclasses import dataclass

import numpy as np

from nextlabel.values.arrays import Array, Features


@dataclass(frozen=True)
class Linear:
    """A matrix with a row for each class, and a bias, or None where the model has none. float64."""

    weights_CD: Array
    bias_C: Array | None

    def __call__(self, features_ND: Features) -> Array:
        """Logits (N, C), float64."""
        logits_NC = features_ND.astype(np.float64) @ self.weights_CD.T
        return logits_NC if self.bias_C is None else logits_NC + self.bias_C
