"""Runs the backend, or one part of it: `serve`, `web`, `trainer`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from nextlabel.errors import NextlabelError
from nextlabel.processes import exit_with_parent, set_up_logs, stop_when_asked
from nextlabel.settings import Settings, load_settings

log = logging.getLogger("nextlabel")


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, check the settings, run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="nextlabel", description="The Nextlabel ML backend.")
    commands = {
        "serve": "run the web process and the trainers, supervised",
        "web": "run the web process alone",
        "trainer": "run the trainers alone",
    }
    chosen = parser.add_subparsers(dest="command", required=True)
    for name, text in commands.items():
        one = chosen.add_parser(
            name, help=text, description=f"{text.capitalize()}. Settings: the environment and .env."
        )
        one.add_argument("--supervised-by", type=int, metavar="PID", help=argparse.SUPPRESS)
        if name != "web":
            one.add_argument("--workers", metavar="N", help="how many trainers; in place of the setting WORKERS")
        if name == "trainer":
            one.add_argument("--number", type=int, help=argparse.SUPPRESS)  # which of them, from the supervisor
    parsed = parser.parse_args(arguments)
    number = getattr(parsed, "number", None)
    if getattr(parsed, "workers", None):
        os.environ["WORKERS"] = parsed.workers  # checked like the setting, and known to the children
    stop_when_asked()
    try:
        if parsed.supervised_by:
            exit_with_parent(parsed.supervised_by)
        settings = load_settings()
        set_up_logs(settings.log_level, parsed.command if number is None else f"{parsed.command} {number}")
        return _run(parsed.command, number, settings)
    except NextlabelError as error:
        print(f"Nextlabel cannot start:\n{error}", file=sys.stderr)
        return 2


def _run(command: str, number: int | None, settings: Settings) -> int:
    # Imports here, so that no process pays for what another one needs.
    if command == "trainer" and (number is not None or settings.workers == 1):
        from nextlabel.loop.trainer import run_trainer

        run_trainer(settings, number or 0)
        return 0
    from nextlabel.web.serving import run_supervised, run_web

    if command == "web":
        run_web(settings)
        return 0
    for line in settings.lines():
        log.info("%s", line)
    return run_supervised(settings, with_web=command == "serve")
