"""The doctor names what is wrong between Label Studio and the backend, and how to fix it."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import httpx
import pytest
from markupsafe import escape

from helpers.told_studio import backend as registered
from helpers.waiting import wait_until
from nextlabel.errors import StudioError
from nextlabel.lab.importing import import_corpus
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import SEQUENTIAL, UNCERTAINTY, LabelStudioClient, Project
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.doctor import (
    Finding,
    _followed,
    _registered,
    _said_by_trainer,
    _warned,
    examine,
    kind_of,
    sum_of,
)
from nextlabel.labelstudio.registration import ensure_webhook
from nextlabel.settings import Settings, for_project
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import FitStatus, QueueStatus, StatusBoard
from nextlabel.store.summary import DISCONNECTED, summary
from nextlabel.values.options import LATEST, NO_OPTIONS, ProjectOptions
from nextlabel.versions.endings import Ending

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
    lines = [(f.ok, f.answer) for f in look()]
    [told] = [line for line in lines if "The disk is full." in line[1]]
    assert told == (False, "The last 3 fits failed, the labels are kept: The disk is full.")
    assert (lines[-1][0], lines[-1][1].startswith("The trainer says: fit failed.")) == (False, True)
    assert [answer for ok, answer in lines if ok and "failed" in answer] == []
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


@pytest.mark.parametrize(
    ("queue", "fit", "base_model", "bad_lines"),
    [
        ({}, {}, "", []),
        ({}, {"state": "failed", "message": "The disk is full.", "failures_in_a_row": 1}, "",
         ["The last fit failed, the labels are kept: The disk is full.", "The trainer says: fit failed. 3 of 8"]),
        ({}, {}, "No such file.", ["The trainer says: no fit possible. No fit is possible: No such file. 3 of 8"]),
        ({"first": "No fit is possible: No such file."}, {}, "No such file.",
         ["No fit is possible: No such file.", "The trainer says: no fit possible. 3 of 8"]),
        ({"state": "refused", "message": "No labels."}, {"state": "failed", "failures_in_a_row": 2}, "",
         ["The last 2 fits failed, the labels are kept: ", "The trainer says: refused. No labels."]),
    ],
    ids=["well", "failed", "no base model", "said by its notice", "refused after failures"],
)  # fmt: skip
def test_what_the_trainer_says_is_bad_where_it_is_and_said_once(
    queue: dict[str, Any], fit: dict[str, Any], base_model: str, bad_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = QueueStatus(**{"at": 9.0, "state": "waiting", "message": "3 of 8", **queue})
    fitted = FitStatus(**{"at": 1.0, **fit})
    found = summary(looked, fitted, base_model, now=10.0, reconcile_s=60)
    own = for_project(Settings(_env_file=None), NO_OPTIONS)
    told = {
        "queue": asdict(looked), "fit": asdict(fitted), "base_model": {"state": "unknown"}, "settings": asdict(own),
        "state": found.state, "sentences": found.sentences,
    }  # fmt: skip
    answer = httpx.Response(200, json=told, request=httpx.Request("GET", "http://backend"))
    monkeypatch.setattr(httpx, "get", lambda *_, **__: answer)
    project = Project(7, "", "", "", None, False, 0, 0, False, False)
    findings = list(_said_by_trainer(project, "http://backend", Credentials()))
    assert [finding.answer for finding in bad(findings)] == bad_lines
    assert findings[-1].answer.startswith(f"The trainer says: {found.state}.")


class Follows(LabelStudioClient):
    """Whose project follows three predictions of this version."""

    def __init__(self, version: str):
        super().__init__("http://127.0.0.1:1", "not asked")
        self.followed = version

    def model_versions(self, project: int) -> dict[str, int]:
        return {self.followed: 3}


def test_a_project_that_has_ended_is_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    name = Ending(7, "a1", "nextlabel-1-A", "all", 0, {}, "").model_version
    project = Project(7, "", "", UNCERTAINTY, name, True, 0, 0, False, False)
    findings = list(_followed(Follows(name), project))
    assert bad(findings) == []
    assert findings[-1].answer == (
        "Model version: machine-labels-a1, 3 predictions for review, as the project has ended; `nextlabel finish "
        "--project 7 --undo` takes that back"
    )
    own = asdict(for_project(Settings(_env_file=None), NO_OPTIONS))
    told = {
        "queue": asdict(QueueStatus()), "fit": asdict(FitStatus()), "base_model": {"state": "unknown"},
        "settings": own, "state": DISCONNECTED, "sentences": ["the project has ended"],
    }  # fmt: skip
    answer = httpx.Response(200, json=told, request=httpx.Request("GET", "http://backend"))
    monkeypatch.setattr(httpx, "get", lambda *_, **__: answer)
    assert bad(list(_said_by_trainer(project, "http://backend", Credentials()))) == []
    goes_on = replace(project, model_version="nextlabel-1-A")
    assert len(bad(list(_said_by_trainer(goes_on, "http://backend", Credentials())))) == 1


def test_before_somebody_connects_a_project_of_0_1_0_again_what_else_changes_is_said() -> None:
    project = Project(7, "", "", SEQUENTIAL, "somebody-3", False, 0, 0, False, False)

    def remedies(options: ProjectOptions) -> list[str]:
        return [f.remedy for f in bad(list(_warned(_followed(Follows("somebody-3"), project), project, options)))]

    assert [remedy.count("connect --project 7 --preview` lists") for remedy in remedies(NO_OPTIONS)] == [1, 1]
    assert "preview" not in "".join(remedies(ProjectOptions(defaults=LATEST)))


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


def test_a_changed_password_is_named_and_connecting_again_tells_it_to_label_studio(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    old, new = Credentials("studio", "old-password"), Credentials("studio", "new-password")

    def start(credentials: Credentials) -> LocalBackend:
        return start_backend("web", basic_auth_user=credentials.user, basic_auth_pass=credentials.password)

    def look(url: str) -> list[Finding]:
        return bad(list(examine(studio, label_studio.login.token, url, new, project)))

    backend = start(old)
    project = import_corpus(studio, few_pairs, "doctor and a password", 10, seed=0)
    connect(studio, project, backend.url, old, show_predictions=False)
    backend.stop()
    backend = start(new)
    [refused] = look(backend.url)
    assert refused.answer == f"ML backend {backend.url}: Error"
    assert refused.remedy.startswith(f"Run `nextlabel connect --project {project}` with BASIC_AUTH_USER and BASIC_AUTH")
    with pytest.raises(StudioError, match="Set BASIC_AUTH_USER and BASIC_AUTH_PASS for this script"):
        connect(studio, project, backend.url, old)
    backend.stop()
    away = look("http://127.0.0.1:9")[-1]
    assert away.answer == f"ML backend {backend.url}: Disconnected"
    assert studio.ml_backends(project)[0].error.startswith("401 "), "Label Studio keeps what is no longer so"
    assert ("says why" in away.remedy, "401" in away.remedy, "BASIC_AUTH" in away.remedy) == (True, False, False)
    backend = start(new)
    connect(studio, project, backend.url, new)
    assert [f.answer for f in look(backend.url)] == ["The trainer does nothing."]


@pytest.mark.parametrize(
    ("state", "error", "begin", "inside"),
    [
        ("Error", "401 Client Error: UNAUTHORIZED for url: http://host:9090/setup", " with BASIC_AUTH_USER", "other"),
        ("Error", "500 Server Error: INTERNAL SERVER ERROR", ", if it has moved", "as it says 500 Server Error"),
        ("Disconnected", "500 Server Error: INTERNAL SERVER ERROR", ", which tries again and says why", "NO_PROXY"),
    ],
)
def test_of_a_backend_that_label_studio_cannot_use_the_way_back_goes_by_what_is_so_now(
    state: str, error: str, begin: str, inside: str
) -> None:
    project = Project(7, "", "", UNCERTAINTY, "", False, 0, 0, False, False)
    row = replace(registered({}), state=state, error=error)
    [found] = _registered(Follows(""), project, [row], Credentials())
    assert (found.ok, found.answer) == (False, f"ML backend http://host:9090: {state}")
    assert found.remedy.startswith(f"Run `nextlabel connect --project 7`{begin}")
    assert inside in found.remedy
    assert ("500" in found.remedy) == ("500" in inside)


def test_with_a_secret_labels_and_start_training_come_in_and_the_doctor_notices_a_wrong_one(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus
) -> None:
    ours = Credentials("studio", "s3cret-password", "0123456789abcdef-of-ours")
    secrets = {"basic_auth_pass": ours.password, "webhook_secret": ours.secret}
    backend = start_backend(basic_auth_user=ours.user, **secrets, fit_every=1000, fit_max_wait_s=3600, reconcile_s=3600)
    wait_until(lambda: "trainer ready" in backend.tail(1000), "the trainer")
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
