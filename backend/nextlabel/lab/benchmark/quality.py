"""How good a fit ends: the tutorial's way and ours, seed by seed."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from nextlabel.lab.benchmark.plan import DIFFERENCE, OURS, TUTORIAL, BenchmarkPlan, Result, Show, about, with_targets
from nextlabel.lab.benchmark.rivals import fit_as_tutorial, require_trainer
from nextlabel.model import training
from nextlabel.model.classifier import Recipe
from nextlabel.problems.metrics import evaluate
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.records import require_same

QUALITY_NOTE = (
    "Combined is the mean of accuracy and F1, here in hundredths; the difference is ours less the tutorial's. The "
    "tutorial's way is Hugging Face's Trainer, padded and in fp32; the warm-up is ours, for both. Both fits of a seed "
    "begin with the same weights and see the same examples, in other batches. Both are judged in fp32."
)


def measure_quality(
    data: TextSet,
    plan: BenchmarkPlan,
    seeds: int,
    steps: int,
    command: str,
    earlier: Result | None = None,
    keep: Callable[[Result], None] = lambda quality: None,
    show: Show = lambda line: None,
) -> Result:
    """The tutorial's fit and ours on all of `train`, for each seed from 0 on, judged on `dev` and `test`.

    `keep` is given the result so far after every seed; the seeds of an `earlier` one are not fitted again. Raises as
    `training.fit` does, and `BadRunError` without the rivals' package or when `earlier` has another setting.
    """
    require_trainer()
    recipe = plan.settled().recipe(steps)
    shared = ("steps", "batch_size", "learning_rate", "warmup", "max_length", "precision")
    setting = {**about(data, plan), "recipe": {name: getattr(recipe, name) for name in shared}}
    of_seeds: list[Result] = []
    if earlier is not None:
        require_same(setting, earlier["setting"], "This run", "the quality comparison in --out")
        of_seeds = list(earlier["seeds"])
    for seed in range(len(of_seeds), seeds):
        of_seeds.append({"seed": seed, **_quality_of_seed(data, replace(recipe, seed=seed), show)})
        keep(_quality_result(command, setting, of_seeds))
    return _quality_result(command, setting, of_seeds)


def _quality_of_seed(data: TextSet, recipe: Recipe, show: Show) -> Result:
    """By part (`dev`, and `test` where there is one) and by way, the scores."""
    learnt, targets_N = with_targets(data.labels, data.train)
    judged = {name: part for name, part in data.parts().items() if part and name != "train"}
    scores: Result = {name: {} for name in judged}
    for way, fit in {TUTORIAL: fit_as_tutorial, OURS: training.fit}.items():
        show(f"quality of {way}, seed {recipe.seed}")
        classifier = fit(recipe, data.labels, learnt, targets_N, lambda done, total: None)
        for name, part in judged.items():
            examples, expected_N = with_targets(data.labels, part)
            predictions_N = classifier.predict_proba(examples).argmax(axis=1)
            scores[name][way] = evaluate(expected_N, predictions_N, len(data.labels)).as_dict()
    return scores


def _quality_result(command: str, setting: Result, of_seeds: Sequence[Result]) -> Result:
    combined: Result = {}
    for part in [name for name in of_seeds[0] if name != "seed"]:
        theirs, ours = ([of[part][way]["combined"] for of in of_seeds] for way in (TUTORIAL, OURS))
        difference = [b - a for a, b in zip(theirs, ours, strict=True)]
        combined[part] = {TUTORIAL: _mean(theirs), OURS: _mean(ours), DIFFERENCE: _mean(difference)}
    return {"command": command, "setting": setting, "note": QUALITY_NOTE, "combined": combined, "seeds": list(of_seeds)}


def _mean(values: Sequence[float]) -> Result:
    """Mean, standard deviation (of a sample; None for a single value), and the values in their order."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "standard deviation": deviation, "values": list(values)}
