"""What docs/monitoring/ holds for Prometheus and Grafana, beside what /metrics says."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from helpers.paths import ROOT
from helpers.programs import promtool
from nextlabel.problems.advice import Advice
from nextlabel.problems.helping import Forecast, Helping, Measured, NextLabels
from nextlabel.problems.intervals import Interval
from nextlabel.problems.judgement import Figures, Judgement, OfClass, Sample
from nextlabel.problems.look_again import LookAgain, Suspect
from nextlabel.problems.people import Agreement, People, Today
from nextlabel.problems.quality import Estimate
from nextlabel.settings import Settings
from nextlabel.store.status import CertificateStatus, StatusBoard
from nextlabel.store.summary import STATES
from nextlabel.values import markdown
from nextlabel.values.versions import Card
from nextlabel.versions.registry import Registry
from nextlabel.web.app import create_app

PLACE = ROOT / "docs" / "monitoring"
RULES, TESTS = PLACE / "nextlabel.rules.yml", sorted(PLACE.glob("*.test.yml"))
ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((PLACE / "nextlabel.dashboard.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
PROJECT = 7
OF_PROMETHEUS = {"up"}
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text">'
    '<Choice value="pos"/><Choice value="neg"/></Choices></View>'
)


@pytest.fixture
def metrics(tmp_path: Path) -> str:
    """All that /metrics says of a project of which everything is known."""
    board, registry = StatusBoard(tmp_path), Registry(tmp_path)
    half = Estimate(0.5, Interval(0.4, 0.6), 90)
    board.put_queue(PROJECT, 1.0, labels=40, by_class={"pos": 22, "neg": 18})
    board.put_people(PROJECT, People(1.0, False, Today(3, 1), 9.0, Agreement(8, 10, 0.4, 0.9), paced=3))
    board.put_look_again(PROJECT, LookAgain(1.0, tasks=(Suspect(3, "pos", 0.9, ("it is odd",)),)))
    board.put_advice(PROJECT, Advice("go_on", "Go on.", 1.0))
    board.put_certificate(PROJECT, CertificateStatus(1, "All are right.", 90, 200, wrong=1, certified=300))
    board.put_helping(
        PROJECT, Helping("", 1.0, Measured(90, 0.1, 0.1), Forecast(9, 0.1, 0, 0.2), NextLabels(9, 0.1, 9))
    )
    figures = Figures(half, half, half, half, (OfClass("pos", half, half, half),))
    judgement = Judgement(figures=figures, question="topic", sample=Sample(answered=90), left=half)
    board.put_quality(PROJECT, replace(judgement, questions=(judgement,)))
    card = Card(
        version="nextlabel-1-20261124T063000",
        number=1,
        project=PROJECT,
        parent=None,
        labels=("pos", "neg"),
        label_counts={"pos": 2, "neg": 2},
        base_model="MiniLM",
        strategy="margin",
        seed=0,
        recipe={},
        scores={"combined": 0.5},
        pool=0,
        seconds={},
        device="cpu",
        precision="fp32",
        libraries={},
        created_at="2026-11-24T06:30:00+00:00",
        reason="",
    )
    registry.save(card, {}, lambda directory: None)
    registry.promote(PROJECT, card.version)
    client = create_app(Settings(_env_file=None, model_dir=tmp_path)).test_client()
    client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": PROJECT}})
    client.post("/predict", data="rubbish")
    client.post("/predict", json={"tasks": [{"id": 1, "data": {"text": "a"}}], "project": 8, "label_config": CONFIG})
    return client.get("/metrics").get_data(as_text=True)


@pytest.fixture
def families(metrics: str) -> list[Any]:
    """The same, in the order of its names."""
    return sorted(text_string_to_metric_families(metrics), key=lambda family: family.name)


def asked_for(query: str) -> set[str]:
    """The names of metrics in a query."""
    words = re.sub(r'"[^"]*"|\{\{.*?\}\}', "", query)
    return set(re.findall(r"\b(?:nextlabel_\w+|up(?=[{\s]))", words))


def test_prometheus_takes_the_rules_and_each_fires_when_it_should() -> None:
    for command in (["check", "rules", RULES], ["test", "rules", *TESTS]):
        done = subprocess.run([promtool(), *map(str, command)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_are_named_as_prometheus_names_its_own(metrics: str) -> None:
    done = subprocess.run([promtool(), "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_alert_has_a_test_that_fires_and_says_what_to_do() -> None:
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]]
    expected = [
        sample["labels"] for test in tests for asked in test["promql_expr_test"] for sample in asked["exp_samples"]
    ]
    fire = {name for labels in expected for name in re.findall(r'alertname="(\w+)"', labels)}
    assert fire == {alert["alert"] for alert in ALERTS}
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert all(alert["annotations"][name].rstrip().endswith(".") for name in ("summary", "runbook"))


@pytest.mark.parametrize("query", [*(alert["expr"] for alert in ALERTS), *QUERIES])
def test_every_query_asks_for_what_is_there(query: str, families: list[Any]) -> None:
    there = {sample.name for family in families for sample in family.samples}
    assert asked_for(query)
    assert asked_for(query) - OF_PROMETHEUS <= there
    states = re.findall(r'state=~?"([^"]*)"', query)
    assert {state for named in states for state in named.split("|")} <= set(STATES)


def test_the_dashboard_asks_for_the_projects_by_a_metric_that_is_there(families: list[Any]) -> None:
    [named] = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    assert named == "label_values(nextlabel_labels, project)"
    assert "nextlabel_labels" in {family.name for family in families}


def test_the_panels_of_the_dashboard_lie_beside_each_other() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {str(panel["datasource"]) for panel in panels} == {"{'type': 'prometheus', 'uid': '${datasource}'}"}
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23, "Grafana has 24 columns"


def test_the_page_names_every_metric(families: list[Any]) -> None:
    rows = []
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        rows.append((f"`{name}`", ", ".join(labels), family.documentation))
    table = markdown.table(
        ("metric", "labels", "what it is"), [row for row in rows if not row[0].endswith("_created`")]
    )
    assert table in (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8"), table
