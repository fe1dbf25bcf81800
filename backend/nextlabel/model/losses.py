"""What a fit makes small, one function for each kind of question."""

import torch
from torch.nn.functional import cross_entropy


def single_choice(
    logits_NC: torch.Tensor, targets_N: torch.Tensor, weights_N: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of one class for each text, summed over the texts by their weights: a scalar."""
    if weights_N is None:
        return cross_entropy(logits_NC, targets_N, reduction="sum")
    return (weights_N * cross_entropy(logits_NC, targets_N, reduction="none")).sum()
