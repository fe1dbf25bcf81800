"""The audit that certifies: its bets beside exact arithmetic, its promise over every order, and what it must refuse."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.errors import BadAuditError
from nextlabel.learning import audit
from nextlabel.learning.audit import BETS, Frozen, Part, certified, freeze, log_e, log_odds, spent
from nextlabel.values.arrays import Array, Bools

laws = settings(derandomize=True, deadline=None, max_examples=50)
SURE = math.log((1 - 1e-12) / 1e-12)


def falling(count: int) -> Array:
    """So many confidences, no two of them equal, the highest first."""
    return np.arange(count, 0, -1).astype(np.float64)


def exact_log_e(wrong: Sequence[bool], size: int, risk: Fraction) -> Iterator[float]:
    """ln E after each label, by the formula in whole numbers."""
    products = [Fraction(str(weight)) for weight, _ in BETS]
    allowed, found = math.floor(risk * size), 0
    for drawn, is_wrong in enumerate(wrong):
        bound = Fraction(allowed + 1 - found, size - drawn)
        found += is_wrong
        if found > allowed:
            yield -math.inf
        elif allowed + 1 - found > size - drawn - 1:
            yield math.inf
        else:
            bets = [Fraction(str(bet)) * bound for _, bet in BETS]
            gains = [bet / bound if is_wrong else (1 - bet) / (1 - bound) for bet in bets]
            products = [product * gain for product, gain in zip(products, gains, strict=True)]
            yield log_of(sum(products, Fraction()))


def log_of(number: Fraction) -> float:
    return math.log(number.numerator) - math.log(number.denominator)


@laws
@given(st.integers(1, 120), st.sampled_from(["0.05", "0.1", "0.29"]), st.data())
def test_bets_in_a_finite_pool_are_those_of_exact_arithmetic(size: int, risk: str, data: st.DataObject) -> None:
    wrong = data.draw(st.lists(st.integers(0, 9).map(lambda drawn: drawn == 0), min_size=1, max_size=size))
    found_n = log_e(np.array([wrong]), size, float(risk))[0]
    assert found_n.tolist() == pytest.approx(list(exact_log_e(wrong, size, Fraction(risk))), abs=1e-9)


def test_bets_of_some_hundred_labels_are_those_of_exact_arithmetic() -> None:
    wrong = np.random.default_rng(0).random(300) < 0.04
    exact = list(exact_log_e(wrong.tolist(), 1_000, Fraction(1, 20)))
    assert log_e(wrong[None], 1_000)[0].tolist() == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.3, 1.0])
def test_bets_in_a_pool_without_end_are_those_of_exact_arithmetic_up_to_5000_labels(share: float) -> None:
    wrong = np.random.default_rng(1).random(5_000) < share
    found_n, risk = log_e(wrong[None], None)[0], Fraction(1, 20)
    for labels in (1, 2, 59, 86, 400, 1_733, 5_000):
        errors = int(wrong[:labels].sum())
        exact = Fraction()
        for weight, bet in BETS:
            q = risk * Fraction(str(bet))
            exact += Fraction(str(weight)) * (q / risk) ** errors * ((1 - q) / (1 - risk)) ** (labels - errors)
        assert found_n[labels - 1] == pytest.approx(log_of(exact), abs=1e-8)


def every_order(size: int, wrong: int) -> Bools:
    """All orders in which a pool with so many wrong ones can come, a row each."""
    places = list(combinations(range(size), wrong))
    orders_Sn = np.zeros((len(places), size), dtype=bool)
    for row, place in zip(orders_Sn, places, strict=True):
        row[list(place)] = True
    return orders_Sn


@pytest.mark.parametrize(("size", "risk"), [(8, 0.1), (10, 0.2), (12, 0.3), (14, 0.5)])
def test_over_all_orders_of_a_pool_that_is_too_bad_no_bet_gains_and_few_ever_reach_any_height(
    size: int, risk: float
) -> None:
    just_too_many = audit.allowed(size, risk) + 1
    for wrong in range(just_too_many, size + 1):
        log_e_Sn = log_e(every_order(size, wrong), size, risk)
        means_n = np.exp(log_e_Sn).mean(axis=0)
        assert (means_n <= 1 + 1e-12).all()
        if wrong == just_too_many:  # a fair game until it may be certain what comes next
            assert means_n[: min(wrong - 1, size - wrong)] == pytest.approx(1)
        for level in (0.5, 0.2, 0.1, 0.05, 0.01):
            assert (log_e_Sn.max(axis=1) >= -math.log(level)).mean() <= level


@laws
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_with_all_labels_known_a_pool_is_certified_if_no_more_than_allowed_are_wrong(wrong: list[bool]) -> None:
    size, risk = len(wrong), 0.3
    log_e_n = log_e(np.array([wrong]), size, risk)[0]
    assert log_e_n[-1] == (math.inf if sum(wrong) <= audit.allowed(size, risk) else -math.inf)


@pytest.mark.parametrize(
    ("level", "labels"), [(0.05, 71), (spent(1), 86), (spent(2), 101), (spent(1, 0.1), 71), (0.1, 56)]
)
def test_labels_that_certify_a_large_pool_when_none_is_wrong(level: float, labels: int) -> None:
    assert audit.labels_without_error(None, level) == labels
    assert audit.labels_without_error(1_000_000, level) == labels


@pytest.mark.parametrize("size", [1, 2, 19, 20, 21, 60, 100, 200, 500, 1_000])
def test_labels_that_certify_a_small_pool_are_the_first_that_exact_arithmetic_finds_enough(size: int) -> None:
    needed = audit.labels_without_error(size, spent(1))
    exact = list(exact_log_e([False] * needed, size, Fraction(1, 20)))
    assert [one >= -math.log(spent(1)) for one in exact] == [False] * (needed - 1) + [True]


def test_small_pools_take_fewer_labels_the_smaller_they_are() -> None:
    needed = [audit.labels_without_error(size, spent(1)) for size in (60, 100, 200, 500, 1_000, 2_000)]
    assert needed == [39, 51, 65, 76, 81, 84]


def test_a_machine_that_is_never_wrong_and_nearly_certain_is_certified_whole_after_86_labels() -> None:
    confidences_N = np.full(100_000, SURE)
    frozen = freeze(confidences_N, 1)
    assert frozen == Frozen((Part(SURE, 100_000),), 0.025, 0.05)
    assert certified(frozen, confidences_N[:85], [True] * 85) is None
    assert certified(frozen, confidences_N[:86], [True] * 86) == Part(SURE, 100_000)


def test_thresholds_are_full_doubles_of_the_pool_itself() -> None:
    falling_N = (1 - 1e-12 * np.arange(1, 1_001)).astype(np.float64)
    parts = audit.parts_of(np.random.default_rng(0).permutation(falling_N))
    assert [part.size for part in parts] == [300, 400, 500, 600, 700, 800, 900, 1_000]
    assert [part.threshold for part in parts] == falling_N[np.arange(299, 1_000, 100)].tolist()
    frozen = freeze(falling_N, 1, most_labels=500)
    assert certified(frozen, falling_N[:100], [True] * 100) == frozen.parts[-1]
    assert certified(frozen, falling_N[250:350], [True] * 100) is None  # half of them lie outside the first part


def test_log_odds_tell_apart_what_probabilities_in_single_precision_do_not() -> None:
    logits_NC = np.stack([np.linspace(20, 40, 100), np.zeros(100), np.full(100, -5.0)], axis=1).astype(np.float32)
    exps_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    assert set((exps_NC / exps_NC.sum(axis=1, keepdims=True)).max(axis=1)) == {np.float32(1)}
    assert len(audit.parts_of(log_odds(logits_NC))) == 8


@laws
@given(st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=5))
def test_log_odds_are_those_of_the_most_probable_class(logits: list[list[float]]) -> None:
    for row, found in zip(logits, log_odds(np.array(logits)), strict=True):
        best, *others = sorted(row, reverse=True)
        assert found == pytest.approx(best - math.log(sum(map(math.exp, others))), abs=1e-12)


def test_ties_go_in_together_and_a_part_tells_its_true_size() -> None:
    confidences_N = np.array([3.0] * 55 + [2.0] * 30 + [1.0] * 15)
    assert audit.parts_of(confidences_N) == [Part(3.0, 55), Part(2.0, 85), Part(1.0, 100)]


@pytest.mark.parametrize(("most", "first"), [(50, 10_000), (128, 10_000), (130, 10_000), (200, 7_000), (1_000, 3_000)])
def test_the_first_part_is_the_smallest_that_could_pass_with_room_for_errors(most: int, first: int) -> None:
    frozen = freeze(falling(10_000), 1, most)
    assert frozen.parts[0].size == first
    assert frozen.parts[-1].size == 10_000


def test_each_audit_of_a_project_spends_half_of_what_the_one_before_did() -> None:
    assert [spent(number) for number in (1, 2, 3)] == [0.025, 0.0125, 0.00625]
    assert sum(spent(number) for number in range(1, 60)) <= audit.DELTA


def test_no_part_passes_over_one_that_does_not() -> None:
    falling_N = falling(1_000)
    frozen = freeze(falling_N, 1, most_labels=500)
    assert frozen.parts[0].size == 300
    spoilt = [place >= 20 for place in range(1_000)]  # 2 % of the pool, and 7 % of its most certain part
    assert certified(frozen, falling_N, spoilt) is None
    assert certified(Frozen(frozen.parts[1:], frozen.level, frozen.risk), falling_N, spoilt) == frozen.parts[-1]


def test_errors_where_a_machine_is_unsure_leave_the_part_where_it_is_sure() -> None:
    falling_N = falling(1_000)
    right = [place < 600 or place % 2 == 0 for place in range(1_000)]
    frozen = freeze(falling_N, 1, most_labels=500)
    assert certified(frozen, falling_N, right) == Part(401.0, 600)


def test_once_more_are_wrong_than_allowed_a_part_that_had_passed_passes_no_more() -> None:
    confidences_N = np.zeros(200)
    frozen, right = freeze(confidences_N, 1), [True] * 100 + [False] * 11
    assert certified(frozen, confidences_N[:110], right[:110]) == Part(0.0, 200)
    assert certified(frozen, confidences_N[:111], right) is None


@pytest.mark.parametrize("other", [0.06, 0.08, 0.2])
@pytest.mark.parametrize("tied", [True, False])
def test_one_class_for_all_is_not_certified_where_another_class_has_more_than_5_percent(
    other: float, tied: bool
) -> None:
    rng = np.random.default_rng(0)
    is_other_N = np.arange(2_000) < round(2_000 * other)
    confidences_N = np.full(2_000, 3.0) if tied else rng.normal(size=2_000)
    frozen = freeze(confidences_N, 1)
    order_N = rng.permutation(2_000)
    right = (~is_other_N[order_N]).tolist()
    assert [certified(frozen, confidences_N[order_N[:n]], right[:n]) for n in range(0, 2_001, 200)] == [None] * 11


def test_few_skipped_tasks_are_left_out_and_many_count_as_wrong() -> None:
    confidences_N = np.zeros(100_000)
    frozen = freeze(confidences_N, 1)

    def whole(right: list[bool | None]) -> bool:
        return certified(frozen, confidences_N[: len(right)], right) is not None

    assert not whole([None, None] + [True] * 85)
    assert whole([None, None] + [True] * 86)  # 2.3 %
    assert not whole([None, None, None] + [True] * 86)  # 3.4 %
    assert whole([None, None, None] + [True] * 117)  # 2.5 %
    assert whole([True] * 86 + [None] * 3)  # it was certified before them
    assert whole([None] * 10 + [True] * 390)
    assert not whole([None] * 10 + [True] * 389)


@laws
@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([True, True, True, False, None])), max_size=40))
def test_a_row_of_many_is_judged_as_alone_and_each_look_as_if_it_were_the_last(
    labels: list[tuple[int, bool | None]],
) -> None:
    frozen = freeze(falling(4).repeat(20), 1, most_labels=80, risk=0.3)
    confidences_n = np.array([float(confidence) for confidence, _ in labels])
    right = [answer for _, answer in labels]
    alone = [certified(frozen, confidences_n[:look], right[:look]) for look in range(1, len(labels) + 1)]
    assert alone == [frozen.parts[passed - 1] if passed else None for passed in rows_of(frozen, confidences_n, right)]


def rows_of(frozen: Frozen, confidences_n: Array, right: Sequence[bool | None]) -> list[int]:
    """Parts passed after each label, judged beside a row of another project whose labels are all wrong."""
    skipped_n = np.array([answer is None for answer in right], dtype=bool)
    wrong_n = np.array([answer is False for answer in right], dtype=bool)
    two_Sn = np.stack([np.ones_like(wrong_n), wrong_n])
    skipped_Sn = np.stack([np.zeros_like(skipped_n), skipped_n])
    passed_Sn = audit.parts_passed(frozen, np.stack([confidences_n, confidences_n]), two_Sn, skipped_Sn)
    assert not passed_Sn[0].any()
    return [int(passed) for passed in passed_Sn[1]]


@pytest.mark.parametrize(("share", "size", "count"), [(0.29, 100, 29), (0.05, 60, 3), (0.05, 59, 2), (0.1, 30, 3)])
def test_a_share_allows_as_many_as_it_says_in_decimals(share: float, size: int, count: int) -> None:
    assert audit.allowed(size, share) == count


def test_what_cannot_be_audited_is_refused_by_name() -> None:
    with pytest.raises(BadAuditError, match="0 of 0 are no number"):
        freeze(np.array([]), 1)
    with pytest.raises(BadAuditError, match="1 of 3 are no number"):
        freeze(np.array([1.0, np.nan, 2.0]), 1)
    with pytest.raises(BadAuditError, match="has the number 0"):
        freeze(np.ones(3), 0)
    with pytest.raises(BadAuditError, match="A part of 3 tasks was given 4 labels"):
        certified(freeze(np.ones(3), 1), np.ones(4), [True] * 4)
