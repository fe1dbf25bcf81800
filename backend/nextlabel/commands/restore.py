"""Brings back what an archive of nextlabel backup holds, after asking if anything would be replaced.

Files go to MODEL_DIR; versions come back as cards and lists of labels without weights, and the next fit makes new ones.
Options go to Label Studio, where the project is connected and the backend runs: if it is not, connect it first, and run
this again. Run it with the same environment (.env) as the backend.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from nextlabel.commands._common import agreed, new_parser, studio_from_settings
from nextlabel.commands.backup import described
from nextlabel.loop.keeping import Plan, plan, restore
from nextlabel.settings import load_settings
from nextlabel.store.jobs import JobQueue

SHOWN = 10  # names of files


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, ask, restore; the exit code is 1 when the person declines, or not all came back."""
    options = _options(arguments)
    settings, studio = load_settings(), studio_from_settings()
    found = plan(settings, studio, options.file)
    for line in told(found):
        print(line)
    if options.dry_run:
        return 0
    if found.overwrites and not agreed("What is there now will be replaced.", options.yes):
        return 1
    jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name)
    restore(settings, studio, jobs, options.file, found)
    print(f"MODEL_DIR={settings.model_dir} holds all files of the archive{' but those' if found.left_out else ''}.")
    return int(bool(found.lost))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = new_parser("nextlabel restore", __doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="the archive")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask before anything is replaced")
    return parser.parse_args(arguments)


def told(found: Plan) -> Iterator[str]:
    """What a restore would do."""
    contents = found.contents
    yield f"The archive is of {contents.made_at}, by release {contents.release}."
    for project in contents.projects:
        yield f"project {project}: {described(contents, project)}"
    same = len(contents.files) - len(found.new) - len(found.replaced) - len(found.left_out)
    yield f"{len(found.new)} files are new here, {same} are the same, {len(found.replaced)} are others and replaced"
    yield from (f"  replaces {name}" for name in found.replaced[:SHOWN])
    if len(found.replaced) > SHOWN:
        yield f"  and {len(found.replaced) - SHOWN} more"
    yield from (f"  leaves out {name}: the project's end has been taken back since" for name in found.left_out)
    for project, names in found.changed.items():
        yield f"project {project}: changes in Label Studio {', '.join(names)}"
    for project, why in found.lost.items():
        yield f"project {project}: its options cannot be restored, as {why}."
