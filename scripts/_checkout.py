"""Runs a command of the package that lies next to this directory, installed or not."""

import os
import sys
from pathlib import Path

BACKEND = str(Path(__file__).resolve().parent.parent / "backend")
sys.path.insert(0, BACKEND)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [BACKEND, os.environ.get("PYTHONPATH")]))  # child processes too

from nextlabel.__main__ import main  # noqa: E402


def run(command: str) -> None:
    """Run it with this process's arguments and exit with its code."""
    sys.exit(main([command, *sys.argv[1:]]))
