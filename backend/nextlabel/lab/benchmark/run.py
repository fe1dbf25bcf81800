"""One run of the benchmark: everything measured, in one result."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from nextlabel.lab.benchmark.fitting import measure_fit, measure_whole_fit
from nextlabel.lab.benchmark.plan import BenchmarkPlan, Result, Show, about, with_targets
from nextlabel.lab.benchmark.quality import measure_quality
from nextlabel.lab.benchmark.report import write_result
from nextlabel.lab.benchmark.rivals import require_trainer
from nextlabel.lab.benchmark.scoring import measure_pool, measure_predict, measure_scoring, paired_anew
from nextlabel.model import training
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.simulation.records import read_json


def measure(data: TextSet, plan: BenchmarkPlan, command: str, show: Show = lambda line: None) -> Result:
    """Everything, as JSON has it. Fits on `train`; scores `test`, or `dev` where there is no test part.

    Raises as `training.fit` does, and `BadRunError` for a model whose operations cannot be counted or without the
    rivals' package.
    """
    require_trainer()
    plan = plan.settled()
    # The pipeline would switch the tokenizer's threads off, for us too. Set, it leaves the variable alone.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    learnt, targets_N = with_targets(data.labels, data.train)
    unseen = [example for example, _ in _unseen(data, plan.examples)]
    show(f"fitting {plan.warm_steps} steps")
    classifier = training.fit(plan.recipe(plan.warm_steps), data.labels, learnt, targets_N)
    scoring = measure_scoring(classifier, unseen, plan.repeats, show)
    predict = measure_predict(classifier, unseen[: plan.singles], plan.repeats, show)
    pool = (
        {"pool": measure_pool(classifier, paired_anew(learnt + unseen, plan.pool), plan.repeats, show)}
        if plan.pool
        else {}
    )
    whole = {"whole": measure_whole_fit(data.labels, plan, learnt, targets_N, show)} if plan.whole_steps else {}
    return {
        "command": command,
        **about(data, plan),
        "plan": {**asdict(plan), "base_model": Path(plan.base_model).name},
        "scoring": scoring,
        **pool,
        "fit": {**measure_fit(classifier, plan, learnt, targets_N, show), **whole},
        "predict": predict,
    }


def _unseen(data: TextSet, most: int | None) -> Sequence[Labelled]:
    unseen = data.test or data.dev
    if most is None or most >= len(unseen):
        return unseen
    chosen = np.random.default_rng(0).choice(len(unseen), size=most, replace=False)
    return [unseen[i] for i in np.sort(chosen)]


def run(
    data: TextSet,
    plan: BenchmarkPlan,
    command: str,
    out: Path | None = None,
    seeds: int | None = None,
    steps: int = 343,
    threads: int | None = None,
    show: Show = lambda line: None,
) -> Result:
    """The speed, or with `seeds` the quality of fits of so many `steps`, and what an earlier `out` holds of the other.
    The quality is written to `out` after every seed. `threads`: of torch, on the CPU. Raises as `measure` and
    `measure_quality`."""
    if threads:
        torch.set_num_threads(threads)
    earlier = (read_json(out) if out else None) or {}
    if not seeds:
        return {**earlier, **measure(data, plan, command, show)}

    def keep(quality: Result) -> None:
        if out:
            write_result({**earlier, "quality": quality}, out)

    quality = measure_quality(data, plan, seeds, steps, command, earlier.get("quality"), keep, show)
    return {**earlier, "quality": quality}
