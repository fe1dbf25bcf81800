"""The report of a run with label counts as its readers get it: figures, Markdown, one HTML page, numbers."""

import json
import re
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.count_runs import AT, play
from helpers.pages import parse
from helpers.scripts import run
from nextlabel.errors import BadRunError
from nextlabel.problems.metrics import evaluate, f1_of_class, macro_f1
from nextlabel.simulation import corpora_report, probabilities
from nextlabel.simulation.corpora_study import doubts
from nextlabel.simulation.count_quality import of_versions
from nextlabel.simulation.count_report import plays_counts, read_report, update_readme, write_report
from nextlabel.simulation.count_study import headlines
from nextlabel.simulation.probabilities import read_targets as targets_of
from nextlabel.simulation.provenance import needed_commands
from nextlabel.simulation.records import read_run

pytestmark = pytest.mark.usefixtures("patience")  # each report has its figures

FIGURES = ("learning-curves", "savings", "reliability")
ARMS = {"random": 0.0, "entropy": -0.3, "margin": 0.6}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = play(tmp_path_factory.mktemp("runs") / "letters", range(10), ARMS)
    write_report([directory], directory)
    return directory


@pytest.fixture(scope="module")
def summary(reported: Path) -> str:
    return (reported / "summary.md").read_text(encoding="utf-8")


def test_a_headline_of_two_sentences_stands_on_top(reported: Path, summary: str) -> None:
    said = json.loads((reported / "statistics.json").read_text())["sentences"]
    assert len(said) == 2
    assert said[0].startswith("10 paired seeds: against random sampling's test macro-F1 of ")
    assert "; margin is better (+" in said[0]
    assert re.search(r"; margin needs \d+ labels, \d+ % \[95 % CI .*\] fewer than random's 64\.$", said[1])
    assert "entropy does not get there within 64 labels: no saving is claimed" in said[1]
    top = summary.partition("![")[0]
    assert top.count("**") == 4


def test_sections_come_in_the_order_of_what_a_reader_asks(summary: str) -> None:
    assert re.findall(r"^## (.*)$", summary, re.MULTILINE) == [
        "Labels saved",
        "Results by arm",
        "Classes, with 64 labels",
        "Calibration",
        "What was chosen",
        "Times",
        "How it was made",
        "What a sceptic should distrust",
        "Setting",
    ]


def test_figures_are_written_as_png_and_svg(reported: Path) -> None:
    for name in FIGURES:
        assert (reported / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        svg = ET.parse(reported / f"{name}.svg").getroot()
        assert len(list(svg.iter("{http://www.w3.org/2000/svg}path"))) > 20


def test_writing_again_gives_the_same_bytes(reported: Path, tmp_path: Path) -> None:
    write_report([reported], tmp_path)
    for name in (*(f"{n}.{kind}" for n in FIGURES for kind in ("png", "svg")), "statistics.json", "summary.md"):
        assert (tmp_path / name).read_bytes() == (reported / name).read_bytes(), name


def test_the_page_is_well_formed_and_loads_nothing(reported: Path) -> None:
    html = (reported / "report.html").read_text(encoding="utf-8")
    page = parse(html)
    assert page.loads == []
    assert not re.search(r"url\((?!#)|@import", html)
    assert page.tags.count("svg") == len(FIGURES)
    assert len(page.ids) == len(set(page.ids))
    assert {"script", "iframe", "b"} & set(page.tags) == set()
    assert "Letters <b>&</b> | more" in page.text


def test_numbers_in_the_summary_are_those_of_the_records(reported: Path, summary: str) -> None:
    last = {r.arm: r for r in read_run(reported).rounds if r.labels == AT[-1] and r.test}
    for name in ARMS:
        mean = np.mean([r.test["macro_f1"] for r in last.values() if r.test and r.strategy == name])
        assert re.search(rf"^\| {name} \| 10 \| {mean:.4f} ", summary, re.MULTILINE)
    more = np.mean([last[s, "margin"].test["macro_f1"] - last[s, "random"].test["macro_f1"] for s in range(10)])  # type: ignore[index]
    assert f"margin is better ({more:+.4f} " in summary


def test_classes_have_their_own_scores_and_what_was_chosen_of_them(reported: Path, summary: str) -> None:
    right = targets_of(reported)["test"].classes_N
    scores = {
        name: np.mean(
            [f1_of_class(right, probabilities.read(reported, s, name, 2)["test"].classes_N, 0) for s in range(10)]
        )
        for name in ("random", "margin")
    }
    row = next(line for line in summary.splitlines() if line.startswith("| ham |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:5] == ["ham", "133", "30", f"{scores['random']:.3f}", "48.0"]
    assert cells[-3:] == [f"{scores['margin']:.3f}", f"{scores['margin'] - scores['random']:+.3f}", "48.0"]


def test_calibration_times_and_choices_are_told(reported: Path, summary: str) -> None:
    qualities = {quality.strategy: quality for quality in read_report([reported]).qualities}
    of = qualities["margin"]
    assert f"| margin | 10 | {of.ece.mean:.4f} " in summary
    assert sum(of.bins.counts_B) == 10 * 90
    assert sum(n * right for n, right in zip(of.bins.counts_B, of.bins.right_B, strict=True)) == pytest.approx(
        of.accuracy.mean * 900
    )
    assert "| margin | 48 | 6.0 (12.5 %) | 1.0 of 3 |" in summary
    assert "| margin | a CPU | 30 | 2.00 | 1.00 | 3.00 | 0.00 | 0.03 |" in summary
    assert "| a CPU | 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 |" in summary
    assert "| 64 | 100 | 16 | 25.0 | 100.0 % |" in summary
    assert "| 400 | 150 | 16 | 6.0 | not recorded |" in summary
    assert "nextlabel simulate --out letters\nnextlabel report " in summary


def test_shared_seconds_are_not_spent_again(tmp_path: Path) -> None:
    directory = play(tmp_path / "run", range(3), {"random": 0.0, "margin": 0.3})
    lines = [json.loads(line) for line in (directory / "rounds.jsonl").read_text().splitlines()]
    for line in lines:
        if line["strategy"] == "margin" and line["round"] == 0:
            line["seconds"] = {"fit": 3602.0, "score": 1.0, "shared": 3602.0}
    (directory / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_report([directory], directory)
    assert (
        "| margin | a CPU | 9 | 1202.00 | 1.00 | 1203.00 | 1200.67 | 0.01 |" in (directory / "summary.md").read_text()
    )


def test_a_run_with_few_seeds_a_target_out_of_reach_and_no_baseline_is_reported(tmp_path: Path) -> None:
    directory = play(tmp_path / "run", range(2), {"random": 0.0, "margin": -0.9}, full_seeds=0)
    report = write_report([directory], directory)
    summary = (directory / "summary.md").read_text(encoding="utf-8")
    assert headlines(report.study)[0].startswith("Supports no claim (2 paired seeds, 10 are needed): ")
    assert "| margin | not within 64 | 64 | not reached" in summary
    assert "full data" not in summary.partition("## Classes")[0].replace("way to full data", "").replace(
        "first label count to full data", ""
    )
    assert "- There is no full data: " in summary


def test_arms_begun_anew_are_listed(tmp_path: Path) -> None:
    directory = play(tmp_path / "run", range(2), {"random": 0.0, "margin": 0.3})
    started = json.loads((directory / "run.json").read_text())
    started["invocations"][0]["begun_anew"] = [{"seed": 1, "strategy": "margin", "rounds": 2, "machine": "an old CPU"}]
    (directory / "run.json").write_text(json.dumps(started))
    write_report([directory], directory)
    summary = (directory / "summary.md").read_text(encoding="utf-8")
    assert "| margin | 1 | 2 | an old CPU |" in summary
    assert "- Begun anew: margin, seed 1." in summary


def test_versions_that_answer_one_class_are_told(tmp_path: Path) -> None:
    directory = play(tmp_path / "run", range(2), {"random": 0.0, "margin": 0.3})
    said = {part: np.tile([1.0, 0.0, 0.0], (len(right.classes_N), 1)) for part, right in targets_of(directory).items()}
    probabilities.write(directory, 1, "margin", 2, said)
    lines = [json.loads(line) for line in (directory / "rounds.jsonl").read_text().splitlines()]
    for part, right in targets_of(directory).items():
        always_N = np.zeros_like(right.classes_N)
        scores = evaluate(right.classes_N, always_N, 3).as_dict()
        lines[-1][part] = {**scores, "macro_f1": macro_f1(right.classes_N, always_N)}
    (directory / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_report([directory], directory)
    summary = (directory / "summary.md").read_text(encoding="utf-8")
    assert "- 1 of 2 versions of margin answer one class for every test example: these fits have failed." in summary


def test_a_difference_that_is_one_class_is_told_with_what_is_left_of_it(tmp_path: Path) -> None:
    """Versions of margin say what random's say, and know all texts of the last class besides."""
    directory = play(tmp_path / "run", range(10), {"random": 0.0, "margin": 0.0})
    right = targets_of(directory)
    lines = [json.loads(line) for line in (directory / "rounds.jsonl").read_text().splitlines()]
    for line in lines:
        if (line["strategy"], line["round"]) != ("margin", 2):
            continue
        said = {}
        for part, of in right.items():
            probs_NC = probabilities.read(directory, line["seed"], "random", 2)[part].probs_NC.copy()
            probs_NC[of.classes_N == 2] = (0.0, 0.0, 1.0)
            classes_N, said[part] = probs_NC.argmax(axis=1), probs_NC
            scores = evaluate(of.classes_N, classes_N, 3).as_dict()
            line[part] = {**scores, "macro_f1": macro_f1(of.classes_N, classes_N)}
        probabilities.write(directory, line["seed"], "margin", 2, said)
    (directory / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = read_report([directory])
    [quality] = [quality for quality in report.qualities if quality.strategy == "margin"]
    assert quality.without is not None
    assert quality.more_C is not None
    assert quality.without.label == 2
    assert quality.without.share == pytest.approx(quality.more_C[2] / sum(quality.more_C))
    assert quality.without.mean == pytest.approx((quality.more_C[0] + quality.more_C[1]) / 2)
    [said_of] = list(of_versions(report.study, report.qualities))
    assert said_of.startswith(
        f"{100 * quality.without.share:.0f} % of margin's difference to random is that of one class, news, with 30 "
        f"test examples; over the other classes the difference is {quality.without.mean:+.4f} [95 % CI "
    )
    over = corpora_report.read_report([directory])
    assert f"run: {said_of}" in doubts(over)
    assert "| better, mostly by news |" in corpora_report.block(over, [directory], tmp_path)


def test_seeds_of_two_directories_are_put_together(tmp_path: Path) -> None:
    one = play(tmp_path / "one", range(2), {"random": 0.0, "margin": 0.3})
    two = play(tmp_path / "two", range(2, 4), {"random": 0.0, "margin": 0.3})
    report = write_report([one, two], tmp_path / "out")
    assert report.study.rivals[0].seeds == (0, 1, 2, 3)
    assert report.qualities[0].seeds == (0, 1, 2, 3)


def leave_out(archive: Path, words: str) -> None:
    """Take what has these words in its name out of an archive."""
    with zipfile.ZipFile(archive) as old:
        kept = {name: old.read(name) for name in old.namelist() if words not in name}
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in kept.items():
            new.writestr(name, content)


def test_an_older_copy_of_a_run_takes_nothing_from_it(tmp_path: Path) -> None:
    whole = play(tmp_path / "whole", range(2), {"random": 0.0, "margin": 0.3})
    older = play(tmp_path / "older", range(2), {"random": 0.0, "margin": 0.3})
    lines = [json.loads(line) for line in (older / "rounds.jsonl").read_text().splitlines()]
    first = [line for line in lines if line["strategy"] == "full" or line["round"] < 2]
    (older / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in first))
    for seed in range(2):
        leave_out(older / "probabilities" / f"seed-{seed}.zip", "/2/")
    qualities = write_report([whole, older], tmp_path / "out").qualities
    assert qualities == read_report([whole]).qualities


def test_near_copies_and_fits_of_an_arm_with_control_labels_are_told_of_what_it_learnt(tmp_path: Path) -> None:
    directory = play(tmp_path / "run", range(2), {"random": 0.0, "live": 0.3})
    lines = [json.loads(line) for line in (directory / "rounds.jsonl").read_text().splitlines()]
    for line in lines:
        if line["strategy"] == "live" and line["round"]:
            line["control"] = {"labels": {32: 2, 64: 6}[line["labels"]]}
    (directory / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_report([directory], directory)
    summary = (directory / "summary.md").read_text(encoding="utf-8")
    assert "| live | 48 | 6.0 (14.3 %) |" in summary, "of 42 that its order chose"
    assert "| random | 48 | 6.0 (12.5 %) |" in summary
    assert "shares are of what the order chose, control tasks left out" in summary
    assert "| 64 | 100 | 16 | 25.0 | 100.0 % |" in summary
    assert "| 58 of 64 (live, without control tasks) | 100 | 16 | 27.6 | 100.0 % |" in summary


def broken(directory: Path, name: str) -> Path:
    """A run of two seeds in which one thing is not as it was written."""
    play(directory, range(2), {"random": 0.0, "margin": 0.3})
    seed, rounds = directory / "probabilities" / "seed-1.zip", directory / "rounds.jsonl"
    if name == "seed":
        seed.unlink()
    elif name == "round":
        leave_out(seed, "margin/2/")
    elif name == "targets":
        (directory / "targets.json").unlink()
    else:
        lines = [json.loads(line) for line in rounds.read_text().splitlines()]
        lines[-1]["test"]["macro_f1"] = 0.987
        rounds.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("seed", r"seed-1.zip cannot be read: .*No such file"),
        ("round", r"seed-1.zip holds nothing of round 2 of margin"),
        ("targets", r"targets.json cannot be read"),
        ("score", r"Seed 1, margin, round 2: macro_f1 on test is 0.987 in .*, and 0\.\d+ by the stored classes"),
    ],
)
def test_what_is_not_as_it_was_written_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(BadRunError, match=words):
        write_report([broken(tmp_path / "run", name)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_block_of_a_page_is_renewed_and_then_stays(reported: Path, tmp_path: Path) -> None:
    report = read_report([reported])
    page = tmp_path / "page.md"
    page.write_text("# Name\n\n<!-- results:letters -->\nold\n<!-- /results -->\n", encoding="utf-8")
    for changed in (True, False):
        assert update_readme(page, "letters", report, tmp_path / "docs" / "letters", "nextlabel report x") is changed
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Name\n\n<!-- results:letters -->\n**10 paired seeds: against ")
    assert "](docs/letters/learning-curves.svg)" in text
    assert "nextlabel simulate --out letters\nnextlabel report x\n" in text


def test_commands_that_a_later_one_takes_up_again_are_not_asked_for(reported: Path) -> None:
    run = read_run(reported)
    plans = {
        "a": ([0, 1], ["random"]),
        "b": ([0], ["random"]),
        "c": ([0, 1], ["random", "margin"]),
        "d": ([2], ["random"]),
    }
    starts = [{"command": name, "seeds": seeds, "strategies": arms} for name, (seeds, arms) in plans.items()]
    assert needed_commands(replace(run, invocations=starts)) == ["c", "d"]
    assert needed_commands(replace(run, invocations=[{"command": "of old"}, *starts])) == ["of old", "c", "d"]


def test_a_command_that_alone_made_full_seeds_or_later_rounds_is_asked_for(reported: Path) -> None:
    run, arms = read_run(reported), ["random", "full"]
    wide = {"command": "wide", "seeds": [0, 1], "strategies": arms, "full_seeds": [0, 1], "rounds": None}
    fewer_full = {**wide, "command": "fewer full", "full_seeds": [0]}
    shorter = {**wide, "command": "shorter", "rounds": 3}
    for later in (fewer_full, shorter):
        assert needed_commands(replace(run, invocations=[wide, later])) == ["wide", later["command"]]
        assert needed_commands(replace(run, invocations=[later, wide])) == ["wide"]
    assert needed_commands(replace(run, invocations=[shorter, {**shorter, "command": "again", "rounds": 4}])) == [
        "again"
    ]


def test_the_command_tells_runs_with_label_counts_from_others(reported: Path, tmp_path: Path) -> None:
    assert plays_counts(reported)
    assert not plays_counts(tmp_path)
    done = run("report.py", reported, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("10 paired seeds: against random sampling's test macro-F1 of ")
    assert (tmp_path / "report.html").exists()


def test_arms_of_heads_are_judged_as_those_that_fit_the_model_and_explained(tmp_path: Path) -> None:
    directory = play(tmp_path / "letters", range(3), {"random": 0.0, "margin": 0.2, "head:margin": 0.6})
    write_report([directory], directory)
    assert "head:margin" in json.loads((directory / "statistics.json").read_text())["sentences"][0]
    summary = (directory / "summary.md").read_text(encoding="utf-8")
    assert "head: after every 8 labels the version's last layer is fitted again to all labels known" in summary
    assert "logistic regression on words" not in summary
