"""Has an oracle label a corpus through a real Label Studio, as new projects are served and at random, and compares the
curves with a simulation's.

Starts its own Label Studio and backends. A run that was stopped goes on when the same command is given again.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, show
from nextlabel.commands.simulate import as_number, seeds
from nextlabel.errors import of_extra
from nextlabel.store.files import replace_file


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, play, compare, write."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    with of_extra("lab", "nextlabel play-live"):
        from nextlabel.lab import live_curves
    from nextlabel.simulation import records
    from nextlabel.simulation.datasets import fetched

    simulated = records.read_run(options.compare)
    data, word_pieces = fetched.read_single(options.corpus)
    settings = {"max_length": word_pieces, "device": options.device, "precision": options.precision}
    base_model = f"{options.base_model.absolute()}"
    plan = live_curves.LivePlan(options.labels, options.seeds, options.think, base_model, settings)
    live_curves.require_comparable(data, plan, simulated)
    curves = live_curves.play(data, plan, options.out, show)
    text = live_curves.to_markdown(live_curves.beside(curves, simulated))
    command = shlex.join(["nextlabel", "play-live", *arguments])
    replace_file(options.out / "live.md", f"{text}\nMade by `{command}`.\n")
    print(text)


def make_parser() -> argparse.ArgumentParser:
    """All options."""
    parser = new_parser("nextlabel play-live", __doc__)
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="that nextlabel fetch-corpora made")
    parser.add_argument("--base-model", type=Path, required=True, metavar="DIR", help="a checkpoint")
    parser.add_argument("--compare", type=Path, required=True, metavar="RUN", help="a simulation with label counts")
    parser.add_argument("--labels", type=positive, default=300, help="of each arm and seed (%(default)s)")
    parser.add_argument("--seeds", type=seeds, default=[0, 1, 2], help="as of nextlabel simulate (3)")
    parser.add_argument("--think", type=as_number, default=5.0, help="seconds from one label to the next (%(default)g)")
    parser.add_argument("--device", default="auto", help="of the backend (%(default)s)")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="(%(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for all that is made")
    return parser
