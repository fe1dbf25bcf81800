#!/usr/bin/env python3
"""Measures scoring, fitting and answering beside the naive ways, all in one run. Prints the tables as Markdown.

With --from FILE.json nothing is measured: the README is renewed from the --out of an earlier run.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from _script import run

from backend.corpora import own_pairs, read_mrpc
from backend.textsets import TextSet, of_pairs

if TYPE_CHECKING:
    from backend.benchmark import Plan


def main() -> None:
    """Parse the command line, measure, write, print."""
    options = parse(sys.argv[1:])
    # Here, so that --help answers at once.
    import torch

    from backend import benchmark

    if options.readme:
        benchmark.check_readme(options.readme)  # before minutes of measuring
    if options.saved:
        result = json.loads(options.saved.read_text(encoding="utf-8"))
    else:
        if options.threads:
            torch.set_num_threads(options.threads)
        result = benchmark.measure(read_data(options.mrpc_dir), make_plan(options), command(options.mrpc_dir), show)
    print(benchmark.to_markdown(result))
    if options.out:
        benchmark.write_result(result, options.out)
    if options.readme:
        changed = benchmark.update_readme(options.readme, result)
        print(f"{options.readme}: {'renewed' if changed else 'nothing to change'}", file=sys.stderr)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """All options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mrpc-dir", type=Path, metavar="DIR", help="the official MRPC files (default: our own pairs)")
    parser.add_argument("--base-model", metavar="NAME", help="hub name or directory (default: all-MiniLM-L6-v2)")
    parser.add_argument("--lr", type=float, help="learning rate (default: 1e-4, for the default model)")
    parser.add_argument("--warm-steps", type=positive, help="steps of the fit before scoring (default: 60; quick: 30)")
    parser.add_argument("--examples", type=positive, help="texts to score (default: all unseen ones; quick: 256)")
    parser.add_argument("--repeats", type=positive, help="turns of each way (default: 5; quick: 3)")
    parser.add_argument(
        "--quick", action="store_true", help="less of everything, no memory: under 3 minutes on 2 cores"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    parser.add_argument("--threads", type=positive, help="CPU threads of torch (default: all cores)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.json", help="all numbers; FILE.md, the tables, goes beside it"
    )
    parser.add_argument("--readme", type=Path, help="file whose benchmark block is renewed, between its two markers")
    parser.add_argument("--from", dest="saved", type=Path, metavar="FILE.json", help="measure nothing; read this --out")
    options = parser.parse_args(arguments)
    if options.out and options.out.suffix != ".json":
        parser.error(f"--out {options.out} does not end in .json")
    if options.saved and not options.saved.is_file():
        parser.error(f"--from {options.saved} is no file")
    return options


def make_plan(options: argparse.Namespace) -> "Plan":
    """What is on the command line, over the defaults or those of --quick."""
    from backend.benchmark import Plan
    from backend.demo import small_checkpoint

    plan = Plan(options.base_model or str(small_checkpoint()), device=options.device)
    given = {
        "repeats": options.repeats,
        "warm_steps": options.warm_steps,
        "examples": options.examples,
        "learning_rate": options.lr,
    }
    given = {name: value for name, value in given.items() if value is not None}
    return replace(plan.quick() if options.quick else plan, **given)


def read_data(mrpc_dir: Path | None) -> TextSet:
    """MRPC or our own pairs; where the files lay says nothing to a reader."""
    if mrpc_dir is None:
        return of_pairs(own_pairs())
    return replace(of_pairs(read_mrpc(mrpc_dir)), source="MRPC, the official files")


def command(mrpc_dir: Path | None) -> str:
    """The command line, with DIR in the place of a directory that others do not have."""
    arguments = sys.argv[1:]
    if mrpc_dir is not None:
        theirs = {str(mrpc_dir): "DIR", f"--mrpc-dir={mrpc_dir}": "--mrpc-dir=DIR"}
        arguments = [theirs.get(argument, argument) for argument in arguments]
    return shlex.join(["scripts/benchmark.py", *arguments])


def show(line: str) -> None:
    """What is being measured."""
    print(line, file=sys.stderr, flush=True)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    run(main)
