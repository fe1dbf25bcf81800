"""With a real Label Studio: buttons of the page that change what is kept there, from the press to the answer."""

from collections.abc import Callable
from dataclasses import replace

import httpx
import numpy as np
import pytest

from helpers.fits import FIT_EVERY
from helpers.live_project import LiveProject
from helpers.waiting import wait_until
from nextlabel.lab.annotators import sign_up
from nextlabel.lab.importing import result_of
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio
from nextlabel.labelstudio import connection
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials
from nextlabel.labelstudio.doctor import examine
from nextlabel.labelstudio.project_options import change
from nextlabel.labelstudio.registration import find_backend
from nextlabel.learning.certificate import Audit
from nextlabel.settings import Settings
from nextlabel.simulation.datasets.corpora import LABELS, Corpus
from nextlabel.store.presses import DONE, REFUSED, Presses
from nextlabel.store.summary import PAUSED
from nextlabel.values.options import LATEST, OF_0_1_0, ProjectOptions
from nextlabel.versions.audits import Audits

ANNA = "anna@pressing.org"
AUDIT = Audit(
    project=0,
    number=1,
    version="nextlabel-1-20260101T000000",
    fitted_on=8,
    begun_at="2026-01-01T00:00:00+00:00",
    key_hash="ab" * 32,
    labels=LABELS,
    risk=0.05,
    delta=0.05,
    most_labels=8,
    ids_N=np.array([1]),
    texts=("cd" * 32,),
    said=LABELS[:1],
    confidences_N=np.array([0.5]),
)


def press(project: LiveProject, action: str, **form: str) -> None:
    """As a lead at this machine does, and wait for the trainer's answer: it is done."""
    assert answer_to(project, action, **form) == (DONE, "")


def answer_to(project: LiveProject, action: str, **form: str) -> tuple[str, str]:
    url, presses = project.backend.url, Presses(project.backend.model_dir)
    found = httpx.get(f"{url}/api/projects/{project.id}/actions").json()["actions"]
    [token] = [one["token"] for one in found if one["name"] == action]
    sent = httpx.post(f"{url}/projects/{project.id}/actions/{action}", data={"token": token, **form})
    assert sent.status_code == 202, sent.text
    wait_until(lambda: not presses.asked(project.id), "the trainer's answer")
    last = presses.all(project.id)[0]
    return last.outcome, last.why


def options_of(project: LiveProject) -> ProjectOptions:
    """As Label Studio keeps them."""
    backend = find_backend(project.studio, project.id)
    assert backend is not None
    return ProjectOptions.of(backend.extra_params)


def state_of(project: LiveProject) -> str:
    return str(httpx.get(f"{project.backend.url}/api/projects/{project.id}").json()["state"])


def see_a_certificate_stand_until_resumed(project: LiveProject) -> None:
    audits = Audits(project.backend.model_dir)
    audits.begin(replace(AUDIT, project=project.id), None)
    audits.end(project.id, "all tasks are certified")
    project.studio.update_project(project.id, title="an event")
    wait_until(lambda: state_of(project) == PAUSED, "a certificate that stands to be told as a pause")
    press(project, "resume")
    wait_until(lambda: state_of(project) != PAUSED, "it to be released")
    assert not audits.holds(project.id)


def test_a_lead_pauses_resumes_shows_people_and_takes_the_new_defaults(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: Callable[..., LocalBackend],
    few_pairs: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = start_backend(**dict.fromkeys(PLAIN_ORDER, ""))
    with monkeypatch.context() as then:
        then.setattr(connection, "LATEST", OF_0_1_0)
        project = LiveProject(studio, backend, few_pairs)
    version = project.wait()

    press(project, "pause")
    assert options_of(project).pause
    wait_until(lambda: state_of(project) == PAUSED, "the pause to be told")
    found = examine(studio, label_studio.login.token, backend.url, Credentials(), project.id)
    [told] = [finding for finding in found if finding.answer.startswith("The trainer says: paused. Paused: nothing is")]
    assert told.ok, "somebody wants it so"
    served = project.queue()
    project.label(FIT_EVERY)
    anna = LabelStudioClient(label_studio.url, sign_up(label_studio, ANNA))
    task = anna.next_task(project.id)
    assert task is not None
    anna.annotate(task["id"], result_of("different"), lead_time_s=4.2)
    pending = FIT_EVERY + 1
    wait_until(lambda: project.board.queue(project.id).pending == pending, "labels to be read all the same")
    assert (project.version(), project.registry.newest(project.id), state_of(project)) == (version, version, PAUSED)
    assert project.queue()[: len(served) - pending] == served[pending:], "the queue stands"
    press(project, "resume")
    version = project.wait(newer_than=version)
    assert project.registry.card(project.id, version).reason == f"{pending} new labels"
    assert not options_of(project).pause
    press(project, "fit")  # which is done once it begins
    version = project.wait(newer_than=version)
    assert project.registry.card(project.id, version).reason == "Fit now or Start Training was pressed"

    owner, people = studio.user(), f"{project.backend.url}/api/projects/{project.id}/people"
    wait_until(lambda: httpx.get(people).json()["today"] == {"labels": pending, "people": 2}, "the figures")
    assert httpx.get(people).json()["people"] == []
    press(project, "show_names", about="on")
    wait_until(lambda: {one["name"] for one in httpx.get(people).json()["people"]} == {ANNA, owner}, "names")
    press(project, "show_names", about="off")
    assert httpx.get(people).json()["people"] == []

    press(project, "look_again", about="on")
    assert options_of(project).look_again == 3
    change(studio, Settings(), project.id, {"second_votes": "0.05"})
    press(project, "look_again", about="off")
    assert (options_of(project).look_again, options_of(project).second_votes) == (0, 0), "nobody is asked any more"
    see_a_certificate_stand_until_resumed(project)

    actions = f"{project.backend.url}/api/projects/{project.id}/actions"
    assert "strategy=margin (before: entropy)" in httpx.get(actions).json()["new_defaults"]
    seed = options_of(project).control_seed
    press(project, "take_defaults", sure="yes")
    assert (options_of(project).defaults, options_of(project).control_seed) == (LATEST, seed)
    assert httpx.get(actions).json()["new_defaults"] == []

    connection.disconnect(studio, project.id)
    outcome, why = answer_to(project, "pause")
    assert (outcome, "no Nextlabel ML backend" in why) == (REFUSED, True)
