"""The load test and the long run, both short: what they look at is all there, and nothing is lost."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import ROOT
from nextlabel.lab.crew import percentiles

WHOSE = ("without us", "in a fixed order", "with us")


def result_of(script: str, out: Path, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "scripts" / script), "--out", str(out), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return result


def test_under_load_no_label_is_lost_and_only_published_tasks_are_served(
    label_studio_program: str, tmp_path: Path, tiny: Path
) -> None:
    quick = ("--annotators", 3, "--minutes", 0.35, "--think", 0.8, "--burst", 30, "--labels", 10, "--window", 64)
    result = result_of("load.py", tmp_path / "load.json", *quick, "--base-model", tiny, "--minutes-without", 0.1)

    assert result["problems"] == []
    labels, queue = result["labels"], result["queue"]
    assert labels["missing"] == labels["differing"] == labels["confirmed_but_not_held"] == 0
    assert labels["held"] == labels["fitted"] >= labels["given"] > 0
    assert queue["outside"] == queue["inversions"] == queue["absent"] == 0
    assert queue["served"] >= labels["given"]

    asked = {kind: sum(numbers["answers"].values()) for kind, numbers in result["requests"].items()}
    assert {f"{what}, {whose}" for what in ("next", "submit") for whose in WHOSE} <= asked.keys()
    assert asked["predict, first try"] == result["requests"]["predict, until answered"]["answers"]["200"] == 3 * 30
    assert asked["webhook, during a fit"] + asked.get("webhook, after it", 0) == 500
    assert all(set(ratios) == {"p50", "p95", "p99"} for ratios in result["times_as_long"].values())

    assert result["fits"]["done"] == len(result["versions"]) > 2
    seconds = [version["seconds"] for version in result["versions"]]  # one that the next replaces at once has no switch
    assert all(("total" in of_version) == ("publish" in of_version) for of_version in seconds)
    assert "total" in seconds[-1]
    assert set(result["processes"]) == {"web", "trainer"}
    assert all(course["handles"]["start"] > 0 for course in result["processes"].values())


@pytest.mark.usefixtures("patience")
def test_in_the_long_run_no_handle_and_no_answer_is_lost(tmp_path: Path, tiny: Path) -> None:
    arguments = ("--predictions", 2000, "--versions", 6, "--base-model", tiny)
    result = result_of("soak.py", tmp_path / "soak.json", *arguments)
    assert result["wrong"] == {}
    assert [sample["predictions"] for sample in result["samples"]] == [2000 * n // 7 for n in range(8)]
    assert result["end"]["handles"] == result["tenth"]["handles"]
    assert result["end"]["disk_mib"] == pytest.approx(result["most"]["disk_mib"])
    # Kernels that oneDNN keeps, one for each product and shape of a batch.
    assert result["end"]["rss_mib"] - result["tenth"]["rss_mib"] < 120


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentiles([3.0, 1.0, 2.0]) == {"p50": 2.0, "p95": 3.0, "p99": 3.0}
    assert percentiles(list(range(1, 101))) == {"p50": 50, "p95": 95, "p99": 99}
    assert percentiles([]) == {}
