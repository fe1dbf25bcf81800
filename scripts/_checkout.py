"""Runs a command of the package that lies next to this directory, installed or not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "backend"))

from nextlabel.__main__ import main


def run(command: str) -> None:
    """Run it with this process's arguments and exit with its code."""
    sys.exit(main([command, *sys.argv[1:]]))
