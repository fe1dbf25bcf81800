"""The manifests for Kubernetes: that its schemas take them, and that they are what Compose runs; needs no cluster."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

from helpers.paths import ROOT
from nextlabel.labelstudio.connection import checked_url
from nextlabel.settings import Settings

ROOMS = [ROOT / "docs" / "kubernetes" / name for name in ("base", "ray")]
BASE, RAY = ROOMS
PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
KUSTOMIZATIONS: dict[str, Any] = {
    room.name: yaml.safe_load((room / "kustomization.yaml").read_text(encoding="utf-8")) for room in ROOMS
}
IMAGE: dict[str, Any] = yaml.safe_load((BASE.parent / "image" / "kustomization.yaml").read_text(encoding="utf-8"))
MANIFESTS: list[dict[str, Any]] = [
    manifest
    for room in ROOMS
    for path in sorted(room.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
OLDEST, NEWEST = "1.28", "1.37"
OF_THE_HUB = {"HF_TOKEN"}  # read by its client, not by us


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in MANIFESTS if one["kind"] == kind}


RAY_CLUSTER = of_kind("RayCluster")["nextlabel"]
RAY_TEMPLATES = [RAY_CLUSTER["spec"]["headGroupSpec"], *RAY_CLUSTER["spec"]["workerGroupSpecs"]]
PODS: dict[str, dict[str, Any]] = {
    **{name: found["spec"]["template"]["spec"] for name, found in of_kind("StatefulSet").items()},
    "ray head": RAY_TEMPLATES[0]["template"]["spec"],
    "ray worker": RAY_TEMPLATES[1]["template"]["spec"],
}
CONTAINERS: dict[str, dict[str, Any]] = {
    one["name"]: one for pod in PODS.values() for one in [*pod.get("initContainers", ()), *pod["containers"]]
}
OURS = ["web", "trainer"]


def variables(path: Path) -> dict[str, str]:
    """What a file of variables says."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def default(text: str) -> str:
    """What Compose takes for `${NAME:-text}` with an empty .env."""
    while (shorter := re.sub(r"\$\{\w+:-([^${}]*)\}", r"\1", text)) != text:
        text = shorter
    return text


def ports(container: str) -> dict[str, int]:
    return {one["name"]: one["containerPort"] for one in CONTAINERS[container].get("ports", ())}


def probed_ports(container: str) -> Iterator[str]:
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = CONTAINERS[container].get(kind, {})
        yield from (probe[way]["port"] for way in ("httpGet", "tcpSocket") if way in probe)


# Schemas


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_the_manifests(version: str) -> None:
    pods = [{"apiVersion": "v1", "kind": "PodTemplate", "template": one["template"]} for one in RAY_TEMPLATES]
    known = [one for one in MANIFESTS if one is not RAY_CLUSTER]
    assert len(known) > 10
    assert {validate(one, version, strict=True) for one in [*known, *pods]} == {version}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_kustomization_names_all_that_lies_beside_it(room: Path) -> None:
    said = KUSTOMIZATIONS[room.name]
    files = {path.name for path in room.glob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in said["resources"] if name != "../base"} == files
    assert ("../base" in said["resources"]) == (room is RAY)
    assert said["namespace"] == "nextlabel"
    generated = [env for one in said.get("configMapGenerator", ()) for env in one.get("envs", ())]
    assert all((room / env).is_file() for env in generated)


def image_in(room: str, container: str, named: str) -> str:
    """What a container's image is called in a directory, with `named` in the place for it: what lies beneath a
    kustomization is renamed first, and has another name when its own turn comes."""
    said, own = KUSTOMIZATIONS[room], IMAGE["images"][0]["name"]
    beneath = "../base" in said["resources"] and container in OURS
    found = str(image_in("base", container, named) if beneath else CONTAINERS[container]["image"])
    assert "images" not in said, "a second place to edit"
    return named if said["components"] == ["../image"] and found == own else found


def test_the_image_is_named_in_one_place_for_whatever_runs_it() -> None:
    named = "registry.example.com/nextlabel"
    assert {image_in("base", container, named) for container in OURS} == {named}
    assert {image_in("ray", container, named) for container in [*OURS, "ray-head", "ray-worker"]} == {named}
    assert IMAGE["kind"] == "Component"
    assert PAGE.count("`image/kustomization.yaml`") == 3


def test_what_a_pod_reads_is_made() -> None:
    made = {
        (kind, one["name"]) for kind in ("configMap", "secret") for one in KUSTOMIZATIONS["base"][f"{kind}Generator"]
    }
    read = {
        (kind.removesuffix("Ref"), source[kind]["name"])
        for container in CONTAINERS.values()
        for source in container.get("envFrom", ())
        for kind in source
    }
    assert read == made


# As in Compose


@pytest.mark.parametrize(("container", "service"), [("web", "backend"), ("trainer", "trainer")])
def test_a_container_of_ours_does_what_composes_does(container: str, service: str) -> None:
    ours, composed = CONTAINERS[container], COMPOSE[service]
    [image] = IMAGE["images"]
    assert ours["args"] == composed["command"]
    assert "command" not in ours, "the image's entrypoint"
    assert ours["image"] == image["name"]
    assert f"{image['newName']}:{image['newTag']}" == composed["image"]
    mounts = {one["mountPath"]: one["name"] for one in ours["volumeMounts"]}
    assert mounts == {"/data": "data", "/tmp": "tmp"}
    assert "MODEL_DIR=/data" in DOCKERFILE
    assert f"{PODS['nextlabel']['terminationGracePeriodSeconds']}s" == composed["stop_grace_period"]


@pytest.mark.parametrize(
    ("container", "service"), [("label-studio", "label-studio"), ("kept-data", "label-studio"), ("postgresql",) * 2]
)
def test_the_images_of_others_are_composes(container: str, service: str) -> None:
    assert CONTAINERS[container]["image"] == default(COMPOSE[service]["image"])


def test_label_studio_gets_the_variables_that_it_gets_in_compose(tmp_path: Path) -> None:
    composed = {key: default(str(value)) for key, value in COMPOSE["label-studio"]["environment"].items()}
    told, secrets = variables(BASE / "label-studio.env"), variables(written(tmp_path) / "label-studio.secrets")
    assert {key: composed[key] for key in told} == told
    assert composed.keys() == told.keys() | secrets.keys()
    assert told["POSTGRE_HOST"] in of_kind("Service")


def test_every_variable_of_ours_is_a_setting(tmp_path: Path) -> None:
    told = variables(BASE / "nextlabel.env")
    [merged] = KUSTOMIZATIONS["ray"]["configMapGenerator"]
    literals = dict(one.split("=", 1) for one in merged["literals"])
    secrets = variables(written(tmp_path) / "nextlabel.secrets")
    given = {key.lower(): value for key, value in {**told, **literals, **secrets}.items()}
    assert given.keys() <= Settings.model_fields.keys()
    settings = Settings(_env_file=None, **given)
    assert settings.ray_address == f"ray://{RAY_CLUSTER['metadata']['name']}-head-svc:{ports('ray-head')['client']}"
    assert str(settings.label_studio_url) == default(COMPOSE["backend"]["environment"]["LABEL_STUDIO_URL"]) + "/"
    assert not told.keys() & secrets.keys()


def test_every_name_in_capitals_on_the_page_is_a_variable() -> None:
    threads = CONTAINERS["trainer"]["env"][0]["name"]
    known = {name.upper() for name in Settings.model_fields} | COMPOSE["label-studio"]["environment"].keys()
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", PAGE))
    assert named - known == OF_THE_HUB | {"POSTGRES_PASSWORD", threads}


def test_ports_are_the_images_and_what_is_probed_is_there() -> None:
    exposed = int(re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[0])
    assert ports("web") == {"http": exposed} == {"http": Settings.model_fields["port"].default}
    for name, service in of_kind("Service").items():
        there = {key: value for one in PODS[name]["containers"] for key, value in ports(one["name"]).items()}
        assert {one["port"] for one in service["spec"]["ports"]} == set(there.values())
        assert {one.get("targetPort", one["name"]) for one in service["spec"]["ports"]} == there.keys()
    for name in CONTAINERS:
        assert set(probed_ports(name)) <= ports(name).keys()
    assert not list(probed_ports("trainer")), "it serves none"
    for container, check in (("web", DOCKERFILE), ("label-studio", str(COMPOSE["label-studio"]["healthcheck"]))):
        path = CONTAINERS[container]["readinessProbe"]["httpGet"]["path"]
        assert f"http://localhost:{ports(container)['http']}{path}'" in check
    assert (
        CONTAINERS["postgresql"]["readinessProbe"]["exec"]["command"]
        == COMPOSE["postgresql"]["healthcheck"]["test"][1:]
    )


def test_there_is_one_nextlabel_and_its_processes_share_their_files() -> None:
    spec = of_kind("StatefulSet")["nextlabel"]["spec"]
    assert spec["replicas"] == 1
    assert [one["name"] for one in spec["template"]["spec"]["containers"]] == OURS
    assert spec["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert CONTAINERS["web"]["envFrom"] == CONTAINERS["trainer"]["envFrom"]


# Restricted, and apart


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_may_do_no_more_than_it_needs(pod: str) -> None:
    spec = PODS[pod]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not spec["automountServiceAccountToken"]
    # A Service label-studio would be told as LABEL_STUDIO_PORT=tcp://...
    assert spec["enableServiceLinks"] is False
    volumes = {one["name"] for one in spec.get("volumes", ())} | {"data"}
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        assert {one["name"] for one in container["volumeMounts"]} <= volumes
        own = container["securityContext"]
        assert (own["allowPrivilegeEscalation"], own["capabilities"]) == (False, {"drop": ["ALL"]})
        assert own.get("readOnlyRootFilesystem") or pod == "label-studio", "as in Compose"
        assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("pod", ["nextlabel", "ray head", "ray worker"])
def test_our_image_runs_as_its_own_user(pod: str) -> None:
    context = PODS[pod]["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}" in DOCKERFILE
    assert all(one["image"] == "nextlabel" for one in PODS[pod]["containers"])


def test_policies_speak_of_pods_and_ports_that_are_there() -> None:
    labels = [{"app": name} for name in of_kind("StatefulSet")] + [{"ray.io/cluster": RAY_CLUSTER["metadata"]["name"]}]
    there = {port for name in CONTAINERS for port in ports(name).values()} | {53, 443}
    policies = of_kind("NetworkPolicy")
    assert policies["names-alone"]["spec"]["podSelector"] == {}
    selectors = re.findall(r"'matchLabels': (\{[^}]*\})", str(policies))
    assert {str(label) for label in labels} == set(selectors)
    assert {int(port) for port in re.findall(r"'port': (\d+)", str(policies))} <= there
    for name, found in of_kind("StatefulSet").items():
        assert (
            found["spec"]["template"]["metadata"]["labels"] == {"app": name} == found["spec"]["selector"]["matchLabels"]
        )
        assert policies[name]["spec"]["podSelector"]["matchLabels"] == {"app": name}


# The Ray cluster


def test_the_clusters_ray_is_the_one_that_is_installed() -> None:
    pins = (ROOT / "requirements" / "ray.txt").read_text(encoding="utf-8")
    assert f"ray=={RAY_CLUSTER['spec']['rayVersion']} " in pins
    assert "--build-arg EXTRA=ray" in PAGE
    assert "ARG EXTRA=\n" in DOCKERFILE


def test_a_node_has_the_cores_that_a_task_asks_for() -> None:
    [merged] = KUSTOMIZATIONS["ray"]["configMapGenerator"]
    threads = int(dict(one.split("=", 1) for one in merged["literals"])["COMPUTE_THREADS"])
    assert int(CONTAINERS["ray-worker"]["resources"]["limits"]["cpu"]) % threads == 0
    head, worker = RAY_TEMPLATES
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert worker["rayStartParams"]["node-manager-port"] == str(ports("ray-worker")["node-manager"])


# What the page has people do


def written(directory: Path) -> Path:
    """What the page's script leaves."""
    [script] = [block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "umask" in block]
    told = {"PATH": os.environ["PATH"]}
    subprocess.run(["sh", "-euc", script], check=True, cwd=directory, env=told)
    return directory


def test_the_pages_script_writes_the_secrets_that_are_asked_for(tmp_path: Path) -> None:
    files = {path.name: variables(path) for path in written(tmp_path).iterdir()}
    asked = [env for one in KUSTOMIZATIONS["base"]["secretGenerator"] for env in one["envs"]]
    assert sorted(files) == sorted(asked)
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    assert all(len(value) > 10 for made in files.values() for value in made.values())
    ours, studio, base = files["nextlabel.secrets"], files["label-studio.secrets"], files["postgresql.secrets"]
    assert ours["LABEL_STUDIO_API_KEY"] == studio["LABEL_STUDIO_USER_TOKEN"]
    assert base["POSTGRES_PASSWORD"] == studio["POSTGRE_PASSWORD"]
    assert "*.secrets" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_label_studio_takes_the_address_of_the_page_for_a_webhook() -> None:
    addresses = set(re.findall(r"--backend-url (\S+)", PAGE))
    assert addresses == {f"http://nextlabel.{KUSTOMIZATIONS['base']['namespace']}.svc:{ports('web')['http']}"}
    assert {checked_url(address) for address in addresses} == addresses
    assert of_kind("Service").keys() >= {"nextlabel"}


def kept_data(volume: Path) -> "subprocess.CompletedProcess[str]":
    """Run what runs before Label Studio, on a directory in the place of its volume."""
    container = CONTAINERS["kept-data"]
    script = container["args"][0].replace("/label-studio/data", str(volume))
    return subprocess.run([*container["command"], script], check=False, capture_output=True, text=True)


def test_a_volume_with_labels_in_sqlite_is_refused(tmp_path: Path) -> None:
    assert kept_data(tmp_path).returncode == 0
    (tmp_path / "label_studio.sqlite3").write_text("one that was moved, and left behind")
    assert kept_data(tmp_path).returncode == 0
    (tmp_path / "data-base").unlink()
    refused = kept_data(tmp_path)
    assert refused.returncode == 1
    assert "its labels are in SQLite" in refused.stderr
    assert not (tmp_path / "data-base").exists()
