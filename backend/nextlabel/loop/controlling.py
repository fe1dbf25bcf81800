"""The control set in the queue and as people answered it. Nothing is learnt from their labels."""

from collections.abc import Mapping, Sequence

from nextlabel.learning.composer import CONTROL
from nextlabel.learning.control import Control, places
from nextlabel.learning.judging import ANSWERED, IN_HAND, LEFT_OUT, OPEN, SKIPPED, ControlText
from nextlabel.loop.sides import Side
from nextlabel.problems.question import Measured
from nextlabel.store.pool import ControlTask, Pool
from nextlabel.store.state import TurnState
from nextlabel.values.labels import Vote


def control_side(pool: Pool, control: Control, first: int, others: int, depth: int) -> Side:
    """The tasks of the set that nobody has answered or skipped, of copies one, in the places that they are due in a
    queue of that depth."""
    texts = pool.control() if control.share else []
    done = sum(_is_done(copies) for copies in texts)
    passed = done - sum(any(task.labelled for task in copies) for copies in texts)
    waiting = [(copies[0].draw, ids) for copies in texts if (ids := _served(copies)) and not _is_done(copies)]
    draws = [draw for draw, _ in waiting[:depth]]  # none has a place before its own
    due = places(control.share, _labels_since(pool, passed), draws, others, first - done) if draws else []
    return Side(CONTROL, [ids[0] for _, ids in waiting], due, hidden=True)


def _labels_since(pool: Pool, passed: int) -> int:
    """How many labels have been given after the last text of the set that was labelled or passed.

    Whoever skips one would else be served the next one at once, and could tell them by that. The copy does not know
    when somebody skips, so that the newest label by then is noted; of texts that were passed before anybody looked
    nothing is known.
    """
    turn = pool.state(TurnState)
    if passed != turn.passed:
        at = turn.at if turn.passed is None or passed < turn.passed else pool.last_label()
        turn = pool.update(TurnState, lambda _: TurnState(passed, at))
    return pool.labels_since_control(turn.at)


def _is_done(copies: Sequence[ControlTask]) -> bool:
    return any(task.labelled or task.passed for task in copies)


def _served(copies: Sequence[ControlTask]) -> list[int]:
    return [task.task_id for task in copies if not task.closed]


def control_texts(pool: Pool, question: Measured) -> list[ControlText]:
    """The texts of the set in the order of their draws, and what people made of each."""
    votes = pool.control_votes()
    return [_text(copies, votes, question) for copies in pool.control()]


def _text(copies: Sequence[ControlTask], votes: Mapping[int, Sequence[Vote]], question: Measured) -> ControlText:
    given = [vote for task in copies for vote in votes.get(task.task_id, ())]
    state, answer = _state(copies, given, question)
    return ControlText(tuple(task.task_id for task in copies), state, answer, any(task.marked for task in copies))


def _state(copies: Sequence[ControlTask], given: Sequence[Vote], question: Measured) -> tuple[str, str]:
    """The state of a text, and its label. One copy that was labelled as often as Label Studio asks does for all.

    Where all labels count less than others, the text is none to judge by: whose turn it was, and on which day, has
    nothing to do with what it says, so that the others are as good a sample without it.
    """
    labelled = [task for task in copies if task.labelled]
    if not labelled:
        return (SKIPPED if any(task.passed for task in copies) else OPEN), ""
    if not any(task.closed for task in labelled):
        return IN_HAND, ""
    if not given or question.leaves_out(given):
        return LEFT_OUT, ""
    answer = question.consensus(given)  # None: labels that the project does not have (any more)
    return (SKIPPED, "") if answer is None else (ANSWERED, answer)
