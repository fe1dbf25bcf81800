"""Second labels beside new ones: which figures come out, whose labels they are, and what two labels come to."""

import json
from pathlib import Path

import numpy as np
import pytest

from nextlabel.errors import BadRunError
from nextlabel.learning.fresh_heads import Known
from nextlabel.simulation import second_labels
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.doubt import PEOPLE
from nextlabel.simulation.second_labels import ALL, HALF, MEASURES, NEW, SUSPECTS, WAYS, Project, SecondPlan
from nextlabel.simulation.starts import Frozen
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


def test_every_way_has_its_cells_the_same_each_time(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    plan = SecondPlan(40, (0.1, 0.3), (0, 1, 2), 100)
    cells = second_labels.play(corpus, plan, str(tiny), tmp_path)
    assert [(cell.wrong_share, cell.way) for cell in cells] == [(share, way) for share in plan.wrong for way in WAYS]
    assert all(0 <= value <= 1 for cell in cells for name in MEASURES for value in getattr(cell, name))
    assert {cell.way: set(cell.again) for cell in cells if cell.way != SUSPECTS} == {
        NEW: {0.0},
        HALF: {0.5},
        ALL: {1.0},
    }
    assert second_labels.to_markdown(cells).count("| small |") == 2 * len(MEASURES)
    (tmp_path / "again").mkdir()
    assert second_labels.play(corpus, plan, str(tiny), tmp_path / "again") == cells
    kept = json.loads((tmp_path / "small.json").read_text())
    kept["cells"][0]["wrong"] = [0.5, 0.5, 0.5]
    (tmp_path / "small.json").write_text(json.dumps(kept))
    assert second_labels.play(corpus, plan, str(tiny), tmp_path)[0].wrong == (0.5, 0.5, 0.5), "not played again"
    with pytest.raises(BadRunError, match=r"A pool of small has fewer than 120 texts\. Give fewer --labels"):
        second_labels.play(corpus, SecondPlan(60, (0.1,), (0,), 100), str(tiny), tmp_path / "again2")


def clusters(each: int) -> Known:
    """Three kinds of texts that are easily told apart."""
    rng = np.random.default_rng(0)
    points_ND = np.repeat(np.eye(3, 8), each, axis=0) + rng.normal(scale=0.05, size=(3 * each, 8))
    return Known(points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True), np.repeat(np.arange(3), each))


def test_a_second_label_is_another_persons_and_the_more_probable_of_two_is_in_force() -> None:
    pool = clusters(60)
    wrong = {}
    for way in (SUSPECTS, ALL):
        project = Project(pool, 3, 0.2, np.random.default_rng(1))
        project.label(range(0, 180, 2))
        right_N = pool.targets_N[project.tasks]
        before = float(np.mean(project.in_force_N != right_N))
        project.annotate(way, 90)
        again = [cast for cast in project.casts[90:] if cast.row < 90]
        assert all(cast.person == str((cast.row + 1) % PEOPLE) for cast in again)
        assert len({cast.row for cast in again}) == len(again)
        assert len(project.casts) == 180, "the rest are new tasks"
        wrong[way] = float(np.mean(project.in_force_N[:90] != right_N))
    assert before > wrong[SUSPECTS] > wrong[ALL]
    assert wrong[ALL] < before / 2


def test_a_label_that_a_second_person_gives_too_stays() -> None:
    project = Project(clusters(20), 3, 0.0, np.random.default_rng(1))
    project.label(range(0, 60, 2))
    project.annotate(ALL, 20)
    assert (project.in_force_N == clusters(20).targets_N[project.tasks]).all()
    assert project.measured(Frozen(clusters(20).features_ND.astype(np.float64), clusters(20).targets_N))["again"] == 1.0
