"""Making and undoing the tie to a project. What a real Label Studio does with it is in `test_loop`."""

from itertools import chain, repeat
from typing import Any

import pytest

from nextlabel.labelstudio.client import MLBackend, Project, Webhook
from nextlabel.labelstudio.connection import disconnect
from nextlabel.labelstudio.registration import LOOKS, ensure_webhook
from nextlabel.labelstudio.requests import WEBHOOK_ACTIONS

URL = "http://127.0.0.1:9090"
BACKEND = MLBackend(7, URL, "Nextlabel", "", "Connected", "", {})


class Reviving:
    """A Label Studio in which the backend is there, or not, at one look after the other."""

    def __init__(self, *there: bool):
        self.looks = chain(there, repeat(False))
        self.removed: list[int] = []

    def ml_backends(self, project: int) -> list[MLBackend]:
        return [BACKEND] if next(self.looks) else []

    def remove_ml_backend(self, backend: int) -> None:
        self.removed.append(backend)

    def project(self, project: int) -> Project:
        return Project(project, "one", "", "", "", False, 0, 0, False, False)

    def webhooks(self, project: int) -> list[Any]:
        return []

    def model_versions(self, project: int) -> dict[str, int]:
        return {}

    def our_predictions(self, project: int) -> list[Any]:
        return []

    def update_project(self, project: int, **fields: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("there", "removals", "looks"),
    [((True,), 1, LOOKS), ((True, False, True), 2, 2 + LOOKS), ((True, True, True), 3, 2 + LOOKS), ((False,), 0, 0)],
    ids=["stays away", "comes back", "comes back twice", "was not there"],
)
def test_a_backend_that_comes_back_is_removed_again(there: tuple[bool, ...], removals: int, looks: int) -> None:
    studio: Any = Reviving(*there)
    rests: list[float] = []
    done = disconnect(studio, 1, URL, rests.append)
    assert studio.removed == [BACKEND.id] * removals
    assert len(rests) == looks
    assert (f"removed the ML backend {URL}" in done) == bool(removals)


class Hooked:
    """A Label Studio with one webhook of the backend, or none."""

    def __init__(self, *found: Webhook):
        self.found, self.put = found, list[int | None]()

    def webhooks(self, project: int) -> tuple[Webhook, ...]:
        return self.found

    def put_webhook(self, project: int, url: str, headers: dict[str, str], webhook: int | None = None) -> None:
        self.put.append(webhook)


def hook(active: bool, *actions: str) -> Webhook:
    return Webhook(3, f"{URL}/webhook", active, not actions, True, actions, {})


@pytest.mark.parametrize(
    ("found", "done"),
    [
        ((), "created"),
        ((hook(True),), "set up"),  # as Label Studio makes it when a backend is registered
        ((hook(False),), "corrected"),  # somebody has switched it off
        ((hook(True, "TASKS_CREATED"),), "corrected"),
        ((hook(True, *WEBHOOK_ACTIONS),), ""),
    ],
)
def test_a_webhook_is_called_corrected_only_where_it_was_wrong(found: tuple[Webhook, ...], done: str) -> None:
    studio = Hooked(*found)
    said = ensure_webhook(studio, 7, URL, {})  # type: ignore[arg-type]
    assert said == ([f"{done} the webhook {URL}/webhook, by which the backend hears of labels"] if done else [])
    assert len(studio.put) == len(said)
