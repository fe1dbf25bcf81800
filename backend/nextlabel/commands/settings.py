"""Prints every setting with the value that it has now, from the environment and .env; secrets are masked."""

from collections.abc import Sequence

from nextlabel.commands._common import new_parser
from nextlabel.settings import load_settings, settings_page


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and print."""
    parser = new_parser("nextlabel settings", __doc__)
    parser.add_argument("--markdown", action="store_true", help="print the page docs/settings.md: what each is for")
    if parser.parse_args(arguments).markdown:
        print(settings_page(), end="")
    else:
        print(*load_settings().lines(), sep="\n")
