"""The report of runs with label counts on several corpora: one page that says what they show together."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from nextlabel.errors import BadRunError
from nextlabel.simulation import baselines, comparisons, count_figures, figures
from nextlabel.simulation.blocks import (
    Block,
    Code,
    Heading,
    Items,
    Paragraph,
    Picture,
    Table,
    block_md,
    renew_block,
    to_html,
)
from nextlabel.simulation.comparisons import RANDOM_FINAL, Arm, Corpora, InCorpus, OverCorpora
from nextlabel.simulation.corpora_tables import Qualities, hours_section, quality_section
from nextlabel.simulation.count_figures import Bar, BarPanel
from nextlabel.simulation.count_quality import qualities
from nextlabel.simulation.count_report import curve_panel, read_count_study, saving_bar
from nextlabel.simulation.count_study import CountStudy, ends_of, pressing
from nextlabel.simulation.curves import SEEDS_FOR_A_CLAIM, Estimate
from nextlabel.simulation.provenance import by_strategy, listing
from nextlabel.simulation.records import INVOCATIONS, LIVE, RANDOM, ROUNDS, differences, read_json, read_rounds
from nextlabel.simulation.study import from_to
from nextlabel.simulation.verdicts import MARGIN

TITLE = "What active learning saves, corpus by corpus"
START, END = "<!-- results:corpora -->", "<!-- /results -->"
FEW_CORPORA, MOST_NAMED = 5, 3
WIDEST = 0.25  # of the axis of differences, on either side
NEAREST = {  # to what a new project is served by, and what is to be said of it
    LIVE: ", as new projects are served",
    "margin": " alone, for the default itself is not played yet",
}
SAME_TEXTS = (("r8", "r52"), ("reviews-even", "reviews-rare"))


@dataclass(frozen=True)
class CorporaReport:
    """The runs, each of a corpus, by the names of their directories, and what they say together.

    `waiting` are those in which random sampling has not begun yet.
    """

    studies: Mapping[str, CountStudy]
    qualities: Qualities
    corpora: Corpora
    waiting: Sequence[str] = ()

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


def write_report(directories: Sequence[Path], out: Path, first_page: Path | None = None) -> CorporaReport:
    """Write figures, `overview.html`, `corpora.json` and `README.md`, or its block for corpora, into `out`; and a short
    form into the block of a first page, if there is one.

    Raises `BadRunError` when a run cannot be read or compared, or when two directories have one name.
    """
    report = read_report(directories)
    try:
        _write_files(report, directories, out)
        if first_page is not None:
            renew_block(first_page, START, END, "the results over corpora", short(report, out, first_page))
    except OSError as error:
        raise BadRunError(f"Cannot write the report to {out}: {error.strerror}. Give another --out.") from None
    return report


def read_report(directories: Sequence[Path]) -> CorporaReport:
    """All that the report tells. Raises `BadRunError` as `write_report` does."""
    names = [directory.resolve().name for directory in directories]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise BadRunError(f"Several directories are called {', '.join(double)}, and each is one corpus. Rename them.")
    begun = {name: directory for name, directory in zip(names, directories, strict=True) if _has_begun(directory)}
    if not begun:
        raise BadRunError(f"No run has a round of {RANDOM} yet: {listing(names)}. Let one go on.")
    studies = {name: read_count_study([directory]) for name, directory in begun.items()}
    said = {name: qualities(studies[name], [directory]) for name, directory in begun.items()}
    compared = comparisons.over_corpora([study.comparison for study in studies.values()])
    return CorporaReport(studies, said, compared, [name for name in names if name not in begun])


def _has_begun(directory: Path) -> bool:
    """Whether there is a round of random sampling. Raises `BadRunError` where no run was ever started."""
    if read_json(directory / INVOCATIONS) is None:
        raise BadRunError(f"{directory / INVOCATIONS} is missing. Give a directory that nextlabel simulate wrote.")
    return any(record.strategy == RANDOM for record in read_rounds(directory / ROUNDS))


def _write_files(report: CorporaReport, directories: Sequence[Path], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    blocks = list(_blocks(report, _command(directories, out), out))
    (out / "overview.html").write_text(to_html(TITLE, blocks), encoding="utf-8")
    numbers = {"sentences": headlines(report), "doubts": doubts(report), "corpora": report.corpora.as_dict()}
    (out / "corpora.json").write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    readme = out / "README.md"
    if not readme.exists():
        readme.write_text(f"# {TITLE}\n\n{START}\n{END}\n", encoding="utf-8")
    renew_block(readme, START, END, "the results over corpora", _text(blocks, directories, out))


def block(report: CorporaReport, directories: Sequence[Path], out: Path) -> str:
    """What `README.md` says in its block for corpora. Writes nothing."""
    return _text(list(_blocks(report, _command(directories, out), None)), directories, out)


def _text(blocks: Sequence[Block], directories: Sequence[Path], out: Path) -> str:
    return "\n\n".join([*map(block_md, blocks), *_links(directories, out)])


def _command(directories: Sequence[Path], out: Path) -> str:
    return f"nextlabel report-corpora {' '.join(map(str, directories))} --out {out}"


def short(report: CorporaReport, out: Path, page: Path) -> str:
    """What a first page says in its block for corpora: a row for each corpus, of the arm that is the default or nearest
    to it, and where the rest is."""
    there = {arm.strategy for arm in report.corpora.arms}
    name = next((name for name in NEAREST if name in there), None)
    if name is None:
        return block_md(Paragraph(headlines(report)[0], strong=True))
    head = ["corpus", "classes, smallest", "random", name, "saved", "no worse than random", "full data"]
    rows = [_short_row(*row) for row in report.rows if row[2].strategy == name]
    here = Path(os.path.relpath(out, page.parent)).as_posix()
    table = Table(f"Labels for the same macro-F1, at random and by {name}{NEAREST[name]}.", head, rows)
    text = block_md(table).replace(" | ", "|")  # a first page has few words, and a lone line counts as one
    return f"{text}\n\n[All arms, curves, and what to distrust]({here}/README.md)."


def _short_row(name: str, study: CountStudy, arm: Arm, row: InCorpus) -> list[str]:
    pool = (study.run.setting["data"].get("counts") or {}).get("train") or {}
    smallest = f", {100 * min(pool.values()) / study.texts(pool):.1f} %" if pool else ""
    of = _arm_row(name, study, arm, row)
    shown = {TOO_FEW: "too few seeds", UNDECIDED: "not shown", WORSE: "worse"}.get(verdict(row), "shown")
    classes = f"{_classes_in_words(study).removesuffix(' classes')}{smallest}"
    saved, full = f"{of[5]}, no claim" if _has_few(row) else of[5], study.comparison.full
    return [study.title, classes, of[4], of[3], saved, shown, f"{full.test.mean:.3f}" if full else "none"]


def _links(directories: Sequence[Path], out: Path) -> Iterator[str]:
    there = [directory for directory in directories if (directory / "summary.md").exists()]
    if there:
        links = (f"[{d.resolve().name}]({Path(os.path.relpath(d, out)).as_posix()}/summary.md)" for d in there)
        yield f"Each corpus has its own report: {', '.join(links)}."


def headlines(report: CorporaReport) -> list[str]:
    """Two sentences: what is shown in which corpora, and what they say together."""
    if not report.judged:
        return ["Only random sampling has been played to an end: nothing is compared."]
    return [_first(report), _second(report)]


def _first(report: CorporaReport) -> str:
    said = "; ".join(f"{over.strategy} {_counted(report, over)}{_saved(report, over)}" for over in report.judged)
    many = len(report.studies)
    corpora = "1 corpus" if many == 1 else f"{many} corpora"
    return f"{corpora}, against random sampling at the last label count: {said}."


def _counted(report: CorporaReport, over: OverCorpora) -> str:
    groups: dict[str, list[str]] = {}
    for row in over.corpora:
        groups.setdefault(verdict(row), []).append(report.studies[row.corpus].title)
    return "is " + ", ".join(f"{said} in {_named(groups[said])}" for said in VERDICTS if said in groups)


def _named(corpora: Sequence[str]) -> str:
    return f"{len(corpora)} ({listing(corpora)})" if len(corpora) <= MOST_NAMED else str(len(corpora))


def _saved(report: CorporaReport, over: OverCorpora) -> str:
    """In how many corpora an arm is shown to save labels, and how many of them."""
    shown = [
        need.saving.share
        for _, _, arm, _ in report.rows
        if arm.strategy == over.strategy and arm.supports_claim and (need := arm.need(RANDOM_FINAL))
        if need.saving and need.saving.share is not None and (need.saving.low or 0) > 0
    ]
    if not shown:
        return ", and is not shown to save labels"
    ends = from_to([round(100 * share) for share in shown])
    return f", and saves {ends} % of random's labels in {len(shown)} of {len(over.corpora)}"


BETTER, NO_WORSE, WORSE = "better", f"not worse by more than {MARGIN:g}", "worse"
UNDECIDED, TOO_FEW = "undecided", "not judged for want of seeds"
VERDICTS = (BETTER, NO_WORSE, WORSE, UNDECIDED, TOO_FEW)


def verdict(row: InCorpus) -> str:
    """What is shown of an arm in a corpus, adjusted for the others; worse is not adjusted."""
    if _has_few(row):
        return TOO_FEW
    if row.superiority.shown:
        return BETTER
    if row.high is not None and row.high < 0:
        return WORSE
    return NO_WORSE if row.non_inferiority.shown else UNDECIDED


def _second(report: CorporaReport) -> str:
    several = [over for over in report.judged if len(over.corpora) > 1]
    if not several:
        return "One corpus says nothing about others."
    weak = any(_has_few(row) for over in several for row in over.corpora)
    also = f"; corpora with fewer than {SEEDS_FOR_A_CLAIM} paired seeds count, too" if weak else ""
    return (
        f"In a corpus like these, the probabilities that an arm is better than random by more than {MARGIN:g}, within "
        f"that of it, or worse are {'; '.join(map(_together, several))}{also}."
    )


def _together(over: OverCorpora) -> str:
    of = over.summary
    probabilities = f"{of.better:.2f}, {of.equivalent:.2f} and {of.worse:.2f} for {over.strategy}"
    return f"{probabilities} (mean difference {of.mean:+.4f}, {of.corpora} corpora)"


def _blocks(report: CorporaReport, command: str, out: Path | None) -> Iterator[Block]:
    """With figures that are drawn into `out`, if there is one."""
    for line in headlines(report):
        yield Paragraph(line, strong=True)
    yield from map(Paragraph, _unfinished(report))
    yield _curves_picture(report, out)
    if report.judged:
        yield Heading("Differences and savings")
        yield _forest_picture(report, out)
    yield from _table_section(report)
    if report.judged:
        yield from hours_section(report.studies)
        yield from quality_section(report.studies, report.qualities)
    yield from _summary_section(report)
    yield Heading("What to distrust")
    yield Items(doubts(report))
    yield Heading("How it was made")
    yield Code(command)


def _unfinished(report: CorporaReport) -> Iterator[str]:
    missing = [f"{name} ({by_strategy(study.missing)})" for name, study in report.studies.items() if study.missing]
    if missing:
        yield f"Unfinished, with the seeds that are missing: {'; '.join(missing)}."
    if report.waiting:
        yield f"Left out, as random sampling has not begun there: {listing(report.waiting)}."


def _drawn(figure: Figure, out: Path | None, name: str) -> str:
    return figures.save(figure, out, name) if out else ""


def _curves_picture(report: CorporaReport, out: Path | None) -> Picture:
    panels = []
    for study in report.studies.values():
        panel = curve_panel(study, f"{study.title}\n{_classes_in_words(study)}")
        own = [line for line in panel.lines if not baselines.kind_of(line.name)]
        panels.append(count_figures.CurvePanel(panel.title, own, panel.full))
    two = any(study.alike for study in report.studies.values())
    alike = " With two classes entropy stands for margin, too." if two else ""
    svg = _drawn(count_figures.small_multiples(panels, "macro-F1 on test"), out, "corpora-curves")
    return Picture(
        "corpora-curves",
        svg,
        f"Mean macro-F1 on test over labels used, for {listing([study.title for study in report.studies.values()])}",
        "Mean macro-F1 on test over labels used, means over paired seeds with 95 % bands. Every panel has its own "
        f"scale.{alike}",
    )


def _forest_picture(report: CorporaReport, out: Path | None) -> Picture:
    shown = [(study, arm, row) for _, study, arm, row in report.rows if arm in study.judged]
    differing: dict[str, list[Bar]] = {}
    saving: dict[str, list[Bar]] = {}
    for study, arm, row in shown:
        need = arm.need(RANDOM_FINAL)
        assert need is not None
        differing.setdefault(study.title, []).append(_difference_bar(arm.strategy, row))
        saving.setdefault(study.title, []).append(saving_bar(arm.strategy, need))
    ends = [abs(end) for _, _, row in shown for end in (row.mean, row.low, row.high, 2 * MARGIN) if end is not None]
    wide = min(WIDEST, 1.08 * max(ends))
    panels = [
        BarPanel("Macro-F1 minus random's", "at the last label count, on test", -wide, wide, differing, line=-MARGIN),
        BarPanel("Labels saved", "to random's last score (%)", -100, 100, saving, percent=True),
    ]
    svg = _drawn(count_figures.bars(panels), out, "corpora-savings")
    said = [f"{study.title}, {arm.strategy}: {row.mean:+.4f}" for study, arm, row in shown]
    return Picture(
        "corpora-savings",
        svg,
        f"Difference to random in macro-F1 and labels saved. {'; '.join(said)}",
        f"Left: difference of the final test score, with Student's 95 % interval; dashed at -{MARGIN:g}, above which a "
        "loss counts as none. Right: share of random's labels that are not needed for random's last dev score, with "
        "its bootstrap interval. Arrows: beyond the axis, or open. Intervals are those of each corpus alone.",
    )


def _difference_bar(name: str, row: InCorpus) -> Bar:
    words = _plus(row.mean)
    if row.low is not None and row.high is not None:
        words += f" [{_plus(row.low)} to {_plus(row.high)}]"
    return Bar(name, row.mean, row.low, row.high, words)


def _plus(value: float) -> str:
    return f"{round(value, 3) + 0:+.3f}"  # never -0.000


def _table_section(report: CorporaReport) -> Iterator[Block]:
    yield Heading("Corpus by corpus")
    head = ["corpus", "classes", "pool", "largest, smallest class", "labels", "random, test", "full data, test"]
    yield Table("Macro-F1 on test, at the last label count.", head,
                [_corpus_row(study) for study in report.studies.values()])  # fmt: skip
    head = ["corpus", "arm", "seeds", "labels", "random's labels", "saved", "difference", "verdict", "seeds to decide"]
    yield Table(
        "Labels for the same dev macro-F1, that of random at the last count, the share saved in % [95 % interval], and "
        "the difference of the final test score, with its verdict adjusted by Holm over corpora. Seeds to decide "
        "whether a loss is above 0.01: in this corpus alone, as spread and mean are now.",
        head,
        [_arm_row(*row) for row in report.rows],
    )


def _classes_in_words(study: CountStudy) -> str:
    """Such as `8 classes`; of a form those of each question."""
    return f"{' + '.join(str(count) for count in study.classes)} classes"


def _corpus_row(study: CountStudy) -> list[str]:
    pool = (study.run.setting["data"].get("counts") or {}).get("train") or {}
    total, full = study.texts(pool), study.comparison.full
    extremes = f"{100 * max(pool.values()) / total:.1f} %, {100 * min(pool.values()) / total:.1f} %" if pool else ""
    return [
        study.title,
        _classes_in_words(study).removesuffix(" classes"),
        f"{study.comparison.train:,}",
        extremes,
        f"{study.last:,}",
        _over(study.random.final.test),
        _over(full.test) if full else "none",
    ]


def _over(score: Estimate) -> str:
    return f"{score.mean:.4f} ({score.seeds} seed{'s' if score.seeds > 1 else ''})"


def _arm_row(name: str, study: CountStudy, arm: Arm, row: InCorpus) -> list[str]:
    need = arm.need(RANDOM_FINAL)
    assert need is not None
    saving = need.saving
    share = "not reached" if saving is None or saving.share is None else f"{round(100 * saving.share)} %"
    known = saving is not None and (saving.low is not None or saving.high is not None)
    said = verdict(row)
    return [
        study.title,
        arm.strategy,
        str(row.seeds),
        "not reached" if need.labels is None else f"{need.labels:,}",
        "not reached" if need.labels_random is None else f"{need.labels_random:,}",
        f"{share} {ends_of(saving)}" if saving and known else share,
        _difference_bar(name, row).words,
        "too few seeds" if said == TOO_FEW else said,
        row.non_inferiority.needed if said in (UNDECIDED, TOO_FEW) else "decided",
    ]


def _summary_section(report: CorporaReport) -> Iterator[Block]:
    if all(len(over.corpora) < 2 for over in report.corpora.arms):
        return
    yield Heading("Over corpora")
    yield Table(
        f"Probability that in a corpus like these an arm differs from random by more than {MARGIN:g}.",
        ["arm", "corpora", "mean difference", "worse", "equivalent", "better"],
        [_summary_row(over) for over in report.corpora.arms if len(over.corpora) > 1],
    )
    yield Paragraph(
        "By the Bayesian signed-rank test (Benavoli et al., ICML 2014 and JMLR 18, 2017) of the corpora's mean "
        "differences in final test macro-F1, each corpus counted as one, its mean taken as known."
    )


def _summary_row(over: OverCorpora) -> list[str]:
    of = over.summary
    probabilities = (f"{chance:.3f}" for chance in (of.worse, of.equivalent, of.better))
    return [over.strategy, str(of.corpora), f"{of.mean:+.4f}", *probabilities]


def doubts(report: CorporaReport) -> list[str]:
    """What a sceptic should distrust in the corpora together."""
    return [*_of_corpora(report), *_of_settings(report), *_of_runs(report)]


def _of_corpora(report: CorporaReport) -> Iterator[str]:
    many = len(report.studies)
    if many < FEW_CORPORA:
        yield f"{many} corpora are few: what is said over corpora rests on which were taken."
    yield "Corpora were not drawn from anything: they are those that could be had, English, with one label a text."
    for pair in SAME_TEXTS:
        if set(pair) <= set(report.studies):
            yield f"{listing(list(pair))} are made of the same texts, and count as two."
    alike = [study.title for study in report.studies.values() if study.alike]
    if alike:
        yield f"Two classes, where entropy and margin are one arm under two names: {listing(alike)}."
    if len(report.judged) > 1:
        yield f"{len(report.judged)} arms are compared; Holm adjusts for corpora, not for arms."
    few = {report.studies[row.corpus].title for over in report.judged for row in over.corpora if _has_few(row)}
    if few:
        yield (
            f"Fewer than {SEEDS_FOR_A_CLAIM} paired seeds: {listing(sorted(few))}. Nothing is claimed about these "
            "alone, but over corpora they count as much as others."
        )
    if any(verdict(row) == WORSE for over in report.judged for row in over.corpora):
        yield "That an arm is worse is read off its own interval, not adjusted for the number of corpora."


def _has_few(row: InCorpus) -> bool:
    return row.seeds < SEEDS_FOR_A_CLAIM


def _of_settings(report: CorporaReport) -> Iterator[str]:
    early = [name for name, study in report.studies.items() if not study.run.setting.get("frozen")]
    if early:
        yield f"Not played with a default that was frozen before, hence to explore, not to confirm: {listing(early)}."
    keys = ("base_model", "recipe", "at", "epochs", "start_by")
    shown = {name: {key: study.run.setting.get(key) for key in keys} for name, study in report.studies.items()}
    (first, base), *others = shown.items()
    for name, setting in others:
        differing = differences(setting, base)
        if differing:
            yield f"{name} was played otherwise than {first}: {'; '.join(differing)}."


def _of_runs(report: CorporaReport) -> Iterator[str]:
    for name, study in report.studies.items():
        for doubt in pressing(study):
            yield f"{name}: {doubt}"
    yield "One split a corpus; each corpus's own report has more to distrust."
