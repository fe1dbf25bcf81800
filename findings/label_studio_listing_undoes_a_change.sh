#!/usr/bin/env bash
# Label Studio 1.23.2: whoever lists a project's ML backends may undo a change of one of them that another has just made.
#
# Guess: GET reads. A PATCH of a backend's `extra_params` that was answered with 200 stays until the next PATCH.
# Behaviour: to answer GET /api/ml, Label Studio asks each backend how it is, and then saves the whole row as it had read
# it before. A PATCH that comes and is answered while a backend takes a second for its answer is gone afterwards, although
# its own answer, and a GET right after it, had the new value. The page of a project lists backends each time it is opened.
set -euo pipefail
home=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check label-studio==1.23.2
token=0123456789abcdef0123456789abcdef01234567 port=18980
env HOME="$home" ML_BLOCK_LOCAL_IP=false SSRF_PROTECTION_ENABLED=false COLLECT_ANALYTICS=false SENTRY_DSN= FRONTEND_SENTRY_DSN= \
  LATEST_VERSION_CHECK=false "$home/venv/bin/label-studio" start --no-browser --data-dir "$home/data" --internal-host 127.0.0.1 --port $port \
  --username a@example.com --password 'Passw0rd!x' --user-token $token --enable-legacy-api-token --log-level ERROR \
  >"$home/log" 2>&1 &
"$home/venv/bin/python" - $port $token <<'PY'
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

port = int(sys.argv[1])
url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Token {sys.argv[2]}"}
slow, asked = threading.Event(), threading.Event()


class Backend(BaseHTTPRequestHandler):
    """A small ML backend, of which one answer can be made to take three seconds."""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if slow.is_set():
            slow.clear()
            asked.set()
            time.sleep(3)
        body = json.dumps({"status": "UP", "model_version": "one"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *words):
        pass


threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port + 1), Backend).serve_forever, daemon=True).start()


def ask(method, path, **kwargs):
    answer = requests.request(method, url + path, headers=headers, timeout=60, **kwargs)
    answer.raise_for_status()
    return answer.json()


for _ in range(300):
    try:
        if requests.get(f"{url}/health", timeout=2).ok:
            break
    except requests.ConnectionError:
        pass
    time.sleep(1)
config = '<View><Text name="text" value="$text"/><Choices name="c" toName="text"><Choice value="a"/><Choice value="b"/></Choices></View>'
project = ask("POST", "/api/projects", json={"title": "listing", "label_config": config})["id"]
body = {"project": project, "url": f"http://127.0.0.1:{port + 1}", "title": "small", "auth_method": "NONE"}
backend = ask("POST", "/api/ml", json={**body, "extra_params": {"value": "old"}})["id"]


def kept():
    return ask("GET", f"/api/ml/{backend}")["extra_params"]


print("Label Studio", ask("GET", "/api/version")["release"])
print("Guess: what a PATCH was answered 200 for stays.")
ask("PATCH", f"/api/ml/{backend}", json={**body, "extra_params": {"value": "alone"}})
print("changed while nobody lists backends:", kept())
assert kept() == {"value": "alone"}

slow.set()
listing = threading.Thread(target=ask, args=("GET", f"/api/ml?project={project}"))
listing.start()
assert asked.wait(30)
answered = ask("PATCH", f"/api/ml/{backend}", json={**body, "extra_params": {"value": "new"}})["extra_params"]
right_after = kept()
assert listing.is_alive()
listing.join()
at_last = kept()
print(f"changed while somebody lists them: answered {answered}, right after {right_after}, when the list is there {at_last}")
assert (answered, right_after, at_last) == ({"value": "new"}, {"value": "new"}, {"value": "alone"})
PY
