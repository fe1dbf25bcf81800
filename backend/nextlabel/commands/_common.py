"""What several commands need."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nextlabel.errors import BadSettingError
from nextlabel.store.files import replace_file

if TYPE_CHECKING:
    from nextlabel.labelstudio.client import LabelStudioClient
    from nextlabel.versions.model_card import Owner


def new_parser(prog: str, description: str | None) -> argparse.ArgumentParser:
    """A parser whose help keeps the lines of the module's docstring."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=prog, description=description, formatter_class=formatter)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def whole_number(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def agreed(what: str, yes: bool) -> bool:
    """Whether a person wants what is about to be done, at the terminal or with --yes. Raises `BadSettingError` where
    nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise BadSettingError(f"{what} Nobody can be asked here whether that is wanted: run it again with --yes.")
    print(f"{what} Go on? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def owner_options(parser: argparse.ArgumentParser) -> None:
    """What only the owner can say of a classifier that is taken away."""
    parser.add_argument("--license", default="", help='of the classifier, such as "apache-2.0", or "other"')
    parser.add_argument("--license-name", default="", help="of another licence")
    parser.add_argument("--license-link", default="", help="where that can be read")
    parser.add_argument("--language", action="append", default=[], metavar="CODE", help='of the texts, such as "en"')


def owner_of(options: argparse.Namespace) -> "Owner":
    """As it was given. Raises `BadSettingError` when that cannot be."""
    from nextlabel.versions.model_card import Owner

    return Owner(options.license, options.license_name, options.license_link, tuple(options.language))


def write_json(out: Path | None, result: object) -> None:
    """All numbers, into the file that --out names, if it names one."""
    write_text(out, json.dumps(result, indent=1) + "\n")


def write_text(out: Path | None, text: str) -> None:
    """Into the file that --out names, if it names one; its directory is made. Raises `OSError`."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, text)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """In columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show(line: str) -> None:
    """What is being done, apart from what is printed for others to read."""
    print(line, file=sys.stderr, flush=True)


def studio_from_settings() -> "LabelStudioClient":
    """A client for LABEL_STUDIO_URL with LABEL_STUDIO_API_KEY, from the environment or `.env`."""
    # Here, because the simulation runs where neither the settings' library nor Label Studio's SDK is installed.
    from nextlabel.labelstudio.client import LabelStudioClient
    from nextlabel.settings import load_settings

    settings = load_settings()
    return LabelStudioClient(str(settings.label_studio_url), settings.label_studio_api_key.get_secret_value())


def default_model() -> str:
    """The small checkpoint of the demo. The demo needs Label Studio's SDK; where a model is named, nothing does."""
    from nextlabel.lab.demo import small_checkpoint

    return str(small_checkpoint())
