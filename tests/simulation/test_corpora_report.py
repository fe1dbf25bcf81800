"""The report over several corpora as its readers get it, and what it may say."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from helpers.count_runs import play
from helpers.pages import parse
from helpers.scripts import run
from nextlabel.errors import BadRunError
from nextlabel.simulation.comparisons import InCorpus, OverCorpora
from nextlabel.simulation.corpora_report import doubts, headlines, read_report, verdict, write_report
from nextlabel.simulation.verdicts import adjust, difference

pytestmark = pytest.mark.usefixtures("patience")  # runs of many seeds are written and read

CORPORA = {
    "letters": ({"random": 0.0, "margin": 0.7}, ("ham", "spam", "news")),
    "mail": ({"random": 0.0, "entropy": 0.7, "margin": 0.7}, ("ham", "spam")),
}
FIGURES = ("corpora-curves", "corpora-savings")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("corpora")
    whole = [play(place / name, range(10), arms, labels) for name, (arms, labels) in CORPORA.items()]
    return [*whole, unfinished(play(place / "tweets", range(3), {"random": 0.0, "margin": 0.0}))]


def unfinished(directory: Path) -> Path:
    """Without the last round of its last arm."""
    lines = (directory / "rounds.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (directory / "rounds.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def out(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("reports")
    write_report(runs, place)
    return place


@pytest.fixture(scope="module")
def readme(out: Path) -> str:
    return (out / "README.md").read_text(encoding="utf-8")


def test_the_headline_counts_corpora_and_what_they_say_together(out: Path, readme: str) -> None:
    first, second = json.loads((out / "corpora.json").read_text())["sentences"]
    assert first.startswith("3 corpora, against random sampling at the last label count: entropy is better in 1 (")
    assert re.search(r"margin is better in 2 \(.*\), not judged for want of seeds in 1 .* labels in 2 of 3", first)
    assert second.startswith("In a corpus like these, the probabilities that an arm is better than random by more than")
    assert re.search(
        r" are \d\.\d\d, \d\.\d\d and \d\.\d\d for margin \(mean difference \+0\.\d+, 3 corpora\); ", second
    )
    assert second.endswith("; corpora with fewer than 10 paired seeds count, too.")
    assert "entropy" not in second
    assert readme.partition("![")[0].count("**") == 4


def test_unfinished_runs_are_named_with_their_missing_seeds(readme: str) -> None:
    assert "Unfinished, with the seeds that are missing: tweets (margin, seed 2)." in readme


def test_every_arm_of_every_corpus_has_a_row(readme: str) -> None:
    rows = [line for line in readme.splitlines() if line.startswith("| Letters")]
    compared, judged = ["margin", "entropy", "margin", "margin"], ["margin", "entropy", "margin"]
    qualities = [name for arm in judged for name in (arm, "random", "full data")]
    assert [row.split(" | ")[1] for row in rows] == ["3", "2", "3", *compared, *judged, *qualities]
    hours = next(row for row in rows if row.count(" h |") == 3).split(" | ")
    assert hours[2] == "0.2 h", "64 labels of 10 s"
    assert "| 3 | 400 | 33.3 %, 33.3 % | 64 | 0." in readme
    assert "| better | decided |" in readme
    assert "| too few seeds | " in readme


def test_what_to_distrust_is_listed(readme: str) -> None:
    told = readme.partition("## What to distrust")[2]
    assert "3 corpora are few" in told
    assert "Two classes, where entropy and margin are one arm under two names: " in told
    assert "Fewer than 10 paired seeds: " in told
    assert "tweets: Left out, unfinished or not played: margin, seed 2." in told


def test_figures_and_page_load_nothing(out: Path) -> None:
    for name in FIGURES:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert len(list(ET.parse(out / f"{name}.svg").getroot().iter("{http://www.w3.org/2000/svg}path"))) > 20
    page = parse((out / "overview.html").read_text(encoding="utf-8"))
    assert page.loads == []
    assert page.tags.count("svg") == len(FIGURES)
    assert len(page.ids) == len(set(page.ids))


def test_only_the_block_of_a_page_that_is_there_is_renewed(runs: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("# Ours\n\n<!-- results:corpora -->\nold\n<!-- /results -->\n\nafter\n", encoding="utf-8")
    (runs[0] / "summary.md").write_text("a report", encoding="utf-8")
    first = tmp_path / "docs" / "first.md"
    first.parent.mkdir()
    first.write_text("<!-- results:corpora -->\n<!-- /results -->\n", encoding="utf-8")
    write_report(runs[:1], tmp_path, first)
    short = first.read_text(encoding="utf-8")
    assert "Labels for the same macro-F1, at random and by margin alone, for the default itself is not played" in short
    assert re.search(r"^\| Letters .*\|3, 33\.3 %\|64\|\d+\|\d+ % .*\|shown\|0\.\d{3} \|$", short, re.MULTILINE)
    assert short.endswith("[All arms, curves, and what to distrust](../README.md).\n<!-- /results -->\n")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Ours\n\n<!-- results:corpora -->\n**1 corpus, against random sampling ")
    assert "**One corpus says nothing about others.**" in text
    assert "Each corpus has its own report: [letters](../" in text
    assert text.endswith("\n<!-- /results -->\n\nafter\n")
    page.write_text("# Ours\n", encoding="utf-8")
    with pytest.raises(BadRunError, match="Add the two lines <!-- results:corpora --> and <!-- /results -->"):
        write_report(runs[:1], tmp_path)


def test_corpora_of_one_name_or_played_otherwise_are_told(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match="Several directories are called letters, and each is one corpus"):
        write_report([runs[0], runs[0]], tmp_path)
    other = play(tmp_path / "r8", range(3), {"random": 0.0}, epochs=9.0)
    again = play(tmp_path / "r52", range(3), {"random": 0.0})
    report = read_report([other, again])
    assert headlines(report) == ["Only random sampling has been played to an end: nothing is compared."]
    assert "r52 was played otherwise than r8: epochs: 6.0, not 9.0." in doubts(report)
    assert "r8 and r52 are made of the same texts, and count as two." in doubts(report)
    write_report([other, again], tmp_path / "out")
    assert not (tmp_path / "out" / "corpora-savings.svg").exists()


def test_corpora_that_have_not_begun_are_named(runs: list[Path], tmp_path: Path) -> None:
    later = play(tmp_path / "spam", range(1), {"random": 0.0})
    lines = (later / "rounds.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (later / "rounds.jsonl").write_text(lines[0], encoding="utf-8")
    write_report([runs[0], later], tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "\nLeft out, as random sampling has not begun there: spam.\n" in readme
    with pytest.raises(BadRunError, match=r"No run has a round of random yet: spam\. Let one go on\."):
        read_report([later])


def test_a_score_that_is_not_that_of_the_stored_classes_is_refused(runs: list[Path], tmp_path: Path) -> None:
    wrong = play(tmp_path / "wrong", range(2), {"random": 0.0, "margin": 0.1})
    lines = (wrong / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    last["dev"]["accuracy"] = 0.123
    (wrong / "rounds.jsonl").write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n", encoding="utf-8")
    with pytest.raises(BadRunError, match=r"Seed 1, margin, round 2: accuracy on dev is 0.123 in .*/wrong"):
        write_report([runs[0], wrong], tmp_path / "out")


def test_the_script_writes_and_says_it(runs: list[Path], tmp_path: Path) -> None:
    done = run("report_corpora.py", *runs, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 corpora, against random sampling at the last label count: ")
    assert f"Report: {tmp_path / 'overview.html'}" in done.stdout
    refused = run("report_corpora.py", tmp_path / "none")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "run.json is missing" in refused.stderr


@pytest.mark.parametrize(
    ("mean", "spread", "seeds", "said"),
    [
        (0.03, 0.002, 10, "better"),
        (0.0, 0.002, 10, "not worse by more than 0.01"),
        (-0.03, 0.002, 10, "worse"),
        (0.0, 0.05, 10, "undecided"),
        (0.03, 0.002, 9, "not judged for want of seeds"),
    ],
)
def test_a_corpus_has_one_verdict(mean: float, spread: float, seeds: int, said: str) -> None:
    of = difference([mean + spread * (-1) ** seed for seed in range(seeds)])
    row = InCorpus("letters", seeds, of.mean, of.low, of.high, of.non_inferiority, of.superiority)
    assert verdict(row) == said


def test_what_one_corpus_shows_alone_may_be_lost_among_many() -> None:
    shown, none = difference([0.012, -0.001] * 5), difference([0.02, -0.02] * 5)
    among = adjust([shown.superiority, *[none.superiority] * 8])[0]
    row = InCorpus("letters", 10, shown.mean, shown.low, shown.high, shown.non_inferiority, among)
    assert shown.superiority.shown
    assert verdict(row) == "not worse by more than 0.01"


def test_arms_are_told_over_the_corpora_that_have_them(runs: list[Path]) -> None:
    over = {arm.strategy: arm for arm in read_report(runs[:2]).corpora.arms}
    assert isinstance(over["margin"], OverCorpora)
    assert [row.corpus for row in over["entropy"].corpora] == ["mail"]
    assert [row.corpus for row in over["margin"].corpora] == ["letters", "mail"]
