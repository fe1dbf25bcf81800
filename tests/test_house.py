"""Who may import whom. A room imports only from rooms below it; what is heavy or foreign has one room."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from nextlabel.lab.sandbox import free_port

ROOT = Path(__file__).parent.parent
BACKEND = ROOT / "backend"

# The table in ARCHITECTURE.md is the law: | layer | `module` | what it owns |
TABLE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
LAYER = {module: int(layer) for layer, module in re.findall(r"^\| (\d+) \| `(\w+)` \|", TABLE, re.MULTILINE)}

# The part of the program that runs on a machine with torch and transformers alone.
MODEL_ROOMS = ("classifier", "acquisition", "diversity", "metrics", "learning", "batching", "devices", "examples")
MODEL_ROOMS += ("hub", "encoder", "corpora", "textsets", "records", "simulation", "experiment")
MODEL_ROOMS += ("curves", "findings", "figures", "document", "reporting", "benchmark")
SERVER_PACKAGES = ("flask", "label_studio_sdk", "huey", "gunicorn", "prometheus_client", "pydantic_settings")
SERVER_PACKAGES += ("lxml", "defusedxml", "jwt", "datasets")


def imported_modules(source: str) -> set[str]:
    """Full names of all that a module imports, at the top, inside functions and for type checkers alike."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(filter(None, ("backend" if node.level else "", node.module)))
            found |= {package} | {f"{package}.{alias.name}" for alias in node.names}
    return found


def rooms_in(imported: set[str]) -> set[str]:
    return {name.split(".")[1] for name in imported if name.startswith("backend.")} & set(LAYER)


def edges() -> set[tuple[str, str]]:
    """Every (importer, imported) among the modules of the backend."""
    return {
        (path.stem, room)
        for path in BACKEND.glob("*.py")
        if path.stem in LAYER
        for room in rooms_in(imported_modules(path.read_text(encoding="utf-8")))
    }


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
import nextlabel.errors
from backend import __version__, classifier as classifiers
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from nextlabel.store.pool import Pool
def later():
    from .jobs import JobQueue
    from . import web
"""
    assert rooms_in(imported_modules(source)) == {"errors", "classifier", "pool", "jobs", "web"}


def test_every_module_has_its_layer() -> None:
    assert {path.stem for path in BACKEND.glob("*.py")} - {"__init__"} == set(LAYER)


def test_a_room_imports_only_from_rooms_below_it() -> None:
    upward = {(importer, imported) for importer, imported in edges() if LAYER[importer] <= LAYER[imported]}
    assert sorted(upward) == []


def test_the_model_rooms_import_where_no_server_package_is_installed() -> None:
    code = f"""
import importlib, sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SERVER_PACKAGES!r}:
            raise ImportError(name)

sys.meta_path.insert(0, Wall())
for room in {MODEL_ROOMS!r}:
    importlib.import_module("backend." + room)
for package in {SERVER_PACKAGES!r}:
    try:
        importlib.import_module(package)
    except ImportError:
        print("no", package)
"""
    assert python(code).splitlines() == [f"no {package}" for package in SERVER_PACKAGES]


def test_the_web_process_starts_without_what_is_slow_to_import() -> None:
    slow = {"torch", "transformers", "pandas", "label_studio_sdk.client"}
    loaded = python("import nextlabel.web.app, sys; print(*sys.modules)").split()
    assert "nextlabel.web.app" in loaded
    assert slow & set(loaded) == set()


def test_to_speak_to_label_studio_pandas_is_not_needed() -> None:
    code = f"""
import sys
from nextlabel.errors import StudioError
from nextlabel.labelstudio.client import Studio
try:
    Studio("http://127.0.0.1:{free_port(18000)}", "a legacy token").version()
except StudioError as error:
    print(error)
print("pandas" in sys.modules)
"""
    said, loaded = python(code).splitlines()
    assert "does not answer" in said
    assert loaded == "False"
