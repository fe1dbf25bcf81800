"""What could silently break in the Dockerfile and in docker-compose.yml; needs no Docker."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.paths import ROOT
from nextlabel.settings import Settings, for_project
from nextlabel.values.options import LATEST, OF_0_1_0, ProjectOptions

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FINAL_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
TRAINERS = ["trainer", "trainer-gpu"]
OURS = ["backend", *TRAINERS]
NOT_SETTINGS = {"HF_TOKEN", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}  # read by the hub's client and by Ray, not by us


def environment(service: str) -> dict[str, str]:
    """The variables of a service, as written."""
    return dict(SERVICES[service]["environment"])


def instruction(name: str, text: str = FINAL_STAGE) -> str:
    """The argument of the last such instruction, its lines joined."""
    return str(re.findall(rf"^{name} (.+)$", text.replace("\\\n", " "), re.MULTILINE)[-1])


@pytest.mark.parametrize("switch", ["ML_BLOCK_LOCAL_IP", "SSRF_PROTECTION_ENABLED"])
def test_label_studio_may_call_private_addresses(switch: str) -> None:
    assert environment("label-studio")[switch] == "false"


def test_the_backend_has_a_name_that_label_studio_takes_for_a_webhook() -> None:
    assert any("." in alias for alias in SERVICES["backend"]["networks"]["default"]["aliases"])


@pytest.mark.parametrize("service", OURS)
def test_every_variable_of_the_backend_is_a_setting(service: str) -> None:
    known = {name.upper() for name in Settings.model_fields}
    assert set(environment(service)) - known <= NOT_SETTINGS


def test_every_setting_can_be_set_in_compose() -> None:
    fixed_by_the_image = {"HOST", "PORT", "MODEL_DIR"}
    known = {name.upper() for name in Settings.model_fields}
    assert known - fixed_by_the_image <= set(environment("trainer"))


def test_rays_token_can_be_set_in_compose() -> None:
    told = environment("trainer")
    assert (told["RAY_AUTH_MODE"], told["RAY_AUTH_TOKEN"]) == ("${RAY_AUTH_MODE:-disabled}", "${RAY_AUTH_TOKEN:-}")


@pytest.mark.parametrize("service", OURS)
def test_the_defaults_in_compose_are_those_of_the_settings(service: str) -> None:
    own_values = {"LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"}
    defaults: dict[str, Any] = {}
    for key, text in environment(service).items():
        if key not in own_values | NOT_SETTINGS:
            match = re.fullmatch(rf"\$\{{{key}:-(.*)\}}", text)
            assert match, f"{key}={text} is not read from .env with a default"
            if match[1]:  # what is empty counts as not set
                defaults[key.lower()] = match[1]
    made = Settings(_env_file=None, **defaults)
    assert {k: getattr(made, k) for k in defaults} == {k: Settings.model_fields[k].default for k in defaults}


@pytest.mark.parametrize("service", OURS)
def test_compose_hides_nothing_that_is_built_in_from_a_project(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, text in environment(service).items():
        monkeypatch.setenv(key, re.sub(r"\$\{\w+:-(.*?)\}+$", r"\1", text))  # as with an empty .env
    for defaults in (OF_0_1_0, LATEST):
        own = for_project(Settings(_env_file=None), ProjectOptions(defaults=defaults))
        assert set(own.sources.values()) == {"built in"}


@pytest.mark.parametrize("service", TRAINERS)
def test_the_trainer_is_not_published(service: str) -> None:
    assert "ports" not in SERVICES[service]


def test_what_is_published_is_for_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in ports)


def test_web_process_and_trainer_share_their_data() -> None:
    assert [SERVICES[service]["volumes"] for service in OURS] == [["nextlabel-data:/data"]] * 3


def test_there_is_never_more_than_one_trainer() -> None:
    assert [SERVICES[service]["profiles"] for service in TRAINERS] == [["cpu"], ["gpu"]]
    assert SERVICES["trainer"]["container_name"] == SERVICES["trainer-gpu"]["container_name"]


@pytest.mark.parametrize("service", TRAINERS)
def test_the_trainer_is_not_asked_for_a_port_it_does_not_serve(service: str) -> None:
    assert SERVICES[service]["healthcheck"] == {"disable": True}


def test_each_image_is_built_by_one_service() -> None:
    built = [service["image"] for service in SERVICES.values() if "build" in service]
    assert sorted(built) == ["nextlabel:cpu", "nextlabel:cuda"]


def test_the_image_listens_to_other_containers() -> None:
    assert "HOST=0.0.0.0" in instruction("ENV").split()


@pytest.mark.parametrize("service", OURS)
def test_nothing_is_written_but_the_data_and_scratch(service: str) -> None:
    assert (SERVICES[service]["read_only"], SERVICES[service]["tmpfs"]) == (True, ["/tmp"])


def test_the_image_does_not_run_as_root() -> None:
    assert instruction("USER") not in ("root", "0", "0:0")


def test_the_image_checks_its_health_and_passes_signals_on() -> None:
    assert "http://localhost:9090/health" in instruction("HEALTHCHECK")
    assert json.loads(instruction("ENTRYPOINT")) == ["python", "-m", "nextlabel"]  # the exec form


def test_the_image_is_made_from_the_pins_on_a_base_of_choice() -> None:
    assert DOCKERFILE.index("ARG BASE_IMAGE=") < DOCKERFILE.index("FROM ${BASE_IMAGE}")
    assert "-r /requirements.txt" in DOCKERFILE
    model = ROOT / "requirements" / "model.txt"
    assert len(re.findall(r"^torch==", model.read_text(encoding="utf-8"), re.MULTILINE)) == 1


def test_neither_weights_nor_secrets_get_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line for line in ignored if line.startswith("!")}
    assert "*" in ignored
    sources = {"!pyproject.toml", "!README.md", "!LICENSE", "!backend"}
    assert kept == {"!requirements.txt", "!requirements", *sources}
    assert {"**/*.safetensors", "**/*.bin", "**/*.pt"} <= set(ignored)
    assert not re.search(r"from_pretrained|snapshot_download|hf download", DOCKERFILE)


# Which data base Label Studio starts on

AS_LABEL_STUDIO: dict[str, Any] = {"user": 1001, "group": 0, "extra_groups": []}  # as its image runs


def kept_data(volume: Path, wanted: str = "", profiles: str = "cpu,postgresql") -> "subprocess.CompletedProcess[str]":
    """Run what runs before Label Studio, on a directory in the place of its volume."""
    [script] = SERVICES["kept-data"]["command"]
    told = {"WANTED": wanted or "postgresql", "PROFILES": profiles, "PATH": os.environ["PATH"]}
    # Its user could not enter the directories above.
    command = [*SERVICES["kept-data"]["entrypoint"], script.replace("$$", "$").replace("cd /label-studio/data", ":")]
    somebody: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(volume, AS_LABEL_STUDIO["user"], AS_LABEL_STUDIO["group"])
        somebody = AS_LABEL_STUDIO
    return subprocess.run(
        command, check=False, cwd=volume, env=told, capture_output=True, text=True, umask=0o022, **somebody
    )


def test_a_new_installation_is_on_postgresql_and_stays_there(tmp_path: Path) -> None:
    for _ in range(2):
        assert kept_data(tmp_path).returncode == 0
    (tmp_path / "label_studio.sqlite3").write_text("one that was moved, and left behind")
    assert kept_data(tmp_path).returncode == 0
    shadowing = kept_data(tmp_path, "sqlite")
    assert shadowing.returncode == 1
    assert "its labels are in PostgreSQL. Take LABEL_STUDIO_DB=sqlite out of .env or" in shadowing.stderr
    assert "docker compose down -v: docs/docker.md" in shadowing.stderr


def test_labels_in_sqlite_are_never_hidden_by_an_empty_data_base(tmp_path: Path) -> None:
    (tmp_path / "label_studio.sqlite3").write_text("a data base of release 0.1.0")
    before = kept_data(tmp_path)
    assert before.returncode == 1
    assert "its labels are in SQLite" in before.stderr
    assert "LABEL_STUDIO_DB=sqlite" in before.stderr
    assert kept_data(tmp_path, "sqlite", "cpu").returncode == 0
    assert kept_data(tmp_path).returncode == 1, "it was on SQLite last"
    (tmp_path / "data-base").write_text("postgresql\n")  # as the move leaves it
    assert kept_data(tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("wanted", "profiles", "said"),
    [
        ("", "cpu", "Add postgresql to COMPOSE_PROFILES"),
        ("", "cpu,postgresql-not,scale", "Add postgresql to COMPOSE_PROFILES"),
        ("mysql", "cpu,postgresql", "LABEL_STUDIO_DB=mysql is neither"),
        ("", "postgresql", "no trainer would start, and nothing would ever be learned. Add cpu or gpu"),
        ("sqlite", "scale", "no trainer would start"),
    ],
)
def test_what_would_start_without_a_server_or_a_trainer_is_refused_and_decides_nothing(
    wanted: str, profiles: str, said: str, tmp_path: Path
) -> None:
    ended = kept_data(tmp_path, wanted, profiles)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert not any(tmp_path.iterdir())


def test_label_studio_waits_for_that_look_and_for_its_server() -> None:
    waits = SERVICES["label-studio"]["depends_on"]
    assert waits["kept-data"] == {"condition": "service_completed_successfully"}
    assert waits["postgresql"] == {"condition": "service_healthy", "required": False}
    assert SERVICES["kept-data"]["volumes"] == SERVICES["label-studio"]["volumes"] == SERVICES["move"]["volumes"]
    assert SERVICES["kept-data"]["environment"]["WANTED"] == environment("label-studio")["DJANGO_DB"]
    assert "profiles" not in SERVICES["kept-data"]


def moved(
    volume: Path, tmp_path: Path, runs: bool = False, copies: bool = True, wanted: str = "postgresql"
) -> "subprocess.CompletedProcess[str]":
    """Run what the move runs, on such a volume, with a stand-in for Python: whether Label Studio `runs`, and whether
    the rows could be copied."""
    [script] = SERVICES["move"]["command"]
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" != -c ] || exit {int(not runs)}\necho "$@"\nexit {int(not copies)}\n')
    python.chmod(0o700)
    told = {"TO": "postgresql://there", "WANTED": wanted, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    here = script.replace("$$", "$").replace("/label-studio/data", str(volume))
    command = [*SERVICES["move"]["entrypoint"], here]
    return subprocess.run(command, check=False, env=told, capture_output=True, text=True, umask=0o022)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """With labels in SQLite."""
    made = tmp_path / "volume"
    made.mkdir()
    (made / "label_studio.sqlite3").write_text("labels")
    return made


def test_the_move_writes_what_that_look_reads(volume: Path, tmp_path: Path) -> None:
    assert kept_data(volume).returncode == 1
    ended = moved(volume, tmp_path)
    assert ended.stdout == "-m nextlabel move-to-postgresql --sqlite label_studio.sqlite3 --to postgresql://there\n"
    for _ in range(2):
        assert kept_data(volume).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_label_studios_user_need_not_write_what_the_move_noted_as_root(volume: Path, tmp_path: Path) -> None:
    moved(volume, tmp_path)
    (volume / "data-base").chmod(0o644)
    assert kept_data(volume).returncode == 0


def test_a_move_that_failed_leaves_label_studio_where_it_was(volume: Path, tmp_path: Path) -> None:
    assert moved(volume, tmp_path, copies=False).returncode == 1
    assert kept_data(volume, "sqlite", "cpu").returncode == 0
    (volume / "label_studio.sqlite3").unlink()  # whoever begins anew then, notes it
    assert kept_data(volume).returncode == 0
    assert (volume / "data-base").read_text() == "postgresql\n"


def test_nothing_is_moved_while_label_studio_is_to_go_on_with_sqlite(volume: Path, tmp_path: Path) -> None:
    refused = moved(volume, tmp_path, wanted="sqlite")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "LABEL_STUDIO_DB=sqlite is in .env" in refused.stderr


def test_nothing_is_moved_where_that_could_not_be_noted_or_labels_still_come(volume: Path, tmp_path: Path) -> None:
    running = moved(volume, tmp_path, runs=True)
    assert (running.returncode, running.stdout) == (1, "")
    assert "Stop it, docker compose stop label-studio: docs/docker.md (The data base)." in running.stderr
    (volume / "data-base").mkdir()  # for root, nothing else bars a file
    (tmp_path / "again").mkdir()
    barred = moved(volume, tmp_path / "again")
    assert (barred.returncode, barred.stdout) == (1, "")
    assert "data-base, beside the file, cannot be written." in barred.stderr


def test_the_documented_move_begins_with_the_image_that_knows_it() -> None:
    commands = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8").partition("docker compose stop\n")[2]
    assert commands.startswith("docker compose build backend ")
    assert SERVICES["move"]["image"] == SERVICES["backend"]["image"]


def test_the_move_may_write_into_the_volume_of_another_user() -> None:
    assert (SERVICES["move"]["user"], SERVICES["move"]["cap_add"]) == ("root", ["DAC_OVERRIDE"])


def test_the_documented_backup_takes_the_labels_too_and_brings_them_back() -> None:
    commands = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8").partition("## What is kept")[2]
    server = environment("postgresql")["POSTGRES_USER"]
    assert f"exec -T postgresql pg_dump -U {server} -Fc {environment('label-studio')['POSTGRE_NAME']} >" in commands
    assert f"exec -T postgresql pg_restore -U {server} -d {environment('label-studio')['POSTGRE_NAME']} " in commands


def test_the_move_goes_where_label_studio_looks() -> None:
    told = {key: environment("label-studio")[key] for key in ("POSTGRE_USER", "POSTGRE_PASSWORD", "POSTGRE_HOST")}
    url = "postgresql://{POSTGRE_USER}@{POSTGRE_HOST}:5432/labelstudio"
    assert environment("move")["TO"] == url.format(**told)
    assert environment("move")["PGPASSWORD"] == told["POSTGRE_PASSWORD"], "as it is: @, / and % would change the URL"
