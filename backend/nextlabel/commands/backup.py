"""Writes what cannot be made again into one archive, a zip file, while the backend runs.

In it: of each project its options as they lie in Label Studio, with the seed of the control set and what the project
was like before it was connected; the cards and lists of labels of its versions; its audits. Not in it: weights, which
the next fit makes again; tasks and labels, which are Label Studio's; settings: keep .env yourself.
"""

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from nextlabel.commands._common import agreed, new_parser, studio_from_settings
from nextlabel.loop.keeping import back_up
from nextlabel.settings import load_settings
from nextlabel.versions.archive import Contents


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, write, say what is in it; the exit code is 1 when a file there is to stay, and when Label
    Studio does not have a project, so that its options are missing."""
    parser = new_parser("nextlabel backup", __doc__)
    now = datetime.now(timezone.utc)
    name = Path(f"nextlabel-backup-{now:%Y%m%dT%H%M%S}.zip")
    parser.add_argument("--out", type=Path, metavar="FILE", default=name, help="the archive (%(default)s)")
    parser.add_argument("--yes", action="store_true", help="do not ask before a file is replaced")
    options = parser.parse_args(arguments)
    settings, studio = load_settings(), studio_from_settings()
    if options.out.exists() and not agreed(f"{options.out} is there and will be replaced.", options.yes):
        return 1
    contents, without = back_up(settings, studio, options.out, now)
    for project in contents.projects:
        why = without.get(project)
        print(f"project {project}: {described(contents, project)}{f' (no options: {why.why})' if why else ''}")
    print(f"{len(contents.projects)} projects of MODEL_DIR={settings.model_dir} are in {options.out}.")
    return int(any(why.unknown for why in without.values()))


def described(contents: Contents, project: int) -> str:
    """What of the project is in an archive."""
    mine = [name.split("/") for name in contents.files if name.split("/")[1] == str(project)]
    cards = sum(name[0] == "models" and name[-1] == "card.json" for name in mine)
    audits = len({name[2] for name in mine if name[0] == "audits"})
    options = "its options, " if project in contents.options else ""
    return f"{options}{cards} cards with their lists of labels, {audits} audits"
