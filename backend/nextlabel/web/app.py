"""Label Studio's ML backend protocol, metrics, and a page for people, on Flask. Never trains."""

import base64
import hashlib
import hmac
import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, render_template, request
from markupsafe import Markup, escape
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge, TooManyRequests

from nextlabel import __version__
from nextlabel.errors import (
    BadRequestError,
    NextlabelError,
    NoModelError,
    NoProjectError,
    without_password,
)
from nextlabel.labelstudio.config import (
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
from nextlabel.labelstudio.connection import SECRET_HEADER
from nextlabel.processes import trim_heap
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example, Unreadable
from nextlabel.values.options import ProjectOptions
from nextlabel.values.versions import UNTRAINED, Card
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry
from nextlabel.web.monitoring import Metrics

log = logging.getLogger(__name__)

MAX_BODY = 64 * 2**20  # bytes; Label Studio sends whole tasks, several hundred at a time
MAX_TASKS = 10_000  # of one /predict: Label Studio sends all that a person selected, and waits 100 s
MAX_PREDICTIONS = 12  # requests for predictions at a time
MANY_TASKS = 64  # of one /predict, after which memory is given back: it takes some 30 ms
RETRY_S = 5
LONGEST_ERROR = 600  # characters: an error may quote what was sent
LOADED_VERSIONS = 2  # each a model in memory
NICENESS = 5  # of predictions: webhooks and Label Studio's requests on the same machine go first, fits come after them
HINT_DELAY_S = 0.5  # lets an annotator's next task be served before we ask Label Studio anything

HINTS = frozenset({*WEBHOOK_ACTIONS, "START_TRAINING"})


@dataclass(frozen=True)
class _Rooms:
    """What the routes work with."""

    settings: Settings
    registry: Registry
    board: StatusBoard
    jobs: JobQueue
    resident: LoadedVersions
    metrics: Metrics


def create_app(settings: Settings) -> Flask:
    """The web application. Loads no model until the first prediction is asked for."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # no page of another server has any business here
    app.url_map.merge_slashes = False
    app.jinja_env.filters["with_code"] = _with_code
    registry, board = Registry(settings.model_dir), StatusBoard(settings.model_dir)
    jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name)
    resident = LoadedVersions(settings, registry, LOADED_VERSIONS, niceness=NICENESS)
    metrics = Metrics(registry, board, jobs)
    rooms = _Rooms(settings, registry, board, jobs, resident, metrics)
    _add_guard(app, settings)
    _add_errors(app)
    _add_headers(app)
    _add_measuring(app, metrics)
    _add_protocol(app, rooms)
    _add_pages(app, rooms)
    return app


def _with_code(sentence: str) -> Markup:
    """What stands in backticks as code, to be copied as it is."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))


def _add_guard(app: Flask, settings: Settings) -> None:
    user, secret = settings.basic_auth_user, settings.webhook_secret.get_secret_value()
    expected = (user, settings.basic_auth_pass.get_secret_value())

    @app.before_request
    def guard() -> Response | None:
        # /health tells nothing, and container health checks carry no credentials.
        if request.endpoint == "health":
            return None
        with_secret = bool(secret) and request.endpoint == "webhook"
        if not user and not with_secret:
            return None
        if with_secret and _same((request.headers.get(SECRET_HEADER),), (secret,)):
            return None
        # To /webhook as well: Label Studio's Start Training comes with the credentials, and never with the secret.
        given = request.authorization
        if user and given and given.type == "basic" and _same((given.username, given.password), expected):
            return None
        or_secret = f", or the header {SECRET_HEADER} with WEBHOOK_SECRET" if with_secret else ""
        answer = jsonify(
            error=f"Credentials are missing or wrong: present BASIC_AUTH_USER and BASIC_AUTH_PASS{or_secret}."
        )
        answer.status_code = 401
        answer.headers["WWW-Authenticate"] = 'Basic realm="nextlabel"'
        return answer


def _add_errors(app: Flask) -> None:
    @app.errorhandler(NextlabelError)
    def deliberate(error: NextlabelError) -> tuple[Response, int]:
        words = _one_line(str(error))
        log.warning("%s: %s", request.path, words)
        return jsonify(error=words), error.status

    @app.errorhandler(RecursionError)
    def too_deep(error: RecursionError) -> tuple[Response, int]:
        return jsonify(error="The body is nested too deeply to be Label Studio's."), 400

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[Response, int]:
        answer = jsonify(error=_one_line(_words(error)))
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                answer.headers[name] = value
        return answer, error.code or 500

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> tuple[Response, int]:
        log.exception("%s failed", request.path)
        return jsonify(error=f"Internal error ({type(error).__name__}); the backend's log has the details."), 500


def _words(error: HTTPException) -> str:
    if isinstance(error, NotFound):
        return f"There is nothing at {request.path!r:.80}; /openapi.json lists what there is."
    if isinstance(error, MethodNotAllowed):
        return f"{request.method[:20]} is not possible at {request.path}; use {' or '.join(error.valid_methods or ())}."
    if isinstance(error, RequestEntityTooLarge):
        return f"The body has more than {MAX_BODY} bytes; send fewer tasks in one request."
    return error.description or error.name


def _one_line(text: str) -> str:
    """For answer and log: what was sent could otherwise fill both, or pass for lines of the log."""
    printable = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text[: 4 * LONGEST_ERROR].split()))
    return printable if len(printable) <= LONGEST_ERROR else f"{printable[:LONGEST_ERROR]} …"


def _add_headers(app: Flask) -> None:
    """What keeps a browser from doing more with an answer than showing it."""
    source = (Path(app.root_path) / "templates" / "overview.html").read_text(encoding="utf-8")
    style = source.partition("<style>")[2].partition("</style>")[0]  # the one that may be in force
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    headers = {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(headers)
        return response


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
    places = threading.BoundedSemaphore(MAX_PREDICTIONS)

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="UP", version=__version__, model_class="nextlabel")

    @app.post("/setup")
    def setup() -> Response:
        body = _body()
        project = project_id_of(body.get("project"))
        options = ProjectOptions.of(body.get("extra_params"))
        parse_label_config(str(body.get("schema") or ""), options)
        # The trainer asks Label Studio itself: anybody could have sent this.
        if project not in registry.projects() or options != registry.options(project):
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
        tasks = _tasks(body)
        project = project_id_of(body.get("project"))
        config = parse_label_config(str(body.get("label_config") or ""), registry.options(project))
        with _one_of(places):  # not before: whoever sends slowly shall take no place
            version, answers = _answers_in_force(registry, project, config, tasks, rooms.resident)
        if len(tasks) >= MANY_TASKS:
            trim_heap()
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

    document = (Path(app.root_path) / "openapi.json").read_text(encoding="utf-8")

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(document, content_type="application/json")

    @app.get("/api/projects/<int:project>")
    def status(project: int) -> Response:
        if project not in registry.projects():
            raise NoProjectError(
                f"No project {project} is connected to this backend, only {registry.projects()}. Connect it with "
                f"nextlabel connect --project {project}."
            )
        queue, fit, base_model = board.queue(project), board.fit(project), board.base_model()
        return jsonify(id=project, queue=asdict(queue), fit=asdict(fit), base_model=asdict(base_model))

    @app.get("/")
    def overview() -> str:
        projects = [
            {"id": p, "queue": board.queue(p), "fit": board.fit(p), "cards": registry.cards(p)}
            for p in registry.projects()
        ]
        return render_template(
            "overview.html",
            projects=projects,
            settings=rooms.settings,
            base_model=board.base_model(),
            url=without_password(rooms.settings.label_studio_url),
            version=__version__,
        )


def _answers_in_force(
    registry: Registry, project: int, config: LabelConfig, tasks: Sequence[Any], resident: LoadedVersions
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


def _answers(
    config: LabelConfig, tasks: Sequence[Any], card: Card | None, resident: LoadedVersions
) -> list[dict[str, Any]]:
    """One answer per task, in order, whatever the tasks are."""
    read = [
        to_example(config, task) if isinstance(task, Mapping) else Unreadable(0, "the task is not an object")
        for task in tasks
    ]
    examples = [e for e in read if isinstance(e, Example)]
    if card is None:
        return [no_prediction(UNTRAINED_SCORE, UNTRAINED, "no version is fitted yet") for _ in read]
    # For a single task a person waits, and it is on the screen already: its score orders nothing any more. Several are
    # retrieved for the queue's sake: in fp32, as in the published head, so that both give a task the same score.
    scored, truncated = resident.predict(card, examples, exact=len(tasks) > 1)
    by_position = iter(zip(scored.probs_NC, scored.values_N, truncated, strict=True))
    answers = []
    for item in read:
        if isinstance(item, Unreadable):
            answers.append(no_prediction(UNREADABLE_SCORE, card.version, item.reason))
        else:
            probs_C, value, cut = next(by_position)
            answers.append(to_prediction(config, card.labels, probs_C, value, card.version, cut))
    return answers


def _body() -> dict[str, Any]:
    try:
        body = request.get_json(force=True, silent=True)
    except (HTTPException, RecursionError):
        raise
    except Exception as error:
        raise BadRequestError("The body cannot be read to its end; send it again.") from error
    if not isinstance(body, dict):
        raise BadRequestError("The body is not a JSON object, as Label Studio sends it.")
    return body


def _ids(items: object) -> list[int]:
    if not isinstance(items, list):
        return []
    ids = [item.get("id") for item in items if isinstance(item, Mapping)]
    return [i for i in ids if isinstance(i, int) and not isinstance(i, bool) and 0 <= i < 2**63]


def _same(given: Sequence[str | None], expected: Sequence[str]) -> bool:
    pairs = zip(given, expected, strict=True)
    return all(hmac.compare_digest((a or "").encode(), b.encode()) for a, b in pairs)
