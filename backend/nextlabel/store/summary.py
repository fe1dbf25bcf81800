"""The one state of a project, derived in this one place from all that the trainer says of it, for page, API and doctor.

What the trainer says comes at different moments, and what came first may no longer be so: who reads it as it stands
finds "waiting" next to "failed".
"""

from dataclasses import dataclass
from typing import Final

from nextlabel.store.status import FitStatus, QueueStatus, StatusBoard

SILENT, FITTING, FIT_DUE = "silent", "fitting", "fit due"
FIT_FAILED, NO_FIT, PAUSED = "fit failed", "no fit possible", "paused"
DISCONNECTED, ENDED = LEFT_ALONE = ("disconnected", "ended")  # nothing is read, fitted or published
QUEUE_STATES: Final = ("waiting", "reading", "publishing", "published", "overruled", "refused", *LEFT_ALONE, "failed")
STATES: Final = (*QUEUE_STATES, SILENT, FITTING, FIT_DUE, FIT_FAILED, NO_FIT, PAUSED)
NOT_LOOKED_AT = (
    "No trainer has looked at this project yet. If none runs, start one: `nextlabel serve` or `nextlabel trainer`."
)
LOOKS_MISSED, SILENT_S = 3, 300.0  # so many looks by the clock, and at least so many seconds, without a word


@dataclass(frozen=True)
class Progress:
    """Of the fit that runs: `done` of `total` steps or examples of its `stage`."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Summary:
    """One of `STATES`, what to tell a person about it, and how far a fit is, in the state fitting alone."""

    state: str
    sentences: tuple[str, ...] = ()
    progress: Progress | None = None


def summary_of(board: StatusBoard, project: int, base_model: str, now: float, reconcile_s: float) -> Summary:
    """The state of a project of the board, whose versions are fitted from that base checkpoint."""
    base = board.base_model(base_model)
    fails = base.message if base.state == "failed" else ""
    return summary(board.queue(project), board.fit(project), fails, now, reconcile_s)


def summary(queue: QueueStatus, fit: FitStatus, no_base_model: str, now: float, reconcile_s: float) -> Summary:
    """The state of a project, `now`. `no_base_model`: why the base checkpoint cannot be used, empty when it can;
    `reconcile_s`: how often the clock of a trainer looks at the project."""
    silent_s = now - max(queue.at, fit.at) if queue.at or fit.at else 0.0
    said = (queue.message,) if queue.message else ()
    standing = () if queue.due else said  # "Fitting: ...", which a fit has since begun, ended or failed
    by_weight = (
        (queue == QueueStatus() and fit == FitStatus(), queue.state, (NOT_LOOKED_AT,)),
        (queue.state in LEFT_ALONE, queue.state, said),
        (silent_s > max(SILENT_S, LOOKS_MISSED * reconcile_s), SILENT, (_silence(silent_s),)),
        (queue.state in ("refused", "failed", "reading"), queue.state, said),
        (fit.state == "fitting", FITTING, said if queue.due else ()),
        (bool(queue.paused), PAUSED, (f"{queue.paused}.", *(words for words in standing if words != queue.paused))),
        (fit.state == "failed", FIT_FAILED, (f"The last fit failed, its labels are kept: {fit.message}", *standing)),
        (bool(no_base_model), NO_FIT, (*_no_fit(queue, no_base_model), *standing)),
        (queue.due and queue.at >= fit.at, FIT_DUE, (f"A fit is due and waits for its turn: {queue.due}.",)),
        (True, queue.state, standing),
    )
    state, sentences = next((state, sentences) for is_so, state, sentences in by_weight if is_so)
    return Summary(state, sentences, Progress(fit.stage, fit.done, fit.total) if state == FITTING else None)


def _no_fit(queue: QueueStatus, no_base_model: str) -> tuple[str, ...]:
    return () if no_base_model in queue.first else (f"No fit is possible: {no_base_model}",)


def _silence(seconds: float) -> str:
    return (
        f"The trainer has said nothing for {seconds / 60:.0f} minutes. Start it (`nextlabel serve` or `nextlabel "
        "trainer`), or read its log; what else stands here was so then."
    )
