"""A proxy in front of a real Label Studio that answers as networks, proxies and Label Studio do on a bad day."""

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from nextlabel.lab.sandbox import LocalStudio

OWN_HEADERS = {"connection", "content-length", "content-encoding", "transfer-encoding", "date", "server"}
LATE_S = 5.0


@dataclass(frozen=True)
class Reply:
    """What is answered to a request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


Ask = Callable[[], Reply]  # passes a request on to Label Studio
Fault = Callable[[Ask], Reply | None]  # what is answered instead; None: the connection is closed without an answer


def json_of(status: int, body: Any, **headers: str) -> Fault:
    """An answer in JSON that Label Studio does not give."""
    reply = Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    return lambda ask: reply


def page_of(status: int, title: str) -> Fault:
    """A web page where JSON was asked for."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1></body></html>\n"
    reply = Reply(status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
    return lambda ask: reply


def _error(status: int, detail: str) -> dict[str, Any]:
    return {"id": "0b5a", "status_code": status, "version": "1.23.2", "detail": detail, "exc_info": None}


EXPIRED = json_of(401, _error(401, "Authentication credentials were not provided."))  # of a token that was good
TOO_MANY = json_of(429, _error(429, "Request was throttled."))
TOO_MANY_FOR_NOW = json_of(
    429, _error(429, "Request was throttled. Expected available in 2 seconds."), **{"Retry-After": "2"}
)
LOCKED = json_of(500, _error(500, "database is locked"))
BAD_GATEWAY = page_of(502, "502 Bad Gateway")
LOGIN_PAGE = page_of(200, "Log in to the network")


def truncated(ask: Ask) -> Reply:
    """Half of Label Studio's answer."""
    reply = ask()
    return Reply(reply.status, reply.body[: len(reply.body) // 2], reply.headers)


def reset(ask: Ask) -> Reply:
    """The connection breaks before Label Studio hears of the request."""
    raise ConnectionResetError


def lost(ask: Ask) -> None:
    """Label Studio does what it is asked, and nobody hears of it."""
    ask()


def late(ask: Ask) -> Reply:
    """Label Studio's answer, after a while."""
    reply = ask()
    time.sleep(LATE_S)
    return reply


Request = BaseHTTPRequestHandler
Condition = Callable[[Request], bool]


def to(pattern: str) -> Condition:
    """Requests such as `POST /api/predictions/` that the regular expression is found in."""
    return lambda request: re.search(pattern, f"{request.command} {request.path}") is not None


class Outlived:
    """Requests with an access token that was seen for the first time longer ago than `life_s`."""

    def __init__(self, life_s: float):
        self._life_s = life_s
        self.seen_at: dict[str, float] = {}

    def __call__(self, request: Request) -> bool:
        token, now = request.headers.get("Authorization", ""), time.monotonic()
        return token.startswith("Bearer ") and now - self.seen_at.setdefault(token, now) > self._life_s


@dataclass
class Injection:
    """A fault that is switched on: it befalls one of `every` requests that meet the condition, some `times` at most."""

    fault: Fault
    condition: Condition
    every: int
    times: float
    met: int = 0
    injected: int = 0

    def befalls(self, request: Request) -> bool:
        if self.injected >= self.times or not self.condition(request):
            return False
        self.met += 1
        due = self.met % self.every == 0
        self.injected += due
        return due


class FaultyStudio:
    """The proxy. It passes everything on, unless a fault is switched on."""

    def __init__(self, studio: LocalStudio):
        self.login = studio.login
        self._injections: list[Injection] = []
        self._lock = threading.Lock()
        self._client = httpx.Client(base_url=studio.url, timeout=120)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Handler(self, *args))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @contextmanager
    def failing(
        self, fault: Fault, condition: Condition = lambda request: True, every: int = 1, times: float = float("inf")
    ) -> Iterator[Injection]:
        """Switch a fault on for a while."""
        injection = Injection(fault, condition, every, times)
        self._injections.append(injection)
        try:
            yield injection
        finally:
            self._injections.remove(injection)

    def answer(self, request: Request, body: bytes) -> Reply | None:
        """What the request is answered with."""
        with self._lock:
            fault = next((i.fault for i in self._injections if i.befalls(request)), lambda ask: ask())
        return fault(lambda: self._ask(request, body))

    def _ask(self, request: Request, body: bytes) -> Reply:
        headers = {key: value for key, value in request.headers.items() if key.lower() not in (*OWN_HEADERS, "host")}
        headers["Accept-Encoding"] = "identity"
        answer = self._client.request(request.command, request.path, content=body, headers=headers)
        kept = {key: value for key, value in answer.headers.items() if key not in OWN_HEADERS}
        return Reply(answer.status_code, answer.content, kept)

    def stop(self) -> None:
        """Nobody gets through any more."""
        self._server.shutdown()
        self._server.server_close()
        self._client.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, studio: FaultyStudio, *args: Any):
        self._studio = studio
        super().__init__(*args)

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            reply = self._studio.answer(self, body)
        except ConnectionResetError:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()  # with a reset, as nothing may linger
            reply = None
        if reply is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for key, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = _pass_on

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
