"""Runs of several corpora compared by command line."""

import json
from pathlib import Path

import pytest

from helpers.counted import write_run
from helpers.scripts import run
from nextlabel.__main__ import main
from nextlabel.simulation.comparisons import over_corpora, read_comparison


@pytest.fixture
def two_runs(tmp_path: Path) -> list[Path]:
    return [write_run(tmp_path / name, base=base) for base, name in enumerate(("r8", "tweets"))]


@pytest.mark.usefixtures("patience")
def test_a_table_is_printed_and_all_numbers_are_written(two_runs: list[Path], tmp_path: Path) -> None:
    done = run("compare.py", *two_runs, "--out", tmp_path / "corpora.json")
    assert done.returncode == 0, done.stderr
    head, first, second, summary = done.stdout.splitlines()
    assert head.startswith("arm ")
    assert (first.split()[:3], second.split()[:3]) == (["entropy", "r8", "3"], ["entropy", "tweets", "3"])
    assert summary.startswith("entropy over 2 corpora: typical difference to random below -0.01 with probability 0.")
    written = json.loads((tmp_path / "corpora.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(over_corpora([read_comparison(r) for r in two_runs]).as_dict()))


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(("seeds", "said"), [(9, "too few seeds"), (10, "not shown")])
def test_what_is_not_shown_stands_with_the_seeds_that_would_decide(
    seeds: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write_run(tmp_path / "r8", seeds)
    assert main(["compare", str(directory)]) == 0
    [row] = over_corpora([read_comparison(directory)]).arms[0].corpora
    assert row.superiority.verdict == said
    assert f"{said} ({row.superiority.needed} needed)" in capsys.readouterr().out


def test_two_directories_of_one_name_are_refused(
    two_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = write_run(tmp_path / "other" / "r8")
    assert main(["compare", *map(str, (*two_runs, again))]) == 1
    assert "are both called r8, and a name stands for one corpus" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(
    two_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["compare", str(two_runs[0]), "--out", str(tmp_path / "file" / "out.json")]) == 1
    assert "Give another --out." in capsys.readouterr().err
