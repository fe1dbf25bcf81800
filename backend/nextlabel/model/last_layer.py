"""The linear layer that makes a model's logits, and what it reads. Imports torch only.

Found by trying, in one way for all architectures: it is the last one whose output is the logits or, of models that
compute some for each word piece and take one, holds them.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nextlabel.errors import NoModelError
from nextlabel.values.linear import Linear


def find(model: Any, logits: Callable[[], Tensor]) -> str:
    """The layer's name in `model`, of which `logits` computes some. Raises `NoModelError` where there is none."""
    seen: list[tuple[str, Tensor]] = []

    def note(name: str, _module: Any, _inputs: Any, output: Tensor) -> None:
        seen.append((name, output))

    linears = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    hooks = [module.register_forward_hook(partial(note, name)) for name, module in linears]
    try:
        logits_NC = logits()
    finally:
        for hook in hooks:
            hook.remove()
    for name, output in reversed(seen):
        if _holds(output, logits_NC):
            return name
    raise NoModelError(
        f"{type(model).__name__} has no linear layer whose output is its logits, so it can have no head. Take an "
        "order by the version itself, or another BASE_MODEL."
    )


def _holds(output: Tensor, logits_NC: Tensor) -> bool:
    if output.ndim == 2:
        return torch.equal(output, logits_NC)
    alike = output.ndim == 3 and (output.shape[0], output.shape[2]) == tuple(logits_NC.shape)
    return alike and bool(_matches(output, logits_NC).any(dim=1).all())


def _matches(output_NTC: Tensor, logits_NC: Tensor) -> Tensor:
    """At which word pieces the output is the logits, (N, T)."""
    return (output_NTC == logits_NC.unsqueeze(1)).all(dim=2)


class WithFeatures:
    """A forward pass that gives logits (N, C) and beside them what the last layer read for them: (N, C + D), fp32."""

    def __init__(self, forward: Any, layer: nn.Linear):
        self.packs: bool = getattr(forward, "packs", False)
        self._forward = forward
        self._layer = layer
        self._last = threading.local()  # batches are computed side by side

    def __call__(self, **inputs: Tensor) -> Tensor:
        """Of a padded batch."""
        return self._beside(self._forward(**inputs))

    def packed(self, *texts: Any) -> Tensor:
        """Of texts without padding; where it `packs`."""
        return self._beside(self._forward.packed(*texts))

    @contextmanager
    def listening(self) -> Iterator["WithFeatures"]:
        """In here it can be called."""

        def note(_module: Any, inputs: tuple[Tensor], output: Tensor) -> None:
            self._last.read, self._last.made = inputs[0], output

        hook = self._layer.register_forward_hook(note)
        try:
            yield self
        finally:
            hook.remove()

    def _beside(self, logits_NC: Tensor) -> Tensor:
        read, made = self._last.read, self._last.made
        if made.ndim == 3:
            taken_N = _matches(made, logits_NC).int().argmax(dim=1)
            read = read[torch.arange(len(read), device=read.device), taken_N]
        return torch.cat([logits_NC.float(), read.float()], dim=1)


def read(layer: nn.Linear) -> Linear:
    """Its numbers."""

    def numbers(weights: Tensor) -> Any:
        return weights.detach().cpu().double().numpy()

    return Linear(numbers(layer.weight), None if layer.bias is None else numbers(layer.bias))


@torch.no_grad()
def write(layer: nn.Linear, numbers: Linear) -> None:
    """Put numbers in the place of the layer's, as many rows as there are."""
    if len(numbers.weights_CD) != layer.out_features:
        layer.out_features = len(numbers.weights_CD)
        layer.weight = _like(layer.weight, layer.out_features)
        layer.bias = None if layer.bias is None else _like(layer.bias, layer.out_features)
    layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(numbers.weights_CD)))
    if numbers.bias_C is not None:
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(numbers.bias_C)))


def _like(numbers: Tensor, rows: int) -> nn.Parameter:
    return nn.Parameter(numbers.new_empty((rows, *numbers.shape[1:])))
