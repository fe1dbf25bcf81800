#!/usr/bin/env bash
# Label Studio 1.23.2 on Kubernetes: a Service called label-studio takes away the port that was chosen.
#
# Guess: PORT=18975, as Label Studio's documentation names it, decides where the server listens.
# Behaviour: each setting is also looked for with the prefix LABEL_STUDIO_, which goes first. Kubernetes puts an address of
# each Service into all containers of its namespace, for one that is called label-studio as LABEL_STUDIO_PORT=tcp://IP:PORT.
# That is no number: a warning is logged, and the server listens on 8080 (or the next free port), whatever PORT says.
set -euo pipefail
home=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check label-studio==1.23.2
start() { # NAME [VARIABLE=VALUE ...]
  local name=$1
  shift
  env HOME="$home" COLLECT_ANALYTICS=false SENTRY_DSN= FRONTEND_SENTRY_DSN= LATEST_VERSION_CHECK=false PORT=18975 "$@" \
    "$home/venv/bin/label-studio" start --no-browser --data-dir "$home/$name" --internal-host 127.0.0.1 \
    --username a@example.com --password 'Passw0rd!x' >"$home/$name.log" 2>&1 &
  server=$!
}
answers() { "$home/venv/bin/python" -c 'import sys, requests; requests.get(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=5)' "$1" 2>/dev/null; }
wait_for() { # PATTERN FILE
  for _ in $(seq 300); do
    grep -q "$1" "$2" && return
    sleep 1
  done
  cat "$2" && exit 1
}
echo "Label Studio 1.23.2"
echo "Guess: PORT=18975 decides where the server listens, in the namespace of a Service called label-studio, too."
start alone
for _ in $(seq 300); do answers 18975 && break || sleep 1; done
answers 18975
echo "PORT alone: answers on 18975"
kill $server && wait $server 2>/dev/null || true
start beside LABEL_STUDIO_PORT=tcp://10.96.0.10:80
wait_for "Can't parse PORT" "$home/beside.log"
grep "Can't parse PORT" "$home/beside.log"
wait_for "Starting development server at" "$home/beside.log"
grep "Starting development server at" "$home/beside.log"
if answers 18975; then exit 1; fi
echo "beside the Service: nothing answers on 18975"
