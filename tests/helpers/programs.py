"""Programs of others that tests start: scripts/setup dev sees to it that they are there."""

import shutil
from glob import glob

from helpers.paths import ROOT


def program(*names: str, within: str = "") -> str:
    """Where the first of them is that is on PATH, or in a directory like that."""
    on_path = (shutil.which(name) for name in names)
    elsewhere = (path for name in names for path in sorted(glob(f"{within}/{name}")))
    found = next(filter(None, (*on_path, *elsewhere)), None)
    assert found, f"{' or '.join(names)} is not installed: run scripts/setup dev"
    return found


def chromium() -> str:
    """A browser."""
    return program("chromium", "chromium-browser", "google-chrome")


def promtool() -> str:
    """What checks rules of Prometheus."""
    return program("promtool", within=str(ROOT / ".programs" / "usr" / "bin"))
