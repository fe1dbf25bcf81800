"""What people and their monitoring read: the pages, the status of a project, the metrics, the description of all."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, send_from_directory, url_for
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nextlabel import __version__
from nextlabel.problems.helping_words import is_of
from nextlabel.web import access, panels
from nextlabel.web.actions import ACTIONS
from nextlabel.web.services import check_known, services

SECTIONS = (  # of a project's page, in their order, with where they stand on a wide one
    ("top", ("state", "notes", "actions", "figures")),
    ("left", ("curve", "classes", "helping")),
    ("right", ("next",)),
    ("left", ("people",)),
    ("right", ("look_again",)),
    ("bottom", ("versions", "presses", "options", "timings")),
)
OPENAPI = Path(__file__).parent / "openapi.json"
STATIC = Path(__file__).parent / "static"
FOR_GOOD = "private, max-age=31536000, immutable"  # what has its digest in its address

pages = Blueprint("pages", __name__)


@pages.get("/metrics")
def metrics() -> Response:
    """For Prometheus."""
    return Response(generate_latest(services().metrics.collector), content_type=CONTENT_TYPE_LATEST)


@pages.get("/openapi.json")
def openapi() -> Response:
    """Every route, described."""
    return Response(_openapi(), content_type="application/json")


@cache
def _openapi() -> str:
    return OPENAPI.read_text(encoding="utf-8")


# A project, for programs


@pages.get("/api/projects/<int:project>")
def status(project: int) -> Response:
    """What the trainer says of a project."""
    check_known(project)
    board = services().board
    queue, fit = board.queue(project), board.fit(project)
    base_model = board.base_model(services().settings.base_model)
    said = {"queue": asdict(queue), "fit": asdict(fit), "start": asdict(board.start(project))}
    helping, active = access.helping_shown(project), services().registry.current(project) or ""
    said |= {"base_model": asdict(base_model), "helping": {**asdict(helping), "of_active": is_of(helping, active)}}
    said |= {"advice": asdict(board.advice(project))}
    said |= asdict(panels.summary_of(project))
    said |= {"settings": asdict(panels.settings_of(project)), "otherwise": asdict(panels.otherwise_of(project))}
    return jsonify(id=project, **said)


@pages.get("/api/projects/<int:project>/quality")
def quality(project: int) -> Response:
    """What the control set says of what the queue of a project follows."""
    check_known(project)
    return jsonify(id=project, **asdict(services().board.quality(project)))


@pages.get("/api/projects/<int:project>/audit")
def audit(project: int) -> Response:
    """How far the last audit of a project is, and what it certifies."""
    check_known(project)
    return jsonify(id=project, audit=panels.audit_of(project))


@pages.get("/api/projects/<int:project>/people")
def people(project: int) -> Response:
    """Who labels, how fast and how much alike."""
    check_known(project)
    return jsonify(id=project, **asdict(access.people_shown(project)))


@pages.get("/api/projects/<int:project>/history")
def history(project: int) -> Response:
    """How good each version and head was, and what random sampling would have."""
    check_known(project)
    points, line = panels.history_of(project) or [], panels.random_of(project)
    return jsonify(id=project, at=services().board.history(project).at, points=points, random=line)


@pages.get("/api/projects/<int:project>/next")
def next_tasks(project: int) -> Response:
    """What people are served next and, for who may see texts, why; without the texts."""
    check_known(project)
    return jsonify(id=project, **asdict(access.next_shown(project)))


@pages.get("/api/projects/<int:project>/again")
def look_again(project: int) -> Response:
    """All labels that are worth a second look; without the texts."""
    check_known(project)
    return jsonify(id=project, **asdict(services().board.look_again(project)))


# The documents behind the pages, which browsers poll


@pages.get("/api/projects")
def projects() -> Response:
    """A line for each project, and the same as HTML."""
    return _polled("overview", _overview)


@pages.get("/api/projects/<int:project>/page")
def page(project: int) -> Response:
    """All that the page of a project says, and the same as HTML, by section."""
    check_known(project)
    return _polled(project, lambda: _document(project))


def _polled(what: object, make: Callable[[], dict[str, Any]]) -> Response:
    # The buttons' token is in none of it: what is kept is for everybody who may see and do the same.
    key = (what, access.may_see_texts(), access.may_press())
    kept = services().documents.get(key, lambda: json.dumps(make(), ensure_ascii=False).encode())
    packed = request.accept_encodings.quality("gzip") > 0
    response = Response(kept.packed if packed else kept.body, content_type="application/json")
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.set_etag(f"{kept.etag}-gzip" if packed else kept.etag)
    response.make_conditional(request)
    return response


def _overview() -> dict[str, Any]:
    return _with_html(panels.overview(), "projects", ("projects",))


def _document(project: int) -> dict[str, Any]:
    return _with_html(
        panels.document(project, access.may_see_texts()),
        "sections",
        tuple(chain.from_iterable(names for _, names in SECTIONS)),
    )


def _with_html(said: dict[str, Any], folder: str, names: tuple[str, ...]) -> dict[str, Any]:
    about = {"p": said, "may_press": access.may_press(), "no_right": access.no_right()}
    return {**said, "html": {name: render_template(f"{folder}/{name}.html", **about).strip() for name in names}}


# The pages for people


@pages.get("/")
def overview() -> str:
    """All projects; where there is one, its page."""
    known = services().registry.projects()
    if len(known) == 1:
        return _page_of(known[0])
    return _shown("overview.html", _overview(), "Nextlabel", url_for("pages.projects"))


@pages.get("/projects/<int:project>")
def project_page(project: int) -> str:
    """One project."""
    check_known(project)
    return _page_of(project)


def _page_of(project: int) -> str:
    several = len(services().registry.projects()) > 1
    said, address = _document(project), url_for("pages.page", project=project)
    pressed = ACTIONS if access.may_press() else ()
    tokens = {action: access.form_token(project, action) for action in pressed}
    return _shown("project.html", said, said["title"], address, several=several, tokens=tokens, sections=SECTIONS)


def _shown(template: str, said: dict[str, Any], title: str, polled: str, **more: Any) -> str:
    return render_template(
        template,
        p=said,
        html=said["html"],
        title=title,
        polled=polled,
        settings=services().settings,
        base_model=services().board.base_model(services().settings.base_model),
        url=panels.label_studio(),
        version=__version__,
        file=_address,
        **more,
    )


@pages.get("/projects/<int:project>/again")
def all_suspects(project: int) -> str:
    """All labels that are worth a second look, of which the project's page has the first ones."""
    check_known(project)
    found = panels.suspects_of(project, access.may_see_texts())
    title = services().board.queue(project).title or "Project"
    return render_template("again.html", q=found, id=project, title=title, address=panels.data_manager(project))


@pages.get("/static/<path:name>")
def static(name: str) -> Response:
    """A file of the pages. Kept for good by a browser that asks for it by its digest."""
    response = send_from_directory(STATIC, name, conditional=True)
    if request.args.get("v") == _digest(name):
        response.headers["Cache-Control"] = FOR_GOOD
    return response


def _address(name: str) -> str:
    return url_for("pages.static", name=name, v=_digest(name))


@cache
def _digest(name: str) -> str:
    return sha256((STATIC / name).read_bytes()).hexdigest()[:16]
