"""Simulated annotators: they take what Label Studio's own queue serves and answer with the gold label."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from nextlabel.errors import BadCorpusError
from nextlabel.lab.importing import result_of
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.simulation.datasets.corpora import Corpus


def sign_up(server: LocalStudio, email: str) -> str:
    """Another annotator, who joins by invitation as a person would. Returns their token."""
    owner = {"Authorization": f"Token {server.login.token}"}
    invitation = httpx.get(f"{server.url}/api/invite", headers=owner).raise_for_status().json()["invite_url"]
    with httpx.Client(base_url=server.url, follow_redirects=True) as browser:
        browser.get(invitation)
        token = browser.cookies["csrftoken"]
        form = {"email": email, "password": server.login.password, "csrfmiddlewaretoken": token}
        # The page that it leads to is of no use, and a data base that is busy fails it.
        joined = browser.post(invitation, data=form, headers={"Referer": server.url}, follow_redirects=False)
        if not joined.is_redirect:
            joined.raise_for_status()
        return str(browser.get("/api/current-user/token").raise_for_status().json()["token"])


@dataclass(frozen=True, slots=True)
class Answer:
    """One label given: which task, which row of the corpus, what."""

    task_id: int
    row: int
    label: str


def annotate(
    studio: LabelStudioClient,
    project: int,
    gold: Callable[[dict[str, Any]], str],
    pause: Callable[[], None] = lambda: None,
) -> Iterator[Answer]:
    """Label one task after the other as the token's user, until the queue is empty. `pause` is the thinking time."""
    while True:
        task = studio.next_task(project)
        if task is None:
            return
        label = gold(task)
        pause()
        studio.annotate(task["id"], result_of(label))
        yield Answer(task["id"], int(task["data"].get("row", task["id"])), label)


def gold_of(corpus: Corpus) -> Callable[[dict[str, Any]], str]:
    """The oracle: gold labels by the row that an imported task carries. Raises `BadCorpusError` for other tasks."""
    labels = {pair.row: pair.label for pair in corpus.train + corpus.holdout}

    def gold(task: dict[str, Any]) -> str:
        row = task["data"].get("row")
        if row not in labels:
            raise BadCorpusError(f"Task {task['id']} is not from {corpus.source}; the oracle knows no label for it.")
        return labels[row]

    return gold
