"""What the versions with the last label count are like, from what they said of test: F1 by class, and calibration."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.simulation import asked, curves, measures, probabilities, verdicts
from nextlabel.simulation.count_study import CountStudy
from nextlabel.simulation.curves import Estimate
from nextlabel.simulation.measures import Measures
from nextlabel.simulation.probabilities import LEVELS, Said, Targets
from nextlabel.simulation.records import FULL, RANDOM, Record, read_run
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.layout import Layout

TEST = "test"
FEWEST_CLASSES = 3  # of two the other one is left, which says little


@dataclass(frozen=True)
class Bins:
    """All seeds' test examples by confidence: mean confidence, share right and number, of the bins that have any."""

    confidence_B: tuple[float, ...]
    right_B: tuple[float, ...]
    counts_B: tuple[int, ...]


@dataclass(frozen=True)
class Without:
    """An arm's difference to random without the class that adds most to it: that class' number, its `share` of the sum
    over all classes, and the mean over the others with Student's 95 % interval."""

    label: int
    share: float
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Quality:
    """An arm's versions with the last label count on test, over its seeds. `f1_C` are the classes' means.

    `more_C` are those minus random's over the same seeds, None for random and full data. `without` is None there, too,
    and where there are fewer than `FEWEST_CLASSES` with test examples, several questions, or no difference. `one_class`
    counts the versions that answer one class for everything.
    """

    strategy: str
    seeds: tuple[int, ...]
    accuracy: Estimate
    ece: Estimate
    brier: Estimate
    f1_C: tuple[float, ...]
    more_C: tuple[float, ...] | None
    without: Without | None
    one_class: int
    bins: Bins


def qualities(study: CountStudy, directories: Sequence[Path]) -> list[Quality]:
    """Of every arm, random after the others, and then of full data.

    Raises `BadRunError` when what a version said is missing or damaged, or a recorded score is not that of what it
    said.
    """
    places = _places(directories)
    targets = {where: probabilities.read_targets(where) for where in directories}
    arms = [(arm.strategy, arm.seeds) for arm in study.comparison.arms]
    full = [(FULL, study.comparison.full.seeds)] if study.comparison.full else []
    layout = asked.layout_of(study.run)
    found: dict[str, dict[int, tuple[Measures, Said, Targets]]] = {}
    for name, seeds in [*arms, *full]:
        for seed in seeds:
            record = last_record(study, name, seed)
            where = places[_round(record)]
            right = targets[where]
            said = probabilities.read(where, seed, name, record.round)[TEST]
            found.setdefault(name, {})[seed] = measures.measured(where, record, right)[TEST], said, right[TEST]
    return [_quality(name, by_seed, found.get(RANDOM, {}), layout) for name, by_seed in found.items()]


Round = tuple[int, str, int]  # seed, strategy, number


def _round(record: Record) -> Round:
    return *record.arm, record.round


def _places(directories: Sequence[Path]) -> dict[Round, Path]:
    """Where each round is, of directories whose scores are those of what was said."""
    places: dict[Round, Path] = {}
    for directory in directories:
        run = read_run(directory)
        if not run.setting["data"].get(TEST):
            raise BadRunError(f"{directory} has no test part. Play it with one: its report is about test scores.")
        measures.check(directory, run)
        places.update({_round(record): directory for record in run.rounds})
    return places


def last_record(study: CountStudy, name: str, seed: int) -> Record:
    """The round of an arm at the last label count that is compared."""
    records = study.by_arm[name][seed]
    return records[0] if name == FULL else next(r for r in records if r.labels == study.last)


def _quality(
    name: str,
    by_seed: Mapping[int, tuple[Measures, Said, Targets]],
    random: Mapping[int, tuple[Measures, Said, Targets]],
    layout: Layout | None,
) -> Quality:
    of = [measured for measured, _, _ in by_seed.values()]
    f1_SC = np.array([measured.f1 for measured in of])
    paired = name not in (RANDOM, FULL)
    more_SC = f1_SC - np.array([random[seed][0].f1 for seed in by_seed]) if paired else None
    return Quality(
        strategy=name,
        seeds=tuple(by_seed),
        accuracy=_estimate([measured.accuracy for measured in of]),
        ece=_estimate([measured.ece for measured in of]),
        brier=_estimate([measured.brier for measured in of]),
        f1_C=_means(f1_SC),
        more_C=None if more_SC is None else _means(more_SC),
        without=None if more_SC is None or layout else _without(more_SC, _present(by_seed)),
        one_class=sum(len(np.unique(said.classes_N, axis=0)) == 1 for _, said, _ in by_seed.values()),
        bins=_bins(
            [one for _, said, right in by_seed.values() for one in measures.unfolded(layout, said, right.classes_N)]
        ),
    )


def _present(by_seed: Mapping[int, tuple[Measures, Said, Targets]]) -> list[int]:
    """The classes that test has examples of, which macro-F1 is a mean over."""
    [_, _, right] = next(iter(by_seed.values()))
    return sorted(set(right.classes_N.tolist()))


def _without(more_SC: Array, present: Sequence[int]) -> Without | None:
    more_SP = more_SC[:, list(present)]
    means = _means(more_SP)
    total = math.fsum(means)
    if len(present) < FEWEST_CLASSES or not total:
        return None
    first = max(range(len(means)), key=lambda i: means[i] / total)
    rest = verdicts.difference([curves.mean(np.delete(more_P, first)) for more_P in more_SP])
    return Without(present[first], means[first] / total, rest.mean, rest.low, rest.high)


def led_by_one_class(study: CountStudy, of: Quality) -> Without | None:
    """What is left of a difference to random that is shown, and more than half of which is one class'."""
    arm = next((arm for arm in study.judged if arm.strategy == of.strategy), None)
    if arm is None or arm.against_random is None or of.without is None or of.without.share <= 0.5:
        return None
    final = arm.against_random.final_test
    return of.without if final.superiority.shown or (final.high is not None and final.high < 0) else None


def of_versions(study: CountStudy, qualities: Sequence[Quality]) -> Iterator[str]:
    """What a sceptic should distrust in what the last versions said."""
    for of in qualities:
        if of.one_class:
            same = "the same" if study.layout else "one class"
            yield (
                f"{of.one_class} of {len(of.seeds)} versions of {of.strategy} answer {same} for every test example: "
                "these fits have failed."
            )
        without = led_by_one_class(study, of)
        if without:
            label = study.comparison.labels[without.label]
            test = ((study.run.setting["data"].get("counts") or {}).get(TEST) or {}).get(label)
            examples = "" if test is None else f", with {test} test examples"
            ends = "" if without.low is None else f" [95 % CI {without.low:+.4f} to {without.high:+.4f}]"
            yield (
                f"{100 * without.share:.0f} % of {of.strategy}'s difference to random is that of one class, {label}"
                f"{examples}; over the other classes the difference is {without.mean:+.4f}{ends}."
            )


def _means(values_SC: Array) -> tuple[float, ...]:
    return tuple(curves.mean(values_S) for values_S in values_SC.T)


def _estimate(values: Sequence[float]) -> Estimate:
    return curves.estimate(np.array(values), curves.resample(len(values)))


def _bins(parts: Sequence[tuple[Said, Ints]]) -> Bins:
    """The bins of the calibration error, over all parts together."""
    levels_N = np.concatenate([measures.confidence_levels(said) for said, _ in parts])
    right_N = np.concatenate([said.classes_N == right for said, right in parts])
    bins_N = measures.bin_of(levels_N)
    of_bins = [bins_N == b for b in np.unique(bins_N)]
    counts = tuple(int(here_N.sum()) for here_N in of_bins)
    return Bins(
        tuple(int(levels_N[here_N].sum()) / (LEVELS * n) for here_N, n in zip(of_bins, counts, strict=True)),
        tuple(int(right_N[here_N].sum()) / n for here_N, n in zip(of_bins, counts, strict=True)),
        counts,
    )
