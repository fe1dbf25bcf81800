"""A made-up project with something in every section of its page, as if two people had labelled for some days.

Made up are the texts, what an encoder reads of them, and what people said. Its versions are heads on that, so that no
model is needed; figures, reasons and sentences are made of it by the code that makes those of real projects.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache, cached_property
from itertools import count, islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from nextlabel.labelstudio import notices
from nextlabel.labelstudio.client import UNCERTAINTY, Project
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.learning import suspects
from nextlabel.learning.audit import next_audit
from nextlabel.learning.forecast import replayed
from nextlabel.learning.fresh_heads import FreshHead, Known, fresh_head
from nextlabel.learning.gate import judge
from nextlabel.learning.rounds import Scored
from nextlabel.learning.strategies import acquire, draws
from nextlabel.loop import helping
from nextlabel.loop.controlling import control_side
from nextlabel.loop.fitting import FITTED_ON, label_counts, next_step, until_the_next, worse
from nextlabel.loop.history import Historian, InForce
from nextlabel.loop.judging import Judge
from nextlabel.loop.look_again import SHOWN, Again, Labelled
from nextlabel.loop.marks import Marks, begin
from nextlabel.loop.next_tasks import NextTasksTeller, Served
from nextlabel.loop.orders import VersionOrder
from nextlabel.loop.people import figures
from nextlabel.loop.publishing import Publication, Publisher
from nextlabel.loop.sides import Side
from nextlabel.loop.wanted import WantedTasks, wants_of
from nextlabel.problems.advice import NO_ADVICE, advise
from nextlabel.problems.helping import Helping
from nextlabel.problems.look_again import LookAgain
from nextlabel.settings import Settings, control_of, for_project
from nextlabel.store.pool import EMBEDDINGS, Pool, pool_path
from nextlabel.store.state import AgainState, SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.values.arrays import Features, Ints
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.values.queue import Published, to_score
from nextlabel.values.versions import Card, version_name
from nextlabel.versions.registry import Registry

LABELS = ("Delivery", "Refund", "Account", "Praise", "Other")
SHARES = (0.34, 0.24, 0.2, 0.15, 0.07)  # of the texts that are of each
PATTERNS: Mapping[str, Sequence[str]] = {
    "Delivery": (
        "My {thing} should have come {when}, and the tracking page has said the same since then.",
        "The courier left my {thing} in the rain {when}. Do I send it back, or do you fetch it?",
        "Where is the {thing} that I ordered {when}?",
    ),
    "Refund": (
        "You took the money for the {thing} twice {when}. When do I get the second payment back?",
        "I sent the {thing} back {when} and have not seen my money since.",
        "The {thing} came broken {when}. I do not want another one, I want the price of it.",
    ),
    "Account": (
        "I cannot sign in any more to order a {thing}: {when} you changed the password rules.",
        "Please delete my account; all I ever bought was a {thing}, {when}.",
        "Since {when} my {thing} stands under somebody else's name in my account.",
    ),
    "Praise": (
        "Thank you, the {thing} came {when}, quick and friendly!",
        "The {thing} is even better than the one that I bought {when}.",
        "Whoever packed my {thing} {when}: that was a pleasure to open.",
    ),
    "Other": (
        "Is your shop in the old town open {when}? I would like to see the {thing}.",
        "Does the {thing} of {when} fit the one from the year before?",
        "I write about shops, and would like to talk about the {thing} {when}.",
    ),
}
THINGS = (
    "kettle", "lamp", "blue jacket", "tent", "bicycle pump", "rice cooker", "rug", "pair of boots", "desk", "hammock",
    "coffee grinder", "mirror", "rain coat", "sleeping bag", "toaster", "garden chair",
)  # fmt: skip
TIMES = (
    "on Monday", "on Tuesday", "on Wednesday", "on Thursday", "on Friday", "on Saturday", "last week", "yesterday",
    "two weeks ago", "this morning", "in October", "at noon",
)  # fmt: skip
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text" choice="single-radio">'
    + "".join(f'<Choice value="{label}"/>' for label in LABELS)
    + "</Choices></View>"
)
SAYINGS = 3  # patterns of each class
TASKS, WIDTH, SPREAD = 1300, 24, 0.3  # numbers of each text, and how far it lies from what is typical of its pattern
VERSIONS = (8, 16, 32, 64, 128, 192, 256, 320)  # labels that each was fitted on
REFUSED, ON_DISK = 6, 5  # the version that was worse, and how many were not deleted
LEARNT, FIRST, EVERY = 347, 60, 10  # labels; of the control set those before all else, and then one in so many
CARELESS, SECOND = 0.04, 30  # wrong labels, and texts of the control set with a second answer
A_DAY, PACE_S = 90, 9.0  # labels, and seconds from one to the next
OPEN, WINDOW = 3, 64  # tasks that are open again, and that are published
PEOPLE = {"1": "ada@shop.example", "2": "ben@shop.example"}
OPTIONS = ProjectOptions(
    defaults=LATEST, control_seed="made up", control_first=FIRST, class_targets={"Other": 60},
    own={"window": WINDOW, "control_share": 1 / EVERY},
)  # fmt: skip


def fill(model_dir: Path, project: int, now: datetime, title: str = "Mails to the shop", **options: Any) -> None:
    """A project of which everything is known, five of its eight versions on disk; with `options` that somebody set."""
    made = ShownProject(model_dir, project, now, options)
    with Pool(pool_path(model_dir, project)) as pool:
        active = made.labelled(pool)
        made.asked_again(pool)
        made.published(pool, active)
        made.judged(pool, active)
        found = replace(whether_it_helps(), order=active.version, at=now.timestamp() - 4000)
        made.told(pool, active, title, found)


def as_another(model_dir: Path, project: int, other: int, title: str) -> None:
    """A line in the list of projects for another one, which is as far as the project."""
    registry, board = Registry(model_dir), StatusBoard(model_dir)
    registry.know(other)
    queue = board.queue(project)
    board.put_queue(other, queue.at, state=queue.state, title=title, labels=queue.labels, pending=queue.pending)
    board.put_quality(other, board.quality(project))


@cache
def whether_it_helps() -> Helping:
    """What is found out in seconds, and is the same at any time."""
    with TemporaryDirectory() as home:
        made = ShownProject(Path(home), 1, datetime(2026, 11, 24, 12, tzinfo=timezone.utc), {})
        with Pool(pool_path(Path(home), 1)) as pool:
            active = made.labelled(pool)
            made.judged(pool, active)
            asked = helping.asked_of(made.settings, made.registry, made.board, pool, active)
            return helping.look(asked, made.registry, made.stand_in, made.stand_in)


# What is made up


@cache
def topics() -> Ints:
    """The number of what each task (N) says, of which each class has as many."""
    rng = np.random.default_rng(0)
    return np.asarray(rng.choice(len(LABELS), size=TASKS, p=SHARES) * SAYINGS + rng.integers(0, SAYINGS, TASKS))


def right() -> Ints:
    """The number of the class that each task (N) is of."""
    return topics() // SAYINGS


@cache
def texts() -> tuple[str, ...]:
    """One for each task, no two alike."""
    rng = np.random.default_rng(1)
    patterns = [pattern for label in LABELS for pattern in PATTERNS[label]]
    each = [iter(rng.permutation(_all_of(pattern)).tolist()) for pattern in patterns]
    return tuple(next(each[topic]) for topic in topics().tolist())


def _all_of(pattern: str) -> list[str]:
    return [pattern.format(thing=thing, when=when) for thing, when in product(THINGS, TIMES)]


@cache
def features() -> Features:
    """What an encoder reads of each task (N, D), of unit length."""
    rng = np.random.default_rng(2)
    of_classes_TD = np.repeat(rng.normal(size=(len(LABELS), WIDTH)), SAYINGS, axis=0)
    typical_TD = (of_classes_TD + rng.normal(size=(len(LABELS) * SAYINGS, WIDTH))) / (2 * WIDTH) ** 0.5
    points_ND = typical_TD[topics()] + SPREAD * rng.normal(size=(TASKS, WIDTH))
    return np.asarray(points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True), dtype=np.float32)


@cache
def said_by_people() -> Ints:
    """The number of the class that people give each task (N): mostly the right one."""
    rng = np.random.default_rng(3)
    wrong_N = rng.random(TASKS) < CARELESS
    return np.where(wrong_N, (right() + rng.integers(1, len(LABELS), TASKS)) % len(LABELS), right())


def examples(task_ids: Sequence[int]) -> list[Example]:
    """These tasks, of which the first one has the id 1."""
    return [Example(task, texts()[task - 1]) for task in task_ids]


def of(task_ids: Sequence[int]) -> Known:
    """What is known of these tasks once they are labelled."""
    rows = np.array(task_ids, dtype=np.int64) - 1
    return Known(features()[rows].astype(np.float64), said_by_people()[rows])


@cache
def head_of(version: int) -> FreshHead:
    """What a version is here. The refused one has mixed up some labels."""
    known = of(learnt_in_turn()[: VERSIONS[version - 1]])
    if version == REFUSED:
        known = replace(known, targets_N=np.where(np.arange(len(known)) % 3, known.targets_N, known.targets_N[::-1]))
    return fresh_head(known)


@cache
def drawn() -> Mapping[int, str]:
    """The places of the control set, by task, in their order."""
    control = control_of(Settings(_env_file=None), OPTIONS)
    places = {example.id: control.drawn(example) for example in examples(range(1, TASKS + 1))}
    return dict(sorted(((task, place) for task, place in places.items() if place), key=lambda one: one[1]))


@cache
def learnt_in_turn() -> list[int]:
    """Tasks whose labels are learnt, as an order that follows its heads asks for them."""
    pool = [task for task in range(1, TASKS + 1) if task not in drawn()]
    asked_for_N = replayed(of(pool), np.arange(VERSIONS[0]), "margin", LEARNT, seed=0)
    return [pool[place] for place in asked_for_N.tolist()]


@cache
def in_turn() -> list[int]:
    """All labelled tasks, those of the control set among them."""
    control, learnt = iter(drawn()), iter(learnt_in_turn())
    found = [*islice(control, FIRST)]
    while some := [*islice(learnt, EVERY - 1)]:
        found += [*some, *islice(control, len(some) == EVERY - 1)]
    return found


class StandIn:
    """For what takes weights or a Label Studio: says what its versions say, and takes whatever is written."""

    name = "made up"  # of the encoder

    def __init__(self) -> None:
        self._ids = count(1)

    def embed(self, pool: Pool, project: int, missing: Sequence[Example], *_: object) -> None:
        """All of it, as of an encoder."""
        if missing:
            rows = [example.id - 1 for example in missing]
            pool.put_vectors(EMBEDDINGS, self.name, missing, features()[rows].astype(np.float16))

    def score(self, card: Card, some: Sequence[Example], exact: bool = True) -> Scored:
        """What a version says."""
        ids_N = np.array([example.id for example in some], dtype=np.int64)
        probs_NC = head_of(card.number).probabilities(features()[ids_N - 1].astype(np.float64), len(LABELS))
        values_N = acquire(card.strategy, probs_NC[:, None, :], draws(ids_N, card.seed))
        return Scored(some, probs_NC, values_N)

    def create_prediction(self, task: int, prediction: object) -> int:
        """The id of one that was written."""
        return next(self._ids)

    def set_model_version(self, project: int, version: str) -> None:
        """The queue follows it."""

    def delete_prediction(self, prediction: int) -> None:
        """It is gone."""


class ShownProject:
    """Puts it where the trainer would."""

    def __init__(self, model_dir: Path, project: int, now: datetime, options: Mapping[str, Any]):
        self.settings, self.registry = Settings(_env_file=None, model_dir=model_dir), Registry(model_dir)
        self.board, self.stand_in = StatusBoard(model_dir), _stand_in()
        self._id, self._now = project, now
        self._options = replace(OPTIONS, **options)
        self.registry.know(project)
        self.registry.put_options(project, self._options)
        self._historian = Historian(self.registry, self.board, now.timestamp)

    @cached_property
    def _config(self) -> LabelConfig:
        config = parse_label_config(CONFIG, self._options)
        return replace(config, control=control_of(self.settings, self._options))

    def labelled(self, pool: Pool) -> Card:
        """Label and fit; returns the card of the active version."""
        begin(pool, self._config, asked_before=False)
        pool.upsert(self._row(task) for task in range(1, TASKS + 1))
        synced = SyncState(self._config.reading, complete=True, label_config=CONFIG)
        pool.update(SyncState, lambda _: synced)
        self.stand_in.embed(pool, self._id, examples(range(1, TASKS + 1)))
        for number in range(1, len(VERSIONS) + 1):
            self._fit(pool, number)
        self.registry.prune(self._id, ON_DISK)
        return self.registry.card(self._id, self.registry.promoted(self._id))

    def _row(self, task: int, closed: bool = True) -> TaskRow:
        votes = tuple(self._votes(task))
        labelled = bool(votes)
        example, draw = examples([task])[0], drawn().get(task, "")
        return TaskRow(task, example, False, labelled and closed, False, len(votes), votes, draw=draw)

    def _votes(self, task: int) -> Iterator[Vote]:
        place = _places().get(task)
        if place is None:
            return
        at, who = self._given(place), 1 + place // 40 % 2
        seconds = 4.0 + 37 * place % 11
        label = LABELS[said_by_people()[task - 1]]
        yield Vote(label, False, _written(at), account=str(who), seconds=seconds)
        if task in drawn() and place < SECOND:
            again = LABELS[(right()[task - 1] + (place % 8 == 3)) % len(LABELS)]
            yield Vote(again, False, _written(at + timedelta(seconds=4)), account=str(3 - who), seconds=seconds + 2)

    def _given(self, place: int) -> datetime:
        """When the label in that place of all was."""
        before = len(in_turn()) - place
        return self._now - timedelta(days=before // A_DAY, seconds=180 + PACE_S * (before % A_DAY))

    def _fit(self, pool: Pool, number: int) -> None:
        known = {task: LABELS[said_by_people()[task - 1]] for task in learnt_in_turn()[: VERSIONS[number - 1]]}
        card = self._judged_card(self._card(number, list(known.values())), of(list(known)))
        self.registry.save(card, known, lambda directory: None)
        scored = self.stand_in.score(card, pool.unscored(card.version))
        pool.put_scores(card.version, scored.examples, scored.values_N, scored.probs_NC, exact=True)
        if not card.refused:
            self.registry.promote(self._id, card.version)
        self._historian.look(pool, self._id, self._config, InForce(card.version, card, card.examples), anew=True)

    def _card(self, number: int, labels: Sequence[str]) -> Card:
        made = self._given(_places()[learnt_in_turn()[len(labels) - 1]]) + timedelta(seconds=30)
        return Card(
            version=version_name(number, made), number=number, project=self._id,
            parent=self.registry.current(self._id), labels=LABELS,
            label_counts=label_counts(self._config.question, labels), base_model=self.settings.base_model,
            strategy="margin", seed=0, recipe={}, scores=None, pool=TASKS - len(labels), created_at=made.isoformat(),
            seconds={"prepare": 0.1, "fit": 4 + number, "score": 2.2, "save": 0.3, "publish": 1.2, "total": 8 + number},
            device="cpu", precision="fp32", libraries={}, reason=f"{len(labels)} labels",
        )  # fmt: skip

    def _judged_card(self, card: Card, known: Known) -> Card:
        """As the version before lets it be active, or not."""
        if card.parent is None:
            return card
        before = self.registry.card(self._id, card.parent)
        answers, said = (head_of(one.number).predictions(known.features_ND) for one in (before, card))
        question, margin = self._config.question, self.settings.promote_margin
        verdict = judge(question, known.targets_N, answers, said, margin)
        card = replace(card, judged=f"{FITTED_ON} ({len(known)})")
        if not verdict.refused:
            return card
        score = question.evaluate(known.targets_N, said).combined
        return replace(card, refused=worse(FITTED_ON, score, verdict.loss, before.version, margin))

    def asked_again(self, pool: Pool) -> None:
        """Look at all labels again, with the most doubtful tasks open for the other person."""
        question, answered = self._config.question, pool.answered(holdout=False)
        looked = suspects.look(question, answered, of([example.id for example, _ in answered]).features_ND, SHOWN)
        doubtful = [suspect.task for suspect in looked.suspects][:OPEN]
        asked = {task: LABELS[said_by_people()[task - 1]] for task in doubtful}
        pool.update(AgainState, lambda state: replace(state, votes=pool.votes(), asked=asked, casting=looked.casting))
        pool.upsert(self._row(task, closed=False) for task in doubtful)
        self._options = replace(self._options, look_again=OPEN, reopened=dict.fromkeys(doubtful, 1))
        self.registry.put_options(self._id, self._options)
        self.board.put_look_again(self._id, LookAgain(tasks=looked.suspects))
        self._again.look(Labelled(pool, self._project(), question, True, False, lambda: False))

    @cached_property
    def _again(self) -> Again:
        return Again(self.settings, self.registry, self.board, self.stand_in, self.stand_in, self._now.timestamp)

    def _project(self, model_version: str = "") -> Project:
        return Project(self._id, "", CONFIG, UNCERTAINTY, model_version, False, 0, 0, False, False)

    def published(self, pool: Pool, active: Card) -> None:
        """Have the queue follow the version, of which some tasks are labelled, and tell what comes next."""
        self._note_labelled(pool, active)
        order = VersionOrder(pool, self._config, active, lambda some: (self.stand_in.score(active, some), ()))
        outcome = self._publish(pool, order)
        teller = NextTasksTeller(self.registry, self.board, self.stand_in, self._now.timestamp)
        teller.look(pool, self._id, Served(self._config, order, active, outcome, "typiclust", LEARNT))

    def _note_labelled(self, pool: Pool, active: Card) -> None:
        since = examples(learnt_in_turn()[active.examples :])
        values = self.stand_in.score(active, since).values_N.tolist()
        rows = zip(count(1_000_000), since, values, strict=False)
        pool.note_published(*(Published(id, one.id, active.version, to_score(value)) for id, one, value in rows))
        Marks(self.registry).look(pool, self._id, self._config, active.version)

    def _publish(self, pool: Pool, order: VersionOrder) -> Publication:
        def never() -> bool:
            return False

        sides = self._sides(pool, order)
        with Publisher(self.stand_in, pool, order, never, never, lambda seconds: None, sides=sides) as publisher:
            outcome = publisher.publish(self._project(), WINDOW)
            while outcome.unfinished or outcome.stale:
                outcome = outcome.and_then(publisher.publish(self._project(order.name), WINDOW))
        return outcome

    def _sides(self, pool: Pool, order: VersionOrder) -> list[Side]:
        wants = wants_of(self._options, self._config, pool.labels(self._config.question, holdout=False))
        return [
            control_side(pool, self._config.control, FIRST, others=1, depth=WINDOW),
            self._again.side(pool, self._id, WINDOW),
            WantedTasks(self.stand_in).side(pool, self._id, order, wants, pool.done_size(), WINDOW),
        ]

    def judged(self, pool: Pool, active: Card) -> None:
        """Say what the control set says of the version, and of all before it."""
        Judge(self.registry, self.board).look(pool, self._id, self._config, active.version, active)
        in_force = InForce(active.version, active, active.examples)
        self._historian.look(pool, self._id, self._config, in_force, anew=True)

    def told(self, pool: Pool, active: Card, title: str, found: Helping) -> None:
        """Say how the project is, who labels it, and what to do next."""
        at, labels = self._now.timestamp(), pool.labels(self._config.question, holdout=False)
        wants = wants_of(self._options, self._config, labels)
        words, pending = notices.told([notices.open_again(OPEN, self._id)]), len(labels) - active.examples
        step = next_step(for_project(self.settings, self._options), active.examples)
        self.board.put_queue(
            self._id, at, state="published", message=until_the_next(pending, step), title=title,
            tasks=pool.size(), pool=pool.open_size(),
            left=pool.left_size(), window=pool.published_size(active.version), labels=len(labels),
            by_class=label_counts(self._config.question, list(labels.values())), control=pool.control_labels(),
            pending=pending, version=active.version, order=active.version, known=active.examples,
            how_to_find=notices.how_to_find(self._config.asked[0]), warnings=words.warnings, remarks=words.remarks,
            wanted={want.label: want.progress() for want in wants}, reconciles=len(labels),
        )  # fmt: skip
        self.board.put_fit(self._id, at, state="idle", fits=len(VERSIONS), refused=1)
        names = (lambda: PEOPLE) if self._options.show_people else None
        self.board.put_people(self._id, figures(pool, self._config, names, at))
        self.board.put_helping(self._id, found)
        judgement = self.board.quality(self._id)
        audit = next_audit(self.board.queue(self._id).left, 1)
        advice = advise(judgement, found, False, None, at, NO_ADVICE, project=self._id, audit=audit)
        self.board.put_advice(self._id, advice)


def _stand_in() -> Any:
    return StandIn()


@cache
def _places() -> Mapping[int, int]:
    return {task: place for place, task in enumerate(in_turn())}


def _written(at: datetime) -> str:
    """As Label Studio writes a time."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
