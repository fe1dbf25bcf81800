"""Fits a project's last version, on everything, the control set and the holdout too, and writes it as a checkpoint.

Nothing is left to judge it by, so it never enters the queue: what is known of the versions before is all that is known.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, owner_of, owner_options
from nextlabel.loop.finishing import write_final
from nextlabel.settings import load_settings
from nextlabel.versions.registry import Registry


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, fit, write."""
    parser = new_parser("nextlabel final", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a directory that does not exist yet")
    owner_options(parser)
    options = parser.parse_args(arguments)
    owner = owner_of(options)
    settings = load_settings()
    labels = write_final(settings, Registry(settings.model_dir), options.project, options.out, owner=owner)
    print(f"wrote a version that was fitted on all {labels} labels, and judged by none, to {options.out}")
