"""The one state of a project: whatever its parts say, and whichever spoke last, no two words contradict each other."""

from itertools import product

import pytest

from nextlabel.store.status import FitStatus, QueueStatus
from nextlabel.store.summary import (
    ENDED,
    FIT_DUE,
    FIT_FAILED,
    FITTING,
    LEFT_ALONE,
    NO_FIT,
    NOT_LOOKED_AT,
    PAUSED,
    QUEUE_STATES,
    SILENT,
    SILENT_S,
    STATES,
    Progress,
    Summary,
    summary,
)

NOW, RECONCILE_S = 1e6, 60.0
NO_BASE = "some-lab/model cannot be loaded"
FIT = FitStatus(message="out of memory", stage="score", done=287, total=343, at=NOW - 20)


def said(
    state: str,
    due: str = "",
    fit: str = "idle",
    base: str = "",
    first: str = "",
    ago: float = 10.0,
    paused: str = "",
) -> Summary:
    message = f"Fitting: {due}" if due else f"the queue's word on {state}"
    queue = QueueStatus(state=state, message=message, due=due, first=first, at=NOW - ago, paused=paused)
    return summary(queue, FitStatus(**{**vars(FIT), "state": fit}), base, NOW, RECONCILE_S)


@pytest.mark.parametrize(
    ("found", "state", "sentences"),
    [
        (said("waiting"), "waiting", ["the queue's word on waiting"]),
        (said("published"), "published", ["the queue's word on published"]),
        (said("overruled"), "overruled", ["the queue's word on overruled"]),
        (said("waiting", fit="failed"), FIT_FAILED, ["labels are kept: out of memory", "the queue's word"]),
        (said("waiting", "9 new labels", "failed"), FIT_FAILED, ["labels are kept: out of memory"]),
        (said("waiting", base=NO_BASE), NO_FIT, [f"No fit is possible: {NO_BASE}", "the queue's word"]),
        (said("waiting", base=NO_BASE, first=f"No fit is possible: {NO_BASE}"), NO_FIT, ["the queue's word"]),
        (said("published", "9 new labels"), FIT_DUE, ["waits for its turn: 9 new labels."]),
        (said("published", "9 new labels", ago=30.0), "published", []),
        (said("published", "9 new labels", "fitting"), FITTING, ["Fitting: 9 new labels"]),
        (said("failed", fit="failed"), "failed", ["the queue's word on failed"]),
        (said("disconnected", fit="fitting"), "disconnected", ["the queue's word on disconnected"]),
        (said("ended", fit="failed"), ENDED, ["the queue's word on ended"]),
        (said("ended", ago=SILENT_S + 60), ENDED, ["the queue's word on ended"]),
        (said("ended", paused="It rests"), ENDED, ["the queue's word on ended"]),
        (said("published", paused="It rests"), PAUSED, ["It rests.", "the queue's word"]),
        (said("published", fit="failed", paused="It rests"), PAUSED, ["It rests.", "the queue's word"]),
        (said("published", base=NO_BASE, paused="It rests"), PAUSED, ["It rests.", "the queue's word"]),
        (said("published", fit="fitting", paused="It rests"), FITTING, []),
        (said("failed", paused="It rests"), "failed", ["the queue's word on failed"]),
        (said("disconnected", paused="It rests"), "disconnected", ["the queue's word on disconnected"]),
    ],
)
def test_the_state_is_that_of_what_matters_most(found: Summary, state: str, sentences: list[str]) -> None:
    assert found.state == state
    assert len(found.sentences) == len(sentences)
    assert all(words in sentence for words, sentence in zip(sentences, found.sentences, strict=True))


@pytest.mark.parametrize("base", ["", NO_BASE])
@pytest.mark.parametrize("fit", ["idle", "fitting", "failed"])
@pytest.mark.parametrize("state", QUEUE_STATES)
def test_no_combination_contradicts_itself(state: str, fit: str, base: str) -> None:
    for due, ago in product(("", "9 new labels"), (10.0, 30.0)):  # before and after the word on the fit
        found = said(state, due, fit, base, ago=ago)
        words = " ".join(found.sentences)
        assert found.state in STATES
        assert (found.progress is None) == (found.state != FITTING)
        assert found.progress in (None, Progress("score", 287, 343))
        assert "Fitting:" not in words or (
            due and found.state in (FITTING, "failed", "refused", "reading", *LEFT_ALONE)
        )
        if found.state in ("waiting", "publishing", "published", "overruled"):
            assert (state, fit, base) == (found.state, "idle", ""), "nothing worse is the case"
            assert not due or ago > 20, "nor is a fit due"
        assert ("out of memory" in words) == (found.state == FIT_FAILED)
        assert (NO_BASE in words) == (found.state == NO_FIT)
        heard = state in ("refused", "failed", "reading", *LEFT_ALONE)
        assert heard == (found.state == state) or (fit, base) == ("idle", "")
        assert fit != "fitting" or heard or found.state == FITTING


def test_a_trainer_that_says_nothing_any_more_is_not_believed_to_fit() -> None:
    for state, fit in product(QUEUE_STATES, ("idle", "fitting", "failed")):
        queue, words = QueueStatus(state=state, at=NOW - SILENT_S - 60), FitStatus(state=fit, at=NOW - SILENT_S - 90)
        found = summary(queue, words, "", NOW, RECONCILE_S)
        assert (found.state, found.progress) == (state if state in LEFT_ALONE else SILENT, None)
        assert state in LEFT_ALONE or "nothing for 6 minutes" in found.sentences[0]
        assert summary(queue, words, "", NOW, SILENT_S).state != SILENT, "its clock looks more seldom"


def test_of_a_project_that_nobody_has_looked_at_that_is_said() -> None:
    found = summary(QueueStatus(), FitStatus(), "", NOW, RECONCILE_S)
    assert found == Summary("waiting", (NOT_LOOKED_AT,))
