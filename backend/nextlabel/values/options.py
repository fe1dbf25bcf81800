"""What a person decided for one project. Knows only the JSON in which Label Studio keeps it with the ML backend."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nextlabel.errors import RefusedConfigError
from nextlabel.values.counting import (
    A_DAY,
    A_WEIGHT,
    ACCOUNTS,
    NOTHING_HELD_OUT,
    SOME_LABELS,
    Counting,
    HeldOut,
    LeftOut,
    day_of,
    held_out_of,
    left_out_of,
    weight_of,
)
from nextlabel.values.layout import MAXIMUM, MEAN

KEY = "nextlabel"  # ours in the ML backend's extra_params, which people can edit in Label Studio
OWN = (  # in the place of the settings of that name
    "strategy",
    "window",
    "fit_every",
    "fit_max_wait_s",
    "fit_steps",
    "learning_rate",
    "fit_schedule",
    "head",
    "start_order",
    "near_copies",
    "control_share",
    "after_certificate",
)
OF_0_1_0, LATEST = 0, 1  # generations of what is built in
ANY = ""  # stands for no class in particular
LabelChanges = Mapping[str, Mapping[str, Sequence[str]]]
LABEL_CHANGES = 'times by question and label such as {"topic": {"refund": ["2026-01-31T12:00:00Z"]}}'
LOOK_FOR = 'a text, a list of texts, or texts by label such as {"refund": ["I want my money back"]}'
QUESTION_WEIGHTS = 'what questions count for in the order, by name, such as {"topic": 1, "tone": 0}'
COMBINED = {"combine_questions": MEAN, "combine_labels": MAXIMUM}  # what is built in
COMBINE = f"{MEAN} or {MAXIMUM}"
SWITCHES = ("pause", "show_people")  # off until a person puts them on
ON_OR_OFF = "on or off"
MOST_OPEN = 20  # tasks that are open again at a time
MOST_ASKED_AGAIN = 0.5  # the share of tasks that a second person is asked about at random
HOW_MANY_AGAIN = f"how many tasks may be open again at a time, from 0 (none) to {MOST_OPEN}, such as 3"
A_SHARE_AGAIN = f"a share of the labelled tasks from 0 (none) to {MOST_ASKED_AGAIN:g}, such as 0.05"
CLASS_TARGETS = 'how many labels are wanted of a class, such as {"refund": 30}'


@dataclass(frozen=True)
class ProjectOptions:
    """`fields`: the one to eight fields that make the text, in this order; empty: what the labelling config shows.

    `label_map`: labels that the config does not have, and the one that each is learnt as. `ignored_labels` are no
    classes, and tasks with them are neither learnt from nor served again. `own`: values by names of
    `OWN`, as they stand there; `settings.for_project` says whether they are possible. `defaults` is the generation of
    built-in values that holds where nobody decided: a project keeps the one that it was connected with. `control_seed`
    draws the control set, of which `control_first` texts are to be labelled before all else. `audits` have begun. Tasks
    near the texts to `look_for`, by the class that they are of or `ANY`, and likely ones of a class with fewer labels
    than its target have slots in the queue. `question_weights` is what questions count for in the order of
    the queue, 1 where none is given. `combine_questions` says how one value is made of theirs, and `combine_labels` how
    of those of labels that may all be given. `asked_since` says from
    when on questions are asked that were added to a form in use, or are shown by other conditions, as ISO times: whose
    empty answer is older was not asked. As of
    those `label_changes` are, by question and label, the times at which labels of which any may be given came to the
    form and went from it, in turn; one that was there from the beginning came at the empty time.
    Labels to `leave_out` do not count, and those from before `guideline_since`, a day or empty, count by the weight
    `older_labels`. Of the labels there are, those to `hold_out` judge versions and teach none. On `pause` nothing
    is fitted and no order is made; labels are read. The page may `show_people` by name. So many labelled tasks as
    `look_again` says are open again at a time for a second person, and the share `second_votes` of all is drawn for
    one; `reopened` are those that we have opened, each with the number of people that Label Studio asked before, so
    that it can be put back whatever else is lost.
    """

    fields: tuple[str, ...] = ()
    label_map: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    defaults: int = OF_0_1_0
    ignored_labels: tuple[str, ...] = ()
    control_seed: str = ""
    control_first: int = 0
    audits: int = 0
    look_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    class_targets: Mapping[str, int] = field(default_factory=dict)
    question_weights: Mapping[str, float] = field(default_factory=dict)
    combine_questions: str = MEAN
    combine_labels: str = MAXIMUM
    asked_since: Mapping[str, str] = field(default_factory=dict)
    label_changes: LabelChanges = field(default_factory=dict)
    leave_out: tuple[LeftOut, ...] = ()
    guideline_since: str = ""
    older_labels: float = 0.0
    hold_out: HeldOut = NOTHING_HELD_OUT
    pause: bool = False
    show_people: bool = False
    look_again: int = 0
    second_votes: float = 0.0
    reopened: Mapping[int, int] = field(default_factory=dict)

    @property
    def counting(self) -> Counting:
        """Which labels count."""
        return Counting(self.leave_out, self.guideline_since, self.older_labels)

    @property
    def asks_again(self) -> bool:
        """Whether a second person is to be asked about any labelled task."""
        return bool(self.look_again or self.second_votes)

    @classmethod
    def of(cls, extra_params: object) -> "ProjectOptions":
        """Those in an ML backend's `extra_params`. Raises `RefusedConfigError` when they are none."""
        ours = of_ours(extra_params)
        fields, label_map = ours.get("fields", []), ours.get("label_map", {})
        if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
            raise not_possible("fields", fields, 'a list of field names such as ["title", "body"]')
        if not isinstance(label_map, dict) or not all(isinstance(new, str) for new in label_map.values()):
            raise not_possible("label_map", label_map, 'old and new labels such as {"pos": "positive"}')
        ignored = ours.get("ignored_labels", [])
        if not isinstance(ignored, list) or not all(isinstance(label, str) for label in ignored):
            raise not_possible("ignored_labels", ignored, 'a list of labels such as ["Unsure"]')
        defaults = ours.get("defaults", OF_0_1_0)
        if defaults not in range(OF_0_1_0, LATEST + 1):
            raise not_possible("defaults", defaults, f"a number from {OF_0_1_0} to {LATEST}")
        seed, first = ours.get("control_seed", ""), ours.get("control_first", 0)
        if not isinstance(seed, str):
            raise not_possible("control_seed", seed, "letters and digits, which nextlabel connect makes up")
        if not isinstance(first, int) or isinstance(first, bool) or first < 0:
            raise not_possible("control_first", first, "a whole number of tasks")
        audits = ours.get("audits", 0)
        if not isinstance(audits, int) or isinstance(audits, bool) or audits < 0:
            raise not_possible("audits", audits, "the number of audits that have begun")
        own = {name: ours[name] for name in OWN if ours.get(name) is not None}
        look_for, targets = texts_of(ours.get("look_for")), targets_of(ours.get("class_targets"))
        if look_for is None:
            raise not_possible("look_for", ours["look_for"], LOOK_FOR)
        if targets is None:
            raise not_possible("class_targets", ours["class_targets"], CLASS_TARGETS)
        weights = weights_of(ours.get("question_weights"))
        if weights is None:
            raise not_possible("question_weights", ours["question_weights"], QUESTION_WEIGHTS)
        combine = {name: ours.get(name, way) for name, way in COMBINED.items()}
        for name, way in combine.items():
            if combine_of(way) is None:
                raise not_possible(name, way, COMBINE)
        ignored_labels = tuple(ignored)
        kept = (tuple(fields), label_map, own, int(defaults), ignored_labels, seed, first, audits, look_for, targets)
        counting, again = _counting_of(ours), _again_of(ours)
        pause, people = _switch_in(ours, "pause"), _switch_in(ours, "show_people")
        of_people = (counting.left_out, counting.since, counting.older, _held_out_in(ours), pause, people)
        since, changes = _asked_of(ours)
        return cls(
            *kept, weights, combine["combine_questions"], combine["combine_labels"], since, changes, *of_people, *again
        )

    def put_into(self, extra_params: object) -> dict[str, Any]:
        """The same `extra_params` with these options; whatever else stands there is kept."""
        kept = (
            {key: value for key, value in extra_params.items() if key != KEY}
            if isinstance(extra_params, Mapping)
            else {}
        )
        others = {name: value for name, value in of_ours(extra_params).items() if name not in OWN}
        ours = {**others, "fields": list(self.fields), "label_map": dict(self.label_map), **self.own}
        ours |= {"defaults": self.defaults, "ignored_labels": list(self.ignored_labels)}
        ours |= {"control_seed": self.control_seed, "control_first": self.control_first, "audits": self.audits}
        ours |= {"look_for": plain_texts(self.look_for), "class_targets": dict(self.class_targets)}
        ours |= {"leave_out": list(map(str, self.leave_out)), "guideline_since": self.guideline_since}
        ours |= {
            "older_labels": self.older_labels,
            "hold_out": str(self.hold_out),
            "look_again": self.look_again,
            "second_votes": self.second_votes,
        }
        ours |= {"reopened": {str(task): people for task, people in self.reopened.items()}}
        ours |= {"question_weights": dict(self.question_weights), "asked_since": dict(self.asked_since)}
        ours |= {"label_changes": {name: {**of} for name, of in self.label_changes.items()}}
        combined = {name: getattr(self, name) for name in COMBINED}
        ours |= {name: way if way != COMBINED[name] else "" for name, way in combined.items()}
        ours |= {name: "on" if getattr(self, name) else "" for name in SWITCHES}
        ours = {name: value for name, value in ours.items() if value or name in self.own}
        return {**kept, KEY: ours} if ours else kept


def _counting_of(ours: Mapping[str, Any]) -> Counting:
    left_out = left_out_of(ours.get("leave_out", []))
    if left_out is None:
        raise not_possible("leave_out", ours["leave_out"], ACCOUNTS)
    if any("@" in one.account for one in left_out):
        by_id = 'ids of accounts, such as ["7 2026-11-03"]; nextlabel options takes e-mail addresses, too'
        raise not_possible("leave_out", ours["leave_out"], by_id)
    since, older = day_of(ours.get("guideline_since", "")), weight_of(ours.get("older_labels", 0))
    if since is None and ours.get("guideline_since"):
        raise not_possible("guideline_since", ours["guideline_since"], A_DAY)
    if older is None:
        raise not_possible("older_labels", ours["older_labels"], A_WEIGHT)
    return Counting(left_out, since or "", older)


def _held_out_in(ours: Mapping[str, Any]) -> HeldOut:
    found = held_out_of(ours.get("hold_out", ""))
    if found is None:
        raise not_possible("hold_out", ours["hold_out"], SOME_LABELS)
    return found


def _asked_of(ours: Mapping[str, Any]) -> tuple[Mapping[str, str], LabelChanges]:
    since, changes = ours.get("asked_since", {}), changes_of(ours.get("label_changes", {}))
    if not isinstance(since, dict) or not all(isinstance(when, str) for when in since.values()):
        raise not_possible("asked_since", since, 'times by question such as {"tone": "2026-01-31T12:00:00Z"}')
    if changes is None:
        raise not_possible("label_changes", ours["label_changes"], LABEL_CHANGES)
    return since, changes


def _switch_in(ours: Mapping[str, Any], name: str) -> bool:
    found = switch_of(ours.get(name, "off"))
    if found is None:
        raise not_possible(name, ours[name], ON_OR_OFF)
    return found


def switch_of(given: object) -> bool | None:
    """Whether it is on; None: it is none of both."""
    return given == "on" if given in ("on", "off") else None


def _again_of(ours: Mapping[str, Any]) -> tuple[int, float, Mapping[int, int]]:
    most, share = most_open_of(ours.get("look_again", 0)), share_again_of(ours.get("second_votes", 0))
    if most is None:
        raise not_possible("look_again", ours["look_again"], HOW_MANY_AGAIN)
    if share is None:
        raise not_possible("second_votes", ours["second_votes"], A_SHARE_AGAIN)
    return most, share, reopened_of(ours.get("reopened"))


def most_open_of(given: object) -> int | None:
    """How many tasks may be open again at a time, from JSON or words. None: it is no such number."""
    number = int(given) if isinstance(given, str) and given.isdecimal() else given
    return number if type(number) is int and 0 <= number <= MOST_OPEN else None


def share_again_of(given: object) -> float | None:
    """A share of tasks to ask a second person about, from JSON or words. None: it is none."""
    try:
        share = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else -1.0
    except ValueError:
        return None
    return share if 0 <= share <= MOST_ASKED_AGAIN else None


def reopened_of(given: object) -> Mapping[int, int]:
    """Tasks that we have opened again, from JSON. Nobody writes it by hand: what is none of that is left out."""
    found = given.items() if isinstance(given, Mapping) else ()
    return {int(task): people for task, people in found if str(task).isdecimal() and type(people) is int and people > 0}


def texts_of(given: object) -> Mapping[str, tuple[str, ...]] | None:
    """Texts to look for, by label or `ANY`, from JSON: none, one, several, or such by label. None: none of that."""
    by_label: dict[str, Any] = given if isinstance(given, dict) else {ANY: given} if given else {}
    listed = {label: [texts] if isinstance(texts, str) else texts for label, texts in by_label.items()}
    possible = all(
        isinstance(texts, list) and texts and all(isinstance(text, str) and text.strip() for text in texts)
        for texts in listed.values()
    )
    return {label: tuple(texts) for label, texts in listed.items()} if possible else None


def plain_texts(texts: Mapping[str, tuple[str, ...]]) -> object:
    """The JSON of them: a list when they are of no class in particular."""
    return list(texts[ANY]) if texts.keys() == {ANY} else {label: list(some) for label, some in texts.items()}


def targets_of(given: object) -> Mapping[str, int] | None:
    """Wanted numbers of labels, by label, from JSON. None: it is none of that."""
    if given is None:
        return {}
    possible = isinstance(given, dict) and all(type(target) is int and target > 0 for target in given.values())
    return dict(given) if possible and isinstance(given, dict) else None


def weights_of(given: object) -> Mapping[str, float] | None:
    """What questions count for, by name, from JSON. None: it is none of that."""
    if given is None:
        return {}
    possible = isinstance(given, dict) and all(
        type(weight) in (int, float) and 0 <= weight < math.inf for weight in given.values()
    )
    return {name: float(weight) for name, weight in given.items()} if possible and isinstance(given, dict) else None


def changes_of(given: object) -> LabelChanges | None:
    """When labels came and went, from JSON. None: it is none of that."""
    possible = isinstance(given, dict) and all(
        isinstance(of, dict)
        and all(isinstance(times, list) and all(isinstance(when, str) for when in times) for times in of.values())
        for of in given.values()
    )
    return given if possible and isinstance(given, dict) else None


def combine_of(given: object) -> str | None:
    """A way to make one value of those of several questions; None: it is none."""
    return str(given) if given in (MEAN, MAXIMUM) else None


def of_ours(extra_params: object) -> Mapping[str, Any]:
    """Our part of an ML backend's `extra_params`; empty when there is none."""
    ours = extra_params.get(KEY) if isinstance(extra_params, Mapping) else None
    return ours if isinstance(ours, Mapping) else {}


def possible(extra_params: object) -> dict[str, Any]:
    """Of our part of an ML backend's `extra_params` what can be options, whatever is wrong with the rest."""
    return {name: value for name, value in of_ours(extra_params).items() if _is_option(name, value)}


def _is_option(name: str, value: object) -> bool:
    try:
        ProjectOptions.of({KEY: {name: value}})
    except RefusedConfigError:
        return False
    return True


def not_possible(name: str, value: object, expected: str) -> RefusedConfigError:
    """The error for what somebody has mistyped in Label Studio."""
    return RefusedConfigError(
        f"The ML backend's extra_params in Label Studio have {KEY}.{name}={value!r:.80}; expected {expected}. Correct "
        "them under Settings > Model, or run `nextlabel connect --project ID` again."
    )


NO_OPTIONS = ProjectOptions()
