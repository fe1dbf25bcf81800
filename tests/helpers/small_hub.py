"""A model hub on this machine, with one model in it: enough of the real one's manners for its own client."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "a" * 40


class SmallHub:
    """Serves the files of a directory as every model's. Weights are held back until `answer` is set; `asked` says that
    they were asked for."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.asked, self.answer = threading.Event(), threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.handle(self, body=True)

            def do_HEAD(self) -> None:
                hub.handle(self, body=False)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def handle(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        content = self._content(request.path)
        if content is not None and body and ".safetensors" in request.path and "index" not in request.path:
            self.asked.set()
            self.answer.wait()
        request.send_response(404 if content is None else 200)
        if content is None:
            request.send_header("X-Error-Code", "EntryNotFound")
        content = content or b""
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if body:
            request.wfile.write(content)

    def _content(self, path: str) -> bytes | None:
        """Of a file, of the list of files, of the description of the model; None of anything else."""
        files = sorted(self.directory.iterdir())
        if "/resolve/" in path:
            file = self.directory / path.partition("?")[0].rpartition("/")[2]
            return file.read_bytes() if file in files else None
        if path.endswith("/additional_chat_templates") or not path.startswith("/api/models/"):
            return None
        if "/tree/" in path:
            entries = [{"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0"} for file in files]
            return json.dumps(entries).encode()
        siblings = [{"rfilename": file.name} for file in files]
        return json.dumps({"id": "ours/tiny", "sha": COMMIT, "siblings": siblings}).encode()
