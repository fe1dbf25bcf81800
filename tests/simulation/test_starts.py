"""Start orders compared: which figures come out, and that they are kept."""

import json
from pathlib import Path

import pytest

from nextlabel.errors import BadRunError
from nextlabel.learning.start_set import START_BY
from nextlabel.simulation import starts
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.starts import StartPlan
from nextlabel.values.examples import Example


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Sixty texts of two kinds."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}")
    rows = [(Example(i, kinds[i % 2].format(i)), "ab"[i % 2]) for i in range(60)]
    data = TextSet("Small", ("a", "b"), tuple(rows[:36]), tuple(rows[36:40]), tuple(rows[40:]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}}
    fetched.write(tmp_path / "small", data, about)
    return tmp_path / "small"


def test_every_start_has_a_cell_and_random_differs_from_itself_by_nothing(
    corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    plan = StartPlan((4, 8), (0, 1, 2), 20)
    cells = starts.play(corpus, plan, str(tiny), tmp_path)
    assert [(cell.labels, cell.start) for cell in cells] == [(n, name) for n in (4, 8) for name in START_BY]
    assert all(cell.by_seed == (0, 0, 0) for cell in cells if cell.start == "random")
    assert all(0 <= cell.macro_f1 <= 1 and 1 <= cell.classes <= 2 and len(cell.by_seed) == 3 for cell in cells)
    assert any(any(cell.by_seed) for cell in cells)
    text = starts.to_markdown(cells)
    assert text.count("| small |") == 2
    assert f"| corpus | {' | '.join(START_BY)} |" in text


def test_what_is_there_is_not_played_again_and_another_plan_is_refused(
    corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    plan = StartPlan((4,), (0,), 20)
    cells = starts.play(corpus, plan, str(tiny), tmp_path)
    kept = json.loads((tmp_path / "small.json").read_text())
    kept["cells"][0]["macro_f1"] = 0.125
    (tmp_path / "small.json").write_text(json.dumps(kept))
    again = starts.play(corpus, plan, str(tiny), tmp_path)
    assert again[0].macro_f1 == 0.125
    assert again[1:] == cells[1:]
    with pytest.raises(BadRunError, match=r"small\.json was played with .*Give another --out"):
        starts.play(corpus, StartPlan((4,), (0, 1), 20), str(tiny), tmp_path)


def test_more_labels_than_a_pool_has_are_refused(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match="ends at 25, and a pool of small has 20 texts"):
        starts.play(corpus, StartPlan((4, 25), (0,), 20), str(tiny), tmp_path)
