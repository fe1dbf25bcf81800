"""Floating point operations, and how many a second the machine can do."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.functional import linear

from nextlabel.errors import BadRunError
from nextlabel.lab.benchmark.clock import clock
from nextlabel.lab.benchmark.plan import DTYPES
from nextlabel.model.classifier import TOKEN_BUDGET, TOKEN_BUDGET_GPU, Classifier
from nextlabel.model.kernels import has_onednn, packed_linear
from nextlabel.values.arrays import Ints

FLOP_COUNT = (
    "2 x multiplications of every linear layer for each real token, of both attention products by the text's real "
    "length, and of pooler and head once a text. Padding counts for nothing. The last layer counts in full, as plain "
    "transformers compute it, although ours spares most of it: the share is of useful work, not of work done."
)


@dataclass(frozen=True)
class Shape:
    """What a BERT's operations depend on: its layers, and the widths of its hidden states and of its feed-forward."""

    layers: int
    hidden: int
    intermediate: int
    classes: int


def shape_of(config: Any) -> Shape:
    """Raises `BadRunError` for a model that has no such shape."""
    try:
        return Shape(config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.num_labels)
    except AttributeError as error:
        raise BadRunError(
            f"The operations of a {config.model_type} cannot be counted ({error}). Give a BERT as --base-model."
        ) from None


def flop(shape: Shape, lengths_N: Ints) -> int:
    """Operations of one forward pass over texts of these lengths in word pieces, as `FLOP_COUNT` says."""
    tokens, squares = int(lengths_N.sum()), int((lengths_N**2).sum())
    linears = 4 * shape.hidden**2 + 2 * shape.hidden * shape.intermediate  # a token: q, k, v, output; wide, narrow
    attention = 2 * shape.hidden  # for each two tokens of a text: a score, and a part of the mean
    head = shape.hidden**2 + shape.hidden * shape.classes  # a text: the pooler, and the classes
    return 2 * (shape.layers * (linears * tokens + attention * squares) + head * len(lengths_N))


def limit(shape: Shape, tokens: int, dtype: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of a layer's matrix products for a batch of so many tokens: the fastest library, the best of 5 tries."""
    hidden, wide = shape.hidden, shape.intermediate
    products = ((hidden, 3 * hidden), (hidden, hidden), (hidden, wide), (wide, hidden))
    seconds = sum(_seconds_of_product(tokens, inner, outer, dtype, device) for inner, outer in products)
    return sum(2 * tokens * inner * outer for inner, outer in products) / seconds / 1e9


def limit_actions(classifier: Classifier) -> dict[str, Callable[[int], float]]:
    """The limit in each precision for batches such as a pool is scored in, as actions for `interleave`."""
    shape = shape_of(classifier.model.config)
    tokens = TOKEN_BUDGET if classifier.device.type == "cpu" else TOKEN_BUDGET_GPU

    def measure_limit(dtype: torch.dtype, repeat: int) -> float:
        return limit(shape, tokens, dtype, classifier.device)

    return {limit_of(name): partial(measure_limit, dtype) for name, dtype in DTYPES.items()}


def limit_of(dtype: str) -> str:
    """The name of the action that measures the limit in a precision."""
    return f"limit {dtype}"


def _seconds_of_product(rows: int, inner: int, outer: int, dtype: torch.dtype, device: torch.device) -> float:
    x = torch.randn(rows, inner, device=device).to(dtype)
    weight = torch.randn(outer, inner, device=device).to(dtype)
    products: list[Callable[[], object]] = [lambda: linear(x, weight)]
    if device.type == "cpu" and has_onednn(dtype):
        # What scoring uses: oneDNN, with weights in its own order. On some processors torch's own way is faster.
        packed = packed_linear([torch.nn.Linear(inner, outer)], dtype)
        products.append(lambda: packed(x))
    launches = 10  # one alone is over before a GPU's clock can be read, or a CPU's caches are warm
    with torch.inference_mode():
        return min(seconds_each(product, launches, device) for product in products for _ in range(5))


def seconds_each(action: Callable[[], object], times: int, device: torch.device) -> float:
    """The mean of so many times in a row."""
    start = clock(device)
    for _ in range(times):
        action()
    return (clock(device) - start) / times
