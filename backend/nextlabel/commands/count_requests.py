"""Counts what a label, a new version and the clock cost in requests and bytes, in pools of several sizes.

Prints a Markdown table; also how fast the first synchronisation is compared with Label Studio's own export.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, write_json
from nextlabel.simulation.datasets.corpora import corpus_without_hub


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, count, print."""
    parser = new_parser("nextlabel count-requests", __doc__)
    parser.add_argument(
        "--pools", type=positive, nargs="+", default=[1000, 10_000], help="sizes (default: %(default)s)"
    )
    parser.add_argument("--mrpc-dir", type=Path, help="directory of the official MRPC files (default: our own pairs)")
    parser.add_argument("--base-model", type=Path, help="directory of a checkpoint (default: the one of the tests)")
    parser.add_argument("--steps", type=positive, default=10, help="optimiser steps per fit (default: %(default)s)")
    parser.add_argument("--labels", type=positive, default=10, help="labels, one at a time (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=2, help="new versions (default: %(default)s)")
    parser.add_argument("--looks", type=positive, default=3, help="checks by the clock (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="file for the numbers, as JSON")
    options = parser.parse_args(arguments)
    from nextlabel.lab.count_requests import CountPlan, count, table

    plan = CountPlan(options.pools, options.base_model, options.steps, options.labels, options.rounds, options.looks)
    counts = []
    for one in count(corpus_without_hub(options.mrpc_dir), plan):
        counts.append(one)
        print(json.dumps(asdict(one)), flush=True)
    write_json(options.out, [asdict(one) for one in counts])
    print(table(counts))
