"""The package as pip installs it: what it declares, what is in it, and that it runs from anywhere."""

import errno
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from helpers.paths import ROOT
from helpers.ports import own_port
from helpers.waiting import wait_until
from nextlabel import __version__
from nextlabel.__main__ import COMMANDS, main, usage
from nextlabel.settings import settings_page

ALWAYS = ("model", "backend")  # the files of requirements/ that are no extras
NAMES = [name for group in COMMANDS.values() for name in group]
FILES = ("backend", "requirements", "pyproject.toml", "README.md", "LICENSE")

Run = Callable[..., subprocess.CompletedProcess[str]]


def requirements(path: Path) -> list[str]:
    """The requirements of a file and of those that it names, without comments and spaces."""
    found: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if text.startswith("-r "):
            found += requirements(path.parent / text.removeprefix("-r "))
        elif text:
            found.append(re.sub(r"\s", "", text))
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, patience: None) -> Path:
    """Built from the tracked files alone: what lies in the checkout beside them must not get in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in FILES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", out]
    subprocess.run([*map(str, command), str(source)], check=True, timeout=300)
    [built] = out.iterdir()
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [path] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(path).decode())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program of a fresh environment in an empty directory. Other packages are those that the tests run with."""
    home, elsewhere = tmp_path_factory.mktemp("venv"), tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=300)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(list(map(str, install)), check=True, timeout=300)
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(program: str, *arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
        command = [str(home / "bin" / program), *map(str, arguments)]
        env = {**environment, **{key: str(value) for key, value in settings.items()}}
        return subprocess.run(
            command, cwd=elsewhere, env=env, capture_output=True, text=True, timeout=1000, check=False
        )

    return run


def test_what_pip_installs_is_what_the_files_pin(metadata: Message) -> None:
    declared: dict[str, list[str]] = {}
    for text in metadata.get_all("Requires-Dist", []):
        requirement, _, extra = re.sub(r'(;| and) extra == "(.+)"$', r"@\2", text).partition("@")
        declared.setdefault(extra, []).append(re.sub(r"\s", "", requirement))
    always = [pin for name in ALWAYS for pin in requirements(ROOT / "requirements" / f"{name}.txt")]
    extras = {path.stem: requirements(path) for path in (ROOT / "requirements").iterdir() if path.stem not in ALWAYS}
    assert {extra: sorted(pins) for extra, pins in declared.items()} == {
        extra: sorted(pins) for extra, pins in {"": always, **extras}.items()
    }
    assert "torch==2.13.0" in always


def test_every_pin_is_written_once_and_has_a_reason() -> None:
    lines = [line for path in (ROOT / "requirements").iterdir() for line in path.read_text("utf-8").splitlines()]
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.match(r"\S+==\S+.*  +# \S", pin) for pin in pins), "pinned exactly, and why"
    names = [re.sub(r"\s", "", pin.partition("#")[0]) for pin in pins]
    assert len(names) == len(set(names))


def test_the_requirements_at_the_top_are_the_product_and_the_simulation() -> None:
    def pins(*names: str) -> list[str]:
        return [pin for name in names for pin in requirements(ROOT / "requirements" / f"{name}.txt")]

    assert requirements(ROOT / "requirements.txt") == pins("model", "backend", "redis", "postgresql", "hub")
    assert requirements(ROOT / "requirements-simulation.txt") == pins("model", "simulation")


def test_one_place_says_the_version(metadata: Message) -> None:
    assert metadata["Version"] == __version__


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "backend" / "nextlabel"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {name for name in names if ".dist-info/" not in name} == {
        path.relative_to(ROOT / "backend").as_posix() for path in files
    }


def test_the_installed_command_says_what_it_is(installed: Run) -> None:
    assert installed("nextlabel", "--version").stdout == f"nextlabel {__version__}\n"
    assert installed("nextlabel", "--help").stdout == usage() + "\n"
    assert installed("python", "-m", "nextlabel", "--help").stdout == usage() + "\n"
    unknown = installed("nextlabel", "no-such")
    assert unknown.returncode == 2
    assert "nextlabel knows no command 'no-such'." in unknown.stderr


def test_the_installed_package_simulates(installed: Run, tiny: Path, tmp_path: Path) -> None:
    model = ("--base-model", tiny, "--device", "cpu", "--steps", 1, "--full-steps", 1, "--max-length", 32)
    protocol = ("--start", 100, "--batch", 100, "--rounds", 1, "--seeds", "0,", "--threads", 1)
    done = installed("nextlabel", "simulate", "--own-pairs", *model, *protocol, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert f"Report: nextlabel report {tmp_path / 'run'}" in done.stdout


@pytest.fixture
def served(installed: Run, tmp_path: Path) -> Iterator[str]:
    """The address of `nextlabel serve`, installed."""
    port = own_port(19900)
    log = (tmp_path / "serve.log").open("w")
    program = installed("python", "-c", "import sys; print(sys.executable)").stdout.strip()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PORT": str(port), "MODEL_DIR": str(tmp_path / "data"), "LABEL_STUDIO_URL": "http://127.0.0.1:9"}
    with (
        log,
        subprocess.Popen(
            [program, "-m", "nextlabel", "serve"], cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def test_the_installed_package_serves(served: str) -> None:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{served}/health", timeout=5) as health:
                return bool(health.status == 200)
        except OSError:
            return False

    wait_until(answers, "the installed backend to answer")
    with urllib.request.urlopen(served, timeout=10) as page:
        assert "<!doctype html>" in page.read().decode()


@pytest.mark.parametrize(
    ("url", "extra"), [("redis://localhost:1/0", "redis"), ("postgresql://u@localhost:1/q", "postgresql")]
)
def test_a_queue_whose_client_is_missing_names_what_to_install(installed: Run, url: str, extra: str) -> None:
    code = """
import sys
sys.modules.update(redis=None, psycopg=None)
from nextlabel.__main__ import main
sys.exit(main(["web"]))
"""
    refused = installed("python", "-c", code, QUEUE_URL=url)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert f"QUEUE_URL={extra}://... needs the package" in refused.stderr
    assert f"in the checkout, pip install '.[{extra}]'" in refused.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_help_under_its_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: nextlabel {name} ")


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "out/a.md"),
            "out/a.md: Permission denied. Correct that, or ",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "The disk: No space left on device. Correct that, or name an",
        ),
    ],
)
def test_what_the_disk_refuses_is_one_sentence(
    refused: OSError, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raising(_: object) -> None:
        raise refused

    monkeypatch.setattr("nextlabel.commands.report_told.main", raising)
    assert main(["report-told", "run"]) == 1
    assert capsys.readouterr().err.startswith(said)
    monkeypatch.setattr(refused, "errno", errno.ECONNREFUSED)
    monkeypatch.setattr(refused, "filename", None)
    with pytest.raises(OSError, match=r"denied|device"):
        main(["report-told", "run"])


def test_the_help_fits_a_terminal() -> None:
    assert max(map(len, usage().splitlines())) <= 100


@pytest.mark.usefixtures("patience")
def test_the_command_of_release_0_1_0_says_the_new_one() -> None:
    old = subprocess.run(
        [sys.executable, "-m", "backend", "web"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert old.returncode == 1
    assert old.stderr == "python -m backend is now: nextlabel web\n"


def test_settings_are_listed_with_secrets_masked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "open-sesame")
    monkeypatch.setenv("WINDOW", "9")
    assert main(["settings"]) == 0
    listed = capsys.readouterr().out
    assert {"LABEL_STUDIO_API_KEY=********", "WINDOW=9"} <= set(listed.splitlines())
    assert "open-sesame" not in listed
    assert main(["settings", "--markdown"]) == 0
    assert capsys.readouterr().out == settings_page()
