"""How fast fits are: a step, a whole one, and the memory that it takes."""

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from nextlabel.lab.benchmark.clock import clock, interleave, ratios, spread
from nextlabel.lab.benchmark.limits import flop, limit_actions, limit_of, shape_of
from nextlabel.lab.benchmark.plan import BATCH, DTYPES, OURS, TUTORIAL, BenchmarkPlan, Result, Show
from nextlabel.lab.benchmark.rivals import Fit, FitWay, fit_ways
from nextlabel.model import training
from nextlabel.model.classifier import Classifier, Recipe
from nextlabel.model.devices import pick_device
from nextlabel.values.arrays import Ints
from nextlabel.values.examples import Example

STATUS = Path("/proc/self/status")  # Linux's page about this process
FIT_NOTE = (
    "The rivals are Hugging Face's own Trainer with its defaults, from the same checkpoint, at the same learning rate "
    "and warm-up; it evaluates, logs and saves nothing. All texts are tokenised beforehand; a fit's first step is not "
    "counted. A step's share of the limit takes three forward passes over its real tokens for the work. Peak memory is "
    "a whole process's, with Python and torch in it."
)


def measure_fit(
    classifier: Classifier,
    plan: BenchmarkPlan,
    examples: Sequence[Example],
    targets_N: Ints,
    show: Show = lambda line: None,
) -> Result:
    """Seconds of an optimiser step on batches of `BATCH`. Each repetition draws examples, the same for every way.

    The fitted `classifier` only says which labels there are and what a step's operations are.
    """
    ways, device = fit_ways(plan), classifier.device
    # Whole batches only, and as many as steps: ours sorts by length, and must not be lucky with short ones.
    batches = min(plan.fit_steps, len(examples) // BATCH)
    chosen = [np.random.default_rng(i).permutation(len(examples))[: batches * BATCH] for i in range(plan.repeats)]

    def job(repeat: int) -> tuple[Recipe, Sequence[str], Sequence[Example], Ints]:
        drawn = [examples[i] for i in chosen[repeat]]
        return plan.recipe(plan.fit_steps + 1, repeat), classifier.labels, drawn, targets_N[chosen[repeat]]

    def seconds_of(fit: Fit, repeat: int) -> float:
        return seconds_per_step(fit, *job(repeat), device)

    seconds = {_fit_of(name): partial(seconds_of, way.fit) for name, way in ways.items()}
    ours = {_fit_of(OURS): seconds.pop(_fit_of(OURS))}
    measured = interleave(seconds, plan.repeats, show, after_each={**limit_actions(classifier), **ours})
    shape, lengths_N = shape_of(classifier.model.config), classifier.token_counts(examples)
    gflop = [3 * flop(shape, lengths_N[chosen_N]) / batches / 1e9 for chosen_N in chosen]
    of_ways = {name: _fit_result(name, way, measured, gflop) for name, way in ways.items()}
    if plan.memory and STATUS.exists():
        for name, way in ways.items():
            show(f"memory of {name}")
            of_ways[name]["memory"] = _in_a_fresh_process(way.fit, *job(0))
    return {
        "ratio_to_tutorial": of_ways[OURS]["ratio_to_tutorial"]["median"],
        "share_of_limit": of_ways[OURS]["share_of_limit"]["median"],
        "batch_size": BATCH,
        "gflop_per_step": spread(gflop),
        "limit_gflops": {name: spread(measured[limit_of(name)]) for name in DTYPES},
        "note": FIT_NOTE,
        "ways": of_ways,
    }


def measure_whole_fit(
    labels: Sequence[str],
    plan: BenchmarkPlan,
    examples: Sequence[Example],
    targets_N: Ints,
    show: Show = lambda line: None,
) -> Result:
    """Seconds of our fit of `whole_steps` on all examples: until model and data are ready, and all its steps."""
    assert plan.whole_steps is not None
    prepare, steps = [], []
    for repeat in range(plan.repeats):
        show(f"a whole fit, {repeat + 1} of {plan.repeats}")
        start = time.perf_counter()
        ready: list[float] = []

        def progress(done: int, total: int, ready: list[float] = ready) -> None:
            if done == 0:
                ready.append(time.perf_counter())

        fitted = training.fit(plan.recipe(plan.whole_steps, repeat), labels, examples, targets_N, progress)
        steps.append(clock(fitted.device) - ready[0])
        prepare.append(ready[0] - start)
    return {"steps": plan.whole_steps, "prepare_seconds": spread(prepare), "seconds": spread(steps)}


def _fit_of(way: str) -> str:
    return f"fit {way}"


def _fit_result(name: str, way: FitWay, measured: Mapping[str, Sequence[float]], gflop: Sequence[float]) -> Result:
    seconds = measured[_fit_of(name)]
    return {
        "words": way.words,
        "dtype": way.dtype,
        "seconds_per_step": spread(seconds),
        "ratio_to_tutorial": ratios(measured[_fit_of(TUTORIAL)], seconds),
        "share_of_limit": ratios([a / b for a, b in zip(gflop, seconds, strict=True)], measured[limit_of(way.dtype)]),
    }


def seconds_per_step(
    fit: Fit,
    recipe: Recipe,
    labels: Sequence[str],
    examples: Sequence[Example],
    targets_N: Ints,
    device: torch.device,
) -> float:
    """The mean of all steps but the first, which also makes the optimiser's state; it takes a fit of two or more."""
    ends: list[float] = []

    def progress(done: int, total: int) -> None:
        if done in (1, total):  # a look at a GPU's clock waits for it, which no fit has to do after each step
            ends.append(clock(device))

    fit(recipe, labels, examples, targets_N, progress)
    return (ends[-1] - ends[0]) / (recipe.steps - 1)


def _in_a_fresh_process(
    fit: Fit, recipe: Recipe, labels: Sequence[str], examples: Sequence[Example], targets_N: Ints
) -> Result:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        fitting = pool.submit(peak_memory, fit, recipe, labels, examples, targets_N, torch.get_num_threads())
        return fitting.result()


def peak_memory(
    fit: Fit, recipe: Recipe, labels: Sequence[str], examples: Sequence[Example], targets_N: Ints, threads: int
) -> Result:
    """Most MiB this process ever held, after a fit; on a GPU also the most that torch held there. Linux only."""
    torch.set_num_threads(threads)
    fit(recipe, labels, examples, targets_N, lambda done, total: None)
    # Not getrusage: its maximum includes the parent's memory at the moment this process was made.
    status = STATUS.read_text(encoding="utf-8")
    peak = {"resident_mib": int(re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[0]) / 1024}
    if pick_device(recipe.device).type == "cuda":
        peak["device_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return peak
