"""Base embeddings of a project's texts, with a real model: what is kept, what is made again, and what a kill leaves."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nextlabel.loop.embedding import Embedder
from nextlabel.model.classifier import Recipe, load_base
from nextlabel.model.tokens import TokenCache
from nextlabel.settings import Settings
from nextlabel.store.pool import EMBEDDINGS, Pool, pool_path
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow
from nextlabel.versions.loaded import SLICE, LoadedVersions
from nextlabel.versions.registry import Registry

PROJECT = 1
MANY = range(1, SLICE + 9)
EXAMPLES = [Example(i, f"text {i}", f"another {i % 7}") for i in MANY]


@pytest.fixture
def recipe(tiny: Path) -> Recipe:
    return Recipe(str(tiny), 0, 0.0, 1, 32, 0, "cpu")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, PROJECT)) as opened:
        opened.upsert(TaskRow(e.id, e, False, False, False, 0, ()) for e in EXAMPLES)
        yield opened


def embedder(recipe: Recipe, home: Path) -> Embedder:
    settings = Settings(_env_file=None, model_dir=home, device="cpu")
    return Embedder(recipe, LoadedVersions(settings, Registry(home), 1), lambda _: TokenCache(home / "tokens"))


def test_what_is_kept_are_the_base_encoders_embeddings_of_unit_length(
    pool: Pool, recipe: Recipe, tmp_path: Path
) -> None:
    made = embedder(recipe, tmp_path)
    made.embed(pool, PROJECT, EXAMPLES)
    ids_N, embedded_ND = pool.vectors(EMBEDDINGS, made.name, MANY)
    assert ids_N.tolist() == list(MANY)
    assert np.linalg.norm(embedded_ND.astype(float), axis=1) == pytest.approx(1, abs=1e-3)
    assert embedded_ND.astype(float) == pytest.approx(load_base(recipe).embed(EXAMPLES), abs=0.01)  # in other batches
    assert pool.without_vector(EMBEDDINGS, made.name, MANY) == []


def test_what_was_embedded_before_it_broke_off_stays(pool: Pool, recipe: Recipe, tmp_path: Path) -> None:
    made = embedder(recipe, tmp_path)

    def break_off(done: int, total: int) -> None:
        assert total == len(EXAMPLES)
        if done > SLICE:
            raise KeyError(done)

    with pytest.raises(KeyError):
        made.embed(pool, PROJECT, EXAMPLES, break_off)
    missing = pool.without_vector(EMBEDDINGS, made.name, MANY)
    assert missing == EXAMPLES[SLICE:]
    made.embed(pool, PROJECT, missing)
    assert pool.without_vector(EMBEDDINGS, made.name, MANY) == []


def test_another_checkpoint_or_another_length_makes_its_own_and_drops_the_others(
    pool: Pool, recipe: Recipe, wide: Path, tmp_path: Path
) -> None:
    first = embedder(recipe, tmp_path)
    others = [
        embedder(replace(recipe, base_model=str(wide)), tmp_path),
        embedder(replace(recipe, max_length=8), tmp_path),
    ]
    assert len({first.name, *(other.name for other in others)}) == 3
    first.embed(pool, PROJECT, EXAMPLES[:3])
    for other in others:
        other.embed(pool, PROJECT, EXAMPLES[:2])
        assert pool.vectors(EMBEDDINGS, other.name, MANY)[0].tolist() == [1, 2]
    assert pool.vectors(EMBEDDINGS, first.name, MANY)[0].tolist() == []
