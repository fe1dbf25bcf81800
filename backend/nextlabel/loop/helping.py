"""Whether a project's order helps, from its local copy: by its control labels, and by a replay in the version's world.

Computed when somebody asks: the replay takes seconds, and embeds what is not embedded yet.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from statistics import median

import numpy as np

from nextlabel.errors import BadSettingError, NoModelError
from nextlabel.labelstudio.client import moment
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning import forecast, helping
from nextlabel.learning.forecast import World, no_pause, tempered
from nextlabel.learning.form_heads import KnownAnswers
from nextlabel.learning.fresh_heads import Known
from nextlabel.learning.judging import ANSWERED, LEFT_OUT, ControlText, answering, counting, until
from nextlabel.learning.stability import STEP, changed_share
from nextlabel.learning.strategies import draws
from nextlabel.loop.controlling import control_texts
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.judging import judged_to
from nextlabel.loop.said import scores_of
from nextlabel.loop.sync import config_as_read
from nextlabel.problems.form import Form, answered
from nextlabel.problems.helping import MEASURED, Forecast, Helping, Measured, NextLabels, RandomPoint
from nextlabel.problems.people import crowd, is_work
from nextlabel.settings import ProjectSettings, Settings, for_project
from nextlabel.store.pool import EMBEDDINGS, Pool
from nextlabel.store.status import StatusBoard
from nextlabel.values.arrays import Features, Ints, Targets
from nextlabel.values.examples import Example
from nextlabel.values.labels import Vote
from nextlabel.values.layout import Layout, asks, decoded, encoded, unasked
from nextlabel.values.versions import Card
from nextlabel.versions import heads, history
from nextlabel.versions.history import Looks
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

DRAWN = 6_000  # tasks of a larger pool that make the version's world
COMPARED = 1_000  # tasks left that two versions are compared on
NO_WORLD = (
    "a replay would have to draw whole answers to the form, and a version says of each label alone how likely it is, "
    "not which come together"
)
RANDOM = "random"
FEWER_FITS = (
    "; with fits so frequent, set KEEP_VERSIONS to more, or FIT_MAX_WAIT_S to an hour or more with FIT_EVERY at least "
    f"{STEP}"
)


@dataclass(frozen=True)
class Asked:
    """What is asked about: a project's copy, what it is about, and the order in force, a version's or its head's. A
    `pause` is made now and then, and may raise. So many labels of the `control` set count, as the board has it. Of a
    form it is one `question`, or all."""

    pool: Pool
    config: LabelConfig
    own: ProjectSettings
    card: Card
    order: str
    seed: int
    pause: Callable[[], None] = no_pause
    control: int = 0
    question: str = ""

    @property
    def layout(self) -> Layout | None:
        """Of a form the questions that are asked about."""
        layout = self.config.question.layout
        if layout is None or not self.question:
            return layout
        return Layout(tuple(cut for cut in layout.cuts if cut.name == self.question))

    def answer_in(self, answer: str) -> str | None:
        """What of it is asked about; None where that is nothing."""
        if self.layout is None:
            return answer
        names = [cut.name for cut in self.layout.cuts if cut.name in decoded(answer)]
        given, left = ({name: of[name] for name in names if name in of} for of in (decoded(answer), unasked(answer)))
        return encoded(given, left) if given else None


def asked_of(
    settings: Settings,
    registry: Registry,
    board: StatusBoard,
    pool: Pool,
    card: Card,
    pause: Callable[[], None] = no_pause,
    question: str = "",
) -> Asked:
    """What is asked about a project now, of which the card is the active version's. Raises `PoolError` while the copy
    is not complete, `RefusedConfigError` for options that are impossible, `BadSettingError` for a question that the
    project does not ask."""
    options = registry.options(card.project)
    own, config = for_project(settings, options), config_as_read(pool, settings, options)
    newest = heads.newest(registry.path(card.project, card.version)) if own.head == "on" else None
    newest = newest if newest and newest[1].labels == card.labels else None  # of another form, until the next version
    order, control = newest[0] if newest else card.version, board.quality(card.project).sample.answered
    names = [part.name for part in config.asked] if isinstance(config.question, Form) else []
    if question and question not in names:
        raise BadSettingError(
            f"The form asks no question {question!r}, but {', '.join(names) or 'one alone'}. Name one of these."
        )
    return Asked(pool, config, own, card, order, settings.seed, pause, control, question)


def look(asked: Asked, registry: Registry, resident: LoadedVersions, embedder: Embedder) -> Helping:
    """All that can be told now."""
    given = _given(asked)
    measured = _measured(asked, registry, embedder, given)
    found = measured, _forecast(asked, registry, embedder, given), _next(asked, registry, resident, given)
    about = tuple(cut.name for cut in asked.layout.cuts) if asked.layout else ()
    return Helping(asked.order, time.time(), *found, asked.card.examples, asked.control, about)


@dataclass(frozen=True)
class _Label:
    """A label that the project's versions learn, when it was first given, in seconds since 1970, and how many seconds
    the accounts `by` which it was took for it in Label Studio's editor; 0 where that is not known."""

    example: Example
    label: str
    at: float
    took: float
    by: tuple[str, ...]


def _given(asked: Asked) -> list[_Label]:
    """In the order in which they were given."""
    question = asked.config.question
    found = [
        _Label(
            example,
            label,
            min(map(_seconds, votes)),
            sum(vote.seconds or 0.0 for vote in votes),
            tuple(vote.account for vote in votes if vote.seconds),
        )
        for example, votes in asked.pool.answered(holdout=False)
        if (answer := question.consensus(votes)) is not None and (label := asked.answer_in(answer)) is not None
    ]
    return sorted(found, key=lambda one: (one.at, one.example.id))


def _seconds(vote: Vote) -> float:
    when = vote.first or vote.when
    return moment(when).timestamp() if when else 0.0


def _control(asked: Asked) -> dict[int, str]:
    """The labels of the control set that count, in the order of the draw."""
    sample, _ = _sample(asked)
    return {text.task_ids[0]: text.answer for text in sample if text.state == ANSWERED}


def _sample(asked: Asked) -> tuple[list[ControlText], int]:
    """The texts of the control set that count, and how many more may come to; what was imported later and is still to
    be caught up with does not count yet, as with whoever judges."""
    whole = control_texts(asked.pool, answered(asked.config.question))
    texts = [answering(text, asked.answer_in) for text in whole]
    sample = counting(until(texts, judged_to(asked.pool, whole)))
    return sample, sum(text.state != LEFT_OUT for text in texts) - len(sample)


def _measured(asked: Asked, registry: Registry, embedder: Embedder, given: Sequence[_Label]) -> Measured:
    control, own = _control(asked), given[: helping.BUDGET]
    why = _not_measured(asked, given)
    if why:
        return Measured(why=why)
    try:
        known = _known(asked, embedder, control)
        of_loop = _known(asked, embedder, {one.example.id: one.label for one in own})
    except NoModelError as error:
        return Measured(why=str(error).rstrip("."))
    answer = _answer(asked, registry, embedder, known, of_loop)
    last = answer.looks[-1] if answer.looks else None
    at_random = () if asked.layout else helping.at_random(known)
    return Measured(
        last.labels if last else 0,
        last.gain if last else None,
        last.error if last else None,
        answer.helps,
        answer.more,
        tuple(RandomPoint(at.labels, at.accuracy, at.low, at.high, MEASURED) for at in at_random),
        left=_sample(asked)[1],
    )


def _answer(
    asked: Asked, registry: Registry, embedder: Embedder, known: helping.Known, of_loop: helping.Known
) -> helping.Answer:
    """By the planned looks, each of which is taken once."""
    labels, project = asked.config.question.labels, asked.card.project
    about, in_order = (_compared(asked, embedder, of) for of in (sorted(labels), labels))
    looks = history.read(registry, project).looks
    kept = looks.get(about) or looks.get(in_order)  # as earlier builds noted them
    before = [helping.Look(*look) for look in kept.taken] if kept else []
    answer = helping.answer(known, of_loop, before, asked.pause)
    taken = tuple((look.labels, look.gain, look.error, look.luck) for look in answer.looks)
    if len(taken) > len(before):
        history.note_looks(registry, project, Looks(about, taken))
    return answer


def _compared(asked: Asked, embedder: Embedder, labels: Sequence[str]) -> str:
    """A digest of what a look compares: the same whatever is relabelled."""
    compared = (asked.config.control.seed, embedder.name, labels, asked.question)
    return sha256(json.dumps(compared).encode()).hexdigest()


def _not_measured(asked: Asked, given: Sequence[_Label]) -> str:
    """Why the loop's first labels cannot be laid beside control labels; empty when they can."""
    share = asked.config.control.share
    if not share:
        return "the project has no control set"
    if len(given) < helping.BUDGET:
        few = f"the order has {len(given)} labels of its own, and {helping.BUDGET} are compared"
        left = asked.pool.open_size()
        return (
            few if len(given) + left >= helping.BUDGET else f"{few}, which is not possible with the {left} tasks left"
        )
    times = [_seconds(vote) for votes in asked.pool.control_votes().values() for vote in votes]
    before = sum(one.at < min(times, default=float("inf")) for one in given)
    if before > 3 / share:
        return (
            f"{before} labels were there before the first one of the control set, and no order of ours asked for them"
        )
    return ""


def _known(asked: Asked, embedder: Embedder, labels: dict[int, str]) -> helping.Known:
    features_ND = _embedded(asked, embedder, list(labels))
    if asked.layout:
        return KnownAnswers(features_ND, asked.layout.targets(list(labels.values())), asked.layout)
    classes = asked.config.question.labels
    return Known(features_ND, np.array([classes.index(label) for label in labels.values()], dtype=np.int64))


def _embedded(asked: Asked, embedder: Embedder, task_ids: Sequence[int]) -> Features:
    """Features (N, D) of unit length, by the order of the ids. Raises `NoModelError` when they cannot be made."""
    missing = asked.pool.without_vector(EMBEDDINGS, embedder.name, task_ids)
    embedder.embed(asked.pool, asked.card.project, missing, lambda done, total: asked.pause())
    ids_M, rows_MD = asked.pool.vectors(EMBEDDINGS, embedder.name, task_ids)
    place = {int(task): row for row, task in enumerate(ids_M)}
    rows_ND: Features = rows_MD[[place[task] for task in task_ids]].astype(np.float64)
    return rows_ND


def _forecast(asked: Asked, registry: Registry, embedder: Embedder, given: Sequence[_Label]) -> Forecast:
    if asked.own.strategy == RANDOM:
        return Forecast(why="the order is random")
    if asked.layout:
        return Forecast(why=NO_WORLD)
    first = [one for one in given if one.label in asked.card.labels]
    if len(first) < forecast.EVERY:
        return Forecast(why=f"there are {len(first)} labels, and it begins with {forecast.EVERY}")
    try:
        world = _world(asked, registry, embedder, first)
    except NoModelError as error:
        return Forecast(why=str(error).rstrip("."))
    labels = min(len(first), forecast.LABELS_AT_MOST)
    if world is None or forecast.choosable(world) < labels:
        return Forecast(why=f"too few tasks are left to replay {labels} labels")
    found = forecast.forecast(world, asked.own.strategy, labels, asked.seed, asked.pause)
    return Forecast(found.labels, found.gain, found.low, found.high, found.times)


def _world(asked: Asked, registry: Registry, embedder: Embedder, given: Sequence[_Label]) -> World | None:
    """The project's tasks as its version sees them, a part of them if they are many; those with a label go first. None
    when no task without one is scored."""
    classes = asked.card.labels
    human = {one.example.id: classes.index(one.label) for one in given}
    open_N = np.array(asked.pool.open_ids(), dtype=np.int64)
    # Each task for itself, so that the next time hardly any other one has to be embedded.
    drawn = open_N[np.argsort(draws(open_N, asked.seed))][: max(0, DRAWN - len(human))].tolist()
    scores = scores_of(asked.pool, registry, asked.card, asked.order, drawn)
    if not len(scores.ids_N):
        return None
    ids = [*human, *scores.ids_N.tolist()]
    uniform_MC = np.full((len(human), len(classes)), 1 / len(classes))
    probs_NC = np.concatenate([uniform_MC, tempered(scores.probs_NC, _temperature(asked, registry))])
    human_N: Ints = np.array([human.get(task, -1) for task in ids], dtype=np.int64)
    return World(_embedded(asked, embedder, ids), probs_NC, human_N, np.arange(min(len(human), forecast.EVERY * 2)))


def _temperature(asked: Asked, registry: Registry) -> float:
    control = {task: label for task, label in _control(asked).items() if label in asked.card.labels}
    scores = scores_of(asked.pool, registry, asked.card, asked.order, list(control))
    targets = [asked.card.labels.index(control[task]) for task in scores.ids_N.tolist()]
    if not targets:
        return 1.0
    return forecast.temperature(scores.probs_NC, np.array(targets, dtype=np.int64))


def _next(asked: Asked, registry: Registry, resident: LoadedVersions, given: Sequence[_Label]) -> NextLabels:
    """How many answers the last labels changed on what is left: beside the newest version that knows so many less."""
    known, cards = asked.card.examples, registry.cards(asked.card.project)
    before = next((card for card in cards if not card.refused and known - card.examples >= STEP), None)
    if before is None:
        fits = history.read(registry, asked.card.project).fits.values()
        deleted = any(not fit.refused and known - fit.labels >= STEP for fit in fits)
        remedy = FEWER_FITS if deleted else ""
        return NextLabels(why=f"no version is kept that knows {STEP} labels less than the active one{remedy}")
    rng = np.random.default_rng(asked.seed)
    open_ids = sorted(asked.pool.open_ids())
    drawn = [open_ids[place] for place in rng.permutation(len(open_ids))[:COMPARED]]
    examples = asked.pool.examples(drawn)
    forms = {asks(layout) for layout in (before.layout, asked.card.layout, asked.config.question.layout)}
    if not examples or before.labels != asked.card.labels or len(forms) > 1:
        return NextLabels(why="the classes have changed" if examples else "no task is left")
    try:
        said = [_predicted(asked, resident, card, examples) for card in (before, asked.card)]
    except NoModelError as error:
        return NextLabels(why=str(error).rstrip("."))
    seconds, people = _work(given)
    labels = known - before.examples
    return NextLabels(labels, changed_share(*said), len(examples), seconds, left=len(open_ids), people=people)


def _predicted(asked: Asked, resident: LoadedVersions, card: Card, examples: Sequence[Example]) -> Targets:
    asked.pause()
    probs_NC = resident.score(card, examples, exact=False).probs_NC
    if card.layout is None:
        return np.asarray(probs_NC.argmax(axis=1))
    columns = [at for cut, at in card.layout.parts if asked.question in ("", cut.name)]
    guesses_NC = card.layout.guesses(probs_NC)
    return np.concatenate([guesses_NC[:, at] for at in columns], axis=1)


def _work(given: Sequence[_Label]) -> tuple[float, int]:
    """Seconds that people took for a label, all who gave it together, in the middle; 0 when that is not known. And the
    `crowd` that gave them."""
    worked = [one for one in given if is_work(one.took)]
    seconds = median(one.took for one in worked) if worked else 0.0
    return seconds, crowd(chain.from_iterable(one.by for one in worked))
