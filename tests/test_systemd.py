"""The unit for systemd: that it starts a command that is there, where its settings are, and that systemd takes it."""

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from helpers.paths import ROOT
from nextlabel.__main__ import COMMANDS
from nextlabel.settings import Settings

UNIT = ROOT / "docs" / "systemd" / "nextlabel.service"
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def unit() -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.read(UNIT)
    return parser


def test_it_starts_the_backend_as_the_page_installs_it() -> None:
    service = unit()["Service"]
    program, command = service["ExecStart"].split()
    assert command in COMMANDS["The backend"]
    assert f"{Path(program).parent}/pip install" in PAGE
    assert service["WorkingDirectory"] == "%S/" + service["StateDirectory"]
    assert f"/var/lib/{service['StateDirectory']}/.env" in PAGE, "the settings are read from the working directory"
    assert f"useradd --system --home-dir /var/lib/{service['StateDirectory']} " in PAGE
    assert service["User"] in PAGE


def test_commands_have_the_environment_of_the_unit_and_the_settings_that_it_cannot_do_without(tmp_path: Path) -> None:
    assert unit()["Service"]["Environment"] == "PYTHONUNBUFFERED=1", "the cache of checkpoints is the one in its home"
    assert "sudo -H -u nextlabel sh -c 'cd /var/lib/nextlabel && /opt/nextlabel/bin/nextlabel " in PAGE
    [env] = re.findall(r"Write a file\n`\.env`.*?```sh\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / ".env").write_text(env, encoding="utf-8")
    found = Settings(_env_file=tmp_path / ".env")
    assert {"label_studio_url", "label_studio_api_key"} <= found.model_fields_set


def test_with_an_impossible_setting_it_is_not_started_again_and_again(tmp_path: Path) -> None:
    command, tried = [sys.executable, "-m", "nextlabel", "serve"], {**os.environ, "PORT": "many"}
    done = subprocess.run(command, env=tried, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "PORT='many' is not possible" in done.stderr
    assert str(done.returncode) == unit()["Service"]["RestartPreventExitStatus"]


def test_systemd_takes_it(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert unit().sections() == ["Unit", "Service", "Install"]
    analyze = shutil.which("systemd-analyze")
    installed = tmp_path / UNIT.name
    installed.write_text(text.replace("/opt/nextlabel/bin/nextlabel", sys.executable), encoding="utf-8")
    command = [analyze or "true", "verify", str(installed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
