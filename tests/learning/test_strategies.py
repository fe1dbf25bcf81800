"""The laws that every query strategy obeys, the draws that some gamble with, and what small-text says of the same."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_text import BALD, BreakingTies, LeastConfidence, PredictionEntropy
from small_text.query_strategies.bayesian import _bald as bald_of_small_text

from nextlabel.learning.strategies import (
    SERVABLE,
    STRATEGIES,
    VALUED,
    Candidates,
    acquire,
    bald,
    draws,
    entropy,
    entropy_nats,
    most_informative_first,
    power,
    rank_alike,
)
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ANY_OF, Cut, Layout

laws = settings(derandomize=True, deadline=None, max_examples=60)
every_strategy = pytest.mark.parametrize("name", STRATEGIES)
every_judging_strategy = pytest.mark.parametrize("name", ["entropy", "margin", "least_confidence"])
every_power_strategy = pytest.mark.parametrize("name", [name for name in STRATEGIES if name.startswith("power_")])
every_batch_strategy = pytest.mark.parametrize("name", [name for name, s in STRATEGIES.items() if s.batch is not None])
NEED_PASSES = [name for name, strategy in STRATEGIES.items() if strategy.passes]
ROUNDING = 1e-9


@st.composite
def predictions(draw: st.DrawFn, passes: int | None = None, classes: int | None = None) -> Array:
    """Probabilities (N, K, C), zeros and near-certainties among them."""
    shape = (draw(st.integers(1, 6)), passes or draw(st.integers(1, 3)), classes or draw(st.integers(2, 5)))
    weights = draw(arrays(np.int64, shape, elements=st.just(0) | st.integers(0, 10**9)))
    weights[..., 0] += weights.sum(axis=-1) == 0
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def some_draws(probs_NKC: Array) -> Array:
    return draws(np.arange(len(probs_NKC)), seed=0)


@every_strategy
@laws
@given(probs_NKC=predictions())
def test_values_are_finite_and_between_0_and_1(name: str, probs_NKC: Array) -> None:
    values_N = STRATEGIES[name].value(probs_NKC, some_draws(probs_NKC))
    assert values_N.shape == (len(probs_NKC),)
    assert np.all((values_N >= -ROUNDING) & (values_N <= 1 + ROUNDING))
    exact_N = acquire(name, probs_NKC[:, :1], some_draws(probs_NKC))
    assert np.all((exact_N >= 0) & (exact_N <= 1))


@every_strategy
@laws
@given(probs_NKC=predictions(), seed=st.integers(0, 100))
def test_an_example_has_the_same_value_wherever_it_stands(name: str, probs_NKC: Array, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(probs_NKC))
    draws_N = some_draws(probs_NKC)
    values_N = STRATEGIES[name].value(probs_NKC, draws_N)
    np.testing.assert_allclose(STRATEGIES[name].value(probs_NKC[order], draws_N[order]), values_N[order], atol=ROUNDING)


@every_strategy
@laws
@given(probs_NKC=predictions(), seed=st.integers(0, 100))
def test_the_order_of_the_classes_does_not_matter(name: str, probs_NKC: Array, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(probs_NKC.shape[2])
    draws_N = some_draws(probs_NKC)
    values_N = STRATEGIES[name].value(probs_NKC, draws_N)
    np.testing.assert_allclose(STRATEGIES[name].value(probs_NKC[:, :, order], draws_N), values_N, atol=ROUNDING)


@every_strategy
@laws
@given(probs_NKC=predictions(passes=1))
def test_repeating_a_pass_adds_nothing(name: str, probs_NKC: Array) -> None:
    draws_N = some_draws(probs_NKC)
    once_N, thrice_N = (STRATEGIES[name].value(np.repeat(probs_NKC, k, axis=1), draws_N) for k in (1, 3))
    np.testing.assert_allclose(thrice_N, once_N, atol=ROUNDING)


@every_strategy
@laws
@given(probs_NKC=predictions())
def test_a_strategy_that_needs_no_predictions_looks_at_none(name: str, probs_NKC: Array) -> None:
    draws_N, certain_NKC = some_draws(probs_NKC), np.zeros_like(probs_NKC)
    certain_NKC[..., 0] = 1
    same = np.array_equal(acquire(name, probs_NKC, draws_N), acquire(name, certain_NKC, draws_N))
    assert same or STRATEGIES[name].predictions


@every_batch_strategy
@laws
@given(size=st.integers(1, 30), share=st.floats(0, 1), seed=st.integers(0, 100))
def test_a_batch_has_as_many_examples_as_asked_for_each_once(name: str, size: int, share: float, seed: int) -> None:
    strategy, count = STRATEGIES[name], int(share * size)
    given_ND = np.random.default_rng(seed).normal(size=(size + 3, 4))
    nothing = np.empty((0, 0))
    candidates = Candidates(
        np.sort(np.random.default_rng(seed).random(size))[::-1],
        given_ND[3:] if strategy.embeddings else nothing,
        given_ND[:3] if strategy.labelled else nothing,
    )
    assert strategy.batch is not None
    once, again = (strategy.batch(candidates, count, np.random.default_rng(seed)).tolist() for _ in range(2))
    assert once == again
    assert len(set(once)) == len(once) == count
    assert set(once) <= set(range(size))


@every_judging_strategy
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_uniform_distribution_is_worth_1_and_certainty_0(name: str, classes: int) -> None:
    uniform_and_certain_NC = np.vstack([np.full(classes, 1 / classes), np.eye(classes)])
    values_N = acquire(name, uniform_and_certain_NC[:, None], np.full(classes + 1, 0.5))
    np.testing.assert_allclose(values_N, [1] + [0] * classes, atol=ROUNDING)


@every_judging_strategy
@laws
@given(probs_NKC=predictions(classes=2))
def test_with_two_classes_all_rank_alike(name: str, probs_NKC: Array) -> None:
    lead_N = np.abs(np.diff(probs_NKC.mean(axis=1), axis=1)[:, 0])
    values_N = STRATEGIES[name].value(probs_NKC, some_draws(probs_NKC))
    clearly_closer_NN = lead_N[:, None] < lead_N[None, :] - 1e-6
    assert np.all((values_N[:, None] >= values_N[None, :] - ROUNDING)[clearly_closer_NN])


@pytest.mark.parametrize(
    ("name", "value"), [("entropy", 0.7298466991620975), ("margin", 0.5), ("least_confidence", 0.45), ("random", 0.25)]
)
def test_the_formulas_give_the_values_computed_by_hand(name: str, value: float) -> None:
    assert acquire(name, np.array([[[0.7, 0.2, 0.1]]]), np.array([0.25])) == pytest.approx([value])


@laws
@given(probs_NKC=predictions(), seed=st.integers(0, 100))
def test_the_order_of_the_passes_does_not_matter(probs_NKC: Array, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(probs_NKC.shape[1])
    draws_N = some_draws(probs_NKC)
    for strategy in STRATEGIES.values():
        values_N = strategy.value(probs_NKC, draws_N)
        np.testing.assert_allclose(strategy.value(probs_NKC[:, order], draws_N), values_N, atol=ROUNDING)


@laws
@given(probs_NKC=predictions(passes=1), passes=st.integers(1, 5))
def test_passes_that_agree_tell_nothing_about_the_weights(probs_NKC: Array, passes: int) -> None:
    agreeing_NKC = np.repeat(probs_NKC, passes, axis=1)
    for name in NEED_PASSES:
        values_N = STRATEGIES[name].value(agreeing_NKC, some_draws(probs_NKC))
        np.testing.assert_allclose(values_N, 0, atol=ROUNDING)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("rounds", [1, 4])
def test_sure_passes_spread_evenly_over_the_classes_are_worth_1_to_bald(classes: int, rounds: int) -> None:
    one_hot_1KC = np.tile(np.eye(classes), (rounds, 1))[None]
    np.testing.assert_allclose(bald(one_hot_1KC, np.array([0.5])), [1], atol=ROUNDING)


@laws
@given(probs_NKC=predictions())
def test_the_passes_cannot_tell_more_than_the_mean_is_unsure_of(probs_NKC: Array) -> None:
    draws_N = some_draws(probs_NKC)
    assert np.all(bald(probs_NKC, draws_N) <= entropy(probs_NKC, draws_N) + ROUNDING)


def test_rounding_never_makes_information_negative() -> None:
    agreeing_NKC = np.repeat(np.random.default_rng(0).dirichlet(np.ones(5), size=(1000, 1)), 7, axis=1)
    assert bald(agreeing_NKC, np.full(1000, 0.5)).min() >= 0


def test_bald_is_the_divergence_of_the_passes_from_their_mean() -> None:
    probs_KC = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    divergences_K = (probs_KC * np.log2(probs_KC / probs_KC.mean(axis=0))).sum(axis=1)
    np.testing.assert_allclose(bald(probs_KC[None], np.array([0.5])), [divergences_K.mean()])


def fixed(values_N: Array) -> Array:
    """Predictions that `value_of` values at `values_N`."""
    return np.stack([values_N, 1 - values_N], axis=1)[:, None]


def value_of(probs_NKC: Array, draws_N: Array) -> Array:
    return np.asarray(probs_NKC[:, 0, 0])


@laws
@given(
    values_N=arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1)),
    draw=st.floats(0, 1) | st.just(0.0) | st.just(1 - 2**-53),
)
def test_for_the_same_draw_more_value_is_never_worth_less(values_N: Array, draw: float) -> None:
    sampled_N = power(value_of)(fixed(np.sort(values_N)), np.full(len(values_N), draw))
    assert np.all(np.diff(sampled_N) >= 0)
    assert np.all((sampled_N >= 0) & (sampled_N <= 1))
    assert np.all(sampled_N[np.sort(values_N) == 0] == 0)


def test_the_outermost_draws_are_finite_and_a_worthless_example_stays_worthless() -> None:
    values_N = np.array([0.5, 0.5, 0.5, 0, 0, 0, 1e-300])
    sampled_N = power(value_of)(fixed(values_N), np.array([0, 1 - 2**-53, 1, 0, 1 - 2**-53, 1, 0.5]))
    assert 0 < sampled_N[0] < 0.001
    assert sampled_N[1] == pytest.approx(1)
    assert sampled_N[2:6].tolist() == [1, 0, 0, 0]
    assert 0 < sampled_N[6] < 1e-299


@every_power_strategy
def test_a_power_strategy_ranks_as_the_logarithm_of_the_value_plus_gumbel_noise(name: str) -> None:
    rng = np.random.default_rng(0)
    probs_NKC = rng.dirichlet(np.ones(4), size=(500, 3))
    draws_N = draws(np.arange(500), seed=3)
    log_values_N = np.log(STRATEGIES[name.removeprefix("power_")].value(probs_NKC, draws_N))
    gumbel_N = -np.log(-np.log(draws_N))
    expected = most_informative_first(log_values_N + gumbel_N)
    assert most_informative_first(STRATEGIES[name].value(probs_NKC, draws_N)).tolist() == expected.tolist()


def test_over_seeds_a_batch_is_sampled_without_replacement_in_proportion_to_value() -> None:
    values_N, seeds = np.array([0.6, 0.25, 0.1, 0.05, 0.0]), 40_000
    draws_SN = np.stack([draws(np.arange(5), seed) for seed in range(seeds)])
    sampled_SN = power(value_of)(fixed(np.tile(values_N, seeds)), draws_SN.ravel()).reshape(seeds, 5)
    firsts_S2 = np.argsort(-sampled_SN, axis=1)[:, :2]
    for first, second in permutations(range(5), 2):
        expected = values_N[first] * values_N[second] / (1 - values_N[first])
        seen = np.mean((firsts_S2 == [first, second]).all(axis=1))
        assert abs(seen - expected) <= 4 * np.sqrt(expected * (1 - expected) / seeds), (first, second)


def test_a_live_queue_is_ordered_by_what_one_prediction_says() -> None:
    assert SERVABLE == (
        "entropy",
        "margin",
        "least_confidence",
        "random",
        "power_entropy",
        "power_margin",
        "power_least_confidence",
    )
    assert NEED_PASSES == ["bald", "power_bald", "diverse_bald", "diverse_power_bald"]


def test_with_two_classes_strategies_that_rank_alike_are_grouped() -> None:
    assert rank_alike(["random", "margin", "bald", "entropy"], 2) == [["random"], ["margin", "entropy"], ["bald"]]
    assert rank_alike(["random", "margin", "entropy"], 3) == [["random"], ["margin"], ["entropy"]]


@pytest.mark.parametrize("group", [group for group in rank_alike(STRATEGIES, 2) if len(group) > 1], ids="-".join)
def test_what_is_grouped_does_rank_alike(group: list[str]) -> None:
    rng = np.random.default_rng(0)
    probs_NKC = rng.dirichlet([1, 1], size=(1000, 3))
    draws_N = draws(np.arange(1000), seed=0)
    orders = {tuple(most_informative_first(STRATEGIES[name].value(probs_NKC, draws_N))) for name in group}
    assert len(orders) == 1


def test_what_is_not_grouped_ranks_differently() -> None:
    rng = np.random.default_rng(0)
    draws_N = draws(np.arange(1000), seed=0)
    for classes in (2, 3):
        probs_NKC = rng.dirichlet(np.ones(classes), size=(1000, 3))
        leaders = [group[0] for group in rank_alike(VALUED, classes)]
        orders = {tuple(most_informative_first(STRATEGIES[name].value(probs_NKC, draws_N))) for name in leaders}
        assert len(orders) == len(leaders)


class Passes:
    """What small-text asks of a classifier: probabilities, one pass or several. The data set is ignored."""

    def __init__(self, probs_NKC: Array) -> None:
        self._probs_NKC = probs_NKC

    def predict_proba(self, dataset: object, dropout_sampling: int = 1) -> Array:
        return self._probs_NKC if dropout_sampling > 1 else self._probs_NKC.mean(axis=1)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize(
    ("name", "theirs", "turned"),
    [
        ("entropy", PredictionEntropy, lambda nats_N, classes: nats_N / np.log(classes)),
        ("margin", BreakingTies, lambda lead_N, classes: 1 - lead_N),
        ("least_confidence", LeastConfidence, lambda best_N, classes: (1 - best_N) / (1 - 1 / classes)),
    ],
)
def test_small_text_gives_the_same_values(name: str, theirs: type, turned: Any, classes: int) -> None:
    probs_NKC = np.random.default_rng(classes).dirichlet(np.ones(classes), size=(200, 3))
    strategy = theirs()
    strategy.score(Passes(probs_NKC), None, np.arange(200), None, None)
    ours_N = STRATEGIES[name].value(probs_NKC, some_draws(probs_NKC))
    np.testing.assert_allclose(ours_N, turned(strategy.scores_, classes), atol=ROUNDING)


@pytest.mark.parametrize(
    ("name", "theirs", "turned"),
    [
        ("entropy", PredictionEntropy, lambda nats_N: nats_N / np.log(2)),
        ("margin", BreakingTies, lambda lead_N: 1 - lead_N),
        ("least_confidence", LeastConfidence, lambda best_N: 2 * (1 - best_N)),
    ],
)
def test_of_labels_that_may_all_be_given_the_value_is_small_texts_highest(name: str, theirs: type, turned: Any) -> None:
    probs_NL = np.random.default_rng(0).random((200, 5))
    of_labels = []
    for p_N in probs_NL.T:
        strategy = theirs()
        strategy.score(Passes(np.stack([p_N, 1 - p_N], axis=1)[:, None, :]), None, np.arange(200), None, None)
        of_labels.append(turned(strategy.scores_))
    layout = Layout((Cut("tags", ANY_OF, tuple("abcde")),))
    ours_N = acquire(name, probs_NL[:, None, :], np.zeros(200), layout)
    np.testing.assert_allclose(ours_N, np.max(of_labels, axis=0), atol=ROUNDING)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_small_text_gives_the_same_bald_values_and_takes_the_same_batch(classes: int) -> None:
    probs_NKC = np.random.default_rng(classes).dirichlet(np.ones(classes), size=(200, 5))
    ours_N = bald(probs_NKC, some_draws(probs_NKC))
    theirs_N = bald_of_small_text(probs_NKC) / np.log2(classes)  # theirs adds 1e-8 inside the logarithm
    np.testing.assert_allclose(ours_N, theirs_N, atol=1e-6)
    batch = BALD(dropout_samples=5).query(Passes(probs_NKC), None, np.arange(200), np.array([]), None, n=20)
    assert set(batch) == set(most_informative_first(ours_N)[:20])


def test_entropy_is_in_nats() -> None:
    np.testing.assert_allclose(entropy_nats(np.array([[0.25] * 4, [0, 1, 0, 0]])), [np.log(4), 0])


@pytest.mark.parametrize("seed", [0, 1, 7, 2**32 - 1])
@pytest.mark.parametrize("step", [1, 1000])
def test_draws_look_uniform(seed: int, step: int) -> None:
    draws_N = np.sort(draws(np.arange(10_000) * step, seed))
    assert len(set(draws_N)) == 10_000
    assert draws_N[0] >= 0
    assert draws_N[-1] < 1
    assert draws_N.mean() == pytest.approx(0.5, abs=0.01)
    assert draws_N.std() == pytest.approx(12**-0.5, abs=0.005)
    kolmogorov = np.abs(draws_N - (np.arange(10_000) + 0.5) / 10_000).max()
    assert kolmogorov < 1.63 / 100, "further from uniform than 99 of 100 uniform samples are"


def test_a_draw_depends_on_the_id_and_the_seed_alone() -> None:
    ids_N = np.array([5, 3, 10**12, 0])
    draws_N = draws(ids_N, seed=4)
    one_by_one = [draws(np.array([i]), seed=4)[0] for i in ids_N]
    assert draws_N.tolist() == one_by_one
    assert draws(ids_N[::-1], seed=4).tolist() == one_by_one[::-1]


def test_seeds_give_unrelated_draws() -> None:
    ids_N = np.arange(10_000)
    first_N, second_N, third_N = (draws(ids_N, seed) for seed in (0, 1, 2))
    correlations = np.corrcoef([first_N, second_N, third_N, np.roll(first_N, 1)]) - np.eye(4)
    assert np.abs(correlations).max() < 0.04


def test_no_examples_need_no_draws() -> None:
    assert acquire("random", np.empty((0, 1, 2)), draws(np.array([], dtype=np.int64), seed=0)).shape == (0,)


def test_the_most_informative_comes_first_and_equals_keep_their_order() -> None:
    assert most_informative_first(np.array([0.5, 0.9, 0.5, 1.0, 0.9, 0.0])).tolist() == [3, 1, 4, 0, 2, 5]
    many_N = np.tile([0.5, 0.9], 500)
    assert most_informative_first(many_N).tolist() == [*range(1, 1000, 2), *range(0, 1000, 2)]
