"""Counts labels on tasks that the queue did not offer: they are of people to whom Label Studio serves another order.

Its button Label All Tasks follows the queue; the other ways to a task do not. Imports and scripts, second answers,
skipped tasks, and what was labelled while the queue ran low say nothing about the way that people come: they are not
counted. Nor are tasks that were offered once and are no longer: somebody may have had them open.
"""

from dataclasses import replace

from nextlabel.labelstudio.client import UNCERTAINTY, Project
from nextlabel.store.pool import Pool
from nextlabel.store.state import OutsideState
from nextlabel.values.versions import is_ours

RECENT = 50  # labels that are looked at
SOME = 5  # of them: fewer may be chance
JUST_NOW = 20  # after so many labels in a row on tasks that were offered, nobody does it any more
LEFT = 4  # tasks in the queue, beside one in each annotator's hands: with fewer, Label Studio serves others too


def note(pool: Pool, project: Project, annotators: int) -> None:
    """Count the tasks that were answered since the last look, and those of them that were not offered.

    `annotators` are at work.
    """
    answered, followed = pool.take_newly_answered(), project.model_version or ""
    in_order = project.sampling == UNCERTAINTY and is_ours(followed)
    if not answered or not in_order or len(pool.waiting(followed)) < LEFT + annotators:
        return
    outside = pool.never_offered(answered)

    def noted(state: OutsideState) -> OutsideState:
        example = state.example if any(state.recent) else min(outside, default=0)
        recent = (*state.recent, *(task in outside for task in sorted(answered)))[-RECENT:]
        return replace(state, recent=recent, total=state.total + len(outside), example=example)

    pool.update(OutsideState, noted)


def come_by_another_way(state: OutsideState, annotators: int) -> bool:
    """Whether somebody does. Each of them may have had a task open before there was an order."""
    return sum(state.recent) >= max(SOME, 1 + annotators) and any(state.recent[-JUST_NOW:])
