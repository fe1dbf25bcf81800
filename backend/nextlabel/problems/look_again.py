"""Labelled tasks that are worth a second look, as people are told of them. Never says that a label is wrong."""

from dataclasses import dataclass

LISTED, OPEN = "listed", "open"  # states: only shown; open again in Label Studio, for somebody else
CONFIRMED, CHANGED, KEPT = "confirmed", "changed", "kept"  # what came of a label, once a second person has answered


@dataclass(frozen=True)
class Suspect:
    """A labelled task, the `label` in force in words for a person, how doubtful it is, from 0 to 1, and why. Of a form
    the label is that of the question that is most doubtful."""

    task: int
    label: str
    doubt: float
    reasons: tuple[str, ...]
    state: str = LISTED


@dataclass(frozen=True)
class LookAgain:
    """All of a project, the most doubtful first, as of the time `at`, in seconds since 1970.

    `on`: tasks are opened again for a second person, of whom `open` are, at most `most_open` at a time. Of those that
    were opened as they are doubtful, a second person's own answer `confirmed` the label, `changed` it, or differs from
    one that was `kept`. `why` there is nothing to say, or nothing is opened, in words; empty when all goes on.
    """

    at: float = 0.0
    on: bool = False
    open: int = 0
    most_open: int = 0
    tasks: tuple[Suspect, ...] = ()
    confirmed: int = 0
    changed: int = 0
    kept: int = 0
    why: str = ""
