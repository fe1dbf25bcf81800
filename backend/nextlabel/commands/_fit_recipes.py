"""`nextlabel benchmark --fit-recipes`: fits with auto steps and rate beside the fixed ones before them."""

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from nextlabel.commands._common import default_model, positive, show, write_json
from nextlabel.commands.simulate import counts
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.corpora import own_pairs, read_mrpc
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.store.files import replace_file

PIECES = 128  # that are read of a pair


def add_options(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes besides --quick, --base-model, --mrpc-dir, --threads, --device and --out."""
    parser.add_argument(
        "--fit-recipes",
        action="store_true",
        help="instead of the speed: time and macro-F1 of fits with auto steps and rate beside 343 steps of 32 at "
        "1e-4, on the same labels (--quick: under 20 minutes)",
    )
    parser.add_argument(
        "--corpus",
        type=Path,
        action="append",
        metavar="DIR",
        help="for --fit-recipes: one that nextlabel fetch-corpora made; may be given several times",
    )
    parser.add_argument("--seeds", type=positive, metavar="N", help="for --fit-recipes: from 0 on (default: 5)")
    parser.add_argument(
        "--labels-at", type=counts, metavar="N,N,...", help="for --fit-recipes: label counts (default: 32 to 2000)"
    )


def main(options: argparse.Namespace) -> None:
    """Measure, write after each pair of fits, print."""
    from nextlabel.lab.benchmark import fit_recipes as benchmark

    base_model = options.base_model or default_model()
    plan = benchmark.RecipesPlan(base_model, device=options.device, precision=options.precision)
    if options.quick:
        plan = replace(plan, counts=benchmark.QUICK_COUNTS, judged=400, most_s=benchmark.QUICK_S)
    given = {"seeds": options.seeds, "counts": options.labels_at}
    plan = replace(plan, **{name: value for name, value in given.items() if value})

    def keep(result: dict[str, Any]) -> None:
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(options.out, result)
            replace_file(options.out.with_suffix(".md"), f"# Recipes\n\n{benchmark.to_markdown(result)}\n")

    result = benchmark.measure(read_corpora(options), plan, command(options), options.threads, keep, show)
    print(benchmark.to_markdown(result))


def read_corpora(options: argparse.Namespace) -> list[tuple[TextSet, int]]:
    """What the options name, each with the word pieces that are read of a text; our own pairs if they name nothing."""
    found = [fetched.read_single(directory) for directory in options.corpus or []]
    if options.mrpc_dir:
        found.append((replace(of_pairs(read_mrpc(options.mrpc_dir)), source="MRPC, the official files"), PIECES))
    return found or [(of_pairs(own_pairs()), PIECES)]


def command(options: argparse.Namespace) -> str:
    """The command line, without directories that others do not have."""
    theirs = {str(path): f"corpora/{path.name}" for path in options.corpus or []}
    theirs |= {str(path): name for path, name in ((options.mrpc_dir, "DIR"), (options.base_model, "MODEL")) if path}
    return shlex.join(["nextlabel", "benchmark", *(theirs.get(part, part) for part in options.arguments)])
