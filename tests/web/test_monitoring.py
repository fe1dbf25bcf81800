"""/metrics as Prometheus reads it: what the web process counted, and what the trainer said on the status board."""

import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from helpers.served import client_of
from helpers.shown_project import fill, long_ago
from nextlabel import __version__
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard
from nextlabel.values.traffic import Traffic
from nextlabel.values.versions import Card
from nextlabel.versions.registry import Registry
from nextlabel.web.app import create_app
from nextlabel.web.monitoring import OF_QUEUE

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text">'
    '<Choice value="pos"/><Choice value="neg"/></Choices></View>'
)
PROJECT = 7
ENDS = {"value": "", "low": "_low", "high": "_high"}  # of the names of a share and its limits
CARD = Card(
    version="nextlabel-1-20261124T063000",
    number=1,
    project=PROJECT,
    parent=None,
    labels=("pos", "neg"),
    label_counts={"pos": 2, "neg": 2},
    base_model="MiniLM",
    strategy="entropy",
    seed=0,
    recipe={},
    scores={"accuracy": 0.5, "f1": 0.25, "combined": 0.375},
    pool=0,
    seconds={},
    device="cpu",
    precision="fp32",
    libraries={},
    created_at="",
    reason="",
)


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return create_app(Settings(_env_file=None, model_dir=tmp_path)).test_client()


def scrape(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Every sample: its name and the values of its labels, to its value."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain; version=")
    families = list(text_string_to_metric_families(response.get_data(as_text=True)))
    assert all(family.documentation for family in families)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def put_version(model_dir: Path, card: Card) -> None:
    Registry(model_dir).save(card, {}, lambda directory: None)
    Registry(model_dir).promote(card.project, card.version)


def test_a_new_backend_has_metrics_and_no_project(client: FlaskClient) -> None:
    samples = scrape(client)
    assert samples["nextlabel_jobs_waiting",] == 0
    assert not [key for key in samples if key[0] in ("nextlabel_labels", "nextlabel_fits_total")]


def test_answered_tasks_are_counted(client: FlaskClient) -> None:
    body = {"tasks": [{"id": 1, "data": {"text": "a"}}] * 3, "project": 7, "label_config": CONFIG}
    client.post("/predict", json=body)
    client.post("/predict", json=body)
    assert scrape(client)["nextlabel_predictions_total", "empty"] == 6


def test_requests_are_timed_by_route(client: FlaskClient) -> None:
    for _ in range(3):
        client.get("/health")
    client.get("/no/such/address")
    client.get("/nor/this?secret=1")
    samples = scrape(client)
    assert samples["nextlabel_request_seconds_count", "/health"] == 3
    assert 0 < samples["nextlabel_request_seconds_sum", "/health"] < 3
    assert samples["nextlabel_request_seconds_count", "unknown"] == 2, "addresses that strangers make up add no series"
    assert {key[1] for key in samples if key[0] == "nextlabel_request_seconds_count"} == {"/health", "unknown"}


def test_events_are_counted_by_action(client: FlaskClient) -> None:
    for action in ("ANNOTATION_CREATED", "ANNOTATION_CREATED", "START_TRAINING", "NEWS", "OTHER_NEWS"):
        client.post("/webhook", json={"action": action, "project": {"id": 7}})
    samples = scrape(client)
    assert samples["nextlabel_webhook_events_total", "ANNOTATION_CREATED"] == 2
    assert samples["nextlabel_webhook_events_total", "START_TRAINING"] == 1
    assert samples["nextlabel_webhook_events_total", "other"] == 2
    assert samples["nextlabel_jobs_waiting",] == 1


def test_events_are_counted_by_project_for_those_that_are_known(client: FlaskClient, tmp_path: Path) -> None:
    for project in (PROJECT, 8):
        Registry(tmp_path).know(project)
    for project in (PROJECT, PROJECT, 999):
        client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": project}})
    counts = {key[1]: value for key, value in scrape(client).items() if "project_webhook_events_total" in key[0]}
    assert counts == {"7": 2, "8": 0}, "what strangers make up adds no series, and a project has one before its first"


def test_errors_are_counted_by_status(client: FlaskClient) -> None:
    client.post("/predict", data="rubbish")
    client.post("/webhook", data="rubbish")
    client.get("/nowhere")
    client.get("/predict")
    client.post("/predict", json={"project": "7", "tasks": [], "label_config": "<View/>"})
    errors = {key[1]: value for key, value in scrape(client).items() if key[0] == "nextlabel_web_errors_total"}
    assert errors == {"400": 2, "404": 1, "405": 1, "422": 1}


def test_refused_credentials_count_as_errors(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, model_dir=tmp_path, basic_auth_user="u", basic_auth_pass="p")
    client = create_app(settings).test_client()
    client.get("/versions")
    response = client.get("/metrics", auth=("u", "p"))
    assert 'nextlabel_web_errors_total{status="401"} 1.0' in response.get_data(as_text=True)


def test_the_trainers_numbers_are_told_by_project(client: FlaskClient, tmp_path: Path) -> None:
    board = StatusBoard(tmp_path)
    for project in (PROJECT, 8):
        Registry(tmp_path).know(project)
    counts = {"reconciles": 9, "errors": 2, "unanswered": 1}
    board.put_queue(
        PROJECT, 0.0, labels=40, pending=3, left=540, pool=500, window=128, due="3 new labels", held=6, **counts
    )
    board.put_fit(PROJECT, 0.0, fits=4, refused=2, failures=1, failures_in_a_row=1)
    samples = scrape(client)
    told = {"labels": 40, "pending": 3, "left": 540, "pool": 500, "window": 128, "fit_due": 1, "held": 6}
    told |= {
        "fits_total": 4,
        "fits_refused_total": 2,
        "fit_failures_total": 1,
        "reconciles_total": 9,
        "reconcile_errors_total": 2,
        "label_studio_failures_total": 1,
        "fit_failures_in_a_row": 1,
    }
    for name, value in told.items():
        assert samples[f"nextlabel_{name}", "7"] == value
        assert samples[f"nextlabel_{name}", "8"] == 0


def test_a_project_is_in_one_state_and_times_are_those_of_the_last_word(client: FlaskClient, tmp_path: Path) -> None:
    board, now = StatusBoard(tmp_path), time.time()
    for project in (PROJECT, 8, 9):
        Registry(tmp_path).know(project)
    board.put_queue(PROJECT, now - 60, state="published")
    board.put_fit(PROJECT, now - 30, fits=1)
    board.put_queue(8, now - 86400, state="published")
    samples = scrape(client)
    states = {key[1]: key[2] for key, value in samples.items() if key[0] == "nextlabel_project_state" and value}
    assert states == {"7": "published", "8": "silent", "9": "waiting"}
    assert samples["nextlabel_trainer_timestamp_seconds", "7"] == pytest.approx(now - 30)
    assert ("nextlabel_trainer_timestamp_seconds", "9") not in samples, "nobody has looked at it yet"
    assert samples["nextlabel_info", __version__] == 1


def test_what_the_page_shows_is_in_the_metrics(tmp_path: Path) -> None:
    fill(tmp_path, PROJECT, long_ago())
    StatusBoard(tmp_path).put_queue(PROJECT, time.time(), holdout=12, held=3, outside=2)
    client = client_of(tmp_path)
    said, samples = client.get(f"/api/projects/{PROJECT}/page").get_json(), scrape(client)
    queue, quality, people = said["queue"], said["quality"], said["people"]
    alike = people["agreement"]
    shown = {name: queue[name] for name in OF_QUEUE} | {
        "control_accuracy": quality["accuracy"]["value"], "left_accuracy": quality["left"]["value"],
        "overconfidence": quality["calibration"]["value"], "labels_today": people["today"]["labels"],
        "people_today": people["today"]["people"],
        "agreement": alike["alike"] / alike["of"], "agreement_low": alike["low"], "agreement_high": alike["high"],
        "suspects": said["look_again"]["listed"], "reopened": said["look_again"]["open"],
    }  # fmt: skip
    assert {name: samples[f"nextlabel_{name}", str(PROJECT)] for name in shown} == pytest.approx(shown)
    assert samples.get(("nextlabel_label_seconds", str(PROJECT))) == people["pace_s"]
    for row in said["classes"][0]["rows"]:
        of_class = {name: value for (name, *labels), value in samples.items() if row["label"] in labels}
        assert of_class["nextlabel_class_labels"] == row["learnt"]
        assert of_class["nextlabel_class_judging"] == row["judging"]
        recall = {name: of_class[f"nextlabel_class_recall{end}"] for name, end in ENDS.items()}
        assert recall | {"n": row["judging"]} == row["recall"]


def test_a_pace_and_an_agreement_that_the_page_does_not_show_are_no_metrics(tmp_path: Path) -> None:
    fill(tmp_path, PROJECT, long_ago())
    board = StatusBoard(tmp_path)
    board.put_people(PROJECT, replace(board.people(PROJECT), pace_s=None, agreement=None))
    samples = scrape(client_of(tmp_path))
    assert {name for name, *_ in samples} & {"nextlabel_label_seconds", "nextlabel_agreement"} == set()
    assert ("nextlabel_labels_today", str(PROJECT)) in samples


def test_the_trainers_traffic_with_label_studio_is_told(client: FlaskClient, tmp_path: Path) -> None:
    assert scrape(client)["nextlabel_label_studio_requests_total",] == 0
    StatusBoard(tmp_path).put_traffic(Traffic(requests=7, sent=100, received=2000))
    samples = scrape(client)
    assert samples["nextlabel_label_studio_requests_total",] == 7
    assert samples["nextlabel_label_studio_bytes_total", "sent"] == 100
    assert samples["nextlabel_label_studio_bytes_total", "received"] == 2000


def test_each_scrape_reads_anew(client: FlaskClient, tmp_path: Path) -> None:
    Registry(tmp_path).know(PROJECT)
    for labels in (1, 2):
        StatusBoard(tmp_path).put_queue(PROJECT, 0.0, labels=labels)
        assert scrape(client)["nextlabel_labels", "7"] == labels
    JobQueue(tmp_path).forget_tasks(PROJECT, [1])
    assert scrape(client)["nextlabel_jobs_waiting",] == 1


def test_the_holdout_score_is_the_current_versions(client: FlaskClient, tmp_path: Path) -> None:
    put_version(tmp_path, CARD)
    assert scrape(client)["nextlabel_holdout_score", "7"] == 0.375
    better = replace(CARD, version="nextlabel-2-20261124T070000", number=2, scores={"combined": 0.75})
    better = replace(better, created_at="2026-11-24T07:00:00+00:00")
    put_version(tmp_path, better)
    samples = scrape(client)
    assert samples["nextlabel_holdout_score", "7"] == 0.75
    made = datetime(2026, 11, 24, 7, tzinfo=timezone.utc)
    assert samples["nextlabel_version_timestamp_seconds", "7"] == made.timestamp()


def test_without_a_holdout_there_is_no_score(client: FlaskClient, tmp_path: Path) -> None:
    put_version(tmp_path, replace(CARD, scores=None))
    samples = scrape(client)
    assert ("nextlabel_labels", "7") in samples
    assert ("nextlabel_holdout_score", "7") not in samples
