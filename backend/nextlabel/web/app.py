"""The web application on Flask: who gets in, what an error looks like, what every answer carries. Never trains."""

import logging
import time

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from nextlabel.errors import NextlabelError
from nextlabel.labelstudio.registration import SECRET_HEADER
from nextlabel.settings import Settings
from nextlabel.values.versions import short_name
from nextlabel.web import words
from nextlabel.web.access import has_credentials, require_program, same
from nextlabel.web.actions import actions
from nextlabel.web.one_line import one_line
from nextlabel.web.pages import pages
from nextlabel.web.protocol import protocol
from nextlabel.web.refusals import refusal
from nextlabel.web.services import EXTENSION, make_services, services

log = logging.getLogger(__name__)

MAX_BODY = 64 * 2**20  # bytes; Label Studio sends whole tasks, several hundred at a time
# What keeps a browser from doing more with an answer than showing it: all that a page loads is ours.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'"
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}


def create_app(settings: Settings) -> Flask:
    """The web application. Loads no model until the first prediction is asked for."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # no page of another server has any business here
    app.url_map.merge_slashes = False
    app.jinja_env.filters.update({**words.FILTERS, "short": short_name})
    app.extensions[EXTENSION] = make_services(settings)
    app.before_request(_guard)
    app.before_request(_start)
    app.register_error_handler(NextlabelError, _deliberate)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_protect)
    app.after_request(_measure)
    app.register_blueprint(protocol)
    app.register_blueprint(pages)
    app.register_blueprint(actions)
    return app


# Who gets in


def _guard() -> Response | None:
    settings = services().settings
    if request.method == "POST" and request.blueprint == "protocol":
        require_program()
    secret = settings.webhook_secret.get_secret_value()
    # /health tells nothing, and container health checks carry no credentials.
    if request.endpoint == "protocol.health":
        return None
    with_secret = bool(secret) and request.endpoint == "protocol.webhook"
    if not settings.basic_auth_user and not with_secret:
        return None
    if with_secret and same((request.headers.get(SECRET_HEADER),), (secret,)):
        return None
    # To /webhook as well: Label Studio's Start Training comes with the credentials, and never with the secret.
    return None if has_credentials() else _refusal(with_secret)


def _refusal(with_secret: bool) -> Response:
    or_secret = f", or the header {SECRET_HEADER} with WEBHOOK_SECRET" if with_secret else ""
    words = f"Credentials are missing or wrong: present BASIC_AUTH_USER and BASIC_AUTH_PASS{or_secret}."
    answer = refusal(401, words)
    answer.headers["WWW-Authenticate"] = 'Basic realm="nextlabel"'
    return answer


# What is said of an error


def _deliberate(error: NextlabelError) -> Response:
    words = one_line(str(error))
    log.warning("%s: %s", request.path, words)
    return refusal(error.status, words, _project_asked_for())


def _too_deep(error: RecursionError) -> Response:
    return refusal(400, "The body is nested too deeply to be Label Studio's.")


def _http(error: HTTPException) -> Response:
    answer = refusal(error.code or 500, one_line(_words(error)), _project_asked_for())
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def _unexpected(error: Exception) -> Response:
    log.exception("%s failed", request.path)
    return refusal(500, f"Internal error ({type(error).__name__}); the backend's log has the details.")


def _project_asked_for() -> int | None:
    return (request.view_args or {}).get("project")


def _words(error: HTTPException) -> str:
    if isinstance(error, NotFound):
        return f"There is nothing at {request.path!r:.80}; /openapi.json lists what there is."
    if isinstance(error, MethodNotAllowed):
        return f"{request.method[:20]} is not possible at {request.path}; use {' or '.join(error.valid_methods or ())}."
    if isinstance(error, RequestEntityTooLarge):
        return f"The body has more than {MAX_BODY} bytes; send fewer tasks in one request."
    return error.description or error.name


# What every answer carries, and what is measured


def _protect(response: Response) -> Response:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _start() -> None:
    g.start = time.perf_counter()


def _measure(response: Response) -> Response:
    route, metrics = request.url_rule.rule if request.url_rule else "unknown", services().metrics
    metrics.seconds.labels(route).observe(time.perf_counter() - g.get("start", time.perf_counter()))
    if response.status_code >= 400:
        metrics.errors.labels(response.status_code).inc()
    return response
