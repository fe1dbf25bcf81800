"""How long, and how good, a fit with `auto` steps and rate is beside the fixed ones before it, on the same labels."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from nextlabel import __version__
from nextlabel.errors import BadRunError
from nextlabel.lab.benchmark.clock import clock
from nextlabel.lab.benchmark.plan import Result, Show
from nextlabel.learning import auto_recipe
from nextlabel.learning.start_set import seed_positions
from nextlabel.model import classifier as classifiers
from nextlabel.model import training
from nextlabel.model.checkpoints import width
from nextlabel.model.classifier import Recipe
from nextlabel.model.devices import describe, pick_device, precision_name, processor
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation.curves import estimate, resample
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.values import markdown

COUNTS = (32, 64, 128, 256, 512, 1024, 2000)
QUICK_COUNTS = (32, 128, 512, 2000)
QUICK_S = 17 * 60.0
PREVIOUS = ("343 steps of 32", 343, 32, 1e-4)  # name, steps, batch size and rate for MiniLM
AUTO = "auto"
NOTE = (
    "The time ratio is auto's fit over the fixed one's, in turns on the same labels, once model and data are ready: "
    "the mean over the label counts, with the smallest and the largest of them; likewise of the processor's seconds. "
    "The quality difference is auto's macro-F1 less the fixed one's on texts that no fit sees: the mean over the pairs "
    "of fits, with a bootstrap 95 % interval over these pairs, from five on."
)


@dataclass(frozen=True)
class RecipesPlan:
    """What is played: at each of `counts` labels of each corpus, with seeds from 0 on, until `most_s` seconds are over
    (None: until all is played). At most so many texts are `judged` of each corpus."""

    base_model: str
    counts: Sequence[int] = COUNTS
    seeds: int = 5
    judged: int = 1000
    most_s: float | None = None
    device: str = "cpu"
    precision: str = "auto"


@dataclass(frozen=True)
class Outcome:
    """Of one fit: wall-clock and processor seconds, steps made, and macro-F1 in [0, 1]."""

    fit_s: float
    cpu_s: float
    steps: int
    macro_f1: float


@dataclass(frozen=True)
class Pair:
    """Both fits on the same labels."""

    corpus: str
    labels: int
    seed: int
    previous: Outcome
    auto: Outcome

    @property
    def time_ratio(self) -> float:
        """Auto's time over the other's."""
        return self.auto.fit_s / self.previous.fit_s

    @property
    def cpu_ratio(self) -> float:
        """The same of the processor's seconds."""
        return self.auto.cpu_s / self.previous.cpu_s

    @property
    def difference(self) -> float:
        """Auto's macro-F1 less the other's."""
        return self.auto.macro_f1 - self.previous.macro_f1


def measure(
    corpora: Sequence[tuple[TextSet, int]],
    plan: RecipesPlan,
    command: str,
    threads: int | None = None,
    keep: Callable[[Result], None] = lambda result: None,
    show: Show = lambda line: None,
) -> Result:
    """Plays pair by pair on corpora, each with the word pieces that are read of its texts; `keep` is given the result
    after each. `threads`: of torch, on the CPU.

    Raises as `training.fit` does, and `BadRunError` for a corpus with fewer examples than the least count.
    """
    if threads:
        torch.set_num_threads(threads)
    cells = [
        (data, pieces, labels, seed)
        for seed in range(plan.seeds)
        for data, pieces in corpora
        for labels in _counts(data, plan)
    ]
    begun_s, longest_s, pairs = time.perf_counter(), 0.0, list[Pair]()
    for number, (data, pieces, labels, seed) in enumerate(cells):
        start_s = time.perf_counter()
        if plan.most_s is not None and pairs and start_s - begun_s + longest_s > plan.most_s:
            break
        show(f"{data.source}: {labels} labels, seed {seed} ({number + 1} of {len(cells)})")
        pairs.append(_pair(data, pieces, labels, seed, plan, auto_first=bool(number % 2)))
        longest_s = max(longest_s, time.perf_counter() - start_s)
        keep(_result(plan, command, pairs, len(cells)))
    return _result(plan, command, pairs, len(cells))


def _counts(data: TextSet, plan: RecipesPlan) -> list[int]:
    # The most first: where time is over early, the mean ratio of what was played is no better than that of all.
    counts = sorted((count for count in plan.counts if count <= len(data.train)), reverse=True)
    if not counts:
        raise BadRunError(
            f"{data.source} has {len(data.train)} examples to learn from, fewer than {plan.counts[0]}. Give another."
        )
    return counts


def _pair(data: TextSet, pieces: int, labels: int, seed: int, plan: RecipesPlan, auto_first: bool) -> Pair:
    items = [data.train[i] for i in seed_positions(len(data.train), labels, seed)]
    judged = _drawn(data.test or data.dev, plan.judged)
    of = _recipes(plan, pieces, labels, seed)
    order = [AUTO, PREVIOUS[0]] if auto_first else [PREVIOUS[0], AUTO]
    made = {name: _outcome(data, of[name], items, judged) for name in order}
    return Pair(data.source, labels, seed, made[PREVIOUS[0]], made[AUTO])


def _drawn(part: Sequence[Labelled], most: int) -> list[Labelled]:
    chosen = np.random.default_rng(0).permutation(len(part))[:most]
    return [part[i] for i in np.sort(chosen)]


def _recipes(plan: RecipesPlan, pieces: int, labels: int, seed: int) -> dict[str, Recipe]:
    name, steps, batch, rate = PREVIOUS
    precision = precision_name(plan.precision, pick_device(plan.device))
    rest = (pieces, seed, plan.device, precision)
    auto_steps, auto_rate = auto_recipe.steps(labels), auto_recipe.learning_rate(width(plan.base_model))
    return {
        name: Recipe(plan.base_model, steps, rate, batch, *rest),
        AUTO: Recipe(plan.base_model, auto_steps, auto_rate, auto_recipe.BATCH, *rest, **auto_recipe.FIXED),
    }


def _outcome(data: TextSet, recipe: Recipe, items: Sequence[Labelled], judged: Sequence[Labelled]) -> Outcome:
    device, question = pick_device(recipe.device), data.question
    began, steps = (0.0, 0.0), 0

    def progress(done: int, total: int) -> None:
        nonlocal began, steps
        steps = done
        if done == 0:
            began = clock(device), time.process_time()

    examples, targets_N = [example for example, _ in items], question.class_numbers([label for _, label in items])
    classifier = training.fit(recipe, question.labels, examples, targets_N, progress)
    fit_s, cpu_s = clock(device) - began[0], time.process_time() - began[1]
    right_N = question.class_numbers([label for _, label in judged])
    said_N = question.predicted(classifier.predict_proba([example for example, _ in judged], exact=False))
    return Outcome(round(fit_s, 3), round(cpu_s, 3), steps, macro_f1(right_N, said_N))


def _result(plan: RecipesPlan, command: str, pairs: Sequence[Pair], planned: int) -> Result:
    return {
        "command": command,
        "nextlabel": __version__,
        "machine": processor(),
        "device": describe(plan.device),
        "libraries": classifiers.package_versions(),
        "plan": {**asdict(plan), "base_model": Path(plan.base_model).name, "rule": auto_recipe.RULE},
        "note": NOTE,
        "pairs_planned": planned,
        "fit": summary(pairs),
        "pairs": [asdict(pair) for pair in pairs],
    }


def summary(pairs: Sequence[Pair]) -> Result:
    """The figures of at least one pair, as `NOTE` has them."""
    counts = sorted({pair.labels for pair in pairs})
    by_count = {count: [pair for pair in pairs if pair.labels == count] for count in counts}
    time_ratios = [float(np.mean([pair.time_ratio for pair in some])) for some in by_count.values()]
    cpu_ratios = [float(np.mean([pair.cpu_ratio for pair in some])) for some in by_count.values()]
    differences = np.array([pair.difference for pair in pairs])
    quality = estimate(differences, resample(len(pairs)))
    return {
        "time_ratio_to_previous": float(np.mean(time_ratios)),
        "time_ratio_range": [min(time_ratios), max(time_ratios)],
        "cpu_ratio_to_previous": float(np.mean(cpu_ratios)),
        "quality_difference": quality.mean,
        "quality_interval": [quality.low, quality.high],
        "by_labels": [
            {
                "labels": count,
                "pairs": len(some),
                "time_ratio": ratio,
                "steps": float(np.mean([pair.auto.steps for pair in some])),
                "previous_macro_f1": float(np.mean([pair.previous.macro_f1 for pair in some])),
                "auto_macro_f1": float(np.mean([pair.auto.macro_f1 for pair in some])),
            }
            for (count, some), ratio in zip(by_count.items(), time_ratios, strict=True)
        ],
    }


def to_markdown(result: Result) -> str:
    """The figures in a sentence, a table by label count, what they mean, and the command."""
    fit = result["fit"]
    low, high = fit["quality_interval"]
    interval = "" if low is None else f" [{low:+.4f} to {high:+.4f}]"
    said = (
        f"A fit takes {fit['time_ratio_to_previous']:.3f} of the time "
        f"({fit['time_ratio_range'][0]:.3f} to {fit['time_ratio_range'][1]:.3f}; "
        f"of the processor's seconds {fit['cpu_ratio_to_previous']:.3f}) of {PREVIOUS[0]}; "
        f"macro-F1 differs by {fit['quality_difference']:+.4f}{interval}. "
        f"{len(result['pairs'])} of {result['pairs_planned']} pairs of fits, {result['machine']}."
    )
    head = ("labels", "pairs", "time ratio", "steps of auto", "macro-F1 before", "macro-F1 of auto")
    rows = [
        (
            str(row["labels"]),
            str(row["pairs"]),
            f"{row['time_ratio']:.3f}",
            f"{row['steps']:.0f}",
            f"{row['previous_macro_f1']:.3f}",
            f"{row['auto_macro_f1']:.3f}",
        )
        for row in fit["by_labels"]
    ]
    return "\n\n".join([said, markdown.table(head, rows), result["note"], f"```sh\n{result['command']}\n```"])
