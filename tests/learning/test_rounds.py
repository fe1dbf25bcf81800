"""The pure parts of a round: its seed, and the batch it picks."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from nextlabel.learning.diversity import Positions
from nextlabel.learning.rounds import Scored, round_seed, select
from nextlabel.learning.strategies import Candidates, Strategy, entropy
from nextlabel.model.classifier import Classifier
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example


def test_every_round_of_every_run_has_a_seed_of_its_own() -> None:
    seeds = [round_seed(seed, number) for seed in range(30) for number in range(60)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert round_seed(3, 4) == round_seed(3, 4)


class Embedder:
    """A model that is asked for embeddings alone: the lengths of texts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, examples: Sequence[Example]) -> Array:
        self.asked += [example.text for example in examples]
        return np.array([[float(len(example.text))] for example in examples])


def farthest(candidates: Candidates, count: int, rng: np.random.Generator) -> Positions:
    gaps_N = np.abs(candidates.embeddings_ND - candidates.labelled_MD.T).min(axis=1)
    return np.argsort(-gaps_N, kind="stable")[:count]


def test_a_strategy_that_picks_a_batch_is_given_what_it_declares_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = Strategy(entropy, batch=farthest, embeddings=True, labelled=True)
    monkeypatch.setattr("nextlabel.learning.rounds.STRATEGIES", {"farthest": declared, "first": FIRST})
    texts = ["a" * length for length in (9, 2, 5)]
    pool = Scored([Example(i, text) for i, text in enumerate(texts)], np.full((3, 2), 0.5), np.array([0.1, 0.3, 0.2]))
    model = Embedder()
    chosen = select(
        cast(Classifier, model), pool, "farthest", 1, seed=0, labelled=[Example(7, "aa"), Example(8, "aaaaa")]
    )
    assert [example.id for example in chosen] == [0]
    assert sorted(model.asked, key=len) == ["aa", "aa", "aaaaa", "aaaaa", "a" * 9]
    model.asked.clear()
    assert [example.id for example in select(cast(Classifier, model), pool, "first", 2, seed=0)] == [1, 2]
    assert model.asked == []


FIRST = Strategy(entropy, batch=lambda candidates, count, rng: np.arange(count), shortlist=1)
