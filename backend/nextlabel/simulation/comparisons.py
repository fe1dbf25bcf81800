"""Statistics of a run that plays label counts: curves, labels needed, savings and verdicts against random sampling.

The rules, so that anybody can compute the same numbers from the same records. The score is macro-F1. `verdicts` has the
rules of the verdicts, `curves` those of runs with fixed batches.

Counts. Those of `setting["at"]` as far as random's longest curve goes, c_1 .. c_K. A seed is *paired* for an arm when
the arm and random both have all K rounds; an arm without such a seed is left out. Full data has seeds of its own,
mostly fewer, and all of them count.

Means are exactly rounded sums divided by the count (`math.fsum(values) / len(values)`), over seeds in ascending order.
The area of a curve is the trapezoid over log2(labels) from c_1 to c_K, divided by log2(c_K) - log2(c_1).

Intervals of means, areas and their paired differences. Percentile bootstrap over the S paired seeds,
`rows = numpy.random.default_rng(0).integers(0, S, size=(10000, S))`, `numpy.percentile(means, [2.5, 97.5])`, linear.
With fewer than `FEWEST_SEEDS` there is none. For the final test score's difference to random `verdicts` takes Student's
interval instead, as 10 resampled seeds give too narrow a one. Full data's are resampled as below.

Targets, on dev. Three lie 90, 95 and 98 % of the way from the start to full data: s + q (f - s), with s random's mean
score at c_1 and f the mean of full data. The fourth is random's mean score at c_K.

Labels needed. On the arm's *mean* dev curve m_1 .. m_K the first k with m_k at least the target counts, whatever the
curve does after it: a curve that falls again has reached the target all the same, and so has random's. At k = 1 it is
c_1; else c_(k-1) (c_k / c_(k-1))^w with w = (target - m_(k-1)) / (m_k - m_(k-1)), which is linear in log2(labels),
rounded to a whole number. Where no m_k is high enough, it is *not reached within c_K*, and there is no number. The test
score there is the mean test curve's between the same two counts with the same w: selected on dev, reported on test.

Saving. 1 - labels / random's labels for the same target, on the paired seeds of the arm. None where either has not
reached it.

Interval of a saving. The same rows, so that a seed takes its arms along; full data's F seeds are drawn on their own,
`numpy.random.default_rng(1).integers(0, F, size=(10000, F))`, as a fit on all the data has nothing in common with the
arms of its seed. Of fewer than `FEWEST_SEEDS` of these nothing is drawn: their mean is taken as known in each resample,
and so is f. In each resample the mean curves, the target and with it both counts of labels are made anew. What
is not reached takes more than c_K labels, so that a resample knows a saving only within bounds: exact where both reach
the target; at least 1 - labels / c_K where random alone does not; at most 1 - c_K / random's labels where the arm alone
does not; and anything where neither does. The interval goes from the 250th smallest lower bound to the 250th largest
upper bound. An end without a bound is open: None. With fewer than `FEWEST_SEEDS` both are. Like every bootstrap
interval over ten seeds it is somewhat too narrow.

p of a saving, one-sided, of the last target alone. `numpy.random.default_rng(0).integers(0, S, size=(200000, S))` are
the resamples, the first 10,000 of them those of the interval. Let k be in how many of them the arm's mean dev curve
gets to random's last score no sooner than random's: not at all, or not at a lower place, which is the number of the
count before it plus w above, without rounding to whole labels. Means are rounded to 12 digits (`numpy.round`), so that
the order of adding cannot matter. q is (k + 1) / 200,001, never 0, as no number of resamples shows that something
cannot be. As S seeds make the bootstrap too narrow, p is the chance of Student's t with S - 1 degrees of freedom above
z sqrt((S - 1) / S), with z the standard normal's upper q quantile: the correction of T. Hesterberg's expanded
percentile interval ("What teachers should know about the bootstrap", The American Statistician 69, 2015). With ten
seeds p is at least 0.00117, hence not below 2^-10, under which no exact test of ten pairs can go. None with fewer than
`FEWEST_SEEDS`.

A saving is *claimed* for the last target alone, with at least `SEEDS_FOR_A_CLAIM` seeds, and where Holm's adjusted p
(`verdicts`) is below 0.025. There are two families. The first is the default as it is served, `live`: adjusted over the
corpora of a report. All other arms explore, and are adjusted for each other: over the arms of a corpus' headline; in a
report over corpora over all arms of all of them but baselines, those included that order alike.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.simulation.curves import (
    FEWEST_SEEDS,
    SEEDS_FOR_A_CLAIM,
    Estimate,
    estimate,
    mean,
    means_by_resample,
    resample,
)
from nextlabel.simulation.records import FULL, LIVE, MACRO_F1, RANDOM, SETTING, Record, Run, read_json
from nextlabel.simulation.verdicts import (
    LEVEL,
    Difference,
    SignedRank,
    Verdict,
    adjust,
    difference,
    holm,
    signed_rank,
    student_p,
)
from nextlabel.values.arrays import Array, Ints

Counts = tuple[int, ...]  # of labels, rising

WAYS = {"90": 0.9, "95": 0.95, "98": 0.98}  # shares of the way from the start to full data
RANDOM_FINAL = "random_final"
TARGETS = (*WAYS, RANDOM_FINAL)
OUTSIDE = 250  # of 10,000 resamples on each side of an interval
MORE_RESAMPLES = 200_000  # for a p so small that Holm can pass it over nine corpora and two arms
DIGITS = 12


@dataclass(frozen=True)
class Point:
    """A mean curve at one label count: macro-F1 on dev and test, each with its interval."""

    labels: int
    dev: Estimate
    test: Estimate


@dataclass(frozen=True)
class Parts:
    """The same number on dev and on test."""

    dev: Estimate
    test: Estimate


@dataclass(frozen=True)
class Saving:
    """The share of random's labels that an arm does without, at most 1, below 0 where it needs more.

    `share` is None where the arm or random does not reach the target; `low` and `high`, the ends of the 95 % interval,
    are None where that end is open. `p` is one-sided, not adjusted; None with fewer than `FEWEST_SEEDS`, and for any
    target but random's last score.
    """

    share: float | None
    low: float | None
    high: float | None
    p: float | None = None


@dataclass(frozen=True)
class Need:
    """What an arm needs to reach a target: "90", "95" or "98" % of the way to full data, or "random_final".

    `score` is the target on dev; `labels` and `labels_random` are None where it is not reached within `last`. `test` is
    the arm's mean test score at `labels`. `saving` is None for random itself.
    """

    target: str
    score: float
    last: int
    labels: int | None
    labels_random: int | None
    test: float | None
    saving: Saving | None


@dataclass(frozen=True)
class Against:
    """An arm minus random, paired by seed: final scores and areas, on dev and test.

    The final test score, by which verdicts are given, has Student's interval, the others the bootstrap's.
    """

    final_test: Difference
    final_dev: Estimate
    area: Parts


@dataclass(frozen=True)
class Arm:
    """All that is said about one arm over its paired seeds. `against_random` is None for random itself.

    `needs` are in the order of `TARGETS`; without full data only "random_final" is there.
    """

    strategy: str
    seeds: tuple[int, ...]
    curve: tuple[Point, ...]
    final: Parts
    area: Parts
    needs: tuple[Need, ...]
    against_random: Against | None

    @property
    def supports_claim(self) -> bool:
        """Whether there are enough paired seeds to say anything, whatever it is."""
        return len(self.seeds) >= SEEDS_FOR_A_CLAIM

    def need(self, target: str) -> Need | None:
        """What is needed for a target of `TARGETS`, None without full data."""
        return next((need for need in self.needs if need.target == target), None)


@dataclass(frozen=True)
class FullData:
    """Macro-F1 of the models fitted on all the data, over their own seeds."""

    seeds: tuple[int, ...]
    dev: Estimate
    test: Estimate


@dataclass(frozen=True)
class Comparison:
    """One corpus: every arm against random sampling, at the `counts` of labels that were played.

    `train` is the size of the pool, `labels` the names of the classes. Random is the last of the arms.
    """

    corpus: str
    labels: tuple[str, ...]
    train: int
    counts: tuple[int, ...]
    full: FullData | None
    arms: tuple[Arm, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for `statistics.json`."""
        return asdict(self)


@dataclass(frozen=True)
class InCorpus:
    """An arm's final test score against random in one of several corpora; its verdicts are adjusted for the others."""

    corpus: str
    seeds: int
    mean: float
    low: float | None
    high: float | None
    non_inferiority: Verdict
    superiority: Verdict


@dataclass(frozen=True)
class OverCorpora:
    """An arm in all corpora that have it, in the order given, and what they say together."""

    strategy: str
    corpora: tuple[InCorpus, ...]
    summary: SignedRank


@dataclass(frozen=True)
class Corpora:
    """Several corpora together: each arm but random that any of them has."""

    corpora: tuple[str, ...]
    arms: tuple[OverCorpora, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for a file."""
        return asdict(self)


def compare(run: Run, corpus: str) -> Comparison:
    """The statistics of a run with label counts, under the corpus' name.

    Raises `BadRunError` when it has none, when its records do not fit them, or when random has no round yet.
    """
    at, labels, train = _setting(run)
    played, full = _played(run, at), _full(run)
    rounds = max((len(scores_K2) for scores_K2 in played.get(RANDOM, {}).values()), default=0)
    if not rounds:
        raise BadRunError(f"{corpus} has no round of {RANDOM}, which the others are compared with. Let the run go on.")
    whole = {name: {s: k[:rounds] for s, k in seeds.items() if len(k) >= rounds} for name, seeds in played.items()}
    arms = [_arm(name, whole[name], whole[RANDOM], full, at[:rounds]) for name in in_order(whole)]
    return Comparison(corpus, labels, train, at[:rounds], _full_data(full), tuple(filter(None, arms)))


def over_corpora(comparisons: Sequence[Comparison]) -> Corpora:
    """Verdicts adjusted over the corpora, and the summary, of each arm that is in at least one."""
    names = in_order({arm.strategy for one in comparisons for arm in one.arms} - {RANDOM})
    arms = tuple(_over_corpora(name, comparisons) for name in names)
    return Corpora(tuple(one.corpus for one in comparisons), arms)


def in_order(strategies: Iterable[str]) -> list[str]:
    """By the alphabet, baselines such as `tfidf:margin` after the others, random last."""
    return sorted(strategies, key=lambda name: (name == RANDOM, ":" in name, name))


def labels_needed(counts: Sequence[int], scores: Sequence[float], target: float) -> int | None:
    """The labels at which a curve first reaches a target, None where it does not."""
    place = _place(scores, target)
    if place is None:
        return None
    k, share = place
    return round(counts[k - 1] * (counts[k] / counts[k - 1]) ** share) if k else counts[0]


def saving(ours: Sequence[int | None], theirs: Sequence[int | None], last: int, p: float | None = None) -> Saving:
    """From the labels of an arm and of random: those of all the seeds, then of each resample, if there are any."""
    bounds = [_bounds(one, other, last) for one, other in zip(ours, theirs, strict=True)]
    share = bounds[0][0] if ours[0] is not None and theirs[0] is not None else None
    if len(bounds) == 1:
        return Saving(share, None, None)
    low, high = (sorted(ends) for ends in zip(*bounds[1:], strict=True))
    return Saving(share, _finite(low[OUTSIDE - 1]), _finite(high[-OUTSIDE]), p)


def claimed(arms: Sequence[Arm]) -> list[bool]:
    """Whether each of several arms, of one corpus or of several, is claimed to reach random's last score with fewer
    labels than random: the default's over corpora, those of all other arms for each other."""
    shown: dict[int, bool] = {}
    for is_default in (True, False):
        family = [i for i, arm in enumerate(arms) if (arm.strategy == LIVE) is is_default]
        ps = holm([_p_of_saving(arms[i]) for i in family])
        shown |= {i: arms[i].supports_claim and p < LEVEL for i, p in zip(family, ps, strict=True)}
    return [shown[i] for i in range(len(arms))]


def _p_of_saving(arm: Arm) -> float | None:
    """None where the arm or random does not reach random's last score."""
    need = arm.need(RANDOM_FINAL)
    return need.saving.p if need and need.saving and need.saving.share is not None else None


def require_different(directories: Sequence[Path]) -> None:
    """Raises `BadRunError` when two directories have one name, or the same data, as each is to count as one corpus."""
    names: dict[str, Path] = {}
    prints: dict[str, Path] = {}
    for directory in directories:
        data = (read_json(directory / SETTING) or {}).get("data")
        fingerprint = data.get("fingerprint") if isinstance(data, dict) else None
        twin = names.setdefault(directory.resolve().name, directory)
        if twin is not directory:
            raise BadRunError(
                f"{twin} and {directory} are both called {directory.resolve().name}, and a name stands for one corpus. "
                "Rename one of them, or leave it out."
            )
        same = prints.setdefault(fingerprint, directory) if fingerprint else directory
        if same is not directory:
            raise BadRunError(
                f"{same} and {directory} are runs of the same data (fingerprint {fingerprint}), which would count as "
                "two corpora. Leave one of them out."
            )


def log_area(counts: Sequence[int], scores: Sequence[float]) -> float:
    """The mean height of a curve over log2(labels); its height where there is one count alone."""
    if len(counts) == 1:
        return scores[0]
    logs = [math.log2(count) for count in counts]
    parts = [(logs[k] - logs[k - 1]) * (scores[k] + scores[k - 1]) / 2 for k in range(1, len(logs))]
    return math.fsum(parts) / (logs[-1] - logs[0])


def _over_corpora(strategy: str, comparisons: Sequence[Comparison]) -> OverCorpora:
    found = [
        (one.corpus, len(arm.seeds), arm.against_random.final_test)
        for one in comparisons
        for arm in one.arms
        if arm.strategy == strategy and arm.against_random
    ]
    adjusted = adjust([final for *_, final in found])
    return OverCorpora(
        strategy,
        tuple(
            InCorpus(name, n, of.mean, of.low, of.high, of.non_inferiority, of.superiority)
            for (name, n, _), of in zip(found, adjusted, strict=True)
        ),
        signed_rank([of.mean for of in adjusted]),
    )


def _arm(
    strategy: str, ours: Mapping[int, Array], random: Mapping[int, Array], full: Mapping[int, Array], counts: Counts
) -> Arm | None:
    """None without a paired seed."""
    seeds = tuple(sorted(set(ours) & set(random)))
    if not seeds:
        return None
    ours_SK2, random_SK2 = (np.array([scores[seed] for seed in seeds]) for scores in (ours, random))
    rows = resample(len(seeds))
    curve = tuple(Point(count, *_estimates(ours_SK2[:, k], rows)) for k, count in enumerate(counts))
    areas_S2, random_areas_S2 = (_areas(counts, scores_SK2) for scores_SK2 in (ours_SK2, random_SK2))
    return Arm(
        strategy=strategy,
        seeds=seeds,
        curve=curve,
        final=Parts(curve[-1].dev, curve[-1].test),
        area=Parts(*_estimates(areas_S2, rows)),
        needs=tuple(_needs(counts, ours_SK2, random_SK2, full, strategy == RANDOM)),
        against_random=None
        if strategy == RANDOM
        else Against(
            final_test=difference((ours_SK2 - random_SK2)[:, -1, 1].tolist()),
            final_dev=estimate((ours_SK2 - random_SK2)[:, -1, 0], rows),
            area=Parts(*_estimates(areas_S2 - random_areas_S2, rows)),
        ),
    )


def _estimates(values_S2: Array, rows_BS: Ints) -> tuple[Estimate, Estimate]:
    """On dev and on test."""
    return estimate(values_S2[:, 0], rows_BS), estimate(values_S2[:, 1], rows_BS)


def _areas(counts: Counts, scores_SK2: Array) -> Array:
    return np.array([[log_area(counts, scores_K2[:, part].tolist()) for part in (0, 1)] for scores_K2 in scores_SK2])


def _needs(
    counts: Counts, ours_SK2: Array, random_SK2: Array, full: Mapping[int, Array], is_random: bool
) -> Iterator[Need]:
    rows_BS = resample(len(ours_SK2))[: None if len(ours_SK2) >= FEWEST_SEEDS else 1]
    ours, random = _mean_curves(ours_SK2[:, :, 0], rows_BS), _mean_curves(random_SK2[:, :, 0], rows_BS)
    [tests] = _mean_curves(ours_SK2[:, :, 1], rows_BS[:1])
    p = None if is_random else saving_p(ours_SK2[:, :, 0], random_SK2[:, :, 0])
    for name, targets in _targets(random, _full_means(full, len(rows_BS))).items():
        labels, labels_random = (
            [labels_needed(counts, curve, target) for curve, target in zip(curves, targets, strict=True)]
            for curves in (ours, random)
        )
        yield Need(
            target=name,
            score=targets[0],
            last=counts[-1],
            labels=labels[0],
            labels_random=labels_random[0],
            test=_score_at(_place(ours[0], targets[0]), tests),
            saving=None
            if is_random
            else saving(labels, labels_random, counts[-1], p if name == RANDOM_FINAL else None),
        )


def saving_p(ours_SK: Array, random_SK: Array) -> float | None:
    """The one-sided p of a saving on the way to random's last score, from dev curves of the same seeds."""
    seeds = len(ours_SK)
    if seeds < FEWEST_SEEDS:
        return None
    rows_BS = resample(seeds, MORE_RESAMPLES)[1:]
    ours_BK, random_BK = (
        np.round(np.stack([scores_S[rows_BS].mean(axis=1) for scores_S in of_SK.T], axis=1), DIGITS)
        for of_SK in (ours_SK, random_SK)
    )
    targets_B = random_BK[:, -1]
    no_sooner = int((_places(ours_BK, targets_B) >= _places(random_BK, targets_B)).sum())
    return student_p((no_sooner + 1) / (MORE_RESAMPLES + 1), seeds)


def _places(scores_BK: Array, targets_B: Array) -> Array:
    """Where each curve first reaches its target, in counts from the first one on; infinite where it does not."""
    reached_BK = scores_BK >= targets_B[:, None]
    rows, k_B = np.arange(len(scores_BK)), reached_BK.argmax(axis=1)
    before_B, there_B = scores_BK[rows, np.maximum(k_B - 1, 0)], scores_BK[rows, k_B]
    rise_B = np.where(k_B > 0, there_B - before_B, 1.0)  # above 0, as the score before is below the target
    places_B = np.where(k_B > 0, k_B - 1 + (targets_B - before_B) / rise_B, 0.0)
    return np.where(reached_BK.any(axis=1), places_B, np.inf)


def _mean_curves(scores_SK: Array, rows_BS: Ints) -> list[list[float]]:
    """The mean curve of each resample."""
    curves: list[list[float]] = np.stack([means_by_resample(s_S, rows_BS) for s_S in scores_SK.T], axis=1).tolist()
    return curves


def _full_means(full: Mapping[int, Array], resamples: int) -> list[float]:
    """Full data's mean dev score in each resample, the same in all with few seeds; none without full data."""
    if not full:
        return []
    scores_F = np.array([full[seed][0] for seed in sorted(full)])
    if len(full) < FEWEST_SEEDS:
        return [mean(scores_F)] * resamples
    means: list[float] = means_by_resample(scores_F, resample(len(full), generator=1)[:resamples]).tolist()
    return means


def _targets(random: Sequence[Sequence[float]], full: Sequence[float]) -> dict[str, list[float]]:
    """The scores to reach, in each resample; those on the way to full data only where there is such."""
    ways = {
        name: [curve[0] + share * (whole - curve[0]) for curve, whole in zip(random, full, strict=True)]
        for name, share in (WAYS if full else {}).items()
    }
    return {**ways, RANDOM_FINAL: [curve[-1] for curve in random]}


def _place(scores: Sequence[float], target: float) -> tuple[int, float] | None:
    """The first count whose score is at least the target, and how far from the count before it that lies."""
    for k, score in enumerate(scores):
        if score >= target:
            return k, (target - scores[k - 1]) / (score - scores[k - 1]) if k else 1.0
    return None


def _score_at(place: tuple[int, float] | None, scores: Sequence[float]) -> float | None:
    if place is None:
        return None
    k, share = place
    return scores[k - 1] + share * (scores[k] - scores[k - 1]) if k else scores[0]


def _bounds(ours: int | None, theirs: int | None, last: int) -> tuple[float, float]:
    """Between what a saving lies when whoever does not reach the target takes more than `last` labels."""
    if ours is not None and theirs is not None:
        return 1 - ours / theirs, 1 - ours / theirs
    return -math.inf if ours is None else 1 - ours / last, math.inf if theirs is None else 1 - last / theirs


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _setting(run: Run) -> tuple[Counts, tuple[str, ...], int]:
    """The label counts, the names of the classes and the size of the pool."""
    at, measure, data = (run.setting.get(key) for key in ("at", "measure", "data"))
    if not at or measure != MACRO_F1:
        raise BadRunError(
            f"The run's setting.json has at={at!r} and measure={measure!r}, not label counts and {MACRO_F1}: such runs "
            "are compared by `nextlabel report`, one corpus at a time."
        )
    if not isinstance(data, dict) or not {"labels", "train"} <= set(data):
        raise BadRunError("The run's setting.json does not describe its data: labels or train is missing. Restore it.")
    return tuple(map(int, at)), tuple(map(str, data["labels"])), int(data["train"])


def _played(run: Run, at: Counts) -> dict[str, dict[int, Array]]:
    """The scores on dev and test of each round, by strategy and seed."""
    arms: dict[tuple[int, str], list[Record]] = {}
    for record in run.rounds:
        arms.setdefault(record.arm, []).append(record)
    played: dict[str, dict[int, Array]] = {}
    for (seed, strategy), records in arms.items():
        if strategy != FULL:
            _require_counts(records, at)
            played.setdefault(strategy, {})[seed] = np.array([_scores(record) for record in records])
    return played


def _require_counts(records: Sequence[Record], at: Counts) -> None:
    labels, first = tuple(record.labels for record in records), records[0]
    if labels != at[: len(labels)]:
        raise BadRunError(
            f"{first.strategy}, seed {first.seed}, has rounds at {list(labels)} labels, where the setting has "
            f"{list(at)}. Restore the records, or play this arm again."
        )


def _full(run: Run) -> dict[int, Array]:
    return {record.seed: np.array(_scores(record)) for record in run.rounds if record.strategy == FULL}


def _scores(record: Record) -> tuple[float, float]:
    """On dev and on test."""
    if record.test is None or MACRO_F1 not in record.test or MACRO_F1 not in record.dev:
        raise BadRunError(
            f"Round {record.round} of {record.strategy}, seed {record.seed}, has no {MACRO_F1} on dev or on test. "
            "Label counts are compared by both: play the run with a test part."
        )
    return record.dev[MACRO_F1], record.test[MACRO_F1]


def _full_data(full: Mapping[int, Array]) -> FullData | None:
    if not full:
        return None
    scores_F2 = np.array([full[seed] for seed in sorted(full)])
    return FullData(tuple(sorted(full)), *_estimates(scores_F2, resample(len(full), generator=1)))
