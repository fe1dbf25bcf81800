"""A fit with only the rows in use of the word table, against one with the whole table."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    CanineConfig,
    CanineForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from nextlabel.model.word_table import RowsInUse, rows_in_use

SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 32}
SIZES |= {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 20, "pad_token_id": 1}
IDS = torch.tensor([[2, 5, 7, 9, 3], [2, 30, 5, 3, 1]])  # 1 is padding
CLASSES = torch.tensor([0, 1])


def bert() -> Any:
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(**SIZES))


def roberta() -> Any:
    torch.manual_seed(0)
    return RobertaForSequenceClassification(RobertaConfig(**SIZES))


def train(model: Any, steps: int = 3) -> None:
    torch.manual_seed(1)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    for _ in range(steps):
        logits = model(input_ids=IDS, attention_mask=(IDS != 1).long()).logits
        torch.autograd.backward(cross_entropy(logits, CLASSES))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimiser.step()
        optimiser.zero_grad()


@pytest.mark.parametrize("make", [bert, roberta])
def test_the_weights_become_what_they_become_with_the_whole_table(make: Any) -> None:
    whole, before = make(), make().get_input_embeddings().weight
    ours = copy.deepcopy(whole)
    train(whole)
    with rows_in_use(ours, IDS.numpy()):
        assert ours.get_input_embeddings().weight.shape == (7, 16)
        train(ours)
    assert list(ours.state_dict()) == list(whole.state_dict())
    for name, weight in whole.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name), weight, atol=1e-5, rtol=0)
    after = ours.get_input_embeddings().weight
    moved = set((after != before).any(dim=1).nonzero().flatten().tolist())
    assert moved == {2, 3, 5, 7, 9, 30}, "those in use, but for padding"


def test_an_id_that_was_not_named_is_refused() -> None:
    model = bert()
    with rows_in_use(model, IDS.numpy()), pytest.raises(IndexError):
        model(input_ids=torch.tensor([[2, 4, 3]]))


def test_the_whole_table_is_back_when_a_fit_fails() -> None:
    model = bert()
    with pytest.raises(KeyboardInterrupt), rows_in_use(model, IDS.numpy()):
        raise KeyboardInterrupt
    assert model.get_input_embeddings().weight.shape == (40, 16)


def test_padding_may_be_of_another_id_than_the_tables() -> None:
    table = torch.nn.Embedding(9, 4, padding_idx=0)
    rows = RowsInUse(table, torch.tensor([3, 8]))
    assert rows.padding_idx is None
    assert torch.equal(rows(torch.tensor([8, 3, 8])), table(torch.tensor([8, 3, 8])))


def test_a_table_that_two_parts_share_is_left_as_it_is() -> None:
    sizes = {"d_model": 16, "vocab_size": 40, "encoder_layers": 1, "decoder_layers": 1}
    model = BartForSequenceClassification(BartConfig(**sizes, encoder_ffn_dim=16, decoder_ffn_dim=16))
    table = model.get_input_embeddings()
    with rows_in_use(model, np.array([1, 2])):
        assert model.get_input_embeddings() is table


def test_a_model_without_such_a_table_is_left_as_it_is() -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = CanineForSequenceClassification(CanineConfig(**sizes, num_hash_buckets=16))
    before = [name for name, _ in model.named_parameters()]
    with rows_in_use(model, np.array([1, 2])):
        assert [name for name, _ in model.named_parameters()] == before
