#!/usr/bin/env python3
"""Connects a Label Studio project to the backend, or disconnects it. Run again, it changes nothing."""

import argparse

from _script import run, studio_from_settings

from backend.connecting import Credentials, connect, disconnect
from backend.settings import load_settings


def main() -> None:
    """Parse the command line and connect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument("--backend-url", help="where Label Studio reaches the backend (default: http://localhost:PORT)")
    parser.add_argument(
        "--show-predictions", action="store_true", help="show the model's guess to annotators (default: hidden)"
    )
    parser.add_argument("--disconnect", action="store_true", help="undo the connection")
    options = parser.parse_args()
    settings, studio = load_settings(), studio_from_settings()
    url = options.backend_url or f"http://localhost:{settings.port}"
    if options.disconnect:
        done = disconnect(studio, options.project, options.backend_url or "")
    else:
        done = connect(studio, options.project, url, Credentials.of(settings), options.show_predictions)
    for what in done or ["nothing to change"]:
        print(f"project {options.project}: {what}")


if __name__ == "__main__":
    run(main)
