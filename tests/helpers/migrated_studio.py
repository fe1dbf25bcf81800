"""Label Studio's program, whose first start takes no longer than any other: in an empty directory it finds a data base
that `scripts/setup dev` has migrated once for all tests."""

from pathlib import Path

# Our servers have a home of their own, which their data lie in.
PROGRAM = """#!/bin/sh
[ -e "$HOME/label_studio.sqlite3" ] || cp '{migrated}' "$HOME/label_studio.sqlite3"
exec '{program}' "$@"
"""


def migrated_program(program: str, directory: Path) -> str:
    """The program, made in `directory`; `program` itself where there is no such data base beside it."""
    migrated = Path(program).parents[1] / "migrated.sqlite3"
    if not migrated.exists():
        return program
    made = directory / "label-studio"
    made.write_text(PROGRAM.format(migrated=migrated, program=program))
    made.chmod(0o755)
    return str(made)
