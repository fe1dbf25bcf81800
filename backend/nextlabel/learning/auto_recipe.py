"""What `auto` stands for: steps, learning rate and batch size from the checkpoint's width and the number of labels.

Pure; loads no checkpoint. What it rests on: reports/recipes/README.md.
"""

import math
from collections.abc import Mapping
from typing import Any

FEWEST = 1600  # texts in the shortest fit, counted each time: few labels need many looks
BY_ROOT = 150  # texts for the square root of the labels: 10 epochs of 225, 5 of 900
MANY = 2000  # labels from which on fewer epochs do
EPOCHS, MANY_EPOCHS = 5, 3  # Devlin et al. (2019) take 2 to 4
BATCH = 16
FIXED: Mapping[str, Any] = {"warmup": 0.1, "stop_loss": 0.05}  # a fit has converged below that mean loss
RULE = f"auto: {FEWEST} texts, {BY_ROOT} times the root of the labels, {EPOCHS} or from {MANY} on {MANY_EPOCHS} epochs"


def steps(labels: int, batch_size: int = BATCH) -> int:
    """Optimiser steps of a fit on so many labels, at least 1: what it takes, should it not converge before.

    Below 2,000 labels never more texts than in 343 steps of 32.
    """
    epochs = EPOCHS if labels < MANY else MANY_EPOCHS
    return math.ceil(max(FEWEST, BY_ROOT * math.sqrt(labels), epochs * labels) / batch_size)


def learning_rate(width: int) -> float:
    """For a checkpoint with hidden states of such a width.

    Small ones (MiniLM's 384) by what we played. Of the 2e-5 to 5e-5 that Devlin et al. (2019) try for BERT, base gets
    the upper end, as its fits are short, and wider ones the lower, which Mosbach et al. (2021) take.
    """
    if width <= 512:
        return 2e-4
    return 5e-5 if width < 1024 else 2e-5
