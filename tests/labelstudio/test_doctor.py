"""The doctor names what is wrong between Label Studio and the backend, and how to fix it."""

from collections.abc import Callable

import httpx
from markupsafe import escape

from helpers.waiting import wait_until
from nextlabel.lab.importing import import_corpus
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.doctor import (
    Finding,
    examine,
    kind_of,
    sum_of,
)
from nextlabel.labelstudio.registration import ensure_webhook
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard

StartBackend = Callable[..., LocalBackend]


def bad(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.ok]


def test_a_healthy_project_has_no_bad_finding_and_a_sick_one_has_each_with_a_remedy(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    seldom = {"fit_every": 1000, "fit_max_wait_s": 3600, "reconcile_s": 3600}
    backend = start_backend("web", **seldom)
    trainer = start_backend("trainer", model_dir=backend.model_dir, **seldom)
    wait_until(lambda: "trainer ready" in trainer.tail(1000), "the trainer")
    project = import_corpus(studio, few_pairs, "doctor", 10, seed=0)
    connect(studio, project, backend.url, Credentials(), show_predictions=False)

    def look() -> list[Finding]:
        return list(examine(studio, label_studio.login.token, backend.url, Credentials(), project))

    assert bad(look()) == []
    board = StatusBoard(backend.model_dir)
    board.put_fit(project, 0.0, state="failed", message="The disk is full.", failures_in_a_row=3)
    assert [f.answer for f in bad(look())] == ["The last 3 fits failed, the labels are kept: The disk is full."]
    board.put_fit(project, 0.0, state="idle")

    # In Label Studio's own form, which would show no more than a status, and no text of ours.
    regions = studio.project(project).label_config.replace('choice="single-radio"', 'perRegion="true"')
    other = studio.create_project("regions", regions)
    studio.add_ml_backend(other, backend.url, "by form", "", "", {})
    wait_until(lambda: board.queue(other).state == "refused", "the trainer to say why")
    assert "add a control without perRegion" in board.queue(other).message
    assert escape(board.queue(other).message) in httpx.get(backend.url).text
    refused = list(examine(studio, label_studio.login.token, backend.url, Credentials(), other))
    assert [f.answer for f in bad(refused)] == [f"Project {other} cannot be served."]

    trainer.stop()  # its first look at a project, which makes the webhook right, may still be under way
    studio.update_project(project, sampling="Sequential sampling", min_annotations_to_start_training=5)
    for webhook in studio.webhooks(project):
        studio.remove_webhook(webhook.id)
    sick = bad(look())
    assert [finding.answer for finding in sick] == [
        "Sampling mode: Sequential sampling",
        "The project asks for training inside annotators' requests.",
        "Webhook: missing",
    ], "and not that no event arrives"
    assert all(finding.remedy for finding in sick)
    assert "Start model training on annotation submission" in sick[1].remedy


def test_a_trainer_that_was_never_started_is_said_once(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    backend = start_backend("web")
    project = import_corpus(studio, few_pairs, "doctor without trainer", 10, seed=0)
    connect(studio, project, backend.url, Credentials(), show_predictions=False)
    sick = bad(list(examine(studio, label_studio.login.token, backend.url, Credentials(), project)))
    assert [finding.answer for finding in sick] == ["The trainer does nothing."]
    backend.stop()
    [away] = bad(list(examine(studio, label_studio.login.token, backend.url, Credentials(), project)))
    assert "The backend does not answer" in away.answer, "and not that Label Studio has lost it"


def test_with_a_secret_labels_and_start_training_come_in_and_the_doctor_notices_a_wrong_one(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    ours = Credentials("studio", "s3cret-password", "0123456789abcdef-of-ours")
    secrets = {"basic_auth_pass": ours.password, "webhook_secret": ours.secret}
    backend = start_backend(basic_auth_user=ours.user, **secrets, fit_every=1000, fit_max_wait_s=3600, reconcile_s=3600)
    project = import_corpus(studio, few_pairs, "doctor with secret", 10, seed=0)
    connect(studio, project, backend.url, ours, show_predictions=False)
    [webhook] = studio.webhooks(project)
    assert webhook.headers == {"X-Nextlabel-Secret": ours.secret}

    def look(credentials: Credentials) -> list[Finding]:
        return list(examine(studio, label_studio.login.token, backend.url, credentials, project))

    well = look(ours)
    assert bad(well) == []
    assert {"The backend answers 200 to our WEBHOOK_SECRET", "Label Studio's webhook arrives"} <= {
        f.answer for f in well
    }

    [row] = studio.ml_backends(project)
    studio._call("POST", f"api/ml/{row.id}/train", json={})
    assert JobQueue(backend.model_dir).demanded(project), "Start Training came in"

    sick = bad(look(Credentials(ours.user, ours.password, "another-0123456789")))
    assert [f.answer.partition(" http")[0] for f in sick] == [
        "The backend answers 401 to our WEBHOOK_SECRET",
        "Webhook:",
    ]
    assert sick[0].remedy == "Set WEBHOOK_SECRET here to what the backend runs with."

    # The backend, which has the secret, may repair its own webhook at any moment; that of another address stays.
    without = Credentials(ours.user, ours.password).webhook_headers()
    ensure_webhook(studio, project, "http://127.0.0.1:9", without)
    [headers] = [w.headers for w in studio.webhooks(project) if w.url == "http://127.0.0.1:9/webhook"]
    assert list(headers) == ["Authorization"], "without a secret the webhook shows the credentials"


def test_without_backend_or_token_the_doctor_says_so(label_studio: LocalStudio) -> None:
    nobody = "http://127.0.0.1:9"
    findings = list(examine(LabelStudioClient(label_studio.url, "0" * 40), "0" * 40, nobody, Credentials(), None))
    answers = " ".join(f.answer for f in bad(findings))
    assert "LABEL_STUDIO_API_KEY looks like a legacy token" in answers
    assert "does not answer at http://127.0.0.1:9" in answers
    away = list(examine(LabelStudioClient(nobody, "x"), "x", nobody, Credentials(), 1))
    assert "Label Studio at http://127.0.0.1:9 does not answer" in away[0].answer


def test_both_kinds_of_token_are_told_apart_and_accepted(label_studio: LocalStudio, studio: LabelStudioClient) -> None:
    personal = studio._call("POST", "api/token/", json={})["token"]
    assert kind_of(personal) == "personal access token"
    assert kind_of(label_studio.login.token) == "legacy token"
    assert LabelStudioClient(label_studio.url, personal).user() == label_studio.login.user


def test_a_sample_is_read_from_the_metrics() -> None:
    text = 'a_total{action="X"} 3.0\na_total{action="Y"} 4.0\n'
    assert sum_of(text, 'a_total{action="Y"}') == 4.0
    assert sum_of(text, "missing") == 0.0
