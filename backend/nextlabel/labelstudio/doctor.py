"""Looks at every link between Label Studio and the backend, and says what is wrong and how to fix it."""

import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import httpx
import jwt

from nextlabel.errors import NextlabelError, RefusedConfigError, with_project, without_password
from nextlabel.labelstudio.client import (
    UNCERTAINTY,
    LabelStudioClient,
    MLBackend,
    Project,
)
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, said_of
from nextlabel.labelstudio.notices import takes_over
from nextlabel.labelstudio.reaching import remedy_of
from nextlabel.labelstudio.registration import is_at, registrations, webhook_works
from nextlabel.store.summary import DISCONNECTED, FIT_FAILED, NO_FIT
from nextlabel.values.options import NO_OPTIONS, OWN, ProjectOptions
from nextlabel.values.versions import MACHINE_LABELS, is_ours

TRIED = "1.23"  # the Label Studio release that this backend is tested with
ROUND_TRIP_S = 15.0
BAD_STATES = ("failed", "refused", DISCONNECTED, FIT_FAILED, NO_FIT)


@dataclass(frozen=True)
class Finding:
    """One check: `ok`, what was found, and what to do if it is not."""

    ok: bool
    answer: str
    remedy: str = ""


def examine(
    studio: LabelStudioClient, api_key: str, url: str, credentials: Credentials, project: int | None
) -> Iterator[Finding]:
    """All findings, in the order in which a person would fix them. Stops where later ones make no sense."""
    token = _token(studio, api_key)
    yield from token
    reachable = _backend(url, credentials)
    yield from reachable
    if not all(f.ok for f in token) or project is None:
        return
    try:
        found = studio.project(project)
    except NextlabelError as error:
        yield Finding(False, str(error), f"Projects you can see: {studio.projects()}")
        return
    backends = registrations(studio, project)
    served = yield from _passing(_served(found, backends, url))
    if not (served and backends):
        return
    options = ProjectOptions.of(backends[0].extra_params)
    yield from _warned(_followed(studio, found), found, options)
    if not reachable[0].ok and is_at(backends[0], url):
        return
    registered = yield from _passing(_warned(_registered(studio, found, backends, credentials), found, options))
    if not (registered and all(f.ok for f in reachable)):
        return
    if (yield from _passing(_round_trip(studio, found, backends[0], url, credentials))):
        yield from _said_by_trainer(found, url, credentials)


def _passing(findings: Iterator[Finding]) -> Generator[Finding, None, bool]:
    """The same findings; returns whether all is well, so that what comes of a fault is not told as another one."""
    well = True
    for finding in findings:
        yield finding
        well = well and finding.ok
    return well


def _warned(findings: Iterator[Finding], project: Project, options: ProjectOptions) -> Iterator[Finding]:
    """The same findings; where connecting again is the remedy, with what else comes of that."""
    for finding in findings:
        connects = f"nextlabel connect --project {project.id}" in finding.remedy
        yield replace(finding, remedy=finding.remedy + takes_over(project.id, options)) if connects else finding


def _token(studio: LabelStudioClient, api_key: str) -> list[Finding]:
    try:
        version = studio.version()
    except NextlabelError as error:
        return [Finding(False, str(error))]  # it names the remedy
    same = version.startswith(TRIED)
    findings = [
        Finding(True, f"Label Studio {version} answers at {studio.url}" + ("" if same else f" (tested with {TRIED})"))
    ]
    try:
        findings.append(Finding(True, f"LABEL_STUDIO_API_KEY is a {kind_of(api_key)} of {studio.user()}"))
    except NextlabelError as error:
        findings.append(Finding(False, f"LABEL_STUDIO_API_KEY looks like a {kind_of(api_key)}. {error}"))
    return findings


def kind_of(api_key: str) -> str:
    """Which of Label Studio's two kinds a token is, by its looks."""
    try:
        jwt.decode(api_key, options={"verify_signature": False})
    except jwt.PyJWTError:
        return "legacy token"
    return "personal access token"


def _backend(url: str, credentials: Credentials) -> list[Finding]:
    try:
        health = httpx.get(f"{url}/health", timeout=3)
        health.raise_for_status()
        findings = [Finding(True, f"The backend answers at {url} (version {health.json().get('version')})")]
        answer = httpx.get(f"{url}/versions", headers=credentials.headers(), timeout=3)
        # Without an action it is no event, so nothing comes of it.
        event = httpx.post(f"{url}/webhook", json={}, headers=credentials.webhook_headers(), timeout=3)
    except (httpx.HTTPError, OSError, ImportError, ValueError) as error:
        remedy = remedy_of(url, error, "Start it with `nextlabel serve`, or give --backend-url.")
        return [Finding(False, f"The backend does not answer at {without_password(url)} ({error}).", remedy)]
    ok = answer.status_code == 200
    remedy = "" if ok else "Set BASIC_AUTH_USER and BASIC_AUTH_PASS here to what the backend runs with."
    findings.append(Finding(ok, f"The backend answers {answer.status_code} to our credentials", remedy))
    if credentials.secret:
        ok = event.status_code == 200
        remedy = "" if ok else "Set WEBHOOK_SECRET here to what the backend runs with."
        findings.append(Finding(ok, f"The backend answers {event.status_code} to our WEBHOOK_SECRET", remedy))
    return findings


def _served(project: Project, backends: Sequence[MLBackend], url: str) -> Iterator[Finding]:
    try:
        options = ProjectOptions.of(backends[0].extra_params) if backends else NO_OPTIONS
        config = parse_label_config(project.label_config, options)
        yield Finding(True, f"Project {project.id} {project.title!r}: {said_of(config)}")
    except RefusedConfigError as error:
        yield Finding(False, f"Project {project.id} cannot be served.", with_project(str(error), project.id))
        return
    if not backends:
        yield Finding(
            False,
            f"Project {project.id} has no Nextlabel ML backend.",
            f"Run `nextlabel connect --project {project.id} --backend-url {url}`",
        )


def _followed(studio: LabelStudioClient, project: Project) -> Iterator[Finding]:
    follows = project.sampling == UNCERTAINTY
    yield Finding(
        follows,
        f"Sampling mode: {project.sampling}",
        ""
        if follows
        else f"Run `nextlabel connect --project {project.id}` again: the queue does not follow the model.",
    )
    yield _model_version(studio, project)
    if project.trains_in_request:
        yield Finding(
            False,
            "The project asks for training inside annotators' requests.",
            "Switch off 'Start model training on annotation submission' under Settings > Model; the backend counts "
            "labels itself.",
        )
    if project.predicts_on_page_load:
        yield Finding(
            False,
            "Every page of the data manager waits for predictions.",
            "Label Studio 1.23 has no switch for it: set evaluate_predictions_automatically to false with a PATCH of "
            f"{studio.url}/api/projects/{project.id}",
        )


def _model_version(studio: LabelStudioClient, project: Project) -> Finding:
    version = project.model_version
    if not version:
        return Finding(True, "Model version: none yet; tasks come in random order until something is published")
    count = studio.model_versions(project.id).get(version, 0)
    if _has_ended(project):
        undo = f"`nextlabel finish --project {project.id} --undo` takes that back"
        return Finding(
            True, f"Model version: {version}, {count} predictions for review, as the project has ended; {undo}"
        )
    if is_ours(version) and count:
        return Finding(True, f"Model version: {version}, {count} tasks published")
    return Finding(
        False,
        f"Model version: {version}, with {count} predictions; the queue is in random order.",
        f"Run `nextlabel connect --project {project.id}` again: it lets the project follow this backend.",
    )


def _has_ended(project: Project) -> bool:
    """Whether people review the machine's labels, which to connect again would hide."""
    return bool(project.model_version) and str(project.model_version).startswith(MACHINE_LABELS)


def _registered(
    studio: LabelStudioClient, project: Project, backends: Sequence[MLBackend], credentials: Credentials
) -> Iterator[Finding]:
    backend = backends[0]
    if len(backends) > 1:
        addresses = " and ".join(without_password(row.url) for row in backends)
        yield Finding(
            False,
            f"Project {project.id} has {len(backends)} Nextlabel ML backends: {addresses}",
            f"Run `nextlabel connect --project {project.id} --backend-url URL` with the one to keep.",
        )
        return
    name = f"ML backend {without_password(backend.url)}: {backend.state}"
    if backend.state != "Connected":
        yield Finding(False, name, _way_back(backend, project))
        return
    yield Finding(True, name)
    hook = next((w for w in studio.webhooks(project.id) if w.url == f"{backend.url.rstrip('/')}/webhook"), None)
    works = hook is not None and webhook_works(hook, credentials.webhook_headers())
    yield Finding(
        works,
        f"Webhook: {without_password(hook.url) if hook else 'missing'}"
        + (", but no labels come" if hook and not works else ""),
        ""
        if works
        else "Label Studio refuses webhooks to private addresses unless SSRF_PROTECTION_ENABLED=false as well as "
        "ML_BLOCK_LOCAL_IP=false, and always to host names without a dot. Correct that, restart Label Studio, and run "
        f"`nextlabel connect --project {project.id}` again.",
    )


def _way_back(backend: MLBackend, project: Project) -> str:
    connect = f"Run `nextlabel connect --project {project.id}`"
    if backend.state != "Error":  # of a backend that it does not reach Label Studio keeps the error of an earlier day
        return (
            f"{connect}, which tries again and says why Label Studio does not reach it; if it has moved, with "
            "--backend-url URL. If HTTP_PROXY is set where Label Studio runs, NO_PROXY there must name the backend."
        )
    if backend.error.startswith("401 "):
        return (
            f"{connect} with BASIC_AUTH_USER and BASIC_AUTH_PASS set here to what the backend runs with: Label Studio "
            "has other ones."
        )
    return f"{connect}, if it has moved with --backend-url URL: Label Studio cannot use it, as it says {backend.error}"


def _round_trip(
    studio: LabelStudioClient, project: Project, backend: MLBackend, url: str, credentials: Credentials
) -> Iterator[Finding]:
    def count(name: str) -> float:
        return sum_of(httpx.get(f"{url}/metrics", headers=credentials.headers(), timeout=5).text, name)

    events = 'nextlabel_webhook_events_total{action="PROJECT_UPDATED"}'
    looks = f'nextlabel_reconciles_total{{project="{project.id}"}}'
    before = count(events), count(looks)
    studio.update_project(project.id, title=project.title)  # changes nothing, but tells every webhook
    arrived = _soon(lambda: count(events) > before[0])
    yield Finding(
        arrived,
        "Label Studio's webhook arrives" if arrived else "Label Studio's webhook does not arrive.",
        "" if arrived else _way_to(backend, project, url),
    )
    if arrived:
        works = _soon(lambda: count(looks) > before[1])
        yield Finding(
            works,
            "The trainer takes up what the webhook says" if works else "The trainer does nothing.",
            ""
            if works
            else "Start it (`nextlabel serve` or `nextlabel trainer`) with the same MODEL_DIR as the web process.",
        )


def _way_to(backend: MLBackend, project: Project, url: str) -> str:
    here, there = without_password(url), without_password(backend.url)
    if is_at(backend, url):
        return f"From Label Studio's machine, the address {here}/webhook must answer; check its log."
    return (
        f"The project is connected to {there}. If that is the backend at {here} by another name, {there}/webhook must "
        f"answer from Label Studio's machine; if not, give --backend-url {there}, or have the project here with "
        f"`nextlabel connect --project {project.id} --backend-url {here}`"
    )


def _said_by_trainer(project: Project, url: str, credentials: Credentials) -> Iterator[Finding]:
    """What the page shows: the trainer knows all tasks, its fits, and its own device."""
    try:
        answer = httpx.get(f"{url}/api/projects/{project.id}", headers=credentials.headers(), timeout=5)
        answer.raise_for_status()
        said = answer.json()
        queue, fit, base_model, state = (said[name] for name in ("queue", "fit", "base_model", "state"))
        failed, sentences = fit["state"] == "failed", said["sentences"]
        troubles = [sentence for sentence in (queue["first"], *queue["warnings"]) if sentence]
        remarks = [sentence for sentence in queue["remarks"] if sentence]
        own = said["settings"]
        active = ", ".join(f"{name}={own[name]} ({own['sources'][name]})" for name in OWN)
    except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
        yield Finding(
            False, f"The backend does not say how project {project.id} is ({error}).", "Update and restart it."
        )
        return
    if base_model["state"] == "usable":
        yield Finding(True, f"The trainer can use the base model: {base_model['message']}")
    for sentence in troubles:
        yield Finding(False, sentence)
    if failed:
        times = f"The last {fit['failures_in_a_row']} fits" if fit["failures_in_a_row"] > 1 else "The last fit"
        yield Finding(False, f"{times} failed, the labels are kept: {fit['message']}")
    for sentence in remarks:
        yield Finding(True, sentence)
    yield Finding(True, f"Active: {active}")
    above = (*troubles, fit["message"]) if failed and fit["message"] else tuple(troubles)
    new = [sentence for sentence in sentences if not sentence.endswith(above)]
    well = state not in BAD_STATES or (state == DISCONNECTED and _has_ended(project))
    yield Finding(well, " ".join((f"The trainer says: {state}.", *new)))


def sum_of(metrics: str, name: str) -> float:
    """The value of one Prometheus sample; 0 when it is absent."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", metrics, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def _soon(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + ROUND_TRIP_S
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(0.3)
    return False
