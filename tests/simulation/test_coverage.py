"""What intervals cover: the demands on them over 1,000 replays, and that the committed table says the same."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, recall_score

from helpers.paths import ROOT
from nextlabel.commands import play_coverage
from nextlabel.problems.intervals import wilson
from nextlabel.simulation import confusion_tables, coverage
from nextlabel.simulation.confusion_tables import TABLES, ConfusionTable
from nextlabel.simulation.coverage import LABELS, METHODS, REPLAYS, Cell, Method

METHODS_NAMED = {method.name: method for method in METHODS[-2:]}
NAMED = {(method.figure, method.name): method for method in METHODS}
TESTED = [
    NAMED["accuracy", "Wilson"],
    NAMED["accuracy", "Clopper-Pearson"],
    NAMED["recall of each class", "Clopper-Pearson"],
    NAMED["F1 of each class", "Clopper-Pearson of J"],
    NAMED["macro-F1", "square-and-add"],
]
COMMITTED = [Cell(**cell) for cell in json.loads((ROOT / "reports" / "coverage" / "coverage.json").read_text())]
BY_NAME = {table.name: table for table in TABLES}
EVEN, R8 = BY_NAME["2 even classes"], BY_NAME["8 classes (R8)"]


def exactly(table: ConfusionTable, labels: int) -> float:
    """What Wilson's interval of the accuracy covers, without drawing."""
    weights: list[float] = stats.binom(labels, table.accuracy).pmf(np.arange(labels + 1)).tolist()
    return sum(w for k, w in enumerate(weights) if wilson(k, labels).covers(table.accuracy))


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_over_1000_replays_intervals_cover_what_they_must(table: ConfusionTable) -> None:
    cells = coverage.play(table, TESTED)
    for cell in cells:
        if cell.method.startswith("Clopper-Pearson"):
            assert cell.coverage >= 0.95, cell
        elif cell.figure == "macro-F1":
            assert cell.coverage >= 0.93, cell
    assert [cell for cell in cells if cell not in COMMITTED] == [], "as committed"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_wilson_covers_93_percent_but_near_1_where_it_dips(table: ConfusionTable) -> None:
    """Exactly, and over the replays as far as 1,000 can tell."""
    found = {
        cell.labels: cell.coverage
        for cell in COMMITTED
        if (cell.table, cell.figure, cell.method) == (table.name, "accuracy", "Wilson")
    }
    least = 0.91 if table.name == "2 classes, one absent" else 0.93
    for labels in LABELS:
        exact = exactly(table, labels)
        assert exact >= least
        assert abs(found[labels] - exact) <= 3 * math.sqrt(exact * (1 - exact) / REPLAYS) + 1e-9


def test_a_watched_figure_needs_the_sequence_and_a_sample_without_errors_no_bootstrap() -> None:
    of = {(cell.table, cell.figure, cell.method, cell.labels): cell.coverage for cell in COMMITTED}
    watched = "accuracy, looked at after each label"
    for table in TABLES:
        assert of[table.name, watched, "any time", 160] >= 0.95
    assert of[R8.name, watched, "Wilson", 160] < 0.75
    assert of[R8.name, "accuracy", "bootstrap percentile", 20] < 0.7
    assert of[R8.name, "macro-F1", "bootstrap percentile", 40] < 0.75
    assert of["20 even classes", "macro-F1", "square-and-add of Wilson alone", 160] < 0.85


def test_calibration_covers_92_percent_and_more_of_whatever_table() -> None:
    cells = [cell for cell in COMMITTED if cell.method == "paired square-and-add"]
    assert len(cells) == len(TABLES) * len(LABELS)
    assert min(cell.coverage for cell in cells) >= 0.92
    assert sum(cell.coverage for cell in cells) / len(cells) >= 0.95


@pytest.mark.parametrize("method", ["mean of the labels' limits", "sum of the shares' limits"])
def test_what_is_asked_of_labels_and_steps_is_covered_in_every_table(method: str) -> None:
    cells = [cell for cell in COMMITTED if cell.method == method]
    assert len(cells) == len(TABLES) * len(LABELS)
    assert min(cell.coverage for cell in cells) >= 0.95
    [again] = [cell for cell in coverage.play(EVEN, [METHODS_NAMED[method]]) if cell.labels == LABELS[0]]
    assert again in cells


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_true_figures_are_those_of_scikit_learn(table: ConfusionTable) -> None:
    labels = np.arange(table.classes)
    truths_N, said_N = (
        numbers.repeat(table.counts_KK.ravel()) for numbers in np.divmod(np.arange(table.counts_KK.size), table.classes)
    )
    assert table.accuracy == pytest.approx(accuracy_score(truths_N, said_N))
    assert table.macro_f1 == pytest.approx(f1_score(truths_N, said_N, labels=labels, average="macro", zero_division=0))
    recalls = recall_score(truths_N, said_N, labels=labels, average=None, zero_division=np.nan)
    assert [np.nan if recall is None else recall for recall in table.recalls] == pytest.approx(recalls, nan_ok=True)


def test_true_calibration_by_hand() -> None:
    table = ConfusionTable("of four", np.array([[3, 1], [0, 0]]), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    assert table.overconfidence == pytest.approx((3 * 0.99 + 0.6) / 4 - 3 / 4)


def test_true_mean_error_and_the_tables_of_each_label_by_hand() -> None:
    counts_KK = np.array([[3, 1, 1], [0, 2, 0], [2, 0, 1]])
    assert ConfusionTable("of ten", counts_KK, (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)).step_error == (1 + 2 + 2 * 2) / 10
    first, *_, last = coverage._each_and_the_rest(counts_KK)
    assert first.tolist() == [[3, 2], [2, 3]]
    assert last.tolist() == [[6, 1], [2, 1]]


def test_replays_are_the_same_each_time_whatever_else_is_counted() -> None:
    some = [method for method in METHODS if method.name == "bootstrap percentile"]
    cells = coverage.play(EVEN, METHODS, replays=12)
    assert coverage.play(EVEN, some, replays=12) == [cell for cell in cells if cell.method == "bootstrap percentile"]
    assert len(cells) == len(METHODS) * len(LABELS)


def test_an_interval_that_is_everything_covers_all_and_one_beside_the_truth_nothing() -> None:
    everything = Method("accuracy", "all", lambda table: [table.accuracy, None], lambda _: [wilson(0, 0), wilson(0, 0)])
    beside = Method("accuracy", "none", lambda table: [table.accuracy, 0.5], lambda _: [wilson(0, 160), None])
    cells = coverage.play(EVEN, [everything, beside], replays=2)
    assert [(cell.coverage, cell.width) for cell in cells[::4]] == [(1, 1), (0, round(wilson(0, 160).high, 4))]
    rows = coverage.to_markdown(cells).splitlines()
    assert rows[0] == "## Accuracy"
    assert rows[4].startswith("| 2 even classes | 0.720 | all | 1.000, 1.00 |")
    assert "| none | **0.000**, 0.02 |" in rows[5]


def test_the_command_writes_the_table_and_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confusion_tables, "TABLES", (EVEN,))
    monkeypatch.setattr(coverage, "METHODS", TESTED[:1])
    play_coverage.main(["--out", str(tmp_path / "new")])
    cells = json.loads((tmp_path / "new" / "coverage.json").read_text())
    assert [Cell(**cell) for cell in cells] == COMMITTED[:4]
    text = (tmp_path / "new" / "coverage.md").read_text()
    assert text.startswith(
        "# What the intervals of a random sample cover\n\nSamples of 20 to 160 examples, drawn 1,000"
    )
    assert "nextlabel play-coverage --out" in text


def test_the_committed_page_is_made_of_the_committed_numbers() -> None:
    text = (ROOT / "reports" / "coverage" / "coverage.md").read_text()
    assert coverage.ABOUT in text
    assert coverage.to_markdown(COMMITTED) in text
