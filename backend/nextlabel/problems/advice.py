"""What to do next, as one value that changes seldom, so that somebody can be told when it does."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from nextlabel.problems.helping import Helping, NextLabels
from nextlabel.problems.helping_words import at_most, is_of
from nextlabel.problems.judgement import WIDE, Judgement, NextAudit
from nextlabel.problems.quality_words import PAYS, all_left, not_possible, worth_an_audit
from nextlabel.values.versions import short_name

TOO_EARLY, GO_ON, CANNOT_TELL = "too_early", "go_on", "cannot_tell"
AUDIT_WORTH_IT, AUDITING, CERTIFIED = "audit_worth_it", "auditing", "certified"
HARDLY_CHANGES = "hardly_changes"
KEYS = (TOO_EARLY, GO_ON, AUDIT_WORTH_IT, AUDITING, CERTIFIED, HARDLY_CHANGES, CANNOT_TELL)
STILL = PAYS - 0.02  # right of what is left, for an audit to stay worth it: a label more or less is chance
LITTLE = 0.01  # of the accuracy, by which the next labels will hardly change it


@dataclass(frozen=True)
class Advice:
    """One of `KEYS`, which stay the same from release to release, what to tell a person, and since when the key is that
    one, in seconds since 1970; all empty while nobody has looked."""

    key: str = ""
    sentence: str = ""
    since: float = 0.0


NO_ADVICE = Advice()


@dataclass(frozen=True)
class Certified:
    """What the last audit says of the labels that a `version` or head, which is in force, gives to so many `tasks`: all
    but a share `risk` are right. Nobody has labelled `left` of them, of which at most so many are `wrong`."""

    version: str
    tasks: int
    left: int
    risk: float
    wrong: int


def advise(
    judgement: Judgement,
    helping: Helping,
    auditing: bool,
    certified: Certified | None,
    now: float,
    last: Advice,
    done: Collection[str] = (),
    *,
    project: int,
    audit: NextAudit,
) -> Advice:
    """From what the control set of a project says, what was last found of the order, whether an audit runs, what the
    last one certified of the order in force, or which questions of a form are `done`, and what an `audit` of the tasks
    left would take. `last` is the advice so far: of the same key it has been that since then."""
    key, sentence = _advice(judgement, helping, auditing, certified, last.key, done, project, audit)
    return Advice(key, sentence, last.since if last.key == key else now)


def _advice(
    judgement: Judgement,
    helping: Helping,
    auditing: bool,
    certified: Certified | None,
    last: str,
    done: Collection[str],
    project: int,
    audit: NextAudit,
) -> tuple[str, str]:
    if auditing:
        return AUDITING, "An audit runs: label its tasks to the end."
    if certified:
        return CERTIFIED, _of_certified(certified, project)
    if why := _nothing_to_tell(judgement, project, audit.tasks):
        return CANNOT_TELL, why
    if waits := _waits_for(judgement):
        return TOO_EARLY, waits
    if worth_it := worth_an_audit(judgement, project, audit, STILL if last == AUDIT_WORTH_IT else PAYS, done):
        return AUDIT_WORTH_IT, f"An audit may be worth it: {worth_it}."
    key, sentence = _of_next_labels(replace(helping.next_labels, left=audit.tasks))
    of_another = "" if is_of(helping, judgement.order) else f" That was found for version {short_name(helping.order)}."
    return key, f"{sentence}{of_another}"


def _nothing_to_tell(judgement: Judgement, project: int, left: int) -> str:
    if not judgement.control_share:
        how = f"`nextlabel quality --project {project}` says how to get one"
        return f"The project has no control set, so that nothing can be told: {how}."
    takes = f"`nextlabel export --project {project} --everything results` takes the results away"
    return "" if left else f"No task is left to label: import more, or {takes}."


def _of_certified(found: Certified, project: int) -> str:
    wrong = min(found.wrong, found.left)
    of_left = f" ({100 * wrong / found.left:.1f} %)" if found.left else ""
    return (
        f"At least {100 * (1 - found.risk):g} % of the labels of version {short_name(found.version)} on {found.tasks} "
        "tasks are right, as your people would label, by an audit (with 95 % confidence). Nobody has labelled "
        f"{found.left} of them, and of these at most {wrong}{of_left} are wrong. If that suffices, stop: "
        f"`nextlabel certificate issue --project {project} --out certificate.json --labels labels.csv` writes these "
        f"labels to a file, and `nextlabel finish --project {project} --certified` into Label Studio, which ends the "
        "project."
    )


def _waits_for(judgement: Judgement) -> str:
    """Why it is too early; empty when it is not."""
    figures = judgement.figures
    if figures is None:
        return f"Go on labelling. How good it is cannot be told yet: {judgement.why}."
    if figures.accuracy.value is None or figures.accuracy.interval.width >= WIDE:
        if judgement.more > judgement.sample.left:
            return f"How good it is cannot be told: {not_possible(str(judgement.more), judgement.sample.left)}."
        needed = f"about {judgement.more} more labels of the control set are needed"
        may_not_do = all_left(judgement.more, judgement.sample.left)
        return f"Go on labelling. How good it is cannot be told yet: {needed}{may_not_do}."
    return ""


def _of_next_labels(found: NextLabels) -> tuple[str, str]:
    if found.changed is None:
        why = found.why or "it is still to be found out"
        return CANNOT_TELL, f"Go on labelling. What the next labels may bring is not known yet: {why}."
    most = at_most(found.changed)
    if found.changed / 2 < LITTLE:
        enough, rare = "See whether this accuracy is enough", "though a rare class may still gain"
        return HARDLY_CHANGES, f"{enough}: the {found.words} will hardly change it by more than {most}, {rare}."
    return GO_ON, f"Go on: the {found.words} may change the accuracy, though hardly by more than {most}."
