"""Ties a Label Studio project to this backend, checks the tie, repairs it, and undoes it."""

import base64
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from nextlabel.errors import RefusedConfigError, StudioError, without_password
from nextlabel.labelstudio.client import (
    SEQUENTIAL,
    UNCERTAINTY,
    LabelStudioClient,
    MLBackend,
    Project,
    StudioRefusedError,
    Webhook,
)
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.notices import on_tasks, told
from nextlabel.labelstudio.requests import WEBHOOK_ACTIONS
from nextlabel.labelstudio.tasks import read_task
from nextlabel.problems.form import Form
from nextlabel.settings import Settings, is_possible
from nextlabel.store.pool import Pool
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED
from nextlabel.values.options import (
    KEY,
    LATEST,
    NO_OPTIONS,
    ProjectOptions,
    of_ours,
)
from nextlabel.values.survey import UNREADABLE
from nextlabel.values.versions import is_ours

TITLE = "Nextlabel"
SECRET_HEADER = "X-Nextlabel-Secret"
LOOKS, LOOK_S = 3, 0.5  # that a removed backend must stay away for


@dataclass(frozen=True)
class Credentials:
    """What Label Studio must present to the backend. Empty `user`: nothing. With a `secret` its webhook shows that."""

    user: str = ""
    password: str = ""
    secret: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "Credentials":
        """Those that the backend asks for."""
        password, secret = settings.basic_auth_pass, settings.webhook_secret
        return cls(settings.basic_auth_user, password.get_secret_value(), secret.get_secret_value())

    def headers(self) -> dict[str, str]:
        """For every route."""
        if not self.user:
            return {}
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {token}"}

    def webhook_headers(self) -> dict[str, str]:
        """For the webhook: Label Studio does not give it the ML backend's credentials by itself.

        All members of a project can read them there, so that with a secret the password stays out.
        """
        return {SECRET_HEADER: self.secret} if self.secret else self.headers()


def find_backend(studio: LabelStudioClient, project: int, url: str = "") -> MLBackend | None:
    """The project's Nextlabel backend: the one at `url`, else the one whose /setup answered with our version name."""
    rows = studio.ml_backends(project)
    if url:
        return next((m for m in rows if m.url.rstrip("/") == url.rstrip("/")), None)
    return next((m for m in rows if is_ours(m.model_version) or m.title == TITLE), None)


def connect(
    studio: LabelStudioClient,
    project_id: int,
    url: str,
    credentials: Credentials,
    show_predictions: bool | None = None,
    fields: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    ignored_labels: Sequence[str] | None = None,
    control_first: int | None = None,
) -> list[str]:
    """Register the backend and its webhook, set uncertainty sampling, hide predictions; returns what was changed.

    `show_predictions`: None leaves a project that was connected before as it is, and hides them in a new one. `fields`
    make the text (None: as before; empty: what the labelling config shows). `label_map` adds to what labels are learnt
    as; an empty new label takes an old one out. Nothing is learnt of `ignored_labels` (None: as before). So many tasks
    of the control set come before all others as `control_first` says (None: as before).

    Run again, it changes nothing. Raises `RefusedConfigError` before anything is touched when the labelling config
    cannot be served or none of the tasks can be read, `StudioError` when Label Studio or the backend refuses.
    """
    project = studio.project(project_id)
    url = checked_url(url)
    backend = find_backend(studio, project_id, url)
    before = _options_of(backend)
    options = _changed(before, fields, label_map or {}, ignored_labels, control_first)
    config = parse_label_config(project.label_config, options)
    _require_ignored(project, config, ignored_labels or ())
    _require_map(config, label_map or {})
    _require_texts(studio, project_id, config)
    done = []
    if backend is None:
        _register(studio, project, url, credentials, options)
        done.append(f"registered the ML backend {without_password(url)}")
    elif backend.state != "Connected" or options.put_into(backend.extra_params) != backend.extra_params:
        # When it is not connected, the credentials are most likely other ones than at registration.
        extra = options.put_into(backend.extra_params)
        studio.update_ml_backend(
            backend.id, project_id, url, backend.title, credentials.user, credentials.password, extra
        )
        done.append(f"corrected the ML backend {without_password(url)}")
    done += ensure_webhook(studio, project_id, url, credentials.webhook_headers())
    done += _set_queue(studio, studio.project(project_id), _shown(project, backend, show_predictions))
    return done


def _shown(project: Project, backend: MLBackend | None, wanted: bool | None) -> bool:
    """Whether predictions are to be shown. Of a backend that Label Studio's own form registered nothing was decided."""
    if wanted is not None:
        return wanted
    return backend is not None and "before" in of_ours(backend.extra_params) and project.show_predictions


def _options_of(backend: MLBackend | None) -> ProjectOptions:
    """Those that are kept with the backend, without what somebody spoilt, so that this repairs it."""
    try:
        options = ProjectOptions.of(backend.extra_params) if backend else NO_OPTIONS
    except RefusedConfigError:
        return _not_to_be_lost(backend.extra_params if backend else None)
    return replace(options, own={name: value for name, value in options.own.items() if is_possible(name, value)})


def _not_to_be_lost(extra_params: object) -> ProjectOptions:
    """Of spoilt options those without which another control set would be drawn, or audits would count anew."""
    ours = of_ours(extra_params)
    try:
        return ProjectOptions.of({KEY: {name: ours[name] for name in ("control_seed", "audits") if name in ours}})
    except RefusedConfigError:
        return NO_OPTIONS


def _changed(
    options: ProjectOptions,
    fields: Sequence[str] | None,
    label_map: Mapping[str, str],
    ignored_labels: Sequence[str] | None,
    control_first: int | None,
) -> ProjectOptions:
    mapped = {old: new for old, new in {**options.label_map, **label_map}.items() if new}
    return replace(
        options,
        fields=options.fields if fields is None else tuple(fields),
        label_map=mapped,
        ignored_labels=options.ignored_labels if ignored_labels is None else tuple(ignored_labels),
        defaults=LATEST,
        control_seed=options.control_seed or secrets.token_hex(16),
        control_first=options.control_first if control_first is None else control_first,
    )


def _require_ignored(project: Project, config: LabelConfig, given: Sequence[str]) -> None:
    labels = [label for control in parse_label_config(project.label_config).asked for label in control.labels]
    nowhere = [label for label in given if label not in labels]
    if nowhere:
        raise RefusedConfigError(
            f"No label {nowhere[0]!r} can be ignored, as the labelling config does not have it: its labels are "
            f"{', '.join(labels)}. Correct --ignore-label."
        )


def _require_map(config: LabelConfig, given: Mapping[str, str]) -> None:
    known = {label: None for control in config.asked for label in control.labels}
    nowhere = sorted({new for new in given.values() if new} - {*known, *config.ignored})
    if nowhere:
        raise RefusedConfigError(
            f"No label can be learnt as {nowhere[0]!r}, which the labelling config does not have: its labels are "
            f"{', '.join(known)}. Correct --map-label."
        )
    unmapped = replace(config, label_map={}).spellings.values()
    for old, new in given.items():
        if new and not {spellings.answer_of(old) for spellings in unmapped} <= {None, new}:
            raise RefusedConfigError(
                f"{old!r} cannot be learnt as {new!r}, because it is a label of the labelling config, which is learnt "
                "as itself. Map only labels that the config does not have."
            )


def _require_texts(studio: LabelStudioClient, project: int, config: LabelConfig) -> None:
    """Raises when none of the first tasks can be read, nearly always because the config names another field."""
    first = next(studio.tasks_after(project, 0), [])
    rows = [read_task(config, task) for task in first]
    if rows and not any(row.example for row in rows):
        reason = next(note.detail for note in rows[0].notes if note.kind == UNREADABLE)
        data = first[0].get("data")
        there = f"it has {', '.join(map(repr, data))}" if isinstance(data, Mapping) and data else "it has none"
        raise RefusedConfigError(
            f"None of the first {len(rows)} tasks of project {project} can be read: of task {rows[0].id} {reason}; "
            f"{there}. Correct the value of the text in the labelling config, or the data of the tasks."
        )


def what_is_read(studio: LabelStudioClient, project_id: int) -> list[str]:
    """Sentences on what makes the text and what the labels, and on what is odd in the project's first tasks."""
    project = studio.project(project_id)
    backend = find_backend(studio, project_id)
    options = ProjectOptions.of(backend.extra_params) if backend else NO_OPTIONS
    config = parse_label_config(project.label_config, options)
    rows = [read_task(config, task) for task in next(studio.tasks_after(project_id, 0), [])]
    with TemporaryDirectory() as directory, Pool(Path(directory) / "first.sqlite") as pool:
        pool.upsert(rows)
        words = told(on_tasks(pool.survey(), config, project_id))
    return [said_of(config), *filter(None, (words.first, *words.warnings, *words.remarks))]


def said_of(config: LabelConfig) -> str:
    """What makes the text, in this order, and what the labels."""
    count = len(config.fields)
    kind = ("the text is", "the pair is", f"the {count} texts are")[min(count, 3) - 1]
    *first, last = config.fields
    fields = f"{', '.join(first)} and {last}" if first else last
    meant = {
        old: next(filter(None, (config.label_of(old, control.name) for control in config.asked)), None)
        for old in config.label_map
        if all(old not in control.labels for control in config.asked)
    }
    mapped = "".join(f"; {old} counts as {new}" for old, new in meant.items() if new is not None)
    ignored = f"; ignored: {', '.join(config.ignored)}" if config.ignored else ""
    others = "".join(f"; {why}" for why in config.unlearned)
    return f"{kind} {fields}; {_asked(config)}{mapped}{ignored}{others}"


HOW_MANY = {ONE_OF: "one of", ANY_OF: "any of", ORDERED: "a step from"}


def _asked(config: LabelConfig) -> str:
    if not isinstance(config.question, Form):
        return f"the labels are {', '.join(config.labels)}"
    asked = (
        f"{part.name} ({HOW_MANY[part.kind]} {', '.join(part.spellings.labels)})" for part in config.question.parts
    )
    return f"the questions are {', '.join(asked)}"


def checked_url(url: str) -> str:
    """The URL without a trailing slash. Raises `StudioError` for one that Label Studio takes but sends no labels to.

    Its webhooks (Django's URLValidator) need `localhost`, an IP address, or a host name with a dot.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        correct = parts.scheme in ("http", "https") and bool(host) and (parts.port is None or parts.port > 0)
    except ValueError:
        correct, host = False, ""
    if not correct:
        raise StudioError(f"{url!r} is not a URL such as http://localhost:9090.")
    if host != "localhost" and "." not in host and ":" not in host:
        raise StudioError(
            f"Label Studio sends no webhooks to {url}: the host name {host!r} has no dot. Give the machine or "
            f"container a name with a dot, such as {host}.internal, or use its IP address."
        )
    return url.rstrip("/")


def _register(
    studio: LabelStudioClient, project: Project, url: str, credentials: Credentials, options: ProjectOptions
) -> None:
    before = {
        "sampling": project.sampling,
        "show_collab_predictions": project.show_predictions,
        "model_version": project.model_version or "",
    }
    # What the project was like is kept in Label Studio itself, so that anyone can undo the connection from anywhere.
    extra = options.put_into({KEY: {"before": before}})
    try:
        studio.add_ml_backend(project.id, url, TITLE, credentials.user, credentials.password, extra)
    except StudioRefusedError as error:
        raise StudioError(f"{error} {remedy_of(error, url)}") from None


def remedy_of(error: StudioRefusedError, url: str) -> str:
    """What to do when Label Studio refuses to register a backend at this address, or to change one."""
    if error.code == 403:
        return (
            f"Label Studio may not call {url} because it is a private address: start Label Studio with "
            "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false, both."
        )
    if "authentication" in str(error):
        return "Set BASIC_AUTH_USER and BASIC_AUTH_PASS for this script to what the backend runs with."
    return (
        f"Check that the backend runs and that Label Studio's machine reaches {url}/health; without BASIC_AUTH_USER "
        "the backend listens on its own machine alone, unless HOST says otherwise."
    )


def ensure_webhook(studio: LabelStudioClient, project: int, url: str, headers: Mapping[str, str]) -> list[str]:
    """Make or repair the webhook that tells the backend of labels; returns what was done."""
    target = f"{url.rstrip('/')}/webhook"
    webhook = next((w for w in studio.webhooks(project) if w.url.rstrip("/") == target), None)
    if webhook is None:
        studio.put_webhook(project, target, headers)
        return [f"created the webhook {without_password(target)}"]
    if not webhook_works(webhook, headers):
        studio.put_webhook(project, target, headers, webhook.id)
        return [f"corrected the webhook {without_password(target)}"]
    return []


def webhook_works(webhook: Webhook, headers: Mapping[str, str]) -> bool:
    """Whether labels arrive through it."""
    tells_all = webhook.all_actions or set(WEBHOOK_ACTIONS) <= set(webhook.actions)
    # A URL that carries user:password authenticates by itself.
    authenticated = "@" in urlsplit(webhook.url).netloc or headers.items() <= dict(webhook.headers).items()
    return webhook.active and webhook.with_payload and tells_all and authenticated


def _set_queue(studio: LabelStudioClient, project: Project, show_predictions: bool) -> list[str]:
    changes: dict[str, object] = {}
    if project.sampling != UNCERTAINTY:
        changes["sampling"] = UNCERTAINTY
    if project.show_predictions != show_predictions:
        # The model version goes along, or Label Studio would reset it and the queue would be random.
        changes["show_collab_predictions"] = show_predictions
        changes["model_version"] = project.model_version if is_ours(project.model_version) else ""
    elif project.model_version and not is_ours(project.model_version):
        changes["model_version"] = ""
    if changes:
        studio.update_project(project.id, **changes)
    return [f"set {name} to {value!r}" for name, value in changes.items()]


def disconnect(
    studio: LabelStudioClient, project_id: int, url: str = "", rest: Callable[[float], None] = time.sleep
) -> list[str]:
    """Restore the queue, remove webhook, backend and predictions; returns what was done. May be run again.

    The backend's row goes late, because it remembers how the project was before. `rest` pauses between looks.
    """
    backend = find_backend(studio, project_id, url)
    done = []
    if backend is not None:
        before = of_ours(backend.extra_params).get("before", {})
        done += _restore(studio, studio.project(project_id), before)
        hook = f"{backend.url.rstrip('/')}/webhook"
        done += _remove_webhooks(studio, project_id, hook)
        _remove_for_good(studio, project_id, backend, rest)
        _remove_webhooks(studio, project_id, hook)  # one that the trainer restored meanwhile
        done.append(f"removed the ML backend {without_password(backend.url)}")
    if is_ours(studio.project(project_id).model_version):  # the trainer may have been in the middle of a switch
        studio.set_model_version(project_id, "")
    ours = studio.our_predictions(project_id)
    for prediction in ours:
        studio.delete_prediction(prediction.prediction_id)
    if ours:
        done.append(f"removed {len(ours)} predictions")
    return done


def _remove_for_good(
    studio: LabelStudioClient, project: int, backend: MLBackend, rest: Callable[[float], None]
) -> None:
    # To list backends, as the trainer does, Label Studio asks each how it is and then saves its row (ml/models.py,
    # update_state): one that was removed meanwhile is there again.
    studio.remove_ml_backend(backend.id)
    away = 0
    while away < LOOKS:
        rest(LOOK_S)
        away += 1
        if find_backend(studio, project, backend.url) is not None:
            studio.remove_ml_backend(backend.id)
            away = 0


def _remove_webhooks(studio: LabelStudioClient, project: int, target: str) -> list[str]:
    found = [w for w in studio.webhooks(project) if w.url.rstrip("/") == target]
    for webhook in found:
        studio.remove_webhook(webhook.id)
    return [f"removed the webhook {without_password(target)}" for _ in found]


def _restore(studio: LabelStudioClient, project: Project, before: Mapping[str, object]) -> list[str]:
    fields: dict[str, object] = {"show_collab_predictions": before.get("show_collab_predictions", True)}
    if project.sampling == UNCERTAINTY:  # otherwise a person has chosen another one since
        fields["sampling"] = before.get("sampling", SEQUENTIAL)
    if is_ours(project.model_version) or not project.model_version:
        fields["model_version"] = before.get("model_version", "")
    try:
        studio.update_project(project.id, **fields)
    except StudioRefusedError:
        fields["model_version"] = ""  # the version that the project followed before has gone
        studio.update_project(project.id, **fields)
    return [f"set {name} back to {value!r}" for name, value in fields.items()]
