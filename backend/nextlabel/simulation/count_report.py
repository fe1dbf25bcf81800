"""The report of a run with label counts: figures, tables and what they support. Computes nothing itself."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.simulation import baselines, comparisons, count_figures, figures
from nextlabel.simulation.asked import question_table
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
    to_markdown,
)
from nextlabel.simulation.comparisons import RANDOM_FINAL, WAYS, Arm, Need
from nextlabel.simulation.count_figures import Bar, BarPanel, CurvePanel, ReliabilityPanel
from nextlabel.simulation.count_making import chosen_by_label, chosen_section, making_section, times_section
from nextlabel.simulation.count_quality import Quality, last_record, led_by_one_class, of_versions, qualities
from nextlabel.simulation.count_study import (
    FEW_EXAMPLES,
    CountStudy,
    difference,
    doubts,
    ends_of,
    headlines,
    is_decided,
    saved_in_words,
)
from nextlabel.simulation.curves import FEWEST_SEEDS, Estimate
from nextlabel.simulation.figures import Line
from nextlabel.simulation.provenance import listing, needed_commands, settled
from nextlabel.simulation.records import FULL, RANDOM, SETTING, Record, merge, read_json, read_run
from nextlabel.simulation.study import interval
from nextlabel.simulation.verdicts import LEVEL

FEWEST_IN_BIN = 20  # examples of all seeds together, for a point of the reliability figure
SCORE = "macro-F1"
HARD_SPACE = "\u00a0"
TARGETS = (RANDOM_FINAL, *WAYS)  # what a reader asks first comes first


@dataclass(frozen=True)
class CountReport:
    """What was written, with all that is in it."""

    study: CountStudy
    qualities: Sequence[Quality]

    @property
    def sentences(self) -> list[str]:
        """The two of the headline."""
        without = {of.strategy: led_by_one_class(self.study, of) for of in self.qualities}
        labels = self.study.comparison.labels
        return headlines(self.study, {name: labels[of.label] for name, of in without.items() if of})


def write_report(directories: Sequence[Path], out: Path) -> CountReport:
    """Write figures, `summary.md`, `report.html` and `statistics.json` into `out` from runs of the same setting.

    Raises `BadRunError` when the runs cannot be read or compared, or their scores are not those of what was said.
    """
    report = read_report(directories)
    try:
        _write_files(report, directories, out)
    except OSError as error:
        raise BadRunError(f"Cannot write the report to {out}: {error.strerror}. Give another --out.") from None
    return report


def read_report(directories: Sequence[Path]) -> CountReport:
    """All that a report tells. Raises `BadRunError` as `write_report` does."""
    study = read_count_study(directories)
    return CountReport(study, qualities(study, directories))


def read_count_study(directories: Sequence[Path]) -> CountStudy:
    """The statistics of runs of the same setting. Raises `BadRunError` as `comparisons` does."""
    run = merge({str(directory): read_run(directory) for directory in directories})
    return CountStudy(run, comparisons.compare(run, directories[0].resolve().name))


def plays_counts(directory: Path) -> bool:
    """Whether a directory holds a run with label counts. Raises `BadRunError` when its setting cannot be read."""
    return bool((read_json(directory / SETTING) or {}).get("at"))


def update_readme(readme: Path, name: str, report: CountReport, out: Path, command: str) -> bool:
    """Replace what is between the markers `<!-- results:NAME -->` and `<!-- /results -->`; True when that changed it.

    Raises `BadRunError` when the file or the markers are not there.
    """
    here = Path(os.path.relpath(out, readme.parent)).as_posix()
    said = [block_md(Paragraph(line, strong=True)) for line in report.sentences]
    made = block_md(Code("\n".join([*needed_commands(report.study.run), command])))
    figure = f"![{curves_alt(report.study)}]({here}/learning-curves.svg)"
    text = "\n\n".join([*said, figure, f"[All tables and numbers]({here}/summary.md). Made by:", made])
    return renew_block(readme, f"<!-- results:{name} -->", "<!-- /results -->", "the results", text)


def _write_files(report: CountReport, directories: Sequence[Path], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    command = "nextlabel report " + " ".join(map(str, directories))
    blocks = list(_blocks(report, out, command))
    title = f"Does active learning save labels? {report.study.title}"
    for name, text in (
        ("summary.md", to_markdown(title, blocks)),
        ("report.html", to_html(title, blocks)),
        ("statistics.json", json.dumps(_statistics(report), indent=1, allow_nan=False) + "\n"),
    ):
        (out / name).write_text(text, encoding="utf-8")


def _statistics(report: CountReport) -> dict[str, Any]:
    """All numbers unrounded, for machines."""
    study = report.study
    return {
        "setting": study.run.setting,
        "sentences": report.sentences,
        "doubts": [*of_versions(study, report.qualities), *doubts(study)],
        "comparison": study.comparison.as_dict(),
        **({"questions": _of_questions(report)} if study.layout else {}),
        "at_last_count": {quality.strategy: asdict(quality) for quality in report.qualities},
    }


def _of_questions(report: CountReport) -> dict[str, Any]:
    """By arm and seed each question's measures on test, with the last label count."""
    return {
        name: {record.seed: (record.questions or {}).get("test") for record in records}
        for name, records in _last_rounds(report).items()
    }


def _blocks(report: CountReport, out: Path, command: str) -> Iterator[Block]:
    study = report.study
    for line in report.sentences:
        yield Paragraph(line, strong=True)
    yield _curves_picture(study, out)
    yield from _savings_section(study, out)
    yield from _arms_section(study)
    yield from _questions_section(report)
    yield from _classes_section(report)
    yield from _calibration_section(report, out)
    yield from chosen_section(study)
    yield from times_section(study)
    yield from making_section(study, command)
    yield Heading("What a sceptic should distrust")
    yield Items([*of_versions(study, report.qualities), *doubts(study)])
    yield Heading("Setting")
    yield from settled(study.run)


def _if_any(study: CountStudy, words: str) -> str:
    """Words on intervals, where there are any."""
    return words if study.has_intervals else ""


def _curves_picture(study: CountStudy, out: Path) -> Picture:
    figure = count_figures.learning_curves(curve_panel(study, study.title), f"{SCORE} on test")
    svg = figures.save(figure, out, "learning-curves")
    full = study.comparison.full
    seeds = ", ".join(f"{arm.strategy} {len(arm.seeds)}" for arm in study.drawn)
    also = f"; full data {len(full.seeds)}" if full else ""
    ends = _if_any(study, ", with 95 % bootstrap intervals of the mean")
    return Picture(
        "learning-curves",
        svg,
        curves_alt(study),
        f"Learning curves: mean {SCORE} on {study.run.setting['data']['test']:,} test examples over paired seeds "
        f"({seeds}{also}){ends}. Labels on a logarithmic axis.",
    )


def curves_alt(study: CountStudy) -> str:
    """What one would see in the figure of the curves."""
    names = listing([arm.strategy for arm in study.drawn])
    return f"Mean {SCORE} on test over labels used, for {names}{' and full data' if study.comparison.full else ''}"


def curve_panel(study: CountStudy, title: str) -> CurvePanel:
    """The arms' test curves, with full data."""
    lines = [
        Line(arm.strategy, np.array([point.labels for point in arm.curve]), [point.test for point in arm.curve])
        for arm in study.drawn
    ]
    full = study.comparison.full
    return CurvePanel(title, lines, full.test if full else None, f"full data ({study.comparison.train:,})")


def _savings_section(study: CountStudy, out: Path) -> Iterator[Block]:
    yield Heading("Labels saved")
    if not study.rivals:
        yield Paragraph("There is nothing to compare with random sampling.")
        return
    groups = dict(_saving_groups(study))
    if groups:
        yield _savings_picture(groups, _if_any(study, ", with its 95 % interval"), out)
    else:
        yield Paragraph(f"No target is reached by an arm within {study.last:,} labels.")
    head = ["target", "dev score", "arm", "labels", "random's labels", "saved", "test there"]
    rows = [row for name in TARGETS for row in _need_rows(study, name)]
    yield Table(
        "Labels needed: the first count, interpolated, at which the mean dev curve reaches the target.", head, rows
    )
    yield Paragraph(
        "The targets: 90, 95 and 98 % of the way on dev from the first label count to full data, and random's dev "
        "score at the last count. Targets are found on dev; the test score is that of the arm's curve at the same "
        "labels. Intervals are a bootstrap over seeds, which take all their arms along; an end is open where too many "
        "resamples do not reach the target. Where random alone does not, it takes more than the last count, and the "
        f"saving is at least what that comes to.{_full_is_known(study)} Savings are claimed only for random's score, "
        "and only where the bootstrap's p-value, corrected for few seeds and by Holm for the number of arms (live, the "
        f"default, stands for itself), is below {LEVEL:g}."
    )


def _full_is_known(study: CountStudy) -> str:
    full = study.comparison.full
    if full is None or len(full.seeds) >= FEWEST_SEEDS:
        return ""
    seeds = "1 seed" if len(full.seeds) == 1 else f"{len(full.seeds)} seeds"
    return f" Full data has {seeds}, too few to resample: its mean is taken as known."


def _savings_picture(groups: Mapping[str, Sequence[Bar]], ends: str, out: Path) -> Picture:
    panel = BarPanel("", "labels saved against random sampling (%)", -100, 100, groups, percent=True)
    svg = figures.save(count_figures.bars([panel]), out, "savings")
    alt = "; ".join(f"{group}: " + ", ".join(f"{b.name} {b.words}" for b in of) for group, of in groups.items())
    return Picture(
        "savings",
        svg,
        alt,
        f"Share of random sampling's labels that an arm does without on the way to a target{ends}. An arrow: "
        "the interval leaves the axis, or is open, as the run cannot tell how far it goes. Hollow: the share itself "
        "leaves the axis. Targets that are not drawn are reached by no arm.",
    )


def _needs(study: CountStudy, target: str) -> Iterator[tuple[Arm, Need]]:
    for arm in study.rivals:
        need = arm.need(target)
        if need:
            yield arm, need


def _saving_groups(study: CountStudy) -> Iterator[tuple[str, list[Bar]]]:
    shown = {arm.strategy for arm in study.drawn}
    for name in TARGETS:
        needs = [(arm, need) for arm, need in _needs(study, name) if arm.strategy in shown]
        if any(need.labels is not None for _, need in needs):
            yield _target(study, name), [saving_bar(arm, need) for arm, need in needs]


def _target(study: CountStudy, name: str) -> str:
    if name == RANDOM_FINAL:
        return f"random's score with {study.last:,} labels"
    return f"{name} % of the way to full data"


def saving_bar(arm: Arm, need: Need) -> Bar:
    """A saving as a row of a figure, in percent."""
    saving = need.saving
    assert saving is not None  # of an arm that is not random
    low, high = (None if end is None else 100 * end for end in (saving.low, saving.high))
    if saving.share is None:
        return Bar(arm.strategy, None, low, high, _unreached(arm, need))
    known = low is not None or high is not None
    words = f"{round(100 * saving.share)} %" + (f" {ends_of(saving)}" if known else " (no interval)")
    return Bar(arm.strategy, 100 * saving.share, low, high, words, known and high is None, known and low is None)


def _unreached(arm: Arm, need: Need) -> str:
    if need.labels is None and need.labels_random is None:
        return "neither gets there"
    return saved_in_words(arm, need)


def _need_rows(study: CountStudy, target: str) -> Iterator[list[str]]:
    """A row for each arm; one for all where neither an arm nor random gets there."""
    needs = list(_needs(study, target))
    beyond = f"not within {study.last:,}"
    if all(need.labels is None and need.labels_random is None for _, need in needs):
        for need in [need for _, need in needs][:1]:
            yield [_target(study, target), f"{need.score:.4f}", "every arm", beyond, beyond, "", ""]
        return
    for arm, need in needs:
        labels, random = (beyond if count is None else f"{count:,}" for count in (need.labels, need.labels_random))
        saved = saved_in_words(arm, need)
        test = "" if need.test is None else f"{need.test:.4f}"
        yield [_target(study, target), f"{need.score:.4f}", arm.strategy, labels, random, saved, test]


def _arms_section(study: CountStudy) -> Iterator[Block]:
    yield Heading("Results by arm")
    head = ["arm", "paired seeds", "test", "minus random", "at most 0.01 worse", "better", "seeds for even odds"]
    rows = [_verdict_row(arm) for arm in study.comparison.arms]
    full = study.comparison.full
    if full:
        rows.append(["full data", str(len(full.seeds)), _scored(full.test), "", "", "", ""])
    ends = _if_any(study, " [95 % interval]")
    yield Table(f"Mean test {SCORE} with {study.last:,} labels over paired seeds{ends}.", head, rows)
    yield Paragraph(
        "Differences are paired by seed. Minus random has Student's interval; a verdict is shown when its lower end is "
        "above -0.01, or above 0. Anything else counts as not shown, which is no proof of the contrary; with the seeds "
        "for even odds half of such studies would tell whether a loss is above 0.01, at today's spread and difference. "
        "Verdicts are for this corpus alone. All other intervals are percentile bootstraps over seeds (10,000 "
        "resamples)."
    )
    head = ["arm", "dev", "minus random", "area (test)", "minus random"]
    rows = [_area_row(arm) for arm in study.comparison.arms]
    yield Table(f"Mean dev {SCORE} with {study.last:,} labels, and mean height of the test curve over log2(labels).",
                head, rows)  # fmt: skip
    yield from _curve_tables(study)


def _verdict_row(arm: Arm) -> list[str]:
    against = arm.against_random
    if against is None:
        return [arm.strategy, str(len(arm.seeds)), _scored(arm.final.test), "", "", "", ""]
    of = against.final_test
    decided = arm.supports_claim and is_decided(of)
    return [
        arm.strategy,
        str(len(arm.seeds)),
        _scored(arm.final.test),
        difference(of).replace("95 % CI ", ""),
        of.non_inferiority.verdict,
        of.superiority.verdict,
        "decided" if decided else of.non_inferiority.needed,
    ]


def _area_row(arm: Arm) -> list[str]:
    against = arm.against_random
    dev, area = ("", "") if against is None else (_more(against.final_dev), _more(against.area.test))
    return [arm.strategy, _scored(arm.final.dev), dev, _scored(arm.area.test), area]


def _more(of: Estimate) -> str:
    return f"{of.mean:+.4f} {interval(of, signed=True)}".rstrip()


def _curve_tables(study: CountStudy) -> Iterator[Table]:
    for part in ("test", "dev"):
        rows = [
            [f"{count:,}", *(_scored(getattr(arm.curve[i], part)) for arm in study.comparison.arms)]
            for i, count in enumerate(study.comparison.counts)
        ]
        head = ["labels", *(arm.strategy for arm in study.comparison.arms)]
        yield Table(f"Mean {part} {SCORE}{_if_any(study, ' [95 % interval]')} with so many labels.", head, rows)


def _scored(of: Estimate) -> str:
    return f"{of.mean:.4f} {interval(of)}".rstrip()


def _questions_section(report: CountReport) -> Iterator[Block]:
    """What a form's questions are measured by; nothing of one question with one class a text."""
    study = report.study
    if study.layout:
        yield Heading("Questions")
        yield question_table(study.layout, "test", _last_rounds(report), f"{study.last:,}")


def _last_rounds(report: CountReport) -> dict[str, list[Record]]:
    """By arm, over its seeds."""
    return {_name(of): [last_record(report.study, of.strategy, seed) for seed in of.seeds] for of in report.qualities}


def _classes_section(report: CountReport) -> Iterator[Block]:
    study = report.study
    counts = study.run.setting["data"].get("counts") or {}
    pool, test = counts.get("train") or {}, counts.get("test") or {}
    order = sorted(study.comparison.labels, key=lambda label: -test.get(label, 0))
    columns = [_class_columns(study, quality) for quality in _in_class_table(report)]
    one, many = ("label", "Labels") if study.layout else ("class", "Classes")
    head = [one, "in the pool", "in test", *(name for column in columns for name in column[0])]
    rows = [
        [
            label.replace(" ", HARD_SPACE),
            str(pool.get(label, "")),
            str(test.get(label, "")),
            *(cell for of in columns for cell in of[1][label]),
        ]
        for label in order
    ]
    yield Heading(f"{many}, with {study.last:,} labels")
    yield Table(
        f"Mean F1 on test over seeds, its difference to random, and how many examples of the {one} were chosen after "
        "the start, mean over seeds. Without intervals: "
        f"of a {one} with {FEW_EXAMPLES} test examples or fewer a difference says little.",
        head,
        rows,
    )


def _in_class_table(report: CountReport) -> list[Quality]:
    """Random, full data and the arms that fit the model; those of baselines are among the statistics."""
    first = (RANDOM, FULL)
    known = {quality.strategy: quality for quality in report.qualities}
    names = [*first, *(name for name in known if name not in first and not baselines.kind_of(name))]
    return [known[name] for name in names if name in known]


def _class_columns(study: CountStudy, quality: Quality) -> tuple[list[str], dict[str, list[str]]]:
    """Heads, and cells by label, of one arm."""
    name = quality.strategy
    mix = {} if name == FULL else chosen_by_label(study, name, quality.seeds)
    head = [f"{_name(quality)} F1", *(["minus random"] if quality.more_C else []), *([f"{name} chosen"] if mix else [])]
    cells = {}
    for i, label in enumerate(study.comparison.labels):
        more = [f"{quality.more_C[i]:+.3f}"] if quality.more_C else []
        cells[label] = [f"{quality.f1_C[i]:.3f}", *more, *([f"{mix.get(label, 0):.1f}"] if mix else [])]
    return head, cells


def _calibration_section(report: CountReport, out: Path) -> Iterator[Block]:
    study = report.study
    shown = {arm.strategy for arm in study.drawn} | {FULL}
    drawn = [quality for quality in report.qualities if quality.strategy in shown]
    yield Heading("Calibration")
    rows = [
        [_name(of), str(len(of.seeds)), *(_scored(value) for value in (of.ece, of.brier, of.accuracy))]
        for of in report.qualities
    ]
    head = ["arm", "seeds", "ECE", "Brier score", "accuracy"]
    ends = _if_any(study, " [95 % interval]")
    yield Table(f"On test, with {study.last:,} labels: mean over seeds{ends}.", head, rows)
    svg = figures.save(count_figures.reliability([_reliability(of) for of in drawn]), out, "reliability")
    yield Picture(
        "reliability",
        svg,
        "Share right over mean confidence, for " + listing([_name(of) for of in drawn]),
        f"How often versions with {study.last:,} labels are right, by how sure they are, over all test examples and "
        f"seeds. Larger points are more examples, bins of fewer than {FEWEST_IN_BIN} are left out. Below the dashed "
        "line versions are too sure of themselves.",
    )
    yield Paragraph(
        "ECE (0 to 1) is over 15 bins of equal width of the confidence in the class that is answered; it is above 0 "
        "even for a perfectly calibrated model. The Brier score (0 to 2) is over all classes. Nothing was calibrated "
        "after the fit."
    )
    if study.layout:
        yield Paragraph(
            "Both are means over the questions; where any labels may be given, each label counts as a question of two "
            "classes. The figure has all questions together."
        )


def _name(quality: Quality) -> str:
    return "full data" if quality.strategy == FULL else quality.strategy


def _reliability(of: Quality) -> ReliabilityPanel:
    enough = [i for i, count in enumerate(of.bins.counts_B) if count >= FEWEST_IN_BIN]
    confidence, right, counts = (
        [values[i] for i in enough] for values in (of.bins.confidence_B, of.bins.right_B, of.bins.counts_B)
    )
    remark = f"ECE {of.ece.mean:.3f}\nBrier {of.brier.mean:.3f}"
    return ReliabilityPanel(_name(of), of.strategy, confidence, right, [int(count) for count in counts], remark)
