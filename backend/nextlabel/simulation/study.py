"""What a simulation's records support, in numbers and in sentences. Draws and writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning.strategies import STRATEGIES, rank_alike
from nextlabel.simulation import curves
from nextlabel.simulation.asked import classes_of
from nextlabel.simulation.curves import (
    Arms,
    Baseline,
    Curve,
    Estimate,
    Full,
    Outcome,
    Reaching,
)
from nextlabel.simulation.records import (
    FULL,
    RANDOM,
    Record,
    Run,
    merge,
    read_run,
)

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
    def most(self) -> int:
        """The labels of the last round, of the arm that has most."""
        return max(int(c.labels_R[-1]) for by_seed in self.arms.values() for c in by_seed.values())

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

    @property
    def deviations(self) -> Sequence[str]:
        """In what a repetition of the tutorial's experiment differs from it."""
        last = {record.arm: record for record in self.run.rounds}
        ended = {arm for arm, record in last.items() if not record.chosen}
        cut = [rounds for arm, rounds in self.run.planned.items() if rounds is not None and arm not in ended]
        told = [str(deviation) for deviation in self.run.setting.get("deviations") or []]
        # More rounds may be played later, so a setting does not tell.
        return [*told, f"rounds: {max(cut)} at most, not until the target is reached"] if cut else told

    @property
    def same_target(self) -> bool:
        """Whether all arms have the same paired seeds, hence the same target."""
        return len({outcome.seeds for outcome in self.outcomes}) == 1

    def baseline(self, test: bool = False) -> Estimate | None:
        """Mean full-data score over the paired seeds; over all of the baseline's where arms differ in theirs."""
        seeds = [seed for seed in sorted(self.full) if not self.same_target or seed in self.outcomes[0].seeds]
        scores = [self.full[seed].test if test else self.full[seed].dev for seed in seeds]
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
    alike = [group for group in rank_alike(names, classes_of(run)) if len(group) > 1]
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
    several = [f"{len(chosen)} strategies are compared; intervals are for each alone."] if len(chosen) > 1 else []
    said = (" ".join(filter(None, (sentence(o), on_test(o), at_the_end(o)))) for o in chosen)
    return [*said, *several]


def sentence(outcome: Outcome) -> str:
    """What the paired seeds support about an arm, in one or two sentences: a saving, none, or no claim at all."""
    seeds = f"{len(outcome.seeds)} paired seed{'s' if len(outcome.seeds) > 1 else ''}"
    if not outcome.supports_claim:
        seeds = f"Supports no claim ({seeds}, {curves.SEEDS_FOR_A_CLAIM} are needed)"
    return f"{seeds}: {_finding(outcome)}"


def on_test(outcome: Outcome) -> str:
    """How the models that reached the target on dev do on test; empty when there is nothing to say."""
    reaching = outcome.to_full
    if reaching is None or reaching.test is None or reaching.test_difference is None:
        return ""
    difference = reaching.test_difference
    verdict = ""
    if difference.low is not None and not difference.below_zero and not difference.above_zero:
        verdict = "; the interval includes 0"
    elif difference.low is not None and difference.seeds >= curves.SEEDS_FOR_A_CLAIM:
        verdict = f", clearly {'lower' if difference.below_zero else 'higher'}"
    return (
        f"On test, {outcome.strategy}'s models at that point score {reaching.test:.4f} in the "
        f"{difference.seeds} seed{'s' if difference.seeds > 1 else ''} that reached it, {signed(difference)} against "
        f"full data with the same seeds{verdict}."
    )


def at_the_end(outcome: Outcome) -> str:
    """How the arm's last rounds compare with random's, which no target can hide; empty without a random arm."""
    against = outcome.against_random
    if against is None or against.final_dev.low is None:
        return ""
    tested = f" and {signed(against.final_test)} on test" if against.final_test else ""
    verdict = "; the interval on dev includes 0"
    if against.final_dev.above_zero or against.final_dev.below_zero:
        verdict = f": {'lower' if against.final_dev.below_zero else 'higher'}" if outcome.supports_claim else ""
    return (
        f"In the last {curves.SPAN} rounds, up to {min(outcome.last_labels)} labels, {outcome.strategy} scores "
        f"{signed(against.final_dev)} on dev{tested} against random sampling{verdict}."
    )


def reproduction_title(study: Study) -> str:
    """What the repetition may be called: with another model, schedule or data it is none."""
    if study.deviations:
        return "A variation of the tutorial's experiment, not a reproduction and not evidence"
    return "A reproduction of the tutorial, not evidence"


def reproduction_sentence(study: Study) -> str:
    """What the repetition of the tutorial's experiment found, arm by arm."""
    found = [
        f"{row.strategy} (seed {row.seed}) "
        + (
            f"first reached {row.goal:.4f} on dev with {row.labels} of {study.train} labels: "
            f"{study.train - row.labels} ({100 * (1 - row.labels / study.train):.1f} %) not needed, "
            f"{row.hours:.1f} annotation hours at {MINUTES_A_LABEL} minutes each"
            if row.labels is not None
            else f"did not reach {row.goal:.4f} on dev within {row.last} labels"
        )
        for row in reproduced(study)
    ]
    differing = f" ({'; '.join(study.deviations)})" if study.deviations else ""
    return f"{reproduction_title(study)}{differing}: {'; '.join(found)}."


def cannot_cross(outcome: Outcome) -> bool:
    """Whether no seed of the arm has the rounds that a sustained crossing needs, whatever its scores."""
    return max(outcome.rounds) < curves.SPAN


def _finding(outcome: Outcome) -> str:
    name, seeds = outcome.strategy, len(outcome.seeds)
    if cannot_cross(outcome):
        return f"{name} has fewer than {curves.SPAN} rounds: a sustained crossing cannot happen."
    if outcome.to_full is not None and outcome.to_full.reached:
        return f"{name} {_against_both(outcome.to_full, seeds)}"
    if outcome.to_full is not None:
        others = "" if name == RANDOM else f" (random: in {outcome.to_full.reached_random} of {seeds})"
        found = f"{_not_reached('the mean full-data score', outcome)}{others}: no saving is claimed."
        if outcome.to_random_end is not None:
            found += f" {_against_random_alone(outcome.to_random_end, outcome, 'it')}"
        return found
    if outcome.to_random_end is not None:
        return _against_random_alone(outcome.to_random_end, outcome, name)
    return f"{name} has nothing to be compared with: there is no full-data baseline, and no random arm of 3 rounds."


def _not_reached(target: str, outcome: Outcome) -> str:
    labels = from_to(outcome.last_labels)
    return (
        f"with {outcome.strategy} {target} is not reached within {labels} labels in any of {len(outcome.seeds)} seeds"
    )


def _against_both(reaching: Reaching, seeds: int) -> str:
    rest = "" if reaching.reached == seeds else " (the others count as no saving)"
    text = f"reaches the mean full-data score in {reaching.reached} of {seeds} seeds{rest}"
    saved, gain = reaching.saved_full, reaching.saved_random
    if saved is None:
        return f"{text}."
    if not saved.above_zero:
        text += f"; no saving against full data is shown: {share(saved)}"
        return f"{text}; {_against_random(gain)}." if gain else f"{text}."
    text += f", with {share(saved)} fewer labels than full data"
    if gain is None:
        return f"{text}."
    if gain.above_zero:
        return f"{text} and {share(gain)} fewer than random sampling under the same rule."
    return f"{text}; {_against_random(gain)}."


def _against_random_alone(reaching: Reaching, outcome: Outcome, name: str) -> str:
    seeds, target = len(outcome.seeds), "random sampling's final score"
    if reaching.saved_random is None:
        said = f"{_not_reached(target, outcome)}: no saving is claimed."
        return said if name == outcome.strategy else said[0].upper() + said[1:]
    name = name if name == outcome.strategy else name.capitalize()
    return f"{name} reaches {target} in {reaching.reached} of {seeds} seeds; {_against_random(reaching.saved_random)}."


def _against_random(gain: Estimate) -> str:
    """The difference to random as a clause of its own; a share is never negative beside fewer or more."""
    if gain.above_zero:
        return f"it needs {share(gain)} fewer labels than random sampling under the same rule"
    if gain.below_zero:
        more = Estimate(-gain.mean, _minus(gain.high), _minus(gain.low), gain.seeds)
        return f"it needs {share(more)} more labels than random sampling under the same rule"
    why = "there is no interval" if gain.low is None else "the interval includes 0"
    return f"no difference to random sampling is shown ({share(gain)} saved; {why})"


def _minus(value: float | None) -> float | None:
    return -value if value is not None else None


def from_to(values: Sequence[int]) -> str:
    """A count, or the smallest and the largest of several."""
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"


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
