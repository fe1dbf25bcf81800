"""Plays another active-learning tool on a fetched corpus: our oracle, start set, label counts and records, its order.

  small-text  its own loop and transformer classifier, on the same checkpoint
  potato      its server's active learning, and our classifier on the labels in that order (the arm ...-order)

Without --defaults with our recipe, as near as the tool can come to it, and on our checkpoint; with it as the tool does
out of the box (docs/peers.md). The first start makes an environment for the tool with pip. A run that was stopped
begins its unfinished arm anew when the same command is given again. Afterwards: nextlabel report OUT
"""

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nextlabel.commands._common import new_parser, positive, show
from nextlabel.commands.simulate import counts, epochs, length, only_given, rate, seeds, settle, share, steps
from nextlabel.learning.start_set import START_BY
from nextlabel.model import checkpoints
from nextlabel.simulation import frozen_default, session
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.replay import RunProtocol

PEERS = ("small-text", "potato")
LABELS_AT = (32, 64, 128, 256, 512)
# What a frozen default settles of a peer's run; which seeds a peer plays, and how, is its own.
SETTLED = ("labels_at", "start_by", "steps", "epochs", "full_steps", "lr", "batch_size", "max_length", "warmup")


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and play."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.batch and options.peer == "potato":
        parser.error("--batch is for small-text: Potato serves one text at a time, and decides itself when to reorder")
    if not options.base_model.is_dir():
        parser.error(f"--base-model {options.base_model} is no directory, and peers load none from the hub")
    counts_given, frozen = options.labels_at, frozen_default.read(options.frozen) if options.frozen else None
    if frozen:
        frozen.require_checkpoint(checkpoints.identity(str(options.base_model)))
        settle(options, frozen, SETTLED)
    # Here, so that --help answers at once.
    from nextlabel.lab.peers import environment, play, process

    data, word_pieces = fetched.read_single(options.corpus)
    if frozen:
        options.labels_at = frozen.counts(counts_given, len(data.train))
    protocol = replace(make_protocol(options, data, word_pieces), frozen=frozen.sha256 if frozen else "")
    experiment = session.open_experiment(options.out, data, protocol, [], options.seeds)
    peer = process.installed(
        options.peer, options.cache or environment.default_cache(), options.defaults, options.batch
    )
    command = shlex.join(["nextlabel", "play-peer", *arguments])
    with experiment:
        play.play(experiment, peer, options.seeds, options.threads or cores(), command, show)
    print(f"Rounds: {options.out / 'rounds.jsonl'}\nReport: nextlabel report {options.out}")


def make_protocol(options: argparse.Namespace, data: TextSet, word_pieces: int) -> RunProtocol:
    """The same that `nextlabel simulate` makes of the same options."""
    recipe = {
        "base_model": str(options.base_model),
        "steps": options.steps,
        "learning_rate": options.lr,
        "batch_size": options.batch_size,
        "max_length": options.max_length or word_pieces,
        "warmup": options.warmup,
        "device": "cpu",
    }
    changes = {"at": options.labels_at or LABELS_AT, "epochs": options.epochs, "start_by": options.start_by}
    return session.make_protocol(data, only_given(recipe), only_given(changes), options.full_steps)


def make_parser() -> argparse.ArgumentParser:
    """All options."""
    parser = new_parser("nextlabel play-peer", __doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument(
        "--corpus", type=Path, required=True, metavar="DIR", help="one that nextlabel fetch-corpora made"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--defaults", action="store_true", help="the tool as it is out of the box")
    parser.add_argument("--seeds", type=seeds, default=[0, 1, 2, 3, 4], help="as of nextlabel simulate (5)")
    parser.add_argument("--labels-at", type=counts, metavar="N,N,...", help="(32,64,128,256,512)")
    parser.add_argument(
        "--frozen", type=Path, metavar="FILE", help="counts and recipe of a frozen default, as of nextlabel simulate"
    )
    parser.add_argument("--batch", type=positive, help="labels that small-text queries at once (up to the next count)")
    parser.add_argument("--start-by", choices=START_BY, help="how the start set is drawn (random)")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="for environments (~/.cache/nextlabel/peers)")
    _add_recipe(parser)
    return parser


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    recipe = parser.add_argument_group("our recipe (defaults and meaning as of nextlabel simulate)")
    recipe.add_argument("--base-model", type=Path, required=True, metavar="DIR", help="checkpoint")
    recipe.add_argument("--steps", type=steps)
    recipe.add_argument("--epochs", type=epochs)
    recipe.add_argument("--full-steps", type=positive)
    recipe.add_argument("--lr", type=rate)
    recipe.add_argument("--batch-size", type=positive)
    recipe.add_argument("--max-length", type=length)
    recipe.add_argument("--warmup", type=share)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
