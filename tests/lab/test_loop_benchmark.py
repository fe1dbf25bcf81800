"""The benchmark of the loop: what is concluded from what was noted, and a short run of it on a real Label Studio."""

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest

from helpers.paths import ROOT
from helpers.queue_servers import PostgresqlServer
from nextlabel.errors import BadCorpusError, BadSettingError, NoModelError
from nextlabel.lab.loop_benchmark.builds import older_build, this_build
from nextlabel.lab.loop_benchmark.figures import Turn, figures, label_to_order, percentile, ratio, rows, unknown_labels
from nextlabel.lab.loop_benchmark.material import of_size
from nextlabel.lab.loop_benchmark.orders import StudioDatabase, Switch, is_fitted, known_by
from nextlabel.lab.loop_benchmark.people import Given, Served
from nextlabel.lab.loop_benchmark.report import to_markdown
from nextlabel.lab.loop_benchmark.run import LoopPlan, compared, fair_share
from nextlabel.learning import heads
from nextlabel.learning.heads import Head
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.values.examples import Example
from nextlabel.values.linear import Linear

VERSION, HEAD, START = (
    "nextlabel-5-20260101T120000",
    "nextlabel-5.12-20260101T120000",
    "nextlabel-start-20260101T120000",
)


def turn(switches: list[Switch], served: list[Served], given: list[Given], requests: int = 0) -> Turn:
    return Turn(tuple(switches), tuple(served), tuple(given), requests, waits=0, seconds=60.0, pool=100)


@pytest.fixture
def noted() -> Turn:
    """A version that knows the labels 1 and 2, then a head of it that knows 11 too, while 11, 12 and 13 are given."""
    return turn(
        [Switch(0.0, VERSION, frozenset({1, 2})), Switch(20.0, HEAD, frozenset({1, 2, 11}))],
        [Served(5.0, 11, VERSION), Served(10.5, 12, VERSION), Served(17.0, 13, VERSION), Served(25.0, 14, HEAD)],
        [Given(10.0, 11), Given(16.5, 12), Given(24.0, 13)],
        requests=12,
    )


def test_unknown_are_the_labels_given_before_that_the_order_of_a_served_task_does_not_know(noted: Turn) -> None:
    assert unknown_labels(noted) == [0, 1, 2, 2]
    assert [(row["labels"], row["known"]) for row in rows(noted)] == [(0, 0), (1, 0), (2, 0), (3, 1)]


def test_a_label_that_two_people_gave_counts_once_and_from_the_first_on() -> None:
    order = Switch(0.0, VERSION, frozenset())
    twice = [Given(4.0, 7), Given(9.0, 7)]
    assert unknown_labels(turn([order], [Served(5.0, 8, VERSION), Served(10.0, 9, VERSION)], twice)) == [1, 1]


def test_a_switch_is_timed_from_the_last_label_that_it_brings_in(noted: Turn) -> None:
    assert label_to_order(noted) == [10.0]


def test_a_switch_that_brings_in_no_label_is_not_timed() -> None:
    known = frozenset({11})
    switches = [Switch(12.0, HEAD, known), Switch(30.0, VERSION, frozenset()), Switch(31.0, f"{HEAD}1", frozenset())]
    assert label_to_order(turn(switches, [], [Given(10.0, 11), Given(29.0, 12)])) == [2.0]


def test_a_switch_seen_before_the_answer_to_its_label_takes_no_time() -> None:
    assert label_to_order(turn([Switch(9.9, HEAD, frozenset({11}))], [], [Given(10.0, 11)])) == [0.0]


def test_a_task_from_no_order_is_counted_apart(noted: Turn) -> None:
    outside = turn(list(noted.switches), [*noted.served, Served(26.0, 99, "")], list(noted.given))
    found = figures([outside])
    assert (found["served_outside"], found["served"]) == (1, 5)
    assert unknown_labels(outside) == unknown_labels(noted)
    assert rows(outside)[-1] == {"at_s": 21.0, "task": 99, "order": "", "labels": None, "known": None}


def test_figures_are_those_of_all_turns(noted: Turn) -> None:
    found = figures([replace(noted, cpu_s=6.0, rss_mib=500.0), replace(noted, cpu_s=3.0, rss_mib=700.0)])
    assert (found["trainer_cpu_s_per_label"], found["trainer_rss_mib"]) == (1.5, 700.0)
    assert (found["labels"], found["new_orders"], found["requests_per_label"]) == (6, 2, 4.0)
    assert (found["p50_s"], found["unknown_labels_p50"], found["unknown_labels_p95"]) == (10.0, 1, 2)


def test_the_table_says_of_how_few_values_a_percentile_is(noted: Turn) -> None:
    about = {"machine": "m", "label_studio": "1", "data": "d", "base_model": "b", "fit_steps": 1, "annotators": 1}
    plan = {"pace_s": 1.0, "seconds": 1.0, "turns": 1, "start": 1, "pool": 1}
    table = to_markdown({**about, **plan, **compared([[noted]])})
    assert "| the same, p95, s | 10.00 (the largest of 1) |" in table
    many = figures([noted]) | {"new_orders": 20, "ratio_to_previous": None}
    assert "| the same, p95, s | 10.00 |" in to_markdown({**about, **plan, "label_to_order": many})


def test_of_nothing_there_is_no_figure() -> None:
    found = figures([turn([], [], [])])
    assert found["p50_s"] is found["requests_per_label"] is found["unknown_labels_p95"] is None
    assert found["served_outside"] == 0


def test_the_ratio_says_how_many_times_as_long_the_older_build_takes(noted: Turn) -> None:
    later = turn([noted.switches[0], Switch(30.0, HEAD, frozenset({11}))], [], list(noted.given))
    result = compared([[noted], [later]])
    assert result["label_to_order"]["ratio_to_previous"] == 2.0
    assert result["previous"]["p50_s"] == 20.0
    assert compared([[noted]])["label_to_order"]["ratio_to_previous"] is None
    assert ratio(None, 3.0) is ratio(3.0, None) is None


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile([3, 1, 2], 95) == 3
    assert percentile(list(range(1, 101)), 95) == 95


def test_a_version_knows_the_labels_of_its_fit_and_a_head_those_it_was_fitted_to(tmp_path: Path) -> None:
    home = tmp_path / "models" / "3" / VERSION
    (home / "heads").mkdir(parents=True)
    (home / "labels.json").write_text(json.dumps({"4": "yes", "9": "no"}), encoding="utf-8")
    layer = Linear(np.zeros((2, 3)), np.zeros(2))
    heads.save(Head(layer, ("yes", "no"), {4: "yes", 9: "no", 12: "no"}, 0.1), home / "heads" / "12.npz")
    assert known_by(tmp_path, 3, VERSION) == {4, 9}
    assert known_by(tmp_path, 3, HEAD) == {4, 9, 12}


@pytest.mark.parametrize("order", ["", START, "nextlabel-untrained", "somebody else's"])
def test_an_order_that_nobody_fitted_knows_nothing(order: str, tmp_path: Path) -> None:
    assert known_by(tmp_path, 3, order) == frozenset()
    assert not is_fitted(order)


@pytest.mark.parametrize("order", [VERSION, HEAD])
def test_what_an_order_knows_must_be_on_disk(order: str, tmp_path: Path) -> None:
    assert is_fitted(order)
    with pytest.raises(NoModelError, match="cannot be read from"):
        known_by(tmp_path, 3, order)


def test_a_task_is_of_the_first_order_that_predicted_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "label_studio.sqlite3") as made:
        made.execute("CREATE TABLE project (id INTEGER, model_version TEXT)")
        made.execute("CREATE TABLE prediction (task_id INTEGER, model_version TEXT, project_id INTEGER DEFAULT 1)")
        made.execute("INSERT INTO project VALUES (1, ?), (2, NULL)", [HEAD])
        made.executemany(
            "INSERT INTO prediction (task_id, model_version) VALUES (?, ?)", [(7, VERSION), (7, HEAD), (8, HEAD)]
        )
    made.close()
    database = StudioDatabase(tmp_path)
    assert [database.followed(project) for project in (1, 2)] == [HEAD, ""]
    assert [database.order_of(task, (VERSION, HEAD)) for task in (7, 8, 9)] == [VERSION, HEAD, ""]
    assert database.order_of(7, ("", HEAD)) == HEAD
    assert [database.tasks_of(project, HEAD) for project in (1, 2)] == [{7, 8}, set()]
    database.close()


def test_label_studios_data_base_may_be_on_postgresql(postgresql_server: PostgresqlServer) -> None:
    with psycopg.connect(postgresql_server.url(), autocommit=True) as made:
        made.execute("CREATE TABLE project (id INTEGER, model_version TEXT)")
        made.execute("CREATE TABLE prediction (task_id INTEGER, model_version TEXT, project_id INTEGER)")
        made.execute("INSERT INTO project VALUES (1, %s), (2, NULL)", [HEAD])
        made.execute("INSERT INTO prediction VALUES (7, %s, 1)", [HEAD])
    database = StudioDatabase(Path(), postgresql_server.url())
    assert [database.followed(project) for project in (1, 2)] == [HEAD, ""]
    assert [database.order_of(task, (VERSION, HEAD)) for task in (7, 8)] == [HEAD, ""]
    assert database.tasks_of(1, HEAD) == {7}
    database.close()


def test_material_has_the_classes_and_texts_of_its_corpus() -> None:
    rows = [(Example(n, f"text {n}"), label) for n, label in enumerate(["a & b", "c", "d", "c"])]
    material = of_size(TextSet("letters", ("a & b", "c", "d"), tuple(rows[:3]), tuple(rows[3:])), None, 1, 2)
    assert material.config.labels == ("a & b", "c", "d")
    tasks = list(material.tasks())
    assert [task["data"]["row"] for task in tasks] == [0, 1, 2, 3]
    assert [task["data"]["split"] for task in tasks] == ["train"] * 3 + ["validation"]
    assert sum("annotations" in task for task in tasks[:3]) == 1
    assert "annotations" in tasks[3]
    assert "pair" not in tasks[0]["data"]


@pytest.mark.parametrize(("pool", "needed", "complaint"), [(1000, 10, "not 1000"), (100, 90, "too few")])
def test_a_corpus_that_is_too_small_is_refused(pool: int, needed: int, complaint: str) -> None:
    with pytest.raises(BadCorpusError, match=complaint):
        of_size(of_pairs(own_pairs()), pool, 32, needed)


def test_a_checkout_of_either_layout_is_known(tmp_path: Path) -> None:
    assert older_build(ROOT).connect[1:] == ("-m", "nextlabel", "connect")
    for name in ("backend/__main__.py", "scripts/connect_project.py", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    older = older_build(tmp_path)
    own = str(tmp_path / ".venv" / "bin" / "python")
    assert (older.program, older.python_path) == ((own, "-m", "backend"), str(tmp_path))
    assert this_build().program[0] == sys.executable
    with pytest.raises(BadSettingError, match="no checkout of Nextlabel"):
        older_build(tmp_path / "scripts")


def test_with_a_limit_each_turn_has_its_share_of_what_is_left() -> None:
    plan = LoopPlan("a model", 1, 2.0, 70, 1, 16, 90, 1e-4, limit_s=330)
    unhurried = replace(plan, limit_s=None)
    assert fair_share(plan, passed_s=60, overhead_s=30, turns=2) == 70
    assert fair_share(plan, passed_s=150, overhead_s=100, turns=2) == (330 - 150 - 100) / 2 - 15
    assert fair_share(plan, passed_s=400, overhead_s=100, turns=2) == 15
    assert fair_share(unhurried, passed_s=400, overhead_s=100, turns=2) == 70


def test_a_short_run_beside_another_checkout_has_all_figures(
    label_studio_program: str, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "loop.json"
    few = ("--pace", 2, "--seconds", 16, "--start", 16, "--fit-every", 4, "--fit-steps", 4, "--pool", 120)
    command = [sys.executable, ROOT / "scripts" / "benchmark.py", "--loop", "--quick", "--base-model", tiny, *few]
    command += ["--annotators", 2, "--against", ROOT, "--out", out]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=1000, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| labels given |" in done.stdout

    result = json.loads(out.read_text(encoding="utf-8"))
    assert (result["annotators"], result["pool"], result["fit_steps"]) == (2, 104, 4)
    for found, noted in zip((result["label_to_order"], result["previous"]), result["served"], strict=True):
        assert found["served_outside"] == 0
        assert found["labels"] == found["served"] == len(noted[0]) > 0
        assert found["new_orders"] > 0
        assert found["p50_s"] <= found["p95_s"]
        assert found["requests_per_label"] > 0
        assert found["trainer_cpu_s_per_label"] > 0
        # Ceilings of MiniLM's memory: this test's model is far smaller, so they only catch a gross fault.
        assert 100 < found["trainer_rss_mib"] < 788 + 60
        assert 50 < found["web_rss_mib"] < 545 + 20
        assert 0 < found["unknown_labels_p50"] <= found["unknown_labels_p95"] < found["labels"]
    assert result["label_to_order"]["ratio_to_previous"] > 0
