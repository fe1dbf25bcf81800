"""A simulation as a person starts one: its protocol and plan, what weakens it, and how far it has come.

Decides nothing that a record holds; refuses to parse a command line.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nextlabel.errors import BadRunError
from nextlabel.learning import auto_recipe
from nextlabel.learning.start_set import seed_size
from nextlabel.learning.strategies import rank_alike
from nextlabel.model import checkpoints
from nextlabel.simulation.asked import question_in_words
from nextlabel.simulation.curves import SPAN
from nextlabel.simulation.datasets import overlaps, textsets
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.experiment import Event, Experiment, ExperimentPlan, Make
from nextlabel.simulation.records import LIVE
from nextlabel.simulation.replay import (
    TUTORIAL,
    RunProtocol,
    arms,
    as_served,
    check,
    deviations,
    rounds_in,
)

AUTO = "auto"
SHORTEST = 8  # word pieces, as in the settings
ALIKE = "word for word but for case and blanks"
FULL_EPOCHS = 3  # of the baseline at least: an undertrained one would be an easy target


def make_protocol(
    data: TextSet,
    recipe: Mapping[str, Any],
    changes: Mapping[str, Any],
    full_steps: int | None = None,
    reproduce_tutorial: bool = False,
) -> RunProtocol:
    """The tutorial's protocol with `changes`, and its recipe with those of `recipe`, of which steps and learning_rate
    may be auto; only a reproduction stops at the tutorial's target.

    Without `full_steps` the baseline takes at least three epochs, which on MRPC are the tutorial's 343 steps. Raises
    `BadRunError` for epochs with auto steps, which settle them.
    """
    if recipe.get("steps") == AUTO and changes.get("epochs"):
        raise BadRunError(
            f"--epochs {changes['epochs']:g} would not be heeded: with --steps auto a fit is as long as its labels "
            "need. Leave out --epochs, or give a number of --steps."
        )
    base = TUTORIAL if reproduce_tutorial else replace(TUTORIAL, training_seed=None, stop_at=None)
    settled, auto_steps = replace(base.recipe, **without_auto(recipe)), recipe.get("steps") == AUTO
    protocol = replace(base, recipe=settled, auto_steps=auto_steps, **changes)
    three_epochs = int(FULL_EPOCHS * len(data.train) / protocol.recipe.batch_size)
    return replace(protocol, full_steps=full_steps or max(protocol.recipe.steps, three_epochs))


def without_auto(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe changes, with a number for the rate of auto; steps of auto come with batch size, warm-up and end
    of their own, unless these are given. Raises `NoModelError`."""
    changes = dict(recipe)
    if changes.get("learning_rate") == AUTO:
        base_model = changes.get("base_model", TUTORIAL.recipe.base_model)
        changes["learning_rate"] = auto_recipe.learning_rate(checkpoints.width(base_model))
    if changes.get("steps") != AUTO:
        return changes
    del changes["steps"]
    own = {"batch_size": auto_recipe.BATCH, **auto_recipe.FIXED}
    return {**own, **changes}


def open_experiment(
    out: Path,
    data: TextSet,
    protocol: RunProtocol,
    strategies: Sequence[str],
    seeds: Sequence[int],
    reproduce_tutorial: bool = False,
) -> Experiment:
    """The experiment of a directory, new or begun. Raises `BadRunError` for what cannot be played, or not there."""
    differing = deviations(data, protocol, strategies, seeds) if reproduce_tutorial else None
    experiment = Experiment(out, data, protocol, differing)
    experiment.require_same_setting()
    check(data, experiment.protocol, seeds)
    if LIVE in strategies:
        check(data, as_served(experiment.protocol, LIVE, data), seeds)
    return experiment


def make_plan(
    strategies: Sequence[str],
    seeds: Sequence[int],
    rounds: int | None,
    workers: int,
    threads: int,
    full_seeds: int | None = None,
    cluster: str = "",
) -> ExperimentPlan:
    """Every strategy with every seed, the baseline with the first `full_seeds`."""
    return ExperimentPlan(arms(strategies, seeds, full_seeds), rounds, workers, threads, cluster)


def play(experiment: Experiment, plan: ExperimentPlan, command: str, make: Make | None = None) -> Sequence[Event]:
    """Play with a progress bar, here or as `make` does; rounds on disk count as done."""
    total = {arm: rounds_in(experiment.data, experiment.protocol, arm, plan.rounds) for arm in plan.arms}
    done = experiment.done()
    for arm, records in done.items():
        if arm in total and not records[-1].chosen:  # it ended before the most rounds it could have had
            total[arm] = len(records)
    finished = sum(min(len(done.get(arm, [])), total[arm]) for arm in plan.arms)
    quiet_s = 0.5 if sys.stderr.isatty() else 30
    with tqdm(total=sum(total.values()), initial=finished, unit="round", mininterval=quiet_s) as bar:

        def show(event: Event) -> None:
            record = event.record
            if record is None:
                return
            score = f"dev {record.dev[experiment.protocol.measure]:.3f}"
            bar.set_postfix_str(f"seed {record.seed} {record.strategy}: {record.labels} labels, {score}", refresh=False)
            bar.update()
            if not record.chosen:
                bar.total -= max(0, total[event.arm] - record.round - 1)

        return experiment.play(plan, command, show, make)


def introduction(data: TextSet, protocol: RunProtocol, plan: ExperimentPlan) -> Iterator[str]:
    """Lines that tell what is about to be played, and what a reviewer would object to."""
    yield f"Data: {data.source}: {len(data.train)} to learn from, {len(data.dev)} dev, {len(data.test)} test"
    yield from data.notes
    if data.form:
        yield from (f"Question {question_in_words(cut)}" for cut in data.form.layout.cuts)
    elif len(data.labels) == 2:
        yield f"F1 is that of {data.labels[0]!r}; the other class is {data.labels[1]!r}"
    seeds = list(dict.fromkeys(arm.seed for arm in plan.arms))
    names = list(dict.fromkeys(arm.strategy for arm in plan.arms))
    each = (
        f"versions at {', '.join(map(str, protocol.at))} labels" if protocol.at else f"{protocol.batch} labels a round"
    )
    yield f"Arms: {', '.join(names)}; {len(seeds)} seed{'s'[: len(seeds) > 1]}; {each}"
    for warning in warnings(data, protocol, plan, names):
        yield f"Warning: {warning}"


def warnings(data: TextSet, protocol: RunProtocol, plan: ExperimentPlan, names: Sequence[str]) -> Iterator[str]:
    """What does not hinder a run and weakens what can be concluded from it."""
    yield from dependent(data)
    for group in textsets.alike(data.labels):
        yield f"{' and '.join(map(repr, group))} are taken as different classes; write them alike if they are one"
    for asked in textsets.by_question(data):
        yield from textsets.doubtful(asked)
    for part, counts in data.counts().items():
        missing = [label for label, count in counts.items() if not count]
        if missing:
            yield f"{part} has no example of {', '.join(missing)}"
    rounds = max(rounds_in(data, protocol, arm, plan.rounds) for arm in plan.arms)
    if protocol.at:
        pass  # such arms are compared at the same label counts, by curves between them
    elif rounds < SPAN:
        yield f"an arm has {rounds} rounds at most: a crossing needs {SPAN}; give a smaller --batch or more --rounds"
    elif protocol.batch > len(data.train) - seed_size(len(data.train), protocol.start):
        yield "the pool is smaller than a batch: the first batch takes all of it"
    classes = 0 if data.form else len(data.labels)
    for alike in rank_alike([name for name in names if ":" not in name and name != LIVE], classes):
        if len(alike) > 1:
            yield f"with two classes {' and '.join(alike)} choose the same examples: one of them would do"
    epochs = protocol.full_steps * protocol.recipe.batch_size / len(data.train)
    if epochs < FULL_EPOCHS - 0.1:
        yield f"the baseline sees the data {epochs:.1f} times; fewer than {FULL_EPOCHS} lower the target: --full-steps"


def dependent(data: TextSet) -> Iterator[str]:
    """Examples that are not independent of each other; a leak is what is learnt from and judged by."""
    for words, count in data.leaks().items():
        yield f"a leak: {count} {words}, {ALIKE}"
    for words, count in data.repeats().items():
        yield f"{count} {words}, {ALIKE}"
    torn = overlaps.contradictions(data.parts())
    if torn:
        texts = "1 text stands" if torn.texts == 1 else f"{torn.texts} texts stand"
        yield f"{texts} under different labels ({torn.examples} examples), such as {torn.one}"
    for part, joined in overlaps.joined_to_train(data.parts()).items():
        yield (
            f"{joined.joined} of {joined.pairs} {part} pairs share a sentence with train ({joined.directly}) or are "
            f"joined to it by a chain of pairs that share one, such as {joined.one}"
        )
