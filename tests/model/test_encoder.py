"""The written-out BERT: transformers' logits and gradients, dropout at the right rate, other models left alone."""

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from nextlabel.model.encoder import BertForward, fast_forward
from nextlabel.model.kernels import CpuKernels, GpuKernels, Packed

SHAPES = {
    "plain": {},
    "one head": {"num_attention_heads": 1},
    "one layer": {"num_hidden_layers": 1},
    "wide": {"hidden_size": 48, "num_attention_heads": 6, "intermediate_size": 20, "num_hidden_layers": 4},
    "three classes": {"num_labels": 3},
    "coarse norms": {"layer_norm_eps": 1e-3},
}
NO_DROPOUT: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def bert(seed: int = 0, **changes: Any) -> Any:
    """A small BERT in eval mode, its weights far enough from zero that every part of it counts."""
    shape = {
        "vocab_size": 50,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "max_position_embeddings": 24,
        "initializer_range": 0.2,
    }
    torch.manual_seed(seed)
    model = BertForSequenceClassification(BertConfig(**{**shape, **changes}))
    for weight in model.parameters():
        if weight.dim() == 1:  # biases start as zeros and norms as ones
            torch.nn.init.normal_(weight, mean=float(weight[0].detach()), std=0.2)
    return model.eval()


def batch(lengths: list[int], pairs: bool = True) -> dict[str, torch.Tensor]:
    """Random word pieces, padded; of a pair the second half are of the second text."""
    generator = torch.Generator().manual_seed(1)
    size = (len(lengths), max(lengths))
    mask = (torch.arange(size[1]) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(1, 50, size, generator=generator) * mask
    types = (torch.arange(size[1]) >= torch.tensor(lengths)[:, None] // 2).long() * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types if pairs else types * 0}


BATCHES = {
    "padded pairs": batch([9, 24, 4, 2]),
    "pairs of one length": batch([7, 7, 7]),
    "padded texts": batch([9, 3, 5], pairs=False),
    "one text": batch([1], pairs=False),
    "without types": {key: value for key, value in batch([9, 3], pairs=False).items() if key != "token_type_ids"},
}


def written_out(model: Any, dtype: torch.dtype = torch.float32) -> BertForward:
    forward = fast_forward(model, dtype)
    assert forward is not None
    return forward


def with_gpu_kernels(model: Any, dtype: torch.dtype = torch.float32) -> BertForward:
    """The steps that a GPU is given, here computed by the CPU."""
    return BertForward(model, GpuKernels(dtype, fitted=model.training))


# The same function


@pytest.mark.parametrize("inputs", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_logits_are_those_of_transformers(shape: dict[str, Any], inputs: dict[str, torch.Tensor]) -> None:
    model = bert(**shape)
    with torch.inference_mode():
        expected_NC = model(**inputs).logits
        logits_NC = written_out(model)(**inputs)
    assert logits_NC.shape == (len(inputs["input_ids"]), model.config.num_labels)
    assert len(logits_NC) == 1 or expected_NC.std(dim=0).min() > 0.05, "the examples differ"
    assert torch.allclose(logits_NC, expected_NC, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("inputs", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_joined_steps_of_eval_mode_give_what_the_separate_ones_of_fitting_give(
    shape: dict[str, Any], inputs: dict[str, torch.Tensor], dtype: torch.dtype
) -> None:
    model = bert(**NO_DROPOUT, **shape)
    with torch.inference_mode():
        joined_NC, separate_NC = (written_out(m, dtype)(**inputs) for m in (model.eval(), model.train()))
    assert torch.allclose(joined_NC, separate_NC, atol=1e-5 if dtype == torch.float32 else 0.05)


@pytest.mark.parametrize("inputs", BATCHES.values(), ids=BATCHES)
def test_the_logits_are_the_same_where_torch_comes_without_onednn(
    inputs: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextlabel.model.kernels.has_onednn", lambda dtype: False)
    model = bert(**NO_DROPOUT)
    with torch.inference_mode():
        expected_NC = model(**inputs).logits
        for mode in (model.eval(), model.train()):
            assert torch.allclose(written_out(mode)(**inputs), expected_NC, atol=1e-5)


def test_in_eval_mode_dropout_rates_do_not_matter() -> None:
    model = bert(hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5, classifier_dropout=0.5)
    inputs = BATCHES["padded pairs"]
    assert torch.equal(written_out(model)(**inputs), written_out(model)(**inputs))


def gradients(model: Any, logits_NC: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.autograd.backward(cross_entropy(logits_NC, torch.arange(len(logits_NC)) % model.config.num_labels))
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("inputs", [BATCHES["padded pairs"], BATCHES["without types"]], ids=["pairs", "without types"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_gradients_are_those_of_transformers(shape: dict[str, Any], inputs: dict[str, torch.Tensor]) -> None:
    model = bert(**NO_DROPOUT, **shape).train()
    expected = gradients(model, model(**inputs).logits)
    found = gradients(model, written_out(model)(**inputs))
    assert found.keys() == expected.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-5 * largest), name


def test_in_bf16_logits_and_gradients_are_close_to_those_in_fp32() -> None:
    model, inputs = bert(**NO_DROPOUT).train(), BATCHES["padded pairs"]
    expected_NC, logits_NC = written_out(model)(**inputs), written_out(model, torch.bfloat16)(**inputs)
    assert logits_NC.dtype == torch.float32
    furthest = float((logits_NC - expected_NC).detach().abs().max())
    assert 0 < furthest < 0.05 * float(expected_NC.detach().abs().max())
    expected, found = gradients(model, expected_NC), gradients(model, logits_NC)
    assert {gradient.dtype for gradient in found.values()} == {torch.float32}
    norm = sum(float((g**2).sum()) for g in expected.values()) ** 0.5
    difference = sum(float(((found[name] - g) ** 2).sum()) for name, g in expected.items()) ** 0.5
    assert 0 < difference < 0.1 * norm


def test_new_weights_need_a_new_forward_which_sees_them() -> None:
    model, inputs = bert(), BATCHES["padded pairs"]
    before_NC = written_out(model)(**inputs)
    with torch.no_grad():
        model.bert.encoder.layer[0].output.dense.weight.mul_(2)
        assert torch.allclose(written_out(model)(**inputs), model(**inputs).logits, atol=1e-5)
    assert not torch.allclose(written_out(model)(**inputs), before_NC, atol=1e-2)


# The steps that a GPU is given


def attention_text_by_text(
    self: GpuKernels,
    query_QD: torch.Tensor,
    key_MD: torch.Tensor,
    value_MD: torch.Tensor,
    heads: int,
    queries: Packed,
    keys: Packed,
) -> torch.Tensor:
    """In the place of flash attention, which only a GPU has."""
    mixed = []
    for text in range(len(keys.starts) - 1):
        of_query, of_key = (slice(*starts[text : text + 2].tolist()) for starts in (queries.starts, keys.starts))
        parts = (query_QD[None, of_query], key_MD[None, of_key], value_MD[None, of_key])
        mixed.append(self.attention(*parts, heads, None, 0.0)[0])
    return torch.cat(mixed)


@pytest.mark.parametrize("inputs", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_with_the_steps_of_a_gpu_the_logits_are_those_of_transformers(
    shape: dict[str, Any], inputs: dict[str, torch.Tensor]
) -> None:
    model = bert(**NO_DROPOUT, **shape)
    with torch.inference_mode():
        expected_NC = model(**inputs).logits
        for mode in (model.eval(), model.train()):
            assert torch.allclose(with_gpu_kernels(mode)(**inputs), expected_NC, atol=1e-5)
            furthest = float((with_gpu_kernels(mode, torch.bfloat16)(**inputs) - expected_NC).abs().max())
            assert furthest < 0.05 * max(1.0, float(expected_NC.abs().max()))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_with_the_steps_of_a_gpu_the_gradients_are_those_of_transformers(shape: dict[str, Any]) -> None:
    model, inputs = bert(**NO_DROPOUT, **shape).train(), BATCHES["padded pairs"]
    expected = gradients(model, model(**inputs).logits)
    found = gradients(model, with_gpu_kernels(model)(**inputs))
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-5 * largest), name


@pytest.mark.parametrize("lengths", [[9, 24, 4, 2], [7, 7], [1]], ids=str)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_texts_that_follow_each_other_have_the_logits_of_padded_ones(
    shape: dict[str, Any], lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GpuKernels, "packed_attention", attention_text_by_text)
    model, inputs = bert(**shape), batch(lengths)
    real = inputs["attention_mask"] == 1
    positions_M = torch.arange(max(lengths)).expand(len(lengths), -1)[real]
    starts = torch.tensor([0, *lengths]).cumsum(0).int()
    with torch.inference_mode():
        expected_NC = model(**inputs).logits
        packed_NC = with_gpu_kernels(model).packed(
            inputs["input_ids"][real], inputs["token_type_ids"][real], positions_M, Packed(starts, max(lengths))
        )
    assert torch.allclose(packed_NC, expected_NC, atol=1e-5)


def test_only_a_gpu_that_can_goes_without_padding() -> None:
    packing = GpuKernels(torch.bfloat16, fitted=False, packs=True)
    assert BertForward(bert(), packing).packs
    assert not BertForward(bert(num_attention_heads=16), packing).packs, "heads of two numbers"
    assert not with_gpu_kernels(bert(), torch.bfloat16).packs
    assert not written_out(bert(), torch.bfloat16).packs, "a CPU has no attention for it"


# Dropout

dropout = CpuKernels(torch.float32, fitted=True).dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_dropout_drops_at_its_rate_and_scales_what_it_keeps(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 1001, dtype=dtype, requires_grad=True)
    dropped = dropout(x, rate)
    share = float((dropped == 0).float().mean())
    assert share == pytest.approx(rate, abs=4 * (rate * (1 - rate) / x.numel()) ** 0.5 + 2**-16)
    assert dropped.dtype == dtype
    kinds = torch.unique(dropped.detach()).float().tolist()
    assert kinds == pytest.approx([0, 1 / (1 - rate)], rel=4e-3)  # bf16's step
    torch.autograd.backward(dropped.sum())
    assert x.grad is not None
    assert torch.equal(x.grad, dropped), "what is dropped gets no gradient, what is kept the scaled one"


def test_dropout_drops_neighbours_rows_and_calls_independently() -> None:
    torch.manual_seed(0)
    first, second = (dropout(torch.ones(1000, 400), 0.5) == 0 for _ in range(2))
    chance = pytest.approx(0.5, abs=4 * 0.5 / first.numel() ** 0.5)
    for step in (1, 2, 3, 4, 8):  # four elements share a 64-bit draw
        assert float((first[:, step:] == first[:, :-step]).float().mean()) == pytest.approx(0.5, abs=4e-3)
    assert float((first[1:] == first[:-1]).float().mean()) == pytest.approx(0.5, abs=4e-3)
    assert float((first == second).float().mean()) == chance
    for offset in range(4):
        assert float(first[:, offset::4].float().mean()) == pytest.approx(0.5, abs=4e-3)


def test_without_a_rate_nothing_is_drawn() -> None:
    torch.manual_seed(0)
    x, state = torch.ones(5), torch.get_rng_state()
    assert dropout(x, 0.0) is x
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "which", ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"], ids=str
)
def test_each_dropout_acts_while_fitting_and_the_seed_decides_it(which: str) -> None:
    model = bert(**{**NO_DROPOUT, "classifier_dropout": 0.0, which: 0.3})
    inputs = BATCHES["padded pairs"]
    exact_NC = written_out(model)(**inputs)
    model.train()

    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return written_out(model)(**inputs)

    assert torch.equal(draw(0), draw(0))
    assert not torch.allclose(draw(0), draw(1), atol=1e-3)
    assert not torch.allclose(draw(0), exact_NC, atol=1e-3)


@pytest.mark.parametrize("which", ["hidden_dropout_prob", "attention_probs_dropout_prob"], ids=str)
def test_the_logits_under_dropout_spread_as_under_transformers(which: str) -> None:
    model = bert(**{**NO_DROPOUT, which: 0.2}, classifier_dropout=0.0).train()
    inputs = {key: value[:1].expand(4000, -1) for key, value in BATCHES["padded pairs"].items()}
    torch.manual_seed(0)
    with torch.inference_mode():
        expected_KC, logits_KC = model(**inputs).logits, written_out(model)(**inputs)
    spread_C = expected_KC.std(dim=0)
    assert torch.allclose(logits_KC.std(dim=0), spread_C, rtol=0.1)
    assert ((logits_KC.mean(dim=0) - expected_KC.mean(dim=0)).abs() < 0.1 * spread_C).all()


# Other models

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
DISTILLED = {"vocab_size": 50, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16}


@pytest.mark.parametrize(
    "model",
    [
        RobertaForSequenceClassification(RobertaConfig(**SMALL)),
        DistilBertForSequenceClassification(DistilBertConfig(**DISTILLED)),
        BertModel(BertConfig(**SMALL)),
        BertForSequenceClassification(BertConfig(**SMALL, hidden_act="relu")),
        BertForSequenceClassification(BertConfig(**SMALL, hidden_act="gelu_new")),
        BertForSequenceClassification(BertConfig(**SMALL, is_decoder=True)),
        torch.nn.Linear(2, 2),
    ],
    ids=["roberta", "distilbert", "no head", "relu", "gelu_new", "decoder", "no transformer"],
)
def test_another_model_is_left_to_transformers(model: torch.nn.Module) -> None:
    assert fast_forward(model, torch.float32) is None


def test_a_model_elsewhere_than_on_the_cpu_is_left_to_transformers() -> None:
    assert fast_forward(bert().to("meta"), torch.float32) is None
