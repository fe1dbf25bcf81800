"""What a project has of us in Label Studio: one ML backend, which remembers how the project was, and its webhook."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from nextlabel.errors import StudioError, without_password
from nextlabel.labelstudio.client import LabelStudioClient, MLBackend, Webhook
from nextlabel.labelstudio.requests import WEBHOOK_ACTIONS
from nextlabel.values.options import KEY, of_ours
from nextlabel.values.versions import UNTRAINED, is_ours

TITLE = "Nextlabel"
SECRET_HEADER = "X-Nextlabel-Secret"
BEFORE = "before"  # among our options of a backend: how the project was when it was connected for the first time
LOOKS, LOOK_S = 3, 0.5  # that what was put right must stay so
MOST_LOOKS = 40  # then something else means to have it otherwise


# The ML backend


def registrations(studio: LabelStudioClient, project: int, url: str = "") -> list[MLBackend]:
    """Every Nextlabel backend of the project, the first one first: by what its /setup answered, by its title, or since
    it is at `url`. More than one is what release 0.1.0 left of a backend that moved. Raises `StudioError` when another
    program answers at `url`."""
    rows = sorted(studio.ml_backends(project), key=lambda row: row.id)
    here = [row for row in rows if url and is_at(row, url)]
    for row in here:
        if row.state == "Connected" and row.model_version and not is_ours(row.model_version) and row.title != TITLE:
            raise StudioError(
                f"{without_password(url)} is the address of another ML backend, {row.title!r}, and not of Nextlabel. "
                "Correct --backend-url."
            )
    return [row for row in rows if row in here or is_ours(row.model_version) or row.title == TITLE]


def find_backend(studio: LabelStudioClient, project: int) -> MLBackend | None:
    """The project's Nextlabel backend, wherever it is."""
    return next(iter(registrations(studio, project)), None)


def is_at(backend: MLBackend, url: str) -> bool:
    """Whether it is registered with this address."""
    return backend.url.rstrip("/") == url.rstrip("/")


def is_anothers(backend: MLBackend, versions: Collection[str], at: str) -> bool:
    """Whether what answers at its address works with another MODEL_DIR than ours, which holds these `versions`. `at`:
    where ours is as far as is known, when it has a version. While Label Studio reaches nobody there, it counts as ours.
    """
    if backend.state != "Connected" or not is_ours(backend.model_version):
        return False
    if backend.model_version == UNTRAINED:  # at the same address its versions may merely be damaged
        return bool(at) and not is_at(backend, at)
    return backend.model_version not in versions


def before_of(found: Sequence[MLBackend]) -> Mapping[str, Any]:
    """How the project was before it was connected for the first time; empty when that is not known."""
    known = (of_ours(backend.extra_params).get(BEFORE) for backend in found)
    return next((before for before in known if isinstance(before, Mapping) and before), {})


def extra_of(found: Sequence[MLBackend]) -> Mapping[str, Any]:
    """The `extra_params` that outlive all but one of these backends. Options are those of the first one that remembers
    how the project was, else of the first that has any; of other keys none is lost."""
    ours = [(row.extra_params, of_ours(row.extra_params)) for row in found if isinstance(row.extra_params, Mapping)]
    best_first = sorted(ours, key=lambda row: (BEFORE not in row[1], not row[1]))
    return {name: value for extra, _ in reversed(best_first) for name, value in extra.items()}


def with_before(extra_params: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `extra_params` of a backend that remembers it."""
    return {**extra_params, KEY: {**of_ours(extra_params), BEFORE: dict(before)}} if before else extra_params


# Its webhook


def hook_of(url: str) -> str:
    """Where a backend at this address hears of labels."""
    return f"{url.rstrip('/')}/webhook"


def ensure_webhook(
    studio: LabelStudioClient, project: int, url: str, headers: Mapping[str, str], known_for_ours: bool = True
) -> list[str]:
    """Make or repair the webhook that tells the backend of labels; returns what was done. One that works is changed
    only to be `known_for_ours` from then on."""
    target = hook_of(url)
    webhook = _webhook_to(studio, project, target)
    if webhook is None:
        studio.put_webhook(project, target, headers)
        return [f"created the webhook {without_password(target)}, by which the backend hears of labels"]
    if not (_is_ours_and_works if known_for_ours else webhook_works)(webhook, headers):
        studio.put_webhook(project, target, headers, webhook.id)
        # Label Studio made it for all events when the backend was registered: nothing was wrong with that.
        done = "set up" if webhook.all_actions and webhook.active else "corrected"
        return [f"{done} the webhook {without_password(target)}, by which the backend hears of labels"]
    return []


def needs_webhook(studio: LabelStudioClient, project: int, url: str, headers: Mapping[str, str]) -> bool:
    """Whether `ensure_webhook` has anything to do."""
    webhook = _webhook_to(studio, project, hook_of(url))
    return webhook is None or not _is_ours_and_works(webhook, headers)


def _webhook_to(studio: LabelStudioClient, project: int, target: str) -> Webhook | None:
    return next((w for w in studio.webhooks(project) if w.url.rstrip("/") == target), None)


def _is_ours_and_works(webhook: Webhook, headers: Mapping[str, str]) -> bool:
    """Label Studio makes one for all events: what asks for ours alone is known for ours, wherever the backend went."""
    return not webhook.all_actions and webhook_works(webhook, headers)


def webhook_works(webhook: Webhook, headers: Mapping[str, str]) -> bool:
    """Whether labels arrive through it."""
    tells_all = webhook.all_actions or set(WEBHOOK_ACTIONS) <= set(webhook.actions)
    # A URL that carries user:password authenticates by itself.
    authenticated = "@" in urlsplit(webhook.url).netloc or headers.items() <= dict(webhook.headers).items()
    return webhook.active and webhook.with_payload and tells_all and authenticated


def remove_webhooks(studio: LabelStudioClient, project: int, targets: Collection[str], but: str = "") -> Iterator[str]:
    """Remove the webhooks to `targets`, and all that were made by us, but one; yields what was done."""
    for webhook in studio.webhooks(project):
        target = webhook.url.rstrip("/")
        if target != but and (target in targets or _made_by_us(webhook)):
            studio.remove_webhook(webhook.id)
            yield f"removed the webhook {without_password(target)}"


def _made_by_us(webhook: Webhook) -> bool:
    """By its look, when nothing else tells: nobody else asks for exactly these events, or knows the header."""
    asks = not webhook.all_actions and sorted(webhook.actions) == sorted(WEBHOOK_ACTIONS)
    return SECRET_HEADER in webhook.headers or (asks and webhook.url.rstrip("/").endswith("/webhook"))


# Both


def put_right_for_good(
    put_right: Callable[[], bool], rest: Callable[[float], None] = time.sleep, looks: int = LOOKS
) -> None:
    """Put right what is wrong, until nothing was in so many `looks` in a row.

    To list backends, as the trainer does, Label Studio asks each how it is and then saves its row (ml/models.py,
    update_state): one that was removed meanwhile is there again, one that was moved is where it was, and options are
    the old ones. And the trainer may be in the middle of making a webhook, or publishing. Raises `StudioError` when
    there is no end to it.
    """
    calm = 0
    for _ in range(MOST_LOOKS):
        rest(LOOK_S)
        calm = 0 if put_right() else calm + 1
        if calm == looks:
            return
    raise StudioError(
        "What was changed at the project's ML backend in Label Studio does not stay: something else, a script or a "
        "second trainer, changes it as often. Stop that, and try again."
    )
