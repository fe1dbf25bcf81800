"""Buttons of a project's page, and versions to download. What they do is what commands do.

Nothing is fitted here and Label Studio is asked nothing: what changes options is asked of the trainer, whose answer
stands with the press.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request

from nextlabel.errors import NextlabelError, NotPossibleError, RefusedConfigError
from nextlabel.labelstudio.connection import with_new_defaults
from nextlabel.settings import changes, for_project
from nextlabel.store.presses import ASKED, DONE, REFUSED, Press, Presses
from nextlabel.versions import promotion
from nextlabel.versions.download import zipped
from nextlabel.web.access import check_form, form_token, may_press, may_see_texts, require_right, who
from nextlabel.web.one_line import one_line
from nextlabel.web.panels import left_alone, no_fit
from nextlabel.web.refusals import is_person, refusal
from nextlabel.web.services import check_known, services

log = logging.getLogger(__name__)

actions = Blueprint("actions", __name__)
ABOUT = "about"  # the field of a form that says of which version, or whether on or off
SURE = "sure"  # the field that says that the changes were seen
STATUS = {ASKED: 202, DONE: 200}
NOT_DONE = "Nothing was done"


def _fit(project: int, about: str) -> str:
    if why := no_fit(project):
        raise NotPossibleError(why)
    services().jobs.demand_fit(project)
    return ASKED


def _promote(project: int, about: str) -> str:
    _require_that_it_goes_on(project)
    registry = services().registry
    promotion.promote(registry, services().jobs, project, promotion.named(registry, project, about))
    return DONE


def _rollback(project: int, about: str) -> str:
    _require_that_it_goes_on(project)
    promotion.roll_back(services().registry, services().jobs, project)
    return DONE


def _require_that_it_goes_on(project: int) -> None:
    if why := left_alone(project):
        raise NotPossibleError(why)


def _of_trainer(project: int, about: str) -> str:
    return ASKED


def _switch(project: int, about: str) -> str:
    if about not in ("on", "off"):
        raise NotPossibleError(f"{ABOUT}={about!r:.40} is not possible: expected on or off.")
    return ASKED


def _take_defaults(project: int, about: str) -> str:
    if not new_defaults(project):
        raise NotPossibleError(f"Project {project} has what is built in today already; nothing changes.")
    return ASKED


ACTIONS: Mapping[str, Callable[[int, str], str]] = {
    "fit": _fit,
    "pause": _of_trainer,
    "resume": _of_trainer,
    "promote": _promote,
    "rollback": _rollback,
    "take_defaults": _take_defaults,
    "show_names": _switch,
    "look_again": _switch,
}


def new_defaults(project: int) -> list[str]:
    """What changes when the project takes what is built in today, a sentence each; empty when nothing does."""
    settings, options = services().settings, services().registry.options(project)
    then = with_new_defaults(options)
    changed = changes(for_project(settings, options), for_project(settings, then))
    draws = then.control_seed and not options.control_seed
    return [*changed, *(["a control set is drawn, of which nothing is learnt"] if draws else [])]


def _new_defaults_if_possible(project: int) -> list[str]:
    try:
        return new_defaults(project)
    except RefusedConfigError:  # of impossible options, which the queue's state tells
        return []


@actions.get("/api/projects/<int:project>/actions")
def offered(project: int) -> Response:
    """What whoever asks may press, and with which token."""
    check_known(project)
    names = ACTIONS if may_press() else ()
    found = [{"name": name, "token": form_token(project, name)} for name in names]
    return jsonify(id=project, may_press=may_press(), actions=found, new_defaults=_new_defaults_if_possible(project))


@actions.get("/api/projects/<int:project>/presses")
def presses(project: int) -> Response:
    """What was pressed lately, newest first. By whom is for those who may see names."""
    check_known(project)
    found = [asdict(press) for press in Presses(services().settings.model_dir).all(project)]
    return jsonify(id=project, presses=[press if may_see_texts() else {**press, "who": ""} for press in found])


@actions.post("/projects/<int:project>/actions/<string:action>")
def press(project: int, action: str) -> tuple[Response, int] | Response:
    """Press a button."""
    try:
        check_form(project, action)
        check_known(project)
        if action not in ACTIONS:
            raise NotPossibleError(f"There is no button {action!r:.40}, only {', '.join(ACTIONS)}.")
        return _pressed(project, action, request.form.get(ABOUT, "")[:100])
    except NextlabelError as error:
        log.warning("project %d: %r was not done: %s", project, action[:40], words := one_line(str(error)))
        if is_person():
            return refusal(error.status, words, project, NOT_DONE)
        return jsonify(outcome=REFUSED, error=words), error.status


def _pressed(project: int, action: str, about: str) -> tuple[Response, int] | Response:
    if action == "take_defaults" and not request.form.get(SURE) and (changed := new_defaults(project)):
        return _shown({"outcome": "", "changes": changed}, 200, project, form_token(project, action))
    try:
        outcome = ACTIONS[action](project, about)
    except NextlabelError as error:
        _noted(project, action, about, REFUSED, one_line(str(error)))
        raise
    made = _noted(project, action, about, outcome)
    if outcome == ASKED:
        services().jobs.hint(project)
    return _shown({"outcome": outcome, "press": made.id}, STATUS[outcome], project)


def _noted(project: int, action: str, about: str, outcome: str, why: str = "") -> Press:
    """Whoever polls the page from now on is told of it."""
    made = Presses(services().settings.model_dir).add(project, who(), action, about, outcome, why)
    services().documents.forget()
    return made


def _shown(answer: dict[str, Any], status: int, project: int, token: str = "") -> tuple[Response, int] | Response:
    """As JSON or, for who presses in a browser without scripts, as a page, or the project's page again."""
    if not is_person():
        return jsonify(answer), status
    if answer["outcome"] in STATUS:
        return redirect(f"/projects/{project}", 303)  # type: ignore[return-value]
    page = render_template("new_defaults.html", answer=answer, project=project, token=token)
    return Response(page, content_type="text/html; charset=utf-8"), status


@actions.get("/projects/<int:project>/versions/<string:version>.zip")
def download(project: int, version: str) -> Response:
    """A version with its newest head, as a checkpoint that plain transformers loads."""
    require_right()
    check_known(project)
    found = promotion.named(services().registry, project, version)
    name, parts = zipped(services().registry, project, found)
    log.info("project %d: %s downloads %s", project, who(), name)
    return Response(
        parts, content_type="application/zip", headers={"Content-Disposition": f'attachment; filename="{name}.zip"'}
    )
