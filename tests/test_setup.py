"""scripts/setup, and the command itself, where something that they need is missing."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from helpers.paths import ROOT
from helpers.programs import chromium, promtool

PYTHON = """#!/bin/sh
case "$*" in
  --version) echo "Python 3.11.7" ;;
  "-c import ensurepip, venv") exit {lacks} ;;
  "-m venv"*) echo "Error: [Errno 28] No space left on device" >&2; exit 1 ;;
esac
"""


def setup_with(python: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What scripts/setup of a copy of the checkout says with this Python."""
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, home / name)
    for path in (ROOT / "pyproject.toml", *ROOT.glob("requirements*.txt")):
        shutil.copy(path, home)
    program = home / "python3.11"
    program.write_text(python)
    program.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(program)}
    command = [str(home / "scripts" / "setup")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_setup_says_why_an_environment_cannot_be_made(tmp_path: Path) -> None:
    done = setup_with(PYTHON.format(lacks=0), tmp_path)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert f"could not make the environment {tmp_path}/.venv; above it says why." in done.stderr
    assert "apt install" not in done.stderr


def test_setup_says_which_package_brings_the_module_venv(tmp_path: Path) -> None:
    done = setup_with(PYTHON.format(lacks=1), tmp_path)
    assert done.returncode == 1
    assert "lacks the module venv: on Debian and Ubuntu apt install python3.11-venv" in done.stderr


def test_setup_names_the_programs_that_tests_lack_and_what_brings_them(tmp_path: Path) -> None:
    home, programs = tmp_path / "home", tmp_path / "bin"
    programs.mkdir()
    home.mkdir()
    for name in ("bash", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    (programs / "id").chmod(0o755)
    shutil.copytree(ROOT / "scripts", home / "scripts")

    def said() -> str:
        done = subprocess.run(
            ["bash", str(home / "scripts" / "setup"), "dev"],
            env={"PATH": str(programs), "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 1
        return done.stderr

    assert "The tests need redis-server" in (first := said())
    assert "chromium: on Debian and Ubuntu sudo apt-get install redis-server" in first
    for name in ("redis-server", "initdb", "google-chrome"):
        (programs / name).symlink_to(str(shutil.which("true")))
    assert (
        said()
        == "The tests need promtool: it comes with Prometheus; put it on PATH, on macOS with brew install prometheus.\n"
    )


@pytest.mark.parametrize(("command", "package"), [("doctor", "httpx"), ("simulate", "numpy"), ("serve", "pydantic")])
def test_a_missing_package_is_one_sentence(command: str, package: str) -> None:
    wall = f"""
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Wall())
from nextlabel.__main__ import main
sys.exit(main([{command!r}]))
"""
    done = subprocess.run([sys.executable, "-c", wall], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"The package {package} is not installed. In the checkout scripts/setup")


def test_a_missing_module_of_our_own_is_no_missing_package() -> None:
    code = """
import sys
sys.modules["nextlabel.commands.doctor"] = None
from nextlabel.__main__ import main
main(["doctor"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert "ModuleNotFoundError: import of nextlabel.commands.doctor halted" in done.stderr


@pytest.mark.parametrize("arguments", [("settings",), ("--help",)])
def test_output_that_nobody_reads_to_its_end_is_no_traceback(arguments: Sequence[str]) -> None:
    nobody, ours = os.pipe()
    os.close(nobody)
    command = [sys.executable, "-m", "nextlabel", *arguments]
    done = subprocess.run(command, stdout=ours, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    os.close(ours)
    assert (done.returncode, done.stderr) == (141, "")


def test_no_output_at_all_is_no_traceback_and_another_pipe_that_breaks_is_one() -> None:
    closed = f"exec {sys.executable} -m nextlabel settings >&-"
    done = subprocess.run(["bash", "-c", closed], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    code = """
import nextlabel.__main__ as ours
def broken(): raise BrokenPipeError("a worker's")
ours.usage = broken
ours.main(["--help"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert "BrokenPipeError: a worker's" in done.stderr


@pytest.mark.parametrize("found", [chromium, promtool])
def test_the_programs_that_setup_brings_answer(found: Callable[[], str]) -> None:
    subprocess.run([found(), "--version"], check=True, capture_output=True, timeout=300)


def test_where_no_time_is_left_tests_that_take_long_are_told_as_skipped_and_all_others_run() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "-q",
        "tests/learning/test_suspects.py",
    ]
    environment = {**os.environ, "SLOW_TESTS_UNTIL": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    assert "there is no time left for it on this machine" in done.stdout
    assert re.search(r"^[1-9]\d* passed, [1-9]\d* skipped", done.stdout, re.MULTILINE)
