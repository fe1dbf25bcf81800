#!/usr/bin/env bash
# Label Studio 1.23.2: the export JSON_MIN can show a label that nobody gave.
#
# Guess: the key named like the control holds the annotation's answer, and is absent while there is none.
# Behaviour: when the task's data has a field of that name (often the old label of an imported file), a task without an
# annotation shows that field there, in the same place and form as a real answer of another task.
set -euo pipefail
home=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check label-studio==1.23.2
token=0123456789abcdef0123456789abcdef01234567 port=18971
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
project = ask("POST", "/api/projects", json={"title": "borrowed", "label_config": config})["id"]
answer = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["a"]}}]
ask("POST", f"/api/projects/{project}/import", json=[
    {"data": {"text": "labelled by a person", "label": "b"}, "annotations": [{"result": answer}]},
    {"data": {"text": "not labelled", "label": "b"}},
    {"data": {"text": "not labelled, and no such field"}},
])
rows = ask("GET", f"/api/projects/{project}/export", params={"exportType": "JSON_MIN", "download_all_tasks": "true"})
shown = {row["text"]: row.get("label", "absent") for row in rows}
print("Label Studio", ask("GET", "/api/version")["release"])
print("Guess: `label` holds the annotation's answer, and is absent where there is none.")
for text, label in shown.items():
    print(f"{text}: {label}")
assert shown == {
    "labelled by a person": "a",
    "not labelled": "b",
    "not labelled, and no such field": "absent",
}
PY
