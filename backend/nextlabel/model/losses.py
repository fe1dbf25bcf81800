"""What a fit makes small, one function for each kind of question."""

import math
from collections.abc import Callable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from nextlabel.values.layout import ANY_OF, Layout

# (logits_NC, targets): the sum over the texts, a scalar.
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def single_choice(logits_NC: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of one class for each text, summed over the texts: a scalar."""
    return cross_entropy(logits_NC, targets_N, reduction="sum")


def form(layout: Layout) -> Loss:
    """The loss of several questions: minus the logarithm of the probability of a text's answers, were they independent,
    over the number of questions. `targets_NC` are 0 and 1; a question counts as nothing where they are NaN."""

    def summed(logits_NC: torch.Tensor, targets_NC: torch.Tensor) -> torch.Tensor:
        losses = [_of_question(cut.kind, logits_NC[:, at], targets_NC[:, at]) for cut, at in layout.parts]
        return torch.stack(losses).sum() / len(losses)

    return summed


def _of_question(kind: str, logits_NC: torch.Tensor, targets_NC: torch.Tensor) -> torch.Tensor:
    """Without asking a GPU which texts were answered: what was not is multiplied by 0."""
    asked_N = 1 - targets_NC.isnan().any(dim=1).to(logits_NC.dtype)
    given_NC = targets_NC.nan_to_num()
    if kind == ANY_OF:
        each_N = binary_cross_entropy_with_logits(logits_NC, given_NC, reduction="none").sum(dim=1)
    else:
        each_N = cross_entropy(logits_NC, given_NC, reduction="none")
    return (each_N * asked_N).sum()


def blind(layout: Layout) -> float:
    """The mean loss of a text of which nothing is known."""
    each = (len(cut.labels) * math.log(2) if cut.kind == ANY_OF else math.log(len(cut.labels)) for cut in layout.cuts)
    return sum(each) / len(layout.cuts)
