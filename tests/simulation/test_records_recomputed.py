"""What is committed under reports/ is what a second program makes of the records, to the last digit."""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import ROOT
from helpers.recomputed import Recomputed, claimed, is_baseline, judged_arms, over_corpora

pytestmark = pytest.mark.usefixtures("patience")

RUNS = sorted(
    path.parent for path in (ROOT / "reports").glob("*/statistics.json") if (path.parent / "targets.json").exists()
)
NAMES = {"full": "full data"}


@pytest.fixture(scope="module", params=RUNS, ids=lambda run: run.name)
def run(request: pytest.FixtureRequest) -> Recomputed:
    return Recomputed(request.param)


@pytest.fixture(scope="module")
def kept(run: Recomputed) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((run.directory / "statistics.json").read_text(encoding="utf-8"))
    return found


@functools.cache
def comparison(directory: Path) -> Mapping[str, Any]:
    return Recomputed(directory).comparison()


@pytest.fixture(scope="module")
def found(run: Recomputed) -> Mapping[str, Any]:
    return comparison(run.directory)


@pytest.fixture(scope="module")
def last(run: Recomputed) -> Mapping[str, Any]:
    return run.at_last_count()


def test_scores_of_the_records_are_those_of_the_stored_classes(run: Recomputed) -> None:
    assert [what for what, noted, found in run.scores() if noted != found] == []


def test_statistics_are_those_of_the_records(
    kept: Mapping[str, Any], found: Mapping[str, Any], last: Mapping[str, Any]
) -> None:
    assert kept["comparison"] == found
    assert kept["at_last_count"] == last


def in_the_page() -> tuple[str, list[Path]]:
    """The committed page over corpora, and the runs that it names."""
    page = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")
    return page, [run for run in RUNS if f"[{run.name}]({run.name}/summary.md)" in page.partition("own report:")[2]]


def test_several_corpora_together_are_those_of_the_records() -> None:
    kept = json.loads((ROOT / "reports" / "corpora.json").read_text(encoding="utf-8"))["corpora"]
    assert kept == over_corpora([comparison(run) for run in in_the_page()[1]])


def test_savings_are_claimed_where_the_rules_allow_it(kept: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    arms = judged_arms(found)
    said = {
        arm["strategy"]
        for arm in arms
        if re.search(rf"(^|[ ;,]){re.escape(arm['strategy'])} needs [^;]* fewer than", kept["sentences"][1])
    }
    assert said == {arm["strategy"] for arm, of in zip(arms, claimed(arms), strict=True) if of}


def test_hours_are_saved_over_corpora_where_the_rules_allow_it() -> None:
    """In the committed page, of the corpora that it names."""
    page, runs = in_the_page()
    arms = [arm for run in runs for arm in judged_arms(comparison(run))]
    rows = re.findall(r"^\| .* \| ([\w:]+) \| [\d.]+ h \| .* \| (.*) \|$", page, re.MULTILINE)
    assert [(arm["strategy"], of) for arm, of in zip(arms, claimed(arms), strict=True)] == [
        (name, saved != "not shown") for name, saved in rows
    ]


def test_the_default_is_a_family_of_its_own_and_baselines_are_in_none() -> None:
    """As there are no committed runs of these arms yet."""
    names = ("entropy:64", "frozen:margin", "live", "margin", "random", "tfidf:margin")
    arms = {
        name: {
            "strategy": name, "seeds": [*range(10)], "needs": [{"saving": {"share": 0.5, "p": p}}]
        }
        for name, p in zip(names, (0.02, 0.9, 0.02, 0.012, 1.0, 0.9), strict=True)
    }  # fmt: skip
    judged = judged_arms({"arms": [*arms.values()]})
    assert [arm["strategy"] for arm in judged] == ["entropy:64", "live", "margin"]
    assert claimed(judged) == [True, True, True]
    assert claimed([*judged, arms["live"]]) == [True, False, True, False], "of two corpora"
    assert claimed([*judged, arms["margin"]]) == [False, True, False, False]


# ---- tables of the page


def table(run: Recomputed, caption: str) -> dict[str, list[str]]:
    """The rows of the table under a line that begins with these words, by their first cell."""
    text = (run.directory / "summary.md").read_text(encoding="utf-8").replace("\\", "").replace("\u00a0", " ")
    lines = text.partition(f"\n{caption}")[2].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[: lines.index("")]]
    return {row[0]: row[1:] for row in rows[2:]}


def shown(of: Mapping[str, Any], form: str = ".4f") -> str:
    ends = "" if of["low"] is None else f" [{of['low']:{form}} to {of['high']:{form}}]"
    return f"{of['mean']:{form}}{ends}"


def test_arms_in_the_page_are_those_of_the_records(run: Recomputed, found: Mapping[str, Any]) -> None:
    finals = table(run, "Mean test macro-F1 with")
    heights = table(run, "Mean dev macro-F1 with")
    for arm in found["arms"]:
        name, against = arm["strategy"], arm["against_random"]
        assert finals[name][:2] == [str(len(arm["seeds"])), shown(arm["final"]["test"])]
        assert [heights[name][i] for i in (0, 2)] == [shown(arm["final"]["dev"]), shown(arm["area"]["test"])]
        if against:
            assert finals[name][2].replace(", no interval", "") == shown(against["final_test"], "+.4f")
            assert [heights[name][i] for i in (1, 3)] == [
                shown(against["final_dev"], "+.4f"),
                shown(against["area"]["test"], "+.4f"),
            ]
    assert finals["full data"][:2] == [str(len(found["full"]["seeds"])), shown(found["full"]["test"])]


def test_curves_in_the_page_are_those_of_the_records(run: Recomputed, found: Mapping[str, Any]) -> None:
    for part in ("test", "dev"):
        columns = [[shown(point[part]) for point in arm["curve"]] for arm in found["arms"]]
        rows = table(run, f"Mean {part} macro-F1{' [95 % interval]' * ('[' in columns[0][0])} with so many labels")
        assert list(rows.values()) == [list(row) for row in zip(*columns, strict=True)]


def test_classes_in_the_page_are_those_of_the_records(run: Recomputed, last: Mapping[str, Any]) -> None:
    counts = run.setting["data"]["counts"]
    arms = [name for name in last if name not in ("random", "full") and not is_baseline(name)]
    for i, label in enumerate(run.setting["data"]["labels"]):
        cells = [str(counts["train"][label]), str(counts["test"][label])]
        for name in ("random", "full", *arms):
            of = last[name]
            cells += [f"{of['f1_C'][i]:.3f}", *([f"{of['more_C'][i]:+.3f}"] if of["more_C"] else [])]
            cells += [f"{run.chosen(name)['by_class'][label]:.1f}"] if name != "full" else []
        assert table(run, "Mean F1 on test over seeds")[label] == cells


def test_calibration_in_the_page_is_that_of_the_records(run: Recomputed, last: Mapping[str, Any]) -> None:
    rows = table(run, "On test, with")
    for name, of in last.items():
        wanted = [str(len(of["seeds"])), *(shown(of[what]) for what in ("ece", "brier", "accuracy"))]
        assert rows[NAMES.get(name, name)] == wanted


def test_choices_in_the_page_are_those_of_the_records(run: Recomputed) -> None:
    rows, pool = table(run, "Up to "), run.setting["data"]["counts"]["train"]
    for name in set(run.seeds) - {"full"}:
        of = run.chosen(name)
        copies = f"{of['near_copies']:.1f} ({100 * of['near_copies'] / of['ordered']:.1f} %)"
        assert rows[name][:2] == [f"{of['all']:.0f}", copies]
        for cell, pick in zip(rows[name][3:], (max, min), strict=True):
            label = pick(pool, key=pool.__getitem__)
            share = f"{100 * of['by_class'][label] / of['all']:.1f} %"
            assert cell.startswith(f"{label} {share} (pool {100 * pool[label] / run.setting['data']['train']:.1f} %")


def test_labels_needed_in_the_page_are_those_of_the_records(run: Recomputed, found: Mapping[str, Any]) -> None:
    text = (run.directory / "summary.md").read_text(encoding="utf-8").replace("\\", "")
    beyond = f"not within {run.counts[-1]}"
    for arm in found["arms"]:
        for need in arm["needs"] if arm["against_random"] else ():
            labels, of_random = (
                beyond if need[what] is None else f"{need[what]:,}" for what in ("labels", "labels_random")
            )
            test = "" if need["test"] is None else f"{need['test']:.4f}"
            ends = ["", ""] if (labels, of_random) == (beyond, beyond) else [saved(need, len(arm["seeds"])), test]
            score = f"{need['score']:.4f}"
            rows = [
                f"| {' | '.join([score, name, labels, of_random, *ends])} |" for name in (arm["strategy"], "every arm")
            ]
            assert any(row in text for row in rows), rows


def saved(need: Mapping[str, Any], seeds: int) -> str:
    of = need["saving"]
    without = "(no interval)" if seeds < 5 else "[open to open]"
    if need["labels"] is not None and need["labels_random"] is None:
        least = 100 * (need["last"] - need["labels"]) // need["last"]
        return f"at least {least} % " + (without if of["low"] is None else f"[{round(100 * of['low'])} to open]")
    share = "not reached" if of["share"] is None else f"{round(100 * of['share'])} %"
    if of["low"] is None and of["high"] is None:
        return share if of["share"] is None else f"{share} {without}"
    low, high = ("open" if end is None else f"{round(100 * end)}" for end in (of["low"], of["high"]))
    return f"{share} [{low} to {high}]"
