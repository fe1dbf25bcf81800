"""What a project's page would say of whether its order helps, with the labels of a round: the live loop's own answers.

For the round's record, as the version's view of the pool is not kept. Knows no models.
"""

from typing import Any

import numpy as np

from nextlabel.learning import forecast, helping
from nextlabel.learning.forecast import World
from nextlabel.learning.fresh_heads import Known
from nextlabel.values.arrays import Array, Features

START = 2 * forecast.EVERY  # labels at most that a project is taken to have begun with, as in the live loop


def told(
    given: Known,
    open_ND: Features,
    probs_NC: Array,
    control: Known,
    control_probs_MC: Array,
    strategy: str,
    seed: int,
) -> dict[str, Any]:
    """The forecast and the measured answer, None where there is none yet.

    Features are base embeddings. `given` are the labels that are learnt, `control` those of the control set, both in
    the order in which they came; probabilities are the version's, of the N texts that are open and of the M of the
    control set.
    """
    temperature = forecast.temperature(control_probs_MC, control.targets_N) if len(control) else 1.0
    uniform_GC = np.full((len(given), probs_NC.shape[1]), 1 / probs_NC.shape[1])
    world = World(
        np.concatenate([given.features_ND, open_ND]),
        np.concatenate([uniform_GC, forecast.tempered(probs_NC, temperature)]),
        np.concatenate([given.targets_N, np.full(len(open_ND), -1)]),
        np.arange(min(len(given), START)),
    )
    return {"forecast": _forecast(world, len(given), strategy, seed), "measured": _measured(control, given)}


def _forecast(world: World, labels: int, strategy: str, seed: int) -> dict[str, Any] | None:
    labels = min(labels, forecast.LABELS_AT_MOST)
    if labels < forecast.EVERY or forecast.choosable(world) < labels:
        return None
    found = forecast.forecast(world, strategy, labels, seed)
    times = None if found.times is None else list(found.times)
    ends = {name: round(getattr(found, name), 5) for name in ("gain", "low", "high")}
    return {"labels": found.labels, **ends, "times": times}


def _measured(control: Known, given: Known) -> dict[str, Any] | None:
    if len(given) < helping.BUDGET:
        return None
    found = helping.answer(control, given)
    return {"control": len(control), "helps": found.helps, "more": found.more}
