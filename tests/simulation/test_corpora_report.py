"""The report over several corpora as its readers get it, and what it may say."""

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from helpers.count_runs import play
from helpers.pages import parse
from helpers.scripts import run
from nextlabel.__main__ import main
from nextlabel.errors import BadRunError
from nextlabel.simulation.blocks import Table
from nextlabel.simulation.comparisons import InCorpus, OverCorpora
from nextlabel.simulation.corpora_report import block, read_report, short, write_report
from nextlabel.simulation.corpora_study import doubts, headlines, verdict
from nextlabel.simulation.corpora_tables import hours_section
from nextlabel.simulation.datasets import public
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
    assert second.startswith("No arm has been compared on 5 corpora or more, so no general statement")
    assert "## Over corpora" not in readme, "where three corpora say little more than the prior"
    assert readme.partition("![")[0].count("**") == 4


def test_of_five_corpora_the_headline_says_where_the_typical_difference_lies(tmp_path: Path) -> None:
    arms = {"random": 0.0, "margin": 0.5}
    five = [play(tmp_path / f"corpus-{i}", range(1), arms) for i in range(5)]
    report = read_report(five)
    assert "| margin | 5 | +0." in block(report, five, tmp_path).partition("## Over corpora")[2]
    _, second = headlines(report)
    assert re.fullmatch(
        r"Over corpora like these, the probabilities that the typical difference to random is above 0\.01, within "
        r"0\.01 of 0, or below -0\.01 are \d\.\d\d, \d\.\d\d and \d\.\d\d for margin \(mean difference [+-]0\.\d+, 5 "
        r"corpora\); corpora with fewer than 10 paired seeds count, too\.",
        second,
    )


def test_unfinished_runs_are_named_with_their_missing_seeds(readme: str) -> None:
    assert "Unfinished, with the seeds that are missing: tweets (margin, seed 2)." in readme


def test_every_arm_of_every_corpus_has_a_row(readme: str) -> None:
    rows = [line for line in readme.splitlines() if line.startswith("| Letters")]
    compared, judged = ["margin", "entropy", "margin", "margin"], ["margin", "entropy", "margin"]
    qualities = [name for arm in judged for name in (arm, "random", "full data")]
    assert [row.split(" | ")[1] for row in rows] == ["3", "2", "3", *compared, *judged, *qualities]
    hours = next(row for row in rows if row.count(" h |") == 2 and " h \\[" in row).split(" | ")
    assert hours[2] == "0.2 h", "64 labels of 10 s"
    assert re.search(r"\| 3 \| 400 \| 33\.3 %, 33\.3 % \| 64 \| 0\.[^|]* \| 0\.[^|]* \| 0\.1 \|\n", readme)
    assert "| better | decided |" in readme
    assert "| saved | whole curve | last count | verdict |" in readme.replace(" ---: |", "")


def test_what_to_distrust_is_listed(readme: str) -> None:
    told = readme.partition("## What to distrust")[2]
    assert "3 corpora are few" in told
    assert "Two classes, where entropy and margin are one arm under several names: Letters " in told
    assert "Corpora were chosen, not drawn at random" in told
    assert "English" not in told
    assert "Savings are claimed from a bootstrap over few seeds." in told
    assert "Fewer than 10 paired seeds: " in told
    assert "tweets: Unfinished or not played: margin, seed 2." in told


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
    again = first.with_name("again.md")
    again.write_text(first.read_text(encoding="utf-8"), encoding="utf-8")
    write_report(runs[:1], tmp_path, [first, again])
    table = first.read_text(encoding="utf-8")
    assert again.read_text(encoding="utf-8") == table
    caption = (
        "Labels: until random's last macro-F1 on dev, 10 paired seeds; margin where the default is not played yet."
    )
    assert f"Scores: macro-F1 on test. {caption} Explored, not confirmed." in table
    assert "|arm|random's last score|random's labels|the arm's|saved|at most 0.01 worse|full data |" in table
    row = r"^\| Letters .*\|3, 33\.3 %\|margin\|(0\.\d{3})\|64\|\d+\|\d+ % \\\[.*\|shown, better\|0\.\d{3} \|$"
    [target] = re.findall(row, table, re.MULTILINE)
    [random] = [arm for arm in read_report(runs[:1]).studies["letters"].comparison.arms if arm.strategy == "random"]
    assert target == f"{random.final.test.mean:.3f}"
    assert table.endswith("[All arms, curves, and what to distrust](../README.md).\n<!-- /results -->\n")
    text = page.read_text(encoding="utf-8")
    assert f" --out {tmp_path} --readme {first} --readme {again}\n" in text
    assert text.startswith("# Ours\n\n<!-- results:corpora -->\n**1 corpus, against random sampling ")
    assert "**One corpus says nothing about others.**" in text
    assert "Each corpus has its own report: [letters](../" in text
    assert text.endswith("\n<!-- /results -->\n\nafter\n")
    page.write_text("# Ours\n", encoding="utf-8")
    with pytest.raises(BadRunError, match="Add the two lines <!-- results:corpora --> and <!-- /results -->"):
        write_report(runs[:1], tmp_path)


def test_corpora_of_one_name_or_played_otherwise_are_told(runs: list[Path], tmp_path: Path) -> None:
    (twin := tmp_path / "twins" / "letters").mkdir(parents=True)
    with pytest.raises(
        BadRunError, match=r"/letters and .*/letters are both called letters, and a name stands for one"
    ):
        write_report([runs[0], twin], tmp_path)
    other = play(tmp_path / "few", range(3), {"random": 0.0}, source="Reuters R8 (reuters==1)", epochs=9.0)
    again = play(tmp_path / "many", range(3), {"random": 0.0}, source="Reuters R52 (reuters==1)")
    report = read_report([other, again])
    assert headlines(report) == ["Only random sampling has been played to an end: nothing is compared."]
    assert "many was played otherwise than few: epochs: 6.0, not 9.0." in doubts(report)
    assert "few and many are made of the same texts, and count as several." in doubts(report)
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
        (-0.005, 0.002, 10, "worse by at most 0.01"),
        (0.03, 0.002, 9, "not judged for want of seeds"),
    ],
)
def test_a_corpus_has_one_verdict(mean: float, spread: float, seeds: int, said: str) -> None:
    of = difference([mean + spread * (-1) ** seed for seed in range(seeds)])
    row = InCorpus("letters", seeds, of.mean, of.low, of.high, of.non_inferiority, of.superiority)
    assert verdict(row) == said


def test_what_one_corpus_shows_alone_may_be_lost_among_many() -> None:
    shown, none = difference([0.012, -0.001] * 5), difference([0.02, -0.02] * 5)
    among = adjust([shown, *[none] * 8])[0].superiority
    row = InCorpus("letters", 10, shown.mean, shown.low, shown.high, shown.non_inferiority, among)
    assert shown.superiority.shown
    assert verdict(row) == "not worse by more than 0.01"


def test_arms_are_told_over_the_corpora_that_have_them(runs: list[Path]) -> None:
    over = {arm.strategy: arm for arm in read_report(runs[:2]).corpora.arms}
    assert isinstance(over["margin"], OverCorpora)
    assert [row.corpus for row in over["entropy"].corpora] == ["mail"]
    assert [row.corpus for row in over["margin"].corpora] == ["letters", "mail"]


def of_data(directory: Path, fingerprint: str, corpus: str = "") -> Path:
    """A run of the data with this fingerprint, by the title of a corpus."""
    setting = json.loads((directory / "setting.json").read_text(encoding="utf-8"))
    setting["data"]["fingerprint"] = fingerprint
    if corpus:
        setting["data"]["source"] = f"{public.CORPORA[corpus].title} (package==1)"
    (directory / "setting.json").write_text(json.dumps(setting), encoding="utf-8")
    return directory


def test_the_same_data_count_once_whatever_their_directories_are_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = {"random": 0.0, "margin": 0.5}
    r8, again, tweets = (
        of_data(play(tmp_path / name, range(1), arms), data)
        for name, data in (("r8", "abc"), ("r8-live", "abc"), ("tweets", "def"))
    )
    for command in ("report-corpora", "report-told"):
        assert main([command, str(r8), str(again), "--out", str(tmp_path / "out")]) == 1
        said = capsys.readouterr().err
        assert (
            f"{r8} and {again} are runs of the same data (fingerprint abc), which would count as two corpora." in said
        )
    assert not (tmp_path / "out").exists()
    titles = [study.title for study in read_report([r8, tweets]).studies.values()]
    assert titles == ["Letters <b>&</b> | more (r8)", "Letters <b>&</b> | more (tweets)"]


def test_a_first_page_has_a_row_for_each_corpus_of_what_is_played_there(runs: list[Path], tmp_path: Path) -> None:
    live = play(tmp_path / "bbc", range(2), {"random": 0.0, "live": 0.7}, frozen="abc")
    page = short(read_report([*runs[:2], live]), tmp_path, tmp_path / "first.md")
    assert "; live as new projects are served; margin where the default is not played yet. Explored, not con" in page
    rows = re.findall(r"^\| Letters .*\((\w+)\)\|3?2?, [\d.]+ %\|(\w+)\|", page, re.MULTILINE)
    assert rows == [("letters", "margin"), ("mail", "margin"), ("bbc", "live")]
    bald = play(tmp_path / "tweets", range(2), {"random": 0.0, "entropy": 0.7})
    page = short(read_report([live, bald]), tmp_path, tmp_path / "first.md")
    assert re.search(r"\n\nLeft out, as neither live nor margin is compared there: Letters .*tweets\)\.", page)
    other = play(tmp_path / "spam", range(2), {"random": 0.0, "live": 0.7})
    assert " paired seeds. Explored, not confirmed.\n" in short(
        read_report([other]), tmp_path, tmp_path / "first.md"
    ), "by a recipe of its own"


def test_hours_are_saved_where_a_saving_is_shown(runs: list[Path]) -> None:
    report = read_report(runs)
    assert report.claims == {("letters", "margin"), ("mail", "entropy"), ("mail", "margin")}
    _, table = hours_section(report.studies, report.claims)
    assert isinstance(table, Table)
    saved = {(row[0].rpartition("(")[2], row[1]): row[4] for row in table.rows}
    assert re.fullmatch(r"0\.\d h \[0\.\d to 0\.\d\]", saved["letters)", "margin"])
    assert saved["tweets)", "margin"] == "not shown"
    assert "some arms order texts alike, and one of them is shown (Letters" in table.caption
    assert "mail): entropy also stands for margin)." in table.caption


def frozen_file(path: Path, frozen_on: str = "2026-11-30", **corpora: Any) -> tuple[Path, str]:
    """A file that froze a default on the last day of November, and its checksum."""
    confirming = {"spam": "spam's", "bbc": "bbc's"}
    chosen = {"confirming": confirming, "chosen_on": {"start_order": ["bbc", "r8"], "query_strategy": ["r8"]}}
    told = {"frozen_on": frozen_on, "corpora": {**chosen, **corpora}}
    path.write_text(json.dumps(told), encoding="utf-8")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_a_frozen_file_says_of_a_corpus_tells_whether_it_confirms(tmp_path: Path) -> None:
    file, checksum = frozen_file(tmp_path / "frozen.json")
    arms = {"random": 0.0, "live": 0.5}
    played = {"spam": "spam", "bbc": "bbc", "r8": "r8", "late": "spam", "drawn-anew": "bbc", "kept-back": ""}
    runs = [
        of_data(play(tmp_path / name, range(1), arms, frozen=checksum), f"{name}'s", corpus)
        for name, corpus in played.items()
    ]
    runs += [play(tmp_path / "by-another", range(1), arms, frozen="0" * 64), play(tmp_path / "tweets", range(1), arms)]
    started = json.loads((runs[3] / "run.json").read_text(encoding="utf-8"))
    started["invocations"][0]["started"] = "2026-11-29T23:00:00+00:00"
    (runs[3] / "run.json").write_text(json.dumps(started), encoding="utf-8")
    said = doubts(read_report(runs, [file]))
    for line in (
        "Not played with a default that was frozen before, hence to explore, not to confirm: tweets.",
        "Begun before frozen.json was frozen on 2026-11-30, hence not to confirm: late.",
        "Of other texts than the corpora that frozen.json names, hence not to confirm: drawn-anew.",
        "Used to choose options of frozen.json, hence to explore, not to confirm: r8 (start_order and query_strategy).",
        "Named in frozen.json as confirming corpora: spam; bbc (though start_order was chosen on it).",
        "frozen.json does not name these corpora, as it would not name one that was kept back: kept-back.",
        "Only the commit of frozen.json, not these records, shows that it was written before the runs.",
    ):
        assert line in said
    [untold] = [line for line in said if "whose file was not given (--frozen)" in line]
    assert untold.endswith("is unknown, and they do not count as confirming: by-another.")
    assert any(line.startswith("by-another was played otherwise than spam: frozen: ") for line in said)
    without = doubts(read_report(runs[:2]))
    assert any(line.endswith("do not count as confirming: spam and bbc.") for line in without), "there is no file"


def test_a_corpus_is_known_by_its_title_and_texts_not_by_its_directory(tmp_path: Path) -> None:
    file, checksum = frozen_file(tmp_path / "frozen.json")
    arms = {"random": 0.0, "live": 0.5}
    run = of_data(play(tmp_path / "another-name", range(1), arms, frozen=checksum), "r8's", "r8")
    same = of_data(play(tmp_path / "its-neighbour", range(1), arms), "r52's", "r52")
    mine = of_data(play(tmp_path / "spam", range(1), arms, frozen=checksum), "mine")
    assert "frozen.json does not name these corpora, as it would not name one that was kept back: spam." in doubts(
        read_report([mine], [file])
    )
    assert "another-name and its-neighbour are made of the same texts, and count as several." in doubts(
        read_report([run, same])
    )
    assert any(
        line == "Used to choose options of frozen.json, hence to explore, not to confirm: another-name (start_order "
        "and query_strategy)."
        for line in doubts(read_report([run], [file]))
    )


def test_a_run_of_the_morning_before_the_file_was_frozen_does_not_confirm(tmp_path: Path) -> None:
    file, checksum = frozen_file(tmp_path / "frozen.json", frozen_on="2026-11-30T06:56")
    begun = {"spam": "06:55:59", "bbc": "06:56:00"}
    arms = {"random": 0.0, "live": 0.5}
    runs = [of_data(play(tmp_path / name, range(1), arms, frozen=checksum), f"{name}'s", name) for name in begun]
    for directory in runs:
        started = json.loads((directory / "run.json").read_text(encoding="utf-8"))
        started["invocations"][0]["started"] = f"2026-11-30T{begun[directory.name]}+00:00"
        (directory / "run.json").write_text(json.dumps(started), encoding="utf-8")
    report = read_report(runs, [file])
    assert "Begun before frozen.json was frozen on 2026-11-30T06:56, hence not to confirm: spam." in doubts(report)
    assert re.search(r" Explored, not confirmed: Spam e-mails\.\n", short(report, tmp_path, tmp_path / "a.md"))


def test_a_file_that_froze_nothing_is_refused(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[]", encoding="utf-8")
    for name in ("none.json", "gone.json"):
        with pytest.raises(BadRunError, match=rf"--frozen .*{name} cannot be read as a frozen default"):
            read_report(runs[:1], [tmp_path / name])


def test_full_data_fitted_for_fewer_epochs_is_played_otherwise(tmp_path: Path) -> None:
    one, other = (play(tmp_path / name, range(1), {"random": 0.0}, full_steps=n) for name, n in (("a", 150), ("b", 50)))
    assert "b was played otherwise than a: epochs on all data: 2.0, not 6.0." in doubts(read_report([one, other]))
