"""A connection that a client keeps: whatever it sent, an answer after which the web process closes it says so."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from helpers.ports import own_port
from nextlabel.lab.sandbox import LocalBackend, Login
from nextlabel.web.app import MAX_BODY

pytestmark = pytest.mark.usefixtures("patience")

PASSWORD = "open-sesame"
CREDENTIALS = b"Authorization: Basic bWU6b3Blbi1zZXNhbWU=\r\n"
SOME, MUCH = 1000, 2**20  # bytes: what is left of a body is read up to 64 KiB


class Studio:
    """One that nobody asks."""

    url, login = "http://127.0.0.1:9", Login("", "", "x" * 40)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """That of a web process with credentials."""
    home, port = tmp_path_factory.mktemp("kept"), own_port(19350)
    web = LocalBackend(Studio(), Path(home), port, "web", basic_auth_user="me", basic_auth_pass=PASSWORD)
    web.start()
    yield port
    web.stop()


def request(method: str, path: str, headers: bytes = b"", body: bytes = b"") -> bytes:
    start = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
    return start + headers + b"\r\n" + body


def sized(method: str, path: str, body: bytes, headers: bytes = CREDENTIALS) -> bytes:
    return request(method, path, headers + b"Content-Length: %d\r\n" % len(body), body)


def chunked(path: str, chunks: bytes, headers: bytes = CREDENTIALS) -> bytes:
    return request("POST", path, headers + b"Transfer-Encoding: chunked\r\n", chunks)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


UNSERVED = {"tasks": [{"id": 1, "data": {}}], "project": "1.1700000000", "label_config": "<a>"}
ANSWERED = {
    "good": (sized("POST", "/webhook", b'{"action": "x"}'), 200),
    "good in chunks": (chunked("/webhook", chunk(b'{"action":') + chunk(b' "x"}') + b"0\r\n\r\n"), 200),
    "no JSON": (sized("POST", "/webhook", b"{" * SOME), 400),
    "no JSON, much of it": (sized("POST", "/predict", b"{" * MUCH), 400),
    "no tasks": (sized("POST", "/predict", json.dumps({"tasks": "x" * MUCH}).encode()), 400),
    "no such config": (sized("POST", "/predict", json.dumps(UNSERVED).encode()), 422),
    "another type": (sized("POST", "/webhook", b"a=b", CREDENTIALS + b"Content-Type: multipart/form-data\r\n"), 400),
    "HEAD": (request("HEAD", "/health"), 200),
    "HEAD with a body": (sized("HEAD", "/health", b"x" * MUCH), 200),
    "GET with a body": (sized("GET", "/health", b"x" * SOME), 200),
    "GET with a large body": (sized("GET", "/metrics", b"x" * MUCH), 200),
    "nowhere": (sized("POST", "/nowhere", b"x" * SOME), 404),
    "nowhere, with a large body": (sized("POST", "/nowhere", b"x" * MUCH), 404),
    "another method": (sized("PUT", "/predict", b"x" * MUCH), 405),
    "OPTIONS": (request("OPTIONS", "/webhook", CREDENTIALS), 405),
    "a stranger": (sized("POST", "/predict", b"x" * SOME, b""), 401),
    "a stranger with a large body": (sized("POST", "/predict", b"x" * MUCH, b""), 401),
    "a stranger with a large body in chunks": (chunked("/setup", chunk(b"x" * MUCH) + b"0\r\n\r\n", b""), 401),
    "too large": (
        request("POST", "/predict", CREDENTIALS + b"Content-Length: %d\r\n" % (MAX_BODY + 1), b" " * MUCH),
        413,
    ),
    "too large in chunks": (chunked("/predict", chunk(b" " * (MAX_BODY + 1)) + b"0\r\n\r\n"), 413),
    "a chunk without a size": (chunked("/webhook", b"zz\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk of another size": (chunked("/webhook", b"1\r\n{}\r\n0\r\n\r\n"), 400),
    "an unread chunk without a size": (chunked("/nowhere", b"zz\r\n{}\r\n0\r\n\r\n"), 404),
    "a body that does not come": (request("POST", "/nowhere", CREDENTIALS + b"Content-Length: 9\r\n"), 404),
    "no length": (request("POST", "/webhook", CREDENTIALS), 400),
    "two lengths": (request("POST", "/webhook", b"Content-Length: 1\r\nContent-Length: 2\r\n", b"{}"), 400),
    "both a length and chunks": (chunked("/webhook", b"0\r\n\r\n", b"Content-Length: 2\r\n"), 400),
    "no HTTP": (b"nonsense\r\n\r\n", 400),
    "a large header": (request("GET", "/health", b"X-Large: " + b"x" * 20_000 + b"\r\n"), 431),
    "it wants to close": (request("GET", "/health", b"Connection: close\r\n"), 200),
    "HTTP/1.0": (b"GET /health HTTP/1.0\r\n\r\n", 200),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_who_closes_a_kept_connection_has_said_so(name: str, port: int) -> None:
    sent, status = ANSWERED[name]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as kept:
        for _ in range(2):  # the second time over a connection that is kept
            kept.sendall(sent)
            answer = HTTPResponse(kept, method=sent.partition(b" ")[0].decode())
            answer.begin()
            answer.read()
            assert answer.status == status
            if answer.getheader("Connection") == "close":
                assert kept.recv(1) == b"", "nothing follows"
                break
