"""BERT's forward pass written out: the same function as transformers computes, in fewer and cheaper steps.

Owns no weights: it reads those of the model it is given, and gradients flow back to them. Imports torch only.

For logits it computes only the one row of the last layer that the classifier reads. What else it spares depends on the
processor and is in `kernels`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nextlabel.model.kernels import (
    GpuKernels,
    Kernels,
    Packed,
    kernels,
    padding,
)


def fast_forward(model: Any, dtype: torch.dtype) -> "BertForward | None":
    """A BERT's logits with products in `dtype`, or None for any other kind of model and where it would not be faster.

    It sees the model's weights and mode (`train` or `eval`) as they are now: make another after they change. In `eval`
    mode it may hold copies of the weights, and no gradients flow.
    """
    if type(model).__name__ != "BertForSequenceClassification":
        return None
    config, steps = model.config, kernels(model.device, dtype, model.training)
    written_out = (
        config.hidden_act == "gelu"
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not config.is_decoder
    )
    return BertForward(model, steps) if written_out and steps is not None else None


class BertForward:
    """The forward pass of a `BertForSequenceClassification` (Devlin et al. 2019, transformers' modeling_bert.py).

    Linear layers and attention are in the `kernels`' type; sums, norms, softmax and the head in fp32, as under
    autocast. In `eval` mode what goes from layer to layer is rounded to that type.
    """

    def __init__(self, model: Any, kernels: Kernels):
        config = model.config
        self.model = model
        self.kernels = kernels
        self.heads = config.num_attention_heads
        self.dropout = config.hidden_dropout_prob if model.training else 0.0
        self.weights_dropout = config.attention_probs_dropout_prob if model.training else 0.0
        self.head_dropout = model.dropout.p if model.training else 0.0
        self.layers = [_Layer(layer, kernels, self.dropout) for layer in model.bert.encoder.layer]

    def __call__(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Logits of shape (N, C), fp32. `input_ids` and `attention_mask` (1 where real; None: all is) are (N, T)."""
        x_NTD, attend = self._through_all_but_last(input_ids, attention_mask, token_type_ids)
        return self._classified(self.layers[-1](x_NTD[:, :1], x_NTD, attend)[:, 0])

    def hidden(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """The last hidden states of the same arguments, fp32 of shape (N, T, D)."""
        x_NTD, attend = self._through_all_but_last(input_ids, attention_mask, token_type_ids)
        return self.layers[-1](x_NTD, x_NTD, attend).float()

    def _through_all_but_last(
        self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None
    ) -> tuple[Tensor, Callable[..., Tensor]]:
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        x_NTD = self._embedded(input_ids, types, torch.arange(input_ids.shape[1], device=input_ids.device))
        added = None if attention_mask is None else padding(attention_mask, self.kernels.dtype)
        attend = partial(self.kernels.attention, heads=self.heads, added=added, rate=self.weights_dropout)
        for layer in self.layers[:-1]:
            x_NTD = layer(x_NTD, x_NTD, attend)
        return x_NTD, attend

    def packed(self, ids_M: Tensor, types_M: Tensor, positions_M: Tensor, texts: Packed) -> Tensor:
        """Logits of shape (N, C), fp32, of N texts that follow each other without padding; where `packs`."""
        kernels = self.kernels
        assert isinstance(kernels, GpuKernels)
        x_MD = self._embedded(ids_M, types_M, positions_M)
        attend = partial(kernels.packed_attention, heads=self.heads, queries=texts, keys=texts)
        for layer in self.layers[:-1]:
            x_MD = layer(x_MD, x_MD, attend)
        first = Packed(torch.arange(len(texts.starts), dtype=torch.int32, device=ids_M.device), 1)
        attend = partial(kernels.packed_attention, heads=self.heads, queries=first, keys=texts)
        return self._classified(self.layers[-1](x_MD[texts.starts[:-1]], x_MD, attend))

    @property
    def packs(self) -> bool:
        """Whether texts need no padding here."""
        whole = self.model.config.hidden_size // self.heads % 8 == 0  # flash attention reads eight numbers at a time
        return isinstance(self.kernels, GpuKernels) and self.kernels.packs and whole

    def _embedded(self, ids: Tensor, types: Tensor, positions: Tensor) -> Tensor:
        tables = self.model.bert.embeddings
        x = tables.word_embeddings(ids) + tables.position_embeddings(positions) + tables.token_type_embeddings(types)
        return self.kernels.dropout(tables.LayerNorm(x), self.dropout).to(self.kernels.between_layers)

    def _classified(self, x_ND: Tensor) -> Tensor:
        pooled_ND = torch.tanh(self.model.bert.pooler.dense(x_ND.float()))
        logits_NC: Tensor = self.model.classifier(self.kernels.dropout(pooled_ND, self.head_dropout))
        return logits_NC


class _Layer:
    """One transformer layer: attention and feed-forward, each with dropout, a residual and a norm behind it."""

    def __init__(self, layer: Any, kernels: Kernels, rate: float):
        attention = layer.attention
        self.query = kernels.linear(attention.self.query)
        self.key_and_value = kernels.linears((attention.self.key, attention.self.value))
        self.attended = kernels.linear(attention.output.dense)
        self.wide = kernels.linear(layer.intermediate.dense, then="gelu")
        self.narrow = kernels.linear(layer.output.dense)
        self.norm_1, self.norm_2 = kernels.norm(attention.output.LayerNorm), kernels.norm(layer.output.LayerNorm)
        self.kernels = kernels
        self.rate = rate

    def __call__(self, rows: Tensor, x: Tensor, attend: Callable[..., Tensor]) -> Tensor:
        """The layer's output for `rows` of the input `x`; of the type and shape of `rows`."""
        dtype, dropout = self.kernels.dtype, self.kernels.dropout
        mixed = attend(self.query(rows.to(dtype)), *self.key_and_value(x.to(dtype)))
        rows = self.norm_1(rows + dropout(self.attended(mixed), self.rate))
        return self.norm_2(rows + dropout(self.narrow(self.wide(rows.to(dtype))), self.rate))
