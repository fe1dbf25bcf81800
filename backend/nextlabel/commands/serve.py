"""Runs the backend, or one part of it: `serve`, `web`, `trainer`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from nextlabel.commands._common import new_parser
from nextlabel.errors import NextlabelError
from nextlabel.processes import exit_with_parent, set_up_logs, stop_when_asked
from nextlabel.settings import Settings, load_settings

log = logging.getLogger("nextlabel")

COMMANDS = {
    "serve": "Runs the web process and the trainers, supervised.",
    "web": "Runs the web process alone.",
    "trainer": "Runs the trainers alone.",
}


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, whose first word is which part to run, check the settings, run; the exit code."""
    command, *rest = arguments
    options = _parser(command).parse_args(rest)
    if options.workers:
        os.environ["WORKERS"] = options.workers  # checked like the setting, and known to the children
    stop_when_asked()
    try:
        if options.supervised_by:
            exit_with_parent(options.supervised_by)
        settings = load_settings()
        set_up_logs(settings.log_level, command if options.number is None else f"{command} {options.number}")
        return _run(command, options.number, settings)
    except NextlabelError as error:
        print(f"Nextlabel cannot start:\n{error}", file=sys.stderr)
        return 2


def _parser(command: str) -> argparse.ArgumentParser:
    parser = new_parser(f"nextlabel {command}", f"{COMMANDS[command]} Settings: the environment and .env.")
    parser.set_defaults(workers=None, number=None)
    parser.add_argument("--supervised-by", type=int, metavar="PID", help=argparse.SUPPRESS)
    if command != "web":
        parser.add_argument("--workers", metavar="N", help="how many trainers; in place of the setting WORKERS")
    if command == "trainer":
        parser.add_argument("--number", type=int, help=argparse.SUPPRESS)  # which of them, from the supervisor
    return parser


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
