"""BERT's forward pass written out for a CPU: the same function as transformers computes, in fewer and cheaper steps.

Owns no weights: it reads those of the model it is given, and gradients flow back to them. Imports torch only.

What it spares: torch's attention with dropout, which computes in fp32 and four times as long; torch's dropout, which
takes seven times as long to draw; in the last layer, all rows but the one that the classifier reads; MKL in fp32; and
for a model that is not fitted any more, the reordering of its weights in every product, and steps of their own for
GELU and for the values beside the keys: of one text's time, waking the threads for each step is a large part.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

Linear = Callable[[Tensor], Tensor]
ROWS = 2048  # word pieces a product that packed weights are laid out for; others are nearly as fast


def fast_forward(model: Any, dtype: torch.dtype) -> "BertForward | None":
    """A BERT's logits with products in `dtype`, or None for any other kind of model and off the CPU.

    It sees the model's weights and mode (`train` or `eval`) as they are now: make another after they change. In `eval`
    mode it may hold copies of the weights, and no gradients flow.
    """
    if type(model).__name__ != "BertForSequenceClassification":
        return None
    config = model.config
    written_out = (
        model.device.type == "cpu"  # a GPU has fused kernels for all that is spared here
        and config.hidden_act == "gelu"
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not config.is_decoder
    )
    return BertForward(model, dtype) if written_out else None


class BertForward:
    """The forward pass of a `BertForSequenceClassification` (Devlin et al. 2019, transformers' modeling_bert.py).

    Linear layers and attention are in `dtype`; sums, norms, softmax and the head in fp32, as under autocast. In `eval`
    mode what goes from layer to layer is rounded to `dtype`, which spares half of the memory's traffic.
    """

    def __init__(self, model: Any, dtype: torch.dtype):
        config = model.config
        self.model = model
        self.dtype = dtype
        self.between_layers = torch.float32 if model.training else dtype
        self.dropout = config.hidden_dropout_prob if model.training else 0.0
        self.head_dropout = model.dropout.p if model.training else 0.0
        self.layers = [_Layer(layer, config, dtype, model.training) for layer in model.bert.encoder.layer]

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits of shape (N, C), fp32. `input_ids` and `attention_mask` (1 where real) are (N, T)."""
        x_NTD = self._embedded(input_ids, torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids)
        padding = _padding(attention_mask, self.model.config.num_attention_heads, self.dtype)
        for layer in self.layers[:-1]:
            x_NTD = layer(x_NTD, x_NTD, padding)
        x_N1D = self.layers[-1](x_NTD[:, :1], x_NTD, padding)
        pooled_ND = torch.tanh(self.model.bert.pooler.dense(x_N1D[:, 0].float()))
        logits_NC: Tensor = self.model.classifier(dropout(pooled_ND, self.head_dropout))
        return logits_NC

    def _embedded(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        tables = self.model.bert.embeddings
        positions_TD = tables.position_embeddings.weight[: input_ids.shape[1]]
        x_NTD = tables.word_embeddings(input_ids) + positions_TD + tables.token_type_embeddings(token_type_ids)
        return dropout(tables.LayerNorm(x_NTD), self.dropout).to(self.between_layers)


class _Layer:
    """One transformer layer: attention and feed-forward, each with dropout, a residual and a norm behind it."""

    def __init__(self, layer: Any, config: Any, dtype: torch.dtype, training: bool):
        attention = layer.attention
        self.query = _linear(attention.self.query, dtype, training)
        self.key_and_value = _linears((attention.self.key, attention.self.value), dtype, training)
        self.attended = _linear(attention.output.dense, dtype, training)
        self.wide = _linear(layer.intermediate.dense, dtype, training, then="gelu")
        self.narrow = _linear(layer.output.dense, dtype, training)
        self.norm_1, self.norm_2 = attention.output.LayerNorm, layer.output.LayerNorm
        self.heads = config.num_attention_heads
        self.dtype = dtype
        self.dropout = config.hidden_dropout_prob if training else 0.0
        self.weights_dropout = config.attention_probs_dropout_prob if training else 0.0
        self.one_step = not training and dtype == torch.float32  # in bf16, or padded, torch's attention is no faster

    def __call__(self, rows_NRD: Tensor, x_NTD: Tensor, padding: Tensor | None) -> Tensor:
        """The layer's output for `rows` of the input `x`; of the type and shape of `rows`."""
        attended = self.attended(self._attention(rows_NRD.to(self.dtype), x_NTD.to(self.dtype), padding))
        rows_NRD = self.norm_1(rows_NRD + dropout(attended, self.dropout))
        forward = self.narrow(self.wide(rows_NRD.to(self.dtype)))
        out_NRD: Tensor = self.norm_2(rows_NRD + dropout(forward, self.dropout))
        return out_NRD

    def _attention(self, rows_NRD: Tensor, x_NTD: Tensor, padding: Tensor | None) -> Tensor:
        query = self._by_head(self.query(rows_NRD))
        key, value = (self._by_head(part_NTD) for part_NTD in self.key_and_value(x_NTD))
        if self.one_step and padding is None:
            mixed = scaled_dot_product_attention(query[None], key[None], value[None])[0]
        else:
            mixed = torch.bmm(self._weights(query, key, padding), value)
        return mixed.view(len(rows_NRD), self.heads, *mixed.shape[1:]).transpose(1, 2).reshape(rows_NRD.shape)

    def _weights(self, query: Tensor, key: Tensor, padding: Tensor | None) -> Tensor:
        scale = 1 / math.sqrt(query.shape[2])
        if padding is None:
            scores = torch.bmm(query, key.transpose(1, 2)) * scale
        else:
            scores = torch.baddbmm(padding, query, key.transpose(1, 2), alpha=scale)
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(self.dtype)
        return dropout(weights, self.weights_dropout)

    def _by_head(self, x_NTD: Tensor) -> Tensor:
        """(N, T, D) as (N * heads, T, D / heads)."""
        by_head = x_NTD.view(*x_NTD.shape[:2], self.heads, -1).transpose(1, 2)
        return by_head.reshape(-1, *by_head.shape[2:])


def dropout(x: Tensor, rate: float) -> Tensor:
    """`x` with each element zero with probability `rate`, to 1/65536, else divided by 1 - `rate`.

    Draws from torch's generator, 16 bits an element: torch's own dropout takes seven times as long to draw.
    """
    if rate == 0:
        return x
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = torch.empty_like(x, requires_grad=False)
    torch.ge(bits.view(torch.int16)[: x.numel()].view(x.shape), round(rate * 2**16) - 2**15, out=kept)
    return x * kept.mul_(1 / (1 - rate))


def _padding(attention_mask: Tensor, heads: int, dtype: torch.dtype) -> Tensor | None:
    """What is added to attention scores, (N * heads, 1, T): all but minus infinity where padded. None if nothing is."""
    if bool(attention_mask.all()):
        return None
    added_NT = torch.zeros(attention_mask.shape, dtype=dtype)
    added_NT.masked_fill_(attention_mask == 0, torch.finfo(dtype).min)
    return added_NT.repeat_interleave(heads, dim=0).unsqueeze(1)


def _linear(module: Any, dtype: torch.dtype, training: bool, then: str = "none") -> Linear:
    """A linear layer, `then` "gelu" or "none"."""
    if _packs(dtype, training):
        return packed_linear([module], dtype, then)
    weight, bias = module.weight.to(dtype), module.bias.to(dtype)

    def product(x: Tensor) -> Tensor:
        if dtype == torch.float32 and has_onednn(dtype):
            return _OneDnnLinear.apply(x, weight, bias)  # type: ignore[no-any-return, no-untyped-call]
        return linear(x, weight, bias)

    return product if then == "none" else lambda x: gelu(product(x))


def _linears(modules: Sequence[Any], dtype: torch.dtype, training: bool) -> Callable[[Tensor], Sequence[Tensor]]:
    """Linear layers of one input, of equal widths: one product where nothing is fitted."""
    if _packs(dtype, training):
        together = packed_linear(modules, dtype)
        return lambda x: together(x).chunk(len(modules), dim=-1)
    each = [_linear(module, dtype, training) for module in modules]
    return lambda x: [one(x) for one in each]


def _packs(dtype: torch.dtype, training: bool) -> bool:
    return not training and has_onednn(dtype)


def packed_linear(modules: Sequence[Any], dtype: torch.dtype, then: str = "none") -> Linear:
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
