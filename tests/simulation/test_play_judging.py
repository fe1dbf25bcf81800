"""Replays of a project with a control set: what comes out is fair, kept, and told on the committed page."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from helpers.paths import ROOT
from nextlabel.errors import BadRunError
from nextlabel.learning.judging import SKIPPED
from nextlabel.problems.intervals import Interval, clopper_pearson
from nextlabel.problems.judgement import WIDE
from nextlabel.problems.quality import Estimate
from nextlabel.simulation import judging, project
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.judging import BY_ALL, FIGURES, LEFT, MACRO_F1, NEW, RECALL, Cell, JudgingPlan, Played
from nextlabel.simulation.project import Project, Source
from nextlabel.simulation.starts import Frozen
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example

REPORTS = ROOT / "reports" / "coverage"


def played_in(directory: Path) -> dict[str, Played]:
    """By corpus, what a directory of records holds."""
    found = {
        path.stem.removeprefix("judging-"): json.loads(path.read_text()) for path in directory.glob("judging-*.json")
    }
    return {
        name: Played(name, kept["replays"], [Cell(**cell) for cell in kept["cells"]]) for name, kept in found.items()
    }


PLAYED = played_in(REPORTS)
PLAN = JudgingPlan((32, 34))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A hundred texts of two kinds, one of them twice."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}")
    rows = [(Example(i, kinds[i % 2].format(i)), "ab"[i % 2]) for i in range(100)]
    rows[2] = (Example(2, rows[0][0].text), "a")
    data = TextSet("Small", ("a", "b"), tuple(rows[:72]), tuple(rows[72:80]), tuple(rows[80:]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}}
    fetched.write(tmp_path / "small", data, about)
    return tmp_path / "small"


def test_replays_that_go_on_are_those_of_one_go_and_none_is_played_twice(
    corpus: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = judging.play(corpus, PLAN, 3, str(tiny), tmp_path)
    assert [(cell.figure, cell.labels) for cell in once.cells] == [(of, n) for of in FIGURES for n in (32, 34)]
    assert {cell.replays for cell in once.cells if cell.figure == NEW} == {3}
    (tmp_path / "again").mkdir()
    judging.play(corpus, PLAN, 1, str(tiny), tmp_path / "again")
    monkeypatch.setattr(judging, "KEPT", 1)
    assert judging.play(corpus, PLAN, 3, str(tiny), tmp_path / "again") == once
    monkeypatch.setattr(judging, "Project", None)
    assert judging.play(corpus, PLAN, 2, str(tiny), tmp_path / "again") == once
    with pytest.raises(BadRunError, match=r"judging-small\.json was played with .*Give another --out"):
        judging.play(corpus, JudgingPlan((32,)), 3, str(tiny), tmp_path)


@pytest.mark.parametrize("labels", [(31,), (32, 35)])
def test_labels_within_the_start_or_beyond_the_pool_are_refused(
    labels: tuple[int, ...], corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadRunError, match="give at least 32, and at most 34 with a pool of 60 texts of small"):
        judging.play(corpus, JudgingPlan(labels), 1, str(tiny), tmp_path)


def blurred(texts: int) -> Source:
    """Two classes on a line, which cannot be told near the middle."""
    rng = np.random.default_rng(0)
    points_ND = rng.normal(size=(texts, 2))
    targets_N = (rng.random(texts) < 1 / (1 + np.exp(-3 * points_ND[:, 0]))).astype(np.int64)
    return Source("blurred", [(f"text {n}", None) for n in range(texts)], Frozen(points_ND, targets_N), ("a", "b"))


def test_the_control_set_has_its_turns_and_is_not_learnt_and_what_is_imported_counts_once_caught_up() -> None:
    looks = Project(blurred(900), 0, import_at=100).looks(range(60, 281))
    assert sorted(looks) == list(range(60, 281))
    for labels, look in looks.items():
        sample = look.judgement.sample
        assert look.judgement.figures is not None, "else a control text would have been learnt"
        assert abs(sample.answered + sample.waiting - labels / 10) <= 3
    newer = [look.judgement.sample.newer > 0 for look in looks.values()]
    assert not any(newer[:41])
    assert newer[41]
    assert not newer[-1]
    assert looks[100].judgement.sample.texts < looks[101].judgement.sample.texts


@pytest.mark.parametrize("hard_skips", [False, True])
def test_a_skipped_text_of_the_control_set_counts_without_an_answer_and_is_asked_no_more(
    hard_skips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "SKIPS", 0.25)
    played = Project(blurred(400), 2, import_at=80, hard_skips=hard_skips)
    look = played.looks([160])[160]
    sample = look.judgement.sample
    assert sample.skipped > 0
    skipped = {text.task_ids[0] for text in played._texts() if text.state == SKIPPED}
    assert sample.skipped <= len(skipped)
    assert skipped.isdisjoint(played._given)
    pool_again = {task for task in played._skipped if played._of_pool_N[task]} & set(played._given)
    assert pool_again, "of the pool the other one gets it"


def test_hard_texts_are_skipped_more_often_and_as_many_in_all() -> None:
    played = Project(blurred(900), 0, import_at=100, hard_skips=True)
    middle_N = np.abs(played._points.points_ND[: played._pool, 0])
    hard, easy = (played._skips_N[np.argsort(middle_N)[part]].mean() for part in (slice(100), slice(-100, None)))
    assert hard > 5 * easy
    assert played._skips_N.mean() == pytest.approx(project.SKIPS, abs=0.002)


class Oracle:
    """Versions that know every text."""

    def __init__(self, source: Source):
        self._points, self.learnt = source.points, list[list[int]]()

    def fit(self, known: Sequence[int], seed: int) -> tuple[Array, Array]:
        self.learnt.append(list(known))
        return 0.01 + 0.98 * np.eye(2)[self._points.targets_N], self._points.points_ND


def test_versions_are_judged_in_turn_with_heads_and_learn_no_text_of_the_control_set() -> None:
    source = blurred(900)
    versions = Oracle(source)
    played = Project(source, 3, import_at=100, versions=versions)
    looks = played.looks([64, 65, 73, 129])
    assert [looks[labels].new.accuracy == 1.0 for labels in (64, 65, 73, 129)] == [False, True, False, True]
    assert looks[65].left == 1.0
    control = set(played._order_N[list(played._control)].tolist())
    judging_N = np.array([64, 128]) - list(map(len, versions.learnt))
    assert all((judging_N >= 4) & (judging_N <= 16)), "about one in ten of them"
    assert not control & set(versions.learnt[0] + versions.learnt[1])
    assert set(versions.learnt[0]) < set(versions.learnt[1])


def test_real_fits_are_played_and_kept_one_by_one(
    corpus: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "FIT_EVERY", 32)
    plan = JudgingPlan((32, 34), fits=True)
    once = judging.play(corpus, plan, 2, str(tiny), tmp_path)
    assert {cell.replays for cell in once.cells if cell.figure == NEW} == {2}
    assert judging.play(corpus, plan, 2, str(tiny), tmp_path) == once
    heads = judging.play(corpus, PLAN, 2, str(tiny), tmp_path.parent)
    assert heads.cells[0] == once.cells[0], "at 32 labels there is no version yet"
    assert heads.cells[1] != once.cells[1]
    assert "versions are fitted" in plan.about
    assert "versions are fitted" not in PLAN.about


@pytest.mark.usefixtures("patience")
def test_labels_without_a_mark_are_fair_to_what_is_left_and_all_of_them_are_not() -> None:
    played = Played("blurred", 0, [Cell(80, figure) for figure in FIGURES])
    further = judging._further(blurred(400), JudgingPlan((80,)), None, played, 100)
    cells = {cell.figure: cell for cell in further.cells}
    assert all(abs(cells[figure].bias) < 3 * cells[figure].standard_error for figure in (NEW, LEFT))
    assert cells[BY_ALL].bias < -4 * cells[BY_ALL].standard_error


def test_tallies_by_hand() -> None:
    cell = Cell(100, NEW)
    cell = cell.plus([(Estimate(0.8, Interval(0.7, 0.9), 10), 0.7), (Estimate(0.5, Interval(0.4, 0.6), 10), 0.7)])
    cell = cell.plus([(Estimate(0.9, Interval(0.8, 1.0), 10), 0.85), (Estimate(0.5, Interval(0, 1), 10), None)])
    cell = cell.plus([(Estimate(None, Interval(0, 1), 0), 0.85)])
    assert (cell.replays, cell.intervals, cell.covered) == (2, 3, 2)
    assert cell.bias == pytest.approx((-0.05 + 0.05) / 2)
    assert cell.standard_error == pytest.approx(np.std([-0.05, 0.05], ddof=1) / np.sqrt(2))
    assert cell.width == pytest.approx(0.2 + 0.2 + 0.2)


def committed(figure: str) -> dict[tuple[str, int], Cell]:
    """By corpus and label count."""
    return {
        (corpus, cell.labels): cell
        for corpus, played in PLAYED.items()
        for cell in played.cells
        if cell.figure == figure
    }


@pytest.mark.parametrize(("figure", "least"), [(NEW, 0.96), (LEFT, 0.96), (RECALL, 0.97)])
def test_the_committed_figures_have_no_bias_and_cover_what_the_page_says(figure: str, least: float) -> None:
    cells = committed(figure)
    assert {corpus for corpus, _ in cells} == {"r8", "reviews-even", "spam"}
    for cell in cells.values():
        assert cell.replays == 1000
        assert abs(cell.bias) <= 3 * cell.standard_error
        assert cell.coverage >= least


@pytest.mark.parametrize(("count", "shown", "bias", "coverage"), [(40, 0.04, 0.14, 0.61), (60, 0.78, 0.02, 0.98)])
def test_the_share_of_right_answers_is_too_high_where_it_is_hardly_shown(
    count: int, shown: float, bias: float, coverage: float
) -> None:
    """Exactly, where 0.72 are right."""
    weights: list[float] = stats.binom(count, 0.72).pmf(np.arange(count + 1)).tolist()
    of = {right: weight for right, weight in enumerate(weights) if clopper_pearson(right, count).width < WIDE}
    chance = sum(of.values())
    covered = sum(weight for right, weight in of.items() if clopper_pearson(right, count).covers(0.72))
    mean = sum(weight * right / count for right, weight in of.items()) / chance
    assert (chance, mean - 0.72, covered / chance) == pytest.approx((shown, bias, coverage), abs=0.005)


def test_marks_are_needed_and_what_is_hardly_shown_looks_too_good() -> None:
    by_all, macro_f1 = committed(BY_ALL), committed(MACRO_F1)
    for corpus in PLAYED:
        cell = by_all[corpus, 300]
        assert -0.03 < cell.bias < min(-0.01, -3 * cell.standard_error)
    assert 0.88 < by_all["r8", 300].coverage < 0.89
    assert 0.075 < macro_f1["spam", 200].replays / PLAYED["spam"].replays < 0.085
    assert 0.07 < macro_f1["spam", 200].bias < 0.09
    assert macro_f1["spam", 200].coverage == 1
    assert 0 < macro_f1["reviews-even", 300].replays < 0.01 * PLAYED["reviews-even"].replays
    assert macro_f1["reviews-even", 300].coverage == 0


@pytest.mark.parametrize("directory", [REPORTS, REPORTS / "fits"], ids=["heads", "fits"])
def test_the_committed_page_is_made_of_the_committed_numbers(directory: Path) -> None:
    text = (directory / "judging.md").read_text()
    # What it says above them is how these were played: a record is not made anew when the code changes.
    sections = [judging.to_markdown([one]) for one in played_in(directory).values()]
    assert sections
    assert all(section in text for section in sections)
    assert "nextlabel play-judging" in text


def test_with_real_fits_no_figure_is_off_by_more_than_chance() -> None:
    [played] = played_in(REPORTS / "fits").values()
    cells = [cell for cell in played.cells if cell.figure in (NEW, LEFT, RECALL)]
    assert {cell.replays for cell in cells} == {played.replays} == {20}
    for cell in cells:
        assert abs(cell.bias) <= 3 * cell.standard_error
        missed = cell.intervals - cell.covered
        assert stats.binom.sf(missed - 1, cell.intervals, 0.05) > 0.001, "so many misses are not chance"
