"""Who gets in, who sees texts and names, and who may press: with the credentials or, where none are set, this machine.

Whether a button was pressed on our own page is told by a signed token in its form, and by what browsers say of where a
request comes from.
"""

import hmac
import ipaddress
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from flask import request
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from nextlabel.errors import NotAllowedError
from nextlabel.problems.helping import Helping
from nextlabel.problems.people import People
from nextlabel.values.next_tasks import NextTask, NextTasks
from nextlabel.web.services import services

KEY = "forms.key"  # in MODEL_DIR, so that all web processes have the same
TOKEN = "token"  # the field of a form that holds one
VALID_S = 12 * 3600  # a page that is open renews what it holds once an hour
BY_PROXY = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")  # what one adds that is in front
THIS_MACHINE = "this machine"
NO_RIGHT = (
    "Texts, names and buttons are for whoever presents BASIC_AUTH_USER and BASIC_AUTH_PASS or, while these are not "
    "set, for this machine alone. Set both or, without Docker, open the page on the machine that it runs on, at "
    "http://localhost:{}/."
)


def has_credentials() -> bool:
    """Whether the request presents BASIC_AUTH_USER and BASIC_AUTH_PASS; never while they are not set."""
    settings, given = services().settings, request.authorization
    user, password = settings.basic_auth_user, settings.basic_auth_pass.get_secret_value()
    if not user or given is None or given.type != "basic":
        return False
    return same((given.username, given.password), (user, password))


def same(given: Sequence[str | None], expected: Sequence[str]) -> bool:
    """Whether all are alike; a comparison takes as long whatever differs."""
    pairs = zip(given, expected, strict=True)
    return all(hmac.compare_digest((a or "").encode(), b.encode()) for a, b in pairs)


def may_press() -> bool:
    """Whether buttons work for whoever sends this request, and are to be shown."""
    return has_credentials() if services().settings.basic_auth_user else is_from_this_machine()


def may_see_texts() -> bool:
    """Whether texts of tasks and names of people may be in the answer."""
    return may_press()


def people_shown(project: int) -> People:
    """Figures of the people who label, for whoever sends this request: with names and each one's speed if a lead has
    them shown."""
    found, wanted = services().board.people(project), services().registry.options(project).show_people
    return found if wanted and may_see_texts() else found.without_names


def helping_shown(project: int) -> Helping:
    """Whether the order helps, for whoever sends this request: with the hours that the next labels take if nobody's own
    speed can be told from them, or a lead has that shown."""
    found, wanted = services().board.helping(project), services().registry.options(project).show_people
    return found if wanted and may_see_texts() else found.without_speed


def next_shown(project: int) -> NextTasks:
    """What is served next, for whoever sends this request: why each task comes only for who may see texts. The others
    may be those who label, and would know the tasks that judge from what is said of the rest."""
    found = services().board.next_tasks(project)
    if may_see_texts():
        return found
    return replace(found, tasks=tuple(NextTask(one.task, "", one.rank, "") for one in found.tasks))


def no_right() -> str:
    """What to say to whoever may neither see texts nor press."""
    return NO_RIGHT.format(services().settings.port)


def require_right() -> None:
    """Raises `NotAllowedError` without it."""
    if not may_press():
        raise NotAllowedError(no_right())


def who() -> str:
    """Of one who may press: what the log calls them."""
    return services().settings.basic_auth_user or THIS_MACHINE


def is_from_this_machine() -> bool:
    """Whether a program of this machine sent the request for itself. The name by which it asks for us is looked at, as
    a page of another server may have a name of its own point here, and whatever a proxy adds: a proxy on this machine
    stands for others. One that adds nothing mostly speaks HTTP/1.0."""
    found = re.fullmatch(r"\[?([\w.:-]+?)\]?(:\d+)?", request.host)
    named = found[1].lower() if found else ""
    if not _is_loopback(request.remote_addr or "") or not (named == "localhost" or _is_loopback(named)):
        return False
    return request.environ.get("SERVER_PROTOCOL") != "HTTP/1.0" and not any(
        name in request.headers for name in BY_PROXY
    )


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


# Forms


def form_token(project: int, action: str) -> str:
    """For the form of a button: good for this project, action and person alone, and for `VALID_S` seconds."""
    return _signer().dumps([project, action, who()])


def check_form(project: int, action: str) -> None:
    """Raises `NotAllowedError` unless whoever may press has done so on our own page."""
    require_right()
    _check_origin()
    try:
        meant = _signer().loads(request.form.get(TOKEN, ""), max_age=VALID_S)
    except SignatureExpired:
        raise NotAllowedError("This page is too old to press a button on it: load it again.") from None
    except BadSignature:
        meant = None
    if meant != [project, action, who()]:
        raise NotAllowedError(
            f"The button {action!r:.40} was not pressed on this backend's own page, or the page is of another day: "
            f"load /projects/{project} again. Scripts take the commands, such as "
            f"`nextlabel options --project {project} pause=on`."
        )


def _check_origin() -> None:
    """What browsers say of the page that a request comes from must name us. Without a word it is no browser, or an old
    one, and the token has to do."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    if origin == "null" and "Sec-Fetch-Site" in request.headers:  # which says it better: pages may hide their address
        origin = None
    pages = [origin] if origin is not None else [page for page in [request.headers.get("Referer")] if page]
    if site != "same-origin" or any(_server_of(page) != request.host.lower() for page in pages):
        raise NotAllowedError(
            "A page of another server asked for this, so nothing is done. If a proxy stands in front, have it pass the "
            f"Host header on: the page is at {pages[0] if pages else 'another site'!r:.80}, and we are asked as "
            f"{request.host!r:.80}."
        )


def _server_of(page: str) -> str:
    """Name and port, as in a Host header."""
    return page.partition("://")[2].partition("/")[0].lower()


def require_program() -> None:
    """Raises `NotAllowedError` when a page in a browser sends this: Label Studio speaks to us from its own process."""
    if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
        raise NotAllowedError(
            "This is for Label Studio, which is no page in a browser, so nothing is done. On this backend's own page "
            "there are buttons; scripts send neither Origin nor Sec-Fetch-Site."
        )


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_key(services().settings.model_dir), salt="nextlabel.forms")


@lru_cache(maxsize=4)
def _key(model_dir: Path) -> bytes:
    """The key, made by whichever process needs it first; nobody else on the machine can read it."""
    path = model_dir / KEY
    beside = path.with_name(f".{KEY}.{os.getpid()}-{secrets.token_hex(4)}")
    if not path.exists():
        model_dir.mkdir(parents=True, exist_ok=True)
        with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode())
        try:
            os.link(beside, path)  # fails where another process was faster
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return path.read_bytes()
