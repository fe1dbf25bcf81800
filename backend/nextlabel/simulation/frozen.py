"""What simulations on frozen features share: the features of a corpus, and what was played, kept on disk."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nextlabel.errors import BadRunError
from nextlabel.learning.fresh_heads import Known
from nextlabel.model import checkpoints
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.simulation import records
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.store.files import replace_file

TRAIN_AT_MOST, TEST_AT_MOST = 3_000, 1_000  # the first ones of a corpus, whose rows stand in random order


@dataclass(frozen=True)
class Corpus:
    """A corpus to be played: its name, its texts, and by which checkpoint they are embedded."""

    name: str
    data: TextSet
    recipe: Recipe

    def parts(self) -> tuple[Known, Known]:
        """The first rows of the training part and of test, embedded. Raises `NoModelError`."""
        encoder = classifiers.load_base(self.recipe)

        def embedded(items: Sequence[Labelled]) -> Known:
            features_ND = encoder.embed([example for example, _ in items])
            return Known(features_ND, self.data.question.class_numbers([label for _, label in items]))

        return embedded(self.data.train[:TRAIN_AT_MOST]), embedded(self.data.test[:TEST_AT_MOST])


def kept(
    directory: Path, plan: Any, base_model: str, out: Path, play: Callable[[Corpus], Iterable[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """What was played of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    `plan` is a dataclass. Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint,
    `BadRunError` when the file has another plan; and what `play` raises.
    """
    data, word_pieces = fetched.read(directory)
    path = out / f"{directory.name}.json"
    setting = {
        **{key: list(value) if isinstance(value, Sequence) else value for key, value in asdict(plan).items()},
        "base_model": checkpoints.identity(base_model),
        "data": data.fingerprint,
    }
    found = records.read_json(path)
    if found is not None and found["setting"] != setting:
        raise BadRunError(f"{path} was played with {found['setting']}, not with {setting}. Give another --out.")
    if found is None:
        corpus = Corpus(directory.name, data, Recipe(base_model, 0, 0.0, 1, word_pieces, 0))
        found = {"setting": setting, "cells": [dict(cell) for cell in play(corpus)]}
        replace_file(path, json.dumps(found, indent=1) + "\n")
    cells: list[dict[str, Any]] = found["cells"]
    return cells
