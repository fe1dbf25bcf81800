"""The report of runs with label counts on several corpora: one page that says what they show together."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from nextlabel.errors import BadRunError
from nextlabel.simulation import baselines, comparisons, confirming, count_figures, figures
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
from nextlabel.simulation.comparisons import RANDOM_FINAL, Arm, InCorpus, OverCorpora, Saving
from nextlabel.simulation.corpora_study import (
    BETTER,
    FEW_CORPORA,
    SLIGHTLY_WORSE,
    TOO_FEW,
    UNDECIDED,
    WORSE,
    CorporaStudy,
    doubts,
    has_few,
    headlines,
    verdict,
)
from nextlabel.simulation.corpora_tables import hours_section, quality_section, said_alike
from nextlabel.simulation.count_figures import Bar, BarPanel
from nextlabel.simulation.count_making import hours_spent
from nextlabel.simulation.count_quality import qualities
from nextlabel.simulation.count_report import curve_panel, read_count_study, saving_bar
from nextlabel.simulation.count_study import CountStudy, ends_of
from nextlabel.simulation.curves import Estimate
from nextlabel.simulation.provenance import by_strategy, listing
from nextlabel.simulation.records import INVOCATIONS, LIVE, RANDOM, ROUNDS, read_json, read_rounds
from nextlabel.simulation.study import from_to
from nextlabel.simulation.verdicts import MARGIN

TITLE = "What active learning saves, corpus by corpus"
START, END = "<!-- results:corpora -->", "<!-- /results -->"
WIDEST = 0.25  # of the axis of differences, on either side
NEAREST = (LIVE, "margin")  # the default, or what is nearest to it
SHORT = {  # what a column says whose head is that an arm is at most so much worse
    BETTER: "shown, better",
    SLIGHTLY_WORSE: "shown, but worse",
    WORSE: "worse",
    UNDECIDED: "not shown",
    TOO_FEW: "too few seeds",
}


def write_report(
    directories: Sequence[Path], out: Path, pages: Sequence[Path] = (), frozen: Sequence[Path] = ()
) -> CorporaStudy:
    """Write figures, `overview.html`, `corpora.json` and `README.md`, or its block for corpora, into `out`; and a short
    form into the block of other pages. `frozen` are the files of defaults that were played.

    Raises `BadRunError` when a run cannot be read or compared, or two directories have one name or the same data.
    """
    report = read_report(directories, frozen)
    try:
        _write_files(report, directories, out, pages)
        for page in pages:
            renew_block(page, START, END, "the results over corpora", short(report, out, page))
    except OSError as error:
        raise BadRunError(f"Cannot write the report to {out}: {error.strerror}. Give another --out.") from None
    return report


def read_report(directories: Sequence[Path], frozen: Sequence[Path] = ()) -> CorporaStudy:
    """All that the report tells. Raises `BadRunError` as `write_report` does."""
    comparisons.require_different(directories)
    files = [confirming.read(path) for path in frozen]
    names = [directory.resolve().name for directory in directories]
    begun = {name: directory for name, directory in zip(names, directories, strict=True) if _has_begun(directory)}
    if not begun:
        raise BadRunError(f"No run has a round of {RANDOM} yet: {listing(names)}. Let one go on.")
    studies = _told_apart({name: read_count_study([directory]) for name, directory in begun.items()})
    said = {name: qualities(studies[name], [directory]) for name, directory in begun.items()}
    compared = comparisons.over_corpora([study.comparison for study in studies.values()])
    return CorporaStudy(studies, said, compared, [name for name in names if name not in begun], files)


def _told_apart(studies: Mapping[str, CountStudy]) -> dict[str, CountStudy]:
    """With the directory's name in the titles that several have."""
    titles = [study.title for study in studies.values()]
    return {
        name: replace(study, directory=name) if titles.count(study.title) > 1 else study
        for name, study in studies.items()
    }


def _has_begun(directory: Path) -> bool:
    """Whether there is a round of random sampling. Raises `BadRunError` where no run was ever started."""
    if read_json(directory / INVOCATIONS) is None:
        raise BadRunError(f"{directory / INVOCATIONS} is missing. Give a directory that nextlabel simulate wrote.")
    return any(record.strategy == RANDOM for record in read_rounds(directory / ROUNDS))


def _write_files(report: CorporaStudy, directories: Sequence[Path], out: Path, pages: Sequence[Path]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    blocks = list(_blocks(report, _command(report, directories, out, pages), out))
    (out / "overview.html").write_text(to_html(TITLE, blocks), encoding="utf-8")
    numbers = {"sentences": headlines(report), "doubts": doubts(report), "corpora": report.corpora.as_dict()}
    (out / "corpora.json").write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    readme = out / "README.md"
    if not readme.exists():
        readme.write_text(f"# {TITLE}\n\n{START}\n{END}\n", encoding="utf-8")
    renew_block(readme, START, END, "the results over corpora", _text(blocks, directories, out))


def block(report: CorporaStudy, directories: Sequence[Path], out: Path, pages: Sequence[Path] = ()) -> str:
    """What `README.md` says in its block for corpora. Writes nothing."""
    return _text(list(_blocks(report, _command(report, directories, out, pages), None)), directories, out)


def _text(blocks: Sequence[Block], directories: Sequence[Path], out: Path) -> str:
    return "\n\n".join([*map(block_md, blocks), *_links(directories, out)])


def _command(report: CorporaStudy, directories: Sequence[Path], out: Path, pages: Sequence[Path]) -> str:
    frozen = "".join(f" --frozen {file.path}" for file in report.frozen)
    other = "".join(f" --readme {page}" for page in pages)
    return f"nextlabel report-corpora {' '.join(map(str, directories))}{frozen} --out {out}{other}"


def short(report: CorporaStudy, out: Path, page: Path) -> str:
    """What a first page says in its block for corpora: a row for each corpus, of the arm that is the default or nearest
    to it, and where the rest is."""
    found = {(row[0], row[2].strategy): row for row in report.rows}
    nearest = {
        corpus: next((found[corpus, arm] for arm in NEAREST if (corpus, arm) in found), None)
        for corpus in report.studies
    }
    rows = [row for row in nearest.values() if row]
    if not rows:
        return block_md(Paragraph(headlines(report)[0], strong=True))
    seeds = [row.seeds for *_, row in rows]
    live = [study for _, study, arm, _ in rows if arm.strategy == LIVE]
    said = "; live as new projects are served" if live and all(s.run.setting.get("frozen") for s in live) else ""
    said += "; margin where the default is not played yet" if len(live) < len(rows) else ""
    confirmed = confirming.confirmed({row[0]: row[1] for row in rows}, report.frozen)
    others = [study.title for other, study, *_ in rows if other not in confirmed]
    explored = f" Explored, not confirmed{f': {listing(others)}' if confirmed else ''}." if others else ""
    score, worse = "random's last score", f"at most {MARGIN:g} worse"
    head = ["corpus", "classes, smallest", "arm", score, "random's labels", "the arm's", "saved", worse, "full data"]
    labels = f"until random's last macro-F1 on dev, {_seeds_in_words(seeds)}{said}"
    table = Table(
        f"Scores: macro-F1 on test. Labels: {labels}.{explored}",
        head,
        [_short_row(report, *row) for row in rows],
    )
    text = block_md(table).replace(" | ", "|")  # a first page has few words, and a lone line counts as one
    without = [report.studies[corpus].title for corpus, row in nearest.items() if not row]
    neither = f"neither {' nor '.join(NEAREST)} is compared there"
    left_out = f"\n\nLeft out, as {neither}: {listing(without)}." if without else ""
    here = Path(os.path.relpath(out, page.parent)).as_posix()
    return f"{text}{left_out}\n\n[All arms, curves, and what to distrust]({here}/README.md)."


def _seeds_in_words(seeds: Sequence[int]) -> str:
    return f"{from_to(seeds)} paired seed{'s' * (max(seeds) > 1)}"


def _short_row(report: CorporaStudy, name: str, study: CountStudy, arm: Arm, row: InCorpus) -> list[str]:
    pool = (study.run.setting["data"].get("counts") or {}).get("train") or {}
    smallest = f", {100 * min(pool.values()) / study.texts(pool):.1f} %" if pool else ""
    of, full = _arm_row(report, name, study, arm, row), study.comparison.full
    classes = f"{_classes_in_words(study).removesuffix(' classes')}{smallest}"
    target = study.random.need(RANDOM_FINAL)
    assert target is not None
    assert target.test is not None  # random gets to its own last score
    saved = of[5] if (name, arm.strategy) in report.claims else "not shown"
    score, whole = f"{target.test:.3f}", f"{full.test.mean:.3f}" if full else "none"
    return [
        study.title,
        classes,
        arm.strategy,
        score,
        of[4],
        of[3],
        saved,
        _short_verdict(report, name, arm, row),
        whole,
    ]


def _short_verdict(report: CorporaStudy, name: str, arm: Arm, row: InCorpus) -> str:
    """An arm that is better by one class alone is not called better."""
    led = report.led(name, arm.strategy)
    if verdict(row) == BETTER and led and (led[1].low or 0) <= 0:
        return "shown"
    return SHORT.get(verdict(row), "shown")


def _links(directories: Sequence[Path], out: Path) -> Iterator[str]:
    there = [directory for directory in directories if (directory / "summary.md").exists()]
    if there:
        links = (f"[{d.resolve().name}]({Path(os.path.relpath(d, out)).as_posix()}/summary.md)" for d in there)
        yield f"Each corpus has its own report: {', '.join(links)}."


def _blocks(report: CorporaStudy, command: str, out: Path | None) -> Iterator[Block]:
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
        yield from hours_section(report.studies, report.claims)
        yield from quality_section(report.studies, report.qualities)
    yield from _summary_section(report)
    yield Heading("What to distrust")
    yield Items(doubts(report))
    yield Heading("How it was made")
    yield Code(command)


def _unfinished(report: CorporaStudy) -> Iterator[str]:
    missing = [f"{name} ({by_strategy(study.missing)})" for name, study in report.studies.items() if study.missing]
    if missing:
        yield f"Unfinished, with the seeds that are missing: {'; '.join(missing)}."
    if report.waiting:
        yield f"Left out, as random sampling has not begun there: {listing(report.waiting)}."


def _drawn(figure: Figure, out: Path | None, name: str) -> str:
    return figures.save(figure, out, name) if out else ""


def _curves_picture(report: CorporaStudy, out: Path | None) -> Picture:
    panels = []
    for study in report.studies.values():
        panel = curve_panel(study, f"{study.title}\n{_classes_in_words(study)}")
        own = [line for line in panel.lines if not baselines.kind_of(line.name)]
        panels.append(count_figures.CurvePanel(panel.title, own, panel.full))
    svg = _drawn(count_figures.small_multiples(panels, "macro-F1 on test"), out, "corpora-curves")
    return Picture(
        "corpora-curves",
        svg,
        f"Mean macro-F1 on test over labels used, for {listing([study.title for study in report.studies.values()])}",
        "Mean macro-F1 on test over labels used, means over paired seeds with 95 % bands. Every panel has its own "
        f"scale.{said_alike(report.studies)}",
    )


def _forest_picture(report: CorporaStudy, out: Path | None) -> Picture:
    shown = [(study, arm, row) for _, study, arm, row in report.rows if arm in study.judged]
    differing: dict[str, list[Bar]] = {}
    saving: dict[str, list[Bar]] = {}
    for study, arm, row in shown:
        need = arm.need(RANDOM_FINAL)
        assert need is not None
        differing.setdefault(study.title, []).append(_difference_bar(arm.strategy, row))
        saving.setdefault(study.title, []).append(saving_bar(arm, need))
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
        "its bootstrap interval. Arrows: beyond the axis, or open. Intervals are those of each corpus alone."
        f"{said_alike(report.studies)}",
    )


def _difference_bar(name: str, row: InCorpus) -> Bar:
    words = _plus(row.mean)
    if row.low is not None and row.high is not None:
        words += f" [{_plus(row.low)} to {_plus(row.high)}]"
    return Bar(name, row.mean, row.low, row.high, words)


def _plus(value: float) -> str:
    return f"{round(value, 3) + 0:+.3f}"  # never -0.000


def _table_section(report: CorporaStudy) -> Iterator[Block]:
    yield Heading("Corpus by corpus")
    yield Table(
        "Macro-F1 on test, at the last label count; hours that all rounds of all arms took together, one after the "
        "other, whatever ran beside them.",
        ["corpus", "classes", "pool", "largest, smallest class", "labels", "random, test", "full data, test", "hours"],
        [_corpus_row(study) for study in report.studies.values()],
    )
    head = [
        *("corpus", "arm", "seeds", "labels", "random's labels", "saved", "whole curve", "last count", "verdict"),
        "seeds for even odds",
    ]
    yield Table(
        "Labels for the same dev macro-F1, that of random at the last count, the share saved in % [95 % interval; open "
        "where the run cannot tell], and the difference to random in test macro-F1: its mean over the whole curve, and "
        "that at the last count with its verdict, adjusted by Holm over corpora. Intervals are not adjusted. With the "
        f"seeds for even odds half of such studies would tell whether a loss is above {MARGIN:g}: at the level that "
        "Holm leaves to the next corpus, where spread and mean are what they seem.",
        head,
        [_arm_row(report, *row) for row in report.rows],
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
        f"{hours_spent(study.run.rounds):.1f}",
    ]


def _over(score: Estimate) -> str:
    return f"{score.mean:.4f} ({score.seeds} seed{'s' if score.seeds > 1 else ''})"


def _arm_row(report: CorporaStudy, name: str, study: CountStudy, arm: Arm, row: InCorpus) -> list[str]:
    need = arm.need(RANDOM_FINAL)
    assert need is not None
    said = verdict(row)
    return [
        study.title,
        arm.strategy,
        str(row.seeds),
        "not reached" if need.labels is None else f"{need.labels:,}",
        "not reached" if need.labels_random is None else f"{need.labels_random:,}",
        _saved_in_words(need.saving, (name, arm.strategy) in report.claims, row),
        _area_in_words(arm),
        _difference_bar(name, row).words,
        _verdict_in_words(report, name, arm, said),
        row.non_inferiority.needed if said in (UNDECIDED, TOO_FEW) else "decided",
    ]


def _area_in_words(arm: Arm) -> str:
    assert arm.against_random is not None
    area = arm.against_random.area.test
    ends = "" if area.low is None or area.high is None else f" [{_plus(area.low)} to {_plus(area.high)}]"
    return _plus(area.mean) + ends


def _verdict_in_words(report: CorporaStudy, name: str, arm: Arm, said: str) -> str:
    led = report.led(name, arm.strategy)
    return "too few seeds" if said == TOO_FEW else f"{said}, mostly by {led[0]}" if led else said


def _saved_in_words(saving: Saving | None, is_claimed: bool, row: InCorpus) -> str:
    known = saving is not None and (saving.low is not None or saving.high is not None)
    ends = f" {ends_of(saving)}" if saving and known else ""
    if saving is None or saving.share is None:
        return f"not reached{ends}"
    share = f"{round(100 * saving.share)} %{ends}"
    return share if is_claimed else f"{share}, {'no claim' if has_few(row) else 'not shown'}"


def _summary_section(report: CorporaStudy) -> Iterator[Block]:
    several = [over for over in report.corpora.arms if len(over.corpora) >= FEW_CORPORA]
    if not several:
        return
    yield Heading("Over corpora")
    yield Table(
        "Probability that the typical difference between an arm and random, over corpora like these, is below "
        f"-{MARGIN:g} (worse), within {MARGIN:g} of 0 (equivalent), or above {MARGIN:g} (better).",
        ["arm", "corpora", "mean difference", "worse", "equivalent", "better"],
        [_summary_row(over) for over in several],
    )
    yield Paragraph(
        "By the Bayesian signed-rank test (Benavoli et al., ICML 2014 and JMLR 18, 2017) of the corpora's mean "
        "differences in final test macro-F1, each corpus counted as one, its mean taken as known. The typical "
        "difference counts as in that range where the mean of two such corpora, drawn at random, lies most often. That "
        "is no forecast for one further corpus: an arm that is typically better may be worse there."
    )


def _summary_row(over: OverCorpora) -> list[str]:
    of = over.summary
    probabilities = (f"{chance:.3f}" for chance in (of.worse, of.equivalent, of.better))
    return [over.strategy, str(of.corpora), f"{of.mean:+.4f}", *probabilities]
