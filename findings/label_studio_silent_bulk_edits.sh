#!/usr/bin/env bash
# Label Studio 1.23.2: editing tasks in bulk in the data manager leaves their `updated_at` as it was.
#
# Guess: `updated_at` moves with every change of a task, so that a reader who asks for what changed since the last time
# misses nothing. A PATCH of one task, a label, even a prediction do move it.
# Behaviour: the data manager's action `add_data_field` writes new data and leaves `updated_at`; no webhook tells of it.
set -euo pipefail
home=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check label-studio==1.23.2
token=0123456789abcdef0123456789abcdef01234567 port=18970
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
config = '<View><Text name="text" value="$text"/><Choices name="c" toName="text"><Choice value="a"/><Choice value="b"/></Choices></View>'
project = ask("POST", "/api/projects", json={"title": "bulk", "label_config": config})["id"]
ask("POST", f"/api/projects/{project}/import", json=[{"text": "one"}, {"text": "two"}])


def tasks():
    found = ask("GET", "/api/tasks", params={"project": project, "fields": "all"})["tasks"]
    return {task["id"]: (task["data"], task["updated_at"]) for task in found}


before = tasks()
time.sleep(2)
first, second = sorted(before)
ask("PATCH", f"/api/tasks/{first}", json={"data": {"text": "one, edited"}})
bulk = {"value_name": "split", "value_type": "String", "value": '"validation"', "selectedItems": {"all": True, "excluded": []}}
ask("POST", f"/api/dm/actions?id=add_data_field&project={project}", json=bulk)
after = tasks()
print("Label Studio", ask("GET", "/api/version")["release"])
print("Guess: updated_at moves with every change of a task.")
for task, what in ((first, "edited alone, then in bulk"), (second, "edited in bulk")):
    print(f"{what}: {before[task][0]} -> {after[task][0]}, updated_at moved: {before[task][1] != after[task][1]}")
assert after[second][0] != before[second][0]
assert after[second][1] == before[second][1]
assert after[first][1] != before[first][1]
PY
