"""What is said of a server that does not answer: proxies and certificates, with real ones on this machine."""

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest

from nextlabel.errors import StudioError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials
from nextlabel.labelstudio.doctor import examine
from nextlabel.processes import reach_this_machine_directly, trust_named_certificates

NOBODY = "http://127.0.0.1:9"
ANOTHER = "http://label-studio.example:8080"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment says how to reach anything; what is set is taken back."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for spelling in (name, name.lower()):
            monkeypatch.setenv(spelling, "")
            monkeypatch.delenv(spelling)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")


class Handler(BaseHTTPRequestHandler):
    """Label Studio's release, whatever is asked; a proxy page where a proxy is meant, or `in_front` stands one, which
    is a status and headers."""

    in_front: tuple[int, Mapping[str, str]] | None = None

    def do_GET(self) -> None:
        denied = (403, {}) if self.path.startswith("http://") else self.in_front
        status, headers = denied or (200, {})
        body = b"<h1>Denied</h1>" if denied else b'{"release": "1.23.2"}'
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html" if denied else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed one for localhost; its key is in the same file."""
    home = tmp_path_factory.mktemp("certificate")
    made = home / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", home / "key.pem", "-out", made]
    names = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*map(str, command), *names], check=True, capture_output=True, timeout=300)
    made.write_text(made.read_text() + (home / "key.pem").read_text())
    return made


def serving(server: HTTPServer) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def plain() -> Iterator[int]:
    yield from serving(HTTPServer(("127.0.0.1", 0), Handler))


@pytest.fixture
def with_tls(certificate: Path) -> Iterator[int]:
    server, context = HTTPServer(("127.0.0.1", 0), Handler), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield from serving(server)


def said_of(url: str) -> str:
    """What the doctor says of a Label Studio at this address, and of a backend there."""
    studio, backend = examine(LabelStudioClient(url, "0" * 40), "0" * 40, url, Credentials(), None)
    assert (studio.ok, backend.ok) == (False, False)
    assert studio.answer.endswith(backend.remedy), "both have one cause"
    return studio.answer


def test_a_proxy_is_named_with_what_to_set(monkeypatch: pytest.MonkeyPatch, plain: int) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.delenv("no_proxy")
    said = said_of(ANOTHER)
    assert "goes through a proxy, HTTP_PROXY=http://********@127.0.0.1:9" in said
    assert said.endswith("set NO_PROXY=intranet.example,label-studio.example")
    assert "Start it" not in said
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{plain}")
    with pytest.raises(StudioError, match=r"not Label Studio's \(status 403, text/html\).*set NO_PROXY=intranet"):
        LabelStudioClient(ANOTHER, "0" * 40).version()


IN_FRONT = {
    401: 'asks for a login of its own (Basic realm="team")',
    413: "client_max_body_size",
    502: "does not reach it: look whether Label Studio runs",
    503: "does not reach it: look whether Label Studio runs",
    504: "proxy_read_timeout",
}


@pytest.mark.parametrize("status", IN_FRONT)
def test_what_stands_in_front_of_label_studio_is_named_with_what_to_do(
    status: int, plain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "in_front", (status, {"WWW-Authenticate": 'Basic realm="team"'}))
    with pytest.raises(StudioError) as refused:
        LabelStudioClient(f"http://127.0.0.1:{plain}", "0" * 40).version()
    said = str(refused.value)
    assert f"is not Label Studio's (status {status}, text/html). What stands in front of Label Studio" in said
    assert IN_FRONT[status] in said
    assert "Correct LABEL_STUDIO_URL" not in said


@pytest.mark.parametrize("key", ["0" * 40, jwt.encode({"exp": 2**33, "token_type": "refresh"}, "0" * 32)])
def test_a_request_is_not_sent_on_to_another_address(key: str, plain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Handler, "in_front", (301, {"Location": "https://user:secret@label-studio.example/api/ml?key=1"})
    )
    url = f"http://127.0.0.1:{plain}"
    with pytest.raises(StudioError) as refused:
        LabelStudioClient(url, key).add_ml_backend(1, "http://localhost:9090", "nextlabel", "", "", {})
    assert str(refused.value).startswith(f"{url} sends what is asked of it on to https://")
    assert "label-studio.example/api/ml, and what is written would get lost" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "carrier-pigeon://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_named_too(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    assert f"ALL_PROXY={proxy}" in said_of(ANOTHER)


def test_no_proxy_is_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch, plain: int) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    monkeypatch.setenv("no_proxy", "intranet.example, 10.0.0.1")
    with pytest.raises(StudioError, match="goes through a proxy"):
        LabelStudioClient(f"http://127.0.0.1:{plain}", "0" * 40).version()
    reach_this_machine_directly()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "intranet.example,10.0.0.1,localhost,127.0.0.1,::1"
    for host in ("127.0.0.1", "localhost"):
        assert LabelStudioClient(f"http://{host}:{plain}", "0" * 40).version() == "1.23.2"


def test_without_a_proxy_the_environment_stays_as_it_is() -> None:
    reach_this_machine_directly()
    assert os.environ["NO_PROXY"] == ""


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_of_ones_own_is_trusted_by_either_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch, with_tls: int, certificate: Path
) -> None:
    url = f"https://localhost:{with_tls}"
    said = said_of(url)
    assert "set SSL_CERT_FILE, or REQUESTS_CA_BUNDLE while that is not set (it is not now)" in said
    assert "Start it" not in said
    monkeypatch.setenv(variable, str(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", os.environ.get("SSL_CERT_FILE", ""))
    trust_named_certificates()
    assert LabelStudioClient(url, "0" * 40).version() == "1.23.2"
    assert "is for another name" in said_of(f"https://127.0.0.1:{with_tls}")


def test_a_file_without_certificates_is_named(monkeypatch: pytest.MonkeyPatch, with_tls: int, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (tmp_path / "missing.pem", empty):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        assert (
            f"SSL_CERT_FILE={path} (or REQUESTS_CA_BUNDLE, where only that was set) holds no certificates"
            in said_of(f"https://localhost:{with_tls}")
        )


def test_https_to_what_speaks_http_is_said(plain: int) -> None:
    assert f"write http:// in the place of https:// in https://127.0.0.1:{plain}" in said_of(
        f"https://127.0.0.1:{plain}"
    )
