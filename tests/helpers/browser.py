"""A real browser, headless, and the web application behind an address of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from playwright.sync_api import sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from helpers.ports import own_port
from helpers.programs import chromium
from helpers.waiting import WAIT_S

PORT = 20300


class _Quiet(WSGIRequestHandler):
    def log(self, kind: str, message: str, *args: Any) -> None:
        """Say nothing of each request."""


@contextmanager
def browsing() -> Iterator[Any]:
    """A Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def context_of(browser: Any, **options: Any) -> Any:
    """A profile of its own, which waits for a page as long as tests wait for anything."""
    context = browser.new_context(**options)
    context.set_default_timeout(1000 * WAIT_S)
    return context


@contextmanager
def answering(app: Flask, port: int = 0) -> Iterator[str]:
    """The address at which the application answers meanwhile."""
    server = make_server("127.0.0.1", port or own_port(PORT), app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
