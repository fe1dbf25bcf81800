"""The replayed oracle: who starts with what, what is chosen, where an arm ends, how it is taken up again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextlabel.errors import BadRunError
from nextlabel.learning import heads
from nextlabel.learning.control import Control, control_set, places
from nextlabel.learning.diversity import typical
from nextlabel.learning.rounds import round_seed, run_round, select
from nextlabel.learning.start_order import start_order
from nextlabel.learning.start_set import START_BY
from nextlabel.learning.strategies import STRATEGIES
from nextlabel.model import classifier as classifiers
from nextlabel.model import training
from nextlabel.model.classifier import Recipe
from nextlabel.problems.intervals import clopper_pearson
from nextlabel.problems.metrics import evaluate, macro_f1
from nextlabel.settings import Settings
from nextlabel.simulation import baselines, replay
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.simulation.records import BATCHED, LIVE, Record, read_rounds, write_rounds
from nextlabel.simulation.replay import (
    TUTORIAL,
    Arm,
    Player,
    RunProtocol,
    arms,
    as_served,
    check,
    rounds_in,
    start_of,
    start_set,
)
from nextlabel.values.examples import Example, key_of

START, BATCH = 16, 12


@pytest.fixture(scope="module")
def data() -> TextSet:
    """40 of our own pairs to learn from, 12 dev, 8 test."""
    pairs = own_pairs()
    return of_pairs(replace(pairs, train=pairs.train[:40], holdout=pairs.holdout[:12], test=pairs.holdout[12:20]))


@pytest.fixture(scope="module")
def protocol(tiny: Path) -> RunProtocol:
    """A few quick steps; the rate is high enough for the rounds to differ."""
    return RunProtocol(Recipe(str(tiny), 3, 1e-3, 8, max_length=48, seed=0, device="cpu"), start=START, batch=BATCH)


def played(data: TextSet, protocol: RunProtocol, arm: Arm, rounds: int | None = None) -> list[Record]:
    return replayed(data, protocol, arm, [], rounds)


def replayed(
    data: TextSet, protocol: RunProtocol, arm: Arm, done: Sequence[Record], rounds: int | None = None
) -> list[Record]:
    return [played.record for played in Player(data, protocol).play(arm, done, rounds)]


def alike(records: Sequence[Record]) -> list[Record]:
    """Without what two runs cannot share."""
    return [replace(record, seconds={}) for record in records]


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_labels_every_example_once_and_takes_the_short_last_batch(
    data: TextSet, protocol: RunProtocol, strategy: str
) -> None:
    records = played(data, protocol, Arm(0, strategy))
    assert [record.labels for record in records] == [16, 28, 40]
    assert [len(record.chosen) for record in records] == [12, 12, 0]
    labelled = [*start_set(data, protocol, 0), *(i for record in records for i in record.chosen)]
    assert sorted(labelled) == [example.id for example, _ in data.train]
    assert all(record.dev["examples"] == 12 and record.test and record.test["examples"] == 8 for record in records)
    assert set(records[0].seconds) == {"prepare", "fit", "evaluate", "score", "select"}


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("strategy", ["random", "entropy", "bald", "diverse_margin", "power_entropy"])
def test_an_arm_taken_up_anywhere_ends_as_if_it_had_never_stopped(
    data: TextSet, protocol: RunProtocol, strategy: str
) -> None:
    whole = played(data, protocol, Arm(3, strategy))
    for stopped_after in range(len(whole) + 1):
        rest = replayed(data, protocol, Arm(3, strategy), whole[:stopped_after])
        assert alike(rest) == alike(whole[stopped_after:])


def test_an_arm_that_was_cut_by_rounds_goes_on_with_more(data: TextSet, protocol: RunProtocol) -> None:
    whole = played(data, protocol, Arm(0, "entropy"))
    first = played(data, protocol, Arm(0, "entropy"), rounds=1)
    assert alike(first) == alike(whole[:2])
    assert alike(replayed(data, protocol, Arm(0, "entropy"), first, rounds=2)) == alike(whole[2:])


def test_the_arms_of_a_seed_begin_alike_and_seeds_differ(data: TextSet, protocol: RunProtocol) -> None:
    first = {name: played(data, protocol, Arm(0, name), rounds=1)[0] for name in ("random", "entropy", "margin")}
    assert len({str((record.dev, record.test)) for record in first.values()}) == 1
    assert first["random"].chosen != first["entropy"].chosen
    assert first["entropy"].chosen == first["margin"].chosen  # two classes
    other = played(data, protocol, Arm(1, "random"), rounds=1)[0]
    assert start_set(data, protocol, 0) != start_set(data, protocol, 1)
    assert other.chosen != first["random"].chosen


def test_the_chosen_are_the_most_uncertain_by_the_fp32_model(
    data: TextSet, protocol: RunProtocol, minilm: Path
) -> None:
    start = start_set(data, protocol, 0)
    labelled = [item for item in data.train if item[0].id in start]
    pool = [example for example, _ in data.train if example.id not in start]
    # Real weights: a tiny model says the same of all, to within rounding.
    recipe = replace(protocol.recipe, base_model=str(minilm), learning_rate=1e-4, seed=5, steps=12)
    outcome = run_round(recipe, data.question, labelled, pool, data.dev, "entropy")
    chosen = select(outcome.classifier, outcome.pool, "entropy", 6, recipe.seed)
    probs_NC = outcome.classifier.predict_proba(pool, exact=True)
    entropies_N = -(probs_NC * np.log(probs_NC)).sum(axis=1)
    assert [example.id for example in chosen] == [pool[i].id for i in np.argsort(-entropies_N, kind="stable")[:6]]
    assert outcome.scores is not None
    predictions_N = outcome.classifier.predict_proba([e for e, _ in data.dev]).argmax(axis=1)
    targets_N = np.array([data.labels.index(label) for _, label in data.dev])
    assert outcome.scores == evaluate(targets_N, predictions_N, 2)


def test_the_baseline_is_one_fit_on_all_the_data_with_its_own_steps(
    data: TextSet, protocol: RunProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[tuple[int, int]] = []
    fit = training.fit

    def noted(recipe: Recipe, labels: Sequence[str], examples: Sequence[Example], *rest: object) -> object:
        fitted.append((recipe.steps, len(examples)))
        return fit(recipe, labels, examples, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "fit", noted)
    records = played(data, replace(protocol, full_steps=7), Arm(0, "full"))
    assert [(record.round, record.labels, record.chosen) for record in records] == [(0, 40, ())]
    assert fitted == [(7, 40)]


def test_an_arm_ends_where_the_score_is_reached(data: TextSet, protocol: RunProtocol) -> None:
    curve = [record.dev["combined"] for record in played(data, protocol, Arm(0, "entropy"))]
    reached = played(data, replace(protocol, stop_at=curve[0]), Arm(0, "entropy"))
    assert [(record.round, record.chosen) for record in reached] == [(0, ())]
    never = played(data, replace(protocol, stop_at=1.0), Arm(0, "entropy"))
    assert len(never) == 3  # to the empty pool


@pytest.mark.parametrize("start_by", START_BY[1:])
def test_a_start_that_is_not_drawn_is_the_same_for_all_arms(
    data: TextSet, protocol: RunProtocol, start_by: str
) -> None:
    chosen = replace(protocol, start_by=start_by)
    assert start_set(data, chosen, 0) == start_set(data, chosen, 0) != start_set(data, protocol, 0)
    assert len(start_set(data, chosen, 0)) == START
    record = played(data, chosen, Arm(0, "random"), rounds=1)[0]
    assert not set(record.chosen) & start_set(data, chosen, 0)


def test_with_label_counts_the_first_one_is_the_start(data: TextSet, protocol: RunProtocol) -> None:
    counted = replace(protocol, start_by="coverage", at=(8, 20))
    assert len(start_set(data, counted, 0)) == 8
    assert start_set(data, counted, 0) < start_set(data, replace(counted, at=(20, 30)), 0)


def test_typicality_starts_as_it_ever_did(data: TextSet, protocol: RunProtocol) -> None:
    examples = [example for example, _ in data.train]
    points_ND = classifiers.load_base(protocol.recipe).embed(examples)
    expected = {examples[i].id for i in typical(points_ND, START, np.random.default_rng(3))}
    assert start_set(data, replace(protocol, start_by="typicality"), 3) == expected


def test_the_tutorial_is_played_to_the_letter() -> None:
    pair = of_pairs(own_pairs()).train[0]
    mrpc = TextSet("as many examples as MRPC", ("a", "b"), (pair,) * 3668, (pair,))
    recipe = TUTORIAL.recipe
    assert (recipe.base_model, recipe.max_length, recipe.batch_size) == ("google-bert/bert-base-cased", 128, 32)
    assert (recipe.learning_rate, recipe.warmup, recipe.steps) == (2e-5, 0.0, int(3668 / 32 * 3))
    assert (TUTORIAL.full_steps, TUTORIAL.stop_at, TUTORIAL.batch, TUTORIAL.start_by) == (343, 0.8568, 64, "random")
    # 1100 labels at the start, 40 rounds of 64, and one of the 8 that are left.
    assert rounds_in(mrpc, TUTORIAL, Arm(123, "entropy"), None) == 1 + 40 + 1
    assert 1100 + 40 * 64 + 8 == 3668


def test_the_tutorial_fits_with_one_seed_in_every_round(data: TextSet, protocol: RunProtocol) -> None:
    free, fixed = replace(protocol, full_steps=3), replace(protocol, full_steps=3, training_seed=12)
    assert played(data, fixed, Arm(0, "full"))[0].dev == played(data, fixed, Arm(9, "full"))[0].dev
    assert played(data, free, Arm(0, "full"))[0].dev != played(data, free, Arm(9, "full"))[0].dev


def test_arms_come_seed_by_seed_with_the_baseline_first_and_none_twice() -> None:
    assert arms(["random", "entropy", "random"], [4, 2, 4]) == [
        *(Arm(4, "full"), Arm(4, "random"), Arm(4, "entropy")),
        *(Arm(2, "full"), Arm(2, "random"), Arm(2, "entropy")),
    ]


@pytest.mark.parametrize(("start", "size"), [(40, 40), (1, 1), (0.01, 0), (4000, 40)])
def test_a_start_that_leaves_nothing_to_play_is_refused(
    data: TextSet, protocol: RunProtocol, start: float, size: int
) -> None:
    with pytest.raises(BadRunError, match=rf"--start {start:g} is {size} of the 40 training examples"):
        check(data, replace(protocol, start=start), [0])


def test_a_start_with_one_class_is_refused_before_the_first_fit(data: TextSet, protocol: RunProtocol) -> None:
    one_class = [(example, "different") for example, _ in data.train[:39]]
    lopsided = replace(data, train=(*one_class, (data.train[39][0], "paraphrase")))
    seeds = [seed for seed in range(20) if data.train[39][0].id not in start_set(lopsided, protocol, seed)]
    with pytest.raises(BadRunError, match=rf"Seed {seeds[0]} starts .*'different'.*'paraphrase'.* larger --start"):
        check(lopsided, protocol, range(20))
    check(lopsided, protocol, [seed for seed in range(20) if seed not in seeds])  # raises nothing


RARE = 37  # the row of the only example of its class


@pytest.fixture
def unbalanced(data: TextSet) -> TextSet:
    """One example of the second class."""
    rows = enumerate(data.train)
    return replace(data, train=tuple((e, data.labels[row == RARE]) for row, (e, _) in rows))


@pytest.mark.parametrize("start_by", ["random", "coverage"])
def test_at_a_label_count_the_last_drawn_is_exchanged_where_all_drawn_have_one_class(
    unbalanced: TextSet, data: TextSet, protocol: RunProtocol, start_by: str
) -> None:
    counted, rare = replace(protocol, at=(8, 20), start_by=start_by), unbalanced.train[RARE][0].id
    check(unbalanced, counted, range(8))  # raises nothing
    for seed in range(8):
        drawn = start_set(data, replace(counted, at=None, start=8), seed)
        start = start_of(unbalanced, counted, seed)
        assert start == start_of(unbalanced, counted, seed)
        assert rare in start.ids
        assert len(start.ids) == 8
        assert start.exchanged == (None if rare in drawn else rare)
        assert len(start.ids - drawn) == (rare not in drawn)
    with pytest.raises(BadRunError, match=r"Seed \d starts .* Give a larger --start than 8, or leave out this seed"):
        check(unbalanced, replace(counted, at=None, start=8), range(8))


def test_the_first_record_of_an_arm_tells_what_was_exchanged(
    unbalanced: TextSet, protocol: RunProtocol, tmp_path: Path
) -> None:
    counted, rare = replace(protocol, at=(8, 20)), unbalanced.train[RARE][0].id
    seed = next(seed for seed in range(8) if start_of(unbalanced, counted, seed).exchanged)
    records = played(unbalanced, counted, Arm(seed, "tfidf:random"))
    assert [record.exchanged for record in records] == [rare, None]
    write_rounds(tmp_path / "rounds.jsonl", records)
    assert read_rounds(tmp_path / "rounds.jsonl") == records


def test_examples_of_one_class_alone_are_refused_at_label_counts_too(data: TextSet, protocol: RunProtocol) -> None:
    one = replace(data, train=tuple((example, data.labels[0]) for example, _ in data.train))
    with pytest.raises(
        BadRunError, match=r"Seed 0 starts with examples of one class .*Give training examples of another"
    ):
        check(one, replace(protocol, at=(8, 20)), [0])


COUNTS = (8, 12, 20)


@pytest.fixture(scope="module")
def counted(protocol: RunProtocol) -> RunProtocol:
    """Versions at three label counts alone."""
    return replace(protocol, at=COUNTS)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    "strategy",
    [
        "random",
        "entropy",
        "entropy:64",
        "live",
        "diverse_margin",
        "head:margin",
        "tfidf:random",
        "tfidf:margin",
        "frozen:entropy",
    ],
)
def test_versions_are_fitted_at_the_label_counts_and_nowhere_else(
    data: TextSet, counted: RunProtocol, strategy: str
) -> None:
    records = played(data, counted, Arm(0, strategy))
    assert [record.labels for record in records] == list(COUNTS)
    assert [len(record.chosen) for record in records] == [4, 8, 0]
    labels = {example.id: label for example, label in data.train}
    for record in records:
        assert record.mix == {
            label: [labels[id] for id in record.chosen].count(label)
            for label in dict.fromkeys(labels[id] for id in record.chosen)
        }
        assert record.near_copies is not None
        assert 0 <= record.near_copies <= len(record.chosen)
        assert 0 < record.dev["macro_f1"] <= 1
        assert record.machine
    assert rounds_in(data, counted, Arm(0, strategy), None) == 3
    for stopped_after in (1, 2):
        assert alike(replayed(data, counted, Arm(0, strategy), records[:stopped_after])) == alike(
            records[stopped_after:]
        )


@pytest.mark.usefixtures("patience")
def test_arms_of_a_seed_share_their_first_fit_and_are_what_they_are_alone(
    data: TextSet, counted: RunProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = {
        name: played(data, counted, Arm(0, name))
        for name in ("random", "margin", "head:margin", "head:entropy", "bald", "tfidf:margin")
    }
    fits: list[int] = []
    fit = training.fit

    def noted(recipe: Recipe, labels: Sequence[str], examples: Sequence[Example], *rest: object) -> object:
        fits.append(len(examples))
        return fit(recipe, labels, examples, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "fit", noted)
    player = Player(data, counted)
    together = {name: [r.record for r in player.play(Arm(0, name), [])] for name in alone}
    assert {name: alike(made) for name, made in together.items()} == {name: alike(made) for name, made in alone.items()}
    assert fits == [8, *[12, 20] * 5]
    assert "shared" not in together["random"][0].seconds
    first = together["margin"][0].seconds
    assert first["shared"] == pytest.approx(first["prepare"] + first["fit"] + first["evaluate"], abs=0.01)
    other = [r.record for r in player.play(Arm(1, "random"), [])]
    assert alike(other) == alike(played(data, counted, Arm(1, "random")))


@pytest.mark.usefixtures("patience")
def test_what_a_version_said_makes_the_scores_of_its_record(data: TextSet, counted: RunProtocol) -> None:
    for arm in (Arm(0, "entropy"), Arm(0, "frozen:margin")):
        for round_played in Player(data, counted).play(arm, []):
            for part, examples in (("dev", data.dev), ("test", data.test)):
                predictions_N = round_played.said[part].argmax(axis=1)
                targets_N = np.array([data.labels.index(label) for _, label in examples])
                found = getattr(round_played.record, part)
                assert found["accuracy"] == np.mean(predictions_N == targets_N)
                assert found["macro_f1"] == macro_f1(targets_N, predictions_N)


def test_the_live_arm_is_served_as_a_new_project_is(data: TextSet, counted: RunProtocol) -> None:
    """The start order of what is not reserved, then the version, then its heads; control tasks in between."""
    wide, settled = replace(counted, at=(8, 36)), Settings.model_fields
    served = replace(wide, start_by=settled["start_order"].default, control_share=settled["control_share"].default)
    begun, _ = live = played(data, wide, Arm(5, LIVE))
    reserved = control_set("5", (key_of(example) for example, _ in data.train), 0.1)
    free = [example for example, _ in data.train if key_of(example) not in reserved]
    start = start_order("typiclust", classifiers.load_base(wide.recipe).embed(free), 8, 5)
    assert start_set(data, as_served(wide, LIVE, data), 5) == {free[i].id for i in start}
    by_heads = played(data, served, Arm(5, "head:margin"))
    control = [id for id in begun.chosen if id not in {example.id for example in free}]
    assert control == [id for id in by_heads[0].chosen if id in control] != []
    informative, theirs = ([id for id in r.chosen if id not in control] for r in (begun, by_heads[0]))
    assert informative[: heads.EVERY] == theirs[: heads.EVERY]
    assert begun.head is not None
    assert begun.head["every"] == heads.EVERY == 5
    assert live[1].control is not None
    assert live[1].control["labels"] == len(control)
    assert begun.dev == by_heads[0].dev
    assert begun.told is not None
    assert begun.told["forecast"]["labels"] == 8
    assert begun.told["measured"] is None, "there are fewer labels than are compared"
    assert (by_heads[0].told, live[1].told) == (None, None)


def test_the_live_arm_holds_near_copies_back_until_a_version_knows_the_label(
    data: TextSet, counted: RunProtocol
) -> None:
    twins = [(replace(example, id=1000 + example.id), label) for example, label in data.train]
    doubled = replace(data, train=(*data.train, *twins))
    between = replace(counted, at=(8, 24))
    by_arm = {name: played(doubled, between, Arm(0, name))[0] for name in (LIVE, "head:margin")}
    both = {name: len(made.chosen) - len({id % 1000 for id in made.chosen}) for name, made in by_arm.items()}
    assert both[LIVE] == 0 < both["head:margin"]


@pytest.mark.usefixtures("patience")
def test_the_arm_of_release_0_1_0_takes_each_batch_from_the_version_of_the_batch_before(
    data: TextSet, counted: RunProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "BATCH", 8)
    fitted, fit = list[tuple[set[int], Any]](), Player._fit

    def noted(self: Player, recipe: Recipe, labelled: set[int]) -> Any:
        fitted.append((set(labelled), version := fit(self, recipe, labelled)))
        return version

    monkeypatch.setattr(Player, "_fit", noted)
    records = played(data, replace(counted, at=(6, 12, 28)), Arm(0, BATCHED))
    asked = [*sorted(start_set(data, replace(counted, at=(6, 12, 28)), 0)), *(id for r in records for id in r.chosen)]
    assert len(asked) == len(set(asked)) == 28
    assert [record.labels for record in records] == [6, 12, 28]
    assert [len(labelled) for labelled, _ in fitted] == [6, 8, 12, 8, 16, 24, 28]
    assert [labelled for labelled, _ in fitted] == [set(asked[: len(labelled)]) for labelled, _ in fitted]
    texts = {example.id: example for example, _ in data.train}
    for labelled, version in fitted[3:6]:
        known = [*labelled] if len(labelled) > 8 else asked[:12]
        pool = [id for id in texts if id not in known]
        probs_NC = version.model.predict_proba([texts[id] for id in pool])
        entropies_N = -np.sum(probs_NC * np.log(probs_NC), axis=1)
        count = min(len(labelled) + 8, 28) - len(known)
        best = {pool[i] for i in np.argsort(-entropies_N, kind="stable")[:count]}
        assert set(asked[len(known) : len(known) + count]) == best


def test_a_fit_has_the_epochs_that_are_asked_for(data: TextSet, protocol: RunProtocol) -> None:
    long = replace(protocol, epochs=4.0)
    assert [long.steps(labels) for labels in (4, 8, 20)] == [3, 4, 10]  # of 8 examples, and 3 steps at least
    assert replace(long, epochs=0.0).steps(20) == 3


def test_near_copies_are_counted_against_all_that_was_labelled_before(data: TextSet, counted: RunProtocol) -> None:
    train = list(data.train[:24])
    copies = [(replace(example, id=1000 + example.id), label) for example, label in train[:16]]
    doubled = replace(data, train=(*train, *copies))
    records = played(doubled, replace(counted, at=(8, 40)), Arm(0, "random"))
    assert records[0].near_copies is not None
    assert records[0].near_copies >= 16  # all are labelled in the end, and of each twin one is the later


def test_label_counts_beyond_the_data_are_refused(data: TextSet, counted: RunProtocol) -> None:
    with pytest.raises(BadRunError, match="--labels-at ends at 41, and there are 40 training examples"):
        check(data, replace(counted, at=(8, 41)), [0])
    with pytest.raises(BadRunError, match=r"40 training examples\. Give counts up to that, such as 8,16\."):
        check(data, replace(counted, at=(8, 16, 41)), [0])


def test_a_first_label_count_of_one_is_refused_by_its_name(data: TextSet, counted: RunProtocol) -> None:
    with pytest.raises(BadRunError, match=r"--labels-at begins with 1\. Give counts from 2 on"):
        check(data, replace(counted, at=(1, 32)), [0])


def test_label_counts_without_a_test_part_are_refused(data: TextSet, counted: RunProtocol) -> None:
    with pytest.raises(BadRunError, match=r"--labels-at needs a test part, .* Give data with one\."):
        check(replace(data, test=()), counted, [0])


def test_the_baseline_comes_with_the_first_seeds_alone() -> None:
    names = [(arm.seed, arm.strategy) for arm in arms(["random"], [5, 7, 9], full_seeds=2)]
    assert names == [(5, "full"), (5, "random"), (7, "full"), (7, "random"), (9, "random")]
    assert all(arm.strategy == "random" for arm in arms(["random"], [0, 1], full_seeds=0))


def test_heads_choose_between_two_counts_and_the_record_tells_of_them(data: TextSet, counted: RunProtocol) -> None:
    records = played(data, replace(counted, at=(8, 28)), Arm(0, "head:margin"))
    assert records[0].head is not None
    assert {name: records[0].head[name] for name in ("every", "labels")} == {"every": 8, "labels": 28}
    assert 0 < records[0].head["dev_macro_f1"] <= 1
    assert records[1].head is None
    plain = played(data, replace(counted, at=(8, 28)), Arm(0, "margin"))
    assert (records[0].dev, records[0].test) == (plain[0].dev, plain[0].test)
    assert plain[0].head is None


# A control set

SHARE = 0.25


@pytest.fixture(scope="module")
def controlled(protocol: RunProtocol) -> RunProtocol:
    return replace(protocol, control_share=SHARE)


def reserved_by_rule(data: TextSet, seed: int) -> list[int]:
    """Ids in the order of their draws."""
    ids = {key_of(example): example.id for example, _ in data.train}
    return [ids[key] for key in control_set(str(seed), ids, SHARE)]


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("strategy", ["random", LIVE, "head:margin", "diverse_margin", "tfidf:margin"])
def test_a_control_set_is_asked_in_between_judges_each_version_and_is_never_learnt_from(
    data: TextSet, controlled: RunProtocol, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[int]] = []

    def noted(fit: Callable[..., Any], items_of: Callable[..., set[int]]) -> Callable[..., Any]:
        def fitted(*given: Any, **named: Any) -> Any:
            learnt.append(items_of(*given))
            return fit(*given, **named)

        return fitted

    monkeypatch.setattr(replay, "run_round", noted(run_round, lambda _, __, items, *___: {e.id for e, _ in items}))
    monkeypatch.setattr(baselines, "fit", noted(baselines.fit, lambda _, __, labelled, *___: set(labelled)))
    reserved = reserved_by_rule(data, seed=5)
    records = played(data, controlled, Arm(5, strategy))
    start = start_set(data, as_served(controlled, strategy, data), 5)
    asked = [number for record in records for number in record.chosen]
    control = [number for number in asked if number in reserved]
    assert control == reserved[: len(control)], "in the order of their draws"
    assert not start & set(reserved)
    assert all(not known & set(reserved) for known in learnt)
    turns = [place for place, number in enumerate(asked) if number in reserved]
    rule, keys = Control("5", SHARE), {example.id: key_of(example) for example, _ in data.train}
    due = places(SHARE, len(start), [rule.drawn_key(keys[number]) for number in reserved], others=0)
    assert due[0] == 0, "the first is due at once, as so many were labelled before"
    assert turns == due[: len(turns)]
    assert len(asked) == len(set(asked))
    for record in records:
        before = len(start) + sum(len(other.chosen) for other in records[: record.round])
        assert record.labels == before
        judges = sum(number in reserved for other in records[: record.round] for number in other.chosen)
        assert (record.control or {"labels": 0})["labels"] == judges


@pytest.mark.usefixtures("patience")
def test_what_control_labels_say_is_what_the_version_answers(data: TextSet, controlled: RunProtocol) -> None:
    first, second = played(data, controlled, Arm(5, "margin"), rounds=1)
    labels, reserved = {example.id: label for example, label in data.train}, set(reserved_by_rule(data, 5))
    known = (start_set(data, controlled, 5) | set(first.chosen)) - reserved
    items = [item for item in data.train if item[0].id in known]
    recipe = replace(controlled.recipe, seed=round_seed(5, 1))
    model = run_round(recipe, data.question, items, [], data.dev, "random").classifier
    judging = [example for example, _ in data.train if example.id in reserved & set(first.chosen)]
    said = data.question.predicted(model.predict_proba(judging))
    right = sum(data.labels[k] == labels[example.id] for k, example in zip(said, judging, strict=True))
    assert second.control is not None
    assert (second.control["labels"], second.control["accuracy"]) == (len(judging), right / len(judging))
    assert second.control["accuracy_limits"] == list(clopper_pearson(right, len(judging)))
    assert second.control["macro_f1"] is None, "of so few nothing can be told"
    assert first.control is None


@pytest.mark.usefixtures("patience")
def test_an_arm_with_a_control_set_goes_on_from_its_records_on_disk(
    data: TextSet, controlled: RunProtocol, tmp_path: Path
) -> None:
    whole = played(data, controlled, Arm(3, "margin"))
    write_rounds(tmp_path / "rounds.jsonl", whole)
    kept = read_rounds(tmp_path / "rounds.jsonl")
    assert kept == whole
    assert alike(replayed(data, controlled, Arm(3, "margin"), kept[:1])) == alike(whole[1:])
