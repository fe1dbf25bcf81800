"""Writes a project's version, with its newest head, as a checkpoint that plain transformers loads."""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser
from nextlabel.errors import BadSettingError
from nextlabel.settings import load_settings
from nextlabel.versions import promotion
from nextlabel.versions.exporting import export
from nextlabel.versions.registry import Registry


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and export."""
    parser = new_parser("nextlabel export", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument("--version", help="name or number of the version (default: the active one)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a directory that does not exist yet")
    options = parser.parse_args(arguments)
    settings = load_settings()
    registry = Registry(settings.model_dir)
    current = registry.current(options.project)
    if current is None:
        raise BadSettingError(
            f"MODEL_DIR={settings.model_dir} holds no version of project {options.project}, but projects "
            f"{registry.projects()}. Set MODEL_DIR to the backend's, and --project to the number in its address."
        )
    version = promotion.named(registry, options.project, options.version) if options.version else current
    print(f"wrote {export(settings, registry, options.project, version, options.out)} to {options.out}")
