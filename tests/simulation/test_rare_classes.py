"""A rare class helped by slots: which figures come out, that what is looked for is found, and what is kept."""

import json
from pathlib import Path

import numpy as np
import pytest

from nextlabel.errors import BadRunError
from nextlabel.problems.metrics import f1_of_class
from nextlabel.simulation import wanted
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.wanted import MEASURES, WAYS, WantedPlan, f1_of_thinned
from nextlabel.values.examples import Example


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two hundred texts of two kinds."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}")
    rows = [(Example(i, kinds[i % 2].format(i)), "ab"[i % 2]) for i in range(200)]
    data = TextSet("Small", ("a", "b"), tuple(rows[:152]), tuple(rows[152:160]), tuple(rows[160:]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}}
    fetched.write(tmp_path / "small", data, about)
    return tmp_path / "small"


def test_every_way_has_a_cell_the_same_each_time_and_texts_find_the_rare_class_early(
    corpus: Path, minilm: Path, tmp_path: Path
) -> None:
    plan = WantedPlan((20, 30), (0, 1, 2), 40)
    cells = wanted.play(corpus, plan, str(minilm), tmp_path)
    assert [(cell.way, cell.labels) for cell in cells] == [(way, n) for way in WAYS for n in (20, 30)]
    assert all(len(getattr(cell, measure)) == 3 for cell in cells for measure in MEASURES)
    assert all(0 <= f1 <= 1 for cell in cells for f1 in (*cell.f1, *cell.others, *cell.macro_f1))
    assert {cell.found for cell in cells if cell.way == "3 texts"} == {(1.0, 1.0, 1.0)}, "all there are, at once"
    assert wanted.to_markdown(cells).count("| small ") == 2 * len(MEASURES)
    (tmp_path / "again").mkdir()
    assert wanted.play(corpus, plan, str(minilm), tmp_path / "again") == cells
    kept = json.loads((tmp_path / "small.json").read_text())
    kept["cells"][0]["rare"] = 7.0
    (tmp_path / "small.json").write_text(json.dumps(kept))
    assert wanted.play(corpus, plan, str(minilm), tmp_path)[0].rare == 7.0, "not played again"
    with pytest.raises(BadRunError, match=r"small\.json was played with .*Give another --out"):
        wanted.play(corpus, WantedPlan((20,), (0,), 40), str(minilm), tmp_path)


def test_more_labels_than_a_pool_has_are_refused(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match=r"No class of small has texts enough for 60 labels\. Give fewer"):
        wanted.play(corpus, WantedPlan((20, 60), (0,), 2000), str(tiny), tmp_path)


def test_f1_of_a_thinned_test_is_that_of_one_with_so_many_copies_of_all_others() -> None:
    rng = np.random.default_rng(0)
    targets_N, guessed_N = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    rare = targets_N == 1
    copies = 99 * int(rare.sum())  # of each other text; and of each rare one as many as there are others
    repeated = np.where(rare, int((~rare).sum()), copies)
    expected = {c: f1_of_class(np.repeat(targets_N, repeated), np.repeat(guessed_N, repeated), c) for c in range(3)}
    assert f1_of_thinned(targets_N, guessed_N, 1) == pytest.approx(expected)
