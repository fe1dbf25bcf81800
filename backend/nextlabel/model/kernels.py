"""The steps of BERT's forward pass, as each kind of processor is fast at them. Imports torch and numpy only.

Where weights are fitted, gradients flow and every step sees new weights; where they are not, they may be copied once
and kept in whatever order and type pays.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout, gelu, layer_norm, linear, scaled_dot_product_attention

Step = Callable[[Tensor], Tensor]
ROWS = 2048  # word pieces a product that packed weights are laid out for; others are nearly as fast


class Kernels(Protocol):
    """Steps with products in `dtype`. What goes from layer to layer is fp32 while fitting, else `dtype`, which spares
    half of the memory's traffic."""

    dtype: torch.dtype
    between_layers: torch.dtype

    def linear(self, module: Any, then: str = "none") -> Step:
        """A linear layer, `then` "gelu" or "none"."""

    def linears(self, modules: Sequence[Any]) -> Callable[[Tensor], Sequence[Tensor]]:
        """Linear layers of one input, of equal widths."""

    def norm(self, module: Any) -> Step:
        """A layer norm of what goes from layer to layer."""

    def attention(
        self, query_NRD: Tensor, key_NTD: Tensor, value_NTD: Tensor, heads: int, added: Tensor | None, rate: float
    ) -> Tensor:
        """Attention of shape (N, R, D), its weights dropped at `rate`. `added` to its scores, (N, 1, 1, T)."""

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        """`x` with each element zero with probability `rate`, else divided by 1 - `rate`."""


def kernels(device: torch.device, dtype: torch.dtype, fitted: bool) -> "Kernels | None":
    """Those of a kind of processor; None where none are known to be faster than what transformers does."""
    if device.type == "cpu":
        return CpuKernels(dtype, fitted)
    if device.type != "cuda":
        return None
    # All that flash attention for texts in a row can do, from the Ampere generation on.
    packs = not fitted and dtype == torch.bfloat16 and torch.cuda.get_device_capability(device) >= (8, 0)
    return GpuKernels(dtype, fitted, packs)


def _by_head(x_NTD: Tensor, heads: int) -> Tensor:
    """(N, heads, T, D / heads)."""
    return x_NTD.view(*x_NTD.shape[:2], heads, -1).transpose(1, 2)


def padding(mask_NT: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores, (N, 1, 1, T): all but minus infinity where the mask is 0."""
    added_NT = torch.zeros(mask_NT.shape, dtype=dtype, device=mask_NT.device)
    return added_NT.masked_fill_(mask_NT == 0, torch.finfo(dtype).min)[:, None, None]


class GpuKernels:
    """Torch's own fused steps. None of them waits for the GPU. `packs`: it has `packed_attention`."""

    def __init__(self, dtype: torch.dtype, fitted: bool, packs: bool = False):
        self.dtype = dtype
        self.between_layers = torch.float32 if fitted else dtype
        self.packs = packs
        if packs:
            from torch.nn.attention.varlen import varlen_attn  # a second of the CPU: it imports torch's compiler

            self._attend = varlen_attn

    def linear(self, module: Any, then: str = "none") -> Step:
        """As `Kernels`."""
        weight, bias = module.weight.to(self.dtype), module.bias.to(self.dtype)
        return (lambda x: gelu(linear(x, weight, bias))) if then == "gelu" else lambda x: linear(x, weight, bias)

    def linears(self, modules: Sequence[Any]) -> Callable[[Tensor], Sequence[Tensor]]:
        """As `Kernels`: one product."""
        weight = torch.cat([m.weight for m in modules]).to(self.dtype)
        bias = torch.cat([m.bias for m in modules]).to(self.dtype)
        return lambda x: linear(x, weight, bias).chunk(len(modules), dim=-1)

    def norm(self, module: Any) -> Step:
        """As `Kernels`: a GPU's takes one type only."""
        weight, bias = module.weight.to(self.between_layers), module.bias.to(self.between_layers)
        return lambda x: layer_norm(x, module.normalized_shape, weight, bias, module.eps)

    def attention(
        self, query_NRD: Tensor, key_NTD: Tensor, value_NTD: Tensor, heads: int, added: Tensor | None, rate: float
    ) -> Tensor:
        """As `Kernels`."""
        query, key, value = (_by_head(x, heads) for x in (query_NRD, key_NTD, value_NTD))
        if added is not None:
            added = added.expand(-1, heads, query.shape[2], -1)
        mixed = scaled_dot_product_attention(query, key, value, added, dropout_p=rate)
        return mixed.transpose(1, 2).flatten(2)

    def packed_attention(
        self, query_QD: Tensor, key_MD: Tensor, value_MD: Tensor, heads: int, queries: "Packed", keys: "Packed"
    ) -> Tensor:
        """Attention of shape (Q, D) of texts that follow each other, each to itself; where it `packs`."""
        query, key, value = (x.view(len(x), heads, -1) for x in (query_QD, key_MD, value_MD))
        starts = (queries.starts, keys.starts, queries.longest, keys.longest)
        return self._attend(query, key, value, *starts).flatten(1)  # type: ignore[union-attr]

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        """As `Kernels`."""
        return dropout(x, rate) if rate else x


class Packed(NamedTuple):
    """Where each of N texts begins among those that follow each other: int32 of shape (N + 1), the end included."""

    starts: Tensor
    longest: int


class CpuKernels:
    """What a CPU is spared: torch's attention with dropout, which computes in fp32 and four times as long; torch's
    dropout, which takes seven times as long to draw; MKL in fp32, which is slow on AMD; and where weights stay as they
    are, their reordering in every product, and steps of their own for GELU and for the values beside the keys: of one
    text's time, waking the threads for each step is a large part.
    """

    def __init__(self, dtype: torch.dtype, fitted: bool):
        self.dtype = dtype
        self.between_layers = torch.float32 if fitted else dtype
        self._fitted = fitted
        self._packs = not fitted and has_onednn(dtype)

    @functools.cached_property
    def _random(self) -> np.random.SFC64:
        """Draws twice as fast as torch's generator, which seeds it."""
        return np.random.SFC64(int(torch.empty((), dtype=torch.int64).random_()))

    def linear(self, module: Any, then: str = "none") -> Step:
        """As `Kernels`."""
        if self._packs:
            return packed_linear([module], self.dtype, then)
        weight, bias = module.weight.to(self.dtype), module.bias.to(self.dtype)

        def product(x: Tensor) -> Tensor:
            if self.dtype == torch.float32 and has_onednn(self.dtype):
                return _OneDnnLinear.apply(x, weight, bias)  # type: ignore[no-any-return, no-untyped-call]
            return linear(x, weight, bias)

        return product if then == "none" else lambda x: gelu(product(x))

    def linears(self, modules: Sequence[Any]) -> Callable[[Tensor], Sequence[Tensor]]:
        """As `Kernels`: one product where nothing is fitted."""
        if self._packs:
            together = packed_linear(modules, self.dtype)
            return lambda x: together(x).chunk(len(modules), dim=-1)
        each = [self.linear(module) for module in modules]
        return lambda x: [one(x) for one in each]

    def norm(self, module: Any) -> Step:
        """As `Kernels`: a CPU's computes in fp32 whatever the input's type."""
        return module  # type: ignore[no-any-return]

    def attention(
        self, query_NRD: Tensor, key_NTD: Tensor, value_NTD: Tensor, heads: int, added: Tensor | None, rate: float
    ) -> Tensor:
        """As `Kernels`."""
        query, key, value = (_by_head(x, heads) for x in (query_NRD, key_NTD, value_NTD))
        if not self._fitted:
            return scaled_dot_product_attention(query, key, value, added).transpose(1, 2).flatten(2)
        queries, keys, values = (x.reshape(-1, *x.shape[2:]) for x in (query, key, value))
        weights = torch.softmax(self._scores(queries, keys, added), dim=-1, dtype=torch.float32).to(self.dtype)
        weights = self.dropout(weights, rate)
        return torch.bmm(weights, values).view(query.shape).transpose(1, 2).flatten(2)

    def _scores(self, queries: Tensor, keys: Tensor, added: Tensor | None) -> Tensor:
        """(N * heads, R, T)."""
        scale = 1 / math.sqrt(queries.shape[2])
        if added is None:
            return torch.bmm(queries, keys.transpose(1, 2)) * scale
        each = added.squeeze(1).repeat_interleave(len(queries) // len(added), dim=0)
        return torch.baddbmm(each, queries, keys.transpose(1, 2), alpha=scale)

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        """As `Kernels`, to 1/65536: draws 16 bits an element."""
        if rate == 0:
            return x
        bits = torch.from_numpy(self._random.random_raw(-(-x.numel() // 4)))
        kept = torch.empty_like(x, requires_grad=False)
        torch.ge(bits.view(torch.int16)[: x.numel()].view(x.shape), round(rate * 2**16) - 2**15, out=kept)
        return x * kept.mul_(1 / (1 - rate))


def packed_linear(modules: Sequence[Any], dtype: torch.dtype, then: str = "none") -> Step:
    """Linear layers of one input as a single product; for weights that stay as they are, where `has_onednn`."""
    # In oneDNN's own order, which each product would else make anew: for one text that takes longer than the product.
    weight_OI, bias = (torch.cat([getattr(m, name).detach() for m in modules]).to(dtype) for name in ("weight", "bias"))
    packed = torch.ops.mkldnn._reorder_linear_weight(weight_OI, ROWS)
    return lambda x: _product(x, packed, bias, then)


@functools.cache
def has_onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes products of this type on this machine's CPU."""
    if not torch._C._has_mkldnn:
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class _OneDnnLinear(torch.autograd.Function):
    """`linear` in fp32 by oneDNN. Torch hands fp32 products to MKL, which takes twice as long on AMD's processors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        rows_RO, rows_RI = gradients[0].flatten(0, -2), x.flatten(0, -2)
        of_weight_OI = _product(rows_RO.t().contiguous(), rows_RI.t().contiguous())
        return _product(gradients[0], weight.t().contiguous()), of_weight_OI, rows_RO.sum(dim=0)


def _product(x: Tensor, weight_OI: Tensor, bias: Tensor | None = None, then: str = "none") -> Tensor:
    # The operator that torch.compile puts in the place of a linear layer on a CPU. Its last word: GELU, not rounded.
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight_OI, bias, then, [], "none")
    return product
