"""Replays of "is it helping?": which cells come out, that they are kept, and what the tables say of them."""

import json
import re
from pathlib import Path

import pytest

from helpers.paths import ROOT
from nextlabel.__main__ import main
from nextlabel.errors import BadRunError
from nextlabel.learning.forecast import BAND
from nextlabel.learning.helping import LOOKS
from nextlabel.learning.strategies import SERVED
from nextlabel.simulation import cells, helping
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.helping import MORE, Cell, Forecasted, HelpingPlan, Measured, Step
from nextlabel.simulation.records import RANDOM
from nextlabel.values.examples import Example

KEPT = ROOT / "reports" / "helping"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, patience: None) -> Path:
    """Texts of two kinds, as many as a small pool takes."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}")
    rows = [(Example(i, kinds[i % 2].format(i)), "ab"[i % 2]) for i in range(1000)]
    data = TextSet("Small", ("a", "b"), tuple(rows[:800]), tuple(rows[800:810]), tuple(rows[810:]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}}
    directory = tmp_path_factory.mktemp("corpora") / "small"
    fetched.write(directory, data, about)
    return directory


def test_the_command_plays_keeps_and_writes_what_it_prints(
    corpus: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["play-helping", str(corpus), "--base-model", str(tiny), "--seeds", "2", "--forecasts", "1"]
    arguments += ["--pool", "310", "--out", str(tmp_path)]
    assert main(arguments) == 0
    text = (tmp_path / "helping.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"{text}\n"
    played = helping.play(corpus, HelpingPlan([0, 1], 1, 310), str(tiny), tmp_path)
    kinds = [(type(cell), cell.seed) for cell in played]
    by_seed = {seed: [kind for kind, of_seed in kinds if of_seed == seed] for seed in (0, 1)}
    assert by_seed[1] == [Measured] * 4 + [Step] * 2
    assert by_seed[0] == [*by_seed[1], Forecasted, Forecasted]
    for cell in played:
        if isinstance(cell, Measured):
            assert len(cell.gains) == len(cell.errors) == len(LOOKS)
            assert cell.said_at in (None, *LOOKS)
    assert "| small | 100 | 1 |" in text
    assert "| all |" in text
    file = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    file["cells"][0]["truth"] = 0.125
    (tmp_path / "small.json").write_text(json.dumps(file), encoding="utf-8")
    [first, *others] = helping.play(corpus, HelpingPlan([0, 1], 1, 310), str(tiny), tmp_path)
    assert isinstance(first, Measured)
    assert first.truth == 0.125
    assert others == played[1:]


@pytest.mark.parametrize("pool", [255, 343])
def test_a_pool_that_a_corpus_has_not_is_refused(corpus: Path, tiny: Path, pool: int, tmp_path: Path) -> None:
    with pytest.raises(
        BadRunError, match=f"--pool is {pool}. It must have 256 texts to label, and small has 342 beside"
    ):
        helping.play(corpus, HelpingPlan([0], 1, pool), str(tiny), tmp_path)


def measured(corpus: str, order: str, truth: float, said_at: int | None) -> Measured:
    return Measured(corpus, 0, order, truth, (truth + 0.01,) * 4, (0.02, 0.02, 0.004, 0.02), said_at)


CELLS: list[Cell] = [
    measured("a", "margin", 0.0, 256),
    measured("a", "margin", -0.02, None),
    measured("a", "margin", 0.08, 192),
    measured("a", "margin", 0.06, 448),
    measured("a", "random", 0.03, 192),
    measured("a", "random", -0.03, None),
    measured("b", "margin", 0.02, None),
    Forecasted("a", 0, 100, 0.05, 0.02, 0.0, 0.0, 1.5),
    Forecasted("a", 1, 100, 0.06, 0.05, 1.5, 3.0, 3.5),
    Forecasted("a", 2, 100, 0.07, 0.16, 2.0, MORE, MORE),
    Step("a", 0, 128, 0.1, -0.06),
    Step("a", 1, 128, 0.2, 0.04),
]


@pytest.mark.parametrize(
    "row",
    [
        "| a | 2 | 1 | 2 | 1 | 1 | 0 |",
        "| b | 0 | 0 | 0 | 0 | 0 | 0 |",
        "| all | 2 | 1 | 2 | 1 | 1 | 0 |",
        "| a | 4 | +0.030 ± 0.041 | 0.25 | 0.50 | 0.50 | 0.75 |",
        "| a | +0.010, 1.00 | +0.010, 1.00 | +0.010, 0.00 | +0.010, 1.00 |",
        "| a | 100 | 3 | +0.060 | +0.077 | 0.043 | 0.33 | 0.67 | 2 | 0.50 |",
        "| a | 128 | 2 | 0.150 | -0.010 | 1.00 | 0.50 |",
    ],
)
def test_the_tables_count(row: str) -> None:
    assert row in helping.to_markdown(CELLS)


def test_without_forecasts_the_page_has_no_table_of_them() -> None:
    text = helping.to_markdown([cell for cell in CELLS if not isinstance(cell, Forecasted)])
    assert "## Forecast" not in text
    assert "| a | 128 | 2 | 0.150 | -0.010 | 1.00 | 0.50 |" in text


@pytest.fixture(scope="module")
def kept() -> list[Cell]:
    """The cells of the committed replays of the measured answer, in the order of the table."""
    return cells_in(KEPT)


@pytest.fixture(scope="module")
def forecasts() -> list[Cell]:
    """Those of the replays with forecasts."""
    return cells_in(KEPT / "forecasts")


def cells_in(directory: Path) -> list[Cell]:
    made_by = (directory / "helping.md").read_text(encoding="utf-8").splitlines()[-1]
    names = re.findall(r"corpora/([\w-]+)", made_by)
    paths = [directory / f"{name}.json" for name in names]
    settings = [json.loads(path.read_text(encoding="utf-8"))["setting"] for path in paths]
    return [
        helping.cell_of(row)
        for path, setting in zip(paths, settings, strict=True)
        for row in cells.kept(path, setting, lambda: ())
    ]


def test_the_committed_tables_are_those_of_their_records(kept: list[Cell], forecasts: list[Cell]) -> None:
    assert len({cell.corpus for cell in kept}) >= 4
    text = (KEPT / "helping.md").read_text(encoding="utf-8")
    assert text.startswith(f"# Is it helping?\n\n{helping.ABOUT}\n\n{helping.to_markdown(kept)}\nMade by `")
    earlier = (KEPT / "forecasts" / "helping.md").read_text(encoding="utf-8")
    assert f"\n\n{helping.ABOUT}\n\n{helping.to_markdown(forecasts)}\nMade by `" in earlier


def test_in_the_committed_replays_helps_is_rarely_said_where_nothing_is_gained(kept: list[Cell]) -> None:
    measured = [cell for cell in kept if isinstance(cell, Measured)]
    for nothing in (
        [cell for cell in measured if cell.order == SERVED and cell.truth <= 0],
        [cell for cell in measured if cell.order == RANDOM],
        [cell for cell in measured if cell.order == RANDOM and cell.truth <= 0],
    ):
        assert len(nothing) >= 20
        assert sum(cell.said_at is not None for cell in nothing) <= 0.05 * len(nothing)


def test_in_no_corpus_helps_is_said_of_more_than_one_random_order_in_twenty(kept: list[Cell]) -> None:
    for corpus in {cell.corpus for cell in kept}:
        orders = [cell for cell in kept if isinstance(cell, Measured) and (cell.corpus, cell.order) == (corpus, RANDOM)]
        assert len(orders) == 90
        assert sum(cell.said_at is not None for cell in orders) <= 0.05 * 90


def test_in_the_committed_replays_forecasts_are_within_their_band(forecasts: list[Cell]) -> None:
    found = [cell for cell in forecasts if isinstance(cell, Forecasted)]
    within = sum(abs(cell.gain - cell.truth) <= BAND for cell in found)
    assert within >= 0.95 * len(found) >= 0.95 * 80
