"""Replays active learning on labelled data, the labels hidden behind an oracle. Knows no Label Studio.

Every finished round is a record on disk at once, and a run goes on from its records: killed anywhere, it neither
loses nor repeats a round.
"""

import functools
import math
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning import auto_recipe, heads
from nextlabel.learning.control import SERVED_SHARE
from nextlabel.learning.fresh_heads import Known
from nextlabel.learning.near_copies import Vocabulary, held_back, vocabulary
from nextlabel.learning.rounds import Scored, round_seed, run_round, score_pool, select
from nextlabel.learning.start_order import SERVED_START
from nextlabel.learning.start_set import seed_positions, seed_size, start_positions
from nextlabel.learning.strategies import SERVED, STRATEGIES, acquire, draws, most_informative_first
from nextlabel.learning.thresholds import with_thresholds
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Classifier, Recipe
from nextlabel.model.devices import describe, processor
from nextlabel.model.tokens import TokenCache
from nextlabel.problems.form import Form
from nextlabel.simulation import baselines, scores
from nextlabel.simulation.baselines import Baseline
from nextlabel.simulation.control_set import ControlSet, drawn, figures, figures_of_form, interleaved
from nextlabel.simulation.datasets.corpora import MRPC_SIZES
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.simulation.head_order import EVERY, HeadOrder, all_free, is_head
from nextlabel.simulation.records import BATCHED, COMBINED, FULL, LIVE, MACRO_F1, RANDOM, Record
from nextlabel.simulation.scores import ByQuestion
from nextlabel.simulation.told import told
from nextlabel.values.arrays import Array, Features, Ints, Targets
from nextlabel.values.examples import Example
from nextlabel.values.layout import ANY_OF, Layout, labels_in

SERVED_AS = (
    f"the first labels by {SERVED_START}, then by {SERVED}, in an order that the version's last layer renews after "
    f"every {heads.EVERY} labels, near-copies held back; {SERVED_SHARE:g} of the texts are control tasks, asked in "
    "between and never learnt from"
)
BATCH = int(BATCHED.rpartition(":")[2])  # labels between two fits of release 0.1.0
SERVED_BEFORE = (
    f"as release 0.1.0 served a project, which was fitted after every {BATCH} labels: in no order before the first "
    "of these fits, and then by the entropy of the last one; each takes the recipe of the other arms"
)
LOOKED_AT = 512  # of the best, for near-copies
NEAR = 0.95  # cosine of two texts' embeddings from which on they count as near-copies


@dataclass(frozen=True)
class RunProtocol:
    """How every arm of a run is played; two runs with another protocol cannot be compared.

    `recipe.seed` is set anew for each round. `start` is a share of the training data below 1, else a count; `batch`
    a number of labels per round. With `at` versions are fitted and tested at these label counts alone, the first of
    which is the start, and `start` and `batch` do not matter. A fit takes `recipe.steps`, or so many `epochs` where
    these are more; with `auto_steps` what `learning.auto_recipe` has for its labels. `full_steps` are those of the
    full-data baseline. With `training_seed` every fit has the same seed, as in the tutorial. A run ends where the
    combined dev score reaches `stop_at`. Of the examples `control_share` are drawn for each seed: they are asked in
    between, and no arm but the baseline learns from them. `frozen` is the checksum of the file that froze all this, if
    one did.
    """

    recipe: Recipe
    start: float = 0.3
    start_by: str = "random"
    batch: int = 64
    full_steps: int = 343
    training_seed: int | None = None
    stop_at: float | None = None
    at: tuple[int, ...] | None = None
    epochs: float = 0.0
    auto_steps: bool = False
    control_share: float = 0.0
    frozen: str = ""

    @property
    def measure(self) -> str:
        """The score that arms are compared by: the tutorial's where its fixed batches are played, else macro-F1."""
        return MACRO_F1 if self.at else COMBINED

    def start_size(self, available: int) -> int:
        """How many of the available examples an arm starts with."""
        return seed_size(available, self.at[0] if self.at else self.start)

    def steps(self, labels: int) -> int:
        """The steps of a fit on so many labels."""
        if self.auto_steps:
            return auto_recipe.steps(labels, self.recipe.batch_size)
        return max(self.recipe.steps, math.ceil(self.epochs * labels / self.recipe.batch_size))


# "Transformers meet active learning: less data, better performance": 343 = int(3668 / 32 * 3), three epochs of all the
# data, in every round; its start set has a seed of its own, its training always this one.
TUTORIAL = RunProtocol(
    Recipe("google-bert/bert-base-cased", 343, 2e-5, 32, max_length=128, seed=0, warmup=0.0),
    training_seed=12,
    stop_at=0.8568,
)


TUTORIAL_SEED = 123  # of the start set


def as_served(protocol: RunProtocol, strategy: str, data: TextSet) -> RunProtocol:
    """The protocol of an arm: `live` has a start order and a control set of its own, but of a form's questions none."""
    if strategy != LIVE:
        return protocol
    share = 0.0 if data.form else protocol.control_share or SERVED_SHARE
    return replace(protocol, start_by=SERVED_START, control_share=share)


@dataclass(frozen=True)
class Arm:
    """One strategy under one seed; `full` is the baseline that is fitted on all the data, once."""

    seed: int
    strategy: str


def arms(strategies: Sequence[str], seeds: Sequence[int], full_seeds: int | None = None) -> list[Arm]:
    """All arms, seed by seed, so that a run that is stopped early has whole pairs; the baseline comes with the first
    `full_seeds` seeds, or with all."""
    different = list(dict.fromkeys(seeds))
    with_full = different[:full_seeds]
    names = {seed: [*([FULL] if seed in with_full else []), *dict.fromkeys(strategies)] for seed in different}
    return [Arm(seed, name) for seed in different for name in names[seed]]


def check(data: TextSet, protocol: RunProtocol, seeds: Sequence[int]) -> None:
    """Raises `BadRunError` before the first fit when an arm could not be played to its end.

    Loads the checkpoint once, so that one that cannot be loaded is known before anything is written.
    """
    classifiers.load_base(protocol.recipe)
    size, available = protocol.start_size(len(data.train)), len(data.train)
    if protocol.at and protocol.at[-1] > available:
        fitting = ",".join(str(count) for count in protocol.at if count <= available)
        raise BadRunError(
            f"--labels-at ends at {protocol.at[-1]}, and there are {available} training examples. Give counts up to "
            f"that{f', such as {fitting}' if ',' in fitting else ''}."
        )
    if protocol.at and size < 2:
        raise BadRunError(f"--labels-at begins with {size}. Give counts from 2 on, as a fit needs two classes.")
    if protocol.at and not data.test:
        raise BadRunError("--labels-at needs a test part, for arms are compared on it. Give data with one.")
    if not 2 <= size < available:
        raise BadRunError(
            f"--start {protocol.start:g} is {size} of the {available} training examples; "
            f"it must leave a pool and hold at least 2: give a share between 0 and 1, or a count below {available}."
        )
    for seed in seeds:
        start = start_set(data, protocol, seed)
        complaint = data.question.missing_labels([label for example, label in data.train if example.id in start])
        if complaint:
            only = "answer" if data.form else "class"
            remedy = f"Give {'training examples of another one' if protocol.at else f'a larger --start than {size}'}"
            raise BadRunError(
                f"Seed {seed} starts with examples of one {only} only. {complaint} {remedy}, or leave out this seed."
            )


def deviations(data: TextSet, protocol: RunProtocol, strategies: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """In what a run differs from the tutorial's experiment, in words."""
    ours, theirs = _compared(protocol), _compared(TUTORIAL)
    found = [f"{name}: {ours[name]}, not {theirs[name]}" for name in theirs if ours[name] != theirs[name]]
    if (len(data.train), len(data.dev)) != MRPC_SIZES:
        found.append(f"data: {data.source}, not MRPC")
    if list(strategies) != ["entropy"]:
        found.append(f"strategies: {', '.join(strategies)}, not entropy")
    if list(seeds) != [TUTORIAL_SEED]:
        found.append(f"seeds: {', '.join(map(str, seeds))}, not {TUTORIAL_SEED}")
    return found


def _compared(protocol: RunProtocol) -> dict[str, object]:
    known = {**vars(protocol), **vars(protocol.recipe)}
    return {name: known[name] for name in known if name not in ("recipe", "seed", "device", "precision")}


def rounds_in(data: TextSet, protocol: RunProtocol, arm: Arm, rounds: int | None) -> int:
    """How many records an arm has when it is played to its end, at most."""
    if arm.strategy == FULL:
        return 1
    if protocol.at:
        return len(protocol.at) if rounds is None else min(1 + rounds, len(protocol.at))
    pool = len(data.train) - protocol.start_size(len(data.train))
    until_empty = math.ceil(pool / protocol.batch)
    return 1 + (until_empty if rounds is None else min(rounds, until_empty))


def labels_wanted(protocol: RunProtocol, number: int, labels: int) -> int:
    """How many labels come after round `number`, which had `labels`, at most."""
    if protocol.at is None:
        return protocol.batch
    return protocol.at[number + 1] - labels if number + 1 < len(protocol.at) else 0


@dataclass(frozen=True)
class Played:
    """A finished round, and what its version says of the parts to judge by: probabilities (N, C) by part. Of a form the
    `layout` has the version's thresholds."""

    record: Record
    said: Mapping[str, Array]
    layout: Layout | None = None


@dataclass
class _Version:
    """A fitted model with all that has been asked of it: what it says of dev, test and, once it is asked, of the pool,
    and what its last layer reads of train and dev.

    `model` is its classifier or, of a cheap baseline, what that knows instead. `seconds` by stage. Of a form `layout`
    has its thresholds, chosen as the live loop does.
    """

    model: Classifier | Baseline
    dev_NC: Array
    test_NC: Array
    seconds: dict[str, float]
    train_accuracy: float | None = None
    pool_NC: Array | None = None
    features: tuple[Features, Features] | None = None
    layout: Layout | None = None


class Player:
    """Plays arms on one data set. Holds what they share: word pieces, embeddings, the first version of a seed.

    The same arm on the same device with the same number of threads gives the same records, but for the seconds,
    whatever was played before it.
    """

    def __init__(self, data: TextSet, protocol: RunProtocol):
        self._data, self._protocol = data, protocol
        self._home = tempfile.TemporaryDirectory(prefix="nextlabel-word-pieces-")
        self._cache = TokenCache(Path(self._home.name))
        self._labels = {example.id: label for example, label in data.train}
        self._first: tuple[object, _Version] | None = None

    def play(self, arm: Arm, done: Sequence[Record], rounds: int | None = None) -> Iterator[Played]:
        """The rounds of an arm that are not among its `done` ones, in order; `rounds` of labelling after the start."""
        everything = Start(set(self._labels))
        start = everything if arm.strategy == FULL else start_of(self._data, self._protocol_of(arm), arm.seed)
        asked = [*sorted(start.ids), *(number for record in done for number in record.chosen)]
        number = len(done)
        goes_on = number == 0 or bool(done[-1].chosen)
        while goes_on and number < rounds_in(self._data, self._protocol, arm, rounds):
            played = self._play_round(arm, number, asked, None if number else start.exchanged)
            yield played
            asked += played.record.chosen
            number += 1
            goes_on = bool(played.record.chosen)

    def _play_round(self, arm: Arm, number: int, asked: Sequence[int], exchanged: int | None) -> Played:
        """The round after the labels that were `asked` for, in their order."""
        protocol, control = self._protocol, self._control(arm)
        judging = [example for example in asked if example in control.reserved]
        labelled = set(asked) - control.reserved
        recipe = _recipe(protocol, arm, number, len(labelled))
        version, shared = self._version(arm, recipe, number, labelled)
        seconds = {**version.seconds, **({"shared": sum(version.seconds.values())} if shared else {})}
        dev = self._scores(version, version.dev_NC, self._data.dev)
        test = self._scores(version, version.test_NC, self._data.test)
        assert dev is not None  # a text set has a dev part
        ends = arm.strategy == FULL or (protocol.stop_at is not None and dev["combined"] >= protocol.stop_at)
        wanted = 0 if ends else labels_wanted(protocol, number, len(asked))
        since = [*reversed(asked)].index(judging[-1]) if judging else len(asked)
        due = control.due(judging, since, wanted)
        chosen, head, count = list[int](), None, wanted - len(due)
        if count and arm.strategy == BATCHED:
            chosen = self._choose_in_batches(
                version, arm, [id for id in asked if id in labelled], count, number, seconds
            )
        elif count and (is_head(arm.strategy) or arm.strategy == LIVE):
            chosen, head = self._choose_by_heads(version, arm, recipe, labelled, count, seconds)
        elif count:
            chosen = self._choose(version, arm, recipe, labelled, count, number, seconds)
        asked_next = interleaved(chosen, due)
        return Played(
            Record(
                seed=arm.seed,
                strategy=arm.strategy,
                round=number,
                labels=len(asked),
                dev=dev,
                test=test,
                chosen=tuple(asked_next),
                seconds={stage: round(s, 3) for stage, s in seconds.items()},
                device=describe(protocol.recipe.device),
                versions=classifiers.package_versions(),
                machine=processor(),
                mix=dict(Counter(label for id in asked_next for label in self._labels_of(id))),
                near_copies=self._near_copies(labelled, chosen) if protocol.at else None,
                train_accuracy=version.train_accuracy,
                head=head,
                control=self._judged(version, control.share, judging),
                questions=self._by_question(version),
                told=self._told(version, arm, asked, control.reserved) if chosen and arm.strategy == LIVE else None,
                exchanged=exchanged,
            ),
            {"dev": version.dev_NC, **({"test": version.test_NC} if test else {})},
            version.layout,
        )

    def _labels_of(self, number: int) -> tuple[str, ...]:
        return labels_in(self._labels[number], self._data.question.layout)

    def _protocol_of(self, arm: Arm) -> RunProtocol:
        return as_served(self._protocol, arm.strategy, self._data)

    def _control(self, arm: Arm) -> ControlSet:
        """What the arm does not learn from."""
        if arm.strategy == FULL:
            return ControlSet(0.0, {})
        return drawn(self._data.train, self._protocol_of(arm).control_share, arm.seed)

    def _learnable(self, arm: Arm) -> list[Labelled]:
        reserved = self._control(arm).reserved
        return [item for item in self._data.train if item[0].id not in reserved]

    def _judged(self, version: _Version, share: float, judging: Sequence[int]) -> Mapping[str, Any] | None:
        """What the control labels say of a version."""
        texts = self._texts()
        examples = [texts[number] for number in judging]
        if not examples:
            return None
        probs_NK = version.model.predict_proba(examples)
        answers = {number: self._labels[number] for number in judging}
        question = self._data.question
        if isinstance(question, Form) and version.layout:
            return figures_of_form(share, answers, question, version.layout, probs_NK)
        return figures(share, answers, question.labels, probs_NK)

    def _told(self, version: _Version, arm: Arm, asked: Sequence[int], reserved: set[int]) -> Mapping[str, Any] | None:
        """What the page of such a project would say; nothing of a form. The order has been made, with its features."""
        assert isinstance(version.model, Classifier)
        assert version.features is not None
        if self._data.form is not None:
            return None
        texts, embeddings, learnable = self._texts(), self._embeddings(), self._learnable(arm)
        known = set(asked)
        rows = [row for row, (example, _) in enumerate(learnable) if example.id not in known]
        open_ND = np.array([embeddings[learnable[row][0].id] for row in rows])
        probs_NC = heads.probabilities(version.model.last_layer, version.features[0][rows])

        def of(ids: Sequence[int]) -> Known:
            rows_MD = np.array([embeddings[id] for id in ids]).reshape(len(ids), open_ND.shape[1])
            return Known(rows_MD, self._data.question.class_numbers([self._labels[id] for id in ids]))

        given, judging = ([id for id in asked if (id in reserved) is judges] for judges in (False, True))
        control_MC = version.model.predict_proba([texts[id] for id in judging]) if judging else probs_NC[:0]
        return told(of(given), open_ND, probs_NC, of(judging), control_MC, SERVED, arm.seed)

    def _version(self, arm: Arm, recipe: Recipe, number: int, labelled: set[int]) -> tuple[_Version, bool]:
        """A model of these labels, and whether it is another arm's: all arms of a seed begin with the same one."""
        kind = baselines.kind_of(arm.strategy)
        begins_alike = (kind, recipe, frozenset(labelled))
        if number == 0 and self._first is not None and self._first[0] == begins_alike:
            return self._first[1], True
        version = self._fit_baseline(kind, labelled) if kind else self._fit(recipe, labelled)
        if number == 0:
            self._first = begins_alike, version
        return version, False

    def _fit(self, recipe: Recipe, labelled: set[int]) -> _Version:
        data = self._data
        items = [item for item in data.train if item[0].id in labelled]
        played = run_round(recipe, data.question, items, [], data.dev, RANDOM, cache=self._cache)
        start_s = time.perf_counter()
        test_NC = played.classifier.predict_proba([example for example, _ in data.test], exact=False)
        seconds = {**played.seconds, "select": 0.0}
        seconds["evaluate"] += time.perf_counter() - start_s
        version = _Version(played.classifier, played.holdout_NC, test_NC, seconds, layout=data.question.layout)
        if version.layout and any(cut.kind == ANY_OF for cut in version.layout.cuts):
            features_ND = played.classifier.predict_with_features([e for e, _ in items], exact=False)[1]
            targets_NC = data.question.class_numbers([answer for _, answer in items])
            version.layout = with_thresholds(version.layout, played.classifier.last_layer, features_ND, targets_NC)
        if self._protocol.at:
            learnt = self._scores(version, played.classifier.predict_proba([e for e, _ in items], exact=False), items)
            version.train_accuracy = learnt["accuracy"] if learnt else None
        return version

    def _fit_baseline(self, kind: str, labelled: set[int]) -> _Version:
        data, start_s = self._data, time.perf_counter()
        features = self._embeddings() if kind == baselines.FROZEN else None
        model = baselines.fit(kind, data, labelled, features)
        fitted_s = time.perf_counter()
        dev_NC, test_NC = (model.predict_proba([example for example, _ in part]) for part in (data.dev, data.test))
        seconds = {"prepare": 0.0, "fit": fitted_s - start_s, "evaluate": time.perf_counter() - fitted_s}
        return _Version(model, dev_NC, test_NC, {**seconds, "score": 0.0, "select": 0.0}, layout=model.layout)

    def _scores(self, version: _Version, probs_NC: Array, part: Sequence[Labelled]) -> dict[str, float] | None:
        if not part:
            return None
        targets, predictions = self._judge(version, probs_NC, part)
        if self._protocol.at:
            return scores.scores(self._data.question, targets, predictions)
        return self._data.question.evaluate(targets, predictions).as_dict()

    def _judge(self, version: _Version, probs_NC: Array, part: Sequence[Labelled]) -> tuple[Targets, Targets]:
        """What is right, and what is said."""
        question = self._data.question
        said = version.layout.guesses(probs_NC) if version.layout else question.predicted(probs_NC)
        return question.class_numbers([label for _, label in part]), said

    def _by_question(self, version: _Version) -> Mapping[str, ByQuestion] | None:
        """Each question's measures, by part, where a form is asked."""
        said = {"dev": (version.dev_NC, self._data.dev), "test": (version.test_NC, self._data.test)}
        judged = {name: self._judge(version, probs_NC, part) for name, (probs_NC, part) in said.items() if part}
        found = {name: scores.by_question(self._data.question, *pair) for name, pair in judged.items()}
        return {name: measured for name, measured in found.items() if measured is not None} or None

    def _choose(
        self,
        version: _Version,
        arm: Arm,
        recipe: Recipe,
        labelled: set[int],
        count: int,
        number: int,
        seconds: dict[str, float],
    ) -> list[int]:
        """Ids of the next labels, the most informative first; in the last round whatever is left."""
        pool = [example for example, _ in self._learnable(arm) if example.id not in labelled]
        strategy = strategy_of(arm.strategy)
        ids_N = np.array([example.id for example in pool], dtype=np.int64)
        if not STRATEGIES[strategy].predictions:  # the pool is not scored
            order_N = most_informative_first(draws(ids_N, round_seed(arm.seed, number)))
            return [pool[i].id for i in order_N[:count]]
        start_s = time.perf_counter()
        scored = self._scored(version, pool, strategy, recipe.seed)
        scored_s = time.perf_counter()
        if isinstance(version.model, Classifier):
            learnt = [example for example, _ in self._data.train if example.id in labelled]
            chosen_ids = [e.id for e in select(version.model, scored, strategy, count, recipe.seed, learnt)]
        else:
            chosen_ids = [pool[i].id for i in most_informative_first(scored.values_N)[:count]]
        seconds["score"] += scored_s - start_s
        seconds["select"] += time.perf_counter() - scored_s
        return chosen_ids

    def _choose_in_batches(
        self, version: _Version, arm: Arm, known: Sequence[int], count: int, number: int, seconds: dict[str, float]
    ) -> list[int]:
        """Ids of the next labels after those that are `known`, in their order, of which the `version` knows all."""
        asked, knows = list(known), len(known)
        while (missing := len(known) + count - len(asked)) > 0:
            full = len(asked) // BATCH * BATCH
            recipe = _recipe(self._protocol, arm, number, full)
            if full and full != knows:
                version, knows = self._fit(recipe, set(asked[:full])), full
                for stage, spent in version.seconds.items():
                    seconds[stage] += spent
            by, until_full = replace(arm, strategy="entropy" if full else RANDOM), full + BATCH - len(asked)
            chosen = self._choose(version, by, recipe, set(asked), min(missing, until_full), number, seconds)
            if not chosen:
                break
            asked += chosen
        return asked[len(known) :]

    def _choose_by_heads(
        self, version: _Version, arm: Arm, recipe: Recipe, labelled: set[int], count: int, seconds: dict[str, float]
    ) -> tuple[list[int], Mapping[str, float]]:
        """Ids of the next labels, and what a record says of the heads."""
        start_s = time.perf_counter()
        order = self._head_order(version, arm, labelled)
        scored_s = time.perf_counter()
        chosen_ids = order.choose(strategy_of(arm.strategy), count, recipe.seed)
        head = order.record()
        seconds["score"] += scored_s - start_s
        seconds["select"] += time.perf_counter() - scored_s
        return chosen_ids, head

    def _head_order(self, version: _Version, arm: Arm, labelled: set[int]) -> HeadOrder:
        assert isinstance(version.model, Classifier)
        train, dev, question = self._learnable(arm), self._data.dev, self._data.question
        if version.features is None:
            train_ND, dev_ND = (
                version.model.predict_with_features([example for example, _ in part], exact=False)[1]
                for part in (train, dev)
            )
            version.features = train_ND, dev_ND
        train_ND, dev_ND = version.features
        return HeadOrder(
            version.model.last_layer,
            np.array([example.id for example, _ in train], dtype=np.int64),
            train_ND,
            question.class_numbers([label for _, label in train]),
            [i for i, (example, _) in enumerate(train) if example.id in labelled],
            dev_ND,
            question.class_numbers([label for _, label in dev]),
            self._data.form,
            *((heads.EVERY, self._without_near_copies) if arm.strategy == LIVE else (EVERY, all_free)),
            layout=version.layout,
        )

    def _without_near_copies(self, best_first: Ints, since: Sequence[int], count: int) -> list[int]:
        """As the live queue holds them back: of near-copies one, until a version knows its label."""
        candidates = best_first[:LOOKED_AT].tolist()
        texts, embeddings = self._texts(), self._embeddings()
        rows_MD = np.array([embeddings[id] for id in candidates])
        since_HD = np.array([embeddings[id] for id in since]).reshape(len(since), rows_MD.shape[1])
        examples, known = ([texts[id] for id in ids] for ids in (candidates, since))
        held = held_back(examples, rows_MD, known, since_HD, self._words, count)
        return [*(id for id in candidates if id not in held), *held][:count]

    def _texts(self) -> Mapping[int, Example]:
        return {example.id: example for example, _ in self._data.train}

    @functools.cached_property
    def _words(self) -> Vocabulary:
        return vocabulary(list(self._texts().values()))

    def _scored(self, version: _Version, pool: Sequence[Example], strategy: str, seed: int) -> Scored:
        """The pool, valued; what the version says of it is asked once for all strategies that one pass serves."""
        if STRATEGIES[strategy].passes:
            assert isinstance(version.model, Classifier)
            return score_pool(version.model, pool, strategy, seed)
        if version.pool_NC is None and isinstance(version.model, Classifier):
            version.pool_NC = score_pool(version.model, pool, strategy, seed).probs_NC
        elif version.pool_NC is None:
            version.pool_NC = version.model.predict_proba(pool)
        draws_N = draws(np.array([example.id for example in pool], dtype=np.int64), seed)
        layout = self._data.question.layout
        return Scored(pool, version.pool_NC, acquire(strategy, version.pool_NC[:, None, :], draws_N, layout))

    def _near_copies(self, labelled: set[int], chosen: Sequence[int]) -> int:
        """How many of the chosen say nearly the same as one that was labelled before them."""
        embeddings = self._embeddings()
        known_MD = np.array([embeddings[id] for id in [*sorted(labelled), *chosen]])
        near_MM = known_MD[len(labelled) :] @ known_MD.T >= NEAR
        return sum(bool(near[: len(labelled) + i].any()) for i, near in enumerate(near_MM))

    def _embeddings(self) -> Mapping[int, Array]:
        """What the base encoder makes of each example, by id, of length 1."""
        examples = tuple(example for part in self._data.parts().values() for example, _ in part)
        embedded_ND = _embedded(_encoder(self._protocol.recipe), examples)
        return dict(zip((example.id for example in examples), embedded_ND, strict=True))


def strategy_of(name: str) -> str:
    """The query strategy of an arm: margin of `tfidf:margin` and `head:margin`, entropy of `entropy:64`, of `live` what
    a new project is served by."""
    if name == BATCHED:
        return "entropy"
    return SERVED if name == LIVE else name.rpartition(":")[2]


def _recipe(protocol: RunProtocol, arm: Arm, number: int, labels: int) -> Recipe:
    seed = round_seed(arm.seed, number) if protocol.training_seed is None else protocol.training_seed
    steps = protocol.full_steps if arm.strategy == FULL else protocol.steps(labels)
    return replace(protocol.recipe, seed=seed, steps=steps)


@dataclass(frozen=True)
class Start:
    """Ids of the examples that are labelled before the first fit, and the one of them that was `exchanged`."""

    ids: set[int]
    exchanged: int | None = None


def start_set(data: TextSet, protocol: RunProtocol, seed: int) -> set[int]:
    """Ids of the examples that are labelled before the first fit: the same for every strategy."""
    return start_of(data, protocol, seed).ids


def start_of(data: TextSet, protocol: RunProtocol, seed: int) -> Start:
    """What an arm begins with. Where all that is drawn for the first label count has one class, of which nothing can be
    learnt, the last drawn is exchanged for one of another class, by chance: to leave out such seeds would be to compare
    with random sampling that is always lucky. With fixed batches nothing is."""
    ids = _first_drawn(data, protocol, seed)
    answers = {example.id: answer for example, answer in data.train}

    def cannot_be_learnt(some: Sequence[int]) -> bool:
        return bool(data.question.missing_labels([answers[id] for id in some]))

    if not protocol.at or not cannot_be_learnt(ids):
        return Start(set(ids))
    reserved = drawn(data.train, protocol.control_share, seed).reserved | set(ids)
    by_chance = (data.train[i][0].id for i in seed_positions(len(data.train), len(data.train), seed))
    for other in by_chance:
        if other not in reserved and not cannot_be_learnt([*ids[:-1], other]):
            return Start({*ids[:-1], other}, other)
    return Start(set(ids))


def _first_drawn(data: TextSet, protocol: RunProtocol, seed: int) -> list[int]:
    """Ids in the order in which they are drawn."""
    reserved = drawn(data.train, protocol.control_share, seed).reserved
    rows_N = np.array([row for row, (example, _) in enumerate(data.train) if example.id not in reserved])
    size = protocol.start_size(len(rows_N))
    if protocol.start_by == "random":
        positions = seed_positions(len(rows_N), size, seed)
    else:
        embedded_ND = _embedded(_encoder(protocol.recipe), tuple(example for example, _ in data.train))
        positions = start_positions(protocol.start_by, embedded_ND[rows_N], size, seed)
    return [data.train[i][0].id for i in rows_N[positions]]


def _encoder(recipe: Recipe) -> Recipe:
    """The recipe without what an encoder does not depend on before any fit."""
    return Recipe(recipe.base_model, 0, 0.0, 1, recipe.max_length, 0, recipe.device, recipe.precision)


@functools.lru_cache(maxsize=2)
def _embedded(encoder: Recipe, examples: tuple[Example, ...]) -> Array:
    return classifiers.load_base(encoder).embed(examples)
