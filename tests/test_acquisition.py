"""The laws that every query strategy obeys, and the draws that the random one gambles with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.acquisition import STRATEGIES, Array, acquire, draws, entropy_nats, most_informative_first

laws = settings(derandomize=True, deadline=None, max_examples=60)
every_strategy = pytest.mark.parametrize("name", STRATEGIES)
every_judging_strategy = pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "random"])
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
    values_N = STRATEGIES[name](probs_NKC, some_draws(probs_NKC))
    assert values_N.shape == (len(probs_NKC),)
    assert np.all((values_N >= -ROUNDING) & (values_N <= 1 + ROUNDING))
    exact_N = acquire(name, probs_NKC[:, 0], some_draws(probs_NKC))
    assert np.all((exact_N >= 0) & (exact_N <= 1))


@every_strategy
@laws
@given(probs_NKC=predictions(), seed=st.integers(0, 100))
def test_an_example_has_the_same_value_wherever_it_stands(name: str, probs_NKC: Array, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(probs_NKC))
    draws_N = some_draws(probs_NKC)
    values_N = STRATEGIES[name](probs_NKC, draws_N)
    np.testing.assert_allclose(STRATEGIES[name](probs_NKC[order], draws_N[order]), values_N[order], atol=ROUNDING)


@every_strategy
@laws
@given(probs_NKC=predictions(), seed=st.integers(0, 100))
def test_the_order_of_the_classes_does_not_matter(name: str, probs_NKC: Array, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(probs_NKC.shape[2])
    draws_N = some_draws(probs_NKC)
    values_N = STRATEGIES[name](probs_NKC, draws_N)
    np.testing.assert_allclose(STRATEGIES[name](probs_NKC[:, :, order], draws_N), values_N, atol=ROUNDING)


@every_strategy
@laws
@given(probs_NKC=predictions(passes=1))
def test_repeating_a_pass_adds_nothing(name: str, probs_NKC: Array) -> None:
    draws_N = some_draws(probs_NKC)
    once_N, thrice_N = (STRATEGIES[name](np.repeat(probs_NKC, k, axis=1), draws_N) for k in (1, 3))
    np.testing.assert_allclose(thrice_N, once_N, atol=ROUNDING)


@every_judging_strategy
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_uniform_distribution_is_worth_1_and_certainty_0(name: str, classes: int) -> None:
    uniform_and_certain_NC = np.vstack([np.full(classes, 1 / classes), np.eye(classes)])
    values_N = acquire(name, uniform_and_certain_NC, np.full(classes + 1, 0.5))
    np.testing.assert_allclose(values_N, [1] + [0] * classes, atol=ROUNDING)


@every_judging_strategy
@laws
@given(probs_NKC=predictions(classes=2))
def test_with_two_classes_all_rank_alike(name: str, probs_NKC: Array) -> None:
    lead_N = np.abs(np.diff(probs_NKC.mean(axis=1), axis=1)[:, 0])
    values_N = STRATEGIES[name](probs_NKC, some_draws(probs_NKC))
    clearly_closer_NN = lead_N[:, None] < lead_N[None, :] - 1e-6
    assert np.all((values_N[:, None] >= values_N[None, :] - ROUNDING)[clearly_closer_NN])


@pytest.mark.parametrize(
    ("name", "value"), [("entropy", 0.7298466991620975), ("margin", 0.5), ("least_confidence", 0.45), ("random", 0.25)]
)
def test_the_formulas_give_the_values_computed_by_hand(name: str, value: float) -> None:
    assert acquire(name, np.array([[0.7, 0.2, 0.1]]), np.array([0.25])) == pytest.approx([value])


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
    assert acquire("random", np.empty((0, 2)), draws(np.array([], dtype=np.int64), seed=0)).shape == (0,)


def test_the_most_informative_comes_first_and_equals_keep_their_order() -> None:
    assert most_informative_first(np.array([0.5, 0.9, 0.5, 1.0, 0.9, 0.0])).tolist() == [3, 1, 4, 0, 2, 5]
    many_N = np.tile([0.5, 0.9], 500)
    assert most_informative_first(many_N).tolist() == [*range(1, 1000, 2), *range(0, 1000, 2)]
