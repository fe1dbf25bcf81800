"""Batches are cut on the device: what is padded where, whichever texts are asked for."""

import numpy as np
import pytest
import torch

from nextlabel.model.device_tokens import DeviceTokens, Side
from nextlabel.model.tokens import Tokens, of_lists

TOKENS = of_lists([[5, 6, 7], [8], [9, 70_000]], [[0, 0, 1], [0], [1, 1]])


def placed(tokens: Tokens) -> DeviceTokens:
    return DeviceTokens(tokens.ids_M, tokens.types_M, tokens.starts_N, tokens.lengths_N, torch.device("cpu"))


def test_padding_stands_at_the_end_and_is_masked() -> None:
    ids, mask, types = placed(TOKENS).padded(torch.tensor([2, 0]), 3, padding=99)
    assert ids.tolist() == [[9, 70_000, 99], [5, 6, 7]]
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert types.tolist() == [[1, 1, 0], [0, 0, 1]]
    assert {tensor.dtype for tensor in (ids, mask, types)} == {torch.int64}


def test_padding_stands_at_the_beginning_where_that_is_asked_for() -> None:
    ids, mask, types = placed(TOKENS).padded(torch.tensor([2, 0, 1]), 4, padding=99, side=Side.LEFT)
    assert ids.tolist() == [[99, 99, 9, 70_000], [99, 5, 6, 7], [99, 99, 99, 8]]
    assert mask.tolist() == [[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]]
    assert types.tolist() == [[0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_texts_of_equal_length_are_found() -> None:
    texts = placed(of_lists([[1, 2], [3], [4, 5], [6]], None))
    groups = [(rows_R.tolist(), length) for rows_R, length in texts.of_equal_length(torch.tensor([3, 0, 2, 1]))]
    assert groups == [([3, 1], 1), ([0, 2], 2)]


@pytest.mark.parametrize("length", [3, 4, 16])
def test_a_batch_may_be_longer_than_its_longest_text(length: int) -> None:
    ids, mask, types = placed(TOKENS).padded(torch.arange(3), length, padding=0)
    assert [row[row_mask == 1].tolist() for row, row_mask in zip(ids, mask, strict=True)] == [
        [5, 6, 7],
        [8],
        [9, 70_000],
    ]
    assert ids.shape == mask.shape == types.shape == (3, length)
    assert not ids[mask == 0].any()
    assert not types[mask == 0].any()


def test_texts_that_are_views_of_a_larger_store_are_cut_where_they_begin() -> None:
    store = Tokens(TOKENS.ids_M, TOKENS.types_M, TOKENS.starts_N[[2, 1]], TOKENS.lengths_N[[2, 1]])
    ids, _, _ = placed(store).padded(torch.arange(2), 2, padding=1)
    assert ids.tolist() == [[9, 70_000], [8, 1]]


def test_packed_texts_follow_each_other_and_each_counts_its_own_positions() -> None:
    (batch,) = placed(TOKENS).batches([np.array([2, 0])])
    ids, types, positions, starts = placed(TOKENS).packed(batch)
    assert ids.tolist() == [9, 70_000, 5, 6, 7]
    assert types.tolist() == [1, 1, 0, 0, 1]
    assert positions.tolist() == [0, 1, 0, 1, 2]
    assert (starts.tolist(), starts.dtype) == ([0, 2, 5], torch.int32)


def test_batches_know_their_lengths_and_fall_into_halves() -> None:
    first, second = placed(TOKENS).batches([np.array([2, 0]), np.array([1])])
    assert (first.rows_R.tolist(), first.longest, first.shortest, len(first)) == ([2, 0], 3, 2, 2)
    assert (second.rows_R.tolist(), second.longest, second.shortest, len(second)) == ([1], 1, 1, 1)
    assert [(half.rows_R.tolist(), half.longest) for half in first.halves()] == [([2], 2), ([0], 3)]


def test_a_mapped_file_is_left_as_it_is() -> None:
    ids_M = np.array([3, 4], dtype=np.uint16)
    ids_M.flags.writeable = False
    tokens = Tokens(ids_M, np.zeros(2, dtype=np.uint8), np.array([0]), np.array([2]))
    assert placed(tokens).padded(torch.tensor([0]), 2, padding=0)[0].tolist() == [[3, 4]]
