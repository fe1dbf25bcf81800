"""What a fit makes small, one function for each kind of question."""

import math
from collections.abc import Callable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from nextlabel.values.layout import ANY_OF, Layout

# (logits_NC, targets, weights_N or None): the sum over the texts by their weights, a scalar.
Loss = Callable[..., torch.Tensor]


def single_choice(
    logits_NC: torch.Tensor, targets_N: torch.Tensor, weights_N: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of one class for each text, summed over the texts by their weights: a scalar."""
    if weights_N is None:
        return cross_entropy(logits_NC, targets_N, reduction="sum")
    return (weights_N * cross_entropy(logits_NC, targets_N, reduction="none")).sum()


def form(layout: Layout) -> Loss:
    """The loss of several questions: minus the logarithm of the probability of a text's answers, were they independent,
    over the number of questions that are answered. `targets_NC` as of `Layout.targets`; NaN counts for nothing."""

    def summed(
        logits_NC: torch.Tensor, targets_NC: torch.Tensor, weights_N: torch.Tensor | None = None
    ) -> torch.Tensor:
        each_QN = torch.stack([_of_question(cut.kind, logits_NC[:, at], targets_NC[:, at]) for cut, at in layout.parts])
        answered_QN = torch.stack([_answered(targets_NC[:, at]) for _, at in layout.parts])
        each_N = each_QN.sum(dim=0) / answered_QN.sum(dim=0).clamp(min=1)
        return (each_N if weights_N is None else weights_N * each_N).sum()

    return summed


def _of_question(kind: str, logits_NC: torch.Tensor, targets_NC: torch.Tensor) -> torch.Tensor:
    """Without asking a GPU which texts were answered: what was not is multiplied by 0."""
    given_NC = targets_NC.nan_to_num()
    if kind == ANY_OF:
        each_NC = binary_cross_entropy_with_logits(logits_NC, given_NC, reduction="none")
        return (each_NC * (1 - targets_NC.isnan().to(targets_NC.dtype))).sum(dim=1)
    return cross_entropy(logits_NC, given_NC, reduction="none") * _answered(targets_NC)


def _answered(targets_NC: torch.Tensor) -> torch.Tensor:
    """1 for each text to which a question was answered, 0 for the others."""
    return 1 - targets_NC.isnan().all(dim=1).to(targets_NC.dtype)


def blind(layout: Layout) -> float:
    """The mean loss of a text of which nothing is known."""
    each = (len(cut.labels) * math.log(2) if cut.kind == ANY_OF else math.log(len(cut.labels)) for cut in layout.cuts)
    return sum(each) / len(layout.cuts)
