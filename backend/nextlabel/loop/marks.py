"""Notes which texts of the control set the models would have asked for by now: the others are a sample of what is left.

An order asks for its tasks from the highest value on. Once a task that stood in the queue by its value is labelled, all
texts of the control set with at least that value would have been asked for, had they been of the pool. That holds for
those that were scored by then: each label marks once, so that a text that came later is marked only by later labels, as
tasks that came with it are asked for only from then on. Which labels have marked is kept, so that a restart marks no
more. Texts whose label is certified and left to the machine are marked no more, as tasks like them are not asked for.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.control import DRAWS, asked_for
from nextlabel.loop.said import scores_of
from nextlabel.store.pool import Pool
from nextlabel.store.state import AgainState, ControlState, MarkState, ProjectState
from nextlabel.values.versions import is_audit, is_start, version_number, version_of
from nextlabel.versions.registry import Registry


class Marks:
    """Marks texts, in each order those above what was labelled since the last look."""

    def __init__(self, registry: Registry):
        self._registry = registry

    def look(
        self, pool: Pool, project: int, config: LabelConfig, followed: str, certified: Collection[int] = ()
    ) -> None:
        """Note what was labelled since the last look, before anything else is published. `followed` is the order that
        Label Studio follows; tasks that are `certified` are left to the machine."""
        begin(pool, config, self._asked_before(pool, project, followed))
        if not config.control.share:
            return
        labelled = pool.labelled_scores(but=pool.state(AgainState).asked)
        before = {order: set(tasks) for order, tasks in pool.state(MarkState).passed.items()}
        passed = {order: tuple(scores) for order, scores in labelled.items()}
        if passed.keys() == before.keys() and all(before[order] == set(tasks) for order, tasks in passed.items()):
            return
        news = {
            order: [score for task, score in scores.items() if task not in before.get(order, ())]
            for order, scores in labelled.items()
        }
        self._mark(pool, project, {order: 1 - max(scores) for order, scores in news.items() if scores}, set(certified))
        pool.update(MarkState, lambda _: MarkState(passed))

    def _asked_before(self, pool: Pool, project: int, followed: str) -> bool:
        """Whether a model may have asked for tasks. Where MODEL_DIR was lost, the name that the queue follows may tell,
        and need not: so does a label that was given since the project is connected and before this copy was begun,
        unless by the start order."""
        if self._registry.versions(project) or version_number(version_of(followed)) or is_audit(followed):
            return True
        known = pool.state(ProjectState)
        return not is_start(followed) and pool.labelled_between(known.since, known.seen)

    def _mark(self, pool: Pool, project: int, lowest: Mapping[str, float], certified: set[int]) -> None:
        texts = [[task.task_id for task in copies] for copies in pool.control() if not copies[0].marked]
        unmarked = [task for copies in texts if certified.isdisjoint(copies) for task in copies]
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
    texts = config.read_texts
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
