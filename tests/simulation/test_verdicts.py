"""What differences show: known answers, laws, and the same numbers from other implementations."""

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nextlabel.simulation.curves import SEEDS_FOR_A_CLAIM
from nextlabel.simulation.verdicts import (
    DRAWS,
    LEVEL,
    adjust,
    difference,
    holm,
    most_probable,
    seeds_needed,
    signed_rank,
    student_p,
)

laws = settings(derandomize=True, deadline=None, max_examples=80)
differences = st.lists(st.integers(-60, 60).map(lambda n: n / 1000), min_size=10, max_size=12)
ps = st.lists(st.floats(0, 1), min_size=1, max_size=9)
means = st.lists(st.integers(-50, 50).map(lambda n: n / 1000), min_size=1, max_size=6)

TEN = [0.012, -0.004, 0.03, 0.002, 0.015, -0.02, 0.011, 0.006, 0.001, 0.009]


def test_interval_and_verdicts_are_those_of_a_paired_t_test() -> None:
    found = difference(TEN)
    low, high = stats.ttest_1samp(TEN, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)
    assert found.sd == pytest.approx(statistics.stdev(TEN), rel=1e-12)
    for verdict, bound in ((found.non_inferiority, -0.01), (found.superiority, 0.0)):
        assert verdict.p == pytest.approx(stats.ttest_1samp(TEN, bound, alternative="greater").pvalue, rel=1e-12)
    assert found.non_inferiority.shown
    assert not found.superiority.shown


@laws
@given(differences)
def test_shown_means_that_the_interval_ends_above_the_bound(by_seed: list[float]) -> None:
    found = difference(by_seed)
    assert found.low is not None
    assert found.non_inferiority.shown == (found.low > -0.01) or found.low == pytest.approx(-0.01)
    assert found.superiority.shown == (found.low > 0) or found.low == pytest.approx(0)
    assert found.non_inferiority.shown or not found.superiority.shown


def test_where_nothing_differs_there_is_no_loss_and_no_gain() -> None:
    found = difference([0.0] * 10)
    assert (found.low, found.high) == (0, 0)
    assert (found.non_inferiority.p, found.superiority.p) == (0, 1)
    assert (found.non_inferiority.verdict, found.superiority.verdict) == ("shown", "not shown")


def test_two_points_more_with_hardly_any_spread_are_shown() -> None:
    found = difference([0.02 + d / 100 for d in TEN])
    assert found.superiority.shown
    assert found.non_inferiority.shown
    assert difference([0.25] * 5).superiority.p == 0
    assert difference([-0.25] * 5).non_inferiority.p == 1


def test_fewer_than_five_seeds_show_nothing() -> None:
    for by_seed in ([0.5], [0.5, 0.5], [0.5, 0.4, 0.5, 0.6]):
        found = difference(by_seed)
        assert found.low is None
        assert found.superiority.p is None
        assert found.superiority.verdict == "too few seeds"
        assert found.superiority.needed == "unknown"
    assert difference([0.5]).sd is None


def test_nothing_is_shown_below_the_seeds_that_a_claim_takes() -> None:
    for seeds, said in ((9, "too few seeds"), (10, "shown")):
        found = difference([0.05 + (-1) ** seed * 0.001 for seed in range(seeds)])
        assert (found.superiority.verdict, found.superiority.shown) == (said, said == "shown")
        assert found.superiority.p is not None
        assert found.superiority.p < LEVEL
        assert found.superiority.seeds_needed == SEEDS_FOR_A_CLAIM == 10


def test_half_a_point_takes_some_36_seeds_at_a_spread_of_one_and_a_half() -> None:
    assert seeds_needed(0.005, 0.015) == 38  # by the normal quantile 1.96 it would be 35
    assert seeds_needed(-0.005, 0.015) == 38
    assert seeds_needed(0.005, 0.0) == SEEDS_FOR_A_CLAIM
    assert seeds_needed(0.0, 0.015) is None
    assert seeds_needed(0.0009, 0.015) is None
    assert difference([0.1, -0.1, 0.0, 0.1, -0.1]).superiority.needed == "more than 1,000"


@laws
@given(differences)
def test_the_seeds_needed_are_the_first_that_decide(by_seed: list[float]) -> None:
    found = difference(by_seed)
    needed, above = found.non_inferiority.seeds_needed, abs(found.mean + 0.01)
    assert found.sd is not None

    def half(n: int) -> float:
        return float(stats.t.ppf(0.975, n - 1)) * (found.sd or 0.0) / math.sqrt(n)

    fewest = SEEDS_FOR_A_CLAIM if found.non_inferiority.shown else len(by_seed) + 1
    if needed is None:
        assert half(1000) > above
    else:
        assert half(needed) <= above
        assert needed == fewest or half(needed - 1) > above
        assert needed >= fewest
    if found.non_inferiority.shown and found.sd > 0:
        assert needed is not None
        assert needed <= len(by_seed)


def test_what_only_holm_leaves_undecided_takes_more_seeds_than_there_are() -> None:
    """Alone this corpus shows it, with p = .0143, beside another that does not it does not, and takes more seeds."""
    spread = [0.017 * z for z in (1.4, -1.4, 0.9, -0.9, 0.6, -0.6, 1.2, -1.2, 0.3, -0.3)]
    one, other = difference([0.004 + d for d in spread]), difference([-0.02, 0.02] * 5)
    assert one.non_inferiority.shown
    assert one.non_inferiority.seeds_needed == SEEDS_FOR_A_CLAIM
    found = adjust([one, other])[0]
    assert found.non_inferiority.verdict == "not shown"
    needed = found.non_inferiority.seeds_needed
    assert needed is not None
    assert needed > len(one.by_seed)
    assert found.sd is not None
    for n, enough in ((needed, True), (needed - 1, False)):
        half = float(stats.t.ppf(1 - LEVEL / 2, n - 1)) * found.sd / math.sqrt(n)
        assert (half <= found.mean + 0.01) is enough


def test_a_share_of_resamples_is_no_p_yet() -> None:
    """A mean so far above 0 that a bootstrap's resamples just leave 0 out, but Student's interval does not."""
    share = float(stats.norm.sf(2.0 / math.sqrt(0.9)))  # t = 2.0, with 9 degrees of freedom
    assert share < LEVEL
    assert student_p(share, 10) == pytest.approx(stats.t.sf(2.0, 9))
    assert student_p(share, 10) > LEVEL
    assert student_p(1.0, 10) == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]  # 0.04 counts as much as 0.03
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.01, None]) == [0.02, 1.0]
    assert holm([]) == []


@laws
@given(ps)
def test_holm_raises_keeps_the_order_and_is_the_slow_one(given_ps: list[float]) -> None:
    found = holm(given_ps)
    for p, adjusted in zip(given_ps, found, strict=True):
        # By definition: over all that are no larger, the largest p times the number of those that are no smaller.
        smaller = [q for q in given_ps if q <= p]
        wanted = max(min(1.0, sum(other >= q for other in given_ps) * q) for q in smaller)
        assert adjusted == wanted
        assert p <= adjusted <= 1
    assert [found[i] for i in np.argsort(given_ps, kind="stable")] == sorted(found)


def test_more_corpora_make_a_verdict_harder() -> None:
    one, p = difference(TEN), difference(TEN).non_inferiority.p
    assert p is not None
    assert adjust([one])[0] == one
    many = [found.non_inferiority for found in adjust([one] * 9)]
    assert {verdict.adjusted_p for verdict in many} == {9 * p}
    assert {verdict.shown for verdict in many} == {9 * p < LEVEL}


def test_the_signed_rank_test_is_baycomps() -> None:
    # baycomp 1.0.3, SignedRankTest.probs(zeros, z, rope=0.01, random_state=0), with numpy 2.2.6.
    z = TEN[:8]
    weights_BK = np.random.RandomState(0).dirichlet([0.5, *[1] * 8], 50_000)
    assert most_probable(z, weights_BK) == (0.00128, 0.75392, 0.2448)
    found = signed_rank(z)
    assert (found.worse, found.equivalent, found.better) == pytest.approx((0.00128, 0.75392, 0.2448), abs=0.008)


def test_the_signed_rank_test_of_one_corpus_by_hand() -> None:
    # One difference of 0.03 and the prior's 0: both pairs that hold 0.03 are above 0.02, so better has 1 - w_0^2 and
    # most where w_0 < sqrt(1/2). w_0 is Beta(1/2, 1).
    found = signed_rank([0.03])
    assert found.better == pytest.approx(stats.beta.cdf(math.sqrt(0.5), 0.5, 1), abs=0.006)
    assert found.worse == 0


@laws
@given(means)
def test_the_signed_rank_test_is_the_slow_one_and_turns_with_the_sign(z: list[float]) -> None:
    weights_BK = np.random.default_rng(0).dirichlet([0.5] + [1.0] * len(z), 40)
    votes = [_slow_winner(z, weights) for weights in weights_BK.tolist()]
    assert most_probable(z, weights_BK) == tuple(votes.count(n) / 40 for n in ("worse", "equivalent", "better"))
    turned = most_probable([-value for value in z], weights_BK)
    assert turned[0] == most_probable(z, weights_BK)[2]


def _slow_winner(z: list[float], weights: list[float]) -> str:
    mass = {"equivalent": Fraction(0), "worse": Fraction(0), "better": Fraction(0)}
    values = list(zip([0.0, *z], map(Fraction, weights), strict=True))
    for one, w in values:
        for other, v in values:
            total, edge = one + other, 0.02
            name = "better" if total > edge else "worse" if total < -edge else "equivalent"
            if abs(total) == edge:
                mass["better" if total > 0 else "worse"] += w * v / 2
                mass["equivalent"] += w * v / 2
            else:
                mass[name] += w * v
    return max(mass, key=lambda name: mass[name])


def test_probabilities_repeat_add_up_and_say_what_is_plain() -> None:
    found = signed_rank(TEN[:6])
    assert found == signed_rank(TEN[:6])
    assert found.worse + found.equivalent + found.better == pytest.approx(1)
    assert found.better * DRAWS == pytest.approx(round(found.better * DRAWS), abs=1e-6)
    assert signed_rank([0.0] * 9).equivalent == 1
    assert signed_rank([0.05] * 9).better > 0.999
    assert signed_rank([-0.05] * 9).worse > 0.999
