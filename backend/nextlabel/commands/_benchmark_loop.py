"""Measures the live loop: how soon labels order the queue, and what each served task's order did not know.

Scripted annotators label what a real Label Studio serves them, with a backend of this build and, in turns, one of an
older checkout. Prints a Markdown table.
"""

import argparse
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nextlabel.commands._common import default_model, new_parser, positive, show, write_json
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.corpora import corpus_without_hub, recombined
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs

FULL = {"pace": 5.0, "seconds": 900, "start": 64, "fit_every": 64, "fit_steps": 343}
QUICK = {"pace": 2.0, "seconds": 55, "start": 32, "fit_every": 12, "fit_steps": 90}
QUICK_S = 330.0  # then it ends soon, with fewer labels on a slow machine


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, measure, write, print."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the servers that were started are to end, too
    from nextlabel.lab.loop_benchmark import material, report, run
    from nextlabel.lab.loop_benchmark.builds import older_build, this_build

    plan = run.LoopPlan(
        base_model=options.base_model or default_model(),
        annotators=options.annotators,
        pace_s=options.pace,
        seconds=options.seconds,
        turns=options.turns,
        fit_every=options.fit_every,
        fit_steps=options.fit_steps,
        learning_rate=options.lr,
        limit_s=QUICK_S if options.quick else None,
        postgresql=options.postgresql,
    )
    builds = [this_build(), *([older_build(options.against)] if options.against else [])]
    result = run.measure(plan, material.of_size(*read_data(options), options.start, plan.labels), builds, show)
    print(report.to_markdown(result))
    write_json(options.out, result)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """All options, those that were not given as --quick or its absence has them."""
    parser = new_parser("nextlabel benchmark --loop", __doc__)
    parser.add_argument("--loop", action="store_true", help="this measurement")
    parser.add_argument("--quick", action="store_true", help="under 6 minutes on 2 cores, an older build included")
    parser.add_argument("--against", type=Path, metavar="DIR", help="an older checkout, measured in turns")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--mrpc-dir", type=Path, metavar="DIR", help="the official MRPC files (default: our own pairs)")
    source.add_argument("--corpus", type=Path, metavar="DIR", help="a corpus of fetch-corpora")
    parser.add_argument("--pool", type=positive, help="texts to choose from; more pairs are made by recombining")
    parser.add_argument("--base-model", metavar="NAME", help="hub name or directory (default: all-MiniLM-L6-v2)")
    parser.add_argument("--lr", type=float, default=1e-4, help="learning rate of fits (default: %(default)s)")
    parser.add_argument("--annotators", type=positive, default=1, help="who label side by side (default: %(default)s)")
    parser.add_argument("--pace", type=float, help=f"seconds on a label {_defaults('pace')}, give or take a half")
    parser.add_argument("--seconds", type=positive, help=f"of labelling in each turn {_defaults('seconds')}")
    parser.add_argument("--turns", type=positive, default=1, help="of each build (default: %(default)s)")
    parser.add_argument("--start", type=positive, help=f"labels that are imported {_defaults('start')}")
    parser.add_argument("--fit-every", type=positive, help=f"FIT_EVERY of each build {_defaults('fit_every')}")
    parser.add_argument("--fit-steps", type=positive, help=f"FIT_STEPS of each build {_defaults('fit_steps')}")
    parser.add_argument(
        "--postgresql",
        default="",
        metavar="URL",
        help="have Label Studio use this empty data base, postgresql://USER:PASSWORD@HOST:PORT/NAME (default: SQLite)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="all numbers, and each served task")
    options = parser.parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.pace <= 0:
        parser.error(f"--pace {options.pace:g} is not a number of seconds above 0")
    return options


def _defaults(name: str) -> str:
    return f"(default: {FULL[name]:g}; quick: {QUICK[name]:g})"


def read_data(options: argparse.Namespace) -> tuple[TextSet, int | None]:
    """The corpus, and how many of its texts are taken."""
    if options.corpus:
        return fetched.read_single(options.corpus)[0], options.pool
    corpus = corpus_without_hub(options.mrpc_dir)
    if options.mrpc_dir:
        corpus = replace(corpus, source="MRPC, the official files")  # wherever they lie
    if options.pool and options.pool > len(corpus.train):
        corpus = recombined(corpus, options.pool)
    return of_pairs(corpus), options.pool
