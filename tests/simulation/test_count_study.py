"""What may be said of a run with label counts, case by case, and what is put before a sceptic."""

from dataclasses import replace
from typing import Any

import pytest

from nextlabel.learning import auto_recipe
from nextlabel.simulation.comparisons import (
    Against,
    Arm,
    Comparison,
    FullData,
    Need,
    Parts,
    Point,
    Saving,
)
from nextlabel.simulation.count_study import CountStudy, doubts, headlines, pressing, saved_in_words, steps_of_fits
from nextlabel.simulation.curves import Estimate
from nextlabel.simulation.records import Record, Run
from nextlabel.simulation.verdicts import difference

COUNTS = (32, 512)


def about(mean: float) -> Estimate:
    return Estimate(mean, mean - 0.01, mean + 0.01, 10)


def arm(
    name: str,
    more: float | None,
    spread: float = 0.002,
    needs: tuple[int | None, Saving] = (256, Saving(0.5, 0.4, 0.6, 0.0)),
    seeds: int = 10,
    start: float = 0.4,
    on_the_way: float = 0.0,
) -> Arm:
    """An arm that ends at 0.7 plus `more`; seeds lie `spread` above and below that in turn."""
    final = 0.7 + (more or 0)
    points = [Point(count, about(score), about(score)) for count, score in zip(COUNTS, (start, final), strict=True)]
    by_seed = [(more or 0) + spread * (-1) ** seed for seed in range(seeds)]
    labels, saving = needs
    is_random = more is None
    return Arm(
        strategy=name,
        seeds=tuple(range(seeds)),
        curve=tuple(points),
        final=Parts(about(final), about(final)),
        area=Parts(about(0.6), about(0.6)),
        needs=(Need("random_final", 0.7, 512, 512 if is_random else labels, 512, 0.7, None if is_random else saving),),
        against_random=None
        if is_random
        else Against(difference(by_seed), about(0.0), Parts(about(0.0), about(on_the_way))),
    )


def study(
    *arms: Arm,
    labels: tuple[str, ...] = ("a", "b", "c"),
    full: float | None = 0.9,
    data: dict[str, Any] | None = None,
    records: tuple[Record, ...] | None = None,
    start: dict[str, Any] | None = None,
) -> CountStudy:
    random = arm("random", None, seeds=max((len(one.seeds) for one in arms), default=10))
    whole = FullData((0, 1, 2), about(full), about(full)) if full is not None else None
    compared = Comparison("letters", labels, 3000, COUNTS, whole, (*arms, random))
    played = [
        Record(seed, one.strategy, i, count, {}, {}, (1,), {"fit": 1.0}, "cpu", machine="a CPU")
        for one in compared.arms
        for seed in one.seeds
        for i, count in enumerate(COUNTS)
    ]
    setting = {"data": {"source": "Letters (letters==1)", **(data or {})}, "at": list(COUNTS)}
    return CountStudy(Run(setting, [start or {}], records or played), compared)


BEGIN = "10 paired seeds: against random sampling's test macro-F1 of 0.7000 with 512 labels, "


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (arm("margin", 0.03), "margin is better (+0.0300 [95 % CI +0.0285 to +0.0315])."),
        (arm("margin", -0.03), "margin is worse (-0.0300 [95 % CI -0.0315 to -0.0285])."),
        (arm("margin", -0.005), "margin is worse by at most 0.01 (-0.0050 [95 % CI -0.0065 to -0.0035])."),
        (
            arm("margin", 0.0),
            "margin is not worse by more than 0.01, and not shown to be better (+0.0000 [95 % CI -0.0015 to +0.0015]).",
        ),
        (
            arm("margin", 0.0, spread=0.02),
            "no difference is shown for margin (+0.0000 [95 % CI -0.0151 to +0.0151]; 20 seeds would tell whether it "
            "is worse by more than 0.01 in half of such studies).",
        ),
    ],
)
def test_the_first_sentence_says_what_the_seeds_support(one: Arm, said: str) -> None:
    assert headlines(study(one))[0] == BEGIN + said
    of_grain = headlines(study(one), {"margin": "grain"})[0]
    assert of_grain == BEGIN + said.removesuffix(".") + ", mostly by grain."


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        (
            (256, Saving(0.5, 0.4, 0.6, 0.0)),
            "margin needs 256 labels, 50 % [95 % CI 40 to 60] fewer than random's 512.",
        ),
        (
            (256, Saving(0.5, 0.4, None, 0.0)),
            "margin needs 256 labels, 50 % [95 % CI 40 to open] fewer than random's 512.",
        ),
        (
            (256, Saving(0.5, None, 0.6, 0.2)),
            "margin needs 256 labels and random 512, 50 % [95 % CI open to 60] saved: no saving is shown.",
        ),
        (
            (256, Saving(0.5, 0.1, 0.6, 0.03)),
            "margin needs 256 labels and random 512, 50 % [95 % CI 10 to 60] saved: no saving is shown at the stricter "
            "level of a claim.",
        ),
        ((None, Saving(None, None, 0.1, 1.0)), "margin does not get there within 512 labels: no saving is claimed."),
    ],
)
def test_the_second_sentence_says_what_is_saved(needs: tuple[int | None, Saving], said: str) -> None:
    second = headlines(study(arm("margin", 0.0, needs=needs)))[1]
    assert second == "To reach random's dev macro-F1 with 512 labels (0.7000), " + said


@pytest.mark.parametrize(
    ("labels", "of_random", "saving", "said"),
    [
        (144, 512, Saving(0.72, 0.6, 0.8), "72 % [60 to 80]"),
        (144, None, Saving(None, 0.64, None), "at least 71 % [64 to open]"),
        (386, None, Saving(None, None, None), "at least 24 % [open to open]"),
        (None, 512, Saving(None, None, 0.04), "not reached [open to 4]"),
    ],
)
def test_what_random_does_not_reach_is_saved_at_least(
    labels: int | None, of_random: int | None, saving: Saving, said: str
) -> None:
    need = Need("90", 0.8, 512, labels, of_random, 0.8, saving)
    assert saved_in_words(arm("margin", 0.03), need) == said
    if saving == Saving(None, None, None):
        assert saved_in_words(arm("margin", 0.03, seeds=4), need).endswith(" (no interval)")


def test_an_arm_that_needs_more_labels_than_random_is_said_to() -> None:
    slow = arm("margin", -0.01, needs=(500, Saving(-0.25, -0.4, -0.1)))
    random = replace(slow.needs[0], labels_random=400)
    said = headlines(study(replace(slow, needs=(random,))))[1]
    assert said.endswith("margin needs 500 labels, 25 % [95 % CI 10 to 40] more than random's 400.")


def test_few_seeds_support_no_claim_whatever_they_show() -> None:
    first, second = headlines(study(arm("margin", 0.03, seeds=5)))
    assert first.startswith("Supports no claim (5 paired seeds, 10 are needed): against random sampling's test")
    assert first.endswith("margin scores +0.0304 [95 % CI +0.0277 to +0.0331].")
    assert second.endswith(
        "margin needs 256 labels and random 512, 50 % [95 % CI 40 to 60] saved: no saving is claimed."
    )
    assert "better" not in first
    assert headlines(study(arm("margin", 0.03, seeds=4)))[0].endswith("margin scores +0.0300, no interval.")


def test_an_arm_with_few_seeds_takes_no_claim_from_another() -> None:
    first, _ = headlines(study(arm("entropy", 0.03, seeds=5), arm("margin", 0.03)))
    assert first.startswith("5 to 10 paired seeds: against random")
    assert (
        "entropy scores +0.0304 [95 % CI +0.0277 to +0.0331] with 5, too few for a claim; margin is better (" in first
    )


def test_a_single_seed_has_no_interval() -> None:
    first, second = headlines(study(arm("margin", 0.03, seeds=1, needs=(256, Saving(0.5, None, None)))))
    assert first.startswith("Supports no claim (1 paired seed, 10 are needed): ")
    assert first.endswith("margin scores +0.0320, no interval.")
    assert second.endswith("margin needs 256 labels and random 512, 50 % (no interval) saved: no saving is claimed.")


def test_a_run_of_random_alone_compares_nothing() -> None:
    assert headlines(study())[0] == (
        "Only random sampling has been played to an end: it scores 0.7000 on test with 512 labels."
    )
    assert headlines(study())[1] == "Nothing is compared, and no saving is claimed."


def test_several_arms_share_the_two_sentences_and_baselines_have_none() -> None:
    said = headlines(study(arm("entropy", 0.0), arm("margin", 0.03), arm("tfidf:margin", -0.2)))
    assert len(said) == 2
    assert "; margin is better (" in said[0]
    assert "; margin needs 256 labels, " in said[1]
    assert "tfidf" not in " ".join(said)


def test_with_two_classes_arms_that_order_alike_are_one() -> None:
    two = study(arm("entropy", 0.03), arm("margin", 0.03), labels=("yes", "no"))
    assert [one.strategy for one in two.judged] == ["entropy"]
    assert [one.strategy for one in two.drawn] == ["entropy", "random"]
    assert "margin" not in headlines(two)[0]
    assert any(doubt.startswith("With two classes entropy and margin order every pool alike") for doubt in doubts(two))


def test_a_sound_run_has_only_the_doubts_of_its_design() -> None:
    sound = study(arm("margin", 0.03), full=None)
    assert [doubt.partition(":")[0] for doubt in doubts(sound)] == [
        "There is no full data",
        "One split",
        "Dev is used twice",
        "Bootstrap intervals (curves, areas, savings) are somewhat too narrow with few seeds",
        "Labels needed lie between two counts by interpolation; versions were fitted at 32 and 512 labels only.",
    ]


def told(of: CountStudy) -> str:
    return "\n".join(doubts(of))


def test_seeds_that_do_not_decide_are_told_with_how_many_would() -> None:
    said = told(study(arm("margin", 0.0, spread=0.02)))
    assert "margin is undecided, which counts as not shown: 20 seeds would decide in half of such studies, at" in said
    assert "Full data has 3 seeds: a band takes 5, and targets on the way to it take its mean as known." in said
    few = told(study(arm("margin", 0.0, seeds=4)))
    assert "margin is undecided, which counts as not shown: too few seeds to tell how many would decide" in few
    assert "Fewer than 10 paired seeds: margin and random." in told(study(arm("margin", 0.0, seeds=9)))


def test_what_was_left_out_is_told() -> None:
    one = study(arm("margin", 0.0), start={"seeds": [*range(11)], "strategies": ["full", "random", "margin"]})
    assert "Unfinished or not played: margin, seed 10; random, seed 10. The same command finishes them." in told(one)
    records = [record for record in one.run.rounds if record.arm != (9, "random")]
    failed = {"failures": [{"seed": 9, "strategy": "random", "why": "the loss is not finite"}]}
    without = replace(one.comparison.arms[0], seeds=tuple(range(9)))
    other = study(without, records=tuple(records), start=failed)
    assert "Left out, because random has not all counts of the seed: margin, seed 9." in told(other)
    assert "Failed: random, seed 9 (the loss is not finite)." in told(other)
    assert "Unfinished" not in told(other), "the same command would fail again"


def test_a_run_of_as_many_rounds_as_were_asked_for_is_not_unfinished() -> None:
    asked = {"seeds": [*range(10)], "strategies": ["random", "margin"], "rounds": 1}
    whole = study(arm("margin", 0.0), start=asked)
    longer = replace(whole, run=replace(whole.run, setting={**whole.run.setting, "at": [*COUNTS, 1024]}))
    assert not longer.missing
    assert "Unfinished" not in told(longer)
    assert "Left out" not in told(longer)
    assert "Random sampling got to 512 of 1,024 labels" in told(longer)
    fewer = replace(longer, run=replace(longer.run, rounds=[r for r in longer.run.rounds if r.arm != (9, "margin")]))
    assert fewer.missing == {(9, "margin")}
    start_only = replace(longer.run, invocations=[{**asked, "rounds": 0}], rounds=[r for r in longer.run.rounds
                         if r.strategy == "random" or r.labels == COUNTS[0]])  # fmt: skip
    short = replace(longer, run=start_only)
    assert not short.missing
    assert "Left out, because fewer than the 2 label counts that are compared were asked for: margin, seeds 0" in told(
        short
    )


def test_full_data_that_was_planned_and_not_played_is_told() -> None:
    records = [Record(0, "full", 0, 3000, {}, {}, (), {"fit": 1.0})]
    played = study(arm("margin", 0.0)).run.rounds
    planned = {"seeds": [*range(10)], "strategies": ["full", "random", "margin"], "full_seeds": [0, 1, 2]}
    begun = study(arm("margin", 0.0), records=(*played, *records), start=planned)
    assert begun.missing == {(1, "full"), (2, "full")}
    assert "Unfinished or not played: full, seeds 1, 2." in told(begun)


def test_fits_that_were_too_short_are_told() -> None:
    one = study(arm("margin", 0.03), full=0.71)
    short = [replace(r, train_accuracy=0.8 if r.labels == 512 else 1.0) for r in one.run.rounds]
    said = told(study(arm("margin", 0.03), records=tuple(short), full=0.71))
    assert (
        "Perhaps undertrained: fits know too few of their own labels (margin with 512 labels 80 %; random with 512"
        in said
    )
    assert "margin with 512 labels above full data: the fit on all labels may be too short." in said
    assert "random falls" not in said
    falling = told(study(arm("margin", -0.1, start=0.65)))
    assert "margin falls from 0.6500 with 32 labels to 0.6000 with 512: noise, or fits that do not keep up." in falling


def test_an_arm_that_catches_up_only_at_the_end_is_told() -> None:
    said = told(study(arm("entropy", 0.0, on_the_way=-0.02), arm("margin", 0.0, on_the_way=-0.005)))
    assert (
        "entropy is behind random on the way: -0.0200 [-0.0300 to -0.0100] over the whole test curve; verdicts are "
        "about 512 labels alone." in said
    )
    assert "margin is behind" not in said
    assert any("entropy is behind random on the way" in doubt for doubt in pressing(study(arm("entropy", 0.0,
               on_the_way=-0.02)))), "in a report over corpora, too"  # fmt: skip


def test_a_shorter_fit_on_all_the_data_is_told() -> None:
    one = study(arm("margin", 0.0))
    recipe = {"recipe": {"steps": 150, "batch_size": 16}, "epochs": 15.0}
    short, long = (replace(one, run=replace(one.run, setting={**one.run.setting, **recipe, "full_steps": n}))
                   for n in (940, 2813))  # fmt: skip
    said = "Full data is fitted for 5.0 epochs, versions with 512 labels for 15.0: it might score higher with as many."
    assert said in told(short)
    assert "Full data is fitted" not in told(long)
    assert "Full data is fitted" not in told(one)


def test_fits_by_the_rule_of_new_projects_take_as_many_steps_as_it_says_at_most() -> None:
    one = study(arm("margin", 0.0))
    recipe = {"steps": auto_recipe.RULE, "batch_size": 16, "stop_loss": 0.05}
    by_rule, by_another = (
        replace(one, run=replace(one.run, setting={**one.run.setting, "recipe": of, "epochs": 0.0, "full_steps": 343}))
        for of in (recipe, {**recipe, "steps": "auto: 1 text"})
    )
    assert steps_of_fits(by_rule) == {**{n: auto_recipe.steps(n) for n in COUNTS}, by_rule.comparison.train: 343}
    assert "Full data is fitted for 1.8 epochs at most, versions with 512 labels for 6.7 at most: it" in told(by_rule)
    assert steps_of_fits(by_another) == {}, "whose steps this build does not know"


def test_seconds_that_other_work_spoilt_are_told() -> None:
    one = study(arm("margin", 0.0), arm("tfidf:margin", 0.0))
    slow = [
        replace(r, seconds={"fit": {"margin": 200.0, "random": 100.0}.get(r.strategy, 1.0)}) for r in one.run.rounds
    ]
    said = told(study(arm("margin", 0.0), records=tuple(slow)))
    assert "Fits with 512 labels took 100 to 200 seconds in the mean of an arm: where fits are alike, other" in said
    assert "seconds of arms" not in told(one)


def test_classes_that_decide_much_on_little_are_told() -> None:
    counts = {"dev": {"a": 40, "b": 10, "c": 30}, "test": {"a": 100, "b": 50, "c": 0}}
    said = told(study(arm("margin", 0.03), data={"counts": counts}))
    assert "1 class has 10 dev examples or fewer (b 10), and as much weight in macro-F1 as the largest." in said
    assert "Without test examples, hence in no test score: c." in said


def test_leaks_machines_and_versions_are_told() -> None:
    one = study(arm("margin", 0.03))
    mixed = [
        replace(r, machine="another CPU" if r.arm == (0, "margin") else "a CPU", versions={"torch": f"2.{r.seed % 2}"})
        for r in one.run.rounds
    ]
    shared = {"test examples that are also in train": 4, "dev examples that repeat": 0}
    anew = [{"seed": 0, "strategy": "margin", "rounds": 1, "machine": "an old CPU"}]
    said = told(study(arm("margin", 0.03), records=tuple(mixed), data={"shared": shared}, start={"begun_anew": anew}))
    assert "A leak: 4 test examples that are also in train." in said
    assert "Arms of one seed on several machines, so that its pairs differ in more than the order: 0." in said
    assert "Begun anew: margin, seed 0." in said
    assert "different versions of packages: torch 2.0 and 2.1." in said
    apart = [replace(r, machine=f"CPU {r.seed % 2}") for r in one.run.rounds]
    assert "Seeds were played on several machines, each seed on one" in told(
        study(arm("margin", 0.03), records=tuple(apart))
    )
