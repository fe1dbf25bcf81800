"""Copies Label Studio's data base from an SQLite file into PostgreSQL: accounts, projects, tasks, labels, everything.

Stop Label Studio first. PostgreSQL must hold Label Studio's empty tables: start it there once, and stop it. The file is
only read. Uploads and its secret key lie beside the file, and stay there. docs/scaling.md has every step.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser
from nextlabel.labelstudio.to_postgresql import move


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, copy, print."""
    parser = new_parser("nextlabel move-to-postgresql", __doc__)
    parser.add_argument(
        "--sqlite", type=Path, required=True, metavar="FILE", help="Label Studio's label_studio.sqlite3"
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="URL",
        help="postgresql://USER:PASSWORD@HOST:PORT/NAME, or without the password, which PGPASSWORD names then",
    )
    options = parser.parse_args(arguments)
    counts = move(options.sqlite, options.to)
    named = {"projects": "project", "tasks": "task", "annotations": "task_completion", "predictions": "prediction"}
    told = ", ".join(f"{counts.get(table, 0)} {name}" for name, table in named.items())
    print(f"copied {told}: {sum(counts.values())} rows of {len(counts)} tables")
