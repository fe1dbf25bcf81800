"""What an error looks like: to a person in a browser a short page, to a program JSON. Decides nothing."""

from collections.abc import Mapping

from flask import Response, jsonify, render_template, request

from nextlabel.web.services import services

WHAT: Mapping[int, str] = {  # what has happened, by status; why, and what to do, is for the error's own words
    401: "Please sign in",
    403: "This is not allowed",
    404: "This is not here",
    405: "This cannot be opened",
    409: "Nothing was done",
    503: "Not at this moment",
}
NOT_TAKEN, BROKEN = "This cannot be taken", "Something went wrong here"
OWN_FAULT = 500  # from this status on


def is_person() -> bool:
    """Whether who asks would rather have a page, as browsers say of what they show to people."""
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def refusal(status: int, words: str, project: int | None = None, what: str = "") -> Response:
    """The answer that says `words`, about a known `project` or, where it is none, about nothing in particular."""
    answer = _page(status, words, project, what) if is_person() else jsonify(error=words)
    answer.status_code = status
    answer.vary.add("Accept")
    return answer


def _page(status: int, words: str, project: int | None, what: str) -> Response:
    page = render_template(
        "error.html",
        status=status,
        what=what or WHAT.get(status, BROKEN if status >= OWN_FAULT else NOT_TAKEN),
        words=words,
        project=project if project is not None and services().registry.knows(project) else None,
    )
    return Response(page, content_type="text/html; charset=utf-8")
