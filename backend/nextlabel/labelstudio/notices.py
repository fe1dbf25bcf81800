"""What a person should hear of a project, each sentence in one place. Pure; docs/troubleshooting.md explains each.

A sentence names the thing, how often it is so, a task of which it is so, and what to do. What is to be pasted into a
shell stands in backticks, so that no full stop is copied along.
"""

import difflib
import html
import json
import re
import shlex
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.controls.results import NOTHING_CHOSEN
from nextlabel.labelstudio.controls.tag import ControlTag
from nextlabel.labelstudio.objects.fields import MISSING
from nextlabel.labelstudio.tasks import HOLDOUT_WORDS, OTHER_QUESTION
from nextlabel.problems.form import Form
from nextlabel.values.counting import EVERYTHING, Counting
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, decoded
from nextlabel.values.options import ANY, OF_0_1_0, ProjectOptions
from nextlabel.values.survey import (
    HALF,
    HELD_OUT,
    NOT_COUNTED,
    NOT_WORDS,
    OF_LABELS,
    SPLIT,
    UNREADABLE,
    Copies,
    CountedLess,
    Seen,
    Survey,
    UnknownWords,
)

CONNECT = "nextlabel connect"
MOST = 0.5  # a share of the tasks of which something is so
SOME = 0.1  # below, it is an oddity of some texts
TURNED = {  # by the kind of before
    ONE_OF: "An earlier answer to {!r} says yes to its label and nothing of the others, as only one could be chosen.",
    ANY_OF: "Earlier answers to {!r} with one label count; those with several, or none, do not.",
    ORDERED: "The scale of {!r} has other ends now: an earlier answer counts as the same number, whatever that meant.",
}
NAMED = 5  # different details in one sentence


@dataclass(frozen=True)
class Notice:
    """A sentence for a person. `topic` is its heading in docs/troubleshooting.md.

    `harmless`: all may be as it is meant to be. `first`: nothing else about the project matters as much.
    """

    topic: str
    text: str
    harmless: bool = False
    first: bool = False


@dataclass(frozen=True)
class Told:
    """Notices as they are shown: at most one `first` sentence, `warnings`, and `remarks` on what may be meant."""

    first: str
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]


def told(notices: Iterable[Notice]) -> Told:
    """The most important one first; each once."""
    ordered = sorted(notices, key=lambda notice: (notice.harmless, not notice.first))
    first = next((notice for notice in ordered if notice.first), None)
    rest = [notice for notice in ordered if notice is not first]
    return Told(
        first.text if first else "",
        tuple(notice.text for notice in rest if not notice.harmless),
        tuple(notice.text for notice in rest if notice.harmless),
    )


def on_tasks(survey: Survey, config: LabelConfig, project: int) -> Iterator[Notice]:
    """What the tasks and their annotations give cause to say. Nothing for a project in which all is well."""
    yield from _on_unreadable(survey)
    yield from _on_holdout(survey)
    yield from _on_map(config, project)
    for control in config.asked:
        of_which = f"Question {control.name!r}: " if len(config.asked) > 1 else ""
        once = config.changes.get(control.name, {}) if control.kind == ANY_OF else {}
        for notice in _on_labels(of_question(survey, config, control), config.of_question(control), project, once):
            yield replace(notice, text=of_which + notice.text)
    yield from _on_later_labels(config, project)
    yield from _on_uncounted(survey)
    yield from _on_fields(survey, config, project)
    yield from _on_halves(survey, config, project)
    yield from _on_words(survey, config, project)


def _on_unreadable(survey: Survey) -> Iterator[Notice]:
    reasons = survey.noted(UNREADABLE)
    count = _total(reasons)
    if not count:
        return
    labelled = f", though {_labels(survey.unused)} on them" if survey.unused else ""
    blank = all(" is empty" in reason for reason in reasons)
    yield Notice(
        "Tasks that cannot be read",
        f"{_capital(_of(count, survey.tasks, 'task'))} cannot be read{labelled}: {_listed(reasons)}. Correct the value "
        "of the text in the labelling config, or the data of the tasks.",
        harmless=blank and not survey.unused and count <= MOST * survey.tasks,
        first=count > MOST * survey.tasks,
    )


def _on_holdout(survey: Survey) -> Iterator[Notice]:
    words = survey.noted(HELD_OUT)
    count = _total(words)
    if count > MOST * survey.tasks:
        all_of_them = count == survey.tasks
        left = "nothing is left to learn from" if all_of_them else f"{_are(survey.tasks - count)} left to learn from"
        yield Notice(
            "Tasks that are held out",
            f"{_capital(_of(count, survey.tasks, 'task'))} {'is' if count == 1 else 'are'} held out by the word in "
            f"`split`: {_listed(words)}; {left}. Tasks without such a word are learnt from.",
            harmless=not all_of_them,
            first=True,
        )
    drawn = survey.noted(OF_LABELS)
    if drawn:
        [before] = drawn
        yield Notice(
            "Labels that are held out",
            f"{_tasks(_total(drawn))} labelled before {before} are held out, as hold_out says: they judge versions and "
            "teach none. They are a random part of what was labelled, not of all texts: where an order chose the "
            "tasks, their figures are those of the texts that it chose.",
            harmless=True,
        )
    unknown = survey.noted(SPLIT)
    if unknown:
        alike = any(part in word.lower() for word in unknown for part in ("val", "dev", "test", "eval", "hold"))
        yield Notice(
            "Words in split",
            f"{_tasks(_total(unknown))} with a word in `split` that is not known are learnt from: {_listed(unknown)}. "
            f"If they should be held out, use one of these words: {', '.join(sorted(HOLDOUT_WORDS))}.",
            harmless=not alike,
        )


def _on_map(config: LabelConfig, project: int) -> Iterator[Notice]:
    known = {label for spellings in config.spellings.values() for label in (*spellings.labels, *spellings.ignored)}
    answers = [spellings.answer_of for spellings in config.spellings.values()]
    nowhere = {
        old: new
        for old, new in config.label_map.items()
        # otherwise the map has nothing to say
        if new not in known and all(answer_of(old) is None for answer_of in answers)
    }
    if nowhere:
        pairs = ", ".join(f"{old!r} as {new!r}" for old, new in list(nowhere.items())[:NAMED]) + _more(len(nowhere))
        yield Notice(
            "Labels that are mapped",
            f"Labels are to be learnt as others that the labelling config does not have: {pairs}. Map them to labels "
            f"of the config, or end that: {_command(project, dict.fromkeys(nowhere, ''))}.",
        )


def _on_labels(survey: Survey, config: LabelConfig, project: int, once: Collection[str]) -> Iterator[Notice]:
    """`once` labels are known to have been in the config, or still are."""
    unknown = {label: survey.votes[label] for label in _unknown(survey, config)}
    gone = {label: seen for label, seen in unknown.items() if label in once}
    if unknown.keys() - gone.keys():
        never = {label: seen for label, seen in unknown.items() if label not in gone}
        yield _unknown_labels(survey, config, project, never)
    if gone:
        yield _gone_labels(survey, config, project, gone)
    ignored = {label: seen for label, seen in survey.votes.items() if config.ignores(label)}
    if ignored:
        yield _ignored_labels(ignored)
    given = {config.label_of(label) for label in survey.votes}
    absent = [label for label in config.labels if label not in given]
    if absent and len(absent) < len(config.labels) - 1:
        names = ", ".join(f"{label!r}" for label in absent[:NAMED]) + _more(len(absent))
        yield Notice(
            "Classes without a label",
            f"{_capital(_of(len(absent), len(config.labels), 'class', 'classes'))} without a label yet: {names}. Until "
            "a task has it, no version can predict it.",
            harmless=True,
        )


def _on_later_labels(config: LabelConfig, project: int) -> Iterator[Notice]:
    for part in config.question.parts if isinstance(config.question, Form) else ():
        later = [label for label in part.spellings.labels if label in part.missing("")]
        if later:
            names = ", ".join(f"{label!r}" for label in later[:NAMED]) + _more(len(later))
            yield Notice(
                "Labels that came later",
                f"{names} came to the question {part.name} when it was in use. Whoever answered it before was not "
                f"asked about {'it' if len(later) == 1 else 'them'}: neither yes nor no is learnt from that. Where one "
                f"takes the place of an older label, say so with `{CONNECT} --project {project} --map-label OLD=NEW`.",
                harmless=True,
            )


def of_question(survey: Survey, config: LabelConfig, control: ControlTag) -> Survey:
    """What is given to one of several questions, each label by itself."""
    if not isinstance(config.question, Form):
        return survey
    votes: dict[str, Seen] = {}
    accepted: dict[str, int] = {}
    for given, seen in survey.votes.items():
        for label in decoded(given).get(control.name, ()):
            before = votes.get(label, Seen(0, seen.task_id))
            votes[label] = Seen(before.count + seen.count, min(before.task_id, seen.task_id))
            accepted[label] = accepted.get(label, 0) + survey.accepted.get(given, 0)
    return replace(survey, votes=votes, accepted=accepted)


def _unknown(survey: Survey, config: LabelConfig) -> list[str]:
    return [label for label in survey.votes if config.question.answer_of(label) is None]


def _unknown_labels(survey: Survey, config: LabelConfig, project: int, unknown: Mapping[str, Seen]) -> Notice:
    count = _total(unknown)
    known = _total(survey.votes) - count
    accepted = sum(survey.accepted.get(label, 0) for label in unknown)
    filled_in = f" {accepted} of them were submitted as an old prediction had filled them in." if accepted else ""
    remedy = _remedy(project, unknown, _proposed(survey, config, unknown))
    return Notice(
        "Labels that the config does not have",
        f"{_annotations(count)} {'carries' if count == 1 else 'carry'} labels that the labelling config does not have "
        f"and {'is' if count == 1 else 'are'} not learnt from: {_counted(unknown)}.{filled_in} {remedy}.",
        first=count > known,
    )


def _gone_labels(survey: Survey, config: LabelConfig, project: int, gone: Mapping[str, Seen]) -> Notice:
    count, meant = _total(gone), _proposed(survey, config, gone)
    remedy = f" {_remedy(project, gone, meant)}." if meant else ""
    return Notice(
        "Labels that are gone",
        f"{_annotations(count)} {'carries' if count == 1 else 'carry'} labels that the labelling config has no more: "
        f"{_counted(gone)}. What was said of its other labels there is learnt.{remedy}",
        harmless=True,
    )


def _counted(labels: Mapping[str, Seen]) -> str:
    names = ", ".join(f"{label!r} {seen.count}" for label, seen in list(labels.items())[:NAMED]) + _more(len(labels))
    return f"{names} (for example task {min(seen.task_id for seen in labels.values())})"


def _proposed(survey: Survey, config: LabelConfig, unknown: Collection[str]) -> dict[str, str]:
    return {old: new for old, new in proposals(survey, config).items() if old in unknown}


def _ignored_labels(ignored: Mapping[str, Seen]) -> Notice:
    count = _total(ignored)
    names = ", ".join(f"{label!r} {seen.count}" for label, seen in list(ignored.items())[:NAMED]) + _more(len(ignored))
    return Notice(
        "Labels that are ignored",
        f"{_annotations(count)} with labels that are ignored in this project: {names}. Nothing is learnt of tasks on "
        "which these prevail, and no model asks for them again.",
        harmless=True,
    )


def _remedy(project: int, unknown: Mapping[str, Seen], meant: Mapping[str, str]) -> str:
    if not meant:
        return (
            "Add them to the config, label these tasks anew, or say what they mean with "
            f"`{CONNECT} --project {project} --map-label OLD=NEW`"
        )
    others = [repr(label) for label in unknown if label not in meant]
    and_others = f"; of {', '.join(others[:NAMED])}{_more(len(others))}, nothing is proposed" if others else ""
    return (
        "If they mean the same, have them learnt as labels of the config, with nothing changed in Label Studio: "
        f"{_command(project, meant)}{and_others}"
    )


def proposals(survey: Survey, config: LabelConfig) -> dict[str, str]:
    """What labels that the config does not have may stand for: another spelling, the words for an alias, a new name."""
    unknown = _unknown(survey, config)
    free = [label for label in config.labels if label not in {config.label_of(vote) for vote in survey.votes}]
    found = {old: _meant(old, unknown, free, config) for old in unknown}
    return {old: new for old, new in found.items() if new is not None and "=" not in new}  # which ends a map's option


def _meant(old: str, unknown: Sequence[str], free: Sequence[str], config: LabelConfig) -> str | None:
    spelt = [
        label for label in config.labels if _plain(old) in (_plain(label), _plain(config.shown_as.get(label, label)))
    ]
    if len(spelt) == 1:
        return spelt[0]
    if len(unknown) == len(free) == 1:
        return free[0]
    possible = [label for label in free if not _differs(_plain(label), _plain(old))]
    begun = [label for label in possible if _begins(_plain(label), _plain(old))]
    alike = begun or difflib.get_close_matches(old, possible, 1, 0.7)
    return alike[0] if len(alike) == 1 else None


def _begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _differs(one: str, other: str) -> bool:
    """Whether it is another class however alike it is written: class 1 and class 10, relevant and irrelevant."""
    return re.findall(r"\d+", one) != re.findall(r"\d+", other) or one.endswith(other) or other.endswith(one)


def _plain(label: str) -> str:
    """Without what people write in one way or the other: case, accents, and what stands between words. A sign at the
    beginning or the end (-1 and +1, C and C++) and a point between digits make another label."""
    letters = unicodedata.normalize("NFKD", html.unescape(label)).casefold()
    unaccented = "".join(c for c in letters if not unicodedata.combining(c))
    return BETWEEN_WORDS.sub("", unaccented).strip(" .,:;!?_'\"") or label


GAP = r"[\s_.,:;/&'\u2019-]+"
BETWEEN_WORDS = re.compile(rf"(?<=[^\W\d_]){GAP}(?=[^\W_])|(?<=[^\W_]){GAP}(?=[^\W\d_])")


def _command(project: int, meant: Mapping[str, str]) -> str:
    """To be pasted into a shell."""
    option = {old: "--map-label=" if old.startswith("-") else "--map-label " for old in meant}
    maps = (f"{option[old]}{shlex.quote(f'{old}={new}')}" for old, new in meant.items())
    return f"`{' '.join([f'{CONNECT} --project {project}', *maps])}`"


def _on_uncounted(survey: Survey) -> Iterator[Notice]:
    reasons = survey.noted(NOT_COUNTED)
    meant = {why: seen for why, seen in reasons.items() if why == NOTHING_CHOSEN or why.startswith(OTHER_QUESTION)}
    wrong = {why: seen for why, seen in reasons.items() if why not in meant}
    if wrong:
        yield Notice(
            "Annotations that do not count",
            f"{_annotations(_total(wrong))} of which no label can be read {'is' if _total(wrong) == 1 else 'are'} not "
            f"learnt from: {_listed(wrong)}. Label "
            "these tasks anew, or correct the annotations and import them again.",
            first=_total(wrong) > _total(survey.votes),
        )
    if meant:
        yield Notice(
            "Annotations without an answer",
            f"{_annotations(_total(meant))} without an answer to learn from: {_listed(meant)}.",
            harmless=True,
            first=_total(meant) > _total(survey.votes) and not wrong,
        )


def _on_fields(survey: Survey, config: LabelConfig, project: int) -> Iterator[Notice]:
    if config.left_out and not config.chosen:
        yield Notice(
            "Fields that make the text",
            f"The text is made of {_and(config.fields)}; {', '.join(config.left_out)}. "
            f"`{CONNECT} --project {project} --fields A,B` chooses others.",
            harmless=True,
        )


def _on_halves(survey: Survey, config: LabelConfig, project: int) -> Iterator[Notice]:
    pair, choose = len(config.texts) == 2, f"choose the fields with `{CONNECT} --project {project} --fields A,B`"
    if nowhere := missing_everywhere(survey):
        yield Notice(
            "A field that no task has",
            f"{_capital(nowhere)}. Nothing is fitted on {'the other half of the pairs' if pair else 'the other texts'} "
            f"alone: correct the labelling config, or the data of the tasks, or {choose}.",
            first=True,
        )
        return
    for why, seen in survey.noted(HALF).items():
        everywhere = seen.count == survey.readable
        if seen.count >= MOST * survey.readable:
            yield Notice(
                "Tasks of which a text is missing",
                f"In {_of(seen.count, survey.readable, 'task')} {why} (for example task {seen.task_id}), so that the "
                f"{'other text is read alone' if pair else 'other texts are read without it'}"
                + (f". Correct the labelling config, or {choose}." if everywhere else "."),
                harmless=not everywhere,
            )


def missing_everywhere(survey: Survey) -> str:
    """In words, the half of a pair that no task has, as after a slip of the pen in the labelling config; else empty."""
    found = ((why, seen) for why, seen in survey.noted(HALF).items() if why.endswith(MISSING))
    nowhere = [why for why, seen in found if seen.count == survey.readable]
    return f"in {_of(survey.readable, survey.readable, 'task')} {nowhere[0]}" if nowhere else ""


def _on_words(survey: Survey, config: LabelConfig, project: int) -> Iterator[Notice]:
    found = survey.noted(NOT_WORDS)
    for name in config.fields:
        kinds = {what.removeprefix(f"{name}: "): seen for what, seen in found.items() if what.startswith(f"{name}: ")}
        count = _total(kinds)
        if kinds and count >= SOME * survey.readable:
            yield _not_words(name, kinds, survey, config, project)


def _not_words(name: str, kinds: Mapping[str, Seen], survey: Survey, config: LabelConfig, project: int) -> Notice:
    count = _total(kinds)
    others = [field for field in config.fields if field != name]
    encoded = 'Set encoding="base64" where the config shows it (base64unicode for UTF-8)' if "base64" in kinds else ""
    apart = f"Leave it out with `{CONNECT} --project {project} --fields {_fields(others)}`" if others else ""
    remedy = encoded or apart or "Import the texts themselves"
    return Notice(
        "Texts that are no words",
        f"In {_of(count, survey.readable, 'task')} the field {name!r} holds no words: {_listed(kinds)}. A model can "
        f"only learn from what stands there. {remedy}; if it is what is to be classified, say so with "
        f"`{CONNECT} --project {project} --fields {_fields(config.fields)}`.",
        harmless=count < MOST * survey.readable,
        first=count >= MOST * survey.readable and not others,
    )


def _fields(names: Sequence[str]) -> str:
    return shlex.quote(",".join(names))


def on_unknown_words(unknown: UnknownWords, base_model: str, survey: Survey) -> Iterator[Notice]:
    """When the tokenizer cannot tell texts from each other, unless there is nothing to tell: that is said already."""
    if _total(survey.noted(NOT_WORDS)) >= MOST * survey.readable:
        return
    if unknown.looked and unknown.count >= SOME * unknown.looked:
        yield Notice(
            "Texts in a script that the model does not know",
            f"{_capital(_of(unknown.count, unknown.looked, 'text'))} that were looked at consist mostly of what the "
            f"tokenizer of {base_model} does not know (for example task {unknown.task_id}): the model cannot tell them "
            "from each other. Set BASE_MODEL to a checkpoint that knows this script, such as a multilingual one.",
            harmless=unknown.count < MOST * unknown.looked,
            first=unknown.count >= MOST * unknown.looked,
        )


def on_copies(copies: Copies, project: int) -> Iterator[Notice]:
    """What is not learnt twice, and what nobody needs to label."""
    learnt = []
    if copies.again:
        learnt.append(f"{_labels_are(copies.again)} of copies of other labelled texts, which count once with them")
    if copies.contradicting:
        learnt.append(
            f"in {_texts(copies.contradicting)} the copies have different labels, of which the majority counts"
        )
    if copies.held_out:
        learnt.append(f"{_labels_are(copies.held_out)} of copies of held out texts and not learnt from")
    sentences = [f"{_capital('; '.join(learnt))}."] if learnt else []
    if copies.open:
        sentences.append(
            f"{_tasks(copies.open)} without a label {'is a copy' if copies.open == 1 else 'are copies'} of labelled "
            "texts and not published, because their labels would teach nothing. "
            f"`nextlabel close-copies --project {project}` closes them in Label Studio."
        )
    if sentences:
        yield Notice("Copies of labelled texts", " ".join(sentences), harmless=True)


def on_too_many(config: LabelConfig) -> Iterator[Notice]:
    """When a form has grown so that not all of it is learnt."""
    for said in config.too_many:
        yield Notice("Questions that are not learnt", said, harmless=True)


def on_wanted(options: ProjectOptions, config: LabelConfig, project: int) -> Iterator[Notice]:
    """When what is looked for, or has a target, is no class any more."""
    gone = {
        name: [label for label in labels if label not in (ANY, *config.labels)]
        for name, labels in (("look_for", options.look_for), ("class_targets", options.class_targets))
    }
    if any(gone.values()):
        names = "; ".join(f"{name} {', '.join(map(repr, labels))}" for name, labels in gone.items() if labels)
        yield Notice(
            "Wanted labels that are not learnt",
            f"Labels are wanted that the labelling config does not have, or that are ignored: {names}. Nothing comes "
            f"in their slots: say anew what is wanted with `nextlabel options --project {project} NAME=VALUE`.",
        )


def base_model_fails(message: str) -> Notice:
    """When no fit can begin."""
    return Notice("The base checkpoint cannot be used", f"No fit is possible: {message}", first=True)


def takes_over(project: int, options: ProjectOptions) -> str:
    """What else comes of connecting a project again that keeps the defaults of release 0.1.0; empty for others."""
    if options.defaults != OF_0_1_0:
        return ""
    preview = f"`{CONNECT} --project {project} --preview`"
    return f" To connect it again also takes over today's defaults, which {preview} lists beforehand."


def sampling_changed(sampling: str, project: int, options: ProjectOptions) -> Notice:
    """When Label Studio does not order the queue by predictions."""
    return Notice(
        "The sampling mode was changed",
        f"The sampling mode is {sampling!r}, so the queue does not follow the model. It was changed by a person and is "
        f"left alone; `{CONNECT} --project {project}` sets it again.{takes_over(project, options)}",
        first=True,
    )


def follows_another(version: str | None, project: int, options: ProjectOptions) -> Notice:
    """When a person had the project follow predictions that are not of the active version."""
    return Notice(
        "The project follows other predictions",
        f"The project follows the predictions of {version!r}. That was chosen by a person and is left alone; "
        f"`{CONNECT} --project {project}` sets it back.{takes_over(project, options)}",
        first=True,
    )


def old_defaults(project: int) -> Notice:
    """When what was built in with release 0.1.0 holds for a project."""
    return Notice(
        "The project keeps the defaults of release 0.1.0",
        "The project keeps the defaults of release 0.1.0: the queue follows fitted versions alone, by entropy, and "
        "without a control set nobody can tell how good they are. "
        f"`{CONNECT} --project {project}` takes over those of today, and lists what changes.",
        harmless=True,
    )


def no_control_set(project: int, has_seed: bool) -> Notice:
    """When no tasks are drawn of which nothing is learnt."""
    remedy = (
        f"nextlabel options --project {project} control_share=0.1" if has_seed else f"{CONNECT} --project {project}"
    )
    return Notice(
        "The project has no control set",
        "Nobody can tell how good the versions are: the project has no control set, tasks that are drawn at random, "
        f"labelled in between and never learnt from. `{remedy}` draws one.",
        harmless=True,
    )


def certified(tasks: int, version: str, project: int) -> Notice:
    """When labels that an audit has certified are left to the machine: those of the version or head that it froze."""
    return Notice(
        "Tasks are certified",
        f"An audit has certified labels of {version}, so that nobody is asked for {_tasks(tasks)} any more. "
        f"`nextlabel certificate issue --project {project} --out certificate.json --labels labels.csv` writes these "
        f"labels; those of a later version are not certified. `nextlabel options --project {project} "
        "after_certificate=continue` asks for the tasks again.",
        harmless=True,
    )


def open_again(tasks: int, project: int) -> Notice:
    """While labelled tasks are open for a second person."""
    return Notice(
        "Labelled tasks that are open again",
        f"{_tasks(tasks)} with a label {'is' if tasks == 1 else 'are'} open again for a second person: until somebody "
        "has answered, Label Studio's progress goes back. "
        f"`nextlabel options --project {project} look_again=0 second_votes=0` closes them.",
        harmless=True,
    )


def on_counted_less(found: CountedLess, counting: Counting, project: int) -> Iterator[Notice]:
    """What does not count as a person wants it."""
    if counting == EVERYTHING:
        return
    less = [*_left_out(found, counting), *_older(found, counting)]
    lost = (
        f" On {_tasks(found.lost)} nothing else counts, so that no model knows them, and Label Studio asks nobody any "
        "more: to have them labelled anew, delete these annotations there."
        if found.lost
        else ""
    )
    yield Notice(
        "Labels that are left out",
        f"{_capital(' and '.join(less))}.{lost} `nextlabel options --project {project}` shows and changes that.",
        harmless=True,
    )


def _left_out(found: CountedLess, counting: Counting) -> Iterator[str]:
    if found.labels:
        people = "1 person" if found.people == 1 else f"{found.people} people"
        yield f"{_how_many(found.labels)} of {people} {_are_left_out(found.labels)}"
    elif counting.left_out:
        yield "none of the labels is of an account and a day that `leave_out` names"


def _older(found: CountedLess, counting: Counting) -> Iterator[str]:
    if counting.since:
        counts = f"{'counts' if found.older == 1 else 'count'} by {counting.older:g}"
        verb = counts if counting.older else _are_left_out(found.older)
        yield f"{_how_many(found.older)} from before the guideline of {counting.since} {verb}"


def _how_many(labels: int) -> str:
    return "1 label" if labels == 1 else f"{labels} labels"


def _are_left_out(labels: int) -> str:
    return "is left out" if labels == 1 else "are left out"


def another_way(example: int) -> Notice:
    """When labels come on tasks that the queue did not offer."""
    return Notice(
        "Labels on tasks that the queue did not offer",
        f"Labels come on tasks that the queue did not offer (for example task {example}): somebody labels in another "
        "order, in which no model chooses. Open the project and press Label All Tasks, the button above its tasks; "
        "Label in the menu of a project's card, Label Tasks As Displayed and a click on a task ignore the order.",
    )


def control_tasks_show(project: int) -> Notice:
    """When annotators can tell which tasks are of the control set."""
    return Notice(
        "Annotators can tell control tasks",
        "Annotators see a prediction on every task but those of the control set, so that they can tell these and may "
        "answer them with other care; the figures on quality are then about such answers. "
        f"`{CONNECT} --project {project} --no-show-predictions` hides all predictions.",
    )


def quick_version(version: str, labels: int, of_labels: int) -> Notice:
    """While the queue follows a quick first version, and the thorough one is to come."""
    return Notice(
        "A quick first version",
        f"{version} is a quick first version, fitted on {labels} of {of_labels} labels so that the queue has an order "
        "soon. A thorough one, on all labels, is fitted next.",
        harmless=True,
    )


def on_cluster(words: str, amiss: bool) -> Notice:
    """Where RAY_ADDRESS names a cluster."""
    return Notice("A cluster that computes", words, harmless=not amiss)


def not_judged(version: str, why: str, project: int) -> Notice:
    """When a version was promoted though it may be worse than the one before."""
    return Notice(
        "A version that nothing has judged",
        f"{version} was promoted without a comparison: {why}. Tasks that are held out and labelled tell sooner; "
        f"`nextlabel versions --project {project} rollback` goes back to the version before.",
        harmless=True,
    )


def form_changed(
    version: str, kept: Sequence[str], begun: Sequence[str], missing: Sequence[str], turned: Mapping[str, str]
) -> Notice:
    """While the form asks for other labels than the version was fitted to answer: what the order knows of these."""
    of = len(kept) + len(begun) + len(missing)
    share = "all" if len(kept) == of else f"{len(kept)} of the {of}"
    known = [
        f"by what {version} knows of {share} labels" if kept else "",
        f"by the answers at hand to {_first(begun)}" if begun else "",
    ]
    goes = " and ".join(filter(None, known)) or f"as {version} has it, which knows no label of the form"
    unknown = f" Nothing is known yet of {_first(missing)}." if missing and (kept or begun) else ""
    unknown += "".join(f" {TURNED[kind].format(name)}" for name, kind in turned.items())
    return Notice(
        "The form has changed",
        f"The form asks for other labels than {version} was fitted on; a new version is fitted on all answers that "
        f"still count. Until it is there the order goes {goes}.{unknown}",
        harmless=True,
    )


def version_damaged(promoted: str, why: str, instead: str | None, project: int) -> Notice:
    """When the promoted version is not the active one."""
    other = f"{instead}, the newest intact one, is active instead" if instead else "there is no other"
    return Notice(
        "The promoted version is damaged",
        f"The promoted version {promoted} is damaged ({why.rstrip('.')}); {other}. Restore its files, or let a new one "
        f"be fitted (Start Training); `nextlabel versions --project {project} list` names the others.",
    )


def how_to_find(control: ControlTag) -> str:
    """How to find tasks in Label Studio by their prediction; empty where a prediction may give several labels. Each
    prediction names all labels, with probabilities, and on SQLite letters beyond ASCII are escaped."""
    if control.kind != ONE_OF:
        return ""
    label = control.labels[0]
    value = control.item([label])["value"]
    escaped, plain = (json.dumps(value, ensure_ascii=ascii)[1:-1] for ascii in (True, False))
    on_postgresql = "" if escaped == plain else f" (on PostgreSQL `{plain}`)"
    return (
        f"To find the published tasks that are predicted to be {label!r}, filter in Label Studio's data manager for "
        f"Prediction results that contain `{escaped}`{on_postgresql}; the label alone finds every task."
    )


# Words


def _total(found: Mapping[str, Seen]) -> int:
    return sum(seen.count for seen in found.values())


def _listed(found: Mapping[str, Seen]) -> str:
    """Each detail with how often it is so and a task of which it is so."""
    some = list(found.items())[:NAMED]
    return "; ".join(f"{detail} ({seen.count}, for example task {seen.task_id})" for detail, seen in some) + _more(
        len(found)
    )


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:NAMED])) + _more(len(names))


def _more(count: int) -> str:
    return f" and {count - NAMED} more" if count > NAMED else ""


def _of(count: int, total: int, one: str, many: str = "") -> str:
    many = many or f"{one}s"
    return f"all {total} {many}" if count == total > 1 else f"{count} of {total} {one if total == 1 else many}"


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _are(count: int) -> str:
    return "1 is" if count == 1 else f"{count} are"


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"


def _annotations(count: int) -> str:
    return "1 annotation" if count == 1 else f"{count} annotations"


def _labels_are(count: int) -> str:
    return "1 label is" if count == 1 else f"{count} labels are"


def _texts(count: int) -> str:
    return "1 text" if count == 1 else f"{count} texts"


def _labels(count: int) -> str:
    return "1 label stands" if count == 1 else f"{count} labels stand"


def _and(names: Sequence[str]) -> str:
    return " and ".join(repr(name) for name in names)
