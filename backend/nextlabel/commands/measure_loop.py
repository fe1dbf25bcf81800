"""Measures the live loop on this machine: label to new order, latencies, memory. Prints a Markdown table."""

from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive
from nextlabel.simulation.datasets.corpora import corpus_without_hub, recombined


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, measure, print."""
    parser = new_parser("nextlabel measure-loop", __doc__)
    parser.add_argument("--mrpc-dir", type=Path, help="directory of the official MRPC files (default: our own pairs)")
    parser.add_argument(
        "--pool", type=positive, help="pairs to choose from, made by recombining (default: those there are)"
    )
    parser.add_argument("--labels", type=positive, default=64, help="labels per round (default: %(default)s)")
    parser.add_argument("--steps", type=positive, default=60, help="optimiser steps per fit (default: %(default)s)")
    parser.add_argument("--plain-order", action="store_true", help="release 0.1.0's: no heads, no start order")
    options = parser.parse_args(arguments)
    corpus = corpus_without_hub(options.mrpc_dir)
    if options.pool:
        corpus = recombined(corpus, options.pool)
    from nextlabel.lab.measure_loop import measure

    print("| | |\n|---|---|")
    for name, value in measure(corpus, options.labels, options.steps, options.plain_order):
        print(f"| {name} | {value} |")
