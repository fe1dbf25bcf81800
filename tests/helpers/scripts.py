"""The scripts, run as their users run them."""

import os
import subprocess
import sys

from helpers.paths import ROOT


def run(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script that has ended, with what it printed."""
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=1000, check=False
    )
