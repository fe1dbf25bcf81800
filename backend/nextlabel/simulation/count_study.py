"""What a run with label counts supports, in sentences, and what should make a reader doubt it. Draws nothing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nextlabel.learning import auto_recipe
from nextlabel.learning.strategies import rank_alike
from nextlabel.simulation import asked, baselines
from nextlabel.simulation.comparisons import RANDOM_FINAL, Arm, Comparison, Need, Saving, claimed
from nextlabel.simulation.curves import FEWEST_SEEDS, SEEDS_FOR_A_CLAIM
from nextlabel.simulation.provenance import by_strategy, differing_versions, listing
from nextlabel.simulation.records import FULL, RANDOM, Record, Run
from nextlabel.simulation.study import from_to, interval
from nextlabel.simulation.verdicts import MARGIN, Difference
from nextlabel.values.layout import Layout

WELL_FITTED = 0.95  # of its own labels a fit should know at least so many; the field's fits know nearly all
UNEVEN = 1.25  # times as many seconds for the same fits: something else ran, too
FEW_EXAMPLES = 10  # of a class in a part, or fewer: its F1 moves by steps of a tenth


@dataclass(frozen=True)
class CountStudy:
    """A run with its statistics against random sampling. `directory` is named where another one has its title."""

    run: Run
    comparison: Comparison
    directory: str = ""

    @property
    def named(self) -> str:
        """What the corpus is called, without the package that it comes from."""
        return str(self.run.setting["data"]["source"]).partition(" (")[0]

    @property
    def title(self) -> str:
        """The same, told apart from others of that name."""
        return f"{self.named} ({self.directory})" if self.directory else self.named

    @property
    def last(self) -> int:
        """The last label count that is compared."""
        return self.comparison.counts[-1]

    @property
    def has_intervals(self) -> bool:
        """Whether an arm has as many seeds as an interval takes."""
        return any(len(arm.seeds) >= FEWEST_SEEDS for arm in self.comparison.arms)

    @property
    def rivals(self) -> list[Arm]:
        """Every arm but random."""
        return [arm for arm in self.comparison.arms if arm.strategy != RANDOM]

    @property
    def random(self) -> Arm:
        """Random sampling."""
        return next(arm for arm in self.comparison.arms if arm.strategy == RANDOM)

    @property
    def alike(self) -> list[list[str]]:
        """Groups of strategies that order every pool alike, but for rounding."""
        names = [arm.strategy for arm in self.comparison.arms]
        return [
            group for group in rank_alike(names, 0 if self.layout else len(self.comparison.labels)) if len(group) > 1
        ]

    @property
    def alike_in_words(self) -> str:
        """Which arm stands for which others where one of each group is shown; nothing where all are."""
        said = ", ".join(f"{first} also stands for {listing(others)}" for first, *others in self.alike)
        return f"{self.title}: {said}" if said else ""

    @property
    def judged(self) -> list[Arm]:
        """The arms that the headline is about: those that fit the model, one of each group that is alike."""
        single = [arm for arm in self.rivals if all(arm.strategy not in group[1:] for group in self.alike)]
        return [arm for arm in single if not baselines.kind_of(arm.strategy)] or single

    @property
    def layout(self) -> Layout | None:
        """How a form's numbers are divided; None of one question with one class a text."""
        return asked.layout_of(self.run)

    @property
    def classes(self) -> list[int]:
        """How many each question has."""
        return [len(cut.labels) for cut in self.layout.cuts] if self.layout else [len(self.comparison.labels)]

    def texts(self, pool: Mapping[str, int]) -> int:
        """How many texts a pool of these counts by label has; those of a form may have several labels or none."""
        return self.comparison.train if self.layout else sum(pool.values()) or 1

    @property
    def score(self) -> str:
        """What arms are compared by."""
        return f"macro-F1 ({asked.mean_over(self.layout)})" if self.layout else "macro-F1"

    @property
    def drawn(self) -> list[Arm]:
        """The arms of the figures: as the headline's, with baselines, and random last."""
        return [arm for arm in self.comparison.arms if all(arm.strategy not in group[1:] for group in self.alike)]

    @cached_property
    def by_arm(self) -> Mapping[str, Mapping[int, Sequence[Record]]]:
        """The rounds of each strategy, by seed, in order."""
        found: dict[str, dict[int, list[Record]]] = {}
        for record in self.run.rounds:
            found.setdefault(record.strategy, {}).setdefault(record.seed, []).append(record)
        return found

    @property
    def claims(self) -> set[str]:
        """The arms that are claimed to save labels, in this corpus, adjusted for each other."""
        return {arm.strategy for arm, shown in zip(self.judged, claimed(self.judged), strict=True) if shown}

    @property
    def missing(self) -> set[tuple[int, str]]:
        """Seed and strategy of what was planned or begun, has fewer rounds than were asked for, and did not fail.

        Of full data the seeds that a start noted; older ones noted none.
        """
        known = {arm for arm in (*self.run.planned, *(r.arm for r in self.run.rounds)) if arm[1] != FULL}
        known |= {(seed, FULL) for start in self.run.invocations for seed in start.get("full_seeds") or []}
        return {arm for arm in known - set(self.run.failures) if self._played(arm) < self._asked(arm)}

    @property
    def short(self) -> set[tuple[int, str]]:
        """Seed and strategy of what has all rounds that were asked for, but not all that are compared."""
        few = {arm for arm in self.run.planned if self._played(arm) < len(self.comparison.counts) and arm[1] != FULL}
        return few - self.missing - set(self.run.failures)

    def _played(self, arm: tuple[int, str]) -> int:
        seed, name = arm
        return len(self.by_arm.get(name, {}).get(seed, ()))

    def _asked(self, arm: tuple[int, str]) -> int:
        """The rounds that the last start asked for; all label counts where none is noted. Full data has one."""
        if arm[1] == FULL:
            return 1
        counts, rounds = len(self.run.setting["at"]), self.run.planned.get(arm)
        return counts if rounds is None else min(1 + rounds, counts)


def headlines(study: CountStudy, led: Mapping[str, str] | None = None) -> list[str]:
    """Two sentences: how the arms compare with random at the last label count, and what they save. `led` are
    the classes that more than half of an arm's difference is of, by arm."""
    if not study.judged:
        score = f"{study.random.final.test.mean:.4f} on test with {study.last:,} labels"
        alone = f"Only random sampling has been played to an end: it scores {score}."
        return [alone, "Nothing is compared, and no saving is claimed."]
    return [_first(study, led or {}), _second(study)]


def _first(study: CountStudy, led: Mapping[str, str]) -> str:
    claims = any(arm.supports_claim for arm in study.judged)
    mostly = {arm.strategy: f", mostly by {led[arm.strategy]}" for arm in study.judged if arm.strategy in led}
    clauses = [f"{verdict(arm)}{mostly.get(arm.strategy, '')}{_weak(arm) * claims}" for arm in study.judged]
    said = "; ".join(clauses)
    score = f"{study.random.final.test.mean:.4f} with {study.last:,} labels"
    return f"{_seeds(study.judged, claims)}: against random sampling's test {study.score} of {score}, {said}."


def _seeds(arms: Sequence[Arm], claims: bool) -> str:
    counts = [len(arm.seeds) for arm in arms]
    seeds = f"{from_to(counts)} paired seed{'s' if max(counts) > 1 else ''}"
    return seeds if claims else f"Supports no claim ({seeds}, {SEEDS_FOR_A_CLAIM} are needed)"


def _weak(arm: Arm) -> str:
    return "" if arm.supports_claim else f" with {len(arm.seeds)}, too few for a claim"


def verdict(arm: Arm) -> str:
    """What an arm's final test score says against random's, as a clause."""
    assert arm.against_random is not None
    of, name = arm.against_random.final_test, arm.strategy
    shown = difference(of)
    if not arm.supports_claim:
        return f"{name} scores {shown}"
    if of.superiority.shown:
        return f"{name} is better ({shown})"
    if of.high is not None and of.high < 0:
        bounded = f" by at most {MARGIN:g}" if of.non_inferiority.shown else ""
        return f"{name} is worse{bounded} ({shown})"
    if of.non_inferiority.shown:
        return f"{name} is not worse by more than {MARGIN:g}, and not shown to be better ({shown})"
    return (
        f"no difference is shown for {name} ({shown}; {of.non_inferiority.needed} seeds would tell whether it is worse "
        f"by more than {MARGIN:g} in half of such studies)"
    )


def difference(of: Difference) -> str:
    """A difference of scores with its interval."""
    if of.low is None or of.high is None:
        return f"{of.mean:+.4f}, no interval"
    return f"{of.mean:+.4f} [95 % CI {of.low:+.4f} to {of.high:+.4f}]"


def _second(study: CountStudy) -> str:
    needs = [(arm, need) for arm in study.judged if (need := arm.need(RANDOM_FINAL))]
    said = "; ".join(saved(arm, need, arm.strategy in study.claims) for arm, need in needs)
    scores = sorted(need.score for _, need in needs)
    target = " to ".join(dict.fromkeys(f"{score:.4f}" for score in (scores[0], scores[-1])))
    return f"To reach random's dev macro-F1 with {study.last:,} labels ({target}), {said}."


def saved(arm: Arm, need: Need, is_claimed: bool) -> str:
    """What an arm saves on the way to a target, as a clause."""
    name, saving = arm.strategy, need.saving
    if need.labels is None:
        return f"{name} does not get there within {need.last:,} labels: no saving is claimed"
    if need.labels_random is None:
        return f"{name} needs {need.labels:,} labels and random does not get there within {need.last:,}"
    assert saving is not None
    assert saving.share is not None
    both = f"{name} needs {need.labels:,} labels"
    if is_claimed:
        return f"{both}, {percent(saving)} fewer than random's {need.labels_random:,}"
    if arm.supports_claim and saving.high is not None and saving.high < 0:
        return f"{both}, {percent(_negative(saving))} more than random's {need.labels_random:,}"
    strict = " at the stricter level of a claim" if (saving.low or 0) > 0 else ""
    why = f"no saving is shown{strict}" if arm.supports_claim else "no saving is claimed"
    return f"{both} and random {need.labels_random:,}, {percent(saving)} saved: {why}"


def _negative(saving: Saving) -> Saving:
    ends = (None if end is None else -end for end in (saving.share, saving.high, saving.low))
    return Saving(*ends)


def percent(saving: Saving) -> str:
    """A share in percent with its interval."""
    share = "not reached" if saving.share is None else f"{round(100 * saving.share)} %"
    if saving.low is None and saving.high is None:
        return share if saving.share is None else f"{share} (no interval)"
    return f"{share} {ends_of(saving, '95 % CI ')}"


def saved_in_words(arm: Arm, need: Need) -> str:
    """What an arm saves on the way to a target, in percent, as a cell of a table. Random that does not get there takes
    more than the last count."""
    saving = need.saving
    if saving is None:
        return ""
    if need.labels is not None and need.labels_random is None:
        ends = " (no interval)" if len(arm.seeds) < FEWEST_SEEDS else f" {ends_of(saving)}"
        return f"at least {math.floor(100 * (1 - need.labels / need.last))} %{ends}"
    return percent(saving).replace("95 % CI ", "")


def ends_of(saving: Saving, name: str = "") -> str:
    """The interval of a saving in percent; an end that the run cannot tell is open."""
    low, high = ("open" if end is None else f"{round(100 * end)}" for end in (saving.low, saving.high))
    return f"[{name}{low} to {high}]"


def doubts(study: CountStudy) -> list[str]:
    """What a sceptic should distrust in this run, what weighs most first."""
    return [
        *_of_seeds(study),
        *_of_curves(study),
        *_left_out(study),
        *_of_fits(study),
        *_of_classes(study),
        *_of_making(study),
        *_of_seconds(study),
        *_of_design(study),
    ]


def pressing(study: CountStudy) -> list[str]:
    """The doubts that concern what was played, not how all such runs are designed."""
    return [*_of_curves(study), *_left_out(study), *_of_fits(study), *_of_making(study)]


def _of_seeds(study: CountStudy) -> Iterator[str]:
    few = [arm.strategy for arm in study.comparison.arms if not arm.supports_claim]
    if few:
        yield f"Fewer than {SEEDS_FOR_A_CLAIM} paired seeds: {listing(few)}. Nothing is claimed about them."
    undecided = [arm for arm in study.judged if arm.against_random and not is_decided(arm.against_random.final_test)]
    for arm in undecided:
        assert arm.against_random is not None
        of = arm.against_random.final_test.non_inferiority
        when = "too few seeds to tell how many" if of.p is None else f"{of.needed} seeds"
        yield (
            f"{arm.strategy} is undecided, which counts as not shown: {when} would decide in half of such studies, at "
            "today's spread and difference."
        )
    full = study.comparison.full
    if full is None:
        yield "There is no full data: how far the arms are from what all labels give cannot be told."
    elif len(full.seeds) < SEEDS_FOR_A_CLAIM:
        seeds = "1 seed" if len(full.seeds) == 1 else f"{len(full.seeds)} seeds"
        known = f"a band takes {FEWEST_SEEDS}, and targets on the way to it take its mean as known"
        yield f"Full data has {seeds}: {'its band is rough' if len(full.seeds) >= FEWEST_SEEDS else known}."
    if len(study.judged) > 1:
        yield (
            f"{len(study.judged)} arms are compared. Claims of savings are adjusted for that; verdicts and intervals "
            "are for each arm alone, in this corpus alone."
        )


def _of_curves(study: CountStudy) -> Iterator[str]:
    """Arms that are behind over the whole curve, which verdicts on its end do not say."""
    for arm in study.judged:
        assert arm.against_random is not None
        area = arm.against_random.area.test
        if area.mean < -MARGIN:
            yield (
                f"{arm.strategy} is behind random on the way: {area.mean:+.4f} {interval(area, signed=True)}".rstrip()
                + f" over the whole test curve; verdicts are about {study.last:,} labels alone."
            )


def is_decided(of: Difference) -> bool:
    """Whether the question is settled: not worse by more than the margin, or worse."""
    return of.non_inferiority.shown or (of.high is not None and of.high < 0)


def _left_out(study: CountStudy) -> Iterator[str]:
    if study.missing:
        yield f"Unfinished or not played: {by_strategy(study.missing)}. The same command finishes them."
    if study.short:
        counts = f"the {len(study.comparison.counts)} label counts that are compared"
        yield f"Left out, because fewer than {counts} were asked for: {by_strategy(study.short)}."
    failures = study.run.failures
    failed = [f"{name}, seed {seed} ({why})" for (seed, name), why in sorted(failures.items())]
    if failed:
        yield f"Failed: {'; '.join(failed)}. What is compared depends on which fits went well."
    paired = {(seed, arm.strategy) for arm in study.comparison.arms for seed in arm.seeds}
    played = {(seed, name) for name, by_seed in study.by_arm.items() if name != FULL for seed in by_seed}
    unpaired = played - paired - study.missing - study.short - set(failures)
    if unpaired:
        yield f"Left out, because random has not all counts of the seed: {by_strategy(unpaired)}."
    most = max(study.run.setting["at"])
    if study.last < most:
        yield f"Random sampling got to {study.last:,} of {most:,} labels; what other arms did beyond is left out."


def steps_of_fits(study: CountStudy) -> dict[int, int]:
    """The steps of a fit by its label count, full data's last; nothing where the setting does not tell. Fits that end
    once they have converged take as many at most."""
    steps = {count: n for count in study.comparison.counts if (n := steps_of_fit(study, count))}
    full = {study.comparison.train: study.run.setting["full_steps"]} if steps and study.comparison.full else {}
    return {**steps, **full}


def steps_of_fit(study: CountStudy, labels: int) -> int | None:
    """The steps of a fit that learns from so many labels; None where the setting does not tell."""
    setting, recipe = study.run.setting, study.run.setting.get("recipe") or {}
    least, size = recipe.get("steps"), recipe.get("batch_size")
    if not least or not size:
        return None
    if isinstance(least, str):
        return auto_recipe.steps(labels, size) if least == auto_recipe.RULE else None
    by_epochs = math.ceil((setting.get("epochs") or 0.0) * labels / size)
    return by_epochs if by_epochs > least else int(least)


def control_labels(record: Record) -> int | None:
    """How many of a round's labels are its control set's, which nothing is learnt from; None where a form's records do
    not tell."""
    return 0 if record.control is None else record.control.get("labels")


def at_most(study: CountStudy) -> str:
    """What is to be said behind a number of steps or epochs of a fit that may end before."""
    return " at most" if (study.run.setting.get("recipe") or {}).get("stop_loss") else ""


def _of_fits(study: CountStudy) -> Iterator[str]:
    short = [
        f"{name} with {labels:,} labels {100 * share:.0f} %"
        for name, labels, share in _known_to_fits(study)
        if share < WELL_FITTED
    ]
    if short:
        yield (
            f"Perhaps undertrained: fits know too few of their own labels ({'; '.join(short)}), for want of steps or "
            "as labels contradict each other."
        )
    full, steps = study.comparison.full, steps_of_fits(study)
    if full and steps:
        whole, ours = (
            steps[n] * study.run.setting["recipe"]["batch_size"] / n for n in (study.comparison.train, study.last)
        )
        if whole < ours:
            yield (
                f"Full data is fitted for {whole:.1f} epochs{at_most(study)}, versions with {study.last:,} labels for "
                f"{ours:.1f}{at_most(study)}: it might score higher with as many."
            )
    above = [arm.strategy for arm in study.comparison.arms if full and arm.final.test.mean > full.test.mean]
    if above:
        yield f"{listing(above)} with {study.last:,} labels above full data: the fit on all labels may be too short."
    for arm in study.comparison.arms:
        for before, after in zip(arm.curve, arm.curve[1:], strict=False):
            if after.test.mean < before.test.mean:
                yield (
                    f"{arm.strategy} falls from {before.test.mean:.4f} with {before.labels:,} labels to "
                    f"{after.test.mean:.4f} with {after.labels:,}: noise, or fits that do not keep up."
                )


def _known_to_fits(study: CountStudy) -> Iterator[tuple[str, int, float]]:
    """Strategy, labels and mean accuracy on the labels of the fit, where it was recorded."""
    groups: dict[tuple[str, int], list[float]] = {}
    for record in study.run.rounds:
        if record.train_accuracy is not None:
            groups.setdefault((record.strategy, record.labels), []).append(record.train_accuracy)
    for (name, labels), shares in groups.items():
        yield name, labels, float(np.mean(shares))


def _of_classes(study: CountStudy) -> Iterator[str]:
    counts = study.run.setting["data"].get("counts") or {}
    for part in ("dev", "test"):
        by_label = counts.get(part) or {}
        absent = [label for label in study.comparison.labels if not by_label.get(label)]
        few = {label: n for label, n in by_label.items() if 0 < n <= FEW_EXAMPLES}
        hence = ", hence in no score of a question with one answer" if study.layout else f", hence in no {part} score"
        if by_label and absent:
            yield f"Without {part} examples{hence}: {_some(absent)}."
        if few:
            names = _some([f"{label} {n}" for label, n in sorted(few.items(), key=lambda item: item[1])])
            one, many = ("label", "labels") if study.layout else ("class", "classes")
            have = f"{one} has" if len(few) == 1 else f"{many} have"
            yield (
                f"{len(few)} {have} {FEW_EXAMPLES} {part} examples or fewer ({names}), and as much weight in "
                "macro-F1 as the largest."
            )


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _of_making(study: CountStudy) -> Iterator[str]:
    for words, count in (study.run.setting["data"].get("shared") or {}).items():
        if count:
            yield f"{'A leak' if words.endswith('in train') else 'Repeated'}: {count} {words}."
    mixed = [str(seed) for seed, machines in machines_by_seed(study).items() if len(machines) > 1]
    if mixed:
        yield f"Arms of one seed on several machines, so that its pairs differ in more than the order: {_some(mixed)}."
    elif len({name for machines in machines_by_seed(study).values() for name in machines}) > 1:
        yield "Seeds were played on several machines, each seed on one: pairs are whole, seconds cannot be compared."
    again = [f"{arm['strategy']}, seed {arm['seed']}" for start in study.run.invocations for arm in begun_anew(start)]
    if again:
        yield f"Begun anew: {'; '.join(again)}."
    differing = list(differing_versions(study.run.rounds))
    if differing:
        yield f"Rounds were made with different versions of packages: {'; '.join(differing)}."


def _of_seconds(study: CountStudy) -> Iterator[str]:
    """Whether fits with as many labels took much longer in one arm than in another."""
    by_arm: dict[str, list[float]] = {}
    for record in study.run.rounds:
        if record.labels == study.last and not baselines.kind_of(record.strategy):
            by_arm.setdefault(record.strategy, []).append(record.seconds.get("fit", 0.0))
    means = [float(np.mean(seconds)) for seconds in by_arm.values()]
    if means and max(means) > UNEVEN * min(means):
        yield (
            f"Fits with {study.last:,} labels took {min(means):.0f} to {max(means):.0f} seconds in the mean of an arm: "
            "where fits are alike, other work ran beside them, and seconds of arms cannot be compared."
        )


def begun_anew(start: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    """The arms that a start took out and played from their beginning."""
    found = start.get("begun_anew")
    return found if isinstance(found, list) else []


def machines_by_seed(study: CountStudy) -> Mapping[int, list[str]]:
    """Processors by seed, of its arms; the baseline, which is paired with none, is left out."""
    found: dict[int, dict[str, None]] = {}
    for record in study.run.rounds:
        if record.strategy != FULL:
            found.setdefault(record.seed, {}).setdefault(record.machine or "not recorded", None)
    return {seed: list(machines) for seed, machines in sorted(found.items())}


def _of_design(study: CountStudy) -> Iterator[str]:
    for group in study.alike:
        yield (
            f"With two classes {listing(group)} order every pool alike, but for rounding: they are one arm, and "
            f"headline and figures show {group[0]} alone."
        )
    yield (
        "One split: pool, dev and test were drawn once. Intervals speak of other start sets and other fits on these "
        "texts, not of other texts."
    )
    yield (
        "Dev is used twice: targets and the labels needed for them are both read off it, by the same rule for every "
        "arm. Test decides nothing, but the same test texts judge all arms and seeds. By which data the recipe was "
        "chosen is not in the records."
    )
    yield (
        "Bootstrap intervals (curves, areas, savings) are somewhat too narrow with few seeds: with 10 they leave the "
        "truth out in nearly 10 % of cases, not in 5 %. A claim of savings needs more than an interval above 0: its "
        "p-value is corrected for few seeds and, by Holm, for the number of arms (live, the default, stands for "
        "itself)."
    )
    yield (
        "Labels needed lie between two counts by interpolation; versions were fitted at "
        f"{listing([f'{count:,}' for count in study.comparison.counts])} labels only."
    )
