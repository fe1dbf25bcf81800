"""How fast this machine fits and scores with a base checkpoint, tried out on some texts. Keeps nothing."""

import math
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from nextlabel.model.classifier import Recipe
from nextlabel.model.devices import name_of
from nextlabel.model.training import fit
from nextlabel.values.arrays import Ints
from nextlabel.values.examples import Example


@dataclass(frozen=True)
class Speed:
    """What a trial took. `load_s`: seconds until model and texts are ready; `step_s`: of an optimiser's step;
    `texts_per_s` are scored in the fast precision. Bytes: `memory` of this process at its peak and `on_gpu`, `weights`
    of a version, `pieces` of a text's word pieces. `width`: numbers in a text's vector."""

    device: str
    precision: str
    load_s: float
    step_s: float
    texts_per_s: float
    memory: int
    on_gpu: int
    weights: int
    pieces: float
    width: int


def measure(
    recipe: Recipe, labels: Sequence[str], fitted: Sequence[Example], targets_N: Ints, scored: Sequence[Example]
) -> Speed:
    """Fit on all of `fitted` twice, and score `scored` twice: the second time counts, as kernels are made in the first.

    Raises as `training.fit` does.
    """
    epoch, start, told = math.ceil(len(fitted) / recipe.batch_size), time.perf_counter(), list[float]()
    short = replace(recipe, steps=2 * epoch, stop_loss=0.0)
    classifier = fit(short, labels, fitted, targets_N, lambda done, total: told.append(_now()))
    classifier.predict_proba(scored, exact=False)
    scoring = _now()
    classifier.predict_proba(scored, exact=False)
    score_s = _now() - scoring
    tokens = classifier.tokenise(scored)
    return Speed(
        device=str(classifier.device),
        precision=name_of(classifier.precision),
        load_s=told[0] - start,
        step_s=(told[-1] - told[epoch]) / epoch,
        texts_per_s=len(scored) / max(score_s, 1e-6),
        memory=_peak(),
        on_gpu=torch.cuda.max_memory_allocated() if classifier.device.type == "cuda" else 0,
        weights=sum(p.numel() * p.element_size() for p in classifier.model.parameters()),
        pieces=(tokens.ids_M.nbytes + tokens.types_M.nbytes) / len(scored),
        width=int(getattr(classifier.model.config, "hidden_size", 0) or 0),
    )


def _now() -> float:
    """When all that was asked of the device is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _peak() -> int:
    """Bytes; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
