"""Starts Label Studio and the backend, imports sentence pairs, and lets a simulated annotator label."""

import os
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run the demo; returns the exit code."""
    parser = new_parser("nextlabel demo", __doc__)
    parser.add_argument("--rounds", type=positive, default=5, help="rounds to label and refit (default: %(default)s)")
    parser.add_argument("--exit", action="store_true", help="stop after the rounds instead of leaving all running")
    parser.add_argument("--port", type=positive, default=8080, help="Label Studio's port (default: %(default)s)")
    parser.add_argument("--backend-port", type=positive, default=9090, help="the backend's (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, default=Path(".demo"), help="where all data goes (default: .demo)")
    parser.add_argument("--mrpc-dir", type=Path, help="directory of the official MRPC files")
    parser.add_argument("--base-model", default="all-MiniLM-L6-v2", help="hub name or directory (default: %(default)s)")
    parser.add_argument("--steps", type=positive, help="optimiser steps per fit")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before anything imports the hub's client
    from nextlabel.lab.demo import DemoOptions, run

    return run(DemoOptions(**vars(options)))
