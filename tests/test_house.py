"""The house as it stands at run time. Who may import whom is import-linter's to judge (pyproject.toml)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.packages import SERVER_PACKAGES
from helpers.paths import ROOT
from nextlabel.lab.sandbox import free_port

PACKAGE = ROOT / "backend" / "nextlabel"
WINGS = sorted(directory.name for directory in PACKAGE.iterdir() if (directory / "__init__.py").exists())

# What runs on a machine with torch and transformers alone.
MODULES = [
    ".".join(path.relative_to(ROOT / "backend").with_suffix("").parts)
    for wing in ("values", "model", "learning", "simulation")
    for path in sorted((PACKAGE / wing).rglob("*.py"))
    if path.stem != "__init__"
] + ["nextlabel.lab.benchmark.run"]


def imports(path: Path) -> set[tuple[str, str]]:
    """Every (wing, module) of ours that a file imports, inside functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nextlabel."):
            _, wing, *module = str(node.module).split(".")
            names = module[:1] or [alias.name for alias in node.names]
            found |= {(wing, name) for name in names if wing in WINGS}
    return found


def face(wing: str) -> set[str]:
    """The modules of a wing that others may use, as its `__init__` names them."""
    tree = ast.parse((PACKAGE / wing / "__init__.py").read_text(encoding="utf-8"))
    named = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    return {str(name) for value in named for name in ast.literal_eval(value)}


# Measurements look inside what they measure.
@pytest.mark.parametrize("wing", sorted(set(WINGS) - {"lab", "commands"}))
def test_a_wing_uses_of_others_only_what_their_faces_name(wing: str) -> None:
    used = {found for path in (PACKAGE / wing).rglob("*.py") for found in imports(path)}
    hidden = {f"{other}.{module}" for other, module in used if other != wing and module not in face(other)}
    assert sorted(hidden) == []


@pytest.mark.parametrize("wing", WINGS)
def test_a_face_names_modules_that_exist(wing: str) -> None:
    there = {path.stem for path in (PACKAGE / wing).iterdir()}
    assert face(wing) <= there


def test_what_an_answer_looks_like_in_label_studio_is_known_in_one_wing() -> None:
    exports = PACKAGE / "simulation" / "datasets" / "exports.py"  # reads files that Label Studio exported
    knowing = {path for path in PACKAGE.rglob("*.py") if '"from_name"' in path.read_text() and path != exports}
    assert {path.relative_to(PACKAGE).parts[0] for path in knowing} == {"labelstudio"}


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.usefixtures("patience")
def test_what_simulates_imports_where_no_server_package_is_installed() -> None:
    code = f"""
import importlib, sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SERVER_PACKAGES!r}:
            raise ImportError(name)

sys.meta_path.insert(0, Wall())
for name in {MODULES!r}:
    importlib.import_module(name)
for package in {SERVER_PACKAGES!r}:
    try:
        importlib.import_module(package)
    except ImportError:
        print("no", package)
"""
    assert python(code).splitlines() == [f"no {package}" for package in SERVER_PACKAGES]


@pytest.mark.usefixtures("patience")
def test_the_web_process_starts_without_what_is_slow_to_import() -> None:
    slow = {"torch", "transformers", "pandas", "label_studio_sdk.client"}
    loaded = python("import nextlabel.web.app, sys; print(*sys.modules)").split()
    assert "nextlabel.web.app" in loaded
    assert slow & set(loaded) == set()


@pytest.mark.usefixtures("patience")
def test_whoever_names_no_cluster_never_imports_ray() -> None:
    modules = "nextlabel.loop.trainer, nextlabel.loop.elsewhere, nextlabel.simulation.on_cluster"
    loaded = python(f"import {modules}, sys; print(*sys.modules)").split()
    assert "nextlabel.compute.cluster" in loaded
    assert {"ray", "grpc"} & set(loaded) == set()


def test_a_head_is_read_without_torch() -> None:
    loaded = python("import nextlabel.learning.heads, sys; print(*sys.modules)").split()
    assert {"torch", "transformers", "sklearn", "scipy"} & set(loaded) == set()


@pytest.mark.usefixtures("patience")
def test_to_speak_to_label_studio_pandas_is_not_needed() -> None:
    code = f"""
import sys
from nextlabel.errors import StudioError
from nextlabel.labelstudio.client import LabelStudioClient
try:
    LabelStudioClient("http://127.0.0.1:{free_port(18000)}", "a legacy token").version()
except StudioError as error:
    print(error)
print("pandas" in sys.modules)
"""
    said, loaded = python(code).splitlines()
    assert "does not answer" in said
    assert loaded == "False"
