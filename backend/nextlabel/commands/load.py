"""Loads the whole system: annotators at human pace on a real Label Studio, bursts of /predict, webhooks during a fit.

First the annotators work on a project without a backend, then on one in a fixed order, and then on one with the
backend, so that their waits can be compared. Afterwards all labels and the queue are looked at. Prints Markdown tables;
exit code 1 if a label was lost or a request failed. Needs the extra `lab`.

With --beside the same on SQLite and on PostgreSQL in turns; given again with the same --out, it goes on with the rest.
"""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, write_json
from nextlabel.errors import of_extra


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, load, print; returns the exit code."""
    parser = new_parser("nextlabel load", __doc__)
    parser.add_argument("--annotators", type=positive, default=50, help="(default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=15, help="with us (default: %(default)s)")
    parser.add_argument("--minutes-without", type=float, help="each without us, before that (default: a fifth)")
    parser.add_argument("--think", type=float, default=15, help="median seconds on a task (default: %(default)s)")
    parser.add_argument("--burst", type=int, default=200, help="/predict requests at once (default: %(default)s)")
    parser.add_argument("--mrpc-dir", type=Path, metavar="DIR", help="the official MRPC files (default: our own pairs)")
    parser.add_argument("--base-model", type=Path, metavar="DIR", help="a checkpoint (default: all-MiniLM-L6-v2)")
    parser.add_argument("--labels", type=positive, default=64, help="labels per fit (default: %(default)s)")
    parser.add_argument("--steps", type=positive, default=60, help="optimiser steps per fit (default: %(default)s)")
    parser.add_argument("--window", type=positive, default=128, help="published tasks (default: %(default)s)")
    parser.add_argument(
        "--beside", metavar="URL", help="a PostgreSQL server: postgresql://USER:PASSWORD@HOST:PORT/postgres"
    )
    parser.add_argument("--turns", type=positive, default=1, help="with --beside (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="file for all numbers")
    options = vars(parser.parse_args(arguments))
    out, beside, turns = options.pop("out"), options.pop("beside"), options.pop("turns")
    if options["minutes_without"] is None:
        options["minutes_without"] = options["minutes"] / 5
    with of_extra("lab", "nextlabel load"):
        from nextlabel.lab import load, load_beside

    plan = load.LoadPlan(**options)
    if beside:
        runs = load_beside.measure_beside(plan, beside, turns, out)
        print("\n".join(load_beside.report(runs)))
        return 1 if any(result["problems"] for result in runs.values()) else 0
    result = load.measure(plan)
    write_json(out, result)
    print("\n".join(load.report(result)))
    return 1 if result["problems"] else 0
