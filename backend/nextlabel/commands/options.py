"""Shows what was decided for one project, or changes it. It is kept in Label Studio, with the project's ML backend.

Every option is shown with where it comes from: the project, the environment of the backend, which is asked for it, or
built in. NAME=VALUE changes one.
"""

import argparse
from collections.abc import Sequence

from nextlabel.commands._common import new_parser, studio_from_settings
from nextlabel.labelstudio.project_options import OTHERS, change, shown
from nextlabel.settings import expected_of, load_settings
from nextlabel.values.options import OWN


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, change, show."""
    expected = {name: expected_of(name) for name in OWN} | {name: words for name, (_, words) in OTHERS.items()}
    known = "\n".join(f"  {name}: {words}" for name, words in expected.items())
    parser = new_parser("nextlabel options", f"{__doc__}\n{known}")
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument(
        "--backend-url", default="", help="where the backend answers from here (default: where Label Studio reaches it)"
    )
    parser.add_argument(
        "changes", nargs="*", type=change_of, metavar="NAME=VALUE", help="an empty VALUE takes the option out"
    )
    options = parser.parse_args(arguments)
    settings, studio = load_settings(), studio_from_settings()
    if options.changes:
        change(studio, settings, options.project, dict(options.changes))
    for line in shown(studio, settings, options.project, options.backend_url):
        print(f"project {options.project}: {line}")


def change_of(text: str) -> tuple[str, str]:
    """The name of an option and its new value."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE, such as window=64")
    return name.strip(), value.strip()
