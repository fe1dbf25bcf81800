"""Looks at labels again: lists those that are worth it, and has a second person asked about a few, if that is wanted.

Done at thorough checks, after all that annotators wait for. Tasks of the control set and of the holdout, of which
nothing is learnt, are never listed and never opened: what the model contradicts there is what they are for.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nextlabel.errors import InUseError, NoModelError, NoProjectError
from nextlabel.labelstudio import reopening
from nextlabel.labelstudio.client import LabelStudioClient, Project
from nextlabel.labelstudio.project_options import note_reopened
from nextlabel.learning import suspects
from nextlabel.learning.second_votes import drawn
from nextlabel.learning.suspects import Answered
from nextlabel.learning.wanted import places
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.sides import Side
from nextlabel.problems.look_again import LISTED, OPEN, LookAgain, Suspect
from nextlabel.problems.question import Question
from nextlabel.settings import Settings
from nextlabel.store.pool import EMBEDDINGS, Pool
from nextlabel.store.state import AgainState
from nextlabel.store.status import StatusBoard
from nextlabel.values.arrays import Features
from nextlabel.values.counting import DELETED
from nextlabel.values.options import ProjectOptions
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

AGAIN = "again"  # the kind of tasks that are open again
EVERY = 10  # tasks that are served, of which the last one may be such a one
DRAWN_OPEN = 3  # tasks at a time of those that are drawn for a second vote
PEOPLE_AT_MOST = 3  # who answer one task
LEAST_LABELS = 32  # before that a model knows too little to contradict anybody
ANEW, ANEW_SHARE = 16, 0.05  # further votes, and as a share of all, after which all are looked at again
EMBEDDED = 128  # labelled texts without an embedding that one look makes
SHOWN = 200  # tasks in the list


@dataclass(frozen=True)
class Asker:
    """Who looks: a project as it is, with its copy. `ours`: its queue follows our order; on `pause` all stays as it is,
    unless nobody is to be asked again any more; `hinted` tells that somebody waits, so that what is not urgent is put
    off."""

    pool: Pool
    project: Project
    question: Question
    ours: bool
    pause: bool
    hinted: Callable[[], bool]


WHY = "open again, for somebody else than who labelled it"


class Again:
    """Keeps the list, and opens and closes what stands in it."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        board: StatusBoard,
        studio: LabelStudioClient,
        embedder: Embedder,
        now: Callable[[], float] = time.time,
    ):
        self._settings, self._registry, self._board = settings, registry, board
        self._studio, self._embedder, self._now = studio, embedder, now

    def side(self, pool: Pool, project: int, depth: int) -> Side:
        """The tasks that are open again, in their places among `depth`. No guess of theirs is shown."""
        reopened = self._registry.options(project).reopened
        waiting = [asked.example.id for asked in pool.asked(reopened) if asked.votes and not asked.closed]
        at = places(pool.votes(), depth, EVERY) if waiting else ()
        return Side(AGAIN, waiting, at, hidden=True, why=dict.fromkeys(waiting, WHY))

    def look(self, asker: Asker) -> bool:
        """Close what is done, look anew if it is time, open what is due; returns whether the queue is another now."""
        options = self._registry.options(asker.project.id)
        on, was_on = options.asks_again, self._board.look_again(asker.project.id).on
        stops = not on and (was_on or options.reopened)
        if not stops and (asker.pause or not (on or self._is_time(asker.pool))):
            return False
        answered = asker.pool.answered(holdout=False)
        why = _why_not(on, asker, answered)
        closed = self._close(asker, answered, options, everything=bool(why))
        found = self._listed(asker, answered)
        wait = bool(why) or self._is_time(asker.pool)  # what is answered already must not be opened by an old list
        opened = 0 if wait else self._open(asker, answered, found)
        self._say(asker, answered, found, why)
        return closed or opened > 0

    def _is_time(self, pool: Pool, times: int = 1) -> bool:
        """Whether votes enough came since all labels were looked at, or so many times as many."""
        votes, before = pool.votes(), pool.state(AgainState).votes
        return votes >= LEAST_LABELS and abs(votes - before) >= times * max(ANEW, ANEW_SHARE * before)

    def _close(self, asker: Asker, answered: Sequence[Answered], options: ProjectOptions, everything: bool) -> bool:
        """Put back what a second person has answered or skipped, what is learnt from no more, or `everything`."""
        waiting = {one.example.id for one in asker.pool.asked(options.reopened) if not one.skipped}
        waiting &= {example.id for example, _ in answered}
        done = [task for task in options.reopened if everything or task not in waiting or self._finished(asker, task)]
        if not done:
            return False
        project = asker.project.id
        people = {task: max(options.reopened[task], asker.project.people) for task in done}
        reopening.put_back(self._studio, project, people)
        self._note(project, add={}, drop=done)
        asker.pool.update(AgainState, lambda state: replace(state, votes=0))
        log.info("project %d: %d tasks are not open again any more", project, len(done))
        return True

    def _finished(self, asker: Asker, task: int) -> bool:
        """Whether Label Studio has closed it by itself. Asked only of what is closed in the copy, which may be old."""
        if not all(one.closed for one in asker.pool.asked([task])):
            return False
        served = self._studio.served(asker.project.id, task)
        return served is None or served.finished

    def _note(self, project: int, add: Mapping[int, int], drop: Collection[int]) -> None:
        self._registry.put_options(project, note_reopened(self._studio, self._settings, project, add, drop))

    def _listed(self, asker: Asker, answered: Sequence[Answered]) -> tuple[Suspect, ...]:
        """The list, made anew if it is time; while somebody waits it is put off, but not for long."""
        known = self._board.look_again(asker.project.id).tasks
        if not self._is_time(asker.pool) or (asker.hinted() and not self._is_time(asker.pool, times=2)):
            return known
        try:
            features_ND = self._embedded(asker, [example.id for example, _ in answered])
        except NoModelError as error:  # the look at the base checkpoint tells people
            log.warning("project %d: labels are not looked at: %s", asker.project.id, error)
            return known
        if len(features_ND) < len(answered):
            return known
        looked, votes = suspects.look(asker.question, answered, features_ND, SHOWN), asker.pool.votes()
        asker.pool.update(AgainState, lambda state: replace(state, votes=votes, casting=looked.casting))
        return looked.suspects

    def _embedded(self, asker: Asker, ids: Sequence[int]) -> Features:
        """Embeddings by task id, of as many as have one: a look makes some of those that are missing."""
        missing = asker.pool.without_vector(EMBEDDINGS, self._embedder.name, ids)
        self._embedder.embed(asker.pool, asker.project.id, missing[:EMBEDDED])
        _, rows_MD = asker.pool.vectors(EMBEDDINGS, self._embedder.name, ids)
        return rows_MD.astype(np.float32)  # of 100,000 labels 150 MB, of which copies are made

    def _open(self, asker: Asker, answered: Sequence[Answered], found: Sequence[Suspect]) -> int:
        """Open what is due of both kinds; returns how many. What is drawn is opened in the order of the draw alone, and
        never because it is doubtful: else it would say nothing of how people agree."""
        options, asked = self._registry.options(asker.project.id), asker.pool.state(AgainState).asked
        draw = drawn(options.control_seed, options.second_votes, [example.id for example, _ in answered])
        listed = [suspect.task for suspect in found if suspect.task not in set(draw)]
        possible = _possible(asker.pool, answered) - options.reopened.keys()
        alone = possible & {example.id for example, votes in answered if len({vote.account for vote in votes}) == 1}
        second = [task for task in draw if task in alone]
        again = [task for task in listed if task in possible]
        opened = options.reopened.keys() & set(draw)
        earned = asker.pool.votes() // EVERY - len(asked.keys() - set(draw) - options.reopened.keys())
        room = min(options.look_again, earned)
        due = second[: max(0, DRAWN_OPEN - len(opened))]
        due += again[: max(0, room - len(options.reopened.keys() - opened))]
        return self._reopen(asker, answered, due) if due else 0

    def _reopen(self, asker: Asker, answered: Sequence[Answered], task_ids: Sequence[int]) -> int:
        project = asker.project.id
        tasks = reopening.finished(self._studio, project, task_ids)
        before = {task: served.people for task, served in tasks.items()}
        given = ((example.id, asker.question.consensus(votes)) for example, votes in answered if example.id in tasks)
        labels = {task: label or "" for task, label in given}
        asker.pool.update(AgainState, lambda state: replace(state, asked={**state.asked, **labels}))
        self._note(project, before, drop=())
        reopening.reopen(self._studio, tasks)
        try:  # a disconnect in between has put back, or still does, what was open then
            self._note(project, before, drop=())
        except (NoProjectError, InUseError):
            reopening.put_back(self._studio, project, before)
            raise
        log.info("project %d: %d tasks are open again for a second person", project, len(tasks))
        return len(tasks)

    def _say(self, asker: Asker, answered: Sequence[Answered], found: Sequence[Suspect], why: str) -> None:
        options = self._registry.options(asker.project.id)
        tasks = tuple(replace(one, state=OPEN if one.task in options.reopened else LISTED) for one in found)
        confirmed, changed = _outcomes(asker, answered)
        most = options.look_again + (DRAWN_OPEN if options.second_votes else 0)
        on, opened = bool(most), len(options.reopened)
        now = LookAgain(self._now(), on, opened, most, tasks, confirmed, changed, why if on else "")
        if replace(now, at=0.0) != replace(self._board.look_again(asker.project.id), at=0.0):
            self._board.put_look_again(asker.project.id, now)


def _why_not(on: bool, asker: Asker, answered: Sequence[Answered]) -> str:
    """Why nothing is to be open again, in words; empty when some may be."""
    if not on:
        return "look_again and second_votes are off"
    if asker.project.people > 1:
        return f"the project has {asker.project.people} people asked about each task anyway"
    if not asker.ours:
        return "the queue follows other predictions, or an audit"
    if len(_people(answered)) < 2:
        return "all labels are one person's"
    return ""


def _people(answered: Sequence[Answered]) -> set[str]:
    """Those whose labels count."""
    return {vote.account for _, votes in answered for vote in votes} - {DELETED}


def _possible(pool: Pool, answered: Sequence[Answered]) -> set[int]:
    """Tasks that can be opened: finished, skipped by nobody, and there is somebody else whose labels count."""
    people = _people(answered)
    voters = {example.id: {vote.account for vote in votes} for example, votes in answered}
    few = [task for task, who in voters.items() if DELETED not in who and people - who and len(who) < PEOPLE_AT_MOST]
    return pool.finished(few)


def _outcomes(asker: Asker, answered: Sequence[Answered]) -> tuple[int, int]:
    """Of tasks that were opened again and have a second person's answer, how many labels are the same, and others."""
    asked = asker.pool.state(AgainState).asked
    done = [one for one in answered if one[0].id in asked and len({vote.account for vote in one[1]}) > 1]
    same = sum((asker.question.consensus(votes) or "") == asked[example.id] for example, votes in done)
    return same, len(done) - same
