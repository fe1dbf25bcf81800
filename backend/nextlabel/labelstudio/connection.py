"""Ties a Label Studio project to this backend, checks the tie, repairs it, and undoes it."""

import base64
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
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
)
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.notices import on_tasks, told
from nextlabel.labelstudio.registration import (
    BEFORE,
    SECRET_HEADER,
    TITLE,
    before_of,
    ensure_webhook,
    extra_of,
    find_backend,
    hook_of,
    is_at,
    put_right_for_good,
    registrations,
    remove_webhooks,
    with_before,
)
from nextlabel.labelstudio.reopening import put_back
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
    possible,
    reopened_of,
)
from nextlabel.values.survey import UNREADABLE
from nextlabel.values.versions import MACHINE_LABELS, UNTRAINED, is_ours, version_number, version_of

LABEL_STUDIOS_DEFAULTS = {"sampling": SEQUENTIAL, "show_collab_predictions": True, "model_version": ""}
TOLD_EVERY = 16  # predictions that are removed: each takes Label Studio some 0.2 s


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


@dataclass(frozen=True)
class Plan:
    """What `connect` found and will do. `registered` are the project's backends of ours, and `backend` the one that is
    kept, None before it is connected; `options` are its own from then on, with which `config` was read; predictions
    are `shown` from then on, or not; the queue `follows_another` when it goes by what is not in force at the URL. What
    is `spoilt` are possible options no more, and taken out."""

    project: Project
    url: str
    registered: tuple[MLBackend, ...]
    backend: MLBackend | None
    options: ProjectOptions
    config: LabelConfig
    shown: bool
    follows_another: bool
    spoilt: tuple[str, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether nothing of ours was registered at the URL so far."""
        return self.backend is None or not is_at(self.backend, self.url)

    @property
    def others(self) -> list[MLBackend]:
        """Backends of ours that are removed."""
        return [row for row in self.registered if self.backend is None or row.id != self.backend.id]

    @property
    def extra(self) -> Mapping[str, object]:
        """The `extra_params` of the backend from then on."""
        return self.options.put_into(extra_of(self.registered))

    @property
    def corrects_backend(self) -> bool:
        """Whether the ML backend that is registered is not as it should be."""
        if self.backend is None:
            return False
        # When it is not connected, the credentials are most likely other ones than at registration.
        return self.moves or self.backend.state != "Connected" or self.extra != self.backend.extra_params


def plan(
    studio: LabelStudioClient,
    project_id: int,
    url: str,
    show_predictions: bool | None = None,
    fields: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    ignored_labels: Sequence[str] | None = None,
    control_first: int | None = None,
) -> Plan:
    """What `connect` would do with the same arguments; only reads. Raises as `connect` does before it touches
    anything."""
    project = studio.project(project_id)
    url = checked_url(url)
    registered = registrations(studio, project_id, url)
    backend = next((row for row in registered if is_at(row, url)), registered[0] if registered else None)
    kept, spoilt = _options_of(extra_of(registered))
    options = _changed(kept, fields, label_map or {}, ignored_labels, control_first)
    config = parse_label_config(project.label_config, options)
    _require_ignored(project, config, ignored_labels or ())
    _require_map(config, label_map or {})
    _require_texts(studio, project_id, config)
    shown = _shown(project, registered, show_predictions)
    another = follows_another(studio, project, url, backend is None or not is_at(backend, url))
    return Plan(project, url, tuple(registered), backend, options, config, shown, another, spoilt)


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

    Run again, it changes nothing. A project has one backend of ours: one that was registered at another address is
    moved, and keeps its options and how the project was before all. Raises `RefusedConfigError` before anything is
    touched when the labelling config cannot be served or none of the tasks can be read, `StudioError` when Label Studio
    or the backend refuses.
    """
    found = plan(studio, project_id, url, show_predictions, fields, label_map, ignored_labels, control_first)
    url = found.url
    if found.backend is None:
        done = [_register(studio, found.project, url, credentials, found.options)]
    else:
        done = [*_correct(studio, found, found.backend, credentials), *map(taken_out, found.spoilt)]
    done += ensure_webhook(studio, project_id, url, credentials.webhook_headers())
    now = studio.project(project_id)
    changed = _set_queue(studio, now, found.shown, follows_another(studio, now, url, found.moves))
    if found.moves and not changed:
        studio.update_project(project_id, title=now.title)  # an event, by which the backend hears of it
    return [*done, *changed]


def taken_out(option: str) -> str:
    """Of what somebody spoilt."""
    return f"took out {option}, which is not possible"


def _correct(studio: LabelStudioClient, plan: Plan, backend: MLBackend, credentials: Credentials) -> list[str]:
    """Have the plan's backend be the only one, at its URL and with its options."""
    project, url = plan.project, plan.url
    # One that Label Studio's own form registered has changed nothing so far.
    before = before_of(plan.registered) or (_before(project) if project.sampling != UNCERTAINTY else {})
    extra = with_before(plan.extra, before)
    done = []
    # When it is not connected, the credentials are most likely other ones than at registration.
    if not is_at(backend, url) or backend.state != "Connected" or extra != backend.extra_params:
        change_backend(studio, project.id, backend, url, credentials, extra)
        here, there = without_password(url), without_password(backend.url)
        done.append(
            f"corrected the ML backend {here}" if is_at(backend, url) else f"moved the ML backend {there} to {here}"
        )
    for row in plan.others:
        studio.remove_ml_backend(row.id)
        done.append(f"removed the ML backend {without_password(row.url)}, which is this one at an earlier address")
    hooks = {hook_of(row.url) for row in plan.registered}
    done += remove_webhooks(studio, project.id, hooks, but=hook_of(url))

    def stands(row: MLBackend) -> bool:
        return is_at(row, url) and row.extra_params == extra

    def put_right() -> bool:
        now = registrations(studio, project.id, url)
        for row in now:
            if row.id != backend.id:
                studio.remove_ml_backend(row.id)
            elif not stands(row):
                change_backend(studio, project.id, backend, url, credentials, extra)
        strays = list(remove_webhooks(studio, project.id, hooks, but=hook_of(url)))
        return bool(strays) or [(row.id, stands(row)) for row in now] != [(backend.id, True)]

    if done:
        put_right_for_good(put_right)
    return done


def change_backend(
    studio: LabelStudioClient,
    project: int,
    backend: MLBackend,
    url: str,
    credentials: Credentials,
    extra: Mapping[str, object],
) -> None:
    """Have Label Studio keep this with a backend. Raises `StudioError`, with what to do when it refuses."""
    try:
        studio.update_ml_backend(backend.id, project, url, backend.title, credentials.user, credentials.password, extra)
    except StudioRefusedError as error:
        raise StudioError(f"{error} {remedy_of(error, url)}") from None


def _shown(project: Project, found: Sequence[MLBackend], wanted: bool | None) -> bool:
    """Whether predictions are to be shown. Of a backend that Label Studio's own form registered nothing was decided."""
    if wanted is not None:
        return wanted
    if (project.model_version or "").startswith(MACHINE_LABELS):
        return project.show_predictions  # as the end has set it
    return any(BEFORE in of_ours(row.extra_params) for row in found) and project.show_predictions


def _options_of(extra_params: Mapping[str, object]) -> tuple[ProjectOptions, tuple[str, ...]]:
    """Those that are kept, without what somebody spoilt, so that connecting repairs it; and what that is."""
    ours, read = of_ours(extra_params), possible(extra_params)
    options = ProjectOptions.of({KEY: read})
    own = {name: value for name, value in options.own.items() if is_possible(name, value)}
    spoilt = (ours.keys() - read.keys()) | (options.own.keys() - own.keys())
    return replace(options, own=own), tuple(f"{KEY}.{name}={ours[name]!r:.80}" for name in sorted(spoilt))


def _changed(
    options: ProjectOptions,
    fields: Sequence[str] | None,
    label_map: Mapping[str, str],
    ignored_labels: Sequence[str] | None,
    control_first: int | None,
) -> ProjectOptions:
    mapped = {old: new for old, new in {**options.label_map, **label_map}.items() if new}
    return replace(
        with_new_defaults(options),
        fields=options.fields if fields is None else tuple(fields),
        label_map=mapped,
        ignored_labels=options.ignored_labels if ignored_labels is None else tuple(ignored_labels),
        control_first=options.control_first if control_first is None else control_first,
    )


def with_new_defaults(options: ProjectOptions) -> ProjectOptions:
    """What is built in today holds where nobody decided. A project that has no control set gets a seed for one."""
    return replace(options, defaults=LATEST, control_seed=options.control_seed or new_seed())


def new_seed() -> str:
    """What nobody can guess, to draw tasks by."""
    return secrets.token_hex(16)


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
    others = " ".join((*config.unlearned, *config.odd)).removesuffix(".")
    return f"{kind} {fields}; {_asked(config)}{mapped}{ignored}" + (f". {others}" if others else "")


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
) -> str:
    # What the project was like is kept in Label Studio itself, so that anyone can undo the connection from anywhere.
    extra = with_before(options.put_into({}), _before(project))
    try:
        studio.add_ml_backend(project.id, url, TITLE, credentials.user, credentials.password, extra)
    except StudioRefusedError as error:
        raise StudioError(f"{error} {remedy_of(error, url)}") from None
    return f"registered the ML backend {without_password(url)}"


def _before(project: Project) -> Mapping[str, object]:
    """How the project is. Of one whose backend was removed in Label Studio alone, so that it is still as we made it,
    Label Studio's defaults."""
    if is_ours(project.model_version) and project.sampling == UNCERTAINTY:
        return LABEL_STUDIOS_DEFAULTS
    followed = project.model_version or ""
    followed = "" if is_ours(followed) or followed.startswith(MACHINE_LABELS) else followed
    return {
        "sampling": project.sampling,
        "show_collab_predictions": project.show_predictions,
        "model_version": followed,
    }


def remedy_of(error: StudioRefusedError, url: str) -> str:
    """What to do when Label Studio refuses to register a backend at this address, or to change one."""
    if error.code == 403:
        return (
            f"Label Studio may not call {url} because it is a private address: start Label Studio with "
            "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false, both."
        )
    if "ProxyError" in error.body:
        host = urlsplit(url).hostname
        return f"Label Studio asks a proxy for it: where Label Studio runs, add {host} to NO_PROXY, and restart it."
    if "CERTIFICATE_VERIFY_FAILED" in error.body:
        return (
            f"Label Studio does not trust the certificate of {without_password(url)}: where it runs, set "
            "REQUESTS_CA_BUNDLE to a file with the certificate of whoever has signed it, in PEM, and restart it."
        )
    if "authentication" in str(error) or "401 Client Error" in error.body:  # from /health, or from /setup
        return "Set BASIC_AUTH_USER and BASIC_AUTH_PASS for this script to what the backend runs with."
    return (
        f"Check that the backend runs and that Label Studio's machine reaches {url}/health; without BASIC_AUTH_USER "
        "the backend listens on its own machine alone, unless HOST says otherwise. If it has moved, give --backend-url."
    )


def follows_another(studio: LabelStudioClient, project: Project, url: str, moved: bool) -> bool:
    """Whether the queue goes by what is not in force at `url`. The trainer there takes only what a person chose for a
    person's choice, and nobody chose what a backend at another address had published."""
    followed = project.model_version or ""
    if followed.startswith(MACHINE_LABELS):
        return False  # the project has ended, and people see these until it is taken back
    if not is_ours(followed):
        return bool(followed)
    active = next((row.model_version for row in registrations(studio, project.id, url)), UNTRAINED)
    if moved:
        return version_of(followed) != active
    return active != UNTRAINED and version_number(version_of(followed)) > 0 and version_of(followed) != active


def queue_changes(project: Project, show_predictions: bool, follows_another: bool) -> dict[str, object]:
    """The project's fields to set so that the queue follows the model, and what they are set to."""
    changes: dict[str, object] = {}
    if project.sampling != UNCERTAINTY:
        changes["sampling"] = UNCERTAINTY
    if project.show_predictions != show_predictions:
        # The model version goes along, or Label Studio would reset it and the queue would be random.
        changes["show_collab_predictions"] = show_predictions
        changes["model_version"] = "" if follows_another else project.model_version or ""
    elif follows_another:
        changes["model_version"] = ""
    return changes


def _set_queue(studio: LabelStudioClient, project: Project, show_predictions: bool, follows_another: bool) -> list[str]:
    changes = queue_changes(project, show_predictions, follows_another)
    if changes:
        studio.update_project(project.id, **changes)
    return [f"set {name} to {value!r}" for name, value in changes.items()]


def disconnect(
    studio: LabelStudioClient,
    project_id: int,
    url: str = "",
    rest: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Have the project as it was before it was connected for the first time, wherever its backend is, and remove all
    that is ours: backends, webhooks, predictions. Returns what was done. May be run again, also when it was killed.

    A webhook to `url` is removed even where nothing else tells that it is ours. `rest` pauses between looks that
    nothing comes back, `tell` hears how far it is.
    """
    found, project = registrations(studio, project_id, url), studio.project(project_id)
    # One that Label Studio's own form registered has changed nothing, unless nobody remembers any more that we have.
    as_we_left_it = project.sampling == UNCERTAINTY and (bool(found) or is_ours(project.model_version))
    before, done = before_of(found) or (LABEL_STUDIOS_DEFAULTS if as_we_left_it else {}), list[str]()
    if before:  # the backend's row goes late, because it remembers how the project was
        done += _restore(studio, project, before)
    reopened = reopened_of(of_ours(extra_of(found)).get("reopened"))
    if opened := put_back(studio, project_id, {task: max(people, project.people) for task, people in reopened.items()}):
        done.append(f"put back {len(opened)} tasks that were open again for a second person")
    hooks = {hook_of(address) for address in (url, *(row.url for row in found)) if address}
    done += _remove_ours(studio, project_id, found, hooks, tell)

    def put_right() -> bool:
        return bool(_remove_ours(studio, project_id, registrations(studio, project_id, url), hooks, tell))

    if found:
        put_right_for_good(put_right, rest)
    return [*done, *(_what_else(project_id, extra_of(found)) if found else [])]


def _what_else(project: int, extra_params: Mapping[str, object]) -> list[str]:
    """What went with the backend, and what stays."""
    options = sorted(of_ours(extra_params).keys() - {BEFORE, "defaults", "control_seed", "reopened"})
    gone = (
        f"its options are gone ({', '.join(options)}): once it is connected again, `nextlabel restore FILE` brings "
        "them back from a backup"
    )
    stay = f"versions and audits stay in MODEL_DIR; `nextlabel forget --project {project}` deletes them"
    return [*([gone] if options else []), stay]


def _remove_ours(
    studio: LabelStudioClient,
    project: int,
    found: Sequence[MLBackend],
    hooks: Collection[str],
    tell: Callable[[str], None],
) -> list[str]:
    done = list(remove_webhooks(studio, project, hooks))
    for backend in found:
        studio.remove_ml_backend(backend.id)
        done.append(f"removed the ML backend {without_password(backend.url)}")
    if is_ours(studio.project(project).model_version):  # the trainer may have been in the middle of a switch
        studio.set_model_version(project, "")
        done.append("set model_version back to ''")
    ours = studio.our_predictions(project) if any(map(is_ours, studio.model_versions(project))) else []
    for number, prediction in enumerate(ours):
        if number % TOLD_EVERY == 0:
            tell(f"removing predictions: {number} of {len(ours)}")
        studio.delete_prediction(prediction.prediction_id)
    return [*done, *([f"removed {len(ours)} predictions"] if ours else [])]


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
