"""What a lead may do next, as one sentence with a key that stays the same as long as the advice does."""

from dataclasses import dataclass, replace

from nextlabel.problems.helping import Helping
from nextlabel.problems.judgement import Judgement
from nextlabel.problems.quality_words import DRY_RUN, may_be_certified, percent

REPAIR, AUDIT, DONE, CERTIFY, LITTLE_CHANGES, LABEL = "repair", "audit", "done", "certify", "little_changes", "label"
LITTLE = 0.01  # of the machine's labels on what is left that the last labels changed


@dataclass(frozen=True)
class Advice:
    """Has been so `since` then, in seconds since 1970; without a `key` there is none. The sentence holds no text of a
    task, no label and nobody's name."""

    key: str = ""
    sentence: str = ""
    since: float = 0.0


def advise(trouble: str, audited: bool, done: bool, judgement: Judgement, helping: Helping) -> Advice:
    """The weightiest advice, of now. `trouble` is the state of a project that needs somebody, empty when all is well;
    `done`: no task of the pool is open."""
    changed = helping.next_labels.changed
    by_weight = (
        (bool(trouble), Advice(REPAIR, f"See to the project, whose state is {trouble}; the page says what to do.")),
        (audited, Advice(AUDIT, "An audit runs: have its tasks labelled, which are alone in the queue.")),
        (done, Advice(DONE, "Every task of the pool has a label: take the results away.")),
        (
            may_be_certified(judgement),
            Advice(CERTIFY, f"What is left may be right enough for an audit: {DRY_RUN} says how many labels it takes."),
        ),
        (
            changed is not None and changed < LITTLE,
            Advice(
                LITTLE_CHANGES,
                f"The last labels changed {percent(changed or 0.0)} of the machine's labels on what is left: think "
                "about whether more of them pay.",
            ),
        ),
        (True, Advice(LABEL, "Go on labelling.")),
    )
    return next(advice for is_so, advice in by_weight if is_so)


def standing(before: Advice, found: Advice, now: float) -> Advice:
    """What was found, since when it has been so."""
    return replace(found, since=before.since if before.key == found.key else now)
