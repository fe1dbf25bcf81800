"""What a simulation's records support, in numbers and in sentences. Draws and writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend import curves
from backend.acquisition import STRATEGIES, rank_alike
from backend.curves import Arms, Baseline, Curve, Estimate, Full, Outcome, Reaching
from backend.errors import BadRunError
from backend.records import FULL, RANDOM, Record, Run, merge, read_run

MINUTES_A_LABEL = 3  # the tutorial's assumption


@dataclass(frozen=True)
class Study:
    """A run with its statistics. `alike` are groups of strategies that rank every pool alike, but for rounding."""

    run: Run
    arms: Arms
    full: Full
    outcomes: tuple[Outcome, ...]
    alike: Sequence[Sequence[str]]

    @property
    def train(self) -> int:
        """How many labels all the training data has."""
        return int(self.run.setting["data"]["train"])

    @property
    def fewest(self) -> int:
        """The labels of the smallest start set."""
        return min(int(c.labels_R[0]) for by_seed in self.arms.values() for c in by_seed.values())

    @property
    def reproduction(self) -> bool:
        """Whether it repeats the tutorial's own experiment, from which nothing can be concluded."""
        return self.run.setting.get("reproduction") is True

    @property
    def drawn(self) -> list[str]:
        """The strategies for the figures: one of each group, random last."""
        compared = [outcome.strategy for outcome in self.outcomes]
        return [name for name in compared if all(name not in group[1:] for group in self.alike)]

    @property
    def tested(self) -> bool:
        """Whether every curve has test scores."""
        return all(c.test_R is not None for by_seed in self.arms.values() for c in by_seed.values())

    def paired(self, strategy: str) -> list[Curve]:
        """The curves of the arm's paired seeds."""
        seeds = next(outcome.seeds for outcome in self.outcomes if outcome.strategy == strategy)
        return [self.arms[strategy][seed] for seed in seeds]

    def baseline(self, test: bool = False) -> Estimate | None:
        """Mean full-data score."""
        scores = [b.test if test else b.dev for _, b in sorted(self.full.items())]
        known = [score for score in scores if score is not None]
        return curves.estimate(np.array(known), curves.resample(len(known))) if known else None


def read_study(directories: Sequence[Path]) -> Study:
    """The statistics of runs of the same setting. Raises `BadRunError` as `records` does, or when there are no arms."""
    return study_of(merge({str(directory): read_run(directory) for directory in directories}))


def study_of(run: Run) -> Study:
    """The statistics of a run. Raises `BadRunError` when its setting does not describe the data or no arm is there."""
    data = run.setting.get("data")
    missing = [key for key in ("source", "labels", "train", "dev") if not isinstance(data, dict) or key not in data]
    if missing:
        raise BadRunError(f"The run's setting.json does not describe its data: {', '.join(missing)} is missing.")
    by_arm: dict[str, dict[int, list[Record]]] = {}
    for record in run.rounds:
        by_arm.setdefault(record.strategy, {}).setdefault(record.seed, []).append(record)
    full = {seed: _baseline(records[0]) for seed, records in by_arm.pop(FULL, {}).items()}
    known = list(STRATEGIES)
    names = sorted(by_arm, key=lambda n: (n == RANDOM, known.index(n) if n in known else len(known), n))
    arms = {name: {seed: _curve(records) for seed, records in by_arm[name].items()} for name in names}
    outcomes = curves.compare(arms, full, int(run.setting["data"]["train"]), RANDOM)
    if not outcomes:
        raise BadRunError(
            f"No seed has an arm together with {RANDOM} and {FULL}: there is nothing to compare yet. Let the run go on."
        )
    alike = [group for group in rank_alike(names, len(run.setting["data"]["labels"])) if len(group) > 1]
    return Study(run, arms, full, outcomes, alike)


@dataclass(frozen=True)
class Reproduced:
    """One arm of a reproduction: labels at the first look that is at least `goal`, None when it never was.

    `hours` of annotation not needed, `last` labels used in the end.
    """

    seed: int
    strategy: str
    goal: float
    labels: int | None
    hours: float
    last: int


def reproduced(study: Study) -> list[Reproduced]:
    """Every arm of a reproduction by the tutorial's rule. Without a `stop_at` the goal is the full-data score."""
    baseline, stop_at = study.baseline(), study.run.setting.get("stop_at")
    if stop_at is not None:
        goal = float(stop_at)
    elif baseline is not None:
        goal = baseline.mean
    else:
        raise BadRunError("A reproduction needs a target: play it with --stop-at, or with the full-data baseline.")
    rows = []
    for strategy, by_seed in study.arms.items():
        for seed, curve in sorted(by_seed.items()):
            labels = curves.crossing(curve.labels_R, curve.dev_R, goal, span=1)
            hours = (study.train - labels) * MINUTES_A_LABEL / 60 if labels is not None else 0.0
            rows.append(Reproduced(seed, strategy, goal, labels, hours, int(curve.labels_R[-1])))
    return rows


def headlines(study: Study) -> list[str]:
    """What stands on top of the report: a line for each drawn strategy but random, unless there is nothing else."""
    if study.reproduction:
        return [reproduction_sentence(study)]
    chosen = [o for o in study.outcomes if o.strategy in study.drawn and o.strategy != RANDOM]
    chosen = chosen or [o for o in study.outcomes if o.strategy == RANDOM]
    return [f"{sentence(outcome)} {on_test(outcome)}".strip() for outcome in chosen]


def sentence(outcome: Outcome) -> str:
    """What the paired seeds support about an arm, in one or two sentences: a saving, none, or no claim at all."""
    seeds = len(outcome.seeds)
    found = f"{seeds} paired seed{'s' if seeds > 1 else ''}: {outcome.strategy} {_finding(outcome)}"
    if not outcome.supports_claim:
        return f"{found} Fewer than {curves.SEEDS_FOR_A_CLAIM} paired seeds: this supports no claim."
    return found


def on_test(outcome: Outcome) -> str:
    """How the models that reached the target on dev do on test; empty when there is nothing to say."""
    reaching = outcome.to_full
    if reaching is None or reaching.test is None or reaching.test_difference is None:
        return ""
    difference = reaching.test_difference
    verdict = "no clear difference"
    if difference.below_zero or difference.above_zero:
        verdict = "clearly lower" if difference.below_zero else "clearly higher"
    verdict = f", {verdict}" if difference.low is not None and outcome.supports_claim else ""
    return (
        f"On test, {outcome.strategy}'s models at that point score {reaching.test:.4f}, "
        f"{signed(difference)} against full data with the same seeds{verdict}."
    )


def reproduction_sentence(study: Study) -> str:
    """What the repetition of the tutorial's experiment found, arm by arm."""
    found = [
        f"{row.strategy} (seed {row.seed}) "
        + (
            f"first reached {row.goal:.4f} on dev with {row.labels} of {study.train} labels: "
            f"{study.train - row.labels} ({100 * (1 - row.labels / study.train):.1f} %) not needed, "
            f"{row.hours:.1f} annotation hours at {MINUTES_A_LABEL} minutes each"
            if row.labels is not None
            else f"did not reach {row.goal:.4f} on dev with {row.last} labels"
        )
        for row in reproduced(study)
    ]
    return f"A reproduction of the tutorial, not evidence: {'; '.join(found)}."


def _finding(outcome: Outcome) -> str:
    if outcome.to_full is not None:
        found = _against_both(outcome.to_full, len(outcome.seeds), outcome.strategy == RANDOM)
        if outcome.to_full.reached == 0 and outcome.to_random_end is not None:
            found += f" It {_against_random_alone(outcome.to_random_end, len(outcome.seeds))}"
        return found
    if outcome.to_random_end is not None:
        return _against_random_alone(outcome.to_random_end, len(outcome.seeds))
    return "has nothing to be compared with: there is no full-data baseline, and no random arm of 3 rounds."


def _against_both(reaching: Reaching, seeds: int, is_random: bool) -> str:
    if reaching.reached == 0 or reaching.saved_full is None:
        others = "" if is_random else f" (random: in {reaching.reached_random} of {seeds})"
        return f"does not reach the mean full-data score in any of {seeds} seeds{others}: no saving is claimed."
    reached = f"(reached in {reaching.reached} of {seeds} seeds"
    reached += ")" if reaching.reached == seeds else "; the others count as no saving)"
    text = f"reaches the mean full-data score with {share(reaching.saved_full)} fewer labels than full data"
    if reaching.saved_random is None:
        return f"{text} {reached}."
    gain = reaching.saved_random
    if gain.above_zero or gain.low is None:
        return f"{text} and {share(gain)} fewer than random sampling under the same rule {reached}."
    return f"{text} {reached}, but {_no_gain(gain)}."


def _against_random_alone(reaching: Reaching, seeds: int) -> str:
    gain = reaching.saved_random
    if gain is None:
        return f"does not reach random sampling's final score in any of {seeds} seeds: no saving is claimed."
    reached = f"(reached in {reaching.reached} of {seeds} seeds)"
    if gain.above_zero or gain.low is None:
        text = f"reaches random sampling's final score with {share(gain)} fewer labels than random sampling"
        return f"{text} under the same rule {reached}."
    return f"reaches random sampling's final score {reached}, but {_no_gain(gain)}."


def _no_gain(gain: Estimate) -> str:
    if gain.below_zero:
        more = Estimate(-gain.mean, -gain.high if gain.high is not None else None, _minus(gain.low), gain.seeds)
        return f"needs {share(more)} more labels than random sampling under the same rule"
    return f"shows no gain over random sampling under the same rule: {share(gain)} fewer, the interval includes 0"


def _minus(value: float | None) -> float | None:
    return -value if value is not None else None


def _curve(records: Sequence[Record]) -> Curve:
    tests = [record.test["combined"] for record in records if record.test]
    return Curve(
        np.array([record.labels for record in records], dtype=np.int64),
        np.array([record.dev["combined"] for record in records], dtype=np.float64),
        np.array(tests, dtype=np.float64) if len(tests) == len(records) else None,
    )


def _baseline(record: Record) -> Baseline:
    return Baseline(record.dev["combined"], record.test["combined"] if record.test else None)


def share(of: Estimate) -> str:
    """A share in percent with its interval, as sentences say it."""
    return f"{100 * of.mean:.1f} % {interval(of, 100, 1, '95 % CI ')}".rstrip()


def signed(of: Estimate) -> str:
    """A difference of scores with its sign and interval."""
    return f"{of.mean:+.4f} {interval(of, signed=True)}".rstrip()


def interval(of: Estimate, times: float = 1, digits: int = 4, name: str = "", signed: bool = False) -> str:
    """`[low to high]`, empty where there is none."""
    if of.low is None or of.high is None:
        return ""
    sign = "+" if signed else ""
    return f"[{name}{times * of.low:{sign}.{digits}f} to {times * of.high:{sign}.{digits}f}]"
