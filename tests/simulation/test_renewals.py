"""Renewed orders compared: which figures come out, and that they are kept."""

import json
from pathlib import Path

import pytest

from nextlabel.errors import BadRunError
from nextlabel.simulation import renewals
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.renewals import BASE, RANDOM, WAYS, RenewalPlan
from nextlabel.values.examples import Example


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A hundred texts of two kinds."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}")
    rows = [(Example(i, kinds[i % 2].format(i)), "ab"[i % 2]) for i in range(100)]
    data = TextSet("Small", ("a", "b"), tuple(rows[:72]), tuple(rows[72:80]), tuple(rows[80:]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}}
    fetched.write(tmp_path / "small", data, about)
    return tmp_path / "small"


def test_every_way_has_a_cell_and_the_base_differs_from_itself_by_nothing(
    corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    plan = RenewalPlan((20, 30), (0, 1, 2), 40)
    cells = renewals.play(corpus, plan, str(tiny), tmp_path)
    assert [(cell.labels, cell.way) for cell in cells] == [(n, way) for n in (20, 30) for way in (RANDOM, *WAYS)]
    assert all(cell.by_seed == (0, 0, 0) for cell in cells if cell.way == BASE)
    assert all(0 <= cell.macro_f1 <= 1 and len(cell.by_seed) == 3 for cell in cells)
    text = renewals.to_markdown(cells)
    assert text.count("| small |") == 2
    (tmp_path / "again").mkdir()
    assert renewals.play(corpus, plan, str(tiny), tmp_path / "again") == cells, "the same each time"


def test_what_is_there_is_not_played_again_and_another_plan_is_refused(
    corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    plan = RenewalPlan((20,), (0,), 40)
    cells = renewals.play(corpus, plan, str(tiny), tmp_path)
    kept = json.loads((tmp_path / "small.json").read_text())
    kept["cells"][0]["macro_f1"] = 0.125
    (tmp_path / "small.json").write_text(json.dumps(kept))
    again = renewals.play(corpus, plan, str(tiny), tmp_path)
    assert again[0].macro_f1 == 0.125
    assert again[1:] == cells[1:]
    with pytest.raises(BadRunError, match=r"small\.json was played with .*Give another --out"):
        renewals.play(corpus, RenewalPlan((20,), (0, 1), 40), str(tiny), tmp_path)


@pytest.mark.parametrize("labels", [(16,), (20, 41)])
def test_labels_within_the_start_or_beyond_the_pool_are_refused(
    labels: tuple[int, ...], corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadRunError, match="give more than 16, and at most the 40 texts of a pool of small"):
        renewals.play(corpus, RenewalPlan(labels, (0,), 40), str(tiny), tmp_path)
