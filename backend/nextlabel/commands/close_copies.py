"""Closes the tasks whose text is a copy of a labelled one: nobody needs to label them. --undo opens them again."""

import argparse
from collections.abc import Sequence

from nextlabel.commands._common import studio_from_settings
from nextlabel.labelstudio.closing import close_copies, open_copies


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, close or open, print."""
    parser = argparse.ArgumentParser(prog="nextlabel close-copies", description=__doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, only say which tasks it would be")
    parser.add_argument(
        "--undo", action="store_true", help="open all copies that are closed though nobody answered or skipped them"
    )
    options = parser.parse_args(arguments)
    work, word = (open_copies, "opened") if options.undo else (close_copies, "closed")
    tasks = work(studio_from_settings(), options.project, options.dry_run)
    which = f": {', '.join(map(str, tasks))}" if options.dry_run and tasks else ""
    print(f"project {options.project}: {'would have ' if options.dry_run else ''}{word} {len(tasks)} tasks{which}")
