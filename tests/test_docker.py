"""What could silently break in the Dockerfile and in docker-compose.yml; needs no Docker."""

import json
import re
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
NOT_SETTINGS = {"HF_TOKEN"}  # read by the hub's client, not by us


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
