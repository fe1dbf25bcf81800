"""Looks at labels again: lists those that are worth it, and has a second person asked about a few, if that is wanted.

Done at thorough checks, after all that annotators wait for. Tasks of the control set and of the holdout, of which
nothing is learnt, are never listed and never opened: what the model contradicts there is what they are for.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from nextlabel.errors import InUseError, NoModelError, NoProjectError
from nextlabel.labelstudio import reopening
from nextlabel.labelstudio.client import LabelStudioClient, Project
from nextlabel.labelstudio.project_options import note_reopened
from nextlabel.learning import suspects
from nextlabel.learning.second_votes import Draw, place
from nextlabel.learning.wanted import places
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.sides import Side
from nextlabel.problems.look_again import CHANGED, CONFIRMED, KEPT, LISTED, OPEN, LookAgain, Suspect
from nextlabel.problems.question import Question
from nextlabel.settings import Settings
from nextlabel.store.pool import EMBEDDINGS, Pool
from nextlabel.store.state import AgainState
from nextlabel.store.status import StatusBoard
from nextlabel.values.arrays import Features
from nextlabel.values.counting import DELETED
from nextlabel.values.labels import Vote
from nextlabel.values.layout import agree
from nextlabel.values.options import OF_0_1_0, ProjectOptions
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
class Labelled:
    """Whose labels are looked at: a project as it is, with its copy. `ours`: its queue follows our order; on `pause`
    all stays as it is, unless nobody is to be asked again any more; `hinted` tells that somebody waits, so that what is
    not urgent is put off."""

    pool: Pool
    project: Project
    question: Question
    ours: bool
    pause: bool
    hinted: Callable[[], bool]


WHY = "open again, for somebody other than the person who labelled it"


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
        self._draws = defaultdict[int, Draw](Draw)

    def side(self, pool: Pool, project: int, depth: int) -> Side:
        """The tasks that are open again, in their places among `depth`. No guess of theirs is shown."""
        reopened = self._registry.options(project).reopened
        waiting = [asked.example.id for asked in pool.asked(reopened) if asked.votes and not asked.closed]
        at = places(pool.votes(), depth, EVERY) if waiting else ()
        return Side(AGAIN, waiting, at, hidden=True, why=dict.fromkeys(waiting, WHY))

    def look(self, of: Labelled) -> bool:
        """Close what is done, look anew if it is time, open what is due; returns whether the queue is another now."""
        options = self._registry.options(of.project.id)
        on, was_on = options.asks_again, self._board.look_again(of.project.id).on
        stops = not on and (was_on or options.reopened)
        unasked = options.defaults != OF_0_1_0  # that release looked at no label, and the latest of two decided
        if not stops and (of.pause or not (on or (unasked and self._is_time(of.pool)))):
            return False
        labelled, people = of.pool.labelled_ids(), of.pool.people() - {DELETED}
        why = _why_not(on, of, people)
        closed = self._close(of, labelled, options, everything=bool(why))
        found = self._listed(of)
        wait = bool(why) or self._is_time(of.pool)  # what is answered already must not be opened by an old list
        opened = 0 if wait else self._open(of, labelled, people, found)
        self._say(of, labelled, found, why)
        return closed or opened > 0

    def drawn(self, pool: Pool, project: int) -> list[int]:
        """Labelled tasks that were drawn for a second vote, in the order of the draw, as far as it has come: what was
        opened because it is doubtful is among them once its turn would have come, else they would be the doubtful.
        Those that an earlier draw had come to follow."""
        options, state = self._registry.options(project), pool.state(AgainState)
        draw = self._draw(pool.labelled_ids(), project) if options.second_votes else []
        return [*dict.fromkeys([*_come_to(state.drawn_to, options, draw), *state.drawn])]

    def _draw(self, labelled: Set[int], project: int) -> list[int]:
        options = self._registry.options(project)
        return self._draws[project].of(options.control_seed, options.second_votes, labelled)

    def _is_time(self, pool: Pool, times: int = 1) -> bool:
        """Whether votes enough came since all labels were looked at, or so many times as many."""
        votes, before = pool.votes(), pool.state(AgainState).votes
        return votes >= LEAST_LABELS and abs(votes - before) >= times * max(ANEW, ANEW_SHARE * before)

    def _close(self, of: Labelled, labelled: Set[int], options: ProjectOptions, everything: bool) -> bool:
        """Put back what a second person has answered or skipped, what is learnt from no more, or `everything`."""
        waiting = labelled & {one.example.id for one in of.pool.asked(options.reopened) if not one.skipped}
        done = [task for task in options.reopened if everything or task not in waiting or self._finished(of, task)]
        if not done:
            return False
        project = of.project.id
        people = {task: max(options.reopened[task], of.project.people) for task in done}
        reopening.put_back(self._studio, project, people)
        self._note(project, add={}, drop=done)
        of.pool.update(AgainState, lambda state: replace(state, votes=0))
        log.info("project %d: %d tasks are not open again any more", project, len(done))
        return True

    def _finished(self, of: Labelled, task: int) -> bool:
        """Whether Label Studio has closed it by itself. Asked only of what is closed in the copy, which may be old."""
        if not all(one.closed for one in of.pool.asked([task])):
            return False
        served = self._studio.served(of.project.id, task)
        return served is None or served.finished

    def _note(self, project: int, add: Mapping[int, int], drop: Collection[int]) -> None:
        self._registry.put_options(project, note_reopened(self._studio, self._settings, project, add, drop))

    def _listed(self, of: Labelled) -> tuple[Suspect, ...]:
        """The list, made anew if it is time; while somebody waits it is put off, but not for long."""
        known = self._board.look_again(of.project.id).tasks
        if not self._is_time(of.pool) or (of.hinted() and not self._is_time(of.pool, times=2)):
            return known
        answered = of.pool.answered(holdout=False)
        try:
            features_ND = self._embedded(of, [example.id for example, _ in answered])
        except NoModelError as error:  # the look at the base checkpoint tells people
            log.warning("project %d: labels are not looked at: %s", of.project.id, error)
            return known
        if len(features_ND) < len(answered):
            return known
        looked, votes = suspects.look(of.question, answered, features_ND, SHOWN), of.pool.votes()
        of.pool.update(AgainState, lambda state: replace(state, votes=votes, casting=looked.casting))
        return looked.suspects

    def _embedded(self, of: Labelled, ids: Sequence[int]) -> Features:
        """Embeddings by task id, of as many as have one: a look makes some of those that are missing."""
        missing = of.pool.without_vector(EMBEDDINGS, self._embedder.name, ids)
        self._embedder.embed(of.pool, of.project.id, missing[:EMBEDDED])
        _, rows_MD = of.pool.vectors(EMBEDDINGS, self._embedder.name, ids)
        return rows_MD.astype(np.float32)  # of 100,000 labels 150 MB, of which copies are made

    def _open(self, of: Labelled, labelled: Set[int], people: Set[str], found: Sequence[Suspect]) -> int:
        """Open what is due of both kinds; returns how many. What is drawn is opened in the order of the draw alone, and
        never because it is doubtful: else it would say nothing of how people agree."""
        options, draw = self._registry.options(of.project.id), self._draw(labelled, of.project.id)
        in_draw, listed = self._in_draw(of, labelled), labelled & {suspect.task for suspect in found}
        voters = _voters(of.pool, in_draw | listed)
        possible = _possible(of.pool, voters, people) - options.reopened.keys()
        second = [task for task in draw if task in possible and len(voters[task]) == 1]
        again = [suspect.task for suspect in found if suspect.task in possible - in_draw]
        opened = options.reopened.keys() & in_draw
        room = min(options.look_again, of.pool.votes() // EVERY - self._charged(of, labelled))
        more = max(0, DRAWN_OPEN - len(opened))
        due = [*second[:more], *again[: max(0, room - len(options.reopened.keys() - opened))]]
        of.pool.update(AgainState, lambda state: _noted(state, options, draw, second[more:]))
        return self._reopen(of, due) if due else 0

    def _in_draw(self, of: Labelled, labelled: Set[int]) -> set[int]:
        """Tasks that are opened at random alone, or were."""
        return {*self._draw(labelled, of.project.id), *of.pool.state(AgainState).drawn}

    def _charged(self, of: Labelled, labelled: Set[int]) -> int:
        """How many tasks were asked about again as they were doubtful, but for those that are open."""
        reopened = self._registry.options(of.project.id).reopened.keys()
        return len(of.pool.state(AgainState).asked.keys() - self._in_draw(of, labelled) - reopened)

    def _reopen(self, of: Labelled, task_ids: Sequence[int]) -> int:
        project = of.project.id
        tasks = reopening.finished(self._studio, project, task_ids)
        before = {task: served.people for task, served in tasks.items()}
        given = of.pool.counted_votes(tasks)
        labels = {task: of.question.consensus(votes) or "" for task, votes in given.items()}
        first = {task: label for task, label in labels.items() if len({vote.account for vote in given[task]}) == 1}
        of.pool.update(AgainState, lambda state: replace(state, asked={**labels, **state.asked, **first}))
        self._note(project, before, drop=())
        reopening.reopen(self._studio, tasks)
        try:  # a disconnect in between has put back, or still does, what was open then
            self._note(project, before, drop=())
        except (NoProjectError, InUseError):
            reopening.put_back(self._studio, project, before)
            raise
        log.info("project %d: %d tasks are open again for a second person", project, len(tasks))
        return len(tasks)

    def _say(self, of: Labelled, labelled: Set[int], found: Sequence[Suspect], why: str) -> None:
        options = self._registry.options(of.project.id)
        tasks = tuple(replace(one, state=OPEN if one.task in options.reopened else LISTED) for one in found)
        outcomes = _outcomes(of, labelled - set(self.drawn(of.pool, of.project.id)))
        most = options.look_again + (DRAWN_OPEN if options.second_votes else 0)
        on, opened = bool(most), len(options.reopened)
        why = why or self._used_up(of, labelled) if on else ""
        counts = (outcomes[CONFIRMED], outcomes[CHANGED], outcomes[KEPT])
        now = LookAgain(self._now(), on, opened, most, tasks, *counts, why)
        if replace(now, at=0.0) != replace(self._board.look_again(of.project.id), at=0.0):
            self._board.put_look_again(of.project.id, now)

    def _used_up(self, of: Labelled, labelled: Set[int]) -> str:
        """Why nothing more of the list is opened, if it is for the number of labels."""
        charged, votes = self._charged(of, labelled), of.pool.votes()
        if not (charged and self._registry.options(of.project.id).look_again) or charged < votes // EVERY:
            return ""
        return f"at most one label in {EVERY} is asked about again, and {charged} of {votes} were"


def _come_to(drawn_to: float, options: ProjectOptions, draw: Sequence[int]) -> Iterator[int]:
    """The tasks of the draw before a place."""
    return takewhile(lambda task: place(options.control_seed, task) < drawn_to, draw)


def _noted(state: AgainState, options: ProjectOptions, draw: Sequence[int], left: Sequence[int]) -> AgainState:
    """The draw has come to the first of the tasks that are left to open, or to its end. What it has come to is known
    for good; once it is switched on again it begins anew, as what is doubtful may have been opened meanwhile."""
    if not options.second_votes:
        return replace(state, drawn_to=0.0)
    drawn_to = max(state.drawn_to, place(options.control_seed, left[0]) if left else options.second_votes)
    come_to = dict.fromkeys([*state.drawn, *_come_to(drawn_to, options, draw)])
    waiting = {*left}  # of labels that came later, of which the places lie before that one
    return replace(state, drawn_to=drawn_to, drawn=tuple(task for task in come_to if task not in waiting))


def _why_not(on: bool, of: Labelled, people: Set[str]) -> str:
    """Why nothing is to be open again, in words; empty when some may be."""
    if not on:
        return "look_again and second_votes are off"
    if of.project.people > 1:
        return f"the project has {of.project.people} people asked about each task anyway"
    if not of.ours:
        return "the queue follows other predictions, or an audit"
    if len(people) < 2:
        return "all labels are one person's"
    return ""


def _voters(pool: Pool, task_ids: Collection[int]) -> dict[int, set[str]]:
    """Whose answers to each of the tasks count."""
    return {task: {vote.account for vote in votes} for task, votes in pool.counted_votes(task_ids).items()}


def _possible(pool: Pool, voters: Mapping[int, Set[str]], people: Set[str]) -> set[int]:
    """Tasks that can be opened: finished, skipped by nobody, and there is somebody else whose labels count."""
    few = [task for task, who in voters.items() if DELETED not in who and people - who and len(who) < PEOPLE_AT_MOST]
    return pool.finished(few)


def _outcomes(of: Labelled, tasks: Set[int]) -> Counter[str]:
    """What came of those of the tasks that were opened again and have a second person's answer."""
    asked = of.pool.state(AgainState).asked
    given = of.pool.counted_votes(tasks & asked.keys())
    return Counter(outcome for task, votes in given.items() if (outcome := _outcome(of.question, votes, asked[task])))


def _outcome(question: Question, votes: Sequence[Vote], before: str) -> str:
    """What the answer of whoever came last says of the label `before`; empty while one person alone has answered."""
    first, *later = sorted(votes, key=lambda vote: vote.when)
    others = [vote for vote in later if vote.account != first.account]
    if not others:
        return ""
    if agree(question.consensus(others[-1:]) or "", before):
        return CONFIRMED
    return KEPT if agree(question.consensus(votes) or "", before) else CHANGED
