"""Checkouts of Nextlabel as programs: how each is started, and how it connects a project."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nextlabel
from nextlabel.errors import BadSettingError, NextlabelError

CONNECT_S = 120.0


@dataclass(frozen=True)
class Build:
    """`program` takes a command such as `serve`; `connect` the options of the command of that name."""

    name: str
    program: tuple[str, ...]
    connect: tuple[str, ...]
    python_path: str

    def connect_project(self, project: int, url: str, environment: Mapping[str, str], cwd: Path) -> None:
        """Connect a project by the build's own command. Raises `NextlabelError` with what it said when it failed."""
        command = [*self.connect, "--project", str(project), "--backend-url", url]
        environment = {**os.environ, **environment, "PYTHONPATH": self.python_path}
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=CONNECT_S, check=False
        )
        if done.returncode:
            raise NextlabelError(f"{self.name} cannot connect project {project}: {done.stderr.strip()[-500:]}")


def this_build() -> Build:
    """The one that runs."""
    return _with_commands("this build", sys.executable, Path(nextlabel.__file__).parents[1])


def older_build(checkout: Path) -> Build:
    """That of another checkout, by its own interpreter where it has a `.venv`. Raises `BadSettingError` for another
    directory."""
    checkout = checkout.resolve()
    own = checkout / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else sys.executable
    if (checkout / "backend" / "nextlabel" / "__main__.py").exists():
        return _with_commands("the older build", python, checkout / "backend")
    script = checkout / "scripts" / "connect_project.py"
    if not ((checkout / "backend" / "__main__.py").exists() and script.exists()):
        raise BadSettingError(f"--against {checkout} is no checkout of Nextlabel. Make one with git worktree add.")
    return Build("the older build", (python, "-m", "backend"), (python, str(script)), str(checkout))


def _with_commands(name: str, python: str, path: Path) -> Build:
    program = (python, "-m", "nextlabel")
    return Build(name, program, (*program, "connect"), str(path))
