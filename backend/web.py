"""Label Studio's ML backend protocol, metrics, and a page for people, on Flask. Never trains."""

import hmac
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, jsonify, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import HTTPException

from backend import __version__
from backend.errors import BadRequestError, NextlabelError, NoModelError, without_password
from backend.examples import Example, Unreadable
from backend.jobs import JobQueue
from backend.label_config import (
    UNREADABLE_SCORE,
    UNTRAINED_SCORE,
    WEBHOOK_ACTIONS,
    LabelConfig,
    no_prediction,
    parse_label_config,
    project_id_of,
    to_example,
    to_prediction,
)
from backend.monitoring import Metrics
from backend.registry import UNTRAINED, Card, Registry
from backend.resident import Resident
from backend.settings import Settings
from backend.status import StatusBoard

log = logging.getLogger(__name__)

MAX_BODY = 64 * 2**20  # bytes; Label Studio sends whole tasks, several hundred at a time
RESIDENT_VERSIONS = 2  # each a model in memory
HINT_DELAY_S = 0.5  # lets an annotator's next task be served before we ask Label Studio anything

HINTS = frozenset({*WEBHOOK_ACTIONS, "START_TRAINING"})


@dataclass(frozen=True)
class _Rooms:
    """What the routes work with."""

    settings: Settings
    registry: Registry
    board: StatusBoard
    jobs: JobQueue
    resident: Resident
    metrics: Metrics


def create_app(settings: Settings) -> Flask:
    """The web application. Loads no model until the first prediction is asked for."""
    app = Flask("backend")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    registry, board = Registry(settings.model_dir), StatusBoard(settings.model_dir)
    jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name)
    metrics = Metrics(registry, board, jobs)
    rooms = _Rooms(settings, registry, board, jobs, Resident(settings, registry, RESIDENT_VERSIONS), metrics)
    _add_guard(app, settings)
    _add_errors(app)
    _add_measuring(app, metrics)
    _add_protocol(app, rooms)
    _add_pages(app, rooms)
    return app


def _add_guard(app: Flask, settings: Settings) -> None:
    expected = (settings.basic_auth_user, settings.basic_auth_pass.get_secret_value())

    @app.before_request
    def guard() -> Response | None:
        # /health tells nothing, and container health checks carry no credentials.
        if not settings.basic_auth_user or request.path == "/health":
            return None
        given = request.authorization
        if given is not None and given.type == "basic" and _same((given.username, given.password), expected):
            return None
        answer = jsonify(error="Credentials are missing or wrong: present BASIC_AUTH_USER and BASIC_AUTH_PASS.")
        answer.status_code = 401
        answer.headers["WWW-Authenticate"] = 'Basic realm="nextlabel"'
        return answer


def _add_errors(app: Flask) -> None:
    @app.errorhandler(NextlabelError)
    def deliberate(error: NextlabelError) -> tuple[Response, int]:
        log.warning("%s: %s", request.path, error)
        return jsonify(error=str(error)), error.status

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description), error.code or 500

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> tuple[Response, int]:
        log.exception("%s failed", request.path)
        return jsonify(error=f"Internal error ({type(error).__name__}); the backend's log has the details."), 500


def _add_measuring(app: Flask, metrics: Metrics) -> None:
    @app.before_request
    def start() -> None:
        g.start = time.perf_counter()

    @app.after_request
    def measure(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "unknown"
        metrics.seconds.labels(route).observe(time.perf_counter() - g.get("start", time.perf_counter()))
        if response.status_code >= 400:
            metrics.errors.labels(response.status_code).inc()
        return response


def _add_protocol(app: Flask, rooms: _Rooms) -> None:
    registry, jobs = rooms.registry, rooms.jobs

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="UP", version=__version__, model_class="nextlabel")

    @app.post("/setup")
    def setup() -> Response:
        body = _body()
        project = project_id_of(body.get("project"))
        parse_label_config(str(body.get("schema") or ""))
        if project not in registry.projects():
            jobs.hint(project, thorough=True, delay_s=HINT_DELAY_S)
        return jsonify(model_version=registry.current(project) or UNTRAINED)

    @app.route("/versions", methods=["GET", "POST"])
    def versions() -> Response:
        named = request.args.get("project") or (_body().get("project") if request.method == "POST" else None)
        projects = registry.projects() if named is None else [project_id_of(named)]
        return jsonify(versions=[version for project in projects for version in registry.versions(project)])

    @app.post("/predict")
    def predict() -> Response:
        body = _body()
        tasks = body.get("tasks")
        if not isinstance(tasks, list):
            raise BadRequestError(f"tasks={tasks!r:.60} is not a list of Label Studio tasks.")
        project = project_id_of(body.get("project"))
        config = parse_label_config(str(body.get("label_config") or ""))
        version, answers = _answers_in_force(registry, project, config, tasks, rooms.resident)
        for answer in answers:
            rooms.metrics.predictions.labels("shown" if answer["result"] else "empty").inc()
        return jsonify(results=answers, model_version=version)

    @app.post("/webhook")
    def webhook() -> tuple[Response, int]:
        body = _body()
        action = str(body.get("action") or "")
        known = action in HINTS
        rooms.metrics.events.labels(action if known else "other").inc()
        if known:
            _take_hint(jobs, action, body)
        return jsonify(status="queued" if known else "ignored", action=action), 201 if known else 200


def _take_hint(jobs: JobQueue, action: str, body: Mapping[str, Any]) -> None:
    raw = body.get("project")
    project = project_id_of(raw.get("id") if isinstance(raw, Mapping) else raw)
    if action == "START_TRAINING":
        jobs.demand_fit(project)
    if action == "TASKS_DELETED":
        jobs.forget_tasks(project, _ids(body.get("tasks")))
    # A person waits for the button; in all other cases an annotator's next request should go first.
    jobs.hint(project, delay_s=0 if action == "START_TRAINING" else HINT_DELAY_S)


def _add_pages(app: Flask, rooms: _Rooms) -> None:
    registry, board = rooms.registry, rooms.board

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(rooms.metrics.collector), content_type=CONTENT_TYPE_LATEST)

    @app.get("/")
    def overview() -> str:
        projects = [
            {"id": p, "queue": board.queue(p), "fit": board.fit(p), "cards": _cards(registry, p)}
            for p in registry.projects()
        ]
        return render_template(
            "overview.html",
            projects=projects,
            settings=rooms.settings,
            url=without_password(rooms.settings.label_studio_url),
            version=__version__,
        )


def _answers_in_force(
    registry: Registry, project: int, config: LabelConfig, tasks: Sequence[Any], resident: Resident
) -> tuple[str, list[dict[str, Any]]]:
    """The version in force and its answers. One that cannot be loaded is in force no more, so that another answers."""
    version = registry.current(project)
    try:
        card = registry.card(project, version) if version else None
        return version or UNTRAINED, _answers(config, tasks, card, resident)
    except NoModelError as error:
        if registry.current(project) == version:
            raise
        log.error("project %d: %s", project, error)
        return _answers_in_force(registry, project, config, tasks, resident)


def _answers(config: LabelConfig, tasks: Sequence[Any], card: Card | None, resident: Resident) -> list[dict[str, Any]]:
    """One answer per task, in order, whatever the tasks are."""
    read = [
        to_example(config, task) if isinstance(task, Mapping) else Unreadable(0, "the task is not an object")
        for task in tasks
    ]
    examples = [e for e in read if isinstance(e, Example)]
    if card is None:
        return [no_prediction(UNTRAINED_SCORE, UNTRAINED, "no version is fitted yet") for _ in read]
    # fp32, as in the published queue head, so that both give a task the same score
    scored = resident.score(card, examples, exact=True)
    by_position = iter(zip(scored.probs_NC, scored.values_N, strict=True))
    answers = []
    for item in read:
        if isinstance(item, Unreadable):
            answers.append(no_prediction(UNREADABLE_SCORE, card.version, item.reason))
        else:
            probs_C, value = next(by_position)
            answers.append(to_prediction(config, card.labels, probs_C, value, card.version))
    return answers


def _body() -> dict[str, Any]:
    try:
        body = request.get_json(force=True, silent=True)
    except RecursionError:
        raise BadRequestError("The body is nested too deeply to be Label Studio's.") from None
    if not isinstance(body, dict):
        raise BadRequestError("The body is not a JSON object, as Label Studio sends it.")
    return body


def _ids(items: object) -> list[int]:
    if not isinstance(items, list):
        return []
    ids = [item.get("id") for item in items if isinstance(item, Mapping)]
    return [i for i in ids if isinstance(i, int) and 0 <= i < 2**63]


def _same(given: tuple[str | None, str | None], expected: tuple[str, str]) -> bool:
    pairs = zip(given, expected, strict=True)
    return all(hmac.compare_digest((a or "").encode(), b.encode()) for a, b in pairs)


def _cards(registry: Registry, project: int) -> list[Card]:
    return [registry.card(project, version) for version in registry.versions(project)]
