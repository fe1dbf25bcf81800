"""What people and their monitoring read: the page, the status of a project, the metrics, the description of all."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, jsonify, render_template
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nextlabel import __version__
from nextlabel.errors import RefusedConfigError, without_password
from nextlabel.labelstudio import notices
from nextlabel.problems import helping_words, quality_words
from nextlabel.problems.random_line import random_line
from nextlabel.settings import ProjectSettings, for_project
from nextlabel.store.summary import Summary, summary_of
from nextlabel.values.options import NO_OPTIONS
from nextlabel.web import shapes
from nextlabel.web.access import people_shown
from nextlabel.web.services import check_known, services

MOST_CLASSES = 12  # rows on the page for each project
TONES: Mapping[str, str] = {  # the colours of states, by that of a plain one; others are grey
    "published": "published",
    **dict.fromkeys(("reading", "publishing", "fitting", "fit due"), "fitting"),
    **dict.fromkeys(("silent", "failed", "refused", "overruled", "fit failed", "no fit possible"), "failed"),
}
OPENAPI = Path(__file__).parent / "openapi.json"

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


@pages.get("/api/projects/<int:project>")
def status(project: int) -> Response:
    """What the trainer says of a project."""
    check_known(project)
    board = services().board
    queue, fit, base_model = board.queue(project), board.fit(project), board.base_model()
    said = {"queue": asdict(queue), "fit": asdict(fit), "start": asdict(board.start(project))}
    said |= {"base_model": asdict(base_model), "helping": asdict(board.helping(project))}
    said |= {"advice": asdict(board.advice(project))}
    said |= asdict(_summary(project))
    return jsonify(id=project, settings=asdict(_settings_of(project)), **said)


@pages.get("/api/projects/<int:project>/quality")
def quality(project: int) -> Response:
    """What the control set says of what the queue of a project follows."""
    check_known(project)
    return jsonify(id=project, **asdict(services().board.quality(project)))


@pages.get("/api/projects/<int:project>/people")
def people(project: int) -> Response:
    """Who labels, how fast and how much alike."""
    check_known(project)
    return jsonify(id=project, **asdict(people_shown(project)))


@pages.get("/api/projects/<int:project>/history")
def history(project: int) -> Response:
    """How good each version and head was, and what random sampling would have."""
    check_known(project)
    board = services().board
    found = board.history(project)
    line = random_line(board.helping(project), found.points)
    return jsonify(id=project, at=found.at, points=shapes.points(found.points), random=[asdict(one) for one in line])


@pages.get("/api/projects/<int:project>/next")
def next_tasks(project: int) -> Response:
    """What people are served next, and why; without the texts."""
    check_known(project)
    return jsonify(id=project, **asdict(services().board.next_tasks(project)))


def _summary(project: int) -> Summary:
    settings = services().settings
    return summary_of(services().board, project, settings.base_model, time.time(), settings.reconcile_s)


def _settings_of(project: int) -> ProjectSettings:
    """Those that are active; of impossible ones, which the queue's state tells, none are."""
    try:
        return for_project(services().settings, services().registry.options(project))
    except RefusedConfigError:
        return for_project(services().settings, NO_OPTIONS)


def _no_control(project: int) -> str:
    """What to say where somebody wanted no figures; why others have none, a remark says."""
    wanted = _settings_of(project).control_share or not services().registry.options(project).control_seed
    return "" if wanted else notices.no_control_set(project, has_seed=True).text


@pages.get("/")
def overview() -> str:
    """The page for people."""
    board, registry, settings = services().board, services().registry, services().settings
    projects = [
        {
            "id": p,
            "summary": _summary(p),
            "queue": board.queue(p),
            "start": board.start(p),
            "cards": registry.cards(p),
            "own": _settings_of(p),
            "quality": board.quality(p),
            "helping": helping_words.sentences(board.helping(p)),
            "helping_of": board.helping(p).order,
            "no_control": _no_control(p),
        }
        for p in registry.projects()
    ]
    return render_template(
        "overview.html",
        projects=projects,
        settings=settings,
        base_model=board.base_model(),
        url=without_password(settings.label_studio_url),
        version=__version__,
        words=quality_words,
        most=MOST_CLASSES,
        tones=TONES,
    )
