"""What runs on several corpora support together, in sentences, and what should make a reader doubt it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from nextlabel.simulation import baselines, confirming
from nextlabel.simulation.comparisons import RANDOM_FINAL, Arm, Corpora, InCorpus, OverCorpora, claimed
from nextlabel.simulation.confirming import FrozenFile
from nextlabel.simulation.corpora_tables import Qualities
from nextlabel.simulation.count_quality import Without, led_by_one_class, of_versions
from nextlabel.simulation.count_study import CountStudy, pressing
from nextlabel.simulation.curves import SEEDS_FOR_A_CLAIM
from nextlabel.simulation.provenance import listing
from nextlabel.simulation.records import differences
from nextlabel.simulation.study import from_to
from nextlabel.simulation.verdicts import MARGIN

FEW_CORPORA, MOST_NAMED = 5, 3
SAME_TEXTS = ({"r8", "r52"}, {"reviews-even", "reviews-rare"})  # corpora, whatever their directories are called


@dataclass(frozen=True)
class CorporaStudy:
    """The runs, each of a corpus, by the names of their directories, and what they say together.

    `waiting` are those in which random sampling has not begun yet; `frozen` the files that froze what they played.
    """

    studies: Mapping[str, CountStudy]
    qualities: Qualities
    corpora: Corpora
    waiting: Sequence[str] = ()
    frozen: Sequence[FrozenFile] = ()

    @property
    def judged(self) -> list[OverCorpora]:
        """The arms that the headline is about: those that fit the model."""
        return [arm for arm in self.corpora.arms if not baselines.kind_of(arm.strategy)] or list(self.corpora.arms)

    @property
    def rows(self) -> list[tuple[str, CountStudy, Arm, InCorpus]]:
        """Every arm but random, corpus by corpus."""
        found = {(row.corpus, over.strategy): row for over in self.corpora.arms for row in over.corpora}
        return [
            (name, study, arm, found[name, arm.strategy])
            for name, study in self.studies.items()
            for arm in study.rivals
        ]

    def led(self, name: str, strategy: str) -> tuple[str, Without] | None:
        """Of an arm whose difference to random is shown, and more than half of it that of one class: which, and what is
        left without it."""
        [of] = [quality for quality in self.qualities[name] if quality.strategy == strategy]
        without = led_by_one_class(self.studies[name], of)
        return (self.studies[name].comparison.labels[without.label], without) if without else None

    @cached_property
    def claims(self) -> set[tuple[str, str]]:
        """Directory and strategy of the arms that are claimed to save labels, all adjusted for each other."""
        judged = {over.strategy for over in self.judged}
        arms = [(name, arm) for name, _, arm, _ in self.rows if arm.strategy in judged]
        shown = claimed([arm for _, arm in arms])
        return {(name, arm.strategy) for (name, arm), is_shown in zip(arms, shown, strict=True) if is_shown}


def headlines(report: CorporaStudy) -> list[str]:
    """Two sentences: what is shown in which corpora, and what they say together."""
    if not report.judged:
        return ["Only random sampling has been played to an end: nothing is compared."]
    return [_first(report), _second(report)]


def _first(report: CorporaStudy) -> str:
    said = "; ".join(f"{over.strategy} {_counted(report, over)}{_saved(report, over)}" for over in report.judged)
    many = len(report.studies)
    corpora = "1 corpus" if many == 1 else f"{many} corpora"
    return f"{corpora}, against random sampling at the last label count: {said}."


def _counted(report: CorporaStudy, over: OverCorpora) -> str:
    groups: dict[str, list[str]] = {}
    for row in over.corpora:
        groups.setdefault(verdict(row), []).append(row.corpus)
    where = {
        said: _named([report.studies[name].title for name in names]) + _mostly(report, over, names)
        for said, names in groups.items()
    }
    return "is " + ", ".join(f"{said} in {where[said]}" for said in VERDICTS if said in where)


def _mostly(report: CorporaStudy, over: OverCorpora, corpora: Sequence[str]) -> str:
    """Where more than half of a difference is that of one class."""
    led = [found[0] for name in corpora if (found := report.led(name, over.strategy))]
    if not led:
        return ""
    return f" mostly by {led[0]}" if len(corpora) == 1 else f", mostly by one class in {len(led)} of them,"


def _named(corpora: Sequence[str]) -> str:
    return f"{len(corpora)} ({listing(corpora)})" if len(corpora) <= MOST_NAMED else str(len(corpora))


def _saved(report: CorporaStudy, over: OverCorpora) -> str:
    """In how many corpora an arm is claimed to save labels, and how many of them."""
    claims = [arm for name, _, arm, _ in report.rows if (name, arm.strategy) in report.claims]
    needs = [need for arm in claims if arm.strategy == over.strategy and (need := arm.need(RANDOM_FINAL))]
    shares = [round(100 * need.saving.share) for need in needs if need.saving and need.saving.share is not None]
    if not shares:
        return ", and is not shown to save labels"
    return f", and saves {from_to(shares)} % of random's labels in {len(shares)} of {len(over.corpora)}"


BETTER, NO_WORSE, WORSE = "better", f"not worse by more than {MARGIN:g}", "worse"
SLIGHTLY_WORSE = f"worse by at most {MARGIN:g}"
UNDECIDED, TOO_FEW = "undecided", "not judged for want of seeds"
VERDICTS = (BETTER, NO_WORSE, SLIGHTLY_WORSE, WORSE, UNDECIDED, TOO_FEW)


def verdict(row: InCorpus) -> str:
    """What is shown of an arm in a corpus, adjusted for the others; worse is not adjusted."""
    if has_few(row):
        return TOO_FEW
    if row.superiority.shown:
        return BETTER
    if row.high is not None and row.high < 0:
        return SLIGHTLY_WORSE if row.non_inferiority.shown else WORSE
    return NO_WORSE if row.non_inferiority.shown else UNDECIDED


def _second(report: CorporaStudy) -> str:
    if len(report.studies) == 1:
        return "One corpus says nothing about others."
    several = [over for over in report.judged if len(over.corpora) >= FEW_CORPORA]
    if not several:
        return (
            f"No arm has been compared on {FEW_CORPORA} corpora or more, so no general statement about corpora like "
            "these is made here."
        )
    weak = any(has_few(row) for over in several for row in over.corpora)
    also = f"; corpora with fewer than {SEEDS_FOR_A_CLAIM} paired seeds count, too" if weak else ""
    return (
        f"Over corpora like these, the probabilities that the typical difference to random is above {MARGIN:g}, within "
        f"{MARGIN:g} of 0, or below -{MARGIN:g} are {'; '.join(map(_together, several))}{also}."
    )


def _together(over: OverCorpora) -> str:
    of = over.summary
    probabilities = f"{of.better:.2f}, {of.equivalent:.2f} and {of.worse:.2f} for {over.strategy}"
    return f"{probabilities} (mean difference {of.mean:+.4f}, {of.corpora} corpora)"


def doubts(report: CorporaStudy) -> list[str]:
    """What a sceptic should distrust in the corpora together."""
    return [*_of_corpora(report), *_of_settings(report), *_of_runs(report)]


def _of_corpora(report: CorporaStudy) -> Iterator[str]:
    many = len(report.studies)
    if 1 < many < FEW_CORPORA:
        yield f"{many} corpora are few: what is said over corpora rests on which were taken."
    if many > 1:
        yield "Corpora were chosen, not drawn at random: what is said of all of them need not hold for others."
    forms = [study.title for study in report.studies.values() if study.layout]
    if forms and len(forms) < many:
        yield f"Unlike the others, these ask several questions or allow several labels a text: {listing(forms)}."
    corpora = {name: confirming.corpus_of(study) for name, study in report.studies.items()}
    for same in SAME_TEXTS:
        if same <= set(corpora.values()):
            names = listing([name for name, corpus in corpora.items() if corpus in same])
            yield f"{names} are made of the same texts, and count as several."
    alike: dict[str, list[str]] = {}
    for study in report.studies.values():
        for group in study.alike:
            alike.setdefault(listing(group), []).append(study.title)
    for arms, titles in alike.items():
        yield f"Two classes, where {arms} are one arm under several names: {listing(titles)}."
    if len(report.judged) > 1:
        yield f"{len(report.judged)} arms are compared; verdicts are adjusted by Holm for corpora, not for arms."
    if report.claims:
        yield (
            "Savings are claimed from a bootstrap over few seeds. Its p-values are corrected for that and, by Holm, "
            "for all arms and corpora together, but those of live, the default, for corpora alone; the intervals "
            "beside savings are not, and are somewhat too narrow."
        )
    few = {report.studies[row.corpus].title for over in report.judged for row in over.corpora if has_few(row)}
    if few:
        yield (
            f"Fewer than {SEEDS_FOR_A_CLAIM} paired seeds: {listing(sorted(few))}. Nothing is claimed about these "
            "alone, but over corpora they count as much as others."
        )
    if any(verdict(row) in (WORSE, SLIGHTLY_WORSE) for over in report.judged for row in over.corpora):
        yield "That an arm is worse is read off its own interval, not adjusted for the number of corpora."


def has_few(row: InCorpus) -> bool:
    """Whether there are too few paired seeds to say anything, whatever it is."""
    return row.seeds < SEEDS_FOR_A_CLAIM


def _of_settings(report: CorporaStudy) -> Iterator[str]:
    yield from confirming.doubts(report.studies, report.frozen)
    (first, base), *others = ((name, _played_by(study)) for name, study in report.studies.items())
    for name, setting in others:
        differing = differences(setting, base)
        if differing:
            yield f"{name} was played otherwise than {first}: {'; '.join(differing)}."


def _played_by(study: CountStudy) -> dict[str, object]:
    """What should be alike in all corpora. Fits on all the data have steps by their size: their epochs tell."""
    keys = ("base_model", "recipe", "at", "epochs", "start_by", "control_share", "frozen")
    setting = study.run.setting
    size, steps = (setting.get("recipe") or {}).get("batch_size"), setting.get("full_steps")
    epochs = round(steps * size / study.comparison.train, 1) if size and steps and study.comparison.full else None
    return {**{key: setting.get(key) for key in keys}, "epochs on all data": epochs}


def _of_runs(report: CorporaStudy) -> Iterator[str]:
    for name, study in report.studies.items():
        for doubt in (*of_versions(study, report.qualities[name]), *pressing(study)):
            yield f"{name}: {doubt}"
    yield "One split a corpus; each corpus's own report has more to distrust."
