"""Measures scoring, fitting and answering next to the naive ways, all in one run. Prints the tables as Markdown.

With --from FILE.json nothing is measured: the README is renewed from the --out of an earlier run. With --loop the live
loop is measured instead; its options: nextlabel benchmark --loop --help.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nextlabel.commands import _benchmark_loop, _fit_recipes
from nextlabel.commands._common import default_model, new_parser, positive, show
from nextlabel.simulation.datasets.corpora import own_pairs, read_mrpc
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs

if TYPE_CHECKING:
    from nextlabel.lab.benchmark.plan import BenchmarkPlan


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, measure, write, print."""
    if "--loop" in arguments:
        _benchmark_loop.main(arguments)
        return
    options = parse(arguments)
    if options.fit_recipes:
        _fit_recipes.main(options)
        return
    # Here, so that --help answers at once.
    from nextlabel.lab.benchmark import report

    if options.readme:
        report.check_readme(options.readme, options.block)  # before minutes of measuring
    if options.saved:
        result = json.loads(options.saved.read_text(encoding="utf-8"))
    else:
        with TemporaryDirectory() as directory:
            result = measure(options, Path(directory))
    print(report.to_markdown(result))
    if options.out:
        report.write_result(result, options.out)
    if options.readme:
        changed = report.update_readme(options.readme, result, options.block)
        print(f"{options.readme}: {'renewed' if changed else 'nothing to change'}", file=sys.stderr)


def measure(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Speed or quality, as the options say. `directory` is for a checkpoint of --shape."""
    from nextlabel.lab.benchmark.run import run

    plan, line = make_plan(options, directory), command(options.arguments, options.mrpc_dir)
    data = read_data(options.mrpc_dir)
    return run(data, plan, line, options.out, options.quality, options.quality_steps, options.threads, show)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """All options."""
    parser = new_parser("nextlabel benchmark", __doc__)
    _add_amounts(parser)
    _add_places(parser)
    _fit_recipes.add_options(parser)
    options = parser.parse_args(arguments, argparse.Namespace(arguments=arguments))
    if options.out and options.out.suffix != ".json":
        parser.error(f"--out {options.out} does not end in .json")
    if options.quality and not options.out:
        parser.error("--quality needs --out, which keeps each seed as it comes")
    if options.quality and options.shape:
        parser.error("--shape makes random weights; their --quality says nothing")
    if options.saved and not options.saved.is_file():
        parser.error(f"--from {options.saved} is no file")
    return options


def _add_amounts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mrpc-dir", type=Path, metavar="DIR", help="the official MRPC files (default: our own pairs)")
    parser.add_argument("--base-model", metavar="NAME", help="hub name or directory (default: all-MiniLM-L6-v2)")
    parser.add_argument(
        "--shape",
        type=sizes,
        metavar="LxHxFxA",
        help="speed of a BERT with random weights of so many layers, so wide "
        "hidden states and feed-forward, so many attention heads: 12x768x3072x12 is bert-base",
    )
    parser.add_argument(
        "--lr", type=float, help="learning rate (default: 1e-4, for the default model; with --shape: 2e-5)"
    )
    parser.add_argument("--warm-steps", type=positive, help="steps of the fit before scoring (default: 60; quick: 30)")
    parser.add_argument("--examples", type=positive, help="texts to score (default: all unseen ones; quick: 256)")
    parser.add_argument("--fit-steps", type=positive, help="steps of each measured fit (default: 8; quick: 2)")
    parser.add_argument("--pool", type=positive, metavar="N", help="score so many texts, made by pairing anew, as well")
    parser.add_argument("--whole-steps", type=positive, metavar="N", help="measure a fit of so many steps as a whole")
    parser.add_argument("--repeats", type=positive, help="turns of each way (default: 5; quick: 3)")
    parser.add_argument(
        "--quick", action="store_true", help="less of everything, no memory: under 3 minutes on 2 cores"
    )
    parser.add_argument(
        "--quality",
        type=positive,
        metavar="SEEDS",
        help="instead of the speed: how good the tutorial's fit and ours "
        "end, for so many seeds; --out is written after each, and the same command goes on from there",
    )
    parser.add_argument("--quality-steps", type=positive, default=343, help="of each fit (default: %(default)s)")


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="ours (default: auto)")
    parser.add_argument("--threads", type=positive, help="CPU threads of torch (default: all cores)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.json", help="all numbers; FILE.md, the tables, goes next to it"
    )
    parser.add_argument("--readme", type=Path, help="file whose benchmark block is renewed, between its two markers")
    parser.add_argument("--block", default="", metavar="NAME", help="which of several such blocks, by its name")
    parser.add_argument("--from", dest="saved", type=Path, metavar="FILE.json", help="measure nothing; read this --out")


def make_plan(options: argparse.Namespace, directory: Path) -> "BenchmarkPlan":
    """What is on the command line, over the defaults or those of --quick."""
    from nextlabel.lab.benchmark.plan import BenchmarkPlan, random_checkpoint

    base_model = options.base_model or default_model()
    if options.shape:
        base_model = str(random_checkpoint(base_model, options.shape, directory))
    plan = BenchmarkPlan(base_model, options.device, options.precision, random_weights=options.shape is not None)
    given = {
        "repeats": options.repeats,
        "warm_steps": options.warm_steps,
        "examples": options.examples,
        "fit_steps": options.fit_steps,
        "pool": options.pool,
        "whole_steps": options.whole_steps,
        # At 1e-4 a large model with random weights soon says the same of every text.
        "learning_rate": options.lr or (2e-5 if options.shape else None),
    }
    given = {name: value for name, value in given.items() if value is not None}
    return replace(plan.quick() if options.quick else plan, **given)


def read_data(mrpc_dir: Path | None) -> TextSet:
    """MRPC or our own pairs; where the files lay says nothing to a reader."""
    if mrpc_dir is None:
        return of_pairs(own_pairs())
    return replace(of_pairs(read_mrpc(mrpc_dir)), source="MRPC, the official files")


def command(arguments: Sequence[str], mrpc_dir: Path | None) -> str:
    """The command line, with DIR in the place of a directory that others do not have."""
    if mrpc_dir is not None:
        theirs = {str(mrpc_dir): "DIR", f"--mrpc-dir={mrpc_dir}": "--mrpc-dir=DIR"}
        arguments = [theirs.get(argument, argument) for argument in arguments]
    return shlex.join(["nextlabel", "benchmark", *arguments])


def sizes(text: str) -> tuple[int, ...]:
    """Layers, hidden, feed-forward and heads, as in 12x768x3072x12."""
    found = tuple(positive(part) for part in text.split("x"))
    if len(found) != 4 or found[1] % found[3]:
        raise argparse.ArgumentTypeError(f"{text!r} is not LAYERSxHIDDENxFEEDFORWARDxHEADS with HEADS dividing HIDDEN")
    return found
