"""The measured answer: figures as a few plain loops compute them, at planned looks alone."""

from itertools import combinations
from statistics import NormalDist, fmean, variance

import numpy as np
import pytest

from nextlabel.learning.fresh_heads import Known, fresh_head
from nextlabel.learning.helping import LOOKS, Answer, Look, answer, at_random, compared, looks
from nextlabel.values.arrays import Array


def drawn(seed: int, tasks: int, noise: float, classes: int = 3, width: int = 8) -> Known:
    """Features of unit length that tell the more about classes the less the noise."""
    rng = np.random.default_rng(seed)
    targets_N = rng.integers(classes, size=tasks)
    points_ND = np.eye(classes, width)[targets_N] + noise * rng.normal(size=(tasks, width))
    return Known(points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True), targets_N)


def plainly(control: Known, own: Known, labels: int) -> tuple[float, float, float]:
    """Gain, error and luck at so many control labels."""

    def right_of(known: Known) -> list[bool]:
        return [bool(right) for right in fresh_head(known).predictions(control.features_ND) == control.targets_N]

    rng, by_own = np.random.default_rng(labels), right_of(own.of(slice(64)))
    shares, spreads, halves = [], [], []
    for _ in range(8):
        order = rng.permutation(labels)
        block_of = {int(i): place // 64 for place, i in enumerate(order)}
        by_heads = [right_of(control.of(order[start : start + 64])) for start in range(0, labels, 64)]
        spreads.append(
            variance(fmean(right[i] for i in range(labels) if block_of[i] != j) for j, right in enumerate(by_heads))
        )
        shares.append([fmean(right[i] for j, right in enumerate(by_heads) if block_of[i] != j) for i in range(labels)])
        for j, k in combinations(range(len(by_heads)), 2):
            apart = [by_heads[j][i] - by_heads[k][i] for i in range(labels) if block_of[i] not in (j, k)]
            halves.append((fmean(apart) ** 2 - variance(apart) / len(apart)) / 2)
    gains = [by_own[i] - fmean(share[i] for share in shares) for i in range(labels)]
    luck = max(0.0, fmean(halves))
    error = max(variance(gains), 1 / labels) / labels + fmean(spreads) / (labels // 64) + luck
    return fmean(gains), error**0.5, luck**0.5


def test_gain_and_error_at_every_planned_look_are_those_of_plain_loops() -> None:
    control, own = drawn(0, 470, 0.5), drawn(1, 70, 0.3)
    looked = looks(control, own)
    assert tuple(look.labels for look in looked) == LOOKS
    for look in looked:
        assert (look.gain, look.error, look.luck) == pytest.approx(plainly(control, own, look.labels), rel=1e-9)
        assert look.helps == (look.gain / look.error >= NormalDist().inv_cdf(0.99))
    assert looks(control, own) == looked, "the same each time"
    other = own.of(slice(64))
    assert compared(control, [other, own.of(slice(6, 70))])[0] == looked, "nor do the loop's later labels, or others"


def randomly(control: Known, labels: int, size: int) -> tuple[float, float]:
    """Accuracy of heads of so many random labels, and its error."""
    heads = [control.of(slice(start, start + size)) for start in range(0, labels - size + 1, size)]
    right = [(fresh_head(head).predictions(control.features_ND) == control.targets_N).tolist() for head in heads]
    accuracies = [fmean(one[i] for i in range(labels) if i // size != j) for j, one in enumerate(right)]
    shares = [fmean(one[i] for j, one in enumerate(right) if i // size != j) for i in range(labels)]
    roles = [accuracy + fmean(shares[j * size : (j + 1) * size]) for j, accuracy in enumerate(accuracies)]
    apart, together = variance(shares) / labels + variance(accuracies) / len(heads), variance(roles) / len(heads)
    return fmean(accuracies), max(apart, together) ** 0.5


@pytest.mark.parametrize("labels", LOOKS)
def test_what_random_labels_are_worth_is_that_of_plain_loops(labels: int) -> None:
    control = drawn(8, 448, 0.5)
    found = at_random(control.of(slice(labels)))
    assert [point.labels for point in found] == [size for size in (16, 32, 64, 128) if labels >= 3 * size]
    for point in found:
        mean, error = randomly(control, labels, point.labels)
        assert point.accuracy == pytest.approx(mean)
        limits = [max(0.0, mean - 1.96 * error), min(1.0, mean + 1.96 * error)]
        assert [point.low, point.high] == pytest.approx(limits, abs=1e-4)


def test_the_limits_of_random_labels_hold_the_truth_in_nine_projects_of_ten() -> None:
    judging = drawn(10**6, 3000, 0.5)

    def true_accuracy(labels: int) -> float:
        heads = (fresh_head(drawn(10**5 + seed, labels, 0.5)) for seed in range(150))
        return fmean(float((head.predictions(judging.features_ND) == judging.targets_N).mean()) for head in heads)

    truth = {labels: true_accuracy(labels) for labels in (16, 32, 64)}
    found = [at_random(drawn(seed, LOOKS[0], 0.5)) for seed in range(100)]
    for place, labels in enumerate(truth):
        points = [points[place] for points in found]
        assert {point.labels for point in points} == {labels}
        assert fmean(point.low <= truth[labels] <= point.high for point in points) >= 0.9
        assert fmean(point.accuracy for point in points) == pytest.approx(truth[labels], abs=0.01)


def test_between_two_planned_looks_nothing_new_is_told_of_random_labels() -> None:
    control = drawn(9, 448, 0.5)
    assert at_random(control.of(slice(191))) == ()
    for labels, last in ((192, 192), (255, 192), (256, 256), (319, 256), (447, 320)):
        assert at_random(control.of(slice(labels))) == at_random(control.of(slice(last)))


@pytest.mark.parametrize(("labels", "planned"), [(0, 0), (191, 0), (192, 1), (255, 1), (300, 2), (447, 3), (448, 4)])
def test_it_looks_at_planned_numbers_of_labels_alone(labels: int, planned: int) -> None:
    control, own = drawn(2, 448, 0.5), drawn(3, 64, 0.5)
    assert looks(control.of(slice(labels)), own) == looks(control, own)[:planned]
    found = answer(control.of(slice(labels)), own)
    assert not found.helps
    assert found.looks == looks(control, own)[:planned]
    if not planned:
        assert found.more == 192 - labels


def test_where_nothing_differs_the_error_is_not_none() -> None:
    control = drawn(4, 192, 0.0)  # all heads are right
    [look] = looks(control, drawn(5, 64, 0.0))
    assert look == Look(192, 0.0, 1 / 192, 0.0)


def test_a_look_that_was_taken_is_not_taken_again_when_the_first_labels_are_others() -> None:
    control, others, own = drawn(2, 448, 0.5), drawn(12, 448, 0.5), drawn(3, 64, 0.5)
    before = answer(control.of(slice(256)), own).looks
    assert [look.labels for look in before] == [192, 256]
    assert answer(others.of(slice(150)), own, before).looks == before, "nor taken back when some of them are gone"
    found = answer(others.of(slice(320)), own, before)
    assert found.looks == (*before, looks(others, own)[2])


def test_once_it_is_found_that_it_helps_nothing_is_fitted_any_more() -> None:
    class Unfitted(Known):
        def right(self, judges: Known) -> Array:
            raise AssertionError(f"{judges} need not be judged")

    some = drawn(2, 448, 0.5)
    found, never = Look(192, 0.2, 0.01, 0.0), Unfitted(some.features_ND, some.targets_N)
    assert answer(never, never.of(slice(64)), (found,)) == Answer((found,), None)


def test_it_stays_found_at_the_look_that_found_it() -> None:
    control, own = drawn(6, 448, 0.6, width=40), drawn(7, 64, 0.0, width=40)
    found = answer(control, own)
    assert found.helps
    assert found.more is None
    assert [look.helps for look in found.looks] == [False] * (len(found.looks) - 1) + [True]
    assert found.looks == looks(control, own)[: len(found.looks)]


def test_how_many_labels_more_are_those_to_the_next_look_at_which_the_gain_would_do() -> None:
    # At 1 %, a gain of 0.05 needs an error of 0.0215 at most.
    steady, lucky = Look(192, 0.05, 0.03, 0.0), Look(192, 0.05, 0.03, 0.02)
    assert [steady.would_help(labels) for labels in LOOKS] == [False, False, False, True]  # 0.0196 at 448
    assert not any(lucky.would_help(labels) for labels in LOOKS)  # 0.0247 at 448
    assert [Look(192, 0.05, 0.0214, 0.01).helps, Look(192, 0.05, 0.0216, 0.01).helps] == [True, False]


@pytest.mark.parametrize("seed", range(8, 14))
def test_an_answer_says_how_many_labels_more(seed: int) -> None:
    control, own = drawn(seed, 300, 0.6, width=40), drawn(seed + 50, 64, 0.3, width=40)
    for labels in (192, 250, 300):
        found = answer(control.of(slice(labels)), own)
        last = found.looks[-1]
        later = [planned - labels for planned in LOOKS if planned > labels and last.would_help(planned)]
        assert found.more == (None if last.helps or not later else later[0])


def test_whoever_needs_the_machine_waits_for_one_division_at_most() -> None:
    asked: list[int] = []

    def give_way() -> None:
        asked.append(1)
        if len(asked) == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        answer(drawn(0, 192, 0.5), drawn(1, 64, 0.5), (), give_way)
    assert len(asked) == 5


def test_few_labels_of_its_own_are_refused() -> None:
    with pytest.raises(ValueError, match="the loop has 63 labels of its own; ask once it has 64"):
        answer(drawn(0, 128, 0.5), drawn(1, 63, 0.5))
