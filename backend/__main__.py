"""`python -m backend serve | web | trainer`: run the backend, or one of its two processes."""

import argparse
import logging
import sys

from backend.errors import NextlabelError
from backend.processes import die_with, set_up_logs, stop_when_asked
from backend.settings import Settings, load_settings

log = logging.getLogger("backend")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, check the settings, run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m backend", description="The Nextlabel ML backend.")
    commands = {
        "serve": "run the web process and the trainer, supervised",
        "web": "run the web process alone",
        "trainer": "run the trainer alone",
    }
    chosen = parser.add_subparsers(dest="command", required=True)
    for name, text in commands.items():
        one = chosen.add_parser(
            name, help=text, description=f"{text.capitalize()}. Settings: the environment and .env."
        )
        one.add_argument("--supervised-by", type=int, metavar="PID", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    command = parsed.command
    stop_when_asked()
    try:
        if parsed.supervised_by:
            die_with(parsed.supervised_by)
        settings = load_settings()
        set_up_logs(settings.log_level, command)
        return _run(command, settings)
    except NextlabelError as error:
        print(f"Nextlabel cannot start:\n{error}", file=sys.stderr)
        return 2


def _run(command: str, settings: Settings) -> int:
    # Imports here, so that no process pays for what another one needs.
    if command == "trainer":
        from backend.trainer import run_trainer

        run_trainer(settings)
        return 0
    from backend.serving import run_both, run_web

    if command == "web":
        run_web(settings)
        return 0
    for line in settings.lines():
        log.info("%s", line)
    return run_both(settings)


if __name__ == "__main__":
    sys.exit(main())
