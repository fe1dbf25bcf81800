"""Notes which texts of the control set the models would have asked for by now: the others are a sample of what is left.

An order asks for its tasks from the highest value on. Once a task that stood in the queue by its value is labelled, all
texts of the control set with at least that value would have been asked for, had they been of the pool.
"""

from collections.abc import Mapping
from dataclasses import replace

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.control import DRAWS, NO_CONTROL, asked_for
from nextlabel.loop.said import scores_of
from nextlabel.store.pool import Pool
from nextlabel.store.state import AgainState, ControlState
from nextlabel.values.versions import version_number, version_of
from nextlabel.versions.registry import Registry


class Marks:
    """Marks texts, each order's as far down as it has been labelled."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._down_to: dict[tuple[int, str], float] = {}  # values, by project and order

    def look(self, pool: Pool, project: int, config: LabelConfig, followed: str) -> None:
        """Note what was labelled since the last look, before anything else is published. `followed` is the order that
        Label Studio follows."""
        begin(pool, config, bool(self._registry.versions(project)) or version_number(version_of(followed)) > 0)
        if not config.control.share:
            return
        again = pool.state(AgainState).asked
        lowest = {order: 1 - score for order, score in pool.lowest_labelled(but=again).items()}
        kept = {(project, order): value for order, value in lowest.items()}
        news = {key[1]: value for key, value in kept.items() if value < self._down_to.get(key, 2.0)}
        if news:
            self._mark(pool, project, news)
        others = {key: value for key, value in self._down_to.items() if key[0] != project}
        self._down_to = {**others, **kept}

    def _mark(self, pool: Pool, project: int, lowest: Mapping[str, float]) -> None:
        unmarked = [task.task_id for copies in pool.control() for task in copies if not task.marked]
        versions = set(self._registry.versions(project))
        for order, value in lowest.items():
            if version_of(order) in versions:  # the start order asks for what is typical, in no model's order
                card = self._registry.card(project, version_of(order))
                scores = scores_of(pool, self._registry, card, order, unmarked)
                pool.mark(asked_for(scores.ids_N, scores.values_N, value))


def begin(pool: Pool, config: LabelConfig, asked_before: bool) -> None:
    """Note how the set is drawn now. When another one is drawn, or it grows, what of it is labelled was asked for, and
    nothing else was: no model knew of these draws.

    `asked_before`: models asked for tasks before the first look of all, so that marks may be lost.
    """
    control, before = config.control, pool.state(ControlState)
    texts = replace(config, control=NO_CONTROL).reading
    now = replace(before, texts=texts, seed=control.seed or before.seed, share=control.share)
    if now == before:
        return
    # A release may name the same texts otherwise: then their draws are the same as well. Other texts have other draws.
    same = before.seed == now.seed and (before.texts == texts or _is_marked(pool))
    if not same:
        pool.unmark_all()
    pool.mark_labelled(f"{int(before.share * DRAWS):064x}" if same else "")
    noted = before.noted if same else bool(before.texts) or not asked_before
    pool.update(ControlState, lambda _: replace(now, noted=noted, judged_to=now.judged_to if same else 0))


def _is_marked(pool: Pool) -> bool:
    """Whether a text of the set, as it is read now, has a mark."""
    return any(task.marked for copies in pool.control() for task in copies)
