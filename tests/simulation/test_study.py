"""What may be said: a claim, no gain, too few seeds, not reached, a reproduction."""

import re
from dataclasses import replace

import pytest

from nextlabel.errors import BadRunError
from nextlabel.simulation.curves import (
    Differences,
    Estimate,
    Outcome,
    Reaching,
)
from nextlabel.simulation.records import Record, Run
from nextlabel.simulation.study import (
    at_the_end,
    headlines,
    on_test,
    reproduced,
    sentence,
    study_of,
)

SAVED = Estimate(0.25, 0.1, 0.4, 12)
GAIN = Estimate(0.1, 0.02, 0.18, 12)
NOTHING = Estimate(0.02, -0.05, 0.08, 12)
LOSS = Estimate(-0.1, -0.18, -0.02, 12)

REACHING = Reaching(0.86, 3, (2000,) * 12, (2400,) * 12, SAVED, GAIN, 0.85, Estimate(-0.01, -0.02, -0.005, 12))
UNREACHED = replace(REACHING, labels=(None,) * 12, saved_full=None, saved_random=None, test=None, test_difference=None)


def outcome(to_full: Reaching | None = REACHING, to_random_end: Reaching | None = None, seeds: int = 12) -> Outcome:
    return Outcome(
        strategy="entropy",
        seeds=tuple(range(seeds)),
        rounds=(9,) * seeds,
        last_labels=(3000,) * seeds,
        area=0.8,
        final_dev=0.85,
        final_test=0.84,
        to_full=to_full,
        first_look=to_full,
        to_random_end=to_random_end,
        against_random=Differences(GAIN, GAIN, GAIN, (0.1,) * seeds, 1.0),
    )


def test_a_claim_has_both_savings_with_their_intervals() -> None:
    assert sentence(outcome()) == (
        "12 paired seeds: entropy reaches the mean full-data score in 12 of 12 seeds, with 25.0 % "
        "[95 % CI 10.0 to 40.0] fewer labels than full data and 10.0 % [95 % CI 2.0 to 18.0] fewer than random "
        "sampling under the same rule."
    )


def test_no_gain_is_said_as_plainly() -> None:
    said = sentence(outcome(replace(REACHING, saved_random=NOTHING)))
    assert "in 12 of 12 seeds, with 25.0 % [95 % CI 10.0 to 40.0] fewer labels than full data; no difference " in said
    assert said.endswith(
        "; no difference to random sampling is shown (2.0 % [95 % CI -5.0 to 8.0] saved; the interval includes 0)."
    )


def test_fewer_and_more_never_carry_a_negative_number() -> None:
    slight = Estimate(-0.05, -0.12, 0.03, 12)
    for reaching in (REACHING, replace(REACHING, saved_full=Estimate(0.01, 0.0, 0.03, 12))):
        for gain in (slight, LOSS, GAIN, Estimate(-0.05, None, None, 1)):
            for said in (
                sentence(outcome(replace(reaching, saved_random=gain))),
                sentence(outcome(None, replace(reaching, saved_random=gain))),
            ):
                assert not re.search(r"-\d[^;(]* (fewer|more)", said), said
    assert sentence(outcome(replace(REACHING, saved_random=slight))).endswith(
        "no difference to random sampling is shown (-5.0 % [95 % CI -12.0 to 3.0] saved; the interval includes 0)."
    )


def test_a_saving_against_full_data_needs_an_interval_above_0() -> None:
    slight = replace(REACHING, labels=(2000, *(None,) * 11), saved_full=Estimate(0.02, 0.0, 0.06, 12))
    assert sentence(outcome(replace(slight, saved_random=NOTHING))) == (
        "12 paired seeds: entropy reaches the mean full-data score in 1 of 12 seeds (the others count as no saving); "
        "no saving against full data is shown: 2.0 % [95 % CI 0.0 to 6.0]; no difference to random sampling is shown "
        "(2.0 % [95 % CI -5.0 to 8.0] saved; the interval includes 0)."
    )
    assert "fewer" not in sentence(outcome(replace(slight, saved_random=None)))


def test_a_loss_is_said_as_plainly() -> None:
    said = sentence(outcome(replace(REACHING, saved_random=LOSS)))
    assert said.endswith(
        "; it needs 10.0 % [95 % CI 2.0 to 18.0] more labels than random sampling under the same rule."
    )


def test_the_last_rounds_are_compared_with_random_whatever_was_reached() -> None:
    differences = Differences(LOSS, LOSS, LOSS, (-0.1,) * 12, 0.0)
    assert at_the_end(replace(outcome(UNREACHED), against_random=differences)) == (
        "In the last 3 rounds, up to 3000 labels, entropy scores -0.1000 [-0.1800 to -0.0200] on dev and -0.1000 "
        "[-0.1800 to -0.0200] on test against random sampling: lower."
    )
    few = replace(outcome(UNREACHED, seeds=9), against_random=differences)
    assert at_the_end(few).endswith("against random sampling.")
    unclear = Differences(NOTHING, NOTHING, None, (0.0,) * 12, 0.5)
    assert at_the_end(replace(outcome(), against_random=unclear)).endswith(
        "entropy scores +0.0200 [-0.0500 to +0.0800] on dev against random sampling; the interval on dev includes 0."
    )
    assert at_the_end(replace(outcome(), against_random=None)) == ""


def test_few_seeds_support_no_claim() -> None:
    said = sentence(outcome(seeds=9))
    assert said.startswith("Supports no claim (9 paired seeds, 10 are needed): entropy ")
    assert sentence(outcome(seeds=10)).startswith("10 paired seeds: entropy ")
    assert sentence(outcome(seeds=1)).startswith("Supports no claim (1 paired seed, 10 are needed): ")


def test_seeds_that_did_not_reach_the_target_are_counted() -> None:
    said = sentence(outcome(replace(REACHING, labels=(2000,) * 7 + (None,) * 5)))
    assert " in 7 of 12 seeds (the others count as no saving), with 25.0 % " in said


def test_an_unreached_target_claims_no_saving() -> None:
    assert sentence(outcome(UNREACHED)) == (
        "12 paired seeds: with entropy the mean full-data score is not reached within 3000 labels in any of 12 "
        "seeds (random: in 12 of 12): no saving is claimed."
    )
    assert on_test(outcome(UNREACHED)) == ""


def test_an_arm_that_could_not_have_crossed_is_not_said_to_have_failed_to() -> None:
    short = replace(outcome(UNREACHED), rounds=(2,) * 12)
    assert sentence(short) == ("12 paired seeds: entropy has fewer than 3 rounds: a sustained crossing cannot happen.")
    assert "not reached within 3000 labels" in sentence(replace(short, rounds=(2, 3) * 6))


def test_an_unreached_target_is_followed_by_what_was_saved_to_randoms_end() -> None:
    said = sentence(outcome(UNREACHED, REACHING))
    assert "no saving is claimed. It reaches random sampling's final score in 12 of 12 seeds; it needs 10.0 % " in said
    neither = sentence(outcome(UNREACHED, UNREACHED))
    assert "claimed. With entropy random sampling's final score is not reached within 3000 labels in any of" in neither


def test_without_a_baseline_randoms_end_is_the_target() -> None:
    said = sentence(outcome(None, REACHING))
    assert said.startswith(
        "12 paired seeds: entropy reaches random sampling's final score in 12 of 12 seeds; it needs "
    )
    no_gain = sentence(outcome(None, replace(REACHING, saved_random=NOTHING)))
    assert "in 12 of 12 seeds; no difference to random sampling is shown (2.0 % " in no_gain
    assert "in any of 12 seeds: no saving is claimed." in sentence(outcome(None, UNREACHED))
    assert "nothing to be compared with" in sentence(outcome(None, None))


def test_the_test_score_is_reported_with_its_difference_to_full_data() -> None:
    assert on_test(outcome()) == (
        "On test, entropy's models at that point score 0.8500 in the 12 seeds that reached it, -0.0100 [-0.0200 to "
        "-0.0050] against full data with the same seeds, clearly lower."
    )
    few = on_test(outcome(replace(REACHING, test_difference=Estimate(-0.01, -0.02, -0.005, 2))))
    assert few.endswith(
        "in the 2 seeds that reached it, -0.0100 [-0.0200 to -0.0050] against full data with the same seeds."
    )
    unclear = replace(REACHING, test_difference=Estimate(0.001, -0.01, 0.01, 12))
    assert on_test(outcome(unclear)).endswith(
        "+0.0010 [-0.0100 to +0.0100] against full data with the same seeds; the interval includes 0."
    )
    one = replace(REACHING, test_difference=Estimate(0.001, None, None, 1))
    assert on_test(outcome(one)).endswith(
        "in the 1 seed that reached it, +0.0010 against full data with the same seeds."
    )


# ---- from records


def record(strategy: str, number: int, dev: float, seed: int = 123, labels: int | None = None) -> Record:
    scores = {"accuracy": dev, "f1": dev, "combined": dev, "examples": 408}
    count = 1100 + 64 * number if labels is None else labels
    return Record(seed, strategy, number, count, scores, None, (1,), {"fit": 1.0})


def run_of(*rounds: Record, **setting: object) -> Run:
    data = {"source": "MRPC", "labels": ["yes", "no"], "train": 3668, "dev": 408, "test": 0}
    return Run({"data": data, **setting}, [], rounds)


def test_a_reproduction_is_called_one_and_says_what_the_tutorial_said() -> None:
    rounds = [record("entropy", number, 0.8 if number < 28 else 0.8568) for number in range(29)]
    study = study_of(run_of(*rounds, reproduction=True, stop_at=0.8568))
    assert headlines(study) == [
        "A reproduction of the tutorial, not evidence: entropy (seed 123) first reached 0.8568 on dev with 2892 of "
        "3668 labels: 776 (21.2 %) not needed, 38.8 annotation hours at 3 minutes each."
    ]


def test_a_reproduction_that_did_not_get_there_says_so() -> None:
    study = study_of(run_of(record("entropy", 0, 0.8), reproduction=True, stop_at=0.8568))
    assert headlines(study)[0].endswith("entropy (seed 123) did not reach 0.8568 on dev within 1100 labels.")


def test_a_repetition_that_differs_is_called_a_variation() -> None:
    rounds = [record("entropy", number, 0.86) for number in range(2)]
    setting = {"reproduction": True, "stop_at": 0.8568}
    found = study_of(run_of(*rounds, **setting, deviations=["base_model: MiniLM, not BERT", "steps: 60, not 343"]))
    assert headlines(found)[0].startswith(
        "A variation of the tutorial's experiment, not a reproduction and not evidence (base_model: MiniLM, not BERT; "
        "steps: 60, not 343): entropy (seed 123) first reached 0.8568 "
    )
    same = study_of(run_of(*rounds, **setting, deviations=[]))
    assert headlines(same)[0].startswith("A reproduction of the tutorial, not evidence: entropy (seed 123) ")


def test_a_reproduction_that_was_cut_short_is_none_until_it_is_played_to_its_end() -> None:
    rounds = [record("entropy", number, 0.8) for number in range(4)]
    run = run_of(*rounds, reproduction=True, stop_at=0.8568, deviations=[])
    start: dict[str, object] = {"seeds": [123], "strategies": ["entropy"], "rounds": 3}
    found = headlines(study_of(replace(run, invocations=[start])))[0]
    said = "(rounds: 3 at most, not until the target is reached): "
    assert found.startswith(f"A variation of the tutorial's experiment, not a reproduction and not evidence {said}")
    over = replace(run, invocations=[start], rounds=[*run.rounds[:-1], replace(run.rounds[-1], chosen=())])
    assert headlines(study_of(over))[0].startswith("A reproduction of the tutorial, not evidence: ")


def test_several_strategies_are_counted_once() -> None:
    names = ("entropy", "margin", "bald", "random")
    study = study_of(run_of(*[record(name, number, 0.8) for name in names for number in range(3)]))
    assert headlines(study)[2:] == ["2 strategies are compared; intervals are for each alone."]
    study = study_of(run_of(*[record(name, number, 0.8) for name in ("bald", "random") for number in range(3)]))
    assert len(headlines(study)) == 1


def test_the_stated_target_is_that_of_the_paired_seeds() -> None:
    full = [record("full", 0, 0.7 + 0.1 * seed, seed=seed, labels=3668) for seed in range(3)]
    arms = [record(name, 0, 0.8, seed=seed) for name in ("entropy", "random") for seed in range(2)]
    study = study_of(run_of(*full, *arms))
    baseline, to_full = study.baseline(), study.outcomes[0].to_full
    assert baseline is not None
    assert to_full is not None
    assert baseline.mean == to_full.target == pytest.approx(0.75)
    uneven = study_of(run_of(*full, *arms[:-1]))
    assert uneven.same_target
    third = study_of(run_of(*full, *arms, record("random", 0, 0.8, seed=2)))
    assert not third.same_target
    baseline = third.baseline()
    assert baseline is not None
    assert baseline.mean == pytest.approx(0.8)


def test_a_reproduction_without_a_given_target_takes_the_full_data_score() -> None:
    full = record("full", 0, 0.85, labels=3668)
    study = study_of(run_of(full, record("entropy", 0, 0.8), record("entropy", 1, 0.85), reproduction=True))
    assert [row.labels for row in reproduced(study)] == [1164]
    with pytest.raises(BadRunError, match="needs a target"):
        reproduced(study_of(run_of(record("entropy", 0, 0.8), reproduction=True)))


def test_with_two_classes_one_of_the_strategies_that_rank_alike_is_drawn() -> None:
    rounds = [record(name, 0, 0.8) for name in ("margin", "random", "least_confidence", "bald", "entropy")]
    study = study_of(run_of(*rounds))
    assert [o.strategy for o in study.outcomes] == ["entropy", "margin", "least_confidence", "bald", "random"]
    assert study.drawn == ["entropy", "bald", "random"]
    three = dict(run_of().setting["data"], labels=["a", "b", "c"])
    assert len(study_of(replace(run_of(*rounds), setting={"data": three})).drawn) == 5


def test_a_run_that_cannot_be_compared_with_anything_is_refused() -> None:
    with pytest.raises(BadRunError, match="nothing to compare yet"):
        study_of(run_of(record("entropy", 0, 0.8, seed=1), record("full", 0, 0.8, seed=2)))
    with pytest.raises(BadRunError, match="does not describe its data"):
        study_of(replace(run_of(record("entropy", 0, 0.8)), setting={"data": {"train": 5}}))
