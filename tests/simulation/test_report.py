"""The report as its readers get it: figures, Markdown, one HTML page, numbers, and the block in a README."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.pages import parse
from helpers.paths import ROOT
from nextlabel.errors import BadRunError
from nextlabel.simulation.blocks import (
    Block,
    Code,
    Paragraph,
    Table,
    to_html,
    to_markdown,
)
from nextlabel.simulation.curves import Curve, crossing
from nextlabel.simulation.records import (
    Record,
    append,
    read_run,
    write_json,
)
from nextlabel.simulation.report import update_readme, write_report
from nextlabel.simulation.study import headlines, read_study

pytestmark = pytest.mark.usefixtures("patience")  # each report has its figures

TRAIN = 500
FIGURES = ("learning-curves", "savings", "seeds")


def scores(combined: float, examples: int) -> dict[str, float]:
    return {"accuracy": combined - 0.01, "f1": combined + 0.01, "combined": combined, "examples": examples}


def play(
    directory: Path,
    seeds: range,
    gains: dict[str, float],
    rounds: int = 6,
    target: float = 0.8,
    full: bool = True,
    **setting: Any,
) -> Path:
    """A run whose arms rise by 0.02 a round, `gains` above random, with a little noise."""
    directory.mkdir()
    data = {"source": "pairs <b>&</b> | more", "labels": ["ja", "nein"], "train": TRAIN, "dev": 408, "test": 1725}
    write_json(directory / "setting.json", {"data": data, "batch": 50, **setting})
    started = {"command": f"nextlabel simulate --out {directory.name}", "machine": "a CPU", "device": "cpu"}
    write_json(directory / "run.json", {"invocations": [{**started, "versions": {"numpy": "2"}}]})
    for seed in seeds:
        rng = np.random.default_rng(seed)
        if full:
            dev, test = (round(target + rng.normal(0, 0.003), 4) for _ in range(2))
            whole = Record(seed, "full", 0, TRAIN, scores(dev, 408), scores(test, 1725), (), {"fit": 2.0}, "cpu")
            append(directory / "rounds.jsonl", whole)
        for name, gain in gains.items():
            for number in range(rounds):
                dev, test = (round(0.72 + 0.02 * number + gain + rng.normal(0, 0.003), 4) for _ in range(2))
                labels, chosen = 100 + 50 * number, (number,)
                took = {"fit": 1.0, "score": 0.5}
                record = Record(seed, name, number, labels, scores(dev, 408), scores(test, 1725), chosen, took, "cpu")
                append(directory / "rounds.jsonl", record)
    return directory


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = play(
        tmp_path_factory.mktemp("runs") / "ten", range(10), {"random": 0.0, "entropy": 0.03, "margin": 0.03}
    )
    write_report([directory], directory)
    return directory


def test_figures_are_written_as_png_and_svg(reported: Path) -> None:
    for name in FIGURES:
        assert (reported / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (reported / f"{name}.png").stat().st_size > 10_000
        svg = ET.parse(reported / f"{name}.svg").getroot()
        assert len(list(svg.iter("{http://www.w3.org/2000/svg}path"))) > 20


def test_writing_again_gives_the_same_bytes(reported: Path, tmp_path: Path) -> None:
    write_report([reported], tmp_path)
    for name in (*(f"{n}.{kind}" for n in FIGURES for kind in ("png", "svg")), "statistics.json"):
        assert (tmp_path / name).read_bytes() == (reported / name).read_bytes(), name


def test_the_page_is_well_formed_and_loads_nothing(reported: Path) -> None:
    html = (reported / "report.html").read_text(encoding="utf-8")
    page = parse(html)
    assert page.loads == []
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not re.search(r"url\((?!#)|@import", html)
    assert page.tags.count("svg") == len(FIGURES)
    assert html.count('<svg role="img" aria-label="') == len(FIGURES)
    assert len(page.ids) == len(set(page.ids))
    assert {"script", "iframe", "b"} & set(page.tags) == set()
    assert "pairs <b>&</b> | more" in page.text


def test_every_reference_inside_a_figure_finds_its_target(reported: Path) -> None:
    html = (reported / "report.html").read_text(encoding="utf-8")
    wanted = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', html))
    ids = set(parse(html).ids)
    assert wanted
    assert {name for pair in wanted for name in pair if name} <= ids


def test_numbers_in_the_summary_are_those_of_the_records(reported: Path) -> None:
    summary = (reported / "summary.md").read_text(encoding="utf-8")
    rounds = read_run(reported).rounds
    target = float(np.mean([r.dev["combined"] for r in rounds if r.strategy == "full"]))
    shares, against = [], []
    for seed in range(10):
        needed = {}
        for name in ("entropy", "random"):
            arm = [r for r in rounds if r.arm == (seed, name)]
            line = Curve(np.array([r.labels for r in arm]), np.array([r.dev["combined"] for r in arm]))
            needed[name] = crossing(line.labels_R, line.dev_R, target)
        shares.append(1 - (needed["entropy"] or TRAIN) / TRAIN)
        against.append(1 - (needed["entropy"] or 350) / (needed["random"] or 350))
    assert f"entropy reaches the mean full-data score in 10 of 10 seeds, with {100 * np.mean(shares):.1f} % " in summary
    assert f"and {100 * np.mean(against):.1f} % " in summary
    assert f"all {TRAIN} labels: {target:.4f} " in summary
    finals = [np.mean([r.dev["combined"] for r in rounds if r.arm == (s, "entropy")][-3:]) for s in range(10)]
    assert re.search(rf"^\| entropy \| 10 \| 6 \| 350 \| {np.mean(finals):.4f} \|", summary, re.MULTILINE)


def test_statistics_are_there_for_machines_and_unrounded(reported: Path) -> None:
    numbers = json.loads((reported / "statistics.json").read_text())
    entropy = next(o for o in numbers["outcomes"] if o["strategy"] == "entropy")
    assert entropy["supports_claim"] is True
    assert entropy["to_full"]["saved_full"]["low"] <= entropy["to_full"]["saved_full"]["mean"]
    dev = [r.dev["combined"] for r in read_run(reported).rounds if r.strategy == "random" and r.round == 2]
    assert numbers["mean_curves"]["dev"]["random"][2]["mean"] == pytest.approx(np.mean(dev), rel=1e-14)


def test_strategies_that_rank_alike_are_drawn_once_and_tabled_all(reported: Path) -> None:
    summary = (reported / "summary.md").read_text(encoding="utf-8")
    assert "With two classes entropy and margin rank every pool alike" in summary
    assert "![Mean dev and test score over labels used, for entropy and random and full data]" in summary
    assert "\n| margin | 10 |" in summary


def test_what_is_needed_to_repeat_it_is_there(reported: Path) -> None:
    summary = (reported / "summary.md").read_text(encoding="utf-8")
    for needed in ("nextlabel simulate --out ten", "nextlabel report ", "| a CPU |", "numpy 2", '"batch": 50'):
        assert needed in summary
    assert "| entropy | cpu | 60 | 1.00 | 0.50 |" in summary
    assert "default\\_rng(0).integers(0, S, size=(10000, S))" in summary


def test_an_unreached_target_is_said_in_words_and_in_the_figure(tmp_path: Path) -> None:
    directory = play(tmp_path / "low", range(3), {"random": 0.0, "entropy": 0.01}, target=0.95)
    study = write_report([directory], tmp_path / "out")
    assert "the mean full-data score is not reached within 350 labels in any of 3 seeds" in headlines(study)[0]
    assert headlines(study)[0].startswith("Supports no claim (3 paired seeds, 10 are needed): ")
    summary = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "| entropy | 0 of 3 seeds | not reached | not reached | not reached | none | none |" in summary
    assert "Against full data: entropy not reached, random not reached" in summary


def test_seeds_of_several_runs_are_put_together_and_gaps_are_told(tmp_path: Path) -> None:
    one = play(tmp_path / "one", range(2), {"random": 0.0, "entropy": 0.03})
    two = play(tmp_path / "two", range(2, 4), {"random": 0.0, "entropy": 0.03})
    three = play(tmp_path / "three", range(4, 5), {"entropy": 0.03}, rounds=4)
    lines = (two / "rounds.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (two / "rounds.jsonl").write_text("".join(lines[:-2]), encoding="utf-8")
    study = write_report([one, two, three], tmp_path / "out")
    assert {o.strategy: o.seeds for o in study.outcomes} == {"entropy": (0, 1, 2, 3), "random": (0, 1, 2, 3)}
    summary = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "Unfinished: entropy, seed 3 (4 of 6 rounds); entropy, seed 4 (4 of 6 rounds)." in summary
    assert "Left out of entropy and of its target, because not paired: seeds 4." in summary
    other = play(tmp_path / "other", range(9, 10), {"random": 0.0}, batch=64)
    with pytest.raises(BadRunError, match=r"batch: 50, not 64"):
        write_report([one, other], tmp_path / "out")


def test_a_reproduction_is_labelled_and_claims_nothing(tmp_path: Path) -> None:
    directory = play(tmp_path / "tutorial", range(123, 124), {"entropy": 0.03}, reproduction=True, stop_at=0.82)
    first = next(r for r in read_run(directory).rounds if r.dev["combined"] >= 0.82)
    share, hours = 1 - first.labels / TRAIN, (TRAIN - first.labels) * 3 / 60
    write_report([directory], directory)
    summary = (directory / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("# A reproduction of the tutorial, not evidence")
    assert f"| entropy, seed 123 | 0.8200 | {first.labels} | {100 * share:.1f} % | {hours:.1f} |" in summary
    assert "paired seed" not in summary.partition("## Question")[0].replace("means over paired seeds", "")
    for foreign in ("andom sampling", "bootstrap", "econd target", "Win rate", "95 %", "same as the tutorial's"):
        assert foreign not in summary
    assert not (directory / "savings.png").exists()
    assert parse((directory / "report.html").read_text(encoding="utf-8")).loads == []


def test_a_variation_of_the_tutorial_is_titled_one_and_lists_how_it_differs(tmp_path: Path) -> None:
    setting: dict[str, Any] = {"reproduction": True, "stop_at": 0.82}
    other = play(
        tmp_path / "other", range(1), {"entropy": 0.03}, deviations=["base_model: MiniLM, not BERT"], **setting
    )
    write_report([other], other)
    summary = (other / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("# A variation of the tutorial's experiment, not a reproduction and not evidence: pairs")
    assert "\n- Deviation: base\\_model: MiniLM, not BERT\n" in summary
    same = play(tmp_path / "same", range(1), {"entropy": 0.03}, deviations=[], **setting)
    write_report([same], same)
    summary = (same / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("# A reproduction of the tutorial, not evidence: pairs")
    assert "Model, schedule, start size, batch and stopping rule are the same as the tutorial's." in summary


def planned(directory: Path, **plan: object) -> Path:
    write_json(directory / "run.json", {"invocations": [{"command": "nextlabel simulate", **plan}]})
    return directory


def summary_of(directory: Path) -> str:
    write_report([directory], directory)
    return (directory / "summary.md").read_text(encoding="utf-8")


def test_arms_cut_short_are_compared_with_the_most_rounds_of_all(tmp_path: Path) -> None:
    both = play(tmp_path / "both", range(2), {"random": 0.0, "entropy": 0.03}, full=False)
    lines = (both / "rounds.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if '"random"' in line or json.loads(line)["round"] < 2]
    (both / "rounds.jsonl").write_text("".join(kept), encoding="utf-8")
    summary = summary_of(both)
    assert "Unfinished: entropy, seed 0 (2 of 6 rounds); entropy, seed 1 (2 of 6 rounds)." in summary
    assert "entropy has fewer than 3 rounds: a sustained crossing cannot happen." in summary
    assert "so that a sustained crossing cannot happen: entropy, seeds 0, 1. They count" in summary
    assert "| entropy | 0 of 2 seeds | fewer than 3 rounds | fewer than 3 rounds |" in summary
    assert "entropy fewer than 3 rounds" in summary
    assert "entropy not reached" not in summary


def test_what_was_planned_and_not_played_is_told(tmp_path: Path) -> None:
    directory = play(tmp_path / "run", range(2), {"random": 0.0, "entropy": 0.03})
    names = ["full", "random", "entropy"]
    assert "Planned" not in summary_of(planned(directory, seeds=[0, 1], strategies=names, rounds=5))
    wrong = [{"seed": 2, "strategy": "entropy", "why": "the loss is not finite"}]
    summary = summary_of(planned(directory, seeds=[0, 1, 2, 3], strategies=[*names, "bald"], rounds=7, failures=wrong))
    assert (
        "Planned, not played: full, seeds 2, 3; bald, seeds 0, 1, 2, 3; entropy, seed 3; random, seeds 2, 3." in summary
    )
    assert "Failed: entropy, seed 2 (the loss is not finite). These arms end where their fit diverged" in summary
    assert "Unfinished: entropy, seed 0 (6 of 8 rounds)" in summary
    summary = summary_of(planned(directory, seeds=[0, 1], strategies=names, rounds=None))
    assert "entropy, seed 0 (6 rounds, planned until no label is left)" in summary


def test_the_protocol_says_how_long_models_are_fitted(tmp_path: Path) -> None:
    recipe: dict[str, Any] = {"steps": 60, "batch_size": 10, "learning_rate": 5e-05, "warmup": 0.1, "precision": "fp32"}
    setting: dict[str, Any] = {"recipe": recipe, "start": 0.2, "start_by": "random", "full_steps": 60}
    directory = play(tmp_path / "run", range(2), {"random": 0.0, "entropy": 0.03}, **setting)
    summary = summary_of(directory)
    for said in (
        "- Start set: 20 % of the training data, 100 labels, drawn at random.",
        "- Labels a round: 50.",
        "- Fit of a round: 60 steps of 10 examples, learning rate 5e-05, warm-up 10 % of the steps, precision fp32; "
        "that is 6.0 epochs in the first round (100 labels) and 1.7 epochs in the last (350 labels).",
        "- Fit of the full-data baseline: 60 steps of 10 examples, 1.2 epochs.",
        "The baseline saw each example only 1.2 times on average; an undertrained baseline lowers the target and makes",
        "lose without bound, so that the mean is conservative.",
    ):
        assert said in summary
    enough = play(tmp_path / "enough", range(2), {"random": 0.0}, **{**setting, "full_steps": 149})
    assert "undertrained" not in summary_of(enough)
    long = play(tmp_path / "long", range(2), {"random": 0.0}, **{**setting, "epochs": 4.0})
    said = "60 steps of 10 examples or 4 epochs, if that is more, learning rate 5e-05, warm-up 10 % of the steps, "
    took = "6.0 epochs in the first round (100 labels) and 4.0 epochs in the last (350 labels)"
    assert f"- Fit of a round: {said}precision fp32; that is {took}." in summary_of(long)
    rule = {**recipe, "steps": "auto: more for more labels"}
    summary = summary_of(play(tmp_path / "rule", range(2), {"random": 0.0}, **{**setting, "recipe": rule}))
    assert "- Fit of a round: auto: more for more labels, 10 examples a step, learning rate 5e-05, warm-up" in summary


def test_leaks_stopped_arms_and_mixed_versions_are_told(tmp_path: Path) -> None:
    directory = play(tmp_path / "run", range(2), {"random": 0.0, "entropy": 0.03}, stop_at=0.82)
    setting = json.loads((directory / "setting.json").read_text(encoding="utf-8"))
    setting["data"]["shared"] = {"dev examples that are also in train": 3, "test examples that are also in train": 0}
    setting["data"]["shared"]["train examples repeat an earlier one"] = 2
    setting["data"]["counts"] = {"train": {"ja": 400, "nein": 100}, "dev": {"ja": 204, "nein": 204}}
    write_json(directory / "setting.json", setting)
    lines = [json.loads(line) for line in (directory / "rounds.jsonl").read_text(encoding="utf-8").splitlines()]
    made = [{**line, "versions": {"torch": f"2.{line['seed']}", "numpy": "2"}} for line in lines]
    (directory / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in made), encoding="utf-8")
    summary = summary_of(directory)
    assert "\nA leak: 3 dev examples that are also in train.\n" in summary
    assert summary.count("A leak") == 1
    assert "\nRepeated: 2 train examples repeat an earlier one.\n" in summary
    assert "Arms were stopped at a single look of 0.82: no comparison of sustained crossings is possible." in summary
    assert "different versions of packages (torch 2.0 and 2.1)" in summary
    assert "Class balance: train ja 400 (80.0 %), nein 100 (20.0 %); dev ja 204 (50.0 %), nein 204 (50.0 %)." in summary


def test_targets_that_differ_by_arm_are_told_for_each(tmp_path: Path) -> None:
    directory = play(tmp_path / "run", range(3), {"random": 0.0, "entropy": 0.03, "bald": 0.02})
    lines = (directory / "rounds.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["seed"] < 2 or json.loads(line)["strategy"] != "bald"]
    (directory / "rounds.jsonl").write_text("".join(kept), encoding="utf-8")
    summary = summary_of(directory)
    assert "Not all arms have the same paired seeds: this mean is over all 3 seeds of the baseline" in summary
    assert "Full data: mean over all 3 seeds." in summary
    assert "To random's mean final dev score (by arm, over its paired seeds), sustained crossing." in summary
    assert "| arm | reached | labels needed, by seed | target | saved vs random |" in summary


def test_a_run_without_baseline_test_part_or_second_seed_is_reported(tmp_path: Path) -> None:
    directory = play(tmp_path / "bare", range(1), {"random": 0.0, "entropy": 0.03}, full=False)
    lines = [json.loads(line) for line in (directory / "rounds.jsonl").read_text().splitlines()]
    (directory / "rounds.jsonl").write_text("".join(json.dumps({**line, "test": None}) + "\n" for line in lines))
    study = write_report([directory], directory)
    assert headlines(study)[0].startswith(
        "Supports no claim (1 paired seed, 10 are needed): entropy reaches random sampling's final score in 1 of 1 "
    )
    assert "Mean test score" not in (directory / "summary.md").read_text(encoding="utf-8")


def test_the_readme_block_is_renewed_and_then_stays(reported: Path, tmp_path: Path) -> None:
    study = read_study([reported])
    readme = tmp_path / "README.md"
    readme.write_text("# Name\n\n<!-- results:mrpc -->\nold\n<!-- /results -->\n\nafter\n", encoding="utf-8")
    for changed in (True, False):
        assert update_readme(readme, "mrpc", study, tmp_path / "docs" / "results", "nextlabel report x") is changed
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("# Name\n\n<!-- results:mrpc -->\n**10 paired seeds: entropy ")
    assert text.endswith("```\n<!-- /results -->\n\nafter\n")
    assert "](docs/results/learning-curves.svg)" in text
    assert "nextlabel simulate --out ten\nnextlabel report x\n" in text
    with pytest.raises(BadRunError, match=r"Add the two lines <!-- results:other -->"):
        update_readme(readme, "other", study, tmp_path, "")


def test_a_readme_block_without_its_own_end_is_refused(reported: Path, tmp_path: Path) -> None:
    study = read_study([reported])
    readme = tmp_path / "README.md"
    text = "<!-- results:one -->\n\nkept\n<!-- results:two -->\n<!-- /results -->\n"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(BadRunError, match=r"Add the two lines <!-- results:one -->"):
        update_readme(readme, "one", study, tmp_path, "")
    assert readme.read_text(encoding="utf-8") == text
    with pytest.raises(BadRunError, match=r"Cannot read .*NONE.md: No such file"):
        update_readme(tmp_path / "NONE.md", "one", study, tmp_path, "")


def test_the_script_reports_and_refuses_in_one_line(reported: Path, tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "report.py")]
    done = subprocess.run([*script, reported, "--out", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("10 paired seeds: entropy ")
    assert (tmp_path / "report.html").exists()
    refused = subprocess.run([*script, tmp_path / "none"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr == f"{tmp_path / 'none' / 'setting.json'} is missing. Give a directory that " + (
        "nextlabel simulate wrote.\n"
    )


def test_nothing_in_a_text_is_markup() -> None:
    odd = "<script>a|b*c_d`e`[f](g)\n\nh"
    blocks: list[Block] = [Paragraph(odd), Table(odd, ["x", odd], [[odd, odd]]), Code("```\n<i>\n````")]
    page = parse(to_html(odd, blocks))
    assert {"script", "i"} & set(page.tags) == set()
    assert page.text.count(odd) == 7  # title, heading, paragraph, caption, head, and both cells
    markdown = to_markdown(odd, blocks)
    assert "\n\\<script\\>a\\|b\\*c\\_d\\`e\\`\\[f\\](g) h\n" in markdown
    assert markdown.endswith("\n\n`````\n```\n<i>\n````\n`````\n")
