#!/usr/bin/env bash
# Label Studio 1.23.2: who made an annotation is told in two shapes.
#
# Guess: `completed_by` of an annotation is the account's id wherever an annotation is told, as in the task list, the
# export and the answer to the POST that makes it.
# Behaviour: GET /api/tasks/ID tells an object there, with id, e-mail address and names. So whoever reads a task once by
# the list and once by itself counts one person as two.
set -euo pipefail
home=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check label-studio==1.23.2
token=0123456789abcdef0123456789abcdef01234567 port=18974
env HOME="$home" COLLECT_ANALYTICS=false SENTRY_DSN= FRONTEND_SENTRY_DSN= LATEST_VERSION_CHECK=false \
  "$home/venv/bin/label-studio" start --no-browser --data-dir "$home/data" --internal-host 127.0.0.1 --port $port \
  --username a@example.com --password 'Passw0rd!x' --user-token $token --enable-legacy-api-token --log-level ERROR \
  >"$home/log" 2>&1 &
"$home/venv/bin/python" - $port $token <<'PY'
import sys
import time

import requests

url, headers = f"http://127.0.0.1:{sys.argv[1]}", {"Authorization": f"Token {sys.argv[2]}"}


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
config = '<View><Text name="text" value="$text"/><Choices name="label" toName="text"><Choice value="a"/><Choice value="b"/></Choices></View>'
project = ask("POST", "/api/projects", json={"title": "two shapes", "label_config": config})["id"]
ask("POST", f"/api/projects/{project}/import", json=[{"data": {"text": "a text"}}])
[task] = ask("GET", "/api/tasks", params={"project": project, "fields": "all"})["tasks"]
answer = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["a"]}}]
made = ask("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": answer})
[listed] = ask("GET", "/api/tasks", params={"project": project, "fields": "all"})["tasks"]
[exported] = ask("GET", f"/api/projects/{project}/export", params={"exportType": "JSON"})
alone = ask("GET", f"/api/tasks/{task['id']}")
told = {
    "answer to POST": made["completed_by"],
    "task list": listed["annotations"][0]["completed_by"],
    "export": exported["annotations"][0]["completed_by"],
    "GET of the task": alone["annotations"][0]["completed_by"],
}
print("Label Studio", ask("GET", "/api/version")["release"])
print("Guess: completed_by is the account's id in all of them.")
for where, who in told.items():
    print(f"{where}: {sorted(who) if isinstance(who, dict) else who}")
me = made["completed_by"]
assert isinstance(me, int)
assert told["task list"] == told["export"] == me
assert told["GET of the task"]["id"] == me
assert told["GET of the task"]["email"] == "a@example.com"
PY
