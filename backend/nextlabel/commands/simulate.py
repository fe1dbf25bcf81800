"""Replays active learning with a simulated oracle, offline, and records every round in OUT/rounds.jsonl.

A run that was stopped goes on when the same command is given again. Afterwards: nextlabel report OUT
"""

import argparse
import math
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nextlabel.commands._common import new_parser, positive
from nextlabel.compute.cluster import Cluster
from nextlabel.errors import RefusedConfigError
from nextlabel.learning.start_set import START_BY
from nextlabel.learning.strategies import STRATEGIES
from nextlabel.model import checkpoints
from nextlabel.simulation import baselines, frozen_default, head_order, session
from nextlabel.simulation.datasets import corpora, fetched, textsets
from nextlabel.simulation.datasets.exports import Labels
from nextlabel.simulation.datasets.forms import Columns
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.experiment import ExperimentPlan, Make
from nextlabel.simulation.frozen_default import FrozenDefault
from nextlabel.simulation.records import BATCHED, LIVE
from nextlabel.simulation.replay import TUTORIAL, TUTORIAL_SEED, RunProtocol
from nextlabel.values.addresses import RAY_ADDRESS
from nextlabel.values.layout import ANY_OF, ORDERED, decoded
from nextlabel.values.options import LATEST, ProjectOptions

# What a frozen default leaves as it is without the option.
SETTLED = (
    *("start", "start_by", "batch", "stop_at", "epochs", "control_share", "rounds", "reproduce_tutorial"),
    *("batch_size", "warmup", "full_steps"),
)
# What each source of data is read with; MRPC and our own pairs come as they are.
COLUMNS = ("text", "pair", "more", "label", "positive")
READ_WITH: Mapping[str, Sequence[str]] = {
    "corpus": (),
    "mrpc_dir": (),
    "train": (*COLUMNS, "dev", "test", "label_separator", "any_of", "ordered", "label_config", "id"),
    "dataset": (*COLUMNS, "config", "splits"),
    "own_pairs": (),
}
SPLITS = "train,validation,test"


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and play."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.stop_at is not None and not options.reproduce_tutorial:
        parser.error("--stop-at goes with --reproduce-tutorial: an arm stopped at one lucky look cannot be compared")
    if options.labels_at and (options.start or options.batch or options.stop_at):
        parser.error("--labels-at goes without --start, --batch and --stop-at: its first count is the start")
    counts_given, frozen = options.labels_at, take_frozen(options) if options.frozen else None
    if options.full_seeds and not options.labels_at:
        parser.error("--full-seeds goes with --labels-at: in fixed batches each seed is compared with its own baseline")
    data = read_data(options, parser)
    if frozen:
        options.labels_at = frozen.counts(counts_given, len(data.train))
    protocol, chosen = make_protocol(options, data), choose_arms(options)
    if frozen:
        frozen.require_checkpoint(checkpoints.identity(protocol.recipe.base_model))
        protocol = replace(protocol, frozen=frozen.sha256)
    experiment = session.open_experiment(options.out, data, protocol, *chosen, options.reproduce_tutorial)
    full_seeds = 0 if only_baselines(options) and frozen else options.full_seeds
    threads = options.threads or 1  # which change last bits: workers are to change none
    amounts = (options.rounds, options.workers, threads, full_seeds)
    plan = session.make_plan(*chosen, *amounts, options.cluster)
    experiment.require_same_device(plan)
    introduce(data, protocol, plan)
    try:
        with experiment, how_to_play(options) as make:
            failures = session.play(experiment, plan, shlex.join(["nextlabel", "simulate", *arguments]), make)
    except KeyboardInterrupt:
        print("Stopped. The finished rounds are kept; the same command goes on from them.", file=sys.stderr)
        raise
    for failure in failures:
        print(f"Seed {failure.arm.seed}, {failure.arm.strategy}: {failure.failed}", file=sys.stderr)
    print(f"Rounds: {options.out / 'rounds.jsonl'}\nReport: nextlabel report {options.out}")
    return 1 if failures else 0


@contextmanager
def how_to_play(options: argparse.Namespace) -> Iterator[Make | None]:
    """On the cluster, if one is named."""
    if not options.cluster:
        yield None
        return
    from nextlabel.simulation.on_cluster import on_cluster

    with closing(Cluster(options.cluster, options.cluster_away)) as cluster:
        yield on_cluster(cluster)


def introduce(data: TextSet, protocol: RunProtocol, plan: ExperimentPlan) -> None:
    """Say what is about to be played, and what a reviewer would object to."""
    print("\n".join(session.introduction(data, protocol, plan)))


def take_frozen(options: argparse.Namespace) -> FrozenDefault:
    """Play what a file froze, on the data and checkpoint given, and baselines beside it with as many seeds as are
    wanted. Raises `BadRunError` for an option that contradicts."""
    frozen = frozen_default.read(options.frozen)
    free = ["seeds"] if only_baselines(options) and options.seeds else []
    settle(options, frozen, [name for name in (*frozen.played, *SETTLED) if name not in free])
    if options.corpus:
        frozen.settled("max_length", options.max_length)
    return frozen


def settle(options: argparse.Namespace, frozen: FrozenDefault, names: Sequence[str]) -> None:
    """Give options the values that a file froze. Raises `BadRunError` for one that was given another."""
    for name in names:
        given = getattr(options, name)
        setattr(options, name, frozen.settled(name, None if given is False else given))  # a flag that is not there


def only_baselines(options: argparse.Namespace) -> bool:
    """Whether nothing is asked for that fits the transformer."""
    return bool(options.strategy) and all(map(baselines.kind_of, options.strategy))


def read_data(options: argparse.Namespace, parser: argparse.ArgumentParser) -> TextSet:
    """The data set that the options name."""
    sources = [name for name in READ_WITH if getattr(options, name)]
    if len(sources) > 1:
        parser.error(f"give only one of {as_options(READ_WITH)}")
    require_read(options, parser, *sources)
    if options.corpus:
        data, word_pieces = fetched.read(options.corpus)
        options.max_length = options.max_length or word_pieces
        return data
    if options.mrpc_dir:
        return textsets.of_pairs(corpora.read_mrpc(options.mrpc_dir))
    if options.own_pairs:
        return textsets.of_pairs(corpora.own_pairs())
    if options.more and not options.pair:
        parser.error("--more goes with --text and --pair")
    if options.train:
        if not options.dev or not options.text or not options.label:
            parser.error("--train needs --dev FILE, --text COLUMN and --label COLUMN (or the control of an export)")
        return _of_files(options)
    if options.dataset:
        if not options.text or not options.label:
            parser.error("--dataset needs --text COLUMN and --label COLUMN")
        if len(options.label) > 1:
            parser.error(
                "--dataset takes one --label, of which each text has one: save the data set as .jsonl for more"
            )
        return _of_hub(options)
    return textsets.of_pairs(corpora.download_mrpc())


def require_read(options: argparse.Namespace, parser: argparse.ArgumentParser, source: str = "") -> None:
    """End with an error for what the source of the data would not be read with."""
    every = dict.fromkeys(name for names in READ_WITH.values() for name in names)
    given = [name for name in every if getattr(options, name) not in (None, [])]
    unread = [name for name in given if name not in READ_WITH.get(source, ())]
    if unread:
        fit = [name for name, names in READ_WITH.items() if set(unread) <= set(names)]
        read = f"the data is read from {as_options([source])}" if source else "the data is MRPC from the hub"
        parser.error(
            f"{as_options(unread)} would not be heeded: {read}. Leave that out, or give "
            f"{as_options(fit or ['train', 'dataset'], ' or ')}"
        )


def as_options(names: Iterable[str], between: str = ", ") -> str:
    """As they are written on the command line."""
    return between.join(f"--{name.replace('_', '-')}" for name in names)


def _of_files(options: argparse.Namespace) -> TextSet:
    asked = Columns(tuple(options.label), options.label_separator, tuple(options.any_of), tuple(options.ordered))
    if options.label_config:
        asked = _as_configured(asked, options.label_config)
    return textsets.read_files(
        *(options.train, options.dev, options.test),
        *(options.text, options.pair, asked),
        id=options.id,
        positive=options.positive,
        more=options.more,
    )


def _as_configured(columns: Columns, path: Path) -> Columns:
    """Questions of the kinds that a labelling config says, with answers as the live loop reads them."""
    # Simulations run where what reads XML is not installed.
    from nextlabel.labelstudio.config import parse_label_config
    from nextlabel.labelstudio.tasks import to_vote

    try:
        xml = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RefusedConfigError(
            f"{path} is not UTF-8 (byte {error.start}). Save it as UTF-8, as Label Studio shows it under Settings, "
            "Labeling Interface, Code."
        ) from error
    config = parse_label_config(xml, ProjectOptions(defaults=LATEST))
    kinds = {control.name: control.kind for control in config.asked if control.name in columns.names}
    if unknown := [name for name in columns.names if name not in kinds]:
        raise RefusedConfigError(
            f"{path} asks no question {unknown[0]!r}; it asks {', '.join(control.name for control in config.asked)}. "
            "Give one of these to --label."
        )
    any_of, ordered = (tuple(name for name in kinds if kinds[name] == kind) for kind in (ANY_OF, ORDERED))

    def said(annotation: Mapping[str, object]) -> Labels:
        vote = to_vote(config, annotation)
        answer = config.question.consensus([vote]) if vote else None
        if answer is None:
            return {}
        return decoded(answer) if config.question.layout else {config.from_name: (answer,)}

    return replace(columns, any_of=any_of, ordered=ordered, said=said)


def _of_hub(options: argparse.Namespace) -> TextSet:
    return textsets.download(
        *(options.dataset, options.config),
        *(options.text, options.pair, options.label[0]),
        splits=tuple((options.splits or SPLITS).split(",")),
        positive=options.positive,
        more=options.more,
    )


def make_protocol(options: argparse.Namespace, data: TextSet) -> RunProtocol:
    """The protocol with what the options change."""
    recipe = {
        "base_model": options.base_model,
        "steps": options.steps,
        "learning_rate": options.lr,
        "batch_size": options.batch_size,
        "max_length": options.max_length,
        "warmup": options.warmup,
        "device": options.device,
        "precision": options.precision,
    }
    given = {
        "start": options.start,
        "start_by": options.start_by,
        "batch": options.batch,
        "stop_at": options.stop_at,
        "at": options.labels_at,
        "epochs": options.epochs,
        "control_share": options.control_share,
    }
    return session.make_protocol(
        data, only_given(recipe), only_given(given), options.full_steps, options.reproduce_tutorial
    )


def only_given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are on the command line."""
    return {name: value for name, value in options.items() if value is not None}


def choose_arms(options: argparse.Namespace) -> tuple[list[str], list[int]]:
    """Strategies and seeds. Random sampling is always among the strategies, but for the tutorial, which had none, and
    for baselines beside a frozen default, which has it with its own seeds."""
    if options.reproduce_tutorial:
        return options.strategy or ["entropy"], options.seeds or [TUTORIAL_SEED]
    if options.frozen and only_baselines(options):
        return options.strategy, options.seeds or list(range(10))
    return ["random", *(options.strategy or ["entropy"])], options.seeds or list(range(10))


def make_parser() -> argparse.ArgumentParser:
    """All options."""
    parser = new_parser("nextlabel simulate", __doc__)
    _add_data(parser)
    _add_model(parser)
    _add_protocol(parser)
    parser.add_argument("--out", type=Path, default=Path("runs/simulation"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="arms played side by side (1)")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads of each (1)")
    parser.add_argument(
        "--cluster",
        type=cluster_address,
        default=os.environ.get("RAY_ADDRESS", ""),
        metavar="ray://HOST:PORT",
        help="a Ray cluster that plays the arms, a thread each unless --threads says more (RAY_ADDRESS)",
    )
    parser.add_argument(
        "--cluster-away",
        type=local_or_wait,
        default=os.environ.get("COMPUTE_AWAY") or "local",
        metavar="local|wait",
        help="when it cannot be had: play here, or wait for it (COMPUTE_AWAY, or local)",
    )
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data (default: MRPC from the Hugging Face hub)")
    data.add_argument(
        "--corpus", type=Path, metavar="DIR", help="one that nextlabel fetch-corpora made; sets --max-length, too"
    )
    data.add_argument("--mrpc-dir", type=Path, metavar="DIR", help="the official MRPC files")
    data.add_argument(
        "--train",
        type=Path,
        metavar="FILE",
        help="examples to learn from: .tsv, .csv, .jsonl, .json; also Label Studio's JSON, JSON_MIN, CSV, TSV exports",
    )
    data.add_argument("--dev", type=Path, metavar="FILE", help="examples that decide when the target is reached")
    data.add_argument("--test", type=Path, metavar="FILE", help="examples that nothing is decided by")
    data.add_argument("--dataset", metavar="NAME", help="a data set on the Hugging Face hub, e.g. nyu-mll/glue")
    data.add_argument("--config", metavar="NAME", help="its configuration, e.g. sst2")
    data.add_argument("--splits", help=f"its splits (default: {SPLITS})")
    data.add_argument("--own-pairs", action="store_true", help="the 640 pairs that come with Nextlabel: to try it out")
    data.add_argument("--text", metavar="COLUMN", help="column (in an export: key of the data) with the text")
    data.add_argument("--pair", metavar="COLUMN", help="column with the second text of a pair")
    data.add_argument(
        "--more", metavar="COLUMN", action="append", default=[], help="column with a further text (several)"
    )
    data.add_argument(
        "--label",
        action="append",
        metavar="COLUMN",
        help="column with the label; in Label Studio's JSON the control's name; once for each question",
    )
    data.add_argument("--label-separator", metavar="TEXT", help="what stands between labels of which any may be given")
    data.add_argument(
        "--any-of", action="append", default=[], metavar="COLUMN", help="column of which any labels may be given"
    )
    data.add_argument(
        "--ordered", action="append", default=[], metavar="COLUMN", help="column with numbers that are taken as steps"
    )
    data.add_argument(
        "--label-config",
        type=Path,
        metavar="FILE",
        help="with Label Studio's JSON: the project's labelling config, which tells follow-ups that were not shown",
    )
    data.add_argument("--id", metavar="COLUMN", help="column with whole-number ids (default: the row's number)")
    data.add_argument("--positive", metavar="LABEL", help="class that F1 is of, when there are two")


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model and its fit (defaults: the tutorial's)")
    tutorial = TUTORIAL.recipe
    model.add_argument("--base-model", metavar="NAME", help=f"hub name or directory ({tutorial.base_model})")
    model.add_argument("--steps", type=steps, help=f"optimiser steps a round, or auto ({tutorial.steps})")
    model.add_argument(
        "--full-steps", type=positive, help="of the full-data baseline (--steps, or three epochs if that is more)"
    )
    model.add_argument("--lr", type=rate, help=f"learning rate, or auto ({tutorial.learning_rate})")
    model.add_argument("--batch-size", type=positive, help=f"examples a step ({tutorial.batch_size})")
    model.add_argument("--max-length", type=length, help=f"word pieces that are read ({tutorial.max_length})")
    model.add_argument("--warmup", type=share, help=f"share of the steps before full rate ({tutorial.warmup:g})")
    model.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps (auto)")
    model.add_argument("--precision", choices=("auto", "bf16", "fp32"), help="of matrix products (auto)")


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    play = parser.add_argument_group("protocol")
    play.add_argument(
        "--frozen",
        type=Path,
        metavar="FILE",
        help="play the default that a file froze, such as reports/frozen-default.json: it sets arms, counts and recipe",
    )
    play.add_argument("--strategy", action="append", choices=ARMS, metavar="NAME", help=STRATEGY_HELP)
    play.add_argument(
        "--seeds", type=seeds, help="how many, from 0 on, or a list with a comma: 20, or 3,5,8, or 123, (10)"
    )
    play.add_argument("--start", type=amount, help="labels at the start: a share below 1, or a count (0.3)")
    play.add_argument("--start-by", choices=START_BY, help="how the start set is drawn (random)")
    play.add_argument("--batch", type=positive, help="labels a round (64)")
    play.add_argument(
        "--labels-at",
        type=counts,
        metavar="N,N,...",
        help="instead of --start and --batch: fit and test at these label counts alone, as in 32,64,128,256,512",
    )
    play.add_argument("--epochs", type=epochs, help="at least so many in each fit, however many --steps are (0)")
    play.add_argument(
        "--control-share",
        type=control_share,
        metavar="SHARE",
        help="of the examples: drawn for each seed, asked in between, and never learnt from (0)",
    )
    play.add_argument(
        "--full-seeds", type=positive, metavar="N", help="with --labels-at: seeds with the full-data baseline (all)"
    )
    play.add_argument("--rounds", type=positive, metavar="N", help="rounds of labelling (default: until none is left)")
    play.add_argument("--stop-at", type=share, metavar="SCORE", help="of a reproduction (0.8568)")
    play.add_argument(
        "--reproduce-tutorial",
        action="store_true",
        help="its strategy, its seeds, its stop at a first look of 0.8568: a reproduction, not evidence",
    )


ARMS = (
    *STRATEGIES,
    LIVE,
    BATCHED,
    *(f"{head_order.HEAD}:{name}" for name in head_order.STRATEGIES),
    *(f"{kind}:{name}" for kind in baselines.KINDS for name in baselines.STRATEGIES),
)
STRATEGY_HELP = f"may be given several times; one of {', '.join(ARMS)} (random and entropy)"


def length(text: str) -> int:
    """A whole number of word pieces that leaves room for some words."""
    if positive(text) < session.SHORTEST:
        raise argparse.ArgumentTypeError(f"{text!r} is less than {session.SHORTEST} word pieces")
    return int(text)


def amount(text: str) -> float:
    """A share above 0 and below 1, or a whole number."""
    number = as_number(text)
    if number <= 0 or (number >= 1 and number != int(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a share between 0 and 1 nor a whole number")
    return number


def epochs(text: str) -> float:
    """A number of at least 0."""
    number = as_number(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is less than 0")
    return number


def counts(text: str) -> tuple[int, ...]:
    """Rising whole numbers, at least two, separated by commas."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    numbers = tuple(int(part) for part in parts if part.isdigit())
    if len(numbers) < max(2, len(parts)) or list(numbers) != sorted(set(numbers)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of at least two rising label counts (32,64,128)")
    return numbers


def cluster_address(text: str) -> str:
    """Nothing, or the address of a Ray cluster's client port."""
    if text and not re.fullmatch(RAY_ADDRESS, text):
        raise argparse.ArgumentTypeError(f"{text!r} is not ray://HOST:PORT, the client port of a cluster's head")
    return text


def local_or_wait(text: str) -> str:
    """One of the two; argparse compares what is given with its choices, and not what the environment says."""
    if text not in ("local", "wait"):
        raise argparse.ArgumentTypeError(f"{text!r} (COMPUTE_AWAY, if it was not given) is neither local nor wait")
    return text


def share(text: str) -> float:
    """A number from 0 to 1."""
    number = as_number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1 (scores run from 0 to 1, not to 100)")
    return number


def control_share(text: str) -> float:
    """A number from 0 to a half."""
    number = as_number(text)
    if not 0 <= number <= 0.5:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 0.5, a share of the examples")
    return number


def learning_rate(text: str) -> float:
    """A number above 0 and below 1."""
    number = as_number(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0 and below 1")
    return number


def rate(text: str) -> float | str:
    """A learning rate, or auto."""
    return text if text == session.AUTO else learning_rate(text)


def steps(text: str) -> int | str:
    """A number of steps, or auto."""
    return text if text == session.AUTO else positive(text)


def as_number(text: str) -> float:
    """A finite number."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def seeds(text: str) -> list[int]:
    """How many seeds from 0 on, or the seeds themselves, separated by commas."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number of seeds (20) nor a list of them (0,1,2; one: 0,)"
        )
    return [int(part) for part in parts] if "," in text or text.strip() == "0" else list(range(positive(text)))
