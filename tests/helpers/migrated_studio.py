"""Label Studio's program, whose first start takes as long as any other: in an empty directory it finds a data base that
was migrated once for all tests. Its migrations take ten times as long as the rest of a start."""

import os
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

DATA_BASE = "label_studio.sqlite3"
# Our servers have a home of their own, which their data lie in.
PROGRAM = """#!/bin/sh
[ -e "$HOME/{name}" ] || cp '{migrated}' "$HOME/{name}"
exec '{program}' "$@"
"""


def migrated_program(program: str, directory: Path) -> Path:
    """The program that `directory` holds; made by whichever process comes first, as it is shared."""
    made = directory / "label-studio"
    with FileLock(directory / "label-studio.lock"):
        if not made.exists():
            _make(made, program, directory / DATA_BASE)
    return made


def _make(made: Path, program: str, migrated: Path) -> None:
    home = migrated.with_name("label-studio-home")
    home.mkdir()
    command = [program, "version", "--data-dir", str(home)]  # any command migrates first
    offline = {"HOME": str(home), "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": ""}
    subprocess.run(command, env={**os.environ, **offline}, cwd=home, capture_output=True, check=True, timeout=300)
    shutil.move(home / DATA_BASE, migrated)
    made.write_text(PROGRAM.format(name=DATA_BASE, migrated=migrated, program=program))
    made.chmod(0o755)
