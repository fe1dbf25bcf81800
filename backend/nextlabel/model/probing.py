"""What an architecture does with padding and in bf16, found by trying it on a few short texts. Imports torch only.

Documentation and configs say neither reliably. Trying draws no random numbers in `eval` mode and changes no weight.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nextlabel.errors import NoModelError
from nextlabel.model.device_tokens import Side

# Texts of several lengths, odd and even ones, which every vocabulary cuts into some pieces.
TEXTS = ("Yes.", "It was good, in a way.", "We did not see the end of it, and nobody has told us what became of them.")
TOLERANCE = 1e-4  # rounding in fp32 stays a hundred times below it
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError)  # a model's ways to say no

Logits = Callable[[Sequence[int], int, Side], Tensor]  # of the texts at some positions, padded to a length on a side


def padding_side(logits: Logits, lengths: Sequence[int], longest: int) -> Side:
    """Where padding leaves every text's logits as they are without it; nowhere if neither side does.

    `longest` is at least the longest of `lengths`.
    """
    alone = torch.cat([logits([row], length, Side.NOWHERE) for row, length in enumerate(lengths)])
    for side in (Side.RIGHT, Side.LEFT):
        try:
            together = logits(range(len(lengths)), longest, side)
        except REFUSALS as error:
            if is_out_of_memory(error):
                raise
            continue
        if torch.allclose(together, alone, rtol=TOLERANCE, atol=TOLERANCE):
            return side
    return Side.NOWHERE


def why_not(compute: Callable[[], Tensor]) -> str:
    """Why something cannot be computed, in the words of who refuses; empty when it can.

    Want of memory is no such reason, and raised.
    """
    try:
        result = compute()
    except REFUSALS as error:
        if is_out_of_memory(error):
            raise
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return "" if bool(torch.isfinite(result).all()) else "the results are not numbers"


def through_all_layers(model: Any, loss: Tensor) -> Tensor:
    """The gradient of a norm or bias at the model's bottom: all layers take part, and no memory is needed for more."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    low = next((weight for weight in weights if weight.dim() == 1), weights[0])
    (gradient,) = torch.autograd.grad(loss, [low], allow_unused=True)
    return loss.detach() if gradient is None else gradient


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device's memory did not suffice."""
    # On a CPU it is a plain RuntimeError; the words are those of c10/core/impl/alloc_cpu.cpp.
    words = ("not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in words)


def wants_fewer(error: Exception) -> str:
    """Why a batch can only be computed in smaller ones; empty where that would not help.

    BART and T5 read together only texts with as many ends, of which a pair has more than a single text.
    """
    if is_out_of_memory(error):
        return "out of memory"
    return str(error) if "must have the same number of <eos>" in str(error) else ""


def cannot_compute(kind: str, what: str, why: object) -> NoModelError:
    """The error that says with `what` a model of this `kind` cannot compute, and why."""
    return NoModelError(f"{kind} cannot compute with {what}: {why}. Take another BASE_MODEL.")
