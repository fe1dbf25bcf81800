#!/usr/bin/env bash
# label-studio-sdk 2.1.2: creating an annotation is sent again when the answer is a 5xx, also one that was carried out.
#
# Guess: a client repeats requests that are safe to repeat (GET, PUT, DELETE); a POST that creates something is sent once,
# and an error is raised.
# Behaviour: every method is repeated up to twice on 5xx, 408, 409 and 429. Where a gateway loses the answer of a request
# that was carried out (502, 504), one call leaves up to three annotations, and raises nothing if the last one is answered.
# With request_options={"max_retries": 0} it is sent once.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check label-studio-sdk==2.1.2
"$home/venv/bin/python" - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

carried_out = []


class Server(BaseHTTPRequestHandler):
    """Carries every annotation out; the answers to all but each third one are lost behind a gateway."""

    def do_POST(self):
        carried_out.append(self.rfile.read(int(self.headers["Content-Length"])))
        lost = len(carried_out) % 3 != 0
        body = b"bad gateway" if lost else json.dumps({"id": len(carried_out)}).encode()
        self.send_response(502 if lost else 201)
        self.send_header("Content-Type", "text/plain" if lost else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = LabelStudio(base_url=f"http://127.0.0.1:{server.server_port}", api_key="0" * 40)
answer = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["a"]}}]

print("label-studio-sdk", version("label-studio-sdk"))
print("Guess: one call sends one annotation.")
client.annotations.create(1, result=answer)
by_default = len(carried_out)
print(f"Seen: one call sent {by_default} annotations, and returned as if nothing had happened.")
carried_out.clear()
try:
    client.annotations.create(1, result=answer, request_options={"max_retries": 0})
    raised = False
except ApiError as error:
    raised = error.status_code == 502
print(f"Seen: with max_retries=0 it sent {len(carried_out)}, and {'raised the 502' if raised else 'raised nothing'}.")
sys.exit((by_default, len(carried_out), raised) != (3, 1, True))
PY
