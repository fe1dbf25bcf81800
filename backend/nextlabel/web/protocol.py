"""Label Studio's ML backend protocol. Never trains: what a request changes is only hinted at."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, TooManyRequests

from nextlabel import __version__
from nextlabel.errors import BadRequestError, NoModelError, RefusedConfigError
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.predictions import (
    CONTROL_SCORE,
    UNREADABLE_SCORE,
    UNTRAINED_SCORE,
    no_prediction,
    to_prediction,
)
from nextlabel.labelstudio.requests import WEBHOOK_ACTIONS, model_version_in, project_id_of, project_in, task_ids_in
from nextlabel.labelstudio.tasks import to_example
from nextlabel.learning.heads import Head, acquisition_values, probabilities
from nextlabel.processes import trim_heap
from nextlabel.settings import control_of, for_project
from nextlabel.store.jobs import JobQueue
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example, Unreadable
from nextlabel.values.options import NO_OPTIONS, ProjectOptions
from nextlabel.values.versions import UNTRAINED, Card
from nextlabel.versions import heads
from nextlabel.versions.audits import Audits
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry
from nextlabel.web.one_line import one_line
from nextlabel.web.services import MAX_PREDICTIONS, services

if TYPE_CHECKING:
    from nextlabel.learning.rounds import Scored  # imports torch

log = logging.getLogger(__name__)

MAX_TASKS = 10_000  # of one /predict: Label Studio sends all that a person selected, and waits 100 s
MANY_TASKS = 64  # of one /predict, after which memory is given back: it takes some 30 ms
RETRY_S = 5
HINT_DELAY_S = 0.5  # lets an annotator's next task be served before we ask Label Studio anything

HINTS = frozenset({*WEBHOOK_ACTIONS, "START_TRAINING"})

protocol = Blueprint("protocol", __name__)


@protocol.get("/health")
def health() -> Response:
    """That the web process answers."""
    return jsonify(status="UP", version=__version__, model_class="nextlabel")


@protocol.post("/setup")
def setup() -> Response:
    """The active version of the project and, if it cannot be served, why. That is no error: of one Label Studio's form
    shows nothing but the status, so that people would never read the reason."""
    body, registry = _body(), services().registry
    project = project_id_of(body.get("project"))
    options, refused = _readable(body)
    # The trainer asks Label Studio itself: anybody could have sent this.
    if project not in registry.projects() or (not refused and options != registry.options(project)):
        services().jobs.hint(project, thorough=True, delay_s=HINT_DELAY_S)
    answer = {"model_version": registry.current(project) or UNTRAINED}
    return jsonify({**answer, "refused": refused} if refused else answer)


def _readable(body: Mapping[str, Any]) -> tuple[ProjectOptions, str]:
    """The options, and why the project cannot be served, if it cannot."""
    options = NO_OPTIONS
    try:
        options = ProjectOptions.of(body.get("extra_params"))
        for_project(services().settings, options)  # refuses impossible ones
        parse_label_config(str(body.get("schema") or ""), options)
    except RefusedConfigError as error:
        refused = one_line(str(error))
        log.warning("%s: %s", request.path, refused)
        return options, refused
    return options, ""


@protocol.route("/versions", methods=["GET", "POST"])
def versions() -> Response:
    """The versions of a project, or of all."""
    registry = services().registry
    named = request.args.get("project") or (_body().get("project") if request.method == "POST" else None)
    projects = registry.projects() if named is None else [project_id_of(named)]
    return jsonify(versions=[version for project in projects for version in registry.versions(project)])


@protocol.post("/predict")
def predict() -> Response:
    """Predictions of the active version, one for each task."""
    body, registry, metrics = _body(), services().registry, services().metrics
    tasks = _tasks(body)
    project = project_id_of(body.get("project"))
    options = registry.options(project)
    config = parse_label_config(str(body.get("label_config") or ""), options)
    config = replace(config, control=control_of(services().settings, options))
    with _one_of(services().places):  # not before: whoever sends slowly shall take no place
        name, answers = _answers_of_active(registry, project, config, tasks, services().resident)
    if len(tasks) >= MANY_TASKS:
        trim_heap()
    for answer in answers:
        metrics.predictions.labels("shown" if answer["result"] else "empty").inc()
    return jsonify(results=answers, model_version=name)


@protocol.post("/webhook")
def webhook() -> tuple[Response, int]:
    """Take a hint."""
    body = _body()
    action = str(body.get("action") or "")
    known = action in HINTS
    services().metrics.events.labels(action if known else "other").inc()
    if known:
        project = project_in(body)
        services().metrics.note_webhook(project)
        _take_hint(services().jobs, project, action, body)
    return jsonify(status="queued" if known else "ignored", action=action[:60]), 201 if known else 200


@contextmanager
def _one_of(places: threading.BoundedSemaphore) -> Iterator[None]:
    """One of the places, or an error: whoever waits takes a thread from webhooks, for which annotators wait."""
    if not places.acquire(blocking=False):
        raise TooManyRequests(
            f"{MAX_PREDICTIONS} requests for predictions are being answered; ask again in {RETRY_S} seconds.",
            retry_after=RETRY_S,
        )
    try:
        yield
    finally:
        places.release()


def _tasks(body: Mapping[str, Any]) -> list[Any]:
    tasks = body.get("tasks")
    if not isinstance(tasks, list):
        raise BadRequestError(f"tasks={tasks!r:.60} is not a list of Label Studio tasks.")
    if len(tasks) > MAX_TASKS:
        raise BadRequestError(
            f"tasks has {len(tasks)} items, and {MAX_TASKS} are the most in one request; select fewer tasks."
        )
    return tasks


def _take_hint(jobs: JobQueue, project: int, action: str, body: Mapping[str, Any]) -> None:
    if action == "PROJECT_UPDATED" and jobs.is_echo(project, model_version_in(body)):
        return
    if action == "START_TRAINING":
        jobs.demand_fit(project)
    if action == "TASKS_DELETED":
        jobs.forget_tasks(project, task_ids_in(body))
    # A person waits for the button; in all other cases an annotator's next request should go first.
    jobs.hint(project, delay_s=0 if action == "START_TRAINING" else HINT_DELAY_S)


def _answers_of_active(
    registry: Registry, project: int, config: LabelConfig, tasks: Sequence[Any], resident: LoadedVersions
) -> tuple[str, list[dict[str, Any]]]:
    """The name of the active version or of its newest head, and the answers. A version that cannot be loaded is active
    no more, so that another answers."""
    version = registry.current(project)
    try:
        if version is None:
            return UNTRAINED, [no_prediction(UNTRAINED_SCORE, UNTRAINED, "no version is fitted yet") for _ in tasks]
        card = registry.card(project, version)
        name, head = _newest_head(registry, card) or (version, None)
        return name, _answers(config, tasks, card, name, head, resident)
    except NoModelError as error:
        if registry.current(project) == version:
            raise
        log.error("project %d: %s", project, error)
        return _answers_of_active(registry, project, config, tasks, resident)


def _newest_head(registry: Registry, card: Card) -> tuple[str, Head] | None:
    """By which the queue goes, unless the project has its heads switched off."""
    own = for_project(services().settings, registry.options(card.project))
    return heads.newest(registry.path(card.project, card.version)) if own.head == "on" else None


def _answers(
    config: LabelConfig, tasks: Sequence[Any], card: Card, name: str, head: Head | None, resident: LoadedVersions
) -> list[dict[str, Any]]:
    """One answer per task, in order, whatever the tasks are."""
    read = [
        to_example(config, task) if isinstance(task, Mapping) else Unreadable(0, "the task is not an object")
        for task in tasks
    ]
    examples = [e for e in read if isinstance(e, Example)]
    # For a single task a person waits, and it is on the screen already: its score orders nothing any more. Several are
    # retrieved for the queue's sake: in fp32, as in the published head, so that both give a task the same score.
    scored, truncated = resident.predict(card, examples, exact=len(tasks) > 1, features=head is not None)
    probs_NC, values_N = _by(head, card, scored)
    by_position = iter(zip(probs_NC, values_N, truncated, strict=True))
    said_of = heads.as_of(card, head)
    audited = Audits(services().settings.model_dir).runs(card.project)
    answers = []
    for item in read:
        if isinstance(item, Unreadable):
            answers.append(no_prediction(UNREADABLE_SCORE, name, item.reason))
            continue
        probs_C, value, cut = next(by_position)
        if audited or config.control.drawn(item):
            answers.append(no_prediction(CONTROL_SCORE, name, "no guess is shown for it"))
        else:
            answers.append(to_prediction(config, said_of.labels, probs_C, value, name, cut, said_of.layout))
    return answers


def _by(head: Head | None, card: Card, scored: "Scored") -> tuple[Array, Array]:
    """Probabilities (N, C) and values (N): the head's or, without one, the version's."""
    if head is None or scored.features_ND is None:
        return scored.probs_NC, scored.values_N
    ids_N = np.array([example.id for example in scored.examples], dtype=np.int64)
    values_N = acquisition_values(head.layer, scored.features_ND, ids_N, card.strategy, card.seed, head.layout)
    return probabilities(head.layer, scored.features_ND, head.layout), values_N


def _body() -> dict[str, Any]:
    try:
        body = request.get_json(force=True, silent=True)
    except (HTTPException, RecursionError):
        raise
    except Exception as error:
        raise BadRequestError("The body cannot be read to its end; send it again.") from error
    if body is None and len(request.get_data()) == request.max_content_length:  # in chunks; it was read so far
        raise RequestEntityTooLarge
    if not isinstance(body, dict):
        raise BadRequestError("The body is not a JSON object, as Label Studio sends it.")
    return body
