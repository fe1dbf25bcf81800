"""A server on this machine that a webhook is sent to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Chat:
    """A server that answers with one status after the other, the last one for ever, and keeps what it was told."""

    def __init__(self, *answers: int):
        self.told: list[Any] = []
        self.paths: list[str] = []
        self.listens = threading.Event()
        self.listens.set()
        chat, left = self, list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                chat.paths.append(self.path)
                chat.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                chat.listens.wait()
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/open-sesame"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Whoever waits for an answer gets it."""
        self.listens.set()
        self.server.shutdown()
        self.server.server_close()
