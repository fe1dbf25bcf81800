"""The laws of batches: nothing is left out, nothing is doubled, budgets and steps are kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.model.batching import GROUP, fitting_batches, scoring_batches
from nextlabel.values.arrays import Ints

laws = settings(derandomize=True, deadline=None, max_examples=80)
lengths = st.lists(st.integers(0, 300), max_size=200).map(lambda x: np.array(x, dtype=np.int64))
some_lengths = lengths.filter(len)


def fit(lengths_N: Ints, batch_size: int, steps: int, seed: int = 0) -> list[list[int]]:
    return [b.tolist() for b in fitting_batches(lengths_N, batch_size, steps, np.random.default_rng(seed))]


@laws
@given(lengths_N=lengths, budget=st.integers(1, 2000))
def test_scoring_covers_every_example_once_within_the_budget(lengths_N: Ints, budget: int) -> None:
    batches = list(scoring_batches(lengths_N, budget))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths_N)))
    assert all(len(b) == 1 or len(b) * lengths_N[b].max() <= budget for b in batches)
    seen = [lengths_N[i] for batch in batches for i in batch]
    assert seen == sorted(seen, reverse=True), "longest first"


def test_scoring_fills_the_budget() -> None:
    assert [b.tolist() for b in scoring_batches(np.array([2, 9, 4, 4, 2, 2]), 8)] == [[1], [2, 3], [0, 4, 5]]


def test_without_padding_a_batch_holds_texts_of_one_length() -> None:
    lengths_N = np.array([2, 9, 4, 4, 2, 2, 3])
    assert [b.tolist() for b in scoring_batches(lengths_N, 8, padded=False)] == [[1], [2, 3], [6], [0, 4, 5]]
    assert [b.tolist() for b in scoring_batches(lengths_N, 5, padded=False)] == [[1], [2], [3], [6], [0, 4], [5]]
    assert list(scoring_batches(np.zeros(0, dtype=np.int64), 8, padded=False)) == []


@laws
@given(lengths_N=some_lengths, batch_size=st.integers(1, 40), steps=st.integers(0, 30))
def test_fitting_makes_exactly_the_steps_asked_for(lengths_N: Ints, batch_size: int, steps: int) -> None:
    batches = fit(lengths_N, batch_size, steps)
    assert len(batches) == steps
    assert all(1 <= len(batch) <= batch_size for batch in batches)


@laws
@given(lengths_N=some_lengths, batch_size=st.integers(1, 40), epochs=st.integers(1, 3))
def test_each_epoch_visits_every_example_once(lengths_N: Ints, batch_size: int, epochs: int) -> None:
    an_epoch = -(-len(lengths_N) // batch_size)
    batches = fit(lengths_N, batch_size, epochs * an_epoch)
    for start in range(0, len(batches), an_epoch):
        visited = [i for batch in batches[start : start + an_epoch] for i in batch]
        assert sorted(visited) == list(range(len(lengths_N)))


@laws
@given(lengths_N=some_lengths, seed=st.integers(0, 2**32 - 1))
def test_the_seed_decides_the_batches(lengths_N: Ints, seed: int) -> None:
    assert fit(lengths_N, 4, 20, seed) == fit(lengths_N, 4, 20, seed)


def test_other_seeds_and_later_epochs_mix_anew() -> None:
    lengths_N = np.full(100, 7)
    batches = fit(lengths_N, 10, 20)
    first, second, other = (
        {frozenset(b) for b in part} for part in (batches[:10], batches[10:], fit(lengths_N, 10, 10, 1))
    )
    assert first != second
    assert first != other
    assert first != {frozenset(range(start, start + 10)) for start in range(0, 100, 10)}


@pytest.mark.parametrize("batch_size", [4, 16])
def test_batches_hold_examples_of_similar_length(batch_size: int) -> None:
    lengths_N = np.random.default_rng(0).integers(1, 129, size=GROUP * batch_size * 4)
    batches = fit(lengths_N, batch_size, GROUP * 4)
    spread = np.mean([lengths_N[b].max() - lengths_N[b].min() for b in batches])
    assert spread < 128 / GROUP * 2
    rising = np.diff([lengths_N[b].mean() for b in batches[:GROUP]]) >= 0
    assert not rising.all(), "short and long batches come mixed, or the last steps see long texts only"
