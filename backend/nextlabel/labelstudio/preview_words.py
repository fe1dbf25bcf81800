"""What connecting a project will do and take, in sentences. Pure; what was found out is `loop.preview`'s."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nextlabel.errors import without_password
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.connection import Plan, queue_changes, said_of
from nextlabel.labelstudio.notices import of_question
from nextlabel.values.survey import NOT_COUNTED, CountedLess, Survey
from nextlabel.values.versions import is_ours

NAMED = 5  # reasons in one sentence
MINUTES_S, HOURS_S = 90, 2 * 3600  # from where on seconds are told as these
MIB, GIB = 2**20, 2**30


@dataclass(frozen=True)
class Counted:
    """Tasks with an annotation that is no skip, and what becomes of their labels: `learnt` is what fits see, `copies`
    are learnt once with another text, `control` and `held_out` ones are never learnt, `unreadable` ones cannot be. Of
    the rest no annotation counts."""

    annotated: int
    learnt: int
    copies: int
    control: int
    held_out: int
    unreadable: int

    @property
    def uncounted(self) -> int:
        """How many have no label that counts."""
        others = self.learnt + self.copies + self.control + self.held_out + self.unreadable
        return max(0, self.annotated - others)


@dataclass(frozen=True)
class Fits:
    """The first fits. `labels` are fitted on in `steps`, at most; with a quick version before, `quick` of them in
    `quick_s` seconds, else both are 0. `waits_for`: why none is due yet, in words."""

    labels: int
    steps: int = 0
    seconds: float = 0.0
    quick: int = 0
    quick_s: float = 0.0
    waits_for: str = ""


@dataclass(frozen=True)
class FirstOrder:
    """Seconds until the first order is there, by what they go to; `of`: what it is the order of."""

    of: str
    parts: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Of all parts."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Room:
    """Bytes: `memory` of the trainer during a fit, of `machine`, and what it takes `on_gpu`; `versions` of `version`
    each and `texts` on disk, where `free` are free."""

    memory: int
    on_gpu: int
    machine: int
    versions: int
    version: int
    texts: int
    free: int


def on_settings(plan: Plan, makes_webhook: bool, takes_over: list[str]) -> str:
    """What is changed in Label Studio, before and after."""
    before = {
        "sampling": plan.project.sampling,
        "show_collab_predictions": plan.project.show_predictions,
        "model_version": plan.project.model_version or "",
    }
    set_to = queue_changes(plan.project, plan.shown, plan.follows_another)
    changes = {name: after for name, after in set_to.items() if after != before[name]}
    words = [f"{name} {before[name]!r} becomes {after!r}" for name, after in changes.items()]
    url = without_password(plan.url)
    if plan.backend is None:
        words.append(f"the ML backend {url} is registered")
    elif plan.moves:
        words.append(f"the ML backend {without_password(plan.backend.url)} moves to {url}")
    elif plan.corrects_backend:
        words.append(f"the ML backend {url} is corrected")
    words += [f"its webhook is {'created' if plan.backend is None else 'made right'}"] if makes_webhook else []
    words += [f"the ML backend {without_password(row.url)}, an earlier address, is removed" for row in plan.others]
    words += [f"{option}, which is not possible, is taken out" for option in plan.spoilt]
    words += takes_over
    undo = "puts it back" if plan.backend is None else "puts back what was before the first connection"
    undo = f". `--disconnect` {undo}" if words else ""
    return f"settings: {'; '.join(words) or 'nothing changes'}{undo}."


def on_prelabels(plan: Plan, predictions: Mapping[str, int]) -> str:
    """Whose pre-labels annotators see no more; `predictions` tells how many there are of each model version."""
    project, followed = plan.project, plan.project.model_version or ""
    after = "Nextlabel's guesses are shown" if plan.shown else "Nextlabel's guesses stay hidden (--show-predictions)"
    if not project.show_predictions:
        return f"pre-labels: annotators see none now, so none vanish. {after}."
    if not followed:  # then Label Studio shows those without a version, too, unless it follows nothing at all
        unnamed = predictions.get("", 0) if project.model_version is not None else 0
        if not unnamed:
            return f"pre-labels: the project follows no model version, so annotators see none and none vanish. {after}."
        these = f"those without a version ({_count(unnamed, 'prediction')})"
        return f"pre-labels: {these} vanish for annotators; Label Studio keeps them. {after}."
    if is_ours(followed):
        stay = plan.shown and not plan.follows_another
        return f"pre-labels: those of {followed} {'stay' if stay else 'vanish for annotators'}. {after}."
    count = predictions.get(followed, 0)
    whose = f"{followed!r} ({_count(count, 'prediction')})" if count else f"the ML backend {followed!r}"
    return f"pre-labels: those of {whose} vanish for annotators; Label Studio keeps them. {after}."


def on_text(config: LabelConfig) -> str:
    """What makes the text and what the labels."""
    return f"text: {said_of(config)}."


def on_labels(counted: Counted, survey: Survey, config: LabelConfig, less: CountedLess) -> str:
    """How many labels count, by the options that hold when it is connected, and why others do not."""
    if not counted.annotated:
        return "labels: none yet."
    why = {
        "drawn for the control set, which tells how good versions are": counted.control,
        "held out by `split`": counted.held_out,
        "copies of other texts, which count once with them": counted.copies,
        "on tasks that cannot be read": counted.unreadable,
        f"that do not count, as {', '.join(_reasons(survey, config, less)) or 'no label prevails'}": counted.uncounted,
    }
    others = [f"{count:,} {words}" for words, count in why.items() if count]
    rest = f"; the others are {'; '.join(others)}" if others else ""
    learnt = "1 is" if counted.learnt == 1 else f"{counted.learnt:,} are"
    return f"labels: of {_count(counted.annotated, 'labelled task')} {learnt} learnt from{rest}."


def _reasons(survey: Survey, config: LabelConfig, less: CountedLess) -> list[str]:
    odd = dict[str, int]()
    for control in config.asked:
        asked = config.of_question(control)
        odd |= {
            f"{label!r} {'is ignored' if asked.ignores(label) else 'is no label of the config'}": seen.count
            for label, seen in of_question(survey, config, control).votes.items()
            if asked.label_of(label) is None
        }
    odd |= {why: seen.count for why, seen in survey.noted(NOT_COUNTED).items()}
    older = 0 if less.weighed else less.older
    odd |= {"their account is left out": less.labels, "they are from before the guideline": older}
    words = [f"{why} ({count:,})" for why, count in odd.items() if count]
    return words[:NAMED] + ([f"and {len(words) - NAMED} other reasons"] if len(words) > NAMED else [])


def on_version(version: str, why_another: str) -> str:
    """Of a project that has a version; `why_another`: why it is fitted anew at once, empty when it is not."""
    then = f" until the next one is fitted, which begins at once, as {why_another}" if why_another else ""
    return f"order: the queue follows {version}{then}. Its card tells how long a fit takes."


def on_order(order: FirstOrder | None) -> str:
    """When tasks first come in an order of ours; None: with the first version."""
    if order is None:
        return "first order: that of the first version; until then tasks come at random."
    parts = ", ".join(f"{about(seconds)} {what}" for what, seconds in order.parts.items())
    return (
        f"first order, {order.of}: about {about(order.seconds)} after connecting ({parts}), and some more to write it "
        "into Label Studio; until then tasks come at random."
    )


def on_fit(fits: Fits) -> str:
    """How long the first fit takes."""
    due = f"{fits.waits_for} Then " if fits.waits_for else ""
    if not fits.quick:
        on = f" on {_count(fits.labels, 'label')}"
        return f"first fit: {due}about {about(fits.seconds)}{on} ({fits.steps:,} steps at most)."
    return (
        f"first fit: {due}about {about(fits.quick_s)} for a quick version on {fits.quick:,} of {fits.labels:,} labels; "
        f"the thorough one, on all, follows at once and takes about {about(fits.seconds)} ({fits.steps:,} steps)."
    )


def on_unknown(fits: Fits, why: str) -> str:
    """Where nobody can say how long anything takes."""
    due = f" {fits.waits_for}" if fits.waits_for else ""
    return f"first fit:{due} What it takes, and when there is an order, cannot be known: {why}"


def on_speed(
    base_model: str,
    device: str,
    step_s: float,
    texts_per_s: float,
    elsewhere: str = "",
    cluster: bool = False,
    beside: float = 1.0,
) -> str:
    """What the times rest on. `elsewhere`: the address of a backend that seems to run on another machine; `cluster`:
    whether fits are computed on one; `beside`: times as long a step is taken to last beside Label Studio."""
    more = f" ({beside:g} times that are counted, as Label Studio needs the cores, too)" if beside > 1 else ""
    rates = f"{step_s:.2g} s for a step of a fit{more}, {texts_per_s:,.0f} texts a second scored"
    other = (
        f"; the backend at {elsewhere} seems to run on another one: they are true if its trainer runs here"
        if elsewhere
        else ""
    )
    away = "; as RAY_ADDRESS is set, fits are computed on that cluster, of which they say nothing" if cluster else ""
    return f"times: measured on this machine just now, with {base_model} on {device}: {rates}{other}{away}."


def on_room(room: Room, model_dir: str) -> Iterator[str]:
    """What it takes of memory and disk."""
    gpu = f", and {size(room.on_gpu)} on the GPU" if room.on_gpu else ""
    yield (
        f"memory: about {size(room.memory)} in the trainer during a fit{gpu}, and for moments up to half as much "
        f"again; this machine has {size(room.machine)}."
    )
    needed = room.versions * room.version + room.texts
    short = ". That is too little" if needed > room.free else ""
    yield (
        f"disk: about {size(needed)} in MODEL_DIR={model_dir}: {room.versions} versions of {size(room.version)}, "
        f"{size(room.texts)} for the texts; {size(room.free)} are free{short}."
    )


def about(seconds: float) -> str:
    """A time as people tell it, rather too long than too short."""
    if seconds < MINUTES_S:
        return f"{max(1, math.ceil(seconds))} s"
    if seconds < HOURS_S:
        return f"{math.ceil(seconds / 60)} min"
    return f"{math.ceil(seconds / 360) / 10:.1f} h"


def size(count: float) -> str:
    """Bytes as people tell them."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{max(1, math.ceil(count / MIB))} MiB"


def _count(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"
